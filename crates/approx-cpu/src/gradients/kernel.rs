//! The innermost part of products of float32 matrices: a packed block of one times blocks of the other.
//!
//! A block of the left matrix lies row after row, so that packing it is copying. Its elements are taken one by one, as
//! factors of whole vectors of the right matrix, whose columns lie 16 by 16, wherever that is.

use bytemuck::{must_cast_mut, must_cast_ref};

use crate::arch::{Instructions, Kernel, LANES, Row};
use crate::word::CODES;

/// Products per sum that a packed block holds at most. It is the length of the lines that instruction sets transpose.
pub(super) const DEPTH: usize = CODES;

/// Rows from one block of columns to the next: one more than it has, lest rows of all of them share a set of the cache.
pub(super) const BLOCK: usize = DEPTH + 1;

/// Multiplies packed rows with blocks, and adds the products to a matrix with these rows.
pub(super) struct MultiplyBlocks<'a> {
    /// Rows of the left matrix.
    pub(super) left: &'a [[f32; DEPTH]],
    /// Where the right matrix lies.
    pub(super) right: &'a [f32],
    /// Where its rows begin, as many as there are products per sum.
    pub(super) rows: &'a [usize],
    /// Where its blocks of columns begin in every row.
    pub(super) blocks: &'a [usize],
    /// From one row of the sums to the next, a multiple of [`LANES`].
    pub(super) pitch: usize,
    /// Whether the products are the first ones: what the sums are before them has no meaning.
    pub(super) first: bool,
}

impl Kernel for MultiplyBlocks<'_> {
    type Target = [f32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, sums: &mut [f32]) {
        let rows = self.left.len();
        // Rows are cut evenly, so that no panel is so low that its few sums wait for each other.
        let panels = rows.div_ceil(I::FLOAT_TILE[0]);
        let mut first = 0;
        for panel in 0..panels {
            let height = (rows - first).div_ceil(panels - panel);
            match height {
                1 => self.panel::<I, 1>(instructions, first, sums),
                2 => self.panel::<I, 2>(instructions, first, sums),
                3 => self.panel::<I, 3>(instructions, first, sums),
                4 => self.panel::<I, 4>(instructions, first, sums),
                5 => self.panel::<I, 5>(instructions, first, sums),
                6 => self.panel::<I, 6>(instructions, first, sums),
                7 => self.panel::<I, 7>(instructions, first, sums),
                8 => self.panel::<I, 8>(instructions, first, sums),
                9 => self.panel::<I, 9>(instructions, first, sums),
                10 => self.panel::<I, 10>(instructions, first, sums),
                11 => self.panel::<I, 11>(instructions, first, sums),
                12 => self.panel::<I, 12>(instructions, first, sums),
                13 => self.panel::<I, 13>(instructions, first, sums),
                14 => self.panel::<I, 14>(instructions, first, sums),
                _ => unreachable!("a panel of {height} rows"),
            }
            first += height;
        }
    }
}

impl MultiplyBlocks<'_> {
    /// Multiplies some rows, of which there are at most as many as the set's tiles have.
    #[inline(always)]
    fn panel<I: Instructions, const ROWS: usize>(
        &self,
        instructions: I,
        first: usize,
        sums: &mut [f32],
    ) {
        if ROWS > I::FLOAT_TILE[0] {
            return;
        }
        let left = self.left[first..]
            .first_chunk::<ROWS>()
            .expect("the panel's rows");
        let sums = &mut sums[first * self.pitch..];
        let mut done = 0;
        if I::FLOAT_TILE[1] == 2 {
            for pair in self.blocks.as_chunks::<2>().0 {
                self.tile(instructions, left, *pair, &mut sums[done * LANES..]);
                done += 2;
            }
        }
        for block in &self.blocks[done..] {
            self.tile(instructions, left, [*block], &mut sums[done * LANES..]);
            done += 1;
        }
    }

    #[inline(always)]
    fn tile<I: Instructions, const ROWS: usize, const BLOCKS: usize>(
        &self,
        instructions: I,
        left: &[[f32; DEPTH]; ROWS],
        blocks: [usize; BLOCKS],
        sums: &mut [f32],
    ) {
        let zero = instructions.splat(0);
        let mut totals = [[zero; BLOCKS]; ROWS];
        for (k, &start) in self.rows.iter().enumerate().take(DEPTH) {
            let mut columns = [zero; BLOCKS];
            for (columns, block) in columns.iter_mut().zip(blocks) {
                let elements = self.right[start + block..].first_chunk::<LANES>();
                *columns = instructions.load(must_cast_ref(elements.expect("whole blocks")));
            }
            for (totals, row) in totals.iter_mut().zip(left) {
                let element = instructions.splat(row[k].to_bits() as i32);
                for (total, &columns) in totals.iter_mut().zip(&columns) {
                    *total = instructions.add_float_products(*total, element, columns);
                }
            }
        }
        let one = instructions.splat(1f32.to_bits() as i32);
        for (row, totals) in totals.into_iter().enumerate() {
            for (block, mut total) in totals.into_iter().enumerate() {
                let to = sums[row * self.pitch + block * LANES..].first_chunk_mut::<LANES>();
                let to: &mut [i32; LANES] = must_cast_mut(to.expect("sums of whole blocks"));
                if !self.first {
                    total = instructions.add_float_products(instructions.load(to), total, one);
                }
                instructions.store(total, to);
            }
        }
    }
}

/// Transposes 16 lines: a row of the target has those elements of all of them that lie at one place.
pub(super) struct TransposeLines<'a>(pub(super) &'a [[f32; DEPTH]; LANES]);

impl Kernel for TransposeLines<'_> {
    type Target = [Row];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, rows: &mut [Row]) {
        let mut lines: [&[u32; DEPTH]; LANES] = [&[0; DEPTH]; LANES];
        for (line, from) in lines.iter_mut().zip(self.0) {
            *line = must_cast_ref(from);
        }
        for (group, rows) in rows.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            instructions.transpose_wide(&lines, group, rows);
        }
    }
}
