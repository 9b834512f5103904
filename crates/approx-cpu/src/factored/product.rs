//! A multiplier of low rank, its packed weights, and the products that it computes with them.

use std::sync::Arc;

use super::conv2d::{Conv2d, Part};
use super::decompose::ElementType;
use super::depthwise::are_small;
use super::epilogue::{Epilogue, Exact, Rescaled};
use super::kernel::LANES;
use super::matmul::Matmul;
use super::operands::{Activations, FactorTerm, Weights};
use super::prepared::{Maps, Prepared};
use super::source::Source;
use super::weights::{Columns, Filters, OutputSums};
use crate::accumulators::{Accumulator, Accumulators};
use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length, checked_product};
use crate::operand::OperandWidth;
use crate::quantize::is_free_of_nans;
use crate::rescale::ChannelRescale;
use crate::shapes::Conv2dShape;
use crate::transposed::Phases;
use crate::word::Word;

/// A multiplier as a sum of products of one-operand factors, prepared for the integer kernels. Clones share everything.
///
/// All results are exact integers: 32 bits wide where a bound from the factors and the actual weights proves that every
/// sum fits, 64 bits elsewhere.
///
/// ```
/// use approx_cpu::{
///     Accumulators, Activations, FactorTerm, FactoredProduct, OperandWidth, Weights,
/// };
///
/// // A 4 x 4 bit unsigned multiplier that drops the lowest bit of the weight.
/// let operand = OperandWidth { bits: 4, signed: false };
/// let term = FactorTerm {
///     scale: 2,
///     activation: (0..16).collect(),
///     weight: (0..16).map(|weight| weight / 2).collect(),
/// };
/// let product = FactoredProduct::new(operand, operand, &[term])?;
/// let weights = product.pack_matmul(Weights::Narrow(&[1, 4, 2, 5, 3, 6]), 3, 2)?;
/// let sums = product.matmul(Activations::Narrow(&[1, 2, 3]), 1, &weights)?;
/// assert_eq!(sums, Accumulators::I32(vec![1 * 0 + 2 * 2 + 3 * 2, 1 * 4 + 2 * 4 + 3 * 6]));
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FactoredProduct {
    pub(super) prepared: Arc<Prepared>,
}

/// Weights of a matrix product, packed by [`FactoredProduct::pack_matmul`].
#[derive(Debug, Clone)]
pub struct MatmulWeights {
    pub(super) prepared: Arc<Prepared>,
    columns: Columns,
}

impl MatmulWeights {
    /// Columns of the activations, rows of the weights.
    pub fn inner(&self) -> usize {
        self.columns.inner
    }

    /// Columns of the weights and of the result.
    pub fn columns(&self) -> usize {
        self.columns.columns
    }
}

/// Weights of a convolution, packed by [`FactoredProduct::pack_conv2d`].
#[derive(Debug, Clone)]
pub struct Conv2dWeights {
    pub(super) prepared: Arc<Prepared>,
    pub(super) filters: Filters,
}

/// What the integer kernels spend on one product of operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductCost {
    /// What operands are multiplied as.
    pub elements: ElementType,
    /// Products of elements: one for each term, none for a term with a constant factor, more where a factor is wider
    /// than an element.
    pub products: usize,
    /// How many sums with scales of their own the products are added up in. More than one cost little.
    pub passes: usize,
    /// Whether a function of the activations has to be summed over every window or row besides, which costs about as
    /// much as two more output channels.
    pub window_sum: bool,
}

impl ProductCost {
    /// The time of all products, in that of a product of bytes.
    pub fn byte_products(&self) -> usize {
        match self.elements {
            ElementType::Bytes => self.products,
            ElementType::Words => 2 * self.products,
        }
    }
}

