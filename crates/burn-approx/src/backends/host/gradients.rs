//! Gradients of float products by the CPU's own kernels.

use approx_cpu::quantize::ChannelQuantizer;
use approx_cpu::{FakeQuantized, FloatOperand};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::{HostBackend, float_tensor, quantizer_of};
use crate::backends::extension;
use crate::backends::{checked, float};
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
    activations::<B>(activation, None, weight, gradient, geometry)
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
    weights::<B>(activation, None, weight, gradient, geometry)
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
        Some(quantizer) if !is_batched(geometry, &weight.shape()) => {
            activations::<B>(activation, Some(quantizer), weight, gradient, geometry)
        }
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
        Some(quantizer) if !is_batched(geometry, &weight.shape()) => {
            weights::<B>(activation, Some(quantizer), weight, gradient, geometry)
        }
        _ => extension::by_weight_of_quantized::<B>(
            activation,
            activation_quantizer,
            weight,
            gradient,
            operation,
        ),
    }
}

/// The activation's gradient, 0 where a quantiser clips.
fn activations<B: HostBackend>(
    activation: FloatTensor<B>,
    quantizer: Option<ChannelQuantizer>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    geometry: &Geometry,
) -> FloatTensor<B> {
    let (shape, device) = (activation.shape(), activation.device());
    let mut values = vec![0.0; shape.num_elements()];
    let to = &mut values[..];
    let mut compute = |clipped: Option<FakeQuantized<'_>>, weight: &[f32], gradient: &[f32]| {
        checked(match geometry {
            Geometry::Matmul(product) => {
                approx_cpu::matmul_activation_gradient(product, weight, gradient, clipped, to)
            }
            Geometry::Conv2d(shape) => {
                approx_cpu::conv2d_activation_gradient(shape, weight, gradient, clipped, to)
            }
            Geometry::ConvTranspose2d(shape) => approx_cpu::conv_transpose2d_activation_gradient(
                shape, weight, gradient, clipped, to,
            ),
        });
    };
    B::read(weight, |weight| {
        B::read(gradient, |gradient| match quantizer {
            None => compute(None, weight, gradient),
            Some(quantizer) => B::read(activation, |values| {
                compute(Some(FakeQuantized { values, quantizer }), weight, gradient);
            }),
        });
    });
    float_tensor::<B>(values, shape, &device)
}

/// The weight's gradient, whose activation is quantised by a quantiser if there is one.
fn weights<B: HostBackend>(
    activation: FloatTensor<B>,
    quantizer: Option<ChannelQuantizer>,
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
            Some(quantizer) => FloatOperand::FakeQuantized(FakeQuantized {
                values: activation,
                quantizer,
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
