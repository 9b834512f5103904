//! Lookup for a single lane: one fixed code per tap picks a table line, and a stream of codes is looked up in it.
//!
//! Panels want 16 or 32 lanes that share a stream. Depthwise convolutions, groups of a few channels, and the linear
//! layer of a batch of one have fewer. With AVX-512 VBMI a line's bytes stay in registers and `vpermi2b` looks 64 codes
//! up at a time, one plane of bytes after the other: measured at 12 G lookups/s on one thread with 16-bit entries and 6
//! with 32-bit ones, where streams are long. Byte sums are kept in 16-bit words, even and odd positions apart, for up
//! to 256 taps. Elsewhere a plain indexed load per lookup gives 2.9 G.

use std::marker::PhantomData;

use crate::accumulators::Accumulator;
use crate::arch::{InstructionSet, Instructions, Kernel, LOOKUPS};
use crate::lookup::table::{LineEntries, Lines};
use crate::word::CODES;

/// Additions of bytes that fit in 16 bits, rounded down to a power of two.
const BYTE_SUMS: usize = 256;

/// What is looked up where.
#[derive(Clone, Copy)]
pub(crate) struct Lookup<'a> {
    pub(crate) lines: &'a Lines,
    /// The lane's code at every tap, which picks a line.
    pub(crate) lane: &'a [u8],
    pub(crate) codes: &'a [u8],
    /// For every tap, how far its codes are from a position.
    pub(crate) offsets: &'a [usize],
    /// The first position.
    pub(crate) start: usize,
    /// No streamed code is larger.
    pub(crate) largest_code: u8,
}

/// Adds to `sums[p]`, for every position p, the stored entries at `codes[offsets[k] + start + p]` of the lines
/// `lane[k]`.
pub(crate) fn accumulate<T: Accumulator>(set: InstructionSet, lookup: Lookup<'_>, sums: &mut [T]) {
    if set.facts().adds_digits {
        return if usize::from(lookup.largest_code) < CODES / 2 {
            set.run(InRegisters::<T, true>::new(&lookup), sums)
        } else {
            set.run(InRegisters::<T, false>::new(&lookup), sums)
        };
    }
    match &lookup.lines.entries {
        LineEntries::Narrow(lines) => {
            indexed_loads(lines, lookup, sums, |entry| {
                T::from_digits(u32::from(entry), 0)
            });
        }
        LineEntries::Wide(lines) => {
            indexed_loads(lines, lookup, sums, |entry| {
                T::from_digits(entry & 0xffff, entry >> 16)
            });
        }
    }
}

/// One load per lookup, four taps at once.
fn indexed_loads<T: Accumulator, E: Copy>(
    lines: &[[E; CODES]],
    lookup: Lookup<'_>,
    sums: &mut [T],
    widen: impl Fn(E) -> T,
) {
    let Lookup {
        lane,
        codes,
        offsets,
        start,
        ..
    } = lookup;
    let (blocks, rest) = offsets.as_chunks::<4>();
    let (lane_blocks, lane_rest) = lane.as_chunks::<4>();
    for (offsets, lane) in blocks.iter().zip(lane_blocks) {
        let streams = offsets.map(|offset| &codes[offset + start..][..sums.len()]);
        let lines = lane.map(|code| &lines[usize::from(code)]);
        for (position, sum) in sums.iter_mut().enumerate() {
            let entry = |tap: usize| widen(lines[tap][usize::from(streams[tap][position])]);
            *sum = sum
                .plus(entry(0).plus(entry(1)))
                .plus(entry(2).plus(entry(3)));
        }
    }
    for (offset, &code) in rest.iter().zip(lane_rest) {
        let line = &lines[usize::from(code)];
        for (sum, &streamed) in sums.iter_mut().zip(&codes[offset + start..]) {
            *sum = sum.plus(widen(line[usize::from(streamed)]));
        }
    }
}

