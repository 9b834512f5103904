//! Transposed convolutions: packed weights of every phase meet the activations in an ordinary convolution.

use std::ops::Range;
use std::sync::Arc;

use super::epilogue::Exact;
use super::operands::{Activations, Weights};
use super::prepared::Prepared;
use super::product::{Conv2dWeights, FactoredProduct};
use super::source::NOT_A_NUMBER;
use super::weights::Filters;
use crate::accumulators::{Accumulator, Accumulators};
use crate::arch::InstructionSet;
use crate::error::KernelError;
use crate::operand::{ProductQuantizers, check_weight_quantizers};
use crate::quantize::{ChannelLayout, is_free_of_nans};
use crate::rescale::{ChannelRescale, ChannelScale};
use crate::shapes::{Conv2dShape, ConvTranspose2dShape};
use crate::transposed::{Border, Correction, Phase, TapSet, assemble, phases, tap_sets};
use crate::window_sums::sums_over_windows;

/// Weights of a transposed convolution, packed by [`FactoredProduct::pack_conv_transpose2d`].
#[derive(Debug, Clone)]
pub struct ConvTranspose2dWeights {
    prepared: Arc<Prepared>,
    /// What the weights were packed for; of its sizes only those of the weights count.
    shape: ConvTranspose2dShape,
    tap_sets: Vec<TapSet>,
    /// By set of taps.
    parts: Vec<Part>,
}

/// The weights that meet one phase.
#[derive(Debug, Clone)]
struct Part {
    weights: Conv2dWeights,
    sums: TapSums,
}

/// What the weights of every tap of every output channel add up to over the input channels, `[out_channels, taps]`.
#[derive(Debug, Clone)]
struct TapSums {
    /// Elements, by term.
    elements: Vec<Vec<i64>>,
    /// What products add whatever the activation.
    constants: Vec<i64>,
    /// Codes.
    codes: Vec<i64>,
}

impl TapSums {
    /// The sums of patterns `[out_channels, in_channels, taps]`.
    fn new(prepared: &Prepared, patterns: &[u16], out_channels: usize, taps: usize) -> Self {
        let inner = (patterns.len() / out_channels.max(1)).max(1);
        let sum = |f: &dyn Fn(u16) -> i64| {
            let mut sums = vec![0i64; out_channels * taps];
            for (sums, patterns) in sums
                .chunks_exact_mut(taps)
                .zip(patterns.chunks_exact(inner))
            {
                for patterns in patterns.chunks_exact(taps) {
                    for (sum, &pattern) in sums.iter_mut().zip(patterns) {
                        *sum = sum.wrapping_add(f(pattern));
                    }
                }
            }
            sums
        };
        let decomposition = &prepared.decomposition;
        let elements = decomposition.weights.iter();
        TapSums {
            elements: elements
                .map(|weights| sum(&|pattern| weights[usize::from(pattern)].into()))
                .collect(),
            constants: sum(&|pattern| decomposition.constants[usize::from(pattern)]),
            codes: sum(&|pattern| prepared.weight.code(pattern).into()),
        }
    }

    /// The sums of products with one activation, `[out_channels, taps]`.
    fn products(&self, prepared: &Prepared, activation: u16, in_channels: usize) -> Vec<i64> {
        let decomposition = &prepared.decomposition;
        let pattern = usize::from(activation & prepared.activation.mask());
        let element = |place: usize| i64::from(decomposition.activations[place][pattern]);
        let offsets = &decomposition.offsets;
        let parts = offsets.parts.iter();
        let offset = parts.fold(offsets.per_tap, |sum, &(place, scale)| {
            sum.wrapping_add(scale.wrapping_mul(element(place)))
        });
        let offset = offset.wrapping_mul(in_channels as i64);
        let mut products: Vec<i64> = self
            .constants
            .iter()
            .map(|sum| sum.wrapping_add(offset))
            .collect();
        for pass in &decomposition.passes {
            for term in pass.terms.clone() {
                let factor = pass.scale.wrapping_mul(element(term));
                for (product, weights) in products.iter_mut().zip(&self.elements[term]) {
                    *product = product.wrapping_add(factor.wrapping_mul(*weights));
                }
            }
        }
        products
    }
}

/// Where a phase's ordinary convolution is padded, and what is to be added to its sums.
struct Corrected {
    border: Border,
    correction: Correction,
}

