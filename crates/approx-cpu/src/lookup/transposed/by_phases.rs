//! A transposed convolution phase by phase, each an ordinary convolution of the padded input.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::operands::{Operands, ZeroPoints};
use super::pieces::{Piece, add, finish_all, pieces, sizes};
use crate::accumulators::Accumulator;
use crate::arch::InstructionSet;
use crate::error::KernelError;
use crate::lookup::conv2d::Windows;
use crate::lookup::gather::{Problem, Strategy, cheapest, transpose};
use crate::shapes::ConvTranspose2dShape;
use crate::transposed::{
    Border, ClassPlaces, Corrections, Phase, Phases, TapSet, interleave_planes, tap_sets,
};
use crate::written::written;

/// A transposed convolution phase by phase.
pub(crate) struct ByPhases<'a> {
    operands: &'a Operands<'a>,
    tap_sets: Vec<TapSet>,
    phases: Phases,
}

/// What all phases share.
struct Shared<'a> {
    windows: Windows<'a>,
    /// The weights as `[out_channels, taps, in_channels / groups]`.
    planes: Vec<u8>,
    /// What padding adds to every tap of every output channel; empty if that is nothing.
    padding: Vec<i64>,
}

/// What a phase is computed from.
struct Part {
    /// The weights as `[out_channels, taps, in_channels / groups]`, and the distances of their codes.
    planes: Vec<u8>,
    offsets: Vec<usize>,
    /// What zero points add to every sum, by output channel.
    constants: Vec<i64>,
    /// What sums at the border are corrected by, and where.
    corrections: Option<(Corrections, Vec<ClassPlaces>)>,
}

/// The strategy that is expected to be the fastest for a valid shape, and its clock cycles; see [`cheapest`].
pub(super) fn cheapest_strategy(
    shape: &ConvTranspose2dShape,
    set: InstructionSet,
    narrow: bool,
    wide_sums: bool,
) -> (Strategy, f64) {
    let phases = Phases::transposed(shape, &tap_sets(shape));
    let positions = shape.batch * phases.places[0] * phases.places[1];
    let outputs = shape.out_channels / shape.groups;
    let (strategy, cycles) = cheapest(outputs, positions, set, narrow, wide_sums);
    let taps: usize = phases.all.iter().map(Phase::area).sum();
    (strategy, (shape.in_channels * taps) as f64 * cycles)
}

impl<'a> ByPhases<'a> {
    pub(crate) fn new(operands: &'a Operands<'a>) -> Result<Self, KernelError> {
        let shape = &operands.shape;
        let tap_sets = tap_sets(shape);
        let phases = Phases::transposed(shape, &tap_sets);
        if !phases.all.is_empty() {
            phases.window.validate()?;
        }
        Ok(ByPhases {
            operands,
            tap_sets,
            phases,
        })
    }