/// Calls a method with the maps of a prepared multiplier, in whatever types they are.
macro_rules! with_maps {
    ($prepared:expr, |$maps:ident| $call:expr) => {
        match &$prepared.maps {
            Maps::NarrowBytes($maps) => $call,
            Maps::NarrowWords($maps) => $call,
            Maps::WideBytes($maps) => $call,
            Maps::WideWords($maps) => $call,
        }
    };
}

impl FactoredProduct {
    /// Prepares the multiplier `m(a, b) = sum over t of scale_t * activation_t[a] * weight_t[b]`; without terms it is
    /// 0.
    ///
    /// # Errors
    ///
    /// [`KernelError::FactoredOperandWidth`] for a width outside 2..=16 bits, [`KernelError::Length`] where a term does
    /// not hold exactly one factor for every code.
    pub fn new(
        activation: OperandWidth,
        weight: OperandWidth,
        terms: &[FactorTerm],
    ) -> Result<Self, KernelError> {
        activation.validate()?;
        weight.validate()?;
        for term in terms {
            check_length(
                "a term's activation factor",
                activation.patterns(),
                term.activation.len(),
            )?;
            check_length(
                "a term's weight factor",
                weight.patterns(),
                term.weight.len(),
            )?;
        }
        Ok(FactoredProduct {
            prepared: Arc::new(Prepared::new(activation, weight, terms)),
        })
    }

    /// What one multiplication costs.
    ///
    /// ```
    /// use approx_cpu::{ElementType, FactorTerm, FactoredProduct, OperandWidth};
    ///
    /// let operand = OperandWidth { bits: 8, signed: true };
    /// let code: Vec<i64> = (0..256u16).map(|pattern| i64::from(pattern as u8 as i8)).collect();
    /// let exact = FactorTerm { scale: 1, activation: code.clone(), weight: code };
    /// let cost = FactoredProduct::new(operand, operand, &[exact])?.cost();
    /// assert_eq!((cost.elements, cost.products, cost.passes), (ElementType::Bytes, 1, 1));
    /// assert!(!cost.window_sum);
    /// # Ok::<(), approx_cpu::KernelError>(())
    /// ```
    pub fn cost(&self) -> ProductCost {
        let decomposition = &self.prepared.decomposition;
        ProductCost {
            elements: decomposition.elements,
            products: decomposition.weights.len(),
            passes: decomposition.passes.len(),
            window_sum: !decomposition.offsets.parts.is_empty(),
        }
    }

    /// Whether activations are wider than 8 bits.
    ///
    /// ```
    /// use approx_cpu::{FactorTerm, FactoredProduct, OperandWidth};
    ///
    /// let operand = OperandWidth { bits: 4, signed: false };
    /// let codes = FactorTerm { scale: 1, activation: (0..16).collect(), weight: (0..16).collect() };
    /// assert!(!FactoredProduct::new(operand, operand, &[codes])?.has_wide_activations());
    /// # Ok::<(), approx_cpu::KernelError>(())
    /// ```
    pub fn has_wide_activations(&self) -> bool {
        matches!(self.prepared.maps, Maps::WideBytes(_) | Maps::WideWords(_))
    }

    /// Whether a convolution is a depthwise one whose planes are so small that several are computed together, where no
    /// weight has a zero point. (Zero points take further elements of every activation, so that fewer planes are small.)
    ///
    /// ```
    /// use approx_cpu::{Conv2dShape, FactorTerm, FactoredProduct, OperandWidth, Padding2d};
    ///
    /// let operand = OperandWidth { bits: 4, signed: false };
    /// let codes = FactorTerm { scale: 1, activation: (0..16).collect(), weight: (0..16).collect() };
    /// let product = FactoredProduct::new(operand, operand, &[codes])?;
    /// let shape = |side: usize, groups: usize| Conv2dShape {
    ///     batch: 1,
    ///     in_channels: 32,
    ///     out_channels: 32,
    ///     groups,
    ///     input: [side, side],
    ///     kernel: [3, 3],
    ///     stride: [1, 1],
    ///     dilation: [1, 1],
    ///     padding: Padding2d::symmetric(1, 1),
    /// };
    /// assert!(product.has_small_planes(&shape(7, 32)));
    /// assert!(!product.has_small_planes(&shape(28, 32)));
    /// assert!(!product.has_small_planes(&shape(7, 16)));
    /// # Ok::<(), approx_cpu::KernelError>(())
    /// ```
    pub fn has_small_planes(&self, shape: &Conv2dShape) -> bool {
        shape.validate().is_ok()
            && Filters::are_depthwise(shape.in_channels / shape.groups, shape.kernel)
            && are_small(&Phases::ordinary(shape), self.prepared.encoded(false))
    }

