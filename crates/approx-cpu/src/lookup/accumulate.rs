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

use crate::arch::{Family, InstructionSet};
use crate::lookup::panel::{Panel, Row, WORDS};

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
        let sums = Sums {
            words: &mut *sums.words,
            highs: &mut *sums.highs,
        };
        let arguments = (panels, streams, sums);
        match form {
            Form::Words => match taps {
                4 => run::<4, 1, false>(set, arguments),
                2 => run::<2, 1, false>(set, arguments),
                _ => run::<1, 1, false>(set, arguments),
            },
            Form::Digits { carry_free } => match (taps, carry_free) {
                (8, 8..) => run::<8, 8, true>(set, arguments),
                (8, 2..) => run::<8, 2, true>(set, arguments),
                (8, _) => run::<8, 1, true>(set, arguments),
                (4, 4..) => run::<4, 4, true>(set, arguments),
                (4, 2..) => run::<4, 2, true>(set, arguments),
                (4, _) => run::<4, 1, true>(set, arguments),
                (2, 2..) => run::<2, 2, true>(set, arguments),
                (2, _) => run::<2, 1, true>(set, arguments),
                _ => run::<1, 1, true>(set, arguments),
            },
        }
        first += taps;
    }
}

type Arguments<'a> = (&'a [Panel], Streams<'a>, Sums<'a>);

fn run<const TAPS: usize, const STEP: usize, const DIGITS: bool>(
    set: InstructionSet,
    arguments: Arguments<'_>,
) {
    match set.family() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an instruction set is only constructed where the machine has it.
        Family::Avx512 | Family::Avx512Vbmi => unsafe {
            avx512::<TAPS, STEP, DIGITS>(arguments);
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Family::Avx2 => unsafe { avx2::<TAPS, STEP, DIGITS>(arguments) },
        Family::Portable => portable::<TAPS, STEP, DIGITS>(arguments),
    }
}

/// The loop itself, over vectors of any kind: the same text for arrays, which compilers vectorise for whatever the
/// function may use, and for 512-bit vectors, where left alone they vectorise over positions instead.
macro_rules! loop_over_positions {
    ($arguments:expr, $load:expr, $store:expr, $add:expr, $high:expr) => {{
        let (panels, Streams { codes, offsets, segments }, Sums { mut words, mut highs }) = $arguments;
        let (load, store, add, high) = ($load, $store, $add, $high);
        let panels: &[Panel; TAPS] = panels.first_chunk().expect("a panel for each tap");
        let offsets: &[usize; TAPS] = offsets.first_chunk().expect("an offset for each tap");
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
                let mut sum = load(&segment_words[position]);
                let mut high_sum = if DIGITS {
                    load(&segment_highs[position])
                } else {
                    sum
                };
                let mut tap = 0;
                while tap < TAPS {
                    let mut row = load(&panels[tap][usize::from(streams[tap][position])]);
                    let mut step = 1;
                    while step < STEP {
                        let code = usize::from(streams[tap + step][position]);
                        row = add(row, load(&panels[tap + step][code]));
                        step += 1;
                    }
                    tap += STEP;
                    sum = add(sum, row);
                    if DIGITS {
                        high_sum = add(high_sum, high(row));
                    }
                }
                store(&mut segment_words[position], sum);
                if DIGITS {
                    store(&mut segment_highs[position], high_sum);
                }
            }
        }
    }};
}

#[inline(always)]
fn portable<const TAPS: usize, const STEP: usize, const DIGITS: bool>(arguments: Arguments<'_>) {
    type Words = [u32; WORDS];
    loop_over_positions!(
        arguments,
        |row: &Row| row.0,
        |row: &mut Row, words: Words| row.0 = words,
        |a: Words, b: Words| -> Words { std::array::from_fn(|i| a[i].wrapping_add(b[i])) },
        |a: Words| -> Words { a.map(|word| word >> 16) }
    );
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<const TAPS: usize, const STEP: usize, const DIGITS: bool>(arguments: Arguments<'_>) {
    portable::<TAPS, STEP, DIGITS>(arguments);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<const TAPS: usize, const STEP: usize, const DIGITS: bool>(arguments: Arguments<'_>) {
    use std::arch::x86_64::{__m512i, _mm512_add_epi32, _mm512_srli_epi32};

    loop_over_positions!(
        arguments,
        |row: &Row| bytemuck::must_cast::<[u32; WORDS], __m512i>(row.0),
        |row: &mut Row, words: __m512i| row.0 = bytemuck::must_cast(words),
        |a, b| _mm512_add_epi32(a, b),
        |a| _mm512_srli_epi32::<16>(a)
    );
}
