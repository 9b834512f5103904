//! Transposed convolutions: packed weights of every phase meet the activations, encoded once.

use std::sync::Arc;

use super::conv2d::Part;
use super::epilogue::{Epilogue, Exact, Rescaled};
use super::operands::{Activations, Weights};
use super::prepared::Prepared;
use super::product::FactoredProduct;
use super::source::NOT_A_NUMBER;
use super::weights::Filters;
use crate::accumulators::{Accumulator, Accumulators};
use crate::arch::InstructionSet;
use crate::error::KernelError;
use crate::operand::{ProductQuantizers, check_weight_quantizers};
use crate::quantize::{ChannelLayout, is_free_of_nans};
use crate::rescale::{ChannelRescale, ChannelScale};
use crate::shapes::ConvTranspose2dShape;
use crate::transposed::{Border, Corrections, Phase, Phases, TapSet, tap_sets};

/// Weights of a transposed convolution, packed by [`FactoredProduct::pack_conv_transpose2d`].
#[derive(Debug, Clone)]
pub struct ConvTranspose2dWeights {
    prepared: Arc<Prepared>,
    /// What the weights were packed for; of its sizes only those of the weights count.
    shape: ConvTranspose2dShape,
    tap_sets: Vec<TapSet>,
    /// By set of taps.
    weights: Vec<PhaseWeights>,
}