/// How the outputs of a phase are rescaled.
enum Rescaling {
    /// In the kernel: every channel alike.
    Fused(Vec<ChannelRescale>),
    /// Afterwards: outputs at the border otherwise than others.
    Corrected(Corrected),
}

impl FactoredProduct {
    /// Packs the weights `[in_channels, out_channels / groups, kernel height, kernel width]` of a transposed
    /// convolution. Of its shape the batch, the input's sides, and both paddings do not matter.
    ///
    /// Of the layout of [`Weights::Values`] the quantisers count, one or one for every output channel, and `inner` does
    /// not.
    ///
    /// # Errors
    ///
    /// As [`pack_matmul`](Self::pack_matmul), and [`KernelError::Groups`] or [`KernelError::Zero`].
    pub fn pack_conv_transpose2d(
        &self,
        weights: Weights<'_>,
        shape: ConvTranspose2dShape,
    ) -> Result<ConvTranspose2dWeights, KernelError> {
        // Any input that there can be an output for.
        let shape = ConvTranspose2dShape {
            batch: 0,
            input: [1, 1],
            padding: [0, 0],
            output_padding: [0, 0],
            ..shape
        };
        shape.validate()?;
        self.check_weights(weights, shape.weight_length())?;
        let values = match weights {
            Weights::Values { values, layout } => {
                check_weight_quantizers(&layout.channels, shape.out_channels)?;
                Some((values, layout))
            }
            _ => None,
        };
        let prepared = &self.prepared;
        let inputs = shape.in_channels / shape.groups;
        let tap_sets = tap_sets(&shape);
        let part = |taps: &TapSet| {
            let patterns = match values {
                // In this order a layout can say which quantiser an output channel has.
                Some((values, layout)) => {
                    let values = taps.weights(&shape, |index| values[index]);
                    let [rows, columns] = taps.kernel();
                    let layout = ChannelLayout {
                        channels: layout.channels.clone(),
                        inner: (inputs * rows * columns).max(1),
                    };
                    layout
                        .wide_patterns(&values, prepared.weight.mask())
                        .ok_or(KernelError::NotANumber { operand: "weights" })?
                }
                None => taps.weights(&shape, |index| {
                    prepared.weight_pattern(weights, index) as u16
                }),
            };
            let [rows, columns] = taps.kernel();
            let filters = Filters::pack(
                prepared,
                Weights::Wide(&patterns),
                shape.out_channels,
                inputs,
                shape.groups,
                [rows, columns],
            )?;
            Ok(Part {
                weights: Conv2dWeights {
                    prepared: Arc::clone(prepared),
                    filters,
                },
                sums: TapSums::new(prepared, &patterns, shape.out_channels, rows * columns),
            })
        };
        Ok(ConvTranspose2dWeights {
            prepared: Arc::clone(prepared),
            parts: tap_sets
                .iter()
                .map(part)
                .collect::<Result<_, KernelError>>()?,
            shape,
            tap_sets,
        })
    }

    /// `acc[n, o, p] = sum over i, k, q of m(activations[n, i, q], weights[i, o, k])`, over the channels i of o's group
    /// and all taps k and positions q of the input with `q * stride + k * dilation - padding = p`, along both axes;
    /// `[batch, out_channels, output height, output width]`.
    ///
    /// The zeros that a stride puts between the inputs are not multiplied, and neither is what lies outside the input:
    /// an output has as many products as taps meet the input, and is 0 where none does.
    ///
    /// # Errors
    ///
    /// What [`ConvTranspose2dShape::validate`] finds, [`KernelError::OtherConvolution`], and as
    /// [`matmul`](Self::matmul).
    ///
    /// ```
    /// use approx_cpu::{
    ///     Accumulators, Activations, ConvTranspose2dShape, FactorTerm, FactoredProduct, OperandWidth, Weights,
    /// };
    ///
    /// let operand = OperandWidth { bits: 4, signed: false };
    /// let exact = FactorTerm { scale: 1, activation: (0..16).collect(), weight: (0..16).collect() };
    /// let product = FactoredProduct::new(operand, operand, &[exact])?;
    /// let shape = ConvTranspose2dShape {
    ///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
    ///     input: [1, 2], kernel: [1, 3], stride: [1, 2], dilation: [1, 1],
    ///     padding: [0, 0], output_padding: [0, 1],
    /// };
    /// let weights = product.pack_conv_transpose2d(Weights::Narrow(&[3, 4, 5]), shape)?;
    /// let sums = product.conv_transpose2d(Activations::Narrow(&[1, 2]), &weights, shape)?;
    /// assert_eq!(sums, Accumulators::I32(vec![1 * 3, 1 * 4, 1 * 5 + 2 * 3, 2 * 4, 2 * 5, 0]));
    /// # Ok::<(), approx_cpu::KernelError>(())
    /// ```
    pub fn conv_transpose2d(
        &self,
        activations: Activations<'_>,
        weights: &ConvTranspose2dWeights,
        shape: ConvTranspose2dShape,
    ) -> Result<Accumulators, KernelError> {
        self.conv_transpose2d_with(InstructionSet::best(), activations, weights, shape)
    }

