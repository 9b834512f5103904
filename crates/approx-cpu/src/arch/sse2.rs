//! SSE2, which every x86-64 has: 128-bit vectors.

use std::arch::x86_64::*;
use std::array;

use bytemuck::must_cast;

use super::instructions::{Facts, Instructions, Kernel};
use super::operands::{LANES, NARROW_LANES, Row};
use super::portable::Portable;
use super::x86_64::{byte_products_by_pairs, transpose_4x4, transpose_8x8};
use crate::word::CODES;

/// 128-bit vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sse2(());

// SAFETY: SSE2 is part of the architecture.
unsafe impl Instructions for Sse2 {
    type Lanes = [__m128i; 4];

    const FACTS: Facts = Portable::FACTS;
    const TILE: [usize; 2] = [2, 1];
    const FLOAT_TILE: [usize; 2] = [2, 1];

    fn detect() -> Option<Self> {
        Some(Sse2(()))
    }

    #[inline(always)]
    fn compiled<K: Kernel>(self, kernel: K, to: &mut K::Target) -> K::Output {
        // Apart from callers, which most often call the form for another set.
        #[target_feature(enable = "sse2")]
        #[inline(never)]
        fn sse2<K: Kernel>(set: Sse2, kernel: K, to: &mut K::Target) -> K::Output {
            kernel.run(set, to)
        }

        // SAFETY: SSE2 is part of the architecture.
        unsafe { sse2(self, kernel, to) }
    }

    #[inline(always)]
    fn splat(self, word: i32) -> Self::Lanes {
        // SAFETY: as above.
        unsafe { [_mm_set1_epi32(word); 4] }
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
        array::from_fn(|part| unsafe { _mm_add_epi32(a[part], b[part]) })
    }

    #[inline(always)]
    fn upper_halves(self, lanes: Self::Lanes) -> Self::Lanes {
        // SAFETY: as above.
        lanes.map(|part| unsafe { _mm_srli_epi32::<16>(part) })
    }

    #[inline(always)]
    fn add_byte_products(
        self,
        sums: Self::Lanes,
        unsigned: Self::Lanes,
        signed: Self::Lanes,
    ) -> Self::Lanes {
        // SAFETY: as above.
        array::from_fn(|part| unsafe { byte_products(sums[part], unsigned[part], signed[part]) })
    }

    #[inline(always)]
    fn add_pair_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        // SAFETY: as above.
        array::from_fn(|part| unsafe {
            _mm_add_epi32(sums[part], _mm_madd_epi16(a[part], b[part]))
        })
    }

    #[inline(always)]
    fn add_float_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        // SAFETY: as above.
        array::from_fn(|part| unsafe {
            let [sum, a, b] = [sums[part], a[part], b[part]].map(|part| _mm_castsi128_ps(part));
            _mm_castps_si128(_mm_add_ps(_mm_mul_ps(a, b), sum))
        })
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
}

byte_products_by_pairs!(
    byte_products,
    "sse2",
    __m128i,
    _mm_add_epi32,
    _mm_and_si128,
    _mm_madd_epi16,
    _mm_set1_epi16,
    _mm_slli_epi16,
    _mm_srai_epi16,
    _mm_srli_epi16
);

#[target_feature(enable = "sse2")]
#[inline]
fn transpose_narrow(lines: &[&[u16; CODES]; NARROW_LANES], group: usize, rows: &mut [Row; 8]) {
    for (part, lines) in lines.as_chunks::<8>().0.iter().enumerate() {
        let mut v = [_mm_setzero_si128(); 8];
        for (vector, line) in v.iter_mut().zip(lines) {
            *vector = must_cast::<[u16; 8], __m128i>(line.as_chunks::<8>().0[group]);
        }
        let products = transpose_8x8!(
            v,
            _mm_unpacklo_epi16,
            _mm_unpackhi_epi16,
            _mm_unpacklo_epi32,
            _mm_unpackhi_epi32,
            _mm_unpacklo_epi64,
            _mm_unpackhi_epi64
        );
        for (row, products) in rows.iter_mut().zip(products) {
            row.0.as_chunks_mut::<4>().0[part] = must_cast(products);
        }
    }
}

#[target_feature(enable = "sse2")]
#[inline]
fn transpose_wide(lines: &[&[u32; CODES]; LANES], group: usize, rows: &mut [Row; 8]) {
    for (half_group, rows) in (2 * group..).zip(rows.as_chunks_mut::<4>().0) {
        for (part, lines) in lines.as_chunks::<4>().0.iter().enumerate() {
            let mut v = [_mm_setzero_si128(); 4];
            for (vector, line) in v.iter_mut().zip(lines) {
                *vector = must_cast::<[u32; 4], __m128i>(line.as_chunks::<4>().0[half_group]);
            }
            let products = transpose_4x4!(
                v,
                _mm_unpacklo_epi32,
                _mm_unpackhi_epi32,
                _mm_unpacklo_epi64,
                _mm_unpackhi_epi64
            );
            for (row, products) in rows.iter_mut().zip(products) {
                row.0.as_chunks_mut::<4>().0[part] = must_cast(products);
            }
        }
    }
}
