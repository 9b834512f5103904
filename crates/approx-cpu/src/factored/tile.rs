//! The sums of a tile over all passes of a product.

use std::ops::Range;

use super::kernel::{LANES, Operands, ROWS, Tile, WIDTH, multiply};
use crate::accumulators::Accumulator;
use crate::arch::{InstructionSet, compiled_for_every_set};

/// Groups of taps whose sums have one scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupPass {
    pub(super) groups: Range<usize>,
    pub(super) scale: i64,
    /// As many groups always have a sum that fits in 32 bits.
    pub(super) exact_groups: usize,
}

impl GroupPass {
    /// The groups, in parts whose sums are exact where they have to be: modulo 2^32, all groups are one part.
    pub(super) fn parts<S: Accumulator>(&self) -> impl Iterator<Item = Range<usize>> {
        let Range { start, end } = self.groups;
        let together = if S::WIDE {
            self.exact_groups
        } else {
            end - start
        };
        let parts = (start..end).step_by(together.max(1));
        parts.map(move |first| first..end.min(first.saturating_add(together)))
    }
}

/// The sums of a tile in their final width, and what they are computed in.
pub(super) struct TileSums<S> {
    tile: Tile,
    totals: [[S; WIDTH]; ROWS],
}

impl<S: Accumulator> TileSums<S> {
    pub(super) fn new() -> Self {
        TileSums {
            tile: Tile::ZERO,
            totals: [[S::default(); WIDTH]; ROWS],
        }
    }

    /// The sums of some rows and blocks of lanes over all passes: modulo 2^32 in 32 bits, exactly in 64.
    pub(super) fn compute(
        &mut self,
        set: InstructionSet,
        operands: &Operands<'_>,
        passes: &[GroupPass],
        rows: usize,
        blocks: usize,
    ) -> &mut [[S; WIDTH]] {
        let lanes = blocks * LANES;
        if let [
            GroupPass {
                groups, scale: 1, ..
            },
        ] = passes
            && !S::WIDE
        {
            multiply(set, operands, groups.clone(), rows, blocks, &mut self.tile);
            return &mut bytemuck::cast_slice_mut(&mut self.tile.0)[..rows];
        }
        for totals in &mut self.totals[..rows] {
            totals[..lanes].fill(S::default());
        }
        for pass in passes {
            for groups in pass.parts::<S>() {
                multiply(set, operands, groups, rows, blocks, &mut self.tile);
                let scale = S::from_i64(pass.scale);
                add_scaled_rows(set, scale, &self.tile.0[..rows], lanes, &mut self.totals);
            }
        }
        &mut self.totals[..rows]
    }
}

compiled_for_every_set! {
    /// Adds to the first totals of every row their sums times a scale.
    fn add_scaled_rows<S: Accumulator>(
        set,
        scale: S,
        sums: &[[i32; WIDTH]],
        lanes: usize;
        totals: &mut [[S; WIDTH]],
    ) {
        for (totals, sums) in totals.iter_mut().zip(sums) {
            for (total, &sum) in totals[..lanes].iter_mut().zip(&sums[..lanes]) {
                *total = total.plus(scale.times(S::from_i64(sum.into())));
            }
        }
    }
}

compiled_for_every_set! {
    /// Adds to every total its sum times a scale.
    pub(super) fn add_scaled<S: Accumulator>(set, scale: S, sums: &[i32]; totals: &mut [S]) {
        for (total, &sum) in totals.iter_mut().zip(sums) {
            *total = total.plus(scale.times(S::from_i64(sum.into())));
        }
    }
}
