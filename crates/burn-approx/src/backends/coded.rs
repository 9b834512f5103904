//! An operand's codes on any backend, their functions, and what a padded tap, which is a code as well, means for sums.

use std::sync::Arc;

use approx_cpu::Padding2d;
use approx_cpu::quantize::ChannelQuantizer;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

use super::function::{Function, along, row};
use crate::codes::CodeGrid;
use crate::geometry::Geometry;
use crate::quantization::{SCALE, ZERO_POINT};

/// A function of an operand's codes, as gradients need it.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeFunction {
    /// The value for every code, the lowest first.
    pub values: Arc<[f32]>,
    /// Whether the zero point is subtracted from it.
    pub less_zero_point: bool,
    /// Whether the difference is multiplied with the scale.
    pub scaled: bool,
}

impl CodeFunction {
    /// What becomes of a value for a channel's code.
    pub(super) fn finish(&self, channel: ChannelQuantizer, value: f32) -> f32 {
        let less = match self.less_zero_point {
            true => channel.zero_point,
            false => 0.0,
        };
        let scale = match self.scaled {
            true => channel.scale,
            false => 1.0,
        };
        (value - less) * scale
    }
}

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

    /// A function of some codes.
    pub(super) fn function(
        &self,
        function: &CodeFunction,
        codes: FloatTensor<B>,
    ) -> FloatTensor<B> {
        let values = Function::of_codes(function.values.to_vec(), self.grid);
        let values = values.apply::<B>(codes, self.grid);
        let values = match function.less_zero_point {
            true => B::float_sub(values, self.zero_point.clone()),
            false => values,
        };
        match function.scaled {
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