    /// The transposed convolution in real values, as
    /// [`conv_transpose2d_rescaled`](crate::conv_transpose2d_rescaled) says. Activations that come as values are
    /// quantised as they themselves say; weights are not quantised anew, their quantisers say what the packed codes
    /// stand for.
    ///
    /// # Errors
    ///
    /// As [`conv_transpose2d`](Self::conv_transpose2d); [`KernelError::Length`] also where there is neither one weight
    /// quantiser nor one per output channel, [`KernelError::Quantizer`] where a quantiser yields something else than
    /// codes of the operands, and [`KernelError::Overflow`] where a corrected sum might not fit in 64 bits.
    pub fn conv_transpose2d_rescaled(
        &self,
        activations: Activations<'_>,
        weights: &ConvTranspose2dWeights,
        quantizers: ProductQuantizers<'_>,
        shape: ConvTranspose2dShape,
    ) -> Result<Vec<f32>, KernelError> {
        let set = InstructionSet::best();
        self.conv_transpose2d_rescaled_with(set, activations, weights, quantizers, shape)
    }

    /// [`conv_transpose2d`](Self::conv_transpose2d) with a given instruction set.
    pub(super) fn conv_transpose2d_with(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        weights: &ConvTranspose2dWeights,
        shape: ConvTranspose2dShape,
    ) -> Result<Accumulators, KernelError> {
        self.check_conv_transpose2d(activations, weights, shape)?;
        let fits = weights
            .parts
            .iter()
            .all(|part| part.weights.filters.sums.bound <= i32::MAX as u64);
        Ok(if fits {
            Accumulators::I32(self.transposed_sums(set, activations, weights, shape)?)
        } else {
            Accumulators::I64(self.transposed_sums(set, activations, weights, shape)?)
        })
    }

    /// The sums in a width that holds them.
    fn transposed_sums<S: Accumulator>(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        weights: &ConvTranspose2dWeights,
        shape: ConvTranspose2dShape,
    ) -> Result<Vec<S>, KernelError> {
        let phases = Self::phases(activations, weights, shape)?;
        // Any code serves as padding.
        let padding = 0;
        let corrections = by_tap_set(weights, &phases, |phase, part| {
            let corrected = self.corrected(phase, part, padding);
            (!corrected.border.is_empty() && !corrected.correction.is_zero()).then_some(corrected)
        });
        assemble(
            set,
            &shape,
            &phases,
            images_at_once(&shape),
            |phase, images| {
                let weights = &weights.parts[phase.tap_set].weights;
                let activations = of_images(activations, &shape, images.clone());
                let operands = (
                    activations,
                    padding,
                    weights,
                    phase.convolution_of(images.len()),
                );
                let constants = &weights.filters.sums.constants;
                let exact = Exact::new(constants, constants.len());
                let mut sums = self.run_conv2d::<S, _>(set, operands, &exact)?;
                if let Some(Some(corrected)) = &corrections[phase.tap_set] {
                    corrected.border.correct(&corrected.correction, &mut sums);
                }
                Ok(sums)
            },
        )
    }