    /// The outputs: what `finish` makes of every sum, given its output channel.
    pub(crate) fn run<T: Accumulator, O: Copy + Default + Send + Sync>(
        &self,
        strategy: Strategy,
        zero_points: Option<&ZeroPoints>,
        finish: impl Fn(usize, T) -> O + Sync,
    ) -> Vec<O> {
        let operands = self.operands;
        let shape = &operands.shape;
        let Phases { places, output, .. } = self.phases;
        let plane = output[0] * output[1];
        let length = shape.batch * shape.out_channels * plane;
        if self.phases.all.is_empty() {
            // There are no windows either.
            return vec![O::default(); length];
        }
        let table = operands.table;
        // A code whose products are all 0, if there is one, adds nothing.
        let mut codes = 0..=table.activation_mask();
        let padding = codes
            .find(|&code| table.activation_max_abs(code) == 0)
            .unwrap_or(0);
        let shared = Shared {
            windows: Windows::new(&self.phases.window, &operands.activations, padding),
            planes: self.planes(),
            padding: match table.activation_max_abs(padding) {
                0 => Vec::new(),
                _ => operands.sums_of_weights(&std::array::from_fn(|weight| {
                    table.get(padding, weight as u8).into()
                })),
            },
        };
        let parts = self.phases.all.iter();
        let parts: Vec<Part> = parts
            .map(|phase| self.part(phase, &shared, zero_points))
            .collect();

        let positions = places[0] * places[1];
        let of_channel = self.phases.all.len() * positions * size_of::<T>();
        let sizes = sizes(strategy, [1, positions], of_channel, operands.outputs());
        let run_piece = |piece: Piece<'_, MaybeUninit<O>>| {
            let sums = parts
                .iter()
                .map(|part| self.sums(strategy, &shared.windows, part, &piece));
            self.finish_piece(&parts, sums.collect(), zero_points, &finish, piece);
        };
        let write = |output: &mut [MaybeUninit<O>]| {
            if !self.phases.is_complete() {
                output.fill(MaybeUninit::new(O::default()));
            }
            if !output.is_empty() {
                pieces(output, plane, shape.out_channels, operands.outputs(), sizes)
                    .into_par_iter()
                    .for_each(run_piece);
            }
            Ok::<(), std::convert::Infallible>(())
        };
        // SAFETY: unless all outputs are written first, each belongs to a phase; every plane is in one of the pieces,
        // and the values of all phases are written to it.
        let Ok(output) = unsafe { written(length, write) };
        output
    }

    /// The weights as `[out_channels, taps, in_channels / groups]`.
    fn planes(&self) -> Vec<u8> {
        let operands = self.operands;
        let (inputs, of_input) = (operands.inputs(), operands.of_input());
        let mut planes = vec![0; operands.weights.len()];
        if !planes.is_empty() {
            let of_group = inputs * of_input;
            let groups = planes.chunks_exact_mut(of_group);
            for (planes, weights) in groups.zip(operands.weights.chunks_exact(of_group)) {
                transpose(weights, planes, inputs, of_input);
            }
        }
        planes
    }

    fn part(&self, phase: &Phase, shared: &Shared<'_>, zero_points: Option<&ZeroPoints>) -> Part {
        let operands = self.operands;
        let (all_taps, inputs) = (operands.taps(), operands.inputs());
        let out_channels = operands.shape.out_channels;
        let windows = &shared.windows;
        let taps = self.tap_sets[phase.tap_set].taps(operands.shape.kernel[1]);
        let taps: Vec<usize> = taps.collect();
        let indices = || {
            let channels = 0..out_channels;
            channels.flat_map(|channel| taps.iter().map(move |tap| channel * all_taps + tap))
        };
        let mut planes = Vec::with_capacity(out_channels * taps.len() * inputs);
        for index in indices() {
            planes.extend_from_slice(&shared.planes[index * inputs..][..inputs]);
        }
        let constant =
            |index: usize| zero_points.map_or(0, |zero_points| zero_points.constants[index]);
        let constants: Vec<i64> = indices().map(constant).collect();
        let padding = indices().map(|index| shared.padding.get(index).map_or(0, |&sum| sum));
        let too_much = constants.iter().zip(padding);
        let too_much: Vec<i64> = too_much
            .map(|(constant, padding)| constant + padding)
            .collect();
        let [rows, columns] = phase.taps;
        let offsets = rows.iter().flat_map(|row| {
            columns.iter().flat_map(move |column| {
                let tap = windows.offset([row, column]);
                (0..inputs).map(move |channel| channel * windows.channel_stride + tap)
            })
        });
        let border = Border::new(&self.phases.window, phase, self.phases.places);
        let [rows, columns] = self.phases.places;
        let constants = constants.chunks_exact(taps.len());
        Part {
            planes,
            offsets: offsets.collect(),
            constants: constants.map(|constants| constants.iter().sum()).collect(),
            corrections: Corrections::new(border, &too_much).map(|corrections| {
                let border = corrections.places(0..rows, columns);
                (corrections, border)
            }),
        }
    }

    /// Writes the outputs of a piece, `sums` being those of every phase.
    fn finish_piece<T: Accumulator, O: Copy + Send + Sync>(
        &self,
        parts: &[Part],
        mut sums: Vec<Vec<T>>,
        zero_points: Option<&ZeroPoints>,
        finish: &(impl Fn(usize, T) -> O + Sync),
        mut piece: Piece<'_, MaybeUninit<O>>,
    ) {
        let operands = self.operands;
        let phases = &self.phases;
        let [rows, columns] = phases.places;
        let places = rows * columns;
        let channels = piece.channels.len();
        let mut of_planes: Vec<Vec<&mut [T]>> = Vec::new();
        of_planes.resize_with(piece.planes.len(), Vec::new);
        for sums in &mut sums {
            for (of_plane, sums) in of_planes.iter_mut().zip(sums.chunks_exact_mut(places)) {
                of_plane.push(sums);
            }
        }
        let planes = piece.planes.par_iter_mut().zip(of_planes).enumerate();
        planes.for_each(|(index, (output, mut sums))| {
            let image = piece.images.start + index / channels;
            let channel = piece.channels.start + index % channels;
            let added = zero_points.and_then(|zero_points| {
                let group = image * operands.shape.groups + channel / operands.outputs();
                zero_points.of_positions::<T>(channel, group, operands.positions())
            });
            for neighbours in phases.by_rows() {
                let mut values = vec![MaybeUninit::uninit(); neighbours.which.len() * places];
                for (part, values) in neighbours
                    .which
                    .clone()
                    .zip(values.chunks_exact_mut(places))
                {
                    let (sums, phase) = (&mut *sums[part], &phases.all[part]);
                    let part = &parts[part];
                    if let Some(added) = &added {
                        self.add_positions(phase, added, sums);
                    }
                    if let Some((corrections, border)) = &part.corrections {
                        corrections.add(channel, border, 0..places, &mut [&mut *sums]);
                    }
                    let constant = T::from_i64(part.constants[channel]);
                    finish_all(
                        operands.set,
                        constant,
                        sums,
                        |sum| finish(channel, sum),
                        values,
                    );
                }
                interleave_planes(operands.set, phases, &neighbours, &values, output);
            }
        });
    }

    /// The sums of one phase's products, `[images, channels, rows, columns]`.
    fn sums<T: Accumulator, O>(
        &self,
        strategy: Strategy,
        windows: &Windows<'_>,
        part: &Part,
        piece: &Piece<'_, O>,
    ) -> Vec<T> {
        let operands = self.operands;
        let groups = piece.groups(operands.outputs());
        let group_stride = operands.inputs() * windows.channel_stride;
        let image_stride = operands.shape.in_channels * windows.channel_stride;
        let first = piece.images.start * image_stride + groups.start * group_stride;
        let end = (piece.images.end - 1) * image_stride + groups.end * group_stride;
        let inner = part.offsets.len();
        let problem = Problem {
            images: piece.images.len(),
            groups: groups.len(),
            planes: piece.channels.len() / groups.len(),
            inner,
            plane_codes: &part.planes[piece.channels.start * inner..piece.channels.end * inner],
            plane_stride: inner,
            tap_stride: 1,
            position_codes: &windows.codes[first..end],
            image_stride,
            group_stride,
            offsets: &part.offsets,
            segments: &windows.segments(self.phases.places),
            lines_by_plane: operands.table.by_weight(),
            lines_by_position: operands.table.by_activation(),
        };
        problem.solve(operands.table, operands.set, Some(strategy))
    }

    /// Adds to the sums of a phase what is added to the products with every position of the input.
    fn add_positions<T: Accumulator>(&self, phase: &Phase, added: &[T], sums: &mut [T]) {
        let [rows, columns] = phase.taps;
        let [height, width] = self.operands.shape.input;
        let padding = self.phases.window.padding;
        let places = self.phases.places[1];
        for (y, sums) in sums.chunks_exact_mut(places).enumerate() {
            for row in rows.iter() {
                let Some(row) = (y + row)
                    .checked_sub(padding.top)
                    .filter(|&row| row < height)
                else {
                    continue;
                };
                for column in columns.iter() {
                    let place = padding.left.saturating_sub(column).min(places);
                    let first = column.saturating_sub(padding.left).min(width);
                    let length = (places - place).min(width - first);
                    let added = &added[row * width + first..][..length];
                    add(
                        self.operands.set,
                        T::default(),
                        added,
                        &mut sums[place..][..length],
                    );
                }
            }
        }
    }
}
