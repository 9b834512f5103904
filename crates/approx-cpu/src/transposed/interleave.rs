//! Outputs of several phases, put between each other.

use std::mem::MaybeUninit;

use super::phases::{Phases, RowPhases};
use crate::arch::{InstructionSet, compiled_for_every_set};

/// The values of phases that share their rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PhaseValues<'a, T> {
    pub(crate) values: &'a [MaybeUninit<T>],
    /// From one phase's values to the next one's.
    pub(crate) apart: usize,
    /// The first column of every phase.
    pub(crate) first_columns: &'a [usize],
    /// Columns from one value to the next.
    pub(crate) stride: usize,
}

/// Where neighbouring values of every phase are, and where they go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// The first value.
    pub(crate) from: usize,
    /// Its place in a row of the phase.
    pub(crate) place: usize,
    pub(crate) length: usize,
    /// The row's first output.
    pub(crate) line: usize,
}

compiled_for_every_set! {
    /// Writes runs to lines of a width; values beyond a line's end are dropped. Of the outputs between the first and
    /// the last value of a run, those of columns that belong to no phase are left as they are.
    pub(crate) fn interleave<T: Copy>(
        set,
        phases: PhaseValues<'_, T>,
        runs: &[Run],
        width: usize;
        output: &mut [MaybeUninit<T>],
    ) {
        let PhaseValues { values, apart, first_columns, stride } = phases;
        for run in runs {
            let first = run.place * stride;
            let end = width.min(first + run.length * stride);
            let line = &mut output[run.line..][first..end];
            let values = |phase: usize| &values[phase * apart + run.from..][..run.length];
            if stride == 2 && *first_columns == [0, 1] {
                alternate(values(0), values(1), line);
                continue;
            }
            for (phase, &column) in first_columns.iter().enumerate() {
                for (to, from) in line.iter_mut().skip(column).step_by(stride).zip(values(phase)) {
                    *to = *from;
                }
            }
        }
    }
}

/// Writes the values of phases that share their rows, `[phases, rows, columns]` of all places, to a plane of the
/// output.
pub(crate) fn interleave_planes<T: Copy>(
    set: InstructionSet,
    phases: &Phases,
    neighbours: &RowPhases,
    values: &[MaybeUninit<T>],
    output: &mut [MaybeUninit<T>],
) {
    let [rows, columns] = phases.places;
    let [height, width] = phases.output;
    let [row_stride, stride] = phases.stride;
    let lines = (neighbours.first_row..height).step_by(row_stride);
    let runs = lines.enumerate().map(|(row, line)| Run {
        from: row * columns,
        place: 0,
        length: columns,
        line: line * width,
    });
    let runs: Vec<Run> = runs.collect();
    let values = PhaseValues {
        values,
        apart: rows * columns,
        first_columns: &neighbours.first_columns,
        stride,
    };
    interleave(set, values, &runs, width, output);
}

/// Writes values of two phases alternately, as many as there is room for.
#[inline(always)]
fn alternate<T: Copy>(
    even: &[MaybeUninit<T>],
    odd: &[MaybeUninit<T>],
    line: &mut [MaybeUninit<T>],
) {
    /// Values of a phase that are shuffled together.
    const TOGETHER: usize = 8;
    let (pairs, last) = line.as_chunks_mut::<2>();
    let (blocks, rest) = pairs.as_chunks_mut::<TOGETHER>();
    let (even_blocks, _) = even.as_chunks::<TOGETHER>();
    let (odd_blocks, _) = odd.as_chunks::<TOGETHER>();
    for ((block, even), odd) in blocks.iter_mut().zip(even_blocks).zip(odd_blocks) {
        *block = std::array::from_fn(|place| [even[place], odd[place]]);
    }
    let done = blocks.len() * TOGETHER;

    for ((pair, &even), &odd) in rest.iter_mut().zip(&even[done..]).zip(&odd[done..]) {
        *pair = [even, odd];
    }
    if let [last] = last {
        *last = even[done + rest.len()];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interleaves rows of so many places, whose values are their places and phases, into lines of a width.
    fn interleaved(first_columns: &[usize], stride: usize, places: usize, width: usize) {
        let apart = 2 * places + 3;
        let mut values = vec![MaybeUninit::new(0.0); first_columns.len() * apart];
        for phase in 0..first_columns.len() {
            for place in 0..2 * places {
                values[phase * apart + place].write((1 + phase * 1000 + place) as f32);
            }
        }
        // The second line's places are cut in two runs.
        let cut = places / 3;
        let run = |from, place, length, line| Run {
            from,
            place,
            length,
            line,
        };
        let runs = [
            run(0, 0, places, width),
            run(places, 0, cut, 0),
            run(places + cut, cut, places - cut, 0),
        ];
        let mut expected = vec![0.0; 2 * width];
        for (phase, column) in first_columns.iter().enumerate() {
            for place in (0..places).filter(|place| place * stride + column < width) {
                let value = (1 + phase * 1000 + place) as f32;
                expected[width + place * stride + column] = value;
                expected[place * stride + column] = value + places as f32;
            }
        }
        for &set in InstructionSet::available() {
            let mut output = vec![MaybeUninit::new(0.0f32); 2 * width];
            let phases = PhaseValues {
                values: &values,
                apart,
                first_columns,
                stride,
            };
            interleave(set, phases, &runs, width, &mut output);
            // SAFETY: all elements were initialised.
            let output: Vec<f32> = output
                .iter()
                .map(|value| unsafe { value.assume_init() })
                .collect();
            assert_eq!(
                output, expected,
                "{set:?} {first_columns:?} {stride} {places} {width}"
            );
        }
    }

    #[test]
    fn values_go_between_each_other() {
        for places in [1, 2, 7, 8, 9, 16, 28, 37] {
            for (first_columns, stride) in [
                (&[0, 1][..], 2),
                (&[0], 1),
                (&[1], 2),
                (&[0, 2], 3),
                (&[0, 1, 2], 3),
                (&[0, 1], 4),
            ] {
                interleaved(first_columns, stride, places, places * stride);
                if places > 1 {
                    interleaved(first_columns, stride, places, (places - 1) * stride + 1);
                }
            }
        }
    }
}
