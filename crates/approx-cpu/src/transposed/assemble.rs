//! The outputs of all phases, put between each other.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::Phase;
use crate::arch::{InstructionSet, compiled_for_every_set};
use crate::parallel::CHUNK;
use crate::shapes::ConvTranspose2dShape;
use crate::written::written;

/// The output of a valid shape, `[batch, out_channels, height, width]`, from what `compute` gives for some images of a
/// phase: the ordinary convolution's output. `images` are computed at a time. Outputs of phases without taps are the
/// default.
pub(crate) fn assemble<T: Copy + Default + Send + Sync, E: Send>(
    set: InstructionSet,
    shape: &ConvTranspose2dShape,
    phases: &[Vec<Phase>],
    images: usize,
    compute: impl Fn(&Phase, Range<usize>) -> Result<Vec<T>, E> + Sync,
) -> Result<Vec<T>, E> {
    let plane: usize = shape.output().iter().product();
    let image = shape.out_channels * plane;
    let length = shape.batch * image;
    let run = |(index, output): (usize, &mut [MaybeUninit<T>])| {
        let first = index * images;
        let images = first..first + output.len() / image;
        if !is_complete(shape, phases) {
            output.fill(MaybeUninit::new(T::default()));
        }
        for neighbours in phases {
            let parts = neighbours
                .iter()
                .map(|phase| compute(phase, images.clone()));
            let parts: Vec<Vec<T>> = parts.collect::<Result<_, E>>()?;
            interleave(set, shape, neighbours, &parts, output);
        }
        Ok(())
    };
    // SAFETY: the tasks share out all outputs, and a task fills all of its own with the default unless every position
    // of a plane belongs to one of the phases, whose outputs `interleave` writes.
    unsafe {
        written(length, |output| match length {
            0 => Ok(()),
            _ => output
                .par_chunks_mut(images * image)
                .enumerate()
                .try_for_each(run),
        })
    }
}

/// Whether every position of the output belongs to one of the phases, no two of which share one.
fn is_complete(shape: &ConvTranspose2dShape, phases: &[Vec<Phase>]) -> bool {
    let positions = phases.iter().flatten().map(|phase| {
        let [rows, columns] = &phase.axes;
        rows.kept.len() * columns.kept.len()
    });
    positions.sum::<usize>() == shape.output().iter().product()
}

/// The part of a plane of an ordinary convolution's output that is kept.
#[derive(Clone, Copy)]
struct Part<'a, T> {
    values: &'a [T],
    /// From one row to the next.
    pitch: usize,
    columns: usize,
    /// Where the first column goes.
    first: usize,
}

impl<'a, T> Part<'a, T> {
    #[inline(always)]
    fn row(&self, row: usize) -> &'a [T] {
        &self.values[row * self.pitch..][..self.columns]
    }
}

/// Writes the rows of the output that some phases share, of as many images as `output` holds.
fn interleave<T: Copy + Send + Sync>(
    set: InstructionSet,
    shape: &ConvTranspose2dShape,
    neighbours: &[Phase],
    parts: &[Vec<T>],
    output: &mut [MaybeUninit<T>],
) {
    let [height, width] = shape.output();
    let rows = &neighbours[0].axes[0];
    output
        .par_chunks_exact_mut(height * width)
        .with_min_len((CHUNK / (height * width)).max(1))
        .enumerate()
        .for_each(|(plane, output)| {
            let parts: Vec<Part<'_, T>> = neighbours
                .iter()
                .zip(parts)
                .map(|(phase, values)| {
                    let [part_height, pitch] = phase.convolution.output();
                    let columns = &phase.axes[1];
                    let row = plane * part_height + rows.kept.start;
                    Part {
                        values: &values[row * pitch + columns.kept.start..],
                        pitch,
                        columns: columns.kept.len(),
                        first: columns.first,
                    }
                })
                .collect();
            let lines = Lines {
                first: rows.first,
                count: rows.kept.len(),
                strides: shape.stride,
                width,
            };
            match parts.as_slice() {
                [even, odd] if shape.stride[1] == 2 && even.first == 0 => {
                    zip_lines(set, lines, *even, *odd, output);
                }
                parts => {
                    for part in parts {
                        write_lines(set, lines, *part, output);
                    }
                }
            }
        });
}

/// The rows of a plane that some phases share.
#[derive(Clone, Copy)]
struct Lines {
    first: usize,
    count: usize,
    strides: [usize; 2],
    width: usize,
}

impl Lines {
    #[inline(always)]
    fn line<'o, T>(&self, row: usize, output: &'o mut [T]) -> &'o mut [T] {
        &mut output[(self.first + row * self.strides[0]) * self.width..][..self.width]
    }
}

compiled_for_every_set! {
    /// Writes two parts alternately.
    fn zip_lines<T: Copy>(set, lines: Lines, even: Part<'_, T>, odd: Part<'_, T>; output: &mut [MaybeUninit<T>]) {
        for row in 0..lines.count {
            let (pairs, last) = lines.line(row, output).as_chunks_mut::<2>();
            let (even, odd) = (even.row(row), odd.row(row));
            for ((pair, &even), &odd) in pairs.iter_mut().zip(even).zip(odd) {
                *pair = [MaybeUninit::new(even), MaybeUninit::new(odd)];
            }
            if let [last] = last {
                last.write(even[pairs.len()]);
            }
        }
    }
}

compiled_for_every_set! {
    /// Writes one part.
    fn write_lines<T: Copy>(set, lines: Lines, part: Part<'_, T>; output: &mut [MaybeUninit<T>]) {
        for row in 0..lines.count {
            let line = &mut lines.line(row, output)[part.first..];
            if lines.strides[1] == 1 {
                line[..part.columns].write_copy_of_slice(part.row(row));
                continue;
            }
            for (to, &from) in line.iter_mut().step_by(lines.strides[1]).zip(part.row(row)) {
                to.write(from);
            }
        }
    }
}