/// Lookup inside vector registers. `ONE_HALF`: every code is below 128, so that only the first half of each line is
/// looked at.
struct InRegisters<'a, T, const ONE_HALF: bool> {
    lookup: &'a Lookup<'a>,
    sums: PhantomData<T>,
}

impl<'a, T, const ONE_HALF: bool> InRegisters<'a, T, ONE_HALF> {
    fn new(lookup: &'a Lookup<'a>) -> Self {
        InRegisters {
            lookup,
            sums: PhantomData,
        }
    }
}

impl<T: Accumulator, const ONE_HALF: bool> Kernel for InRegisters<'_, T, ONE_HALF> {
    type Target = [T];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, sums: &mut [T]) {
        let &Lookup {
            lines,
            lane,
            codes,
            offsets,
            start,
            ..
        } = self.lookup;
        let length = sums.len();
        for (lane, offsets) in lane.chunks(BYTE_SUMS).zip(offsets.chunks(BYTE_SUMS)) {
            let (blocks, rest) = sums.as_chunks_mut::<LOOKUPS>();
            for (block, sums) in blocks.iter_mut().enumerate() {
                let start = start + block * LOOKUPS;
                add_block::<I, T, ONE_HALF>(
                    instructions,
                    (lines, lane),
                    (codes, offsets, start),
                    sums,
                );
            }
            if rest.is_empty() {
                continue;
            }
            let mut block = [T::default(); LOOKUPS];
            if length >= LOOKUPS {
                // Up to the end, starting over some positions that are done already.
                let start = start + length - LOOKUPS;
                add_block::<I, T, ONE_HALF>(
                    instructions,
                    (lines, lane),
                    (codes, offsets, start),
                    &mut block,
                );
                for (sum, &more) in rest.iter_mut().zip(&block[LOOKUPS - length % LOOKUPS..]) {
                    *sum = sum.plus(more);
                }
            } else {
                // There may be no 64 codes: copy what there is, for as many taps at a time as make a small copy.
                const TAPS: usize = 16;
                const COPIED: [usize; TAPS] = {
                    let mut offsets = [0; TAPS];
                    let mut tap = 0;
                    while tap < TAPS {
                        offsets[tap] = tap * LOOKUPS;
                        tap += 1;
                    }
                    offsets
                };
                let mut copy = [0; TAPS * LOOKUPS];
                for (lane, offsets) in lane.chunks(TAPS).zip(offsets.chunks(TAPS)) {
                    for (to, offset) in copy.as_chunks_mut::<LOOKUPS>().0.iter_mut().zip(offsets) {
                        to[..length].copy_from_slice(&codes[offset + start..][..length]);
                    }
                    add_block::<I, T, ONE_HALF>(
                        instructions,
                        (lines, lane),
                        (&copy, &COPIED, 0),
                        &mut block,
                    );
                }
                for (sum, &more) in rest.iter_mut().zip(&block) {
                    *sum = sum.plus(more);
                }
            }
        }
    }
}

/// Adds the entries of 64 positions, over at most 256 taps: of the `lane`'s lines, at `(codes, offsets, start)`.
#[inline(always)]
fn add_block<I: Instructions, T: Accumulator, const ONE_HALF: bool>(
    instructions: I,
    (lines, lane): (&Lines, &[u8]),
    (codes, offsets, start): (&[u8], &[usize], usize),
    sums: &mut [T; LOOKUPS],
) {
    let [low_even, low_odd] =
        instructions.add_digits::<ONE_HALF>(&lines.digits[0], lane, codes, offsets, start);
    let (mut high_even, mut high_odd) = ([0; LOOKUPS / 2], [0; LOOKUPS / 2]);
    if let Some(high) = lines.digits.get(1) {
        [high_even, high_odd] =
            instructions.add_digits::<ONE_HALF>(high, lane, codes, offsets, start);
    }
    for (i, pair) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        pair[0] = pair[0].plus(T::from_digits(low_even[i], high_even[i]));
        pair[1] = pair[1].plus(T::from_digits(low_odd[i], high_odd[i]));
    }
}
