//! Panels: the table lines of a block of lanes, interleaved.
//!
//! For one tap k, the lanes of a block (32 outputs with 16-bit entries, 16 with 32-bit ones) have fixed codes. Their
//! panel has a row for every code of the other, streamed operand; a row is one cache line and holds all lanes' products
//! with that code. Looking one streamed code up for all lanes then is one load.
//!
//! Building a panel is a transposition, mostly of memory traffic: 0.6 microseconds with 256- and 512-bit vectors, as
//! much as some 800 positions of the stream. So only rows that the stream can ask for are built.

use std::ops::RangeInclusive;

use crate::arch::{Family, InstructionSet};
use crate::lookup::table::LineEntries;
use crate::word::CODES;

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

/// Transposes the 2 x 2 blocks of `BITS`-wide elements in two words; `low` selects the lower element of each pair.
pub(crate) fn exchange<const BITS: u32>(a: u64, b: u64, low: u64) -> (u64, u64) {
    (
        (a & low) | (b & low) << BITS,
        (a >> BITS & low) | (b & !low),
    )
}

const LOW_16: u64 = 0x0000_ffff_0000_ffff;
const LOW_32: u64 = 0x0000_0000_ffff_ffff;

fn build_narrow(
    lines: &[&[u16; CODES]; NARROW_LANES],
    groups: std::ops::Range<usize>,
    panel: &mut Panel,
) {
    for half_group in groups.start * 2..groups.end * 2 {
        let rows = &mut panel.as_chunks_mut::<4>().0[half_group];
        for (quad, lines) in lines.as_chunks::<4>().0.iter().enumerate() {
            // Four codes of one lane in each word; afterwards, four lanes of one code.
            let [a, b, c, d] = lines.map(|line| {
                let [e, f, g, h] = line.as_chunks::<4>().0[half_group].map(u64::from);
                e | f << 16 | g << 32 | h << 48
            });
            let (ab, ba) = exchange::<16>(a, b, LOW_16);
            let (cd, dc) = exchange::<16>(c, d, LOW_16);
            let (first, third) = exchange::<32>(ab, cd, LOW_32);
            let (second, fourth) = exchange::<32>(ba, dc, LOW_32);
            for (row, products) in rows.iter_mut().zip([first, second, third, fourth]) {
                row.0[quad * 2] = products as u32;
                row.0[quad * 2 + 1] = (products >> 32) as u32;
            }
        }
    }
}

