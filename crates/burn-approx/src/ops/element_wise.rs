//! Codes and fake quantisation of every value of a tensor.

use burn::backend::Dispatch;
use burn::prelude::*;

use super::precision::in_float32;
use crate::backends::ApproxOps;
use crate::quantization::{Quantizer, ZERO_POINT};

impl Quantizer {
    /// The codes of `values` as integers.
    ///
    /// # Panics
    /// If the quantiser is per channel and its axis does not exist in `values` or has another length.
    pub fn codes<const D: usize>(&self, values: Tensor<D>) -> Tensor<D, Int> {
        let values = values.without_autodiff();
        let zero_point = self.parameters().slice(s![ZERO_POINT, ..]);
        let mut along = [1; D];
        if let Some(axis) = self.grid().channel_axis {
            along[axis] = zero_point.dims()[1];
        }
        let codes = in_float32(values, |values| {
            Tensor::from_dispatch(<Dispatch as ApproxOps>::shifted_codes(
                values.into_dispatch(),
                self.parameters().into_dispatch(),
                self.grid(),
            )) + zero_point.reshape(along)
        });
        codes.int()
    }

    /// The real values of the codes of `values`, `scale * (code - zero_point)`.
    ///
    /// Its gradient is straight-through: 1 where the code was not clamped, 0 elsewhere.
    ///
    /// # Panics
    /// As [`codes`](Self::codes).
    pub fn fake_quantize<const D: usize>(&self, values: Tensor<D>) -> Tensor<D> {
        in_float32(values, |values| {
            Tensor::from_dispatch(<Dispatch as ApproxOps>::fake_quantize(
                values.into_dispatch(),
                self.parameters().into_dispatch(),
                self.grid(),
            ))
        })
    }
}
