//! The operator trait: what a backend must bring for approximate layers to run on it.
//!
//! Every method takes float (or integer code) tensors and plain owned values, returns tensors whose shapes follow from
//! those of its inputs, and reads nothing back from the device, so that lazy and fused backends can join. Operands are
//! always in the order activation, weight.

use std::sync::Arc;

#[cfg(feature = "gpu")]
use approx_cpu::observe::histogram;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::ops::ConvOptions;
#[cfg(feature = "gpu")]
use burn::tensor::{DType, Shape};

use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::ops::KeptWeight;
#[cfg(feature = "gpu")]
use crate::ops::shapes::{channels_along, conv2d_geometry, conv2d_output, matmul_shape};
use crate::plan::{
    Engine, ExecutionPlan, Factors, PlanKind, Planned, Sums, TWO_TO_31, Target, Workload, plan,
};
#[cfg(feature = "gpu")]
use crate::plan::{corrected_sum, exact_depth};
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

/// Refuses tensors that a GPU's kernels cannot index.
fn check_elements(workload: &Workload) -> Result<(), ApproxError> {
    for (tensor, elements) in [
        ("activation", workload.inputs()),
        ("weight", workload.weights()),
        ("result", workload.outputs()),
    ] {
        if elements as f64 >= TWO_TO_31 {
            return Err(ApproxError::TooManyElements { tensor, elements });
        }
    }
    Ok(())
}

/// The product that an operator accumulates, the codes that its operands take, and how it is to be computed.
#[derive(Clone, Debug)]
pub struct ProductOperation {
    pub(crate) multiplier: PreparedMultiplier,
    pub(crate) activation: CodeGrid,
    pub(crate) weight: CodeGrid,
    pub(crate) plan: ExecutionPlan,
    #[cfg(feature = "gpu")]
    pub(crate) target: Target,
    workload: Workload,
    factors: Option<Arc<Factors>>,
    /// What is kept of the weight from one forward pass to the next.
    pub(crate) kept: Option<KeptWeight>,
}