fn build_wide(
    lines: &[&[u32; CODES]; WIDE_LANES],
    groups: std::ops::Range<usize>,
    panel: &mut Panel,
) {
    for group in groups {
        let rows = &mut panel.as_chunks_mut::<GROUP>().0[group];
        for (lane, line) in lines.iter().enumerate() {
            for (row, &product) in rows.iter_mut().zip(&line.as_chunks::<GROUP>().0[group]) {
                row.0[lane] = product;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The same transpositions on wider vectors, whose 128-bit parts hold one lane group each.

    use std::arch::x86_64::*;
    use std::ops::Range;

    use bytemuck::must_cast;

    use super::{CODES, GROUP, NARROW_LANES, Panel, WIDE_LANES, WORDS};

    /// Transposes 8 x 8 16-bit elements inside every 128-bit part of `$v`.
    macro_rules! transpose_8x8 {
        ($v:ident, $low16:ident, $high16:ident, $low32:ident, $high32:ident, $low64:ident, $high64:ident) => {{
            let (a, b, c, d) = (
                $low16($v[0], $v[1]),
                $low16($v[2], $v[3]),
                $low16($v[4], $v[5]),
                $low16($v[6], $v[7]),
            );
            let (e, f, g, h) = (
                $high16($v[0], $v[1]),
                $high16($v[2], $v[3]),
                $high16($v[4], $v[5]),
                $high16($v[6], $v[7]),
            );
            let (ab, cd, ef, gh) = ($low32(a, b), $low32(c, d), $low32(e, f), $low32(g, h));
            let (ba, dc, fe, hg) = ($high32(a, b), $high32(c, d), $high32(e, f), $high32(g, h));
            [
                $low64(ab, cd),
                $high64(ab, cd),
                $low64(ba, dc),
                $high64(ba, dc),
                $low64(ef, gh),
                $high64(ef, gh),
                $low64(fe, hg),
                $high64(fe, hg),
            ]
        }};
    }

    /// Transposes 4 x 4 32-bit elements inside every 128-bit part of `$v`.
    macro_rules! transpose_4x4 {
        ($v:ident, $low32:ident, $high32:ident, $low64:ident, $high64:ident) => {{
            let (a, b) = ($low32($v[0], $v[1]), $low32($v[2], $v[3]));
            let (c, d) = ($high32($v[0], $v[1]), $high32($v[2], $v[3]));
            [$low64(a, b), $high64(a, b), $low64(c, d), $high64(c, d)]
        }};
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn build_narrow_avx2(
        lines: &[&[u16; CODES]; NARROW_LANES],
        groups: Range<usize>,
        panel: &mut Panel,
    ) {
        for group in groups {
            let load = |lane: usize| -> __m128i {
                must_cast::<[u16; 8], __m128i>(lines[lane].as_chunks::<8>().0[group])
            };
            let rows = &mut panel.as_chunks_mut::<GROUP>().0[group];
            for half in 0..2 {
                let mut v = [_mm256_setzero_si256(); 8];
                for (lane, vector) in v.iter_mut().enumerate() {
                    let lane = lane + half * NARROW_LANES / 2;
                    *vector = _mm256_set_m128i(load(lane + 8), load(lane));
                }
                let products = transpose_8x8!(
                    v,
                    _mm256_unpacklo_epi16,
                    _mm256_unpackhi_epi16,
                    _mm256_unpacklo_epi32,
                    _mm256_unpackhi_epi32,
                    _mm256_unpacklo_epi64,
                    _mm256_unpackhi_epi64
                );
                for (row, products) in rows.iter_mut().zip(products) {
                    row.0.as_chunks_mut::<{ WORDS / 2 }>().0[half] = must_cast(products);
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn build_wide_avx2(
        lines: &[&[u32; CODES]; WIDE_LANES],
        groups: Range<usize>,
        panel: &mut Panel,
    ) {
        for half_group in groups.start * 2..groups.end * 2 {
            let load = |lane: usize| -> __m128i {
                must_cast::<[u32; 4], __m128i>(lines[lane].as_chunks::<4>().0[half_group])
            };
            let rows = &mut panel.as_chunks_mut::<4>().0[half_group];
            for half in 0..2 {
                let mut v = [_mm256_setzero_si256(); 4];
                for (lane, vector) in v.iter_mut().enumerate() {
                    let lane = lane + half * WIDE_LANES / 2;
                    *vector = _mm256_set_m128i(load(lane + 4), load(lane));
                }
                let products = transpose_4x4!(
                    v,
                    _mm256_unpacklo_epi32,
                    _mm256_unpackhi_epi32,
                    _mm256_unpacklo_epi64,
                    _mm256_unpackhi_epi64
                );
                for (row, products) in rows.iter_mut().zip(products) {
                    row.0.as_chunks_mut::<{ WORDS / 2 }>().0[half] = must_cast(products);
                }
            }
        }
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
                *vector =
                    gather_parts([load(lane), load(lane + 8), load(lane + 16), load(lane + 24)]);
            }
            let products = transpose_8x8!(
                v,
                _mm512_unpacklo_epi16,
                _mm512_unpackhi_epi16,
                _mm512_unpacklo_epi32,
                _mm512_unpackhi_epi32,
                _mm512_unpacklo_epi64,
                _mm512_unpackhi_epi64
            );
            let rows = &mut panel.as_chunks_mut::<GROUP>().0[group];
            for (row, products) in rows.iter_mut().zip(products) {
                row.0 = must_cast(products);
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
                *vector =
                    gather_parts([load(lane), load(lane + 4), load(lane + 8), load(lane + 12)]);
            }
            let products = transpose_4x4!(
                v,
                _mm512_unpacklo_epi32,
                _mm512_unpackhi_epi32,
                _mm512_unpacklo_epi64,
                _mm512_unpackhi_epi64
            );
            let rows = &mut panel.as_chunks_mut::<4>().0[half_group];
            for (row, products) in rows.iter_mut().zip(products) {
                row.0 = must_cast(products);
            }
        }
    }
}
