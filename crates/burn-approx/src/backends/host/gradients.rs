//! Gradients of float products by the CPU's own kernels.

use approx_cpu::quantize::ChannelQuantizer;
use approx_cpu::{Coded, FloatOperand};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::{HostBackend, float_tensor, quantizer_of};
use crate::backends::{CodeFunction, checked, coded, extension, float};
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

/// The gradient of a quantised activation, times the factors of its codes if there are some; 0 where its code was clamped.
pub(super) fn by_coded_activation<B: HostBackend>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
    factors: Option<&[f32]>,
) -> FloatTensor<B> {
    let geometry = operation.geometry();
    let quantizer = quantizer_of::<B>(activation_quantizer.clone(), operation.activation());
    if quantizer.is_none() || is_batched(geometry, &weight.shape()) {
        let quantizer = activation_quantizer;
        return extension::coded_activation_gradient::<B>(
            activation, quantizer, weight, gradient, operation, factors,
        );
    }
    activations::<B>(activation, quantizer, factors, weight, gradient, geometry)
}

/// The gradient of a weight that was multiplied with a function of an activation's codes, or with their real values.
pub(super) fn by_weight_of_coded<B: HostBackend>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
    function: Option<&CodeFunction>,
) -> FloatTensor<B> {
    let geometry = operation.geometry();
    let known = quantizer_of::<B>(activation_quantizer.clone(), operation.activation());
    let is_empty = [&activation, &weight].map(|tensor| tensor.shape().num_elements() == 0);
    let quantizer = match known {
        Some(quantizer) if is_empty == [false; 2] && !is_batched(geometry, &weight.shape()) => {
            quantizer
        }
        _ => {
            let quantizer = activation_quantizer;
            return extension::coded_weight_gradient::<B>(
                activation, quantizer, weight, gradient, operation, function,
            );
        }
    };
    let Some(function) = function else {
        return weights::<B>(activation, known, None, weight, gradient, geometry);
    };
    let values = function.values.iter();
    let mut values: Vec<f32> = values
        .map(|value| function.finish(quantizer, *value))
        .collect();
    if !coded::is_padded(geometry) {
        return weights::<B>(activation, known, Some(&values), weight, gradient, geometry);
    }
    let padded = values[(quantizer.zero_point - quantizer.low) as usize];
    values.iter_mut().for_each(|value| *value -= padded);
    let sums = coded::sums_by_channel::<B>(gradient.clone());
    let inside = weights::<B>(activation, known, Some(&values), weight, gradient, geometry);
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
    let compute = |coded: Option<Coded<'_>>, weight: &[f32], gradient: &[f32]| {
        checked(match geometry {
            Geometry::Matmul(product) => {
                approx_cpu::matmul_activation_gradient(product, weight, gradient, coded)
            }
            Geometry::Conv2d(shape) => {
                approx_cpu::conv2d_activation_gradient(shape, weight, gradient, coded)
            }
            Geometry::ConvTranspose2d(shape) => {
                approx_cpu::conv_transpose2d_activation_gradient(shape, weight, gradient, coded)
            }
        })
    };
    let values = B::read(weight, |weight| {
        B::read(gradient, |gradient| match quantizer {
            None => compute(None, weight, gradient),
            Some(quantizer) => B::read(activation, |values| {
                let coded = Coded {
                    values,
                    quantizer,
                    function,
                };
                compute(Some(coded), weight, gradient)
            }),
        })
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
    let values = B::read(activation, |activation| {
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
                    approx_cpu::matmul_weight_gradient(product, activation, gradient)
                }
                Geometry::Conv2d(shape) => {
                    approx_cpu::conv2d_weight_gradient(shape, activation, gradient)
                }
                Geometry::ConvTranspose2d(shape) => {
                    approx_cpu::conv_transpose2d_weight_gradient(shape, activation, gradient)
                }
            })
        })
    });
    float_tensor::<B>(values, shape, &device)
}

/// Whether a weight is several matrices, which the kernels do not know.
fn is_batched(geometry: &Geometry, weight: &Shape) -> bool {
    let matrices = |rank: usize| weight.iter().take(rank - 2).any(|size| *size != 1);
    matches!(geometry, Geometry::Matmul(_)) && matrices(weight.num_dims())
}
