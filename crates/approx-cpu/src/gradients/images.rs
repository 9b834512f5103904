//! Products whose sums are the elements of images: the rows are channels, the columns positions of all images.
//!
//! Tasks take some rows of places of some channels. Every position of a row of places is one of as many of the image as
//! there are phases: places lie a stride apart, and a phase has the positions that are equally far from their place. Each
//! phase has its own part of the products.

use std::convert::Infallible;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::arch::InstructionSet;
use crate::written::written;

use super::operand::Coded;
use super::product::{COLUMNS, Left, Part, Right, Scratch, Sums, even_blocks, multiply};

/// The most rows of a task.
const ROWS: usize = 512;
/// The fewest rows that are worth packing the right matrix for once more.
const FEW_ROWS: usize = 56;
/// Tasks that keep a thread busy to the end.
const TASKS_PER_THREAD: usize = 4;

/// Images that are computed by products.
#[derive(Debug, Clone)]
pub(super) struct Images {
    pub(super) images: usize,
    pub(super) groups: usize,
    /// Of a group.
    pub(super) channels: usize,
    /// `[height, width]`
    pub(super) sides: [usize; 2],
    /// Distance between places along both axes.
    pub(super) stride: [usize; 2],
    pub(super) phases: Vec<Phase>,
}

/// Positions that are equally far from their place.
#[derive(Debug, Clone)]
pub(super) struct Phase {
    /// The first of them, `[row, column]`.
    pub(super) first: [usize; 2],
    /// Its part of the products.
    pub(super) depth: Range<usize>,
}

/// What one task computes.
struct Task<'a> {
    group: usize,
    /// Channels of the group.
    channels: Range<usize>,
    /// Rows of places, counted over all images.
    rows: Range<usize>,
    pieces: Vec<Piece<'a>>,
}

/// Neighbouring rows of a channel of an image, from the first of a row of places on.
struct Piece<'a> {
    channel: usize,
    /// The row of places that the first row lies in, counted from the task's first.
    row: usize,
    /// Where the first of the values lies in all images.
    place: usize,
    values: &'a mut [MaybeUninit<f32>],
}

