//! An operand's codes on any backend, and what a padded tap, which is one of them, means for sums.

use approx_cpu::Padding2d;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use super::function::{Function, along, row};
use crate::codes::CodeGrid;
use crate::geometry::Geometry;
use crate::quantization::{SCALE, ZERO_POINT};

/// An operand's codes.
pub(super) struct Codes<B: Backend> {
    pub(super) codes: FloatTensor<B>,
    /// Shaped to broadcast over the codes, as the scale is.
    pub(super) zero_point: FloatTensor<B>,
    scale: FloatTensor<B>,
    pub(super) grid: CodeGrid,
}

impl<B: Backend> Codes<B> {
    /// From codes less their zero point.
    pub(super) fn new(shifted: FloatTensor<B>, quantizer: &FloatTensor<B>, grid: CodeGrid) -> Self {
        let rank = shifted.shape().num_dims();
        let axis = grid.channel_axis.unwrap_or(0);
        let [zero_point, scale] =
            [ZERO_POINT, SCALE].map(|index| along::<B>(row::<B>(quantizer, index), axis, rank));
        Self {
            codes: B::float_add(shifted, zero_point.clone()),
            zero_point,
            scale,
            grid,
        }
    }

    /// A function of some codes, less the zero point and scaled, if that is to be.
    pub(super) fn function(
        &self,
        function: &Function,
        codes: FloatTensor<B>,
        less_zero_point: bool,
        scaled: bool,
    ) -> FloatTensor<B> {
        let values = function.apply::<B>(codes, self.grid);
        let values = match less_zero_point {
            true => B::float_sub(values, self.zero_point.clone()),
            false => values,
        };
        match scaled {
            true => B::float_mul(values, self.scale.clone()),
            false => values,
        }
    }

    /// The product with a function of the codes.
    pub(super) fn times(&self, function: &Function, values: FloatTensor<B>) -> FloatTensor<B> {
        match function.is_one() {
            true => values,
            false => B::float_mul(function.apply::<B>(self.codes.clone(), self.grid), values),
        }
    }
}

/// Whether some taps lie outside of the activation and are multiplied nevertheless.
pub(super) fn is_padded(geometry: &Geometry) -> bool {
    match geometry {
        Geometry::Conv2d(shape) => shape.padding != Padding2d::default(),
        Geometry::Matmul(_) | Geometry::ConvTranspose2d(_) => false,
    }
}

/// The sums of a convolution's outputs `[batch, channels, height, width]` as `[channels, 1, 1, 1]`.
pub(super) fn sums_by_channel<B: Backend>(outputs: FloatTensor<B>) -> FloatTensor<B> {
    let channels = outputs.shape()[1];
    // From the last axis on: the first sum leaves little.
    let sums = [3, 2, 0].into_iter().fold(outputs, B::float_sum_dim);
    B::float_reshape(sums, Shape::from(vec![channels, 1, 1, 1]))
}
