//! Operands of products as lines of elements: planes of images as they lie, or what windows see of them.
//!
//! A convolution is a matrix product whose one operand has an element for every place of a window and every tap. It
//! never exists as a whole: blocks of it are copied out of planes with the border around them that windows reach into.

use std::ops::Range;

use crate::arch::{InstructionSet, Instructions, Kernel, LANES};

use super::operand::{FloatOperand, Map};
use super::runs::{Prepared, Run, copy_run};
use super::windows::Windows;

/// Lines that blocks of an operand are copied from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lines<'a> {
    /// As they lie.
    Planes(Planes<'a>),
    /// What the taps of windows see.
    Windows(&'a Windows<'a>),
}

/// A line for each of some channels: its planes of all images, one after the other. A matrix is one image, whose
/// channels are the rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planes<'a> {
    /// `[images, channels, plane]`
    pub(super) values: FloatOperand<'a>,
    /// Of an image, those that have no line included.
    pub(super) channels: usize,
    /// Elements of a plane, at least 1.
    pub(super) plane: usize,
    /// The channel that the first line is of.
    pub(super) first_channel: usize,
}

/// Where copies of lines go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// From one line to the next.
    pub(super) pitch: usize,
    /// If every 16 elements lie apart from the next, how far that is.
    pub(super) block: Option<usize>,
}

impl<'a> Lines<'a> {
    /// What windows see, without a copy where that is the planes as they are.
    pub(super) fn of(windows: &'a Windows<'a>) -> Self {
        match windows.is_plain() {
            false => Lines::Windows(windows),
            true => Lines::Planes(Planes {
                values: windows.values,
                channels: windows.channels,
                plane: windows.plane(),
                first_channel: windows.group.start,
            }),
        }
    }

    /// Makes some elements of some lines ready. What was prepared by other `Lines` is to be forgotten before.
    pub(super) fn prepare(
        &self,
        set: InstructionSet,
        lines: Range<usize>,
        elements: Range<usize>,
        prepared: &mut Prepared,
    ) {
        if prepared.lines == lines && prepared.elements == elements {
            return;
        }
        prepared.offsets.clear();
        match self {
            Lines::Planes(planes) => {
                let channels = lines.clone().map(|line| planes.first_channel + line);
                let offsets = channels.map(|channel| Some(channel * planes.plane));
                prepared.offsets.extend(offsets);
            }
            Lines::Windows(windows) => {
                windows.prepare(set, lines.clone(), elements.clone(), prepared);
            }
        }
        prepared.lines = lines;
        prepared.elements = elements;
    }

    /// Copies some elements of some lines that are prepared to the places that `to` has for them.
    pub(super) fn copy(
        &self,
        set: InstructionSet,
        lines: Range<usize>,
        elements: Range<usize>,
        prepared: &mut Prepared,
        places: Places,
        to: &mut [f32],
    ) {
        prepared.runs.clear();
        let (values, map) = match self {
            Lines::Planes(planes) => {
                planes.runs(elements, &mut prepared.runs);
                (planes.values.values(), planes.values.map())
            }
            Lines::Windows(windows) => {
                let of = prepared.elements.clone();
                windows.runs(of, elements, &mut prepared.runs);
                // They were mapped when they were prepared.
                (&prepared.bordered[..], Map::None)
            }
        };
        prepared.cut.clear();
        match places.block {
            Some(block) => {
                let cut = prepared.runs.iter().flat_map(|run| run.cut(block));
                prepared.cut.extend(cut);
            }
            None => {
                let cut = prepared.runs.iter().flat_map(|run| run.vectors());
                prepared.cut.extend(cut);
            }
        }
        let first = prepared.lines.start;
        let copy = CopyLines {
            values,
            offsets: &prepared.offsets[lines.start - first..lines.end - first],
            runs: &prepared.cut,
            pitch: places.pitch,
            map,
        };
        set.run(copy, to);
    }
}

impl Planes<'_> {
    fn runs(&self, elements: Range<usize>, runs: &mut Vec<Run>) {
        let mut next = elements.start;
        while next < elements.end {
            let (image, place) = (next / self.plane, next % self.plane);
            let length = (self.plane - place).min(elements.end - next);
            let run = Run {
                to: next - elements.start,
                from: image * self.channels * self.plane + place,
                length,
            };
            run.join(runs);
            next += length;
        }
    }
}

/// Copies runs of lines, of 16 elements at most, each to its own part of the target.
struct CopyLines<'a> {
    values: &'a [f32],
    offsets: &'a [Option<usize>],
    runs: &'a [Run],
    /// From one line in the target to the next.
    pitch: usize,
    map: Map<'a>,
}

impl Kernel for CopyLines<'_> {
    type Target = [f32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I, to: &mut [f32]) {
        match self.map {
            Map::None => self.copy(to, |value| value),
            Map::Real(quantizer) => self.copy(to, |value| quantizer.fake_quantized(value)),
            Map::Function(quantizer, function) => {
                self.copy(to, |value| quantizer.function(value, function));
            }
        }
    }
}

impl CopyLines<'_> {
    #[inline(always)]
    fn copy(&self, to: &mut [f32], map: impl Fn(f32) -> f32 + Copy) {
        for (line, offset) in self.offsets.iter().enumerate() {
            let to = &mut to[line * self.pitch..];
            let Some(offset) = *offset else {
                for run in self.runs {
                    to[run.to..][..run.length].fill(0.0);
                }
                continue;
            };
            let from = &self.values[offset..];
            for run in self.runs {
                // All but the last of the last line have room for a vector: what lies after them is overwritten.
                let whole = from
                    .get(run.from..run.from + LANES)
                    .and_then(<[f32]>::first_chunk::<LANES>);
                let place = to
                    .get_mut(run.to..run.to + LANES)
                    .and_then(<[f32]>::first_chunk_mut::<LANES>);
                match (whole, place) {
                    (Some(from), Some(to)) => *to = std::array::from_fn(|lane| map(from[lane])),
                    _ => copy_run(&from[run.from..], run.length, &mut to[run.to..], map),
                }
            }
        }
    }
}