impl Images {
    /// Places along both axes.
    pub(super) fn places(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.sides[axis].div_ceil(self.stride[axis]))
    }

    /// `[images, groups, channels, height, width]`, of which no side is 0, from the operands of every group. If coded
    /// activations are given, results are what becomes of them.
    pub(super) fn compute<'o>(
        &self,
        set: InstructionSet,
        operands: impl Fn(usize) -> (Left<'o>, Right<'o>) + Sync,
        coded: Option<Coded<'_>>,
    ) -> Vec<f32> {
        let sides = self.sides[0] * self.sides[1];
        let length = self.images * self.groups * self.channels * sides;
        let write = |to: &mut [MaybeUninit<f32>]| {
            self.write_all(set, operands, coded, to);
            Ok::<(), Infallible>(())
        };
        // SAFETY: every element is written.
        let Ok(values) = unsafe { written(length, write) };
        values
    }

    /// Writes every element.
    fn write_all<'o>(
        &self,
        set: InstructionSet,
        operands: impl Fn(usize) -> (Left<'o>, Right<'o>) + Sync,
        coded: Option<Coded<'_>>,
        to: &mut [MaybeUninit<f32>],
    ) {
        let [_, width] = self.places();
        // Positions of no phase get nothing.
        if self.phases.len() < self.stride[0].min(self.sides[0]) * self.stride[1].min(self.sides[1])
        {
            to.fill(MaybeUninit::new(0.0));
        }
        let depth = self.phases.iter().map(|phase| phase.depth.end).max();
        let depth = depth.unwrap_or(0);
        self.tasks(to).into_par_iter().for_each_init(
            || (Scratch::default(), Sums::default()),
            |(scratch, sums), mut task| {
                let (left, right) = operands(task.group);
                scratch.forget();
                for phase in &self.phases {
                    let part = Part {
                        rows: task.channels.clone(),
                        columns: task.rows.start * width..task.rows.end * width,
                        depth: phase.depth.clone(),
                    };
                    multiply(set, left, right, 0..depth, &part, scratch, sums);
                    for piece in &mut task.pieces {
                        let row = piece.channel - task.channels.start;
                        let values = &sums.values[row * sums.pitch..];
                        self.write(phase, values, sums.places.as_deref(), piece);
                    }
                }
                if let Some(coded) = coded {
                    for piece in &mut task.pieces {
                        // SAFETY: the phases have written all of it, or it was filled before.
                        let values = unsafe { piece.values.assume_init_mut() };
                        coded.apply(set, piece.place, values);
                    }
                }
            },
        );
    }

    /// Cuts the images into tasks.
    fn tasks<'a>(&self, to: &'a mut [MaybeUninit<f32>]) -> Vec<Task<'a>> {
        let [height, width] = self.places();
        let all_rows = self.images * height;
        let rows = (COLUMNS / width).max(1);
        let row_parts = all_rows.div_ceil(rows);
        let threads = rayon::current_num_threads();
        let wanted = match threads {
            1 => 1,
            _ => (TASKS_PER_THREAD * threads).div_ceil(row_parts * self.groups),
        };
        let wanted = wanted.min(self.channels.div_ceil(FEW_ROWS));
        let channel_parts = wanted.max(self.channels.div_ceil(ROWS));
        let channels = even_blocks(0..self.channels, self.channels.div_ceil(channel_parts));
        let mut tasks = Vec::new();
        for group in 0..self.groups {
            for channels in channels.clone() {
                for part in 0..row_parts {
                    tasks.push(Task {
                        group,
                        channels: channels.clone(),
                        rows: part * rows..all_rows.min((part + 1) * rows),
                        pieces: Vec::new(),
                    });
                }
            }
        }
        let plane = self.sides[0] * self.sides[1];
        let mut planes = to.chunks_exact_mut(plane);
        let mut place = 0;
        for image in 0..self.images {
            let mut first_task = 0;
            for _ in 0..self.groups {
                for channels in channels.clone() {
                    for (channel, mut values) in channels.zip(planes.by_ref()) {
                        let mut row = 0;
                        while row < height {
                            let part = (image * height + row) / rows;
                            let end = height.min((part + 1) * rows - image * height);
                            let lines =
                                (end * self.stride[0]).min(self.sides[0]) - row * self.stride[0];
                            let (piece, rest) = values.split_at_mut(lines * self.sides[1]);
                            values = rest;
                            tasks[first_task + part].pieces.push(Piece {
                                channel,
                                row: image * height + row - part * rows,
                                place,
                                values: piece,
                            });
                            place += lines * self.sides[1];
                            row = end;
                        }
                    }
                    first_task += row_parts;
                }
            }
        }
        tasks
    }

    /// Writes a row of a phase's sums to where they belong. `starts` says where in it the sums of every row of places
    /// begin; without it they lie side by side.
    fn write(&self, phase: &Phase, sums: &[f32], starts: Option<&[usize]>, piece: &mut Piece<'_>) {
        let [_, places] = self.places();
        let of_row = |row: usize| match starts {
            Some(starts) => starts[row],
            None => row * places,
        };
        if self.stride == [1, 1] {
            match starts {
                None => {
                    let length = piece.values.len();
                    let sums = &sums[of_row(piece.row)..];
                    piece.values.write_copy_of_slice(&sums[..length]);
                }
                Some(_) => {
                    let lines = piece.values.chunks_exact_mut(places);
                    for (row, line) in (piece.row..).zip(lines) {
                        line.write_copy_of_slice(&sums[of_row(row)..][..places]);
                    }
                }
            }
            return;
        }
        let lines = piece.values.chunks_exact_mut(self.sides[1]);
        let lines = lines.skip(phase.first[0]).step_by(self.stride[0]);
        for (row, line) in (piece.row..).zip(lines) {
            let line = line[phase.first[1]..].iter_mut().step_by(self.stride[1]);
            for (to, sum) in line.zip(&sums[of_row(row)..][..places]) {
                to.write(*sum);
            }
        }
    }
}
