//! AVX2 and FMA, with and without AVX-VNNI: 256-bit vectors.

use std::arch::x86_64::*;

use bytemuck::{cast_slice_mut, must_cast};

use super::instructions::{Facts, Instructions, Kernel, LaneCycles, PanelCycles, Pick};
use super::operands::{LANES, NARROW_LANES, PickedBlock, PickedTaps, Row};
use super::plain;
use super::x86_64::{byte_products_by_pairs, transpose_4x4, transpose_8x8};
use crate::word::CODES;

/// 256-bit vectors. `VNNI`: one instruction multiplies four bytes or two 16-bit words of a lane each and adds the
/// products to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2<const VNNI: bool>(());

// SAFETY: detection asks for all features that are named here.
unsafe impl<const VNNI: bool> Instructions for Avx2<VNNI> {
    type Lanes = [__m256i; 2];

    const FACTS: Facts = Facts {
        encoding: 2.5,
        multiplying: if VNNI { 1.9 } else { 5.0 },
        narrow_panels: PanelCycles {
            build: 1800.0,
            position: 2.5,
        },
        wide_panels: PanelCycles {
            build: 1800.0,
            position: 2.5,
        },
        lane: LaneCycles::LOADS,
        adds_digits: false,
        mapped_tables: 1,
        // A shuffle picks inside the halves of a vector.
        pick: Some(Pick {
            parts: 2,
            bytes: 16,
            positions: 4,
        }),
    };
    const TILE: [usize; 2] = [4, 1];
    const FLOAT_TILE: [usize; 2] = [6, 1];

    fn detect() -> Option<Self> {
        let present = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && (!VNNI || is_x86_feature_detected!("avxvnni"));
        present.then_some(Avx2(()))
    }

    #[inline(always)]
    fn compiled<K: Kernel>(self, kernel: K, to: &mut K::Target) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn avx2<K: Kernel>(set: impl Instructions, kernel: K, to: &mut K::Target) -> K::Output {
            kernel.run(set, to)
        }

        #[target_feature(enable = "avx2,fma,avxvnni")]
        fn avx_vnni<K: Kernel>(set: impl Instructions, kernel: K, to: &mut K::Target) -> K::Output {
            kernel.run(set, to)
        }

        if VNNI {
            // SAFETY: the value is the proof that the machine has the set.
            unsafe { avx_vnni(self, kernel, to) }
        } else {
            // SAFETY: as above.
            unsafe { avx2(self, kernel, to) }
        }
    }

    #[inline(always)]
    fn splat(self, word: i32) -> Self::Lanes {
        // SAFETY: the value is the proof that the machine has the set.
        unsafe { [_mm256_set1_epi32(word); 2] }
    }

    #[inline(always)]
    fn load(self, from: &[i32; LANES]) -> Self::Lanes {
        must_cast(*from)
    }

    #[inline(always)]
    fn store(self, lanes: Self::Lanes, to: &mut [i32; LANES]) {
        *to = must_cast(lanes);
    }

    #[inline(always)]
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        // SAFETY: as above.
        unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn upper_halves(self, lanes: Self::Lanes) -> Self::Lanes {
        // SAFETY: as above.
        unsafe {
            [
                _mm256_srli_epi32::<16>(lanes[0]),
                _mm256_srli_epi32::<16>(lanes[1]),
            ]
        }
    }

    #[inline(always)]
    fn add_byte_products(
        self,
        sums: Self::Lanes,
        unsigned: Self::Lanes,
        signed: Self::Lanes,
    ) -> Self::Lanes {
        if VNNI {
            // SAFETY: as above.
            unsafe {
                [
                    _mm256_dpbusd_avx_epi32(sums[0], unsigned[0], signed[0]),
                    _mm256_dpbusd_avx_epi32(sums[1], unsigned[1], signed[1]),
                ]
            }
        } else {
            // SAFETY: as above.
            unsafe {
                [
                    byte_products(sums[0], unsigned[0], signed[0]),
                    byte_products(sums[1], unsigned[1], signed[1]),
                ]
            }
        }
    }

    #[inline(always)]
    fn add_pair_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        if VNNI {
            // SAFETY: as above.
            unsafe {
                [
                    _mm256_dpwssd_avx_epi32(sums[0], a[0], b[0]),
                    _mm256_dpwssd_avx_epi32(sums[1], a[1], b[1]),
                ]
            }
        } else {
            // SAFETY: as above.
            unsafe {
                [
                    pair_products(sums[0], a[0], b[0]),
                    pair_products(sums[1], a[1], b[1]),
                ]
            }
        }
    }

    #[inline(always)]
    fn add_float_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        // SAFETY: as above.
        unsafe {
            [
                float_products(sums[0], a[0], b[0]),
                float_products(sums[1], a[1], b[1]),
            ]
        }
    }

    #[inline(always)]
    fn transpose_narrow(
        self,
        lines: &[&[u16; CODES]; NARROW_LANES],
        group: usize,
        rows: &mut [Row; 8],
    ) {
        // SAFETY: as above.
        unsafe { transpose_narrow(lines, group, rows) }
    }

    #[inline(always)]
    fn transpose_wide(self, lines: &[&[u32; CODES]; LANES], group: usize, rows: &mut [Row; 8]) {
        // SAFETY: as above.
        unsafe { transpose_wide(lines, group, rows) }
    }

    #[inline(always)]
    fn map_codes<const TABLES: usize>(
        self,
        tables: [&[u8; CODES]; TABLES],
        codes: &[u8],
        bytes: &mut [[u8; TABLES]],
    ) {
        // SAFETY: as above.
        unsafe { map_codes(tables, codes, bytes) }
    }

    #[inline(always)]
    fn add_picked<const PAIRS: bool>(
        self,
        taps: &PickedTaps<'_>,
        blocks: &[PickedBlock],
        sums: &mut [i32],
    ) {
        // SAFETY: as above.
        unsafe { add_picked::<PAIRS>(taps, blocks, sums) }
    }
}

