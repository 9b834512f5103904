//! Panels: the table lines of a block of lanes, interleaved.
//!
//! For one tap k, the lanes of a block (32 outputs with 16-bit entries, 16 with 32-bit ones) have fixed codes. Their
//! panel has a row for every code of the other, streamed operand; a row is one cache line and holds all lanes' products
//! with that code. Looking one streamed code up for all lanes then is one load.
//!
//! Building a panel is a transposition: 0.4 microseconds with 512-bit vectors. Each row costs the same as about two
//! positions of the stream, so only rows that the stream can ask for are built.

use std::ops::RangeInclusive;

use crate::instruction_set::{Family, InstructionSet};
use crate::table::{CODES, LineEntries};

/// Words in a row.
pub(crate) const WORDS: usize = 16;
/// Lanes of a block where entries have 16 bits: two to a word, the even lane in the low half.
pub(crate) const NARROW_LANES: usize = 2 * WORDS;
/// Lanes of a block where entries have 32 bits: one to a word.
pub(crate) const WIDE_LANES: usize = WORDS;

/// One cache line of words.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Row(pub(crate) [u32; WORDS]);

impl Row {
    pub(crate) const ZERO: Row = Row([0; WORDS]);
}

/// The rows of one tap, one for each code of the streamed operand.
pub(crate) type Panel = [Row; CODES];

/// Rows are built in groups of this many.
const GROUP: usize = 8;

/// Builds the rows of `panel` that `codes` asks for from the table lines of the lanes' codes.
pub(crate) fn build(
    set: InstructionSet,
    lines: &LineEntries,
    lanes: &[u8; NARROW_LANES],
    codes: &RangeInclusive<u8>,
    panel: &mut Panel,
) {
    let groups = usize::from(*codes.start()) / GROUP..usize::from(*codes.end()) / GROUP + 1;
    match lines {
        LineEntries::Narrow(lines) => {
            let lines: [&[u16; CODES]; NARROW_LANES] = lanes.map(|code| &lines[usize::from(code)]);
            match set.family() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an instruction set is only constructed where the machine has it.
                Family::Avx512 | Family::Avx512Vbmi => unsafe {
                    x86::build_narrow_avx512(&lines, groups, panel)
                },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Family::Avx2 => unsafe { x86::build_narrow_avx2(&lines, groups, panel) },
                Family::Portable => build_narrow(&lines, groups, panel),
            }
        }
        LineEntries::Wide(lines) => {
            let lines: [&[u32; CODES]; WIDE_LANES] =
                std::array::from_fn(|lane| &lines[usize::from(lanes[lane])]);
            match set.family() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Family::Avx512 | Family::Avx512Vbmi => unsafe {
                    x86::build_wide_avx512(&lines, groups, panel)
                },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Family::Avx2 => unsafe { x86::build_wide_avx2(&lines, groups, panel) },
                Family::Portable => build_wide(&lines, groups, panel),
            }
        }
    }
}

/// The lower halves of `a` and `b`, alternating; compilers turn it into one instruction.
#[inline(always)]
fn interleave_low<T: Copy, const N: usize>(a: [T; N], b: [T; N]) -> [T; N] {
    std::array::from_fn(|i| if i % 2 == 0 { a[i / 2] } else { b[i / 2] })
}

/// The upper halves of `a` and `b`, alternating.
#[inline(always)]
fn interleave_high<T: Copy, const N: usize>(a: [T; N], b: [T; N]) -> [T; N] {
    std::array::from_fn(|i| {
        if i % 2 == 0 {
            a[N / 2 + i / 2]
        } else {
            b[N / 2 + i / 2]
        }
    })
}

/// One of three rounds that transpose 8 vectors of 8: interleaves vector i with vector i + 4.
#[inline(always)]
fn perfect_shuffle<T: Copy, const N: usize>(v: [[T; N]; N]) -> [[T; N]; N] {
    std::array::from_fn(|i| {
        if i % 2 == 0 {
            interleave_low(v[i / 2], v[N / 2 + i / 2])
        } else {
            interleave_high(v[i / 2], v[N / 2 + i / 2])
        }
    })
}

#[inline(always)]
fn build_narrow(
    lines: &[&[u16; CODES]; NARROW_LANES],
    groups: std::ops::Range<usize>,
    panel: &mut Panel,
) {
    for group in groups {
        let first = group * GROUP;
        let rows = &mut panel[first..first + GROUP];
        for (eighth, lines) in lines.as_chunks::<8>().0.iter().enumerate() {
            let mut block: [[u16; 8]; 8] = std::array::from_fn(|lane| {
                *lines[lane][first..]
                    .first_chunk::<8>()
                    .expect("groups lie inside a line")
            });
            block = perfect_shuffle(perfect_shuffle(perfect_shuffle(block)));
            for (row, products) in rows.iter_mut().zip(block) {
                for (word, pair) in row.0[eighth * 4..][..4].iter_mut().zip(products.as_chunks::<2>().0) {
                    *word = u32::from(pair[0]) | u32::from(pair[1]) << 16;
                }
            }
        }
    }
}

