//! Lookup for a single lane: one fixed code per tap picks a table line, and a stream of codes is looked up in it.
//!
//! Panels want 16 or 32 lanes that share a stream. Depthwise convolutions, groups of a few channels, and the linear
//! layer of a batch of one have fewer. With AVX-512 VBMI a line's bytes stay in registers and `vpermi2b` looks 64 codes
//! up at a time, one plane of bytes after the other: measured at 12 G lookups/s on one thread with 16-bit entries and 6
//! with 32-bit ones, where streams are long. Byte sums are kept in 16-bit words, even and odd positions apart, for up
//! to 256 taps. Elsewhere a plain indexed load per lookup gives 2.9 G.

use crate::accumulators::Accumulator;
use crate::arch::InstructionSet;
use crate::lookup::table::{LineEntries, Lines};
use crate::word::CODES;

/// Positions looked up together.
pub(crate) const BLOCK: usize = 64;

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
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "only lookup by byte permutation gains by it")
    )]
    pub(crate) largest_code: u8,
}

/// Adds to `sums[p]`, for every position p, the stored entries at `codes[offsets[k] + start + p]` of the lines
/// `lane[k]`.
pub(crate) fn accumulate<T: Accumulator>(set: InstructionSet, lookup: Lookup<'_>, sums: &mut [T]) {
    #[cfg(target_arch = "x86_64")]
    if set.permutes_bytes() {
        // SAFETY: an instruction set is only constructed where the machine has it.
        unsafe {
            if usize::from(lookup.largest_code) < CODES / 2 {
                vbmi::accumulate::<T, true>(lookup, sums);
            } else {
                vbmi::accumulate::<T, false>(lookup, sums);
            }
        }
        return;
    }
    debug_assert!(!set.permutes_bytes());
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

#[cfg(target_arch = "x86_64")]
pub(crate) mod vbmi {
    //! Lookup by byte permutation.

    use std::arch::x86_64::*;

    use bytemuck::must_cast;

    use super::{BLOCK, Lookup};
    use crate::accumulators::Accumulator;
    use crate::arch::avx512_vbmi::look_up;
    use crate::lookup::table::{DigitLine, Lines};

    // Closures are kept out of library functions here: those are compiled without the instructions that the closures
    // ask for, so neither would be inlined.

    /// Additions of bytes that fit in 16 bits, rounded down to a power of two.
    const BYTE_SUMS: usize = 256;

    /// `ONE_HALF`: every code is below 128, so that only the first half of each line is looked at.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    pub(super) fn accumulate<T: Accumulator, const ONE_HALF: bool>(
        lookup: Lookup<'_>,
        sums: &mut [T],
    ) {
        let Lookup {
            lines,
            lane,
            codes,
            offsets,
            start,
            ..
        } = lookup;
        let length = sums.len();
        for (lane, offsets) in lane.chunks(BYTE_SUMS).zip(offsets.chunks(BYTE_SUMS)) {
            let (blocks, rest) = sums.as_chunks_mut::<BLOCK>();
            for (block, sums) in blocks.iter_mut().enumerate() {
                add_block::<T, ONE_HALF>(lines, lane, codes, offsets, start + block * BLOCK, sums);
            }
            if rest.is_empty() {
                continue;
            }
            let mut block = [T::default(); BLOCK];
            if length >= BLOCK {
                // Up to the end, starting over some positions that are done already.
                let start = start + length - BLOCK;
                add_block::<T, ONE_HALF>(lines, lane, codes, offsets, start, &mut block);
                for (sum, &more) in rest.iter_mut().zip(&block[BLOCK - length % BLOCK..]) {
                    *sum = sum.plus(more);
                }
            } else {
                // There may be no 64 codes: copy what there is, for as many taps at a time as make a small copy.
                const TAPS: usize = 16;
                const COPIED: [usize; TAPS] = {
                    let mut offsets = [0; TAPS];
                    let mut tap = 0;
                    while tap < TAPS {
                        offsets[tap] = tap * BLOCK;
                        tap += 1;
                    }
                    offsets
                };
                let mut copy = [0; TAPS * BLOCK];
                for (lane, offsets) in lane.chunks(TAPS).zip(offsets.chunks(TAPS)) {
                    for (to, offset) in copy.as_chunks_mut::<BLOCK>().0.iter_mut().zip(offsets) {
                        to[..length].copy_from_slice(&codes[offset + start..][..length]);
                    }
                    add_block::<T, ONE_HALF>(lines, lane, &copy, &COPIED, 0, &mut block);
                }
                for (sum, &more) in rest.iter_mut().zip(&block) {
                    *sum = sum.plus(more);
                }
            }
        }
    }

    /// Adds the entries of 64 positions, over at most 256 taps.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    #[inline]
    fn add_block<T: Accumulator, const ONE_HALF: bool>(
        lines: &Lines,
        lane: &[u8],
        codes: &[u8],
        offsets: &[usize],
        start: usize,
        sums: &mut [T; BLOCK],
    ) {
        let [low_even, low_odd] =
            digit_sums::<ONE_HALF>(&lines.digits[0], lane, codes, offsets, start);
        let (mut high_even, mut high_odd) = ([0; BLOCK / 2], [0; BLOCK / 2]);
        if let Some(digit) = lines.digits.get(1) {
            [high_even, high_odd] = digit_sums::<ONE_HALF>(digit, lane, codes, offsets, start);
        }
        for (i, pair) in sums.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            pair[0] = pair[0].plus(T::from_digits(low_even[i], high_even[i]));
            pair[1] = pair[1].plus(T::from_digits(low_odd[i], high_odd[i]));
        }
    }

    /// The sums of one 16-bit digit at 64 positions, even and odd ones apart, over at most 256 taps.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    #[inline]
    fn digit_sums<const ONE_HALF: bool>(
        digit: &[DigitLine],
        lane: &[u8],
        codes: &[u8],
        offsets: &[usize],
        start: usize,
    ) -> [[u32; BLOCK / 2]; 2] {
        let zero = _mm512_setzero_si512();
        // For each plane of bytes: sums of all 16-bit words, and sums of their upper (odd) bytes.
        let mut words = [zero; 2];
        let mut odd = [zero; 2];
        for (&code, offset) in lane.iter().zip(offsets) {
            let indices: &[u8; BLOCK] = codes[offset + start..]
                .first_chunk()
                .expect("64 codes from every start");
            let indices = must_cast::<[u8; BLOCK], __m512i>(*indices);
            let line = &digit[usize::from(code)].0;
            for plane in 0..2 {
                let entries = look_up::<ONE_HALF>(&line[plane], indices);
                words[plane] = _mm512_add_epi16(words[plane], entries);
                odd[plane] = _mm512_add_epi16(odd[plane], _mm512_srli_epi16::<8>(entries));
            }
        }
        let mut planes = [[[0u16; BLOCK / 2]; 2]; 2];
        for (plane, sums) in planes.iter_mut().enumerate() {
            let even = _mm512_sub_epi16(words[plane], _mm512_slli_epi16::<8>(odd[plane]));
            *sums = [must_cast(even), must_cast(odd[plane])];
        }
        let mut sums = [[0; BLOCK / 2]; 2];
        for (parity, sums) in sums.iter_mut().enumerate() {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = u32::from(planes[0][parity][i]) + (u32::from(planes[1][parity][i]) << 8);
            }
        }
        sums
    }
}