impl ProductOperation {
    /// A product of codes on the given grids, planned for operands of a given shape on a given kind of device.
    ///
    /// # Errors
    /// [`ApproxError::CodesOutsideMultiplier`] if the multiplier lacks a code of a grid, [`ApproxError::ImpossiblePlan`] if no
    /// plan, or not the forced one, can compute it, [`ApproxError::SumsTooLarge`] if a sum might not fit in 64 bits.
    ///
    /// ```
    /// use approx_cpu::MatmulShape;
    /// use approx_multiplier::evoapprox;
    /// use burn_approx::ops::{CodeGrid, ProductOperation};
    /// use burn_approx::plan::{Target, Workload};
    ///
    /// let codes = CodeGrid { low: -127, high: 127, symmetric: true, channel_axis: None };
    /// let work = Workload::Matmul(MatmulShape { rows: 8, inner: 64, columns: 32 });
    /// let multiplier = evoapprox::multiplier("mul8s_1L2J")?.into();
    /// let operation = ProductOperation::new(multiplier, codes, codes, work, Target::Host)?;
    /// assert_eq!(operation.plan().products(), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        multiplier: PreparedMultiplier,
        activation: CodeGrid,
        weight: CodeGrid,
        workload: Workload,
        target: Target,
    ) -> Result<Self, ApproxError> {
        Self::planned(
            multiplier,
            [activation, weight],
            workload,
            target,
            Sums::Real,
        )
    }

    /// The same for accumulators, which only integer engines compute.
    pub(crate) fn integer(
        multiplier: PreparedMultiplier,
        grids: [CodeGrid; 2],
        workload: Workload,
        target: Target,
    ) -> Result<Self, ApproxError> {
        let operation = Self::planned(multiplier, grids, workload, target, Sums::Integer)?;
        if matches!(target, Target::Gpu { .. }) {
            operation.check_sums_in_32_bits()?;
        }
        Ok(operation)
    }

    fn planned(
        multiplier: PreparedMultiplier,
        [activation, weight]: [CodeGrid; 2],
        workload: Workload,
        target: Target,
        sums: Sums,
    ) -> Result<Self, ApproxError> {
        if matches!(target, Target::Gpu { .. }) {
            check_elements(&workload)?;
        }
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
        let grids = [activation, weight];
        let Planned {
            plan,
            multiplier,
            factors,
        } = plan(&multiplier, grids, &workload, target, sums)?;
        let operation = Self {
            multiplier,
            activation,
            weight,
            plan,
            #[cfg(feature = "gpu")]
            target,
            workload,
            factors,
            kept: None,
        };
        // What no kernel can take is an error here and not in the middle of a forward pass.
        match (target, operation.plan.engine()) {
            (Target::Host, Engine::Lookup) => drop(operation.multiplier.lookup()?),
            (Target::Gpu { .. }, Engine::Lookup) => drop(operation.multiplier.largest_entry()?),
            _ => {}
        }
        let by_codes =
            operation.plan.engine() != Engine::Float32 || operation.plan.kind() == PlanKind::Htp;
        if sums == Sums::Real && target != Target::Host && by_codes {
            operation.check_code_sums()?;
        }
        Ok(operation)
    }

    /// The plan.
    pub fn plan(&self) -> &ExecutionPlan {
        &self.plan
    }

    /// A bound of the magnitude of a single product.
    fn largest_product(&self) -> Result<f64, ApproxError> {
        match &self.factors {
            Some(factors) => Ok(factors.largest_product()),
            None => self.multiplier.largest_entry(),
        }
    }

    /// A bound of the magnitude of such a sum less its zero-point corrections.
    #[cfg(feature = "gpu")]
    pub(crate) fn largest_sum(&self) -> Result<f64, ApproxError> {
        let grids = [self.activation, self.weight];
        Ok(corrected_sum(
            self.largest_product()?,
            grids,
            &self.workload,
        ))
    }

    /// How many products a float32 sum of a float32 plan holds exactly on a GPU; `None` if the plan is not exact.
    #[cfg(feature = "gpu")]
    pub(crate) fn exact_depth(&self) -> Option<usize> {
        let grids = [self.activation, self.weight];
        exact_depth(self.factors(), grids, &self.workload, self.target)
    }

    /// Refuses sums of codes, which zero points are multiplied with, that a GPU's kernels cannot hold in 32 bits.
    fn check_code_sums(&self) -> Result<(), ApproxError> {
        if self.activation.symmetric && self.weight.symmetric {
            return Ok(());
        }
        let (activation, weight) = self.multiplier.formats();
        let largest = f64::from(activation.mask().max(weight.mask()));
        match self.workload.inner() as f64 * largest < TWO_TO_31 {
            true => Ok(()),
            false => Err(self.sums_too_large(largest)),
        }
    }

    fn sums_too_large(&self, largest: f64) -> ApproxError {
        ApproxError::SumsTooLarge {
            bits: 32,
            multiplier: self.multiplier.multiplier().name().to_string(),
            largest,
            products: self.workload.inner(),
        }
    }

    /// Refuses accumulators that might not fit in 32 bits.
    fn check_sums_in_32_bits(&self) -> Result<(), ApproxError> {
        let largest = self.largest_product()?;
        match self.workload.inner() as f64 * largest < TWO_TO_31 {
            true => Ok(()),
            false => Err(self.sums_too_large(largest)),
        }
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
    Cube: cfg(feature = "gpu"),
    Fusion: cfg(feature = "gpu"),
    Autodiff: cfg(feature = "autodiff"),
)]
pub trait ApproxOps: Backend {
    /// The codes of `values` minus their zero point, as integer-valued floats of the same shape.
    #[fusion(dtype = values, shape = values)]
    fn shifted_codes(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// `scale * (code - zero_point)` of every value. Differentiable straight through, clipped values masked.
    #[fusion(dtype = values, shape = values)]
    fn fake_quantize(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// `gradient` where the code of the value was not clamped, 0 elsewhere.
    #[fusion(dtype = values, shape = values)]
    fn mask_clipped(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// The smallest and largest value per channel, `[2, channels]`; NaN where a value is not finite.
    #[fusion(dtype = values, shape = Shape::from(vec![2, channels_along(values, *channel_axis).0]))]
    fn observe_ranges(values: FloatTensor<Self>, channel_axis: Option<usize>) -> FloatTensor<Self>;

    /// The counts of `values` in the bins of [`approx_cpu::observe::histogram`], `[bins]`; NaN if any is not finite.
    #[fusion(dtype = values, shape = Shape::from(vec![histogram::BINS]))]
    fn observe_histogram(values: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `scale_a * scale_w[n] * (sum over k of m(a, w) - corrections)` for activations `[.., m, k]` and weights
    /// `[.., k, n]`; leading dimensions broadcast.
    #[fusion(dtype = activation, shape = matmul_shape(activation, weight))]
    fn approx_matmul(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self>;

    /// The same for a convolution of `[batch, in, height, width]` with `[out, in / groups, height, width]`. A padded tap
    /// holds the code of the real value 0 and is multiplied like any other.
    #[fusion(dtype = activation, shape = conv2d_output(conv2d_geometry(activation, weight, options)))]
    fn approx_conv2d(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self>;

    /// `sum over k of m(a, w)` of integer codes: the accumulators as hardware has them, before any correction.
    #[fusion(dtype = DType::I32, shape = matmul_shape(activation, weight))]
    fn accumulate_matmul(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        operation: ProductOperation,
    ) -> IntTensor<Self>;

    /// The same for a convolution; padded taps hold the code `padding_code`.
    #[fusion(dtype = DType::I32, shape = conv2d_output(conv2d_geometry(activation, weight, options)))]
    fn accumulate_conv2d(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        padding_code: i32,
        operation: ProductOperation,
        options: ConvOptions<2>,
    ) -> IntTensor<Self>;
}