/// The weights of one phase.
#[derive(Debug, Clone)]
struct PhaseWeights {
    filters: Filters,
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
        // The first set has the most taps.
        let depthwise = tap_sets
            .first()
            .is_some_and(|taps| Filters::are_depthwise(inputs, taps.kernel()));
        let pack = |taps: &TapSet| {
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
                depthwise,
            )?;
            Ok(PhaseWeights {
                filters,
                sums: TapSums::new(prepared, &patterns, shape.out_channels, rows * columns),
            })
        };
        Ok(ConvTranspose2dWeights {
            prepared: Arc::clone(prepared),
            weights: tap_sets
                .iter()
                .map(pack)
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
        let phases = Self::phases(activations, weights, shape)?;
        let bounds = weights
            .weights
            .iter()
            .map(|weights| weights.filters.sums.bound);
        let product = Transposed {
            product: self,
            set,
            activations,
            // Any code serves as padding.
            padding: 0,
            weights,
            phases,
        };
        Ok(if bounds.max().unwrap_or(0) <= i32::MAX as u64 {
            Accumulators::I32(product.sums()?)
        } else {
            Accumulators::I64(product.sums()?)
        })
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
        let mut bound = 0;
        for phase in &phases.all {
            let weights = &weights.weights[phase.tap_set];
            bound = bound.max(self.bound_phase(weights, phase, zero_point, &channels)?);
        }
        let product = Transposed {
            product: self,
            set,
            activations,
            padding: zero_point as u16,
            weights,
            phases,
        };
        if bound <= i32::MAX as u64 {
            product.rescaled::<i32>(zero_point, &channels)
        } else {
            product.rescaled::<i64>(zero_point, &channels)
        }
    }

    /// The largest magnitude that a corrected sum of a phase can have, whichever of its taps meet the input.
    fn bound_phase(
        &self,
        weights: &PhaseWeights,
        phase: &Phase,
        zero_point: i64,
        channels: &[ChannelScale],
    ) -> Result<u64, KernelError> {
        let inputs = weights.filters.group_channels;
        let taps = phase.area();
        let largest = channels.iter().zip(weights.sums.codes.chunks_exact(taps));
        let largest = largest.map(|(channel, codes)| {
            let zero_points = channel.weight_zero_point.saturating_mul(inputs as i64);
            let of_tap = |codes: &i64| {
                let correction = zero_points.saturating_sub(*codes);
                correction.saturating_mul(zero_point).saturating_abs()
            };
            ChannelRescale {
                scale: channel.scale,
                weight_zero_point: channel.weight_zero_point,
                constant: codes.iter().map(of_tap).fold(0, i64::saturating_add),
            }
        });
        let largest: Vec<ChannelRescale> = largest.collect();
        self.bound_corrected(&weights.filters.sums, inputs * taps, &largest)
    }

    /// The phases of a shape that weights were packed for.
    fn phases(
        activations: Activations<'_>,
        weights: &ConvTranspose2dWeights,
        shape: ConvTranspose2dShape,
    ) -> Result<Phases, KernelError> {
        let phases = Phases::transposed(&shape, &weights.tap_sets);
        if !phases.all.is_empty() {
            phases.window.validate()?;
        } else if let Activations::Values { values, .. } = activations
            && !is_free_of_nans(values)
        {
            // Without outputs to compute, no kernel finds a NaN.
            return Err(NOT_A_NUMBER);
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
}

/// A transposed convolution of checked operands.
struct Transposed<'a> {
    product: &'a FactoredProduct,
    set: InstructionSet,
    activations: Activations<'a>,
    /// The bit pattern outside the input.
    padding: u16,
    weights: &'a ConvTranspose2dWeights,
    phases: Phases,
}

impl Transposed<'_> {
    /// The sums in a width that holds them.
    fn sums<S: Accumulator>(&self) -> Result<Vec<S>, KernelError> {
        self.run::<S, _>(|_, weights| {
            let constants = &weights.filters.sums.constants;
            (Exact::new(constants, constants.len()), 0)
        })
    }

    /// The sums, which in the given width can be corrected, as real values.
    fn rescaled<S: Accumulator>(
        &self,
        zero_point: i64,
        channels: &[ChannelScale],
    ) -> Result<Vec<f32>, KernelError> {
        self.run::<S, _>(|phase, weights| {
            let inner = weights.filters.group_channels * phase.area();
            let codes = weights.sums.codes.chunks_exact(phase.area());
            let channels = channels.iter().zip(codes).map(|(channel, codes)| {
                let codes = codes
                    .iter()
                    .fold(0i64, |sum, codes| sum.wrapping_add(*codes));
                let zero_points = channel.weight_zero_point.wrapping_mul(inner as i64);
                ChannelRescale {
                    scale: channel.scale,
                    weight_zero_point: channel.weight_zero_point,
                    constant: zero_point.wrapping_mul(zero_points.wrapping_sub(codes)),
                }
            });
            let channels: Vec<ChannelRescale> = channels.collect();
            let constants = &weights.filters.sums.constants;
            let codes = self.product.codes_constant(inner);
            let rescaled = Rescaled::new(&channels, constants, codes, channels.len());
            (rescaled, zero_point)
        })
    }

    /// Runs the kernels with what `part` gives for every phase: what finishes sums, and what the code outside the input
    /// counts as in the corrections for zero points, which take off so many times a weight's code.
    fn run<S: Accumulator, F: Epilogue<S>>(
        &self,
        part: impl Fn(&Phase, &PhaseWeights) -> (F, i64),
    ) -> Result<Vec<F::Output>, KernelError> {
        let Phases {
            window,
            places,
            output,
            all,
            ..
        } = &self.phases;
        if all.is_empty() {
            let length = window.batch * window.out_channels * output[0] * output[1];
            return Ok(vec![F::Output::default(); length]);
        }
        let parts = all.iter().map(|phase| {
            let weights = &self.weights.weights[phase.tap_set];
            let (epilogue, code) = part(phase, weights);
            let border = Border::new(window, phase, *places);
            let prepared = &self.product.prepared;
            let inputs = weights.filters.group_channels;
            let mut too_much = weights.sums.products(prepared, self.padding, inputs);
            for (product, codes) in too_much.iter_mut().zip(&weights.sums.codes) {
                *product = product.wrapping_sub(code.wrapping_mul(*codes));
            }
            Part {
                weights: &weights.filters,
                epilogue,
                corrections: Corrections::new(border, &too_much),
            }
        });
        let parts: Vec<Part<'_, F>> = parts.collect();
        self.product.run_phases::<S, F>(
            self.set,
            self.activations,
            self.padding,
            &self.phases,
            &parts,
        )
    }
}
