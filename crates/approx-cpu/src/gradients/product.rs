//! A product of float32 matrices, block by block.
//!
//! Blocks of both are packed for the innermost loops: of the right matrix, those products that all rows share; of the
//! left one, as many rows as stay in the second-level cache beside them. A right matrix of what windows see is not
//! packed if too few rows would gain from it: its blocks are taken from the planes with their border. Every sum runs
//! over its products in order, from one block to the next, however the matrix of sums is cut.

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};

use crate::arch::{InstructionSet, LANES, Row};

use super::kernel::{BLOCK, DEPTH, MultiplyBlocks, TransposeLines};
use super::lines::{Lines, Places};
use super::runs::Prepared;
use super::windows::Blocks;

/// Columns of a packed block.
pub(super) const COLUMNS: usize = 512;
/// Rows of a packed block, at most [`DEPTH`].
const ROWS: usize = 252;

/// How many rows' products of 16 columns take as long as packing these columns.
const PACKING: usize = 12;

/// Blocks of products per sum that windows are copied for at once, and the most rows for which they are.
const AHEAD: usize = 4;
const ROWS_AHEAD: usize = 1024;

/// How lines are packed for the left matrix, or to be transposed.
const ROW_BY_ROW: Places = Places {
    pitch: DEPTH,
    block: None,
};

/// The left matrix of a product: `[rows, depth]`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left<'a> {
    /// Lines are rows.
    Rows(Lines<'a>),
    /// Lines are columns.
    Columns(Lines<'a>),
}

/// The right matrix of a product: `[depth, columns]`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Right<'a> {
    /// Lines are rows.
    Rows(Lines<'a>),
    /// Lines are columns.
    Columns(Lines<'a>),
}

/// Room for blocks.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    left: Vec<[f32; DEPTH]>,
    left_lines: Prepared,
    right: Vec<Row>,
    right_lines: Prepared,
    /// Lines to be transposed, and what they become.
    lines: Vec<[f32; DEPTH]>,
    transposed: Vec<Row>,
    /// Where rows and blocks of the right matrix begin.
    right_rows: Vec<usize>,
    right_blocks: Vec<usize>,
}

/// The sums of a part.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// `[rows, pitch]`
    pub(super) values: Vec<f32>,
    /// From one row to the next.
    pub(super) pitch: usize,
    /// If columns do not lie side by side, where the columns of each row of places begin.
    pub(super) places: Option<Vec<usize>>,
}

impl Scratch {
    /// Forgets what was prepared of other operands.
    pub(super) fn forget(&mut self) {
        self.left_lines.forget();
        self.right_lines.forget();
    }
}

/// A part of a product.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    pub(super) depth: Range<usize>,
}

/// Computes a part of a product. `lines` are all that the right matrix has, if its lines are rows.
pub(super) fn multiply(
    set: InstructionSet,
    left: Left<'_>,
    right: Right<'_>,
    lines: Range<usize>,
    part: &Part,
    scratch: &mut Scratch,
    sums: &mut Sums,
) {
    let in_place = in_place(set, right, &lines, part, scratch);
    let columns = match &in_place {
        Some(blocks) => blocks.starts.len() * LANES,
        None => part.columns.len(),
    };
    let pitch = columns.next_multiple_of(LANES);
    sums.pitch = pitch;
    sums.values.resize(part.rows.len() * pitch, 0.0);
    if part.depth.is_empty() {
        sums.values.fill(0.0);
    }
    let one_block = part.rows.len() <= ROWS;
    for depth in blocks(part.depth.clone(), DEPTH) {
        if one_block {
            pack_left(set, left, part, part.rows.clone(), depth.clone(), scratch);
        }
        for columns in blocks(0..columns, COLUMNS) {
            let first_column = columns.start;
            scratch.right_rows.clear();
            scratch.right_blocks.clear();
            match &in_place {
                Some(blocks) => {
                    let rows = depth.start - lines.start..depth.end - lines.start;
                    let rows = scratch.right_lines.offsets[rows].iter();
                    scratch.right_rows.extend(rows.flatten());
                    let part = columns.start / LANES..columns.end / LANES;
                    scratch.right_blocks.extend(&blocks.starts[part]);
                }
                None => {
                    let columns =
                        part.columns.start + columns.start..part.columns.start + columns.end;
                    let blocks = columns.len().div_ceil(LANES);
                    pack_right(set, right, &lines, part, depth.clone(), columns, scratch);
                    let rows = (0..depth.len()).map(|row| row * LANES);
                    scratch.right_rows.extend(rows);
                    let blocks = (0..blocks).map(|block| block * BLOCK * LANES);
                    scratch.right_blocks.extend(blocks);
                }
            }
            for rows in even_blocks(part.rows.clone(), ROWS) {
                let first_row = rows.start - part.rows.start;
                if !one_block {
                    pack_left(set, left, part, rows, depth.clone(), scratch);
                }
                let multiply = MultiplyBlocks {
                    left: &scratch.left,
                    right: match in_place {
                        Some(_) => &scratch.right_lines.bordered,
                        None => cast_slice(&scratch.right),
                    },
                    rows: &scratch.right_rows,
                    blocks: &scratch.right_blocks,
                    pitch,
                    first: depth.start == part.depth.start,
                };
                set.run(
                    multiply,
                    &mut sums.values[first_row * pitch + first_column..],
                );
            }
        }
    }
    sums.places = in_place.map(|blocks| blocks.rows);
}