    /// Packs the weights `[inner, columns]` of a matrix product.
    ///
    /// # Errors
    ///
    /// [`KernelError::NarrowPatterns`], [`KernelError::Quantizer`], [`KernelError::NotANumber`],
    /// [`KernelError::Length`], or [`KernelError::Overflow`] where a sum of products might not fit in 64 bits.
    pub fn pack_matmul(
        &self,
        weights: Weights<'_>,
        inner: usize,
        columns: usize,
    ) -> Result<MatmulWeights, KernelError> {
        let expected = checked_product("the weights", &[inner, columns])?;
        self.check_weights(weights, expected)?;
        Ok(MatmulWeights {
            prepared: Arc::clone(&self.prepared),
            columns: Columns::pack(&self.prepared, weights, inner, columns)?,
        })
    }

    /// Packs the weights `[out_channels, group_channels, kernel height, kernel width]` of a convolution, where each of
    /// the `groups` has `group_channels` input channels.
    ///
    /// # Errors
    ///
    /// As [`pack_matmul`](Self::pack_matmul), and [`KernelError::Groups`] or [`KernelError::Zero`].
    pub fn pack_conv2d(
        &self,
        weights: Weights<'_>,
        out_channels: usize,
        group_channels: usize,
        groups: usize,
        kernel: [usize; 2],
    ) -> Result<Conv2dWeights, KernelError> {
        if groups == 0 || !out_channels.is_multiple_of(groups) {
            return Err(KernelError::Groups {
                groups,
                channels: out_channels,
                side: "output",
            });
        }
        if kernel.contains(&0) {
            return Err(KernelError::Zero {
                parameter: "kernel",
            });
        }
        let inner = checked_product("the kernel", &[group_channels, kernel[0], kernel[1]])?;
        let expected = checked_product("the weights", &[out_channels, inner])?;
        self.check_weights(weights, expected)?;
        let prepared = Arc::clone(&self.prepared);
        let filters = Filters::pack(
            &prepared,
            weights,
            out_channels,
            group_channels,
            groups,
            kernel,
            Filters::are_depthwise(group_channels, kernel),
        )?;
        Ok(Conv2dWeights { prepared, filters })
    }

    /// `acc[row, column] = sum over k of m(activations[row, k], weights[k, column])`, `[rows, columns]`, row-major.
    ///
    /// # Errors
    ///
    /// [`KernelError::OtherProduct`], [`KernelError::NarrowPatterns`], [`KernelError::Quantizer`],
    /// [`KernelError::Length`], [`KernelError::Overflow`] or [`KernelError::NotANumber`].
    pub fn matmul(
        &self,
        activations: Activations<'_>,
        rows: usize,
        weights: &MatmulWeights,
    ) -> Result<Accumulators, KernelError> {
        self.matmul_with(InstructionSet::best(), activations, rows, weights)
    }

    /// The matrix product in real values: what [`rescale_rows`](crate::rescale::rescale_rows) makes of the sums, to the
    /// bit, with one channel per column.
    ///
    /// # Errors
    ///
    /// As [`matmul`](Self::matmul); [`KernelError::Length`] also where there is not one channel per column, and
    /// [`KernelError::Overflow`] where a corrected sum might not fit in 64 bits.
    pub fn matmul_rescaled(
        &self,
        activations: Activations<'_>,
        rows: usize,
        weights: &MatmulWeights,
        channels: &[ChannelRescale],
    ) -> Result<Vec<f32>, KernelError> {
        self.matmul_rescaled_with(InstructionSet::best(), activations, rows, weights, channels)
    }

