//! The operands of a transposed convolution by lookup, and what their zero points add.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::accumulators::Accumulator;
use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length};
use crate::lookup::bounds::{add_bound, fit_in_32_bits};
use crate::lookup::gather::masked;
use crate::lookup::table::LookupTable;
use crate::operand::{OperandWidth, ProductQuantizers};
use crate::shapes::ConvTranspose2dShape;
use crate::word::CODES;

/// The operands of a transposed convolution.
pub(crate) struct Operands<'a> {
    pub(crate) set: InstructionSet,
    pub(crate) table: &'a LookupTable,
    pub(super) activations: Cow<'a, [u8]>,
    /// `[in_channels, out_channels / groups, taps]`.
    pub(super) weights: Cow<'a, [u8]>,
    pub(crate) shape: ConvTranspose2dShape,
}

impl<'a> Operands<'a> {
    pub(crate) fn new(
        set: InstructionSet,
        table: &'a LookupTable,
        activations: &'a [u8],
        weights: &'a [u8],
        shape: ConvTranspose2dShape,
    ) -> Result<Self, KernelError> {
        shape.validate()?;
        check_length("activations", shape.input_length(), activations.len())?;
        check_length("weights", shape.weight_length(), weights.len())?;
        Ok(Operands {
            set,
            table,
            activations: masked(activations, table.activation_mask()),
            weights: masked(weights, table.weight_mask()),
            shape,
        })
    }

    pub(super) fn taps(&self) -> usize {
        self.shape.kernel[0] * self.shape.kernel[1]
    }

    /// Input channels of a group.
    pub(super) fn inputs(&self) -> usize {
        self.shape.in_channels / self.shape.groups
    }

    /// Output channels of a group.
    pub(super) fn outputs(&self) -> usize {
        self.shape.out_channels / self.shape.groups
    }

    /// Positions of the input.
    pub(super) fn positions(&self) -> usize {
        self.shape.input[0] * self.shape.input[1]
    }

    /// Weights of one input channel.
    pub(super) fn of_input(&self) -> usize {
        self.outputs() * self.taps()
    }

    /// The sums over the input channels of a function of the weights, `[out_channels, taps]`.
    pub(super) fn sums_of_weights(&self, f: &[i64; CODES]) -> Vec<i64> {
        /// Sums that are computed together, along the weights of an input channel.
        const TOGETHER: usize = 1 << 9;
        let of_input = self.of_input();
        let mut sums = vec![0; self.shape.out_channels * self.taps()];
        if sums.is_empty() {
            return sums;
        }
        let groups = sums.chunks_exact_mut(of_input).enumerate();
        groups.for_each(|(group, sums)| {
            let weights = &self.weights[group * self.inputs() * of_input..];
            let parts = sums.par_chunks_mut(TOGETHER).enumerate();
            parts.for_each(|(part, sums)| {
                for weights in weights.chunks_exact(of_input).take(self.inputs()) {
                    for (sum, &weight) in sums.iter_mut().zip(&weights[part * TOGETHER..]) {
                        *sum += f[usize::from(weight)];
                    }
                }
            });
        });
        sums
    }

    /// Whether no sum can leave 32 bits.
    pub(crate) fn fits_in_32_bits(&self) -> bool {
        let shape = &self.shape;
        let inner = shape.inner();
        // An output's taps are among those of one residue.
        let residue = |tap: usize, axis: usize| tap * shape.dilation[axis] % shape.stride[axis];
        let of_tap = |tap: usize| {
            let (row, column) = (tap / shape.kernel[1], tap % shape.kernel[1]);
            [residue(row, 0), residue(column, 1)]
        };
        let taps = self.taps();
        let largest_sums = (0..shape.out_channels * taps).map(|index| {
            let (channel, tap) = (index / taps, index % taps);
            let (group, output) = (channel / self.outputs(), channel % self.outputs());
            let alike = (0..taps).filter(|&other| of_tap(other) == of_tap(tap));
            alike.fold(0, |bound, tap| {
                let first = group * self.inputs() * self.of_input() + output * taps + tap;
                let weights = self.weights[first..].iter().step_by(self.of_input());
                let weights = weights.take(self.inputs());
                weights.fold(bound, |bound, &weight| add_bound(bound, self.table, weight))
            })
        });
        fit_in_32_bits(self.table, inner, largest_sums)
    }

