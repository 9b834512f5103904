//! Products whose sums are a weight: they run over all positions of all images, or all rows of a batch.
//!
//! So long sums are cut into parts for several threads. How many there are depends on the sizes only, and they are added
//! in order: results do not depend on the number of threads. What else is cut changes no sum.

use std::ops::Range;

use rayon::prelude::*;

use crate::arch::{InstructionSet, LANES};
use crate::parallel::PRODUCTS_PER_TASK;

use super::kernel::DEPTH;
use super::product::{Left, Part, Right, Scratch, Sums, even_blocks, multiply};

/// The most parts of a sum.
const PARTS: usize = 16;
/// The most sums that all parts together hold beside the result.
const SUMS: usize = 1 << 20;
/// The fewest rows that are worth packing the right matrix for once more.
const FEW_ROWS: usize = 56;
/// Tasks that keep a thread busy to the end.
const TASKS_PER_THREAD: usize = 4;

/// A weight of some groups, computed by products.
#[derive(Debug, Clone)]
pub(super) struct Weight {
    pub(super) groups: usize,
    /// Rows of a group's product.
    pub(super) rows: usize,
    /// Columns of a group's product.
    pub(super) columns: usize,
    /// Products per sum.
    pub(super) depth: usize,
    /// How many rows of one column lie side by side in the weight: `[groups, rows / run, columns, run]`.
    pub(super) run: usize,
}

impl Weight {
    /// The weight, of which no side is 0, from the operands of every group.
    pub(super) fn compute<'o>(
        &self,
        set: InstructionSet,
        operands: impl Fn(usize) -> (Left<'o>, Right<'o>) + Sync,
    ) -> Vec<f32> {
        let mut to = vec![0.0; self.groups * self.rows * self.columns];
        let depths: Vec<_> =
            even_blocks(0..self.depth, self.depth.div_ceil(self.parts()).max(1)).collect();
        let threads = rayon::current_num_threads();
        let wanted = match threads {
            1 => 1,
            _ => (TASKS_PER_THREAD * threads).div_ceil(self.groups * depths.len().max(1)),
        };
        let wanted = wanted.min(self.rows.div_ceil(FEW_ROWS));
        let rows: Vec<_> = even_blocks(0..self.rows, self.rows.div_ceil(wanted)).collect();
        let tasks = self.groups * rows.len() * depths.len();
        let tiles: Vec<Sums> = (0..tasks)
            .into_par_iter()
            .map_init(Scratch::default, |scratch, task| {
                let (task, depth) = (task / depths.len(), task % depths.len());
                let (group, rows) = (task / rows.len(), rows[task % rows.len()].clone());
                let part = self.part(rows, depths[depth].clone());
                let (left, right) = operands(group);
                let mut sums = Sums::default();
                scratch.forget();
                multiply(
                    set,
                    left,
                    right,
                    part.depth.clone(),
                    &part,
                    scratch,
                    &mut sums,
                );
                sums
            })
            .collect();
        let group_length = self.rows * self.columns;
        let tiles = |group: usize, row_part: usize| {
            let first = (group * rows.len() + row_part) * depths.len();
            &tiles[first..first + depths.len()]
        };
        // A task writes some columns of a run. Where runs are short, these are all of them.
        let columns = match self.run == self.rows {
            true => LANES.min(self.columns),
            false => self.columns,
        };
        to.par_chunks_exact_mut(group_length)
            .enumerate()
            .for_each(|(group, to)| {
                let runs = to.par_chunks_exact_mut(self.columns * self.run).enumerate();
                runs.for_each(|(run, to)| {
                    let parts = to.par_chunks_mut(columns * self.run).enumerate();
                    parts.for_each(|(part, to)| {
                        let first = [run * self.run, part * columns];
                        for (row_part, rows) in rows.iter().enumerate() {
                            let part = self.part(rows.clone(), 0..0);
                            let start = rows.start.max(first[0]);
                            let end = rows.end.min(first[0] + self.run);
                            for block in even_blocks(start..end.max(start), LANES) {
                                self.add_up(tiles(group, row_part), &part, block, first, to);
                            }
                        }
                    });
                });
            });
        to
    }

    fn part(&self, rows: Range<usize>, depth: Range<usize>) -> Part {
        Part {
            rows,
            columns: 0..self.columns,
            depth,
        }
    }

    /// The parts of every sum.
    fn parts(&self) -> usize {
        let sums = self.groups * self.rows * self.columns;
        let worthwhile =
            (sums.saturating_mul(self.depth) / PRODUCTS_PER_TASK).min(self.depth / DEPTH);
        worthwhile.min(PARTS).min(SUMS / sums).max(1)
    }

    /// Adds the parts of some rows' sums, and writes them column by column from the first row and column of `to` on.
    fn add_up(
        &self,
        tiles: &[Sums],
        part: &Part,
        rows: Range<usize>,
        [first_row, first_column]: [usize; 2],
        to: &mut [f32],
    ) {
        for (column, to) in (first_column..).zip(to.chunks_exact_mut(self.run)) {
            let to = &mut to[rows.start - first_row..rows.end - first_row];
            let row = rows.start - part.rows.start;
            for (row, to) in (row..).zip(to) {
                let mut parts = tiles
                    .iter()
                    .map(|tile| tile.values[row * tile.pitch + column]);
                let first = parts.next().unwrap_or(0.0);
                *to = parts.fold(first, |sum, part| sum + part);
            }
        }
    }
}