    /// `acc[n, o, y, x] = sum over i, dy, dx of m(activation, weights[o, i, dy, dx])`, where the activation is the code
    /// at `[n, i of o's group, y * stride + dy * dilation - top, x * stride + dx * dilation - left]`, or
    /// `padding_pattern` outside the input; `[batch, out_channels, output height, output width]`.
    ///
    /// # Errors
    ///
    /// What [`Conv2dShape::validate`] finds, [`KernelError::OtherConvolution`], and as [`matmul`](Self::matmul).
    pub fn conv2d(
        &self,
        activations: Activations<'_>,
        padding_pattern: u16,
        weights: &Conv2dWeights,
        shape: Conv2dShape,
    ) -> Result<Accumulators, KernelError> {
        self.conv2d_with(
            InstructionSet::best(),
            activations,
            padding_pattern,
            weights,
            shape,
        )
    }

    /// The convolution in real values: what [`rescale_planes`](crate::rescale::rescale_planes) makes of the sums, to
    /// the bit, with one channel per output channel.
    ///
    /// # Errors
    ///
    /// As [`conv2d`](Self::conv2d); [`KernelError::Length`] also where there is not one channel per output channel, and
    /// [`KernelError::Overflow`] where a corrected sum might not fit in 64 bits.
    pub fn conv2d_rescaled(
        &self,
        activations: Activations<'_>,
        padding_pattern: u16,
        weights: &Conv2dWeights,
        shape: Conv2dShape,
        channels: &[ChannelRescale],
    ) -> Result<Vec<f32>, KernelError> {
        let set = InstructionSet::best();
        self.conv2d_rescaled_with(set, activations, padding_pattern, weights, shape, channels)
    }

    /// [`matmul`](Self::matmul) with a given instruction set.
    pub(super) fn matmul_with(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        rows: usize,
        weights: &MatmulWeights,
    ) -> Result<Accumulators, KernelError> {
        self.check_matmul(activations, rows, weights)?;
        let OutputSums { constants, bound } = &weights.columns.sums;
        let padded = constants.len().next_multiple_of(LANES);
        Ok(if *bound <= i32::MAX as u64 {
            let exact = Exact::new(constants, padded);
            Accumulators::I32(self.run_matmul::<i32, _>(set, activations, rows, weights, &exact)?)
        } else {
            let exact = Exact::new(constants, padded);
            Accumulators::I64(self.run_matmul::<i64, _>(set, activations, rows, weights, &exact)?)
        })
    }

    /// [`matmul_rescaled`](Self::matmul_rescaled) with a given instruction set.
    pub(super) fn matmul_rescaled_with(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        rows: usize,
        weights: &MatmulWeights,
        channels: &[ChannelRescale],
    ) -> Result<Vec<f32>, KernelError> {
        self.check_matmul(activations, rows, weights)?;
        let Columns {
            inner,
            columns,
            sums,
            ..
        } = &weights.columns;
        check_length("channels", *columns, channels.len())?;
        let bound = self.bound_corrected(sums, *inner, channels)?;
        let codes = self.codes_constant(*inner);
        let padded = columns.next_multiple_of(LANES);
        if bound <= i32::MAX as u64 {
            let rescaled = Rescaled::new(channels, &sums.constants, codes, padded);
            self.run_matmul::<i32, _>(set, activations, rows, weights, &rescaled)
        } else {
            let rescaled = Rescaled::new(channels, &sums.constants, codes, padded);
            self.run_matmul::<i64, _>(set, activations, rows, weights, &rescaled)
        }
    }

