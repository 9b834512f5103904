//! Outputs of several phases, put between each other.

use std::mem::MaybeUninit;

use crate::arch::compiled_for_every_set;

/// The values of phases that share their rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct PhaseValues<'a, T> {
    pub(super) values: &'a [MaybeUninit<T>],
    /// From one phase's values to the next one's.
    pub(super) apart: usize,
    /// The first column of every phase.
    pub(super) first_columns: &'a [usize],
    /// Columns from one value to the next.
    pub(super) stride: usize,
}

/// Where neighbouring values of every phase are, and where they go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// The first value.
    pub(super) from: usize,
    /// Its place in a row of the phase.
    pub(super) place: usize,
    pub(super) length: usize,
    /// The row's first output.
    pub(super) line: usize,
}

compiled_for_every_set! {
    /// Writes runs to lines of a width; values beyond a line's end are dropped. Of the outputs between the first and
    /// the last value of a run, those of columns that belong to no phase are left as they are.
    pub(super) fn interleave<T: Copy>(
        set,
        phases: PhaseValues<'_, T>,
        runs: &[Run],
        width: usize,
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