#[inline(always)]
fn build_wide(
    lines: &[&[u32; CODES]; WIDE_LANES],
    groups: std::ops::Range<usize>,
    panel: &mut Panel,
) {
    for group in groups {
        for first in [group * GROUP, group * GROUP + 4] {
            let rows = &mut panel[first..first + 4];
            for (quarter, lines) in lines.as_chunks::<4>().0.iter().enumerate() {
                let mut block: [[u32; 4]; 4] = std::array::from_fn(|lane| {
                    *lines[lane][first..]
                        .first_chunk::<4>()
                        .expect("groups lie inside a line")
                });
                block = perfect_shuffle(perfect_shuffle(block));
                for (row, products) in rows.iter_mut().zip(block) {
                    row.0[quarter * 4..][..4].copy_from_slice(&products);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The same transpositions on 512-bit vectors, four lane groups side by side.

    use std::arch::x86_64::*;
    use std::ops::Range;

    use bytemuck::must_cast;

    use super::{CODES, GROUP, NARROW_LANES, Panel, WIDE_LANES};

    #[target_feature(enable = "avx2")]
    pub(super) fn build_narrow_avx2(
        lines: &[&[u16; CODES]; NARROW_LANES],
        groups: Range<usize>,
        panel: &mut Panel,
    ) {
        super::build_narrow(lines, groups, panel);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn build_wide_avx2(
        lines: &[&[u32; CODES]; WIDE_LANES],
        groups: Range<usize>,
        panel: &mut Panel,
    ) {
        super::build_wide(lines, groups, panel);
    }

    /// Four 128-bit parts as one vector.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    #[inline]
    fn gather_parts(parts: [__m128i; 4]) -> __m512i {
        let vector = _mm512_castsi128_si512(parts[0]);
        let vector = _mm512_mask_broadcast_i32x4(vector, 0x00f0, parts[1]);
        let vector = _mm512_mask_broadcast_i32x4(vector, 0x0f00, parts[2]);
        _mm512_mask_broadcast_i32x4(vector, 0xf000, parts[3])
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn build_narrow_avx512(
        lines: &[&[u16; CODES]; NARROW_LANES],
        groups: Range<usize>,
        panel: &mut Panel,
    ) {
        for group in groups {
            // Vector i holds lanes i, 8 + i, 16 + i and 24 + i, eight codes of each.
            let load = |lane: usize| -> __m128i {
                must_cast::<[u16; 8], __m128i>(lines[lane].as_chunks::<8>().0[group])
            };
            let mut v = [_mm512_setzero_si512(); 8];
            for (lane, vector) in v.iter_mut().enumerate() {
                *vector = gather_parts([load(lane), load(lane + 8), load(lane + 16), load(lane + 24)]);
            }
            let pairs = [
                _mm512_unpacklo_epi16(v[0], v[1]),
                _mm512_unpackhi_epi16(v[0], v[1]),
                _mm512_unpacklo_epi16(v[2], v[3]),
                _mm512_unpackhi_epi16(v[2], v[3]),
                _mm512_unpacklo_epi16(v[4], v[5]),
                _mm512_unpackhi_epi16(v[4], v[5]),
                _mm512_unpacklo_epi16(v[6], v[7]),
                _mm512_unpackhi_epi16(v[6], v[7]),
            ];
            let quads = [
                _mm512_unpacklo_epi32(pairs[0], pairs[2]),
                _mm512_unpackhi_epi32(pairs[0], pairs[2]),
                _mm512_unpacklo_epi32(pairs[1], pairs[3]),
                _mm512_unpackhi_epi32(pairs[1], pairs[3]),
                _mm512_unpacklo_epi32(pairs[4], pairs[6]),
                _mm512_unpackhi_epi32(pairs[4], pairs[6]),
                _mm512_unpacklo_epi32(pairs[5], pairs[7]),
                _mm512_unpackhi_epi32(pairs[5], pairs[7]),
            ];
            let rows = &mut panel.as_chunks_mut::<GROUP>().0[group];
            for code in 0..4 {
                rows[2 * code].0 =
                    must_cast(_mm512_unpacklo_epi64(quads[code], quads[4 + code]));
                rows[2 * code + 1].0 =
                    must_cast(_mm512_unpackhi_epi64(quads[code], quads[4 + code]));
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn build_wide_avx512(
        lines: &[&[u32; CODES]; WIDE_LANES],
        groups: Range<usize>,
        panel: &mut Panel,
    ) {
        for half_group in groups.start * 2..groups.end * 2 {
            // Vector i holds lanes i, 4 + i, 8 + i and 12 + i, four codes of each.
            let load = |lane: usize| -> __m128i {
                must_cast::<[u32; 4], __m128i>(lines[lane].as_chunks::<4>().0[half_group])
            };
            let mut v = [_mm512_setzero_si512(); 4];
            for (lane, vector) in v.iter_mut().enumerate() {
                *vector = gather_parts([load(lane), load(lane + 4), load(lane + 8), load(lane + 12)]);
            }
            let low = [_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpacklo_epi32(v[2], v[3])];
            let high = [_mm512_unpackhi_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[2], v[3])];
            let rows = &mut panel.as_chunks_mut::<4>().0[half_group];
            rows[0].0 = must_cast(_mm512_unpacklo_epi64(low[0], low[1]));
            rows[1].0 = must_cast(_mm512_unpackhi_epi64(low[0], low[1]));
            rows[2].0 = must_cast(_mm512_unpacklo_epi64(high[0], high[1]));
            rows[3].0 = must_cast(_mm512_unpackhi_epi64(high[0], high[1]));
        }
    }
}