byte_products_by_pairs!(
    byte_products,
    "avx2",
    __m256i,
    _mm256_add_epi32,
    _mm256_and_si256,
    _mm256_madd_epi16,
    _mm256_set1_epi16,
    _mm256_slli_epi16,
    _mm256_srai_epi16,
    _mm256_srli_epi16
);

#[target_feature(enable = "avx2")]
#[inline]
fn pair_products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(sums, _mm256_madd_epi16(a, b))
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn float_products(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
    _mm256_castps_si256(_mm256_fmadd_ps(
        _mm256_castsi256_ps(a),
        _mm256_castsi256_ps(b),
        _mm256_castsi256_ps(sums),
    ))
}

#[target_feature(enable = "avx2")]
#[inline]
fn transpose_narrow(lines: &[&[u16; CODES]; NARROW_LANES], group: usize, rows: &mut [Row; 8]) {
    let load = |lane: usize| -> __m128i {
        must_cast::<[u16; 8], __m128i>(lines[lane].as_chunks::<8>().0[group])
    };
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
            row.0.as_chunks_mut::<{ LANES / 2 }>().0[half] = must_cast(products);
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn transpose_wide(lines: &[&[u32; CODES]; LANES], group: usize, rows: &mut [Row; 8]) {
    for (half_group, rows) in (2 * group..).zip(rows.as_chunks_mut::<4>().0) {
        let load = |lane: usize| -> __m128i {
            must_cast::<[u32; 4], __m128i>(lines[lane].as_chunks::<4>().0[half_group])
        };
        for half in 0..2 {
            let mut v = [_mm256_setzero_si256(); 4];
            for (lane, vector) in v.iter_mut().enumerate() {
                let lane = lane + half * LANES / 2;
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
                row.0.as_chunks_mut::<{ LANES / 2 }>().0[half] = must_cast(products);
            }
        }
    }
}

/// Codes that a vector holds.
const BLOCK: usize = 32;

/// [`Instructions::map_codes`], in registers where there is one table.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn map_codes<const TABLES: usize>(
    tables: [&[u8; CODES]; TABLES],
    codes: &[u8],
    bytes: &mut [[u8; TABLES]],
) {
    if TABLES != 1 {
        return plain::map_codes(tables, codes, bytes);
    }
    let (blocks, rest) = codes.as_chunks::<BLOCK>();
    let (to_blocks, to_rest) = cast_slice_mut(bytes).as_chunks_mut::<BLOCK>();
    for (to, codes) in to_blocks.iter_mut().zip(blocks) {
        *to = map_block(tables[0], codes);
    }
    if !rest.is_empty() {
        let mut codes = [0; BLOCK];
        codes[..rest.len()].copy_from_slice(rest);
        to_rest.copy_from_slice(&map_block(tables[0], &codes)[..rest.len()]);
    }
}

