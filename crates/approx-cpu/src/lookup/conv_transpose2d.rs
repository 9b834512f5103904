//! Two-dimensional transposed convolution through a product table, grouped or not.

use std::borrow::Cow;
use std::ops::Range;

use crate::accumulators::{Accumulator, Accumulators};
use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length};
use crate::lookup::bounds::{add_bound, fit_in_32_bits};
use crate::lookup::conv2d::conv2d_sums;
use crate::lookup::gather::{Strategy, masked};
use crate::lookup::table::LookupTable;
use crate::operand::ProductQuantizers;
use crate::shapes::ConvTranspose2dShape;
use crate::transposed::{Border, Correction, Phase, assemble, phases, tap_sets};
use crate::window_sums::sums_over_windows;

/// `acc[n, o, p] = sum over i, k, q of table[activations[n, i, q]][weights[i, o, k]]`, over the channels i of o's group
/// and all taps k and positions q of the input with `q * stride + k * dilation - padding = p`, along both axes.
///
/// The zeros that a stride puts between the inputs are not multiplied, and neither is what lies outside the input: an
/// output has as many products as taps meet the input, and is 0 where none does.
///
/// `activations` holds bit patterns `[batch, in_channels, height, width]`, `weights` bit patterns
/// `[in_channels, out_channels / groups, kernel height, kernel width]`; bits above the operands' widths are ignored.
/// The result is `[batch, out_channels, output height, output width]`.
///
/// # Errors
///
/// What [`ConvTranspose2dShape::validate`] finds, and [`KernelError::Length`] where a slice does not fit the shape.
///
/// ```
/// use approx_cpu::{Accumulators, ConvTranspose2dShape, LookupTable, conv_transpose2d};
///
/// let exact: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |w| a * w)).collect();
/// let table = LookupTable::new(4, 4, &exact)?;
/// let shape = ConvTranspose2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 2], kernel: [1, 3], stride: [1, 2], dilation: [1, 1],
///     padding: [0, 0], output_padding: [0, 1],
/// };
/// let sums = conv_transpose2d(&table, &[1, 2], &[3, 4, 5], shape)?;
/// assert_eq!(sums, Accumulators::I32(vec![1 * 3, 1 * 4, 1 * 5 + 2 * 3, 2 * 4, 2 * 5, 0]));
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv_transpose2d(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: ConvTranspose2dShape,
) -> Result<Accumulators, KernelError> {
    conv_transpose2d_with(
        InstructionSet::best(),
        None,
        table,
        activations,
        weights,
        shape,
    )
}

/// The transposed convolution in real values,
/// `scale_x * scale_w[o] * (acc - z_x * sum of w - z_w[o] * sum of x + n * z_x * z_w[o])`, where the sums run over the
/// weight and activation codes whose products the accumulator has, and n is their number. The bracket is an exact
/// integer, rounded once.
///
/// Operands are as for [`conv_transpose2d`]. Codes are two's complement where their quantiser's lowest code is
/// negative.
///
/// # Errors
///
/// As [`conv_transpose2d`]; [`KernelError::Length`] also where there is neither one weight quantiser nor one per output
/// channel, [`KernelError::Quantizer`] where a quantiser yields something else than codes of the table's operands.
///
/// ```
/// use approx_cpu::quantize::ChannelQuantizer;
/// use approx_cpu::{ConvTranspose2dShape, LookupTable, ProductQuantizers, conv_transpose2d_rescaled};
///
/// let exact: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |w| a * w)).collect();
/// let table = LookupTable::new(4, 4, &exact)?;
/// let shape = ConvTranspose2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 2], kernel: [1, 3], stride: [1, 2], dilation: [1, 1],
///     padding: [0, 0], output_padding: [0, 1],
/// };
/// let quantizer = ChannelQuantizer { scale: 0.5, reciprocal: 2.0, zero_point: 1.0, low: 0.0, high: 15.0 };
/// let quantizers = ProductQuantizers { activation: quantizer, weights: &[quantizer] };
/// let values = conv_transpose2d_rescaled(&table, &[1, 2], &[3, 4, 5], quantizers, shape)?;
/// // The real activations are 0 and 0.5, the real weights 1, 1.5 and 2.
/// assert_eq!(values, [0.0, 0.0, 0.5, 0.75, 1.0, 0.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv_transpose2d_rescaled(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    quantizers: ProductQuantizers<'_>,
    shape: ConvTranspose2dShape,
) -> Result<Vec<f32>, KernelError> {
    let set = InstructionSet::best();
    conv_transpose2d_rescaled_with(set, None, table, activations, weights, quantizers, shape)
}

/// [`conv_transpose2d`] with a given instruction set and, if any, strategy.
pub(crate) fn conv_transpose2d_with(
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: ConvTranspose2dShape,
) -> Result<Accumulators, KernelError> {
    let problem = Problem::new(set, strategy, table, activations, weights, shape)?;
    Ok(if problem.fits_in_32_bits() {
        Accumulators::I32(problem.sums()?)
    } else {
        Accumulators::I64(problem.sums()?)
    })
}

/// [`conv_transpose2d_rescaled`] with a given instruction set and, if any, strategy.
pub(crate) fn conv_transpose2d_rescaled_with(
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    quantizers: ProductQuantizers<'_>,
    shape: ConvTranspose2dShape,
) -> Result<Vec<f32>, KernelError> {
    let problem = Problem::new(set, strategy, table, activations, weights, shape)?;
    let operands = quantizers.operands([table.activation_bits(), table.weight_bits()]);
    quantizers.check(operands, shape.out_channels)?;
    if problem.fits_in_32_bits() {
        problem.rescaled::<i32>(quantizers)
    } else {
        problem.rescaled::<i64>(quantizers)
    }
}

