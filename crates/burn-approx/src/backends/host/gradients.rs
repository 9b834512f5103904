//! Gradients of float products by the CPU's own kernels.

use approx_cpu::quantize::ChannelQuantizer;
use approx_cpu::{Coded, FloatOperand};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::{HostBackend, float_tensor, quantizer_of};
use crate::backends::extension;
use crate::backends::{checked, coded, float};
use crate::geometry::Geometry;
use crate::plan::ProductOperation;

/// The activation's gradient, of its shape.
pub(super) fn by_activation<B: HostBackend>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    geometry: &Geometry,
) -> FloatTensor<B> {
    if is_batched(geometry, &weight.shape()) {
        return float::activation_gradient::<B>(geometry, activation, weight, gradient);
    }
    activations::<B>(activation, None, None, weight, gradient, geometry)
}

/// The weight's gradient, of its shape.
pub(super) fn by_weight<B: HostBackend>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    geometry: &Geometry,
) -> FloatTensor<B> {
    if is_batched(geometry, &weight.shape()) {
        return float::weight_gradient::<B>(geometry, activation, weight, gradient);
    }
    weights::<B>(activation, None, None, weight, gradient, geometry)
}

/// The gradient of a fake-quantised activation, 0 where its code was clamped.
pub(super) fn by_quantized_activation<B: HostBackend>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
) -> FloatTensor<B> {
    let geometry = operation.geometry();
    let quantizer = quantizer_of::<B>(activation_quantizer.clone(), operation.activation());
    match quantizer {
        Some(quantizer) if !is_batched(geometry, &weight.shape()) => activations::<B>(
            activation,
            Some(quantizer),
            None,
            weight,
            gradient,
            geometry,
        ),
        _ => extension::by_quantized_activation::<B>(
            activation,
            activation_quantizer,
            weight,
            gradient,
            operation,
        ),
    }
}

/// The gradient of a weight that was multiplied with a fake-quantised activation.
pub(super) fn by_weight_of_quantized<B: HostBackend>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
) -> FloatTensor<B> {
    let geometry = operation.geometry();
    let quantizer = quantizer_of::<B>(activation_quantizer.clone(), operation.activation());
    match quantizer {
        Some(quantizer) if !is_batched(geometry, &weight.shape()) => weights::<B>(
            activation,
            Some(quantizer),
            None,
            weight,
            gradient,
            geometry,
        ),
        _ => extension::by_weight_of_quantized::<B>(
            activation,
            activation_quantizer,
            weight,
            gradient,
            operation,
        ),
    }
}

/// The gradient of an activation whose codes have factors, 0 where its code was clamped.
pub(super) fn by_scaled_activation<B: HostBackend>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
    function: &[f32],
) -> FloatTensor<B> {
    let geometry = operation.geometry();
    let quantizer = quantizer_of::<B>(activation_quantizer.clone(), operation.activation());
    match quantizer {
        Some(quantizer) if !is_batched(geometry, &weight.shape()) => {
            let (quantizer, function) = (Some(quantizer), Some(function));
            activations::<B>(activation, quantizer, function, weight, gradient, geometry)
        }
        _ => extension::scaled_by_codes::<B>(
            activation,
            activation_quantizer,
            weight,
            gradient,
            operation,
            function,
        ),
    }
}