    /// [`conv_transpose2d_rescaled`](Self::conv_transpose2d_rescaled) with a given instruction set.
    pub(super) fn conv_transpose2d_rescaled_with(
        &self,
        set: InstructionSet,
        activations: Activations<'_>,
        weights: &ConvTranspose2dWeights,
        quantizers: ProductQuantizers<'_>,
        shape: ConvTranspose2dShape,
    ) -> Result<Vec<f32>, KernelError> {
        self.check_conv_transpose2d(activations, weights, shape)?;
        let operands = [self.prepared.activation, self.prepared.weight];
        quantizers.check(operands, shape.out_channels)?;
        let phases = Self::phases(activations, weights, shape)?;
        let channels = quantizers.channels(shape.out_channels);
        let zero_point = quantizers.activation.zero_point as i64;
        let padding = zero_point as u16;
        for phase in phases.iter().flatten() {
            self.check_corrected(phase, &weights.parts[phase.tap_set], zero_point, &channels)?;
        }
        let rescalings = by_tap_set(weights, &phases, |phase, part| {
            self.rescaling(phase, part, zero_point, &channels)
        });
        let has_windows = channels
            .iter()
            .any(|channel| channel.weight_zero_point != 0);
        assemble(
            set,
            &shape,
            &phases,
            images_at_once(&shape),
            |phase, images| {
                let weights = &weights.parts[phase.tap_set].weights;
                let activations = of_images(activations, &shape, images.clone());
                let convolution = phase.convolution_of(images.len());
                let rescaling = rescalings[phase.tap_set].as_ref();
                let Corrected { border, correction } =
                    match rescaling.expect("every phase has its rescaling") {
                        Rescaling::Fused(channels) => {
                            return self.conv2d_rescaled_with(
                                set,
                                activations,
                                padding,
                                weights,
                                convolution,
                                channels,
                            );
                        }
                        Rescaling::Corrected(corrected) => corrected,
                    };
                let sums = self.conv2d_with(set, activations, padding, weights, convolution)?;
                let windows = has_windows.then(|| self.windows(activations, convolution));
                let windows = windows.as_deref();
                let groups = shape.groups;
                Ok(match sums {
                    Accumulators::I32(sums) => {
                        border.rescale(correction, &channels, windows, groups, &sums)
                    }
                    Accumulators::I64(sums) => {
                        border.rescale(correction, &channels, windows, groups, &sums)
                    }
                })
            },
        )
    }

    /// What is to be added to a phase's sums if their padding has some code.
    fn corrected(&self, phase: &Phase, part: &Part, padding: u16) -> Corrected {
        let shape = &phase.convolution;
        let inputs = shape.in_channels / shape.groups;
        let products = part.sums.products(&self.prepared, padding, inputs);
        Corrected {
            border: Border::new(phase),
            correction: Correction::of_padding(products, shape.kernel[0] * shape.kernel[1]),
        }
    }

    fn rescaling(
        &self,
        phase: &Phase,
        part: &Part,
        zero_point: i64,
        channels: &[ChannelScale],
    ) -> Rescaling {
        let mut corrected = self.corrected(phase, part, zero_point as u16);
        let shape = &phase.convolution;
        let codes = &part.sums.codes;
        // Padding with the code of 0 counts in the corrections for both zero points, so that it adds nothing where its
        // products are exact.
        let products = corrected.correction.per_tap.iter();
        let exact = products
            .zip(codes)
            .all(|(product, codes)| *product == zero_point.wrapping_mul(*codes));
        if exact || corrected.border.is_empty() {
            let codes = codes.chunks_exact(shape.kernel[0] * shape.kernel[1]);
            let channels = channels.iter().zip(codes).map(|(channel, codes)| {
                let codes = codes
                    .iter()
                    .fold(0i64, |sum, codes| sum.wrapping_add(*codes));
                let zero_points = channel.weight_zero_point.wrapping_mul(shape.inner() as i64);
                ChannelRescale {
                    scale: channel.scale,
                    weight_zero_point: channel.weight_zero_point,
                    constant: zero_point.wrapping_mul(zero_points.wrapping_sub(codes)),
                }
            });
            return Rescaling::Fused(channels.collect());
        }
        let inputs = shape.in_channels / shape.groups;
        corrected
            .correction
            .add_zero_points(zero_point, codes, channels, inputs);
        Rescaling::Corrected(corrected)
    }

    /// The sums of the activations' codes over the windows of an ordinary convolution, those outside the input left
    /// out.
    fn windows(&self, activations: Activations<'_>, shape: Conv2dShape) -> Vec<i64> {
        let operand = self.prepared.activation;
        match activations {
            Activations::Narrow(patterns) => sums_over_windows(
                |index| operand.code(patterns[index].into()).into(),
                0,
                shape,
            ),
            Activations::Wide(patterns) => {
                sums_over_windows(|index| operand.code(patterns[index]).into(), 0, shape)
            }
            Activations::Values { values, quantizer } => {
                sums_over_windows(|index| quantizer.code(values[index]) as i64, 0, shape)
            }
        }
    }

