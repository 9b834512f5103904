//! A transposed convolution from the input's positions, each of which meets every tap of the kernel once.
//!
//! The products are those of a matrix product, summed over the input channels, whose planes are the taps of all output
//! channels: a panel of the table's lines, held for some positions, serves the taps of all phases. The sums then are
//! added to the outputs that they belong to.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::operands::{Operands, ZeroPoints};
use super::pieces::{Piece, add, finish_all, pieces, sizes};
use crate::accumulators::Accumulator;
use crate::arch::InstructionSet;
use crate::lookup::accumulate::Segment;
use crate::lookup::gather::{Problem, Strategy, cheapest};
use crate::shapes::ConvTranspose2dShape;
use crate::transposed::{PhaseValues, Run, interleave};
use crate::written::written;

/// Clock cycles that a sum costs until it is added to its output.
const CYCLES_PER_SUM: f64 = 3.0;

/// A transposed convolution from the input's positions.
pub(crate) struct ByPositions<'a> {
    operands: &'a Operands<'a>,
    axes: [Vec<AxisTap>; 2],
}

/// The strategy that is expected to be the fastest for a valid shape, and its clock cycles; see [`cheapest`].
pub(super) fn cheapest_strategy(
    shape: &ConvTranspose2dShape,
    set: InstructionSet,
    narrow: bool,
    wide_sums: bool,
) -> (Strategy, f64) {
    let planes = shape.out_channels / shape.groups * shape.kernel[0] * shape.kernel[1];
    let positions = shape.batch * shape.input[0] * shape.input[1];
    let (strategy, cycles) = cheapest(planes, positions, set, narrow, wide_sums);
    let sums = (shape.groups * planes * positions) as f64 * CYCLES_PER_SUM;
    (strategy, shape.in_channels as f64 * cycles + sums)
}

impl<'a> ByPositions<'a> {
    pub(crate) fn new(operands: &'a Operands<'a>) -> Self {
        ByPositions {
            operands,
            axes: [0, 1].map(|axis| AxisTap::all(&operands.shape, axis)),
        }
    }

