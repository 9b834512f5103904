//! AVX-512 F, BW, DQ and VL, with and without VNNI: 512-bit vectors.

use std::arch::asm;
use std::arch::x86_64::*;

use bytemuck::must_cast;

use super::avx2::{self, Avx2};
use super::instructions::{Facts, Instructions, Kernel, LaneCycles, PanelCycles};
use super::operands::{LANES, NARROW_LANES, PickedBlock, PickedTaps, Row};
use super::x86_64::{byte_products_by_pairs, transpose_4x4, transpose_8x8};
use crate::word::CODES;

/// 512-bit vectors. `VNNI`: one instruction multiplies four bytes or two 16-bit words of a lane each and adds the
/// products to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512<const VNNI: bool>(());

// SAFETY: detection asks for all features that are named here.
unsafe impl<const VNNI: bool> Instructions for Avx512<VNNI> {
    type Lanes = __m512i;

    const FACTS: Facts = Facts {
        encoding: 2.0,
        multiplying: if VNNI { 1.1 } else { 4.0 },
        narrow_panels: PanelCycles {
            build: 1800.0,
            position: 2.2,
        },
        wide_panels: PanelCycles {
            build: 1800.0,
            position: 2.2,
        },
        lane: LaneCycles::LOADS,
        ..Avx2::<VNNI>::FACTS
    };
    /// More blocks of sums leave too few registers for what pairs are multiplied by.
    const TILE: [usize; 2] = [8, if VNNI { 3 } else { 2 }];

    /// Of 32 registers, 28 for sums, 2 for blocks and one for a row's element.
    const FLOAT_TILE: [usize; 2] = [14, 2];

    fn detect() -> Option<Self> {
        // AVX2, because its kernels are used where there are none of 512 bits.
        let present = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && (!VNNI || is_x86_feature_detected!("avx512vnni"));
        present.then_some(Avx512(()))
    }

    #[inline(always)]
    fn compiled<K: Kernel>(self, kernel: K, to: &mut K::Target) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn avx512<K: Kernel>(set: impl Instructions, kernel: K, to: &mut K::Target) -> K::Output {
            kernel.run(set, to)
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn avx512_vnni<K: Kernel>(
            set: impl Instructions,
            kernel: K,
            to: &mut K::Target,
        ) -> K::Output {
            kernel.run(set, to)
        }

        if VNNI {
            // SAFETY: the value is the proof that the machine has the set.
            unsafe { avx512_vnni(self, kernel, to) }
        } else {
            // SAFETY: as above.
            unsafe { avx512(self, kernel, to) }
        }
    }

    #[inline(always)]
    fn splat(self, word: i32) -> Self::Lanes {
        // SAFETY: the value is the proof that the machine has the set.
        unsafe { _mm512_set1_epi32(word) }
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
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn upper_halves(self, lanes: Self::Lanes) -> Self::Lanes {
        // SAFETY: as above.
        unsafe { _mm512_srli_epi32::<16>(lanes) }
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
            unsafe { _mm512_dpbusd_epi32(sums, unsigned, signed) }
        } else {
            // SAFETY: as above.
            unsafe { byte_products(sums, unsigned, signed) }
        }
    }

    #[inline(always)]
    fn add_pair_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        if VNNI {
            // SAFETY: as above.
            unsafe { pair_products_by_vnni(sums, a, b) }
        } else {
            // SAFETY: as above.
            unsafe { _mm512_add_epi32(sums, _mm512_madd_epi16(a, b)) }
        }
    }

    #[inline(always)]
    fn add_float_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        // SAFETY: as above.
        unsafe {
            _mm512_castps_si512(_mm512_fmadd_ps(
                _mm512_castsi512_ps(a),
                _mm512_castsi512_ps(b),
                _mm512_castsi512_ps(sums),
            ))
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
        // SAFETY: as above, and AVX2 was asked for, too.
        unsafe { avx2::map_codes(tables, codes, bytes) }
    }

    #[inline(always)]
    fn add_picked<const PAIRS: bool>(
        self,
        taps: &PickedTaps<'_>,
        blocks: &[PickedBlock],
        sums: &mut [i32],
    ) {
        // SAFETY: as above.
        unsafe { avx2::add_picked::<PAIRS>(taps, blocks, sums) }
    }
}

byte_products_by_pairs!(
    byte_products,
    "avx512f,avx512bw",
    __m512i,
    _mm512_add_epi32,
    _mm512_and_si512,
    _mm512_madd_epi16,
    _mm512_set1_epi16,
    _mm512_slli_epi16,
    _mm512_srai_epi16,
    _mm512_srli_epi16
);

/// `_mm512_dpwssd_epi32` by name: the compiler would replace it by a multiplication and an addition, which have a
/// shorter latency but half the throughput.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn pair_products_by_vnni(mut sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the instruction is there, and touches nothing but its operands.
    unsafe {
        asm!(
            "vpdpwssd {sums}, {a}, {b}",
            sums = inout(zmm_reg) sums,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
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
#[inline]
fn transpose_narrow(lines: &[&[u16; CODES]; NARROW_LANES], group: usize, rows: &mut [Row; 8]) {
    // Vector i holds lanes i, 8 + i, 16 + i and 24 + i, eight codes of each.
    let load = |lane: usize| -> __m128i {
        must_cast::<[u16; 8], __m128i>(lines[lane].as_chunks::<8>().0[group])
    };
    let mut v = [_mm512_setzero_si512(); 8];
    for (lane, vector) in v.iter_mut().enumerate() {
        *vector = gather_parts([load(lane), load(lane + 8), load(lane + 16), load(lane + 24)]);
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
    for (row, products) in rows.iter_mut().zip(products) {
        row.0 = must_cast(products);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
#[inline]
fn transpose_wide(lines: &[&[u32; CODES]; LANES], group: usize, rows: &mut [Row; 8]) {
    for (half_group, rows) in (2 * group..).zip(rows.as_chunks_mut::<4>().0) {
        // Vector i holds lanes i, 4 + i, 8 + i and 12 + i, four codes of each.
        let load = |lane: usize| -> __m128i {
            must_cast::<[u32; 4], __m128i>(lines[lane].as_chunks::<4>().0[half_group])
        };
        let mut v = [_mm512_setzero_si512(); 4];
        for (lane, vector) in v.iter_mut().enumerate() {
            *vector = gather_parts([load(lane), load(lane + 4), load(lane + 8), load(lane + 12)]);
        }
        let products = transpose_4x4!(
            v,
            _mm512_unpacklo_epi32,
            _mm512_unpackhi_epi32,
            _mm512_unpacklo_epi64,
            _mm512_unpackhi_epi64
        );
        for (row, products) in rows.iter_mut().zip(products) {
            row.0 = must_cast(products);
        }
    }
}