/// Looks the low nibble up in all sixteen lines of sixteen bytes, and keeps the line that the high nibble names.
#[target_feature(enable = "avx2")]
#[inline]
fn map_block(table: &[u8; CODES], codes: &[u8; BLOCK]) -> [u8; BLOCK] {
    let codes = must_cast::<[u8; BLOCK], __m256i>(*codes);
    let mut found = _mm256_setzero_si256();
    for (high, line) in (0i8..).zip(table.as_chunks::<16>().0) {
        let line = _mm256_broadcastsi128_si256(must_cast::<[u8; 16], __m128i>(*line));
        // Below 16 only where the high nibble is this line's. Elsewhere the sum has its top bit set, and a shuffle by
        // such an index gives 0.
        let position = _mm256_xor_si256(codes, _mm256_set1_epi8(high << 4));
        let index = _mm256_adds_epu8(position, _mm256_set1_epi8(0x70));
        found = _mm256_or_si256(found, _mm256_shuffle_epi8(line, index));
    }
    must_cast(found)
}

/// Blocks of positions that are worked on at once: enough to hide the latency of the additions.
const TOGETHER: usize = 4;

/// [`Instructions::add_picked`], eight positions at a time.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn add_picked<const PAIRS: bool>(
    taps: &PickedTaps<'_>,
    blocks: &[PickedBlock],
    sums: &mut [i32],
) {
    let (groups, rest) = blocks.as_chunks::<TOGETHER>();
    for blocks in groups {
        add_picked_blocks::<PAIRS, TOGETHER>(taps, blocks, sums);
    }
    for &block in rest {
        add_picked_blocks::<PAIRS, 1>(taps, &[block], sums);
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn add_picked_blocks<const PAIRS: bool, const BLOCKS: usize>(
    taps: &PickedTaps<'_>,
    blocks: &[PickedBlock; BLOCKS],
    sums: &mut [i32],
) {
    let indices = must_cast::<[u8; BLOCK], __m256i>(taps.indices.as_chunks().0[0]);
    let mut totals = [_mm256_setzero_si256(); BLOCKS];
    let bytes = if PAIRS { 2 } else { 1 };
    for (offset, &weights) in taps.offsets.iter().zip(taps.weights) {
        let weights = _mm256_set1_epi32(weights);
        // Of bytes, the even taps are multiplied apart from the odd ones, both as 16-bit elements.
        let even_weights = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
        let odd_weights = _mm256_srai_epi16::<8>(weights);
        for (total, block) in totals.iter_mut().zip(blocks) {
            let from = &taps.elements[(block.input + offset) * bytes..];
            let part = |part: &[u8]| -> __m128i {
                must_cast::<[u8; 16], __m128i>(
                    *part.first_chunk().expect("elements beyond the last"),
                )
            };
            let row = _mm256_set_m128i(part(&from[taps.part..]), part(from));
            let elements = _mm256_shuffle_epi8(row, indices);
            let products = if PAIRS {
                _mm256_madd_epi16(elements, weights)
            } else {
                let even = _mm256_and_si256(elements, _mm256_set1_epi16(0xff));
                let odd = _mm256_srli_epi16::<8>(elements);
                _mm256_add_epi32(
                    _mm256_madd_epi16(even, even_weights),
                    _mm256_madd_epi16(odd, odd_weights),
                )
            };
            *total = _mm256_add_epi32(*total, products);
        }
    }
    for (total, block) in totals.into_iter().zip(blocks) {
        let to = sums[block.output..].first_chunk_mut::<{ LANES / 2 }>();
        *to.expect("sums beyond the last") = must_cast(total);
    }
}
