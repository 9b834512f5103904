//! Float products of every geometry, through a backend's own operations, and their gradients.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use crate::geometry::{Geometry, conv_transpose2d, conv2d};

/// The product of two float operands.
pub(super) fn product<B: Backend>(
    geometry: &Geometry,
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
) -> FloatTensor<B> {
    match geometry {
        Geometry::Matmul(_) => B::float_matmul(activation, weight),
        Geometry::Conv2d(shape) => B::conv2d(activation, weight, None, conv2d::options(shape)),
        Geometry::ConvTranspose2d(shape) => {
            let weight = conv_transpose2d::turn::<B>(weight, shape.groups);
            B::conv_transpose2d(activation, weight, None, conv_transpose2d::options(shape))
        }
    }
}

/// The sum of a weight over all that an output sums, shaped to broadcast over the result.
pub(super) fn weight_sums<B: Backend>(
    geometry: &Geometry,
    weight: FloatTensor<B>,
) -> FloatTensor<B> {
    let shape = weight.shape();
    match geometry {
        Geometry::Matmul(_) => B::float_sum_dim(weight, shape.num_dims() - 2),
        Geometry::Conv2d(_) => {
            let outputs = shape[0];
            let flat = Shape::from(vec![outputs, shape.num_elements() / outputs.max(1)]);
            let sums = B::float_sum_dim(B::float_reshape(weight, flat), 1);
            B::float_reshape(sums, Shape::from(vec![1, outputs, 1, 1]))
        }
        Geometry::ConvTranspose2d(shape) => {
            // How many taps contribute differs from output to output.
            let [height, width] = shape.input;
            let image = Shape::from(vec![1, shape.in_channels, height, width]);
            let ones = B::float_ones(image, &weight.device(), weight.dtype().into());
            product::<B>(geometry, ones, weight)
        }
    }
}

/// The gradient of a product's activation, of the activation's shape.
pub(super) fn activation_gradient<B: Backend>(
    geometry: &Geometry,
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    if is_empty::<B>(&activation) || is_empty::<B>(&gradient) {
        return zeros_like::<B>(&activation);
    }
    match geometry {
        Geometry::Matmul(_) => {
            let shape = activation.shape();
            summed_to::<B>(B::float_matmul(gradient, transposed::<B>(weight)), &shape)
        }
        Geometry::Conv2d(shape) => {
            B::conv2d_x_backward(activation, weight, gradient, conv2d::options(shape))
        }
        Geometry::ConvTranspose2d(shape) => {
            let weight = conv_transpose2d::turn::<B>(weight, shape.groups);
            let options = conv_transpose2d::options(shape);
            B::conv_transpose2d_x_backward(weight, gradient, options)
        }
    }
}

/// The gradient of a product's weight, of the weight's shape.
pub(super) fn weight_gradient<B: Backend>(
    geometry: &Geometry,
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    if is_empty::<B>(&activation) || is_empty::<B>(&gradient) {
        return zeros_like::<B>(&weight);
    }
    match geometry {
        Geometry::Matmul(_) => {
            let shape = weight.shape();
            summed_to::<B>(
                B::float_matmul(transposed::<B>(activation), gradient),
                &shape,
            )
        }
        Geometry::Conv2d(shape) => {
            B::conv2d_weight_backward(activation, weight, gradient, conv2d::options(shape))
        }
        Geometry::ConvTranspose2d(shape) => {
            let weight = conv_transpose2d::turn::<B>(weight, shape.groups);
            let options = conv_transpose2d::options(shape);
            let own = B::conv_transpose2d_weight_backward(activation, weight, gradient, options);
            conv_transpose2d::turn::<B>(own, shape.groups)
        }
    }
}

/// Whether there are no values; backends' own gradients do not all reckon with that.
fn is_empty<B: Backend>(tensor: &FloatTensor<B>) -> bool {
    tensor.shape().num_elements() == 0
}

fn zeros_like<B: Backend>(tensor: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros(tensor.shape(), &tensor.device(), tensor.dtype().into())
}

fn transposed<B: Backend>(matrix: FloatTensor<B>) -> FloatTensor<B> {
    let rank = matrix.shape().num_dims();
    B::float_swap_dims(matrix, rank - 2, rank - 1)
}

/// The sum over the axes along which an operand was broadcast.
fn summed_to<B: Backend>(gradient: FloatTensor<B>, shape: &Shape) -> FloatTensor<B> {
    let found = gradient.shape();
    let axes = (0..found.num_dims()).filter(|axis| found[*axis] != shape[*axis]);
    axes.fold(gradient, B::float_sum_dim)
}
