//! Matrix products: rows of activations meet packed columns of weights.
//!
//! The lanes of a tile are columns. The weights of 16 columns are packed as one block for every group of taps, so that
//! a tile reads them as a stream; activations are encoded row by row, without being rearranged.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::encode::ElementMap;
use super::epilogue::{Epilogue, FinishChannels};
use super::kernel::{BLOCKS, Distances, LANES, Operands, ROWS, WIDTH, Words};
use super::prepared::Prepared;
use super::scratch::with_words;
use super::source::{Encode, NOT_A_NUMBER, Source};
use super::tile::TileSums;
use super::weights::Columns;
use crate::accumulators::Accumulator;
use crate::arch::{InstructionSet, Instructions, Kernel};
use crate::error::KernelError;
use crate::parallel::PRODUCTS_PER_TASK;
use crate::word::Pattern;
use crate::written::written;

/// Words of encoded activations that are worked on together: they stay in the second cache.
const PIECE_WORDS: usize = 1 << 16;

/// A matrix product of prepared operands.
pub(super) struct Matmul<'a, P, E> {
    pub(super) set: InstructionSet,
    pub(super) prepared: &'a Prepared,
    pub(super) maps: &'a [ElementMap<P, E>],
    pub(super) source: Source<'a, P>,
    pub(super) rows: usize,
    pub(super) weights: &'a Columns,
}

/// Encoded rows, `[rows, maps, groups of taps]`.
struct Encoded<'a, S> {
    words: &'a [i32],
    /// From one row to the next.
    row_words: usize,
    /// The offset and the sum of codes of every row.
    window_sums: Vec<(S, S)>,
}