    /// The outputs: what `finish` makes of every sum, given its output channel.
    pub(crate) fn run<T: Accumulator, O: Copy + Send + Sync>(
        &self,
        strategy: Strategy,
        zero_points: Option<&ZeroPoints>,
        finish: impl Fn(usize, T) -> O + Sync,
    ) -> Vec<O> {
        let operands = self.operands;
        let shape = &operands.shape;
        let plane: usize = shape.output().iter().product();
        let group = operands.outputs();
        let (taps, positions) = (operands.taps(), operands.positions());
        let of_channel = taps * positions * size_of::<T>();
        let sizes = sizes(strategy, [taps, positions], of_channel, group);
        let run_piece = |mut piece: Piece<'_, MaybeUninit<O>>| {
            let sums: Vec<T> = self.sums(strategy, &piece);
            let of_channel = operands.taps() * operands.positions();
            let channels = piece.channels.len();
            let planes = piece.planes.par_iter_mut().enumerate();
            planes.for_each(|(index, plane)| {
                let place = [
                    piece.images.start + index / channels,
                    piece.channels.start + index % channels,
                ];
                let sums = &sums[index * of_channel..][..of_channel];
                self.add_up(place, sums, zero_points, |sum| finish(place[1], sum), plane);
            });
        };
        let length = shape.batch * shape.out_channels * plane;
        let write = |output: &mut [MaybeUninit<O>]| {
            if !output.is_empty() {
                pieces(output, plane, shape.out_channels, group, sizes)
                    .into_par_iter()
                    .for_each(run_piece);
            }
            Ok::<(), std::convert::Infallible>(())
        };
        // SAFETY: every plane is in one of the pieces, and all of its rows are written with the values of all phases,
        // which together have every column.
        let Ok(output) = unsafe { written(length, write) };
        output
    }

    /// The sums over the input channels, `[images, channels, taps, positions of the input]`.
    fn sums<T: Accumulator, O>(&self, strategy: Strategy, piece: &Piece<'_, O>) -> Vec<T> {
        let operands = self.operands;
        let (positions, inputs) = (operands.positions(), operands.inputs());
        let groups = piece.groups(operands.outputs());
        let image = operands.shape.in_channels * positions;
        let first = piece.images.start * image + groups.start * inputs * positions;
        let end = (piece.images.end - 1) * image + groups.end * inputs * positions;
        // Some channels of one group, or all of some groups.
        let taps = operands.taps();
        let of_group = inputs * operands.of_input();
        let first_channel = piece.channels.start % operands.outputs();
        let end_weight = groups.end * of_group;
        // There are no weights without an input channel.
        let weight = (groups.start * of_group + first_channel * taps).min(end_weight);
        let offsets: Vec<usize> = (0..inputs).map(|channel| channel * positions).collect();
        let problem = Problem {
            images: piece.images.len(),
            groups: groups.len(),
            planes: piece.channels.len() / groups.len() * taps,
            inner: inputs,
            plane_codes: &operands.weights[weight..end_weight],
            plane_stride: 1,
            tap_stride: operands.of_input(),
            position_codes: &operands.activations[first..end],
            image_stride: image,
            group_stride: inputs * positions,
            offsets: &offsets,
            segments: &[Segment {
                start: 0,
                length: positions,
            }],
            lines_by_plane: operands.table.by_weight(),
            lines_by_position: operands.table.by_activation(),
        };
        problem.solve(operands.table, operands.set, Some(strategy))
    }

    /// Writes the output's plane of an image and an output channel, `sums` being those of its taps.
    fn add_up<T: Accumulator, O: Copy>(
        &self,
        [image, channel]: [usize; 2],
        sums: &[T],
        zero_points: Option<&ZeroPoints>,
        finish: impl Fn(T) -> O,
        output: &mut [MaybeUninit<O>],
    ) {
        let operands = self.operands;
        let shape = &operands.shape;
        let [row_stride, stride] = shape.stride;
        let width = shape.output()[1];
        let (positions, taps) = (operands.positions(), operands.taps());
        // What zero points add to every tap, and to every position.
        let constants =
            zero_points.map(|zero_points| &zero_points.constants[channel * taps..][..taps]);
        let added = zero_points.and_then(|zero_points| {
            let group = image * shape.groups + channel / operands.outputs();
            zero_points.of_positions::<T>(channel, group, positions)
        });
        let places = width.div_ceil(stride);
        let first_columns: Vec<usize> = (0..stride).collect();
        let mut line = vec![T::default(); places * stride];
        let mut values = vec![MaybeUninit::uninit(); places * stride];
        for (y, output) in output.chunks_exact_mut(width).enumerate() {
            line.fill(T::default());
            for (row, row_tap) in self.axes[0].iter().enumerate() {
                let Some(input_row) = row_tap.input(y, row_stride) else {
                    continue;
                };
                for (column, tap) in self.axes[1].iter().enumerate() {
                    let index = row * self.axes[1].len() + column;
                    let first = input_row * shape.input[1] + tap.first;
                    let sums = &sums[index * positions + first..][..tap.length];
                    let constant = constants.map_or(0, |constants| constants[index]);
                    let line = &mut line[tap.phase * places + tap.place..][..tap.length];
                    add(operands.set, T::from_i64(constant), sums, line);
                    if let Some(added) = &added {
                        let added = &added[first..][..tap.length];
                        add(operands.set, T::default(), added, line);
                    }
                }
            }
            finish_all(operands.set, T::default(), &line, &finish, &mut values);
            let phases = PhaseValues {
                values: &values,
                apart: places,
                first_columns: &first_columns,
                stride,
            };
            let run = Run {
                from: 0,
                place: 0,
                length: places,
                line: 0,
            };
            interleave(operands.set, phases, &[run], width, output);
        }
    }
}

/// Where the products of one tap go along an axis.
#[derive(Debug, Clone, Copy)]
struct AxisTap {
    /// The remainder of its outputs modulo the stride.
    phase: usize,
    /// The first of them, counted among those with this remainder, and the input's position that it has.
    place: usize,
    first: usize,
    length: usize,
}

impl AxisTap {
    /// All taps of a valid shape along an axis.
    fn all(shape: &ConvTranspose2dShape, axis: usize) -> Vec<Self> {
        let (stride, cropped) = (shape.stride[axis], shape.padding[axis]);
        let (output, input) = (shape.output()[axis], shape.input[axis]);
        let tap = |tap: usize| {
            let distance = tap * shape.dilation[axis];
            let phase = (distance % stride + stride - cropped % stride) % stride;
            // The output at place p of the phase has the input's position p + (phase + cropped - distance) / stride.
            let first = (phase + cropped).saturating_sub(distance) / stride;
            let place = distance.saturating_sub(phase + cropped) / stride;
            let places = output.saturating_sub(phase).div_ceil(stride);
            AxisTap {
                phase,
                place: place.min(places),
                first: first.min(input),
                length: places
                    .saturating_sub(place)
                    .min(input.saturating_sub(first)),
            }
        };
        (0..shape.kernel[axis]).map(tap).collect()
    }

    /// The input's position that an output has, if there is one.
    fn input(&self, output: usize, stride: usize) -> Option<usize> {
        let place = (output / stride).checked_sub(self.place)?;
        (output % stride == self.phase && place < self.length).then(|| self.first + place)
    }
}
