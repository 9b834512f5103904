//! The operator trait: what a backend must bring for approximate layers to run on it.
//!
//! Every method takes float (or integer code) tensors and plain owned values, returns tensors whose shapes follow from
//! those of its inputs, and reads nothing back from the device, so that lazy and fused backends can join. Operands are
//! always in the order activation, weight.

use std::sync::Arc;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::ops::ConvOptions;

use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::ops::KeptWeight;
use crate::plan::{Engine, ExecutionPlan, Factors, Planned, Workload, plan};
use crate::quantization::CodeRange;

/// The codes of one operand, whether 0 is their zero point, and the axis along which its quantiser has channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeGrid {
    /// The lowest code.
    pub low: i32,
    /// The highest code.
    pub high: i32,
    /// Whether every zero point is known to be 0, without reading the device.
    pub symmetric: bool,
    /// The axis of the channels; `None` for one scale per tensor.
    pub channel_axis: Option<usize>,
}

impl CodeGrid {
    /// The grid's codes as a range.
    ///
    /// # Errors
    /// [`ApproxError::InvalidCodeRange`] unless `low <= 0 <= high` and `low < high`.
    pub fn codes(&self) -> Result<CodeRange, ApproxError> {
        CodeRange::new(self.low, self.high)
    }
}

/// The product that an operator accumulates, the codes that its operands take, and how it is to be computed.
#[derive(Clone, Debug)]
pub struct ProductOperation {
    pub(crate) multiplier: PreparedMultiplier,
    pub(crate) activation: CodeGrid,
    pub(crate) weight: CodeGrid,
    pub(crate) plan: ExecutionPlan,
    factors: Option<Arc<Factors>>,
    /// What is kept of the weight from one forward pass to the next.
    pub(crate) kept: Option<KeptWeight>,
}

impl ProductOperation {
    /// A product of codes on the given grids, planned for operands of a given shape.
    ///
    /// # Errors
    /// [`ApproxError::CodesOutsideMultiplier`] if the multiplier lacks a code of a grid, [`ApproxError::ImpossiblePlan`] if no
    /// plan, or not the forced one, can compute it, [`ApproxError::SumsTooLarge`] if a sum might not fit in 64 bits.
    ///
    /// ```
    /// use approx_cpu::MatmulShape;
    /// use approx_multiplier::evoapprox;
    /// use burn_approx::ops::{CodeGrid, ProductOperation};
    /// use burn_approx::plan::Workload;
    ///
    /// let codes = CodeGrid { low: -127, high: 127, symmetric: true, channel_axis: None };
    /// let work = Workload::Matmul(MatmulShape { rows: 8, inner: 64, columns: 32 });
    /// let multiplier = evoapprox::multiplier("mul8s_1L2J")?.into();
    /// let operation = ProductOperation::new(multiplier, codes, codes, work)?;
    /// assert_eq!(operation.plan().products(), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        multiplier: PreparedMultiplier,
        activation: CodeGrid,
        weight: CodeGrid,
        workload: Workload,
    ) -> Result<Self, ApproxError> {
        let (activation_format, weight_format) = multiplier.formats();
        let codes = [activation.codes()?, weight.codes()?];
        for (operand, range, format) in [
            ("activation", codes[0], activation_format),
            ("weight", codes[1], weight_format),
        ] {
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
        let Planned {
            plan,
            multiplier,
            factors,
        } = plan(&multiplier, [activation, weight], &workload)?;
        if plan.engine() == Engine::Lookup {
            // Now, so that a table that no kernel can take is an error here and not in the middle of a forward pass.
            multiplier.lookup()?;
        }
        Ok(Self {
            multiplier,
            activation,
            weight,
            plan,
            factors,
            kept: None,
        })
    }

    /// The plan.
    pub fn plan(&self) -> &ExecutionPlan {
        &self.plan
    }

    /// The same operation on a weight of which something may have been kept.
    pub(crate) fn keeping(self, kept: Option<KeptWeight>) -> Self {
        Self { kept, ..self }
    }

    /// The factors that an exact or a factored plan multiplies.
    pub(crate) fn factors(&self) -> &Factors {
        self.factors
            .as_ref()
            .expect("exact and factored plans are made from factors")
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