    /// Whether no sum can leave 32 bits when it is corrected for zero points.
    pub(crate) fn fits_corrected(
        &self,
        widths: [OperandWidth; 2],
        zero_points: &ZeroPoints,
    ) -> bool {
        let [activation, weight] = widths.map(|width| width.patterns() as u128);
        let zero_point = u128::from(zero_points.activation_zero_point.unsigned_abs());
        let weight_zero_points = zero_points.weight_zero_points.iter();
        let largest = weight_zero_points.map(|zero_point| zero_point.unsigned_abs());
        let weight_zero_point = u128::from(largest.max().unwrap_or(0));
        let product = u128::from(self.table.max_abs())
            + zero_point * (weight_zero_point + weight)
            + weight_zero_point * activation;
        self.shape.inner() as u128 * product <= i32::MAX as u128
    }
}

/// What zero points add to the product of every input channel, summed over them.
pub(crate) struct ZeroPoints {
    /// By output channel and tap.
    pub(super) constants: Vec<i64>,
    /// By image, group and position of the input, to be multiplied with the channel's weight zero point and taken off;
    /// empty where these are all 0.
    activations: Vec<i64>,
    activation_zero_point: i64,
    weight_zero_points: Vec<i64>,
}

impl ZeroPoints {
    pub(crate) fn new(
        operands: &Operands<'_>,
        [activation, weight]: [OperandWidth; 2],
        quantizers: &ProductQuantizers<'_>,
    ) -> Self {
        let shape = &operands.shape;
        let activation_zero_point = quantizers.activation.zero_point as i64;
        let channels = quantizers.channels(shape.out_channels).into_iter();
        let weights: Vec<i64> = channels.map(|channel| channel.weight_zero_point).collect();
        let inputs = operands.inputs();
        let mut constants = vec![0; shape.out_channels * operands.taps()];
        if activation_zero_point != 0 {
            constants = operands.sums_of_weights(&decoded(weight));
            for (constants, weight_zero_point) in
                constants.chunks_exact_mut(operands.taps()).zip(&weights)
            {
                for constant in constants {
                    let zero_points = inputs as i64 * weight_zero_point;
                    *constant = activation_zero_point * (zero_points - *constant);
                }
            }
        }
        let mut activations = Vec::new();
        if weights.iter().any(|&zero_point| zero_point != 0) {
            let codes = decoded(activation);
            let area = shape.input[0] * shape.input[1];
            activations = vec![0; shape.batch * shape.groups * area];
            let channels = operands.activations.chunks_exact(area.max(1));
            for (channel, activations_of_channel) in channels.enumerate() {
                let group = channel / inputs.max(1);
                let sums = &mut activations[group * area..][..area];
                for (sum, &activation) in sums.iter_mut().zip(activations_of_channel) {
                    *sum += codes[usize::from(activation)];
                }
            }
        }
        ZeroPoints {
            constants,
            activations,
            activation_zero_point,
            weight_zero_points: weights,
        }
    }

    /// What the zero point of a channel's weights adds to the products with every position of the input, those of an
    /// image and group; none if that is nothing.
    pub(super) fn of_positions<T: Accumulator>(
        &self,
        channel: usize,
        image_and_group: usize,
        positions: usize,
    ) -> Option<Vec<T>> {
        let factor = self.weight_zero_points[channel].wrapping_neg();
        if factor == 0 {
            return None;
        }
        let activations = &self.activations[image_and_group * positions..][..positions];
        let added = activations
            .iter()
            .map(|sum| T::from_i64(factor.wrapping_mul(*sum)));
        Some(added.collect())
    }
}

/// The codes that bit patterns stand for.
fn decoded(operand: OperandWidth) -> [i64; CODES] {
    std::array::from_fn(|pattern| operand.code(pattern as u16).into())
}
