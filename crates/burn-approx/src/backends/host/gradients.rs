//! Gradients of float products by the CPU's own kernels.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::{HostBackend, float_tensor};
use crate::backends::{checked, float};
use crate::geometry::Geometry;

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
    let (shape, device) = (activation.shape(), activation.device());
    let mut values = vec![0.0; shape.num_elements()];
    B::read(weight, |weight| {
        B::read(gradient, |gradient| {
            checked(match geometry {
                Geometry::Matmul(product) => {
                    approx_cpu::matmul_activation_gradient(product, weight, gradient, &mut values)
                }
                Geometry::Conv2d(shape) => {
                    approx_cpu::conv2d_activation_gradient(shape, weight, gradient, &mut values)
                }
                Geometry::ConvTranspose2d(shape) => {
                    approx_cpu::conv_transpose2d_activation_gradient(
                        shape,
                        weight,
                        gradient,
                        &mut values,
                    )
                }
            });
        });
    });
    float_tensor::<B>(values, shape, &device)
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
    let (shape, device) = (weight.shape(), weight.device());
    let mut values = vec![0.0; shape.num_elements()];
    B::read(activation, |activation| {
        B::read(gradient, |gradient| {
            checked(match geometry {
                Geometry::Matmul(product) => {
                    approx_cpu::matmul_weight_gradient(product, activation, gradient, &mut values)
                }
                Geometry::Conv2d(shape) => {
                    approx_cpu::conv2d_weight_gradient(shape, activation, gradient, &mut values)
                }
                Geometry::ConvTranspose2d(shape) => approx_cpu::conv_transpose2d_weight_gradient(
                    shape,
                    activation,
                    gradient,
                    &mut values,
                ),
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
