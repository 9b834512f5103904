//! The inner loop: for every position of a stream, add the panel rows that its codes pick.
//!
//! A row holds 32 entries of 16 bits, two to a word, or 16 entries of 32 bits. Both are summed with the same two
//! additions per word, without widening: `sums += row` and `highs += row >> 16`. The upper digit's sum is then `highs`,
//! and the lower digit's sum `sums - (highs << 16)`; both are exact in 32 bits for up to 65536 additions, since stored
//! entries are unsigned. For 16-bit entries the two digits are two lanes; for 32-bit ones they are the 48 bits of one
//! lane's sum, and where its low 32 bits suffice (no final sum leaves 32 bits) `highs` is not needed at all. Where a
//! table's entries are small enough, two or eight rows are added first and split once.
//!
//! Measured, one thread of a Xeon with AVX-512, 256 uniformly random codes, panels ready: 38 G lookups/s (43 with two
//! rows at a time), 33 (37) on 256-bit vectors, 24 on SSE2, nearly the same for 4, 8 or 16 taps at once, where the
//! panels come from the second-level cache; 26 with 2 taps, whose panels fit in the first-level cache but whose
//! accumulators then come and go twice as often. With 32-bit entries 29, and 4 taps at once are best. Looking codes up
//! in registers by byte permutation gives 12 whatever the number of lanes (see `column_gather`).

use bytemuck::{must_cast_mut, must_cast_ref};

use crate::arch::{InstructionSet, Instructions, Kernel, Row};
use crate::lookup::panel::Panel;

/// Positions that lie side by side in the streamed codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where the first position's code is, to be added to a tap's offset.
    pub(crate) start: usize,
    /// The number of positions.
    pub(crate) length: usize,
}

/// What is computed from rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Both digits of every word; up to `carry_free` rows can be added without a carry between the digits.
    Digits { carry_free: u32 },
    /// The low 32 bits of the sum of the words.
    Words,
}

impl Form {
    /// How many panels are built and summed at once.
    pub(crate) fn taps_at_once(self) -> usize {
        match self {
            Form::Digits { .. } => 8,
            Form::Words => 4,
        }
    }
}

/// The codes that are looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streams<'a> {
    pub(crate) codes: &'a [u8],
    /// For every tap, how far its codes are from a position.
    pub(crate) offsets: &'a [usize],
    pub(crate) segments: &'a [Segment],
}

/// The sums so far, one row for each position in the order of the segments.
#[derive(Debug)]
pub(crate) struct Sums<'a> {
    /// Sums of words.
    pub(crate) words: &'a mut [Row],
    /// Sums of their upper digits; empty where the form has none.
    pub(crate) highs: &'a mut [Row],
}

/// Adds, for every position, the rows that its codes pick from the panels, one panel for each tap.
pub(crate) fn accumulate(
    set: InstructionSet,
    form: Form,
    panels: &[Panel],
    streams: Streams<'_>,
    sums: Sums<'_>,
) {
    let mut first = 0;
    while first < panels.len() {
        let panels = &panels[first..];
        let streams = Streams {
            offsets: &streams.offsets[first..],
            ..streams
        };
        let mut taps = form.taps_at_once();
        while taps > panels.len() {
            taps /= 2;
        }
        let mut sums = Sums {
            words: &mut *sums.words,
            highs: &mut *sums.highs,
        };
        match form {
            Form::Words => match taps {
                4 => set.run(AddRows::<4, 1, false> { panels, streams }, &mut sums),
                2 => set.run(AddRows::<2, 1, false> { panels, streams }, &mut sums),
                _ => set.run(AddRows::<1, 1, false> { panels, streams }, &mut sums),
            },
            Form::Digits { carry_free } => match (taps, carry_free) {
                (8, 8..) => set.run(AddRows::<8, 8, true> { panels, streams }, &mut sums),
                (8, 2..) => set.run(AddRows::<8, 2, true> { panels, streams }, &mut sums),
                (8, _) => set.run(AddRows::<8, 1, true> { panels, streams }, &mut sums),
                (4, 4..) => set.run(AddRows::<4, 4, true> { panels, streams }, &mut sums),
                (4, 2..) => set.run(AddRows::<4, 2, true> { panels, streams }, &mut sums),
                (4, _) => set.run(AddRows::<4, 1, true> { panels, streams }, &mut sums),
                (2, 2..) => set.run(AddRows::<2, 2, true> { panels, streams }, &mut sums),
                (2, _) => set.run(AddRows::<2, 1, true> { panels, streams }, &mut sums),
                _ => set.run(AddRows::<1, 1, true> { panels, streams }, &mut sums),
            },
        }
        first += taps;
    }
}

/// Adds the rows of `TAPS` taps, `STEP` of them before they are split. `DIGITS`: both digits of every word.
struct AddRows<'a, const TAPS: usize, const STEP: usize, const DIGITS: bool> {
    panels: &'a [Panel],
    streams: Streams<'a>,
}

impl<'a, const TAPS: usize, const STEP: usize, const DIGITS: bool> Kernel
    for AddRows<'a, TAPS, STEP, DIGITS>
{
    type Target = Sums<'a>;
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, sums: &mut Sums<'a>) {
        let Streams {
            codes,
            offsets,
            segments,
        } = self.streams;
        let panels: &[Panel; TAPS] = self.panels.first_chunk().expect("a panel for each tap");
        let offsets: &[usize; TAPS] = offsets.first_chunk().expect("an offset for each tap");
        let (mut words, mut highs) = (&mut *sums.words, &mut *sums.highs);
        for segment in segments {
            let length = segment.length;
            // Not `offsets.map(..)`: a closure with vector instructions is not inlined into a function without.
            let mut streams: [&[u8]; TAPS] = [&[]; TAPS];
            for (stream, offset) in streams.iter_mut().zip(offsets) {
                *stream = &codes[offset + segment.start..][..length];
            }
            let (segment_words, segment_highs);
            (segment_words, words) = words.split_at_mut(length);
            (segment_highs, highs) = highs.split_at_mut(if DIGITS { length } else { 0 });
            for position in 0..length {
                let mut sum = load(instructions, &segment_words[position]);
                let mut high_sum = if DIGITS {
                    load(instructions, &segment_highs[position])
                } else {
                    sum
                };
                let mut tap = 0;
                while tap < TAPS {
                    let code = usize::from(streams[tap][position]);
                    let mut row = load(instructions, &panels[tap][code]);
                    let mut step = 1;
                    while step < STEP {
                        let code = usize::from(streams[tap + step][position]);
                        row = instructions.add(row, load(instructions, &panels[tap + step][code]));
                        step += 1;
                    }
                    tap += STEP;
                    sum = instructions.add(sum, row);
                    if DIGITS {
                        high_sum = instructions.add(high_sum, instructions.upper_halves(row));
                    }
                }
                store(instructions, sum, &mut segment_words[position]);
                if DIGITS {
                    store(instructions, high_sum, &mut segment_highs[position]);
                }
            }
        }
    }
}

#[inline(always)]
fn load<I: Instructions>(instructions: I, row: &Row) -> I::Lanes {
    instructions.load(must_cast_ref(&row.0))
}

#[inline(always)]
fn store<I: Instructions>(instructions: I, lanes: I::Lanes, row: &mut Row) {
    instructions.store(lanes, must_cast_mut(&mut row.0));
}
