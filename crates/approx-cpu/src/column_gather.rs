//! Lookup for a single lane: one fixed code per tap picks a table line, and a stream of codes is looked up in it.
//!
//! Panels need 16 or 32 lanes that share a stream. Depthwise convolutions, groups of a few channels, and the linear layer
//! of a batch of one have fewer. With AVX-512 VBMI a line's bytes stay in registers and `vpermi2b` looks 64 codes up at a
//! time, one plane of bytes after the other: about 15 G lookups/s with 16-bit entries, half of that with 32-bit ones. Byte
//! sums are kept in 16-bit words, even and odd positions apart, for up to 256 taps. Elsewhere a plain indexed load per
//! lookup is used, about 1.5 to 2.5 G lookups/s, still better than a panel for fewer than about 3 lanes; vector gather
//! instructions are no faster than that on any processor we know of.

use crate::accumulators::Accumulator;
use crate::instruction_set::{Family, InstructionSet};
use crate::table::{CODES, LineEntries, Lines};

/// Positions looked up together.
pub(crate) const BLOCK: usize = 64;

/// Adds to `sums[p]`, for every position p, the stored entries that its codes `codes[offsets[k] + start + p]` pick from
/// the lines `lane[k]`. No code exceeds `largest_code`.
pub(crate) fn accumulate<T: Accumulator>(
    set: InstructionSet,
    lines: &Lines,
    lane: &[u8],
    codes: &[u8],
    offsets: &[usize],
    start: usize,
    largest_code: u8,
    sums: &mut [T],
) {
    match set.family() {
        #[cfg(target_arch = "x86_64")]
        Family::Avx512Vbmi => {
            let one_half = usize::from(largest_code) < CODES / 2;
            // SAFETY: an instruction set is only constructed where the machine has it.
            unsafe {
                if one_half {
                    vbmi::accumulate::<T, true>(lines, lane, codes, offsets, start, sums);
                } else {
                    vbmi::accumulate::<T, false>(lines, lane, codes, offsets, start, sums);
                }
            }
        }
        _ => match &lines.entries {
            LineEntries::Narrow(lines) => {
                indexed_loads(lines, lane, codes, offsets, start, sums, |entry| {
                    T::from_digits(u32::from(entry), 0)
                });
            }
            LineEntries::Wide(lines) => {
                indexed_loads(lines, lane, codes, offsets, start, sums, |entry| {
                    T::from_digits(entry & 0xffff, entry >> 16)
                });
            }
        },
    }
}

/// One load per lookup, four taps at once.
fn indexed_loads<T: Accumulator, E: Copy>(
    lines: &[[E; CODES]],
    lane: &[u8],
    codes: &[u8],
    offsets: &[usize],
    start: usize,
    sums: &mut [T],
    widen: impl Fn(E) -> T,
) {
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
mod vbmi {
    //! Lookup by byte permutation.

    use std::arch::x86_64::*;

    use bytemuck::must_cast;

    use super::{BLOCK, CODES};
    use crate::accumulators::Accumulator;
    use crate::table::{DigitLine, Lines};

    /// Additions of bytes that fit in 16 bits, rounded down to a power of two.
    const BYTE_SUMS: usize = 256;

    /// `ONE_HALF`: every code is below 128, so that only the first half of each line is looked at.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    pub(super) fn accumulate<T: Accumulator, const ONE_HALF: bool>(
        lines: &Lines,
        lane: &[u8],
        codes: &[u8],
        offsets: &[usize],
        start: usize,
        sums: &mut [T],
    ) {
        for (block, sums) in sums.chunks_mut(BLOCK).enumerate() {
            let start = start + block * BLOCK;
            for (lane, offsets) in lane.chunks(BYTE_SUMS).zip(offsets.chunks(BYTE_SUMS)) {
                let digits = |digit: &[DigitLine]| {
                    digit_sums::<ONE_HALF>(digit, lane, codes, offsets, start, sums.len())
                };
                let low = digits(&lines.digits[0]);
                if let Some(digit) = lines.digits.get(1) {
                    let high = digits(digit);
                    for (sum, (low, high)) in sums.iter_mut().zip(low.into_iter().zip(high)) {
                        *sum = sum.plus(T::from_digits(low, high));
                    }
                } else {
                    for (sum, low) in sums.iter_mut().zip(low) {
                        *sum = sum.plus(T::from_digits(low, 0));
                    }
                }
            }
        }
    }

    /// The sums of one 16-bit digit at up to 64 positions, over at most 256 taps.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    #[inline]
    fn digit_sums<const ONE_HALF: bool>(
        digit: &[DigitLine],
        lane: &[u8],
        codes: &[u8],
        offsets: &[usize],
        start: usize,
        positions: usize,
    ) -> [u32; BLOCK] {
        let zero = _mm512_setzero_si512();
        // For each plane of bytes: sums of all 16-bit words, and sums of their upper (odd) bytes.
        let mut words = [zero; 2];
        let mut odd = [zero; 2];
        for (&code, offset) in lane.iter().zip(offsets) {
            let stream = &codes[offset + start..][..positions];
            let indices = match stream.first_chunk::<BLOCK>() {
                Some(block) => *block,
                None => {
                    let mut block = [0; BLOCK];
                    block[..positions].copy_from_slice(stream);
                    block
                }
            };
            let indices = must_cast::<[u8; BLOCK], __m512i>(indices);
            let line = &digit[usize::from(code)];
            for plane in 0..2 {
                let entries = look_up::<ONE_HALF>(&line[plane], indices);
                words[plane] = _mm512_add_epi16(words[plane], entries);
                odd[plane] = _mm512_add_epi16(odd[plane], _mm512_srli_epi16::<8>(entries));
            }
        }
        let even = [0, 1].map(|plane| {
            _mm512_sub_epi16(words[plane], _mm512_slli_epi16::<8>(odd[plane]))
        });
        let combine = |sums: [__m512i; 2]| -> [u32; BLOCK / 2] {
            let low = must_cast::<__m512i, [u16; BLOCK / 2]>(sums[0]);
            let high = must_cast::<__m512i, [u16; BLOCK / 2]>(sums[1]);
            std::array::from_fn(|i| u32::from(low[i]) + (u32::from(high[i]) << 8))
        };
        let (even, odd) = (combine(even), combine(odd));
        std::array::from_fn(|i| if i % 2 == 0 { even[i / 2] } else { odd[i / 2] })
    }

    /// The bytes at 64 indices of a line.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
    #[inline]
    fn look_up<const ONE_HALF: bool>(line: &[u8; CODES], indices: __m512i) -> __m512i {
        let quarter = |i: usize| -> __m512i {
            must_cast::<[u8; BLOCK], __m512i>(line.as_chunks::<BLOCK>().0[i])
        };
        let lower = _mm512_permutex2var_epi8(quarter(0), indices, quarter(1));
        if ONE_HALF {
            return lower;
        }
        let upper = _mm512_permutex2var_epi8(quarter(2), indices, quarter(3));
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(indices), lower, upper)
    }
}