/// A transposed convolution by lookup, taken apart into ordinary ones.
struct Problem<'a> {
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &'a LookupTable,
    activations: Cow<'a, [u8]>,
    shape: ConvTranspose2dShape,
    phases: Vec<Vec<Phase>>,
    /// By set of taps, `[out_channels, in_channels / groups, rows, columns]`.
    weights: Vec<Vec<u8>>,
}

impl<'a> Problem<'a> {
    fn new(
        set: InstructionSet,
        strategy: Option<Strategy>,
        table: &'a LookupTable,
        activations: &'a [u8],
        weights: &[u8],
        shape: ConvTranspose2dShape,
    ) -> Result<Self, KernelError> {
        shape.validate()?;
        check_length("activations", shape.input_length(), activations.len())?;
        check_length("weights", shape.weight_length(), weights.len())?;
        let tap_sets = tap_sets(&shape);
        let mask = table.weight_mask();
        let weights = tap_sets
            .iter()
            .map(|taps| taps.weights(&shape, |index| weights[index] & mask));
        Ok(Problem {
            set,
            strategy,
            table,
            activations: masked(activations, table.activation_mask()),
            shape,
            phases: phases(&shape, &tap_sets),
            weights: weights.collect(),
        })
    }

    /// Whether no sum of an ordinary convolution, of which an output's is a part, can leave 32 bits.
    fn fits_in_32_bits(&self) -> bool {
        self.phases.iter().flatten().all(|phase| {
            let inner = phase.convolution.inner();
            let channels = self.weights[phase.tap_set].chunks_exact(inner.max(1));
            let largest_sums = channels.map(|weights| {
                weights
                    .iter()
                    .fold(0, |bound, &weight| add_bound(bound, self.table, weight))
            });
            fit_in_32_bits(self.table, inner, largest_sums)
        })
    }

    /// The sums of a phase's ordinary convolution, padded with some code.
    fn convolution<T: Accumulator>(
        &self,
        phase: &Phase,
        images: Range<usize>,
        padding_code: u8,
    ) -> Result<Vec<T>, KernelError> {
        let shape = phase.convolution_of(images.len());
        shape.validate()?;
        let image = self.activations.len() / self.shape.batch;
        Ok(conv2d_sums(
            self.set,
            self.strategy,
            self.table,
            &self.activations[images.start * image..images.end * image],
            &self.weights[phase.tap_set],
            padding_code,
            shape,
        ))
    }

    /// The sum over the input channels of a function of a phase's weights, `[out_channels, taps]`.
    fn channel_sums(&self, phase: &Phase, f: impl Fn(u8) -> i64) -> Vec<i64> {
        let weights = &self.weights[phase.tap_set];
        let taps = phase.convolution.kernel[0] * phase.convolution.kernel[1];
        let mut sums = vec![0; self.shape.out_channels * taps];
        let inner = phase.convolution.inner();
        if inner == 0 {
            return sums;
        }
        for (sums, weights) in sums.chunks_exact_mut(taps).zip(weights.chunks_exact(inner)) {
            for weights in weights.chunks_exact(taps) {
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    *sum += f(weight);
                }
            }
        }
        sums
    }

    /// What padded taps add to the sums of a phase.
    fn padding(&self, phase: &Phase, padding_code: u8) -> Correction {
        let product = |weight| i64::from(self.table.get(padding_code, weight));
        let taps = phase.convolution.kernel[0] * phase.convolution.kernel[1];
        Correction::of_padding(self.channel_sums(phase, product), taps)
    }

    fn sums<T: Accumulator>(&self) -> Result<Vec<T>, KernelError> {
        // A code whose products are all 0, if there is one, adds nothing.
        let codes = 0..=self.table.activation_mask();
        let nothing = codes
            .into_iter()
            .find(|&code| self.table.activation_max_abs(code) == 0);
        let padding_code = nothing.unwrap_or(0);
        assemble(
            self.set,
            &self.shape,
            &self.phases,
            self.shape.batch,
            |phase, images| {
                let mut sums = self.convolution::<T>(phase, images, padding_code)?;
                let border = Border::new(phase);
                if nothing.is_none() && !border.is_empty() {
                    border.correct(&self.padding(phase, padding_code), &mut sums);
                }
                Ok(sums)
            },
        )
    }

    fn rescaled<T: Accumulator + Into<i64>>(
        &self,
        quantizers: ProductQuantizers<'_>,
    ) -> Result<Vec<f32>, KernelError> {
        let [activation, weight] =
            quantizers.operands([self.table.activation_bits(), self.table.weight_bits()]);
        let channels = quantizers.channels(self.shape.out_channels);
        let has_windows = channels
            .iter()
            .any(|channel| channel.weight_zero_point != 0);
        let zero_point = quantizers.activation.zero_point as i64;
        let padding_code = zero_point as u8 & self.table.activation_mask();
        assemble(
            self.set,
            &self.shape,
            &self.phases,
            self.shape.batch,
            |phase, images| {
                let sums = self.convolution::<T>(phase, images.clone(), padding_code)?;
                let mut correction = self.padding(phase, padding_code);
                let codes = self.channel_sums(phase, |pattern| weight.code(pattern.into()).into());
                let inputs = self.shape.in_channels / self.shape.groups;
                correction.add_zero_points(zero_point, &codes, &channels, inputs);
                let windows = has_windows.then(|| {
                    let image = self.activations.len() / self.shape.batch;
                    let activations = &self.activations[images.start * image..];
                    let code = |index: usize| activation.code(activations[index].into()).into();
                    sums_over_windows(code, 0, phase.convolution_of(images.len()))
                });
                let border = Border::new(phase);
                let windows = windows.as_deref();
                Ok(border.rescale(&correction, &channels, windows, self.shape.groups, &sums))
            },
        )
    }
}