impl<P: Pattern, E: Encode> Matmul<'_, P, E> {
    /// Computes the outputs, `[rows, columns]`.
    pub(super) fn run<S: Accumulator, F: Epilogue<S>>(
        &self,
        epilogue: &F,
    ) -> Result<Vec<F::Output>, KernelError> {
        let length = self.rows * self.weights.columns;
        // SAFETY: every output is in a row of one of the pieces, in one of the tiles of its columns, or there is none.
        unsafe { written(length, |output| self.write(epilogue, output)) }
    }

    fn write<S: Accumulator, F: Epilogue<S>>(
        &self,
        epilogue: &F,
        output: &mut [MaybeUninit<F::Output>],
    ) -> Result<(), KernelError> {
        let columns = self.weights.columns;
        if output.is_empty() {
            return Ok(());
        }
        let maps = self.prepared.encoded(epilogue.takes_codes());
        let row_words = row_words(maps * self.groups());
        let products = output.len().saturating_mul(maps * self.weights.inner);
        let threads = match products {
            0..PRODUCTS_PER_TASK => 1,
            _ => rayon::current_num_threads(),
        };
        // Whole tiles of rows, fewer where not every thread would get some.
        let rows = (PIECE_WORDS / row_words)
            .next_multiple_of(4 * ROWS)
            .max(4 * ROWS);
        let rows = rows.min(self.rows.div_ceil(threads).next_multiple_of(ROWS));
        let pieces = self.rows.div_ceil(rows);
        // Columns are shared out where there are too few rows.
        let column_tasks = match threads {
            1 => 1,
            threads => (2 * threads).div_ceil(pieces),
        };
        let piece = |(piece, output): (usize, &mut [MaybeUninit<F::Output>])| {
            let first = piece * rows;
            let rows = first..first + output.len() / columns;
            with_words(rows.len() * row_words, |words| {
                let numbers =
                    self.encode(rows, &self.maps[..maps], row_words, words, column_tasks > 1);
                if numbers {
                    let encoded = Encoded {
                        words,
                        row_words,
                        window_sums: self.window_sums(epilogue, words, row_words),
                    };
                    self.write_rows(epilogue, &encoded, column_tasks, output);
                }
                numbers
            })
        };
        let size = rows * columns;
        let numbers = if threads == 1 {
            output.chunks_mut(size).enumerate().all(piece)
        } else {
            output.par_chunks_mut(size).enumerate().all(piece)
        };
        numbers.then_some(()).ok_or(NOT_A_NUMBER)
    }

    /// Groups of taps of one term.
    fn groups(&self) -> usize {
        self.weights.inner.div_ceil(E::PER_WORD)
    }

    /// Encodes some rows; returns whether all of their values are numbers.
    fn encode(
        &self,
        rows: Range<usize>,
        maps: &[ElementMap<P, E>],
        row_words: usize,
        words: &mut [i32],
        parallel: bool,
    ) -> bool {
        let (inner, groups) = (self.weights.inner, self.groups());
        let encode = |(tile, words): (usize, &mut [i32])| {
            let first = (rows.start + tile * ROWS) * inner;
            let length = words.len() / row_words * inner;
            let mut patterns = Vec::new();
            let patterns = self
                .source
                .patterns(self.set, first..first + length, &mut patterns);
            let Some(patterns) = patterns else {
                return false;
            };
            for (row, words) in words.chunks_mut(row_words).enumerate() {
                let patterns = &patterns[row * inner..][..inner];
                for (map, words) in maps.iter().zip(words.chunks_mut(groups.max(1))) {
                    let elements: &mut [E] = bytemuck::cast_slice_mut(words);
                    map.map_row(self.set, patterns, &mut elements[..inner]);
                    // Their weights are 0, but window sums take them as they are.
                    elements[inner..].fill(E::default());
                }
            }
            true
        };
        let size = ROWS * row_words;
        if parallel {
            words.par_chunks_mut(size).enumerate().all(encode)
        } else {
            words.chunks_mut(size).enumerate().all(encode)
        }
    }

    /// The offset and the sum of codes of every row.
    fn window_sums<S: Accumulator, F: Epilogue<S>>(
        &self,
        epilogue: &F,
        words: &[i32],
        row_words: usize,
    ) -> Vec<(S, S)> {
        let decomposition = &self.prepared.decomposition;
        let groups = self.groups();
        let sum = |parts: &[(usize, i64)], row: &[i32]| {
            let total = parts.iter().fold(0i64, |total, &(place, scale)| {
                let elements: &[E] = bytemuck::cast_slice(&row[place * groups..][..groups]);
                total.wrapping_add(scale.wrapping_mul(E::sum(self.set, elements)))
            });
            S::from_i64(total)
        };
        let codes: &[_] = match epilogue.takes_codes() {
            true => &decomposition.codes.parts,
            false => &[],
        };
        let rows = words.chunks(row_words);
        rows.map(|row| (sum(&decomposition.offsets.parts, row), sum(codes, row)))
            .collect()
    }

    /// Computes the outputs of encoded rows, their columns shared out among tasks.
    fn write_rows<S: Accumulator, F: Epilogue<S>>(
        &self,
        epilogue: &F,
        encoded: &Encoded<'_, S>,
        tasks: usize,
        output: &mut [MaybeUninit<F::Output>],
    ) {
        let columns = self.weights.columns;
        let blocks = columns.div_ceil(LANES);
        let tasks = tasks.min(blocks.div_ceil(BLOCKS));
        let mut rows: Vec<_> = output.chunks_mut(columns).collect();
        if tasks == 1 {
            return self.write_blocks(epilogue, encoded, 0..blocks, &mut rows);
        }
        let share = |task: usize| blocks * task / tasks..blocks * (task + 1) / tasks;
        let mut outputs: Vec<Vec<_>> = Vec::with_capacity(tasks);
        for task in 0..tasks {
            let length = share(task).len() * LANES;
            let part = rows.iter_mut().map(|row| {
                let length = length.min(row.len());
                row.split_off_mut(..length).expect("a part of the row")
            });
            outputs.push(part.collect());
        }
        outputs
            .par_iter_mut()
            .enumerate()
            .for_each(|(task, outputs)| self.write_blocks(epilogue, encoded, share(task), outputs));
    }

    /// Computes the outputs of encoded rows in some blocks of columns.
    fn write_blocks<S: Accumulator, F: Epilogue<S>>(
        &self,
        epilogue: &F,
        encoded: &Encoded<'_, S>,
        blocks: Range<usize>,
        outputs: &mut [&mut [MaybeUninit<F::Output>]],
    ) {
        let passes = self.prepared.passes(self.groups());
        let groups = self.prepared.decomposition.weights.len() * self.groups();
        let distances = Distances::new((0..groups).map(|group| group * LANES).collect());
        let mut sums = TileSums::<S>::new();
        let mut done = 0;
        // Shared out evenly, so that no block is left alone.
        let tiles = blocks.len().div_ceil(BLOCKS);
        for tile in 0..tiles {
            let first = blocks.start + blocks.len() * tile / tiles;
            let count = blocks.start + blocks.len() * (tile + 1) / tiles - first;
            for first_row in (0..outputs.len()).step_by(ROWS) {
                let outputs = &mut outputs[first_row..];
                let rows = ROWS.min(outputs.len());
                let operands = Operands {
                    words: match E::PER_WORD {
                        4 => Words::SignedLanes,
                        _ => Words::Pairs,
                    },
                    lanes: bytemuck::cast_slice(&self.weights.blocks),
                    origin: first * groups * LANES,
                    block: groups * LANES,
                    distances: &distances,
                    rows: encoded.words,
                    first: first_row * encoded.row_words,
                    row: encoded.row_words,
                    group: 1,
                };
                let sums = sums.compute(self.set, &operands, &passes, rows, count);
                let finish = FinishRows {
                    epilogue,
                    channel: first * LANES,
                    sums,
                    lanes: count * LANES,
                    window_sums: &encoded.window_sums[first_row..],
                    done,
                    outputs: PhantomData,
                };
                self.set.run(finish, outputs);
            }
            done += count * LANES;
        }
    }
}

/// Finishes a tile's sums and writes them to their rows, whose first columns are done.
struct FinishRows<'a, 'o, S, F> {
    epilogue: &'a F,
    /// The channel of the first column.
    channel: usize,
    sums: &'a [[S; WIDTH]],
    lanes: usize,
    window_sums: &'a [(S, S)],
    done: usize,
    outputs: PhantomData<&'o ()>,
}

impl<'o, S: Accumulator, F: Epilogue<S>> Kernel for FinishRows<'_, 'o, S, F>
where
    F::Output: 'o,
{
    type Target = [&'o mut [MaybeUninit<F::Output>]];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, outputs: &mut Self::Target) {
        let mut finished = [MaybeUninit::uninit(); WIDTH];
        let rows = self.sums.iter().zip(self.window_sums).zip(outputs);
        for ((sums, &(offset, codes)), output) in rows {
            let finish = FinishChannels {
                epilogue: self.epilogue,
                channel: self.channel,
                sums: &sums[..self.lanes],
                offset,
                codes,
            };
            let output = &mut output[self.done..];
            if let Some(output) = output.get_mut(..self.lanes) {
                instructions.compiled(finish, output);
            } else {
                // Beyond the last column.
                instructions.compiled(finish, &mut finished[..self.lanes]);
                output.copy_from_slice(&finished[..output.len()]);
            }
        }
    }
}

/// The words from one encoded row to the next: an odd number of cache lines, so that equal places of neighbouring rows
/// do not compete for the same lines of a cache.
fn row_words(words: usize) -> usize {
    (words.div_ceil(LANES) | 1) * LANES
}