/// The gradient of a weight that was multiplied with a function of codes, less the zero point or not, scaled.
pub(super) fn by_weight_of_mapped<B: HostBackend>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
    (function, less_zero_point): (&[f32], bool),
) -> FloatTensor<B> {
    let geometry = operation.geometry();
    let quantizer = quantizer_of::<B>(activation_quantizer.clone(), operation.activation());
    let is_empty = [&activation, &weight].map(|tensor| tensor.shape().num_elements() == 0);
    let quantizer = match quantizer {
        Some(quantizer) if !is_batched(geometry, &weight.shape()) && is_empty == [false; 2] => {
            quantizer
        }
        _ => {
            return extension::of_mapped::<B>(
                activation,
                activation_quantizer,
                weight,
                gradient,
                operation,
                (function, less_zero_point),
            );
        }
    };
    let less = match less_zero_point {
        true => quantizer.zero_point,
        false => 0.0,
    };
    let values = function
        .iter()
        .map(|value| (value - less) * quantizer.scale);
    let mut values: Vec<f32> = values.collect();
    let quantized = Some(quantizer);
    if !coded::is_padded(geometry) {
        return weights::<B>(
            activation,
            quantized,
            Some(&values),
            weight,
            gradient,
            geometry,
        );
    }
    let padded = values[(quantizer.zero_point - quantizer.low) as usize];
    values.iter_mut().for_each(|value| *value -= padded);
    let sums = coded::sums_by_channel::<B>(gradient.clone());
    let inside = weights::<B>(
        activation,
        quantized,
        Some(&values),
        weight,
        gradient,
        geometry,
    );
    B::float_add(inside, B::float_mul_scalar(sums, padded.into()))
}

/// The activation's gradient, 0 where a quantiser clips, elsewhere times a function of the codes if there is one.
fn activations<B: HostBackend>(
    activation: FloatTensor<B>,
    quantizer: Option<ChannelQuantizer>,
    function: Option<&[f32]>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    geometry: &Geometry,
) -> FloatTensor<B> {
    let (shape, device) = (activation.shape(), activation.device());
    let mut values = vec![0.0; shape.num_elements()];
    let to = &mut values[..];
    let mut compute = |coded: Option<Coded<'_>>, weight: &[f32], gradient: &[f32]| {
        checked(match geometry {
            Geometry::Matmul(product) => {
                approx_cpu::matmul_activation_gradient(product, weight, gradient, coded, to)
            }
            Geometry::Conv2d(shape) => {
                approx_cpu::conv2d_activation_gradient(shape, weight, gradient, coded, to)
            }
            Geometry::ConvTranspose2d(shape) => {
                approx_cpu::conv_transpose2d_activation_gradient(shape, weight, gradient, coded, to)
            }
        });
    };
    B::read(weight, |weight| {
        B::read(gradient, |gradient| match quantizer {
            None => compute(None, weight, gradient),
            Some(quantizer) => B::read(activation, |values| {
                let coded = Coded {
                    values,
                    quantizer,
                    function,
                };
                compute(Some(coded), weight, gradient);
            }),
        });
    });
    float_tensor::<B>(values, shape, &device)
}

/// The weight's gradient, whose activation is quantised by a quantiser if there is one, or a function of its codes.
fn weights<B: HostBackend>(
    activation: FloatTensor<B>,
    quantizer: Option<ChannelQuantizer>,
    function: Option<&[f32]>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    geometry: &Geometry,
) -> FloatTensor<B> {
    let (shape, device) = (weight.shape(), weight.device());
    let mut values = vec![0.0; shape.num_elements()];
    let to = &mut values[..];
    B::read(activation, |activation| {
        let activation = match quantizer {
            None => FloatOperand::Floats(activation),
            Some(quantizer) => FloatOperand::Coded(Coded {
                values: activation,
                quantizer,
                function,
            }),
        };
        B::read(gradient, |gradient| {
            checked(match geometry {
                Geometry::Matmul(product) => {
                    approx_cpu::matmul_weight_gradient(product, activation, gradient, to)
                }
                Geometry::Conv2d(shape) => {
                    approx_cpu::conv2d_weight_gradient(shape, activation, gradient, to)
                }
                Geometry::ConvTranspose2d(shape) => {
                    approx_cpu::conv_transpose2d_weight_gradient(shape, activation, gradient, to)
                }
            });
        });
    });
    float_tensor::<B>(values, shape, &device)
}

/// Whether a weight is several matrices, which the kernels do not know.
fn is_batched(geometry: &Geometry, weight: &Shape) -> bool {
    let matrices = |rank: usize| weight.iter().take(rank - 2).any(|size| *size != 1);
    matches!(geometry, Geometry::Matmul(_)) && matrices(weight.num_dims())
}
