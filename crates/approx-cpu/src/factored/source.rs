//! Where activations come from, and the elements that they are encoded as.

use std::borrow::Cow;
use std::ops::Range;

use super::encode::{interleave_pairs, interleave_quads, quantize_row};
use super::operands::Activations;
use crate::arch::{InstructionSet, compiled_for_every_set};
use crate::error::KernelError;
use crate::quantize::ChannelQuantizer;
use crate::word::{Element, Pattern};

/// What a NaN among the activations is.
pub(super) const NOT_A_NUMBER: KernelError = KernelError::NotANumber {
    operand: "activations",
};

/// Activations whose bit patterns are held in one type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a, P> {
    /// Bit patterns; bits above the width of the maps' tables are ignored.
    Patterns(&'a [P]),
    /// Values that become bit patterns on the fly.
    Values {
        values: &'a [f32],
        quantizer: ChannelQuantizer,
    },
}

impl<'a, P: Pattern> Source<'a, P> {
    /// Calls `f` with activations of an operand whose patterns fit in `P`.
    pub(super) fn with<T>(activations: Activations<'a>, f: impl FnOnce(Source<'_, P>) -> T) -> T {
        match activations {
            Activations::Narrow(patterns) => f(Source::Patterns(&converted(patterns))),
            Activations::Wide(patterns) => f(Source::Patterns(&converted(patterns))),
            Activations::Values { values, quantizer } => f(Source::Values { values, quantizer }),
        }
    }

    /// The number of activations.
    pub(super) fn len(&self) -> usize {
        match self {
            Source::Patterns(patterns) => patterns.len(),
            Source::Values { values, .. } => values.len(),
        }
    }

    /// The bit patterns of a range, computed in `scratch` where they have to be; none if a value is a NaN.
    pub(super) fn patterns<'s>(
        &self,
        set: InstructionSet,
        range: Range<usize>,
        scratch: &'s mut Vec<P>,
    ) -> Option<&'s [P]>
    where
        'a: 's,
    {
        match *self {
            Source::Patterns(patterns) => Some(&patterns[range]),
            Source::Values { values, quantizer } => {
                scratch.resize(range.len(), P::default());
                let all = P::truncate(u32::MAX);
                quantize_row(set, quantizer, all, &values[range], scratch).then_some(scratch)
            }
        }
    }
}

/// Patterns in another type, which holds all bits that matter.
fn converted<From: Pattern, To: Pattern>(patterns: &[From]) -> Cow<'_, [To]> {
    if size_of::<From>() == size_of::<To>() {
        return Cow::Borrowed(bytemuck::cast_slice(patterns));
    }
    Cow::Owned(
        patterns
            .iter()
            .map(|pattern| To::truncate(pattern.widen()))
            .collect(),
    )
}

/// Elements that are encoded into words.
pub(super) trait Encode: Element {
    /// Elements of a word.
    const PER_WORD: usize;

    /// Writes the words of neighbouring channels: `rows` has one row of elements for each element of a word.
    fn interleave(set: InstructionSet, rows: &[&[Self]], words: &mut [i32]);

    /// One such word.
    fn word(elements: &[Self]) -> i32;

    /// The sum of some elements.
    fn sum(set: InstructionSet, elements: &[Self]) -> i64;
}

impl Encode for u8 {
    const PER_WORD: usize = 4;

    fn interleave(set: InstructionSet, rows: &[&[u8]], words: &mut [i32]) {
        let &[a, b, c, d] = rows else {
            panic!("four rows")
        };
        interleave_quads(set, [a, b, c, d], bytemuck::cast_slice_mut(words));
    }

    fn word(elements: &[u8]) -> i32 {
        bytemuck::pod_read_unaligned(elements)
    }

    fn sum(set: InstructionSet, elements: &[u8]) -> i64 {
        sum_bytes(set, elements)
    }
}

impl Encode for i16 {
    const PER_WORD: usize = 2;

    fn interleave(set: InstructionSet, rows: &[&[i16]], words: &mut [i32]) {
        let &[a, b] = rows else { panic!("two rows") };
        interleave_pairs(set, [a, b], bytemuck::cast_slice_mut(words));
    }

    fn word(elements: &[i16]) -> i32 {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(elements))
    }

    fn sum(set: InstructionSet, elements: &[i16]) -> i64 {
        sum_words(set, elements)
    }
}

/// Elements whose sum fits in 32 bits.
const SUMMED_AT_ONCE: usize = 1 << 15;

compiled_for_every_set! {
    fn sum_bytes(set, elements: &[u8]) -> i64 {
        let parts = elements.chunks(SUMMED_AT_ONCE);
        parts.map(|part| i64::from(part.iter().map(|&element| u32::from(element)).sum::<u32>())).sum()
    }
}

compiled_for_every_set! {
    fn sum_words(set, elements: &[i16]) -> i64 {
        let parts = elements.chunks(SUMMED_AT_ONCE);
        parts.map(|part| i64::from(part.iter().map(|&element| i32::from(element)).sum::<i32>())).sum()
    }
}