    /// [`conv2d`](Self::conv2d) with a given instruction set.
    pub(super) fn conv2d_with(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        padding_pattern: u16,
        weights: &Conv2dWeights,
        shape: Conv2dShape,
    ) -> Result<Accumulators, KernelError> {
        self.check_conv2d(activations, weights, shape)?;
        let OutputSums { constants, bound } = &weights.filters.sums;
        let operands = (activations, padding_pattern, weights, shape);
        Ok(if *bound <= i32::MAX as u64 {
            let exact = Exact::new(constants, constants.len());
            Accumulators::I32(self.run_conv2d::<i32, _>(set, operands, exact)?)
        } else {
            let exact = Exact::new(constants, constants.len());
            Accumulators::I64(self.run_conv2d::<i64, _>(set, operands, exact)?)
        })
    }

    /// [`conv2d_rescaled`](Self::conv2d_rescaled) with a given instruction set.
    pub(super) fn conv2d_rescaled_with(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        padding_pattern: u16,
        weights: &Conv2dWeights,
        shape: Conv2dShape,
        channels: &[ChannelRescale],
    ) -> Result<Vec<f32>, KernelError> {
        self.check_conv2d(activations, weights, shape)?;
        let sums = &weights.filters.sums;
        check_length("channels", shape.out_channels, channels.len())?;
        let bound = self.bound_corrected(sums, shape.inner(), channels)?;
        let codes = self.codes_constant(shape.inner());
        let operands = (activations, padding_pattern, weights, shape);
        if bound <= i32::MAX as u64 {
            let rescaled = Rescaled::new(channels, &sums.constants, codes, channels.len());
            self.run_conv2d::<i32, _>(set, operands, rescaled)
        } else {
            let rescaled = Rescaled::new(channels, &sums.constants, codes, channels.len());
            self.run_conv2d::<i64, _>(set, operands, rescaled)
        }
    }

    fn run_matmul<S: Accumulator, F: Epilogue<S>>(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        rows: usize,
        weights: &MatmulWeights,
        epilogue: &F,
    ) -> Result<Vec<F::Output>, KernelError> {
        with_maps!(self.prepared, |maps| {
            Source::with(activations, |source| {
                let weights = &weights.columns;
                let prepared = &*self.prepared;
                Matmul {
                    set,
                    prepared,
                    maps,
                    source,
                    rows,
                    weights,
                }
                .run(epilogue)
            })
        })
    }

    fn run_conv2d<S: Accumulator, F: Epilogue<S>>(
        &self,
        set: InstructionSet,
        (activations, padding_pattern, weights, shape): (
            Activations<'_>,
            u16,
            &Conv2dWeights,
            Conv2dShape,
        ),
        epilogue: F,
    ) -> Result<Vec<F::Output>, KernelError> {
        let part = Part {
            weights: &weights.filters,
            epilogue,
            corrections: None,
        };
        let phases = Phases::ordinary(&shape);
        self.run_phases::<S, F>(set, activations, padding_pattern, &phases, &[part])
    }

