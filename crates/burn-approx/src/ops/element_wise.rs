//! Codes and fake quantisation of every value of a tensor.

use burn::backend::Dispatch;
use burn::prelude::*;

use super::arguments::check_devices;
use super::precision::in_float32;
use crate::backends::ApproxOps;
use crate::error::{ApproxError, or_panic};
use crate::geometry::shape_error;
use crate::plan::Target;
use crate::quantization::{CodeQuantizer, ZERO_POINT};

/// What quantising is called in messages.
const OPERATOR: &str = "quantiser";

impl CodeQuantizer {
    /// The codes of `values` as integers.
    ///
    /// # Panics
    /// With the text of the error that [`try_codes`](Self::try_codes) returns.
    #[track_caller]
    pub fn codes<const D: usize>(&self, values: Tensor<D>) -> Tensor<D, Int> {
        or_panic(self.try_codes(values))
    }

    /// The codes of `values` as integers.
    ///
    /// # Errors
    /// [`ApproxError::Shape`] if the quantiser is per channel and its axis does not exist in `values` or has another
    /// length; values on another device, or on one without the operators.
    pub fn try_codes<const D: usize>(
        &self,
        values: Tensor<D>,
    ) -> Result<Tensor<D, Int>, ApproxError> {
        self.check_values(&values)?;
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
        Ok(codes.int())
    }

    /// The real values of the codes of `values`, `scale * (code - zero_point)`.
    ///
    /// Its gradient is straight-through: 1 where the code was not clamped, 0 elsewhere.
    ///
    /// # Panics
    /// With the text of the error that [`try_fake_quantize`](Self::try_fake_quantize) returns.
    #[track_caller]
    pub fn fake_quantize<const D: usize>(&self, values: Tensor<D>) -> Tensor<D> {
        or_panic(self.try_fake_quantize(values))
    }

    /// The real values of the codes of `values`, as [`fake_quantize`](Self::fake_quantize) gives them.
    ///
    /// # Errors
    /// As [`try_codes`](Self::try_codes).
    pub fn try_fake_quantize<const D: usize>(
        &self,
        values: Tensor<D>,
    ) -> Result<Tensor<D>, ApproxError> {
        self.check_values(&values)?;
        Ok(in_float32(values, |values| {
            Tensor::from_dispatch(<Dispatch as ApproxOps>::fake_quantize(
                values.into_dispatch(),
                self.parameters().into_dispatch(),
                self.grid(),
            ))
        }))
    }

    /// Checks that the quantiser has as many channels as the values, and lies where they do.
    fn check_values<const D: usize>(&self, values: &Tensor<D>) -> Result<(), ApproxError> {
        Target::of(&values.device())?;
        let own = [("quantiser", self.parameters().device())];
        check_devices(OPERATOR, &values.device(), own)?;
        let [_, channels] = self.parameters().dims();
        let shape = values.dims();
        match self.grid().channel_axis {
            Some(axis) if shape.get(axis) != Some(&channels) => Err(shape_error(
                OPERATOR,
                format!(
                    "it has {channels} scales along axis {axis}, which does not fit values of the shape {shape:?}"
                ),
            )),
            _ => Ok(()),
        }
    }
}