/// The blocks of a right matrix that is not worth packing: of what windows see in whole rows of places.
fn in_place(
    set: InstructionSet,
    right: Right<'_>,
    lines: &Range<usize>,
    part: &Part,
    scratch: &mut Scratch,
) -> Option<Blocks> {
    let Right::Rows(all @ Lines::Windows(windows)) = right else {
        return None;
    };
    let blocks = windows.blocks(&part.columns);
    let more = blocks.starts.len() * LANES - part.columns.len();
    if more * part.rows.len() > PACKING * part.columns.len() {
        return None;
    }
    all.prepare(
        set,
        lines.clone(),
        part.columns.clone(),
        &mut scratch.right_lines,
    );
    let see = scratch.right_lines.offsets.iter().all(Option::is_some);
    see.then_some(blocks)
}

/// Cuts a range into blocks of a length and what remains.
fn blocks(range: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = range.clone().step_by(length);
    starts.map(move |start| start..range.end.min(start + length))
}

/// Cuts a range into as few blocks as that gives, of about the same length.
pub(super) fn even_blocks(
    range: Range<usize>,
    length: usize,
) -> impl Iterator<Item = Range<usize>> + Clone {
    let (count, parts) = (range.len(), range.len().div_ceil(length));
    (0..parts).map(move |part| {
        range.start + part * count / parts..range.start + (part + 1) * count / parts
    })
}

fn pack_left(
    set: InstructionSet,
    left: Left<'_>,
    part: &Part,
    rows: Range<usize>,
    depth: Range<usize>,
    scratch: &mut Scratch,
) {
    let Scratch {
        left: packed,
        left_lines: prepared,
        ..
    } = scratch;
    packed.resize(rows.len(), [0.0; DEPTH]);
    match left {
        Left::Rows(lines) => {
            let ahead = match part.rows.len() <= ROWS_AHEAD {
                true => AHEAD * DEPTH,
                false => DEPTH,
            };
            let start = depth.start - (depth.start - part.depth.start) % ahead;
            let elements = start..part.depth.end.min(start + ahead);
            lines.prepare(set, part.rows.clone(), elements, prepared);
            lines.copy(
                set,
                rows,
                depth,
                prepared,
                ROW_BY_ROW,
                packed.as_flattened_mut(),
            );
        }
        Left::Columns(lines) => {
            lines.prepare(set, part.depth.clone(), part.rows.clone(), prepared);
            for depth_lines in blocks(depth.clone(), LANES) {
                let first = depth_lines.start - depth.start;
                let transposed = transpose(
                    set,
                    lines,
                    depth_lines,
                    rows.clone(),
                    prepared,
                    &mut scratch.lines,
                    &mut scratch.transposed,
                );
                for (row, transposed) in packed.iter_mut().zip(transposed) {
                    row[first..first + LANES]
                        .copy_from_slice(&bytemuck::must_cast::<_, [f32; LANES]>(transposed.0));
                }
            }
        }
    }
}

fn pack_right(
    set: InstructionSet,
    right: Right<'_>,
    all_lines: &Range<usize>,
    part: &Part,
    depth: Range<usize>,
    columns: Range<usize>,
    scratch: &mut Scratch,
) {
    let Scratch {
        right: packed,
        right_lines: prepared,
        ..
    } = scratch;
    packed.resize(columns.len().div_ceil(LANES) * BLOCK, Row::ZERO);
    match right {
        Right::Rows(lines) => {
            lines.prepare(set, all_lines.clone(), part.columns.clone(), prepared);
            let places = Places {
                pitch: LANES,
                block: Some(BLOCK * LANES),
            };
            let to = cast_slice_mut(packed);
            lines.copy(set, depth, columns, prepared, places, to);
        }
        Right::Columns(lines) => {
            lines.prepare(set, part.columns.clone(), depth.clone(), prepared);
            let columns = blocks(columns, LANES).zip(packed.chunks_exact_mut(BLOCK));
            for (columns, packed) in columns {
                let copied = &mut scratch.lines;
                copied.resize(LANES, [0.0; DEPTH]);
                let to = copied.as_flattened_mut();
                lines.copy(set, columns, depth.clone(), prepared, ROW_BY_ROW, to);
                let lines = copied.first_chunk().expect("room for the lines");
                set.run(
                    TransposeLines(lines),
                    &mut packed[..depth.len().next_multiple_of(8)],
                );
            }
        }
    }
}

/// Some elements of at most 16 lines: those of all lines that lie at one place, for every place.
fn transpose<'t>(
    set: InstructionSet,
    lines: Lines<'_>,
    which: Range<usize>,
    elements: Range<usize>,
    prepared: &mut Prepared,
    copied: &mut Vec<[f32; DEPTH]>,
    transposed: &'t mut Vec<Row>,
) -> &'t [Row] {
    copied.resize(LANES, [0.0; DEPTH]);
    transposed.resize(DEPTH, Row::ZERO);
    let count = elements.len();
    lines.copy(
        set,
        which,
        elements,
        prepared,
        ROW_BY_ROW,
        copied.as_flattened_mut(),
    );
    let lines = copied.first_chunk().expect("room for the lines");
    set.run(
        TransposeLines(lines),
        &mut transposed[..count.next_multiple_of(8)],
    );
    &transposed[..count]
}
