//! The operator trait: what a backend must bring for approximate layers to run on it.
//!
//! Every method takes float (or integer code) tensors and plain owned values, returns tensors whose shapes follow from
//! those of its inputs, and reads nothing back from the device, so that lazy and fused backends can join. Operands are
//! always in the order activation, weight.

use approx_multiplier::Definition;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::ops::ConvOptions;

use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::quantization::CodeRange;

/// The codes of one operand, and the axis along which its quantiser has channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeGrid {
    /// The lowest code.
    pub low: i32,
    /// The highest code.
    pub high: i32,
    /// The axis of the channels; `None` for one scale per tensor.
    pub channel_axis: Option<usize>,
}

/// The product that an operator accumulates, and the codes that its operands take.
#[derive(Clone, Debug)]
pub struct ProductOperation {
    pub(crate) multiplier: PreparedMultiplier,
    pub(crate) activation: CodeGrid,
    pub(crate) weight: CodeGrid,
}

impl ProductOperation {
    /// A product of codes on the given grids.
    ///
    /// # Errors
    /// [`ApproxError::CodesOutsideMultiplier`] if the multiplier lacks a code of a grid; an error of the multiplier or
    /// the kernels if it is a table that is too wide to be looked up.
    pub fn new(
        multiplier: PreparedMultiplier,
        activation: CodeGrid,
        weight: CodeGrid,
    ) -> Result<Self, ApproxError> {
        let (activation_format, weight_format) = multiplier.formats();
        for (operand, grid, format) in [
            ("activation", activation, activation_format),
            ("weight", weight, weight_format),
        ] {
            let range = CodeRange::new(grid.low, grid.high)?;
            if !range.fits(format) {
                let multiplier = multiplier.multiplier().name().to_string();
                return Err(ApproxError::CodesOutsideMultiplier {
                    operand,
                    range,
                    format,
                    multiplier,
                });
            }
        }
        // Now, so that a table that no kernel can take is an error here and not in the middle of a forward pass.
        multiplier.check()?;
        let multiplier = match multiplier.definition() {
            // However wide, an exact multiplier gives the products of the codes that there are.
            Definition::Exact => PreparedMultiplier::exact(
                CodeRange::new(activation.low, activation.high)?,
                CodeRange::new(weight.low, weight.high)?,
            )?,
            _ => multiplier,
        };
        Ok(Self {
            multiplier,
            activation,
            weight,
        })
    }
}

/// The approximate operators of a backend.
///
/// Users call the functions of [`ops`](crate::ops) or the layers of [`nn`](crate::nn); this trait is for who adds a
/// backend. Quantiser tensors have shape `[3, channels]`: scales, reciprocals, zero points. Operand shapes are checked by
/// the callers; an implementation may panic on shapes that do not fit.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Autodiff: cfg(feature = "autodiff"),
)]
pub trait ApproxOps: Backend {
    /// The codes of `values` minus their zero point, as integer-valued floats of the same shape.
    fn shifted_codes(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// `scale * (code - zero_point)` of every value. Differentiable straight through, clipped values masked.
    fn fake_quantize(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// `gradient` where the code of the value was not clamped, 0 elsewhere.
    fn mask_clipped(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// The smallest and largest value per channel, `[2, channels]`; NaN where a value is not finite.
    fn observe_ranges(values: FloatTensor<Self>, channel_axis: Option<usize>) -> FloatTensor<Self>;

    /// The counts of `values` in the bins of [`approx_cpu::observe::histogram`], `[bins]`; NaN if any is not finite.
    fn observe_histogram(values: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `scale_a * scale_w[n] * (sum over k of m(a, w) - corrections)` for activations `[.., m, k]` and weights
    /// `[.., k, n]`; leading dimensions broadcast.
    fn approx_matmul(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self>;

    /// The same for a convolution of `[batch, in, height, width]` with `[out, in / groups, height, width]`. A padded tap
    /// holds the code of the real value 0 and is multiplied like any other.
    fn approx_conv2d(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self>;

    /// `sum over k of m(a, w)` of integer codes: the accumulators as hardware has them, before any correction.
    fn accumulate_matmul(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        operation: ProductOperation,
    ) -> IntTensor<Self>;

    /// The same for a convolution; padded taps hold the code `padding_code`.
    fn accumulate_conv2d(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        padding_code: i32,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> IntTensor<Self>;
}