    /// The phases of a shape that weights were packed for.
    fn phases(
        activations: Activations<'_>,
        weights: &ConvTranspose2dWeights,
        shape: ConvTranspose2dShape,
    ) -> Result<Vec<Vec<Phase>>, KernelError> {
        let phases = phases(&shape, &weights.tap_sets);
        // Without an ordinary convolution, no kernel finds a NaN.
        if let Activations::Values { values, .. } = activations
            && phases.is_empty()
            && !is_free_of_nans(values)
        {
            return Err(NOT_A_NUMBER);
        }
        for phase in phases.iter().flatten() {
            phase.convolution.validate()?;
        }
        Ok(phases)
    }

    fn check_conv_transpose2d(
        &self,
        activations: Activations<'_>,
        weights: &ConvTranspose2dWeights,
        shape: ConvTranspose2dShape,
    ) -> Result<(), KernelError> {
        self.check_product(&weights.prepared)?;
        shape.validate()?;
        let packed = &weights.shape;
        let sizes = |shape: &ConvTranspose2dShape| {
            [
                ("a number of input channels", shape.in_channels),
                ("a number of output channels", shape.out_channels),
                ("a number of groups", shape.groups),
                ("a kernel height", shape.kernel[0]),
                ("a kernel width", shape.kernel[1]),
                ("a vertical stride", shape.stride[0]),
                ("a horizontal stride", shape.stride[1]),
                ("a vertical dilation", shape.dilation[0]),
                ("a horizontal dilation", shape.dilation[1]),
            ]
        };
        for ((parameter, packed), (_, expected)) in sizes(packed).into_iter().zip(sizes(&shape)) {
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

    /// Checks that every corrected sum of a phase fits in 64 bits.
    fn check_corrected(
        &self,
        phase: &Phase,
        part: &Part,
        zero_point: i64,
        channels: &[ChannelScale],
    ) -> Result<(), KernelError> {
        let inner = phase.convolution.inner();
        let largest_code = self.prepared.weight.patterns() as i64;
        let corrected = channels.iter().map(|channel| {
            let per_tap = channel.weight_zero_point.saturating_abs() + largest_code;
            ChannelRescale {
                scale: channel.scale,
                weight_zero_point: channel.weight_zero_point,
                constant: per_tap
                    .saturating_mul(inner as i64)
                    .saturating_mul(zero_point),
            }
        });
        let corrected: Vec<ChannelRescale> = corrected.collect();
        self.bound_corrected(&part.weights.filters.sums, inner, &corrected)?;
        Ok(())
    }
}

/// What `f` makes of every phase and its weights, by set of taps; none for sets without a phase.
fn by_tap_set<T>(
    weights: &ConvTranspose2dWeights,
    phases: &[Vec<Phase>],
    f: impl Fn(&Phase, &Part) -> T,
) -> Vec<Option<T>> {
    let mut all: Vec<Option<T>> = weights.parts.iter().map(|_| None).collect();
    for phase in phases.iter().flatten() {
        all[phase.tap_set] = Some(f(phase, &weights.parts[phase.tap_set]));
    }
    all
}

/// Bytes of outputs that stay in the second cache beside as many of the phases.
const OUTPUTS_AT_ONCE: usize = 1 << 16;

/// How many images are computed at once.
fn images_at_once(shape: &ConvTranspose2dShape) -> usize {
    let image = shape.out_channels * shape.output().iter().product::<usize>();
    let for_cache = OUTPUTS_AT_ONCE / image.max(1);
    let for_threads = shape.batch.div_ceil(rayon::current_num_threads());
    for_cache.min(for_threads).max(1)
}

/// The activations of some images.
fn of_images<'a>(
    activations: Activations<'a>,
    shape: &ConvTranspose2dShape,
    images: Range<usize>,
) -> Activations<'a> {
    let image = shape.in_channels * shape.input[0] * shape.input[1];
    let range = images.start * image..images.end * image;
    match activations {
        Activations::Narrow(patterns) => Activations::Narrow(&patterns[range]),
        Activations::Wide(patterns) => Activations::Wide(&patterns[range]),
        Activations::Values { values, quantizer } => Activations::Values {
            values: &values[range],
            quantizer,
        },
    }
}