    /// Runs a convolution with outputs of some phases, of which there is at least one.
    pub(super) fn run_phases<S: Accumulator, F: Epilogue<S>>(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        padding_pattern: u16,
        phases: &Phases,
        parts: &[Part<'_, F>],
    ) -> Result<Vec<F::Output>, KernelError> {
        with_maps!(self.prepared, |maps| {
            Source::with(activations, |source| {
                let prepared = &*self.prepared;
                let padding = Word::truncate(padding_pattern.into());
                Conv2d {
                    set,
                    prepared,
                    maps,
                    source,
                    padding,
                    phases,
                    parts,
                }
                .run::<S>()
            })
        })
    }

    pub(super) fn check_weights(
        &self,
        weights: Weights<'_>,
        expected: usize,
    ) -> Result<(), KernelError> {
        let bits = self.prepared.weight.bits;
        if matches!(weights, Weights::Narrow(_)) && bits > 8 {
            return Err(KernelError::NarrowPatterns {
                operand: "weights",
                bits,
            });
        }
        check_length("weights", expected, weights.len())?;
        if let Weights::Values { values, layout } = weights {
            for quantizer in &layout.channels {
                self.prepared.weight.check_quantizer(*quantizer)?;
            }
            if !is_free_of_nans(values) {
                return Err(KernelError::NotANumber { operand: "weights" });
            }
        }
        Ok(())
    }

    pub(super) fn check_activations(
        &self,
        activations: Activations<'_>,
        expected: usize,
    ) -> Result<(), KernelError> {
        let operand = self.prepared.activation;
        match activations {
            Activations::Narrow(_) if operand.bits > 8 => {
                return Err(KernelError::NarrowPatterns {
                    operand: "activations",
                    bits: operand.bits,
                });
            }
            Activations::Values { quantizer, .. } => operand.check_quantizer(quantizer)?,
            _ => {}
        }
        check_length("activations", expected, activations.len())
    }

    fn check_matmul(
        &self,
        activations: Activations<'_>,
        rows: usize,
        weights: &MatmulWeights,
    ) -> Result<(), KernelError> {
        self.check_product(&weights.prepared)?;
        checked_product("the result", &[rows, weights.columns()])?;
        let expected = checked_product("the activations", &[rows, weights.inner()])?;
        self.check_activations(activations, expected)
    }

    fn check_conv2d(
        &self,
        activations: Activations<'_>,
        weights: &Conv2dWeights,
        shape: Conv2dShape,
    ) -> Result<(), KernelError> {
        self.check_product(&weights.prepared)?;
        shape.validate()?;
        let packed = &weights.filters;
        for (parameter, packed, expected) in [
            (
                "a number of output channels",
                packed.out_channels,
                shape.out_channels,
            ),
            ("a number of groups", packed.groups, shape.groups),
            (
                "a number of input channels per group",
                packed.group_channels,
                shape.in_channels / shape.groups,
            ),
            ("a kernel height", packed.kernel[0], shape.kernel[0]),
            ("a kernel width", packed.kernel[1], shape.kernel[1]),
        ] {
            if packed != expected {
                return Err(KernelError::OtherConvolution {
                    parameter,
                    packed,
                    expected,
                });
            }
        }
        self.check_activations(activations, shape.input_length())
    }

    /// Checks that weights were packed by this product, or by an equal one.
    pub(super) fn check_product(&self, packed: &Arc<Prepared>) -> Result<(), KernelError> {
        let same = Arc::ptr_eq(&self.prepared, packed) || self.prepared == *packed;
        same.then_some(()).ok_or(KernelError::OtherProduct)
    }

    /// What every sum of codes lacks.
    pub(super) fn codes_constant(&self, inner: usize) -> i64 {
        let per_tap = self.prepared.decomposition.codes.per_tap;
        per_tap.wrapping_mul(inner as i64)
    }

    /// The largest magnitude that `sum + constant - weight_zero_point * activation_sum` can have.
    pub(super) fn bound_corrected(
        &self,
        sums: &OutputSums,
        inner: usize,
        channels: &[ChannelRescale],
    ) -> Result<u64, KernelError> {
        let operand = self.prepared.activation;
        let largest_code = operand.patterns() as u128 >> u32::from(operand.signed);
        let largest_activation_sum = inner as u128 * largest_code;
        let bound = |channel: &ChannelRescale| {
            u128::from(channel.weight_zero_point.unsigned_abs())
                .checked_mul(largest_activation_sum)?
                .checked_add(u128::from(channel.constant.unsigned_abs()))?
                .checked_add(u128::from(sums.bound))
        };
        channels
            .iter()
            .try_fold(0, |largest, channel| Some(bound(channel)?.max(largest)))
            .and_then(|largest| i64::try_from(largest).ok())
            .map(i64::unsigned_abs)
            .ok_or(KernelError::Overflow {
                quantity: "a corrected sum",
            })
    }
}
