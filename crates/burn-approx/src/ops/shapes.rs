//! The shapes of results, from those of operands that were checked before: what every backend and the fusion of lazy ones agree on.

use approx_cpu::Conv2dShape;
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;

use super::conv2d_shape;

/// The number of channels along an axis, and how many neighbouring elements each has; without an axis there is one channel.
pub(crate) fn channels_along(shape: &Shape, axis: Option<usize>) -> (usize, usize) {
    match axis {
        Some(axis) => (shape[axis], shape.iter().skip(axis + 1).product()),
        None => (1, 1),
    }
}

/// The shape of a matrix product whose leading dimensions broadcast.
pub(crate) fn matmul_shape(activation: &Shape, weight: &Shape) -> Shape {
    let rank = activation.num_dims();
    let leading = activation.iter().zip(weight.iter()).take(rank - 2);
    let mut shape: Vec<usize> = leading
        .map(|(left, right)| if *left == 1 { *right } else { *left })
        .collect();
    shape.extend([activation[rank - 2], weight[rank - 1]]);
    Shape::from(shape)
}

/// The geometry of a convolution.
///
/// # Panics
/// If the shapes do not fit: a backend was used directly with bad ones.
pub(crate) fn conv2d_geometry(
    activation: &Shape,
    weight: &Shape,
    options: &ConvOptions<2>,
) -> Conv2dShape {
    conv2d_shape(activation.dims(), weight.dims(), options)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The shape of a convolution's result.
pub(crate) fn conv2d_output(shape: Conv2dShape) -> Shape {
    let [height, width] = shape.output();
    Shape::from(vec![shape.batch, shape.out_channels, height, width])
}
