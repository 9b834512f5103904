//! AVX-512 with VNNI and VBMI, whose byte permutations look 64 codes up at a time inside vector registers.

use std::arch::x86_64::*;
use std::array;

use bytemuck::must_cast;

use super::avx512::Avx512;
use super::instructions::{Facts, Instructions, Kernel, LaneCycles, Pick};
use super::operands::{DigitLine, LANES, LOOKUPS, NARROW_LANES, PickedBlock, PickedTaps, Row};
use crate::word::CODES;

/// 512-bit vectors whose bytes can be permuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512Vbmi(Avx512<true>);

// SAFETY: detection asks for all features that are named here.
unsafe impl Instructions for Avx512Vbmi {
    type Lanes = __m512i;

    const FACTS: Facts = Facts {
        encoding: 1.0,
        multiplying: 1.0,
        lane: LaneCycles {
            positions: LOOKUPS,
            narrow: 15.0,
            wide: 30.0,
        },
        adds_digits: true,
        mapped_tables: 2,
        pick: Some(Pick {
            parts: 1,
            bytes: 64,
            positions: LANES,
        }),
        ..Avx512::<true>::FACTS
    };
    const TILE: [usize; 2] = Avx512::<true>::TILE;
    const FLOAT_TILE: [usize; 2] = Avx512::<true>::FLOAT_TILE;

    fn detect() -> Option<Self> {
        let narrower = Avx512::detect().filter(|_| is_x86_feature_detected!("avx512vbmi"));
        narrower.map(Avx512Vbmi)
    }

    #[inline(always)]
    fn compiled<K: Kernel>(self, kernel: K, to: &mut K::Target) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
        fn avx512_vbmi<K: Kernel>(set: Avx512Vbmi, kernel: K, to: &mut K::Target) -> K::Output {
            kernel.run(set, to)
        }

        // SAFETY: the value is the proof that the machine has the set.
        unsafe { avx512_vbmi(self, kernel, to) }
    }

    #[inline(always)]
    fn splat(self, word: i32) -> Self::Lanes {
        self.0.splat(word)
    }

    #[inline(always)]
    fn load(self, from: &[i32; LANES]) -> Self::Lanes {
        self.0.load(from)
    }

    #[inline(always)]
    fn store(self, lanes: Self::Lanes, to: &mut [i32; LANES]) {
        self.0.store(lanes, to);
    }

    #[inline(always)]
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        self.0.add(a, b)
    }

    #[inline(always)]
    fn upper_halves(self, lanes: Self::Lanes) -> Self::Lanes {
        self.0.upper_halves(lanes)
    }

    #[inline(always)]
    fn add_byte_products(
        self,
        sums: Self::Lanes,
        unsigned: Self::Lanes,
        signed: Self::Lanes,
    ) -> Self::Lanes {
        self.0.add_byte_products(sums, unsigned, signed)
    }

    #[inline(always)]
    fn add_pair_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        self.0.add_pair_products(sums, a, b)
    }

    #[inline(always)]
    fn add_float_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        self.0.add_float_products(sums, a, b)
    }

    #[inline(always)]
    fn transpose_narrow(
        self,
        lines: &[&[u16; CODES]; NARROW_LANES],
        group: usize,
        rows: &mut [Row; 8],
    ) {
        self.0.transpose_narrow(lines, group, rows);
    }

    #[inline(always)]
    fn transpose_wide(self, lines: &[&[u32; CODES]; LANES], group: usize, rows: &mut [Row; 8]) {
        self.0.transpose_wide(lines, group, rows);
    }

    #[inline(always)]
    fn map_codes<const TABLES: usize>(
        self,
        tables: [&[u8; CODES]; TABLES],
        codes: &[u8],
        bytes: &mut [[u8; TABLES]],
    ) {
        // SAFETY: the value is the proof that the machine has the set.
        unsafe { map_codes(tables, codes, bytes) }
    }

    #[inline(always)]
    fn add_digits<const ONE_HALF: bool>(
        self,
        lines: &[DigitLine],
        lane: &[u8],
        codes: &[u8],
        offsets: &[usize],
        start: usize,
    ) -> [[u32; LOOKUPS / 2]; 2] {
        // SAFETY: as above.
        unsafe { add_digits::<ONE_HALF>(lines, lane, codes, offsets, start) }
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

// Closures are kept out of library functions here: those are compiled without the instructions that the closures ask
// for, so neither would be inlined.

/// The bytes at 64 indices of a line. `ONE_HALF`: all of them are below 128.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
fn look_up<const ONE_HALF: bool>(line: &[u8; CODES], indices: __m512i) -> __m512i {
    let quarter = |i: usize| -> __m512i {
        must_cast::<[u8; LOOKUPS], __m512i>(line.as_chunks::<LOOKUPS>().0[i])
    };
    let lower = _mm512_permutex2var_epi8(quarter(0), indices, quarter(1));
    if ONE_HALF {
        return lower;
    }
    let upper = _mm512_permutex2var_epi8(quarter(2), indices, quarter(3));
    _mm512_mask_blend_epi8(_mm512_movepi8_mask(indices), lower, upper)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
fn map_codes<const TABLES: usize>(
    tables: [&[u8; CODES]; TABLES],
    codes: &[u8],
    bytes: &mut [[u8; TABLES]],
) {
    let (blocks, rest) = codes.as_chunks::<LOOKUPS>();
    let (to_blocks, to_rest) = bytes.as_chunks_mut::<LOOKUPS>();
    for (to, codes) in to_blocks.iter_mut().zip(blocks) {
        *to = map_block(tables, codes);
    }
    if !rest.is_empty() {
        let mut codes = [0; LOOKUPS];
        codes[..rest.len()].copy_from_slice(rest);
        to_rest.copy_from_slice(&map_block(tables, &codes)[..rest.len()]);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
fn map_block<const TABLES: usize>(
    tables: [&[u8; CODES]; TABLES],
    codes: &[u8; LOOKUPS],
) -> [[u8; TABLES]; LOOKUPS] {
    let indices = must_cast::<[u8; LOOKUPS], __m512i>(*codes);
    let mut planes = [[0; LOOKUPS]; TABLES];
    for (plane, table) in planes.iter_mut().zip(tables) {
        *plane = must_cast(look_up::<false>(table, indices));
    }
    array::from_fn(|position| array::from_fn(|table| planes[table][position]))
}

/// Sums bytes in 16-bit words, even and odd positions apart, which hold 256 of them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
fn add_digits<const ONE_HALF: bool>(
    lines: &[DigitLine],
    lane: &[u8],
    codes: &[u8],
    offsets: &[usize],
    start: usize,
) -> [[u32; LOOKUPS / 2]; 2] {
    let zero = _mm512_setzero_si512();
    // For each plane of bytes: sums of all 16-bit words, and sums of their upper (odd) bytes.
    let mut words = [zero; 2];
    let mut odd = [zero; 2];
    for (&code, offset) in lane.iter().zip(offsets) {
        let indices: &[u8; LOOKUPS] = codes[offset + start..]
            .first_chunk()
            .expect("64 codes from every start");
        let indices = must_cast::<[u8; LOOKUPS], __m512i>(*indices);
        let line = &lines[usize::from(code)].0;
        for plane in 0..2 {
            let entries = look_up::<ONE_HALF>(&line[plane], indices);
            words[plane] = _mm512_add_epi16(words[plane], entries);
            odd[plane] = _mm512_add_epi16(odd[plane], _mm512_srli_epi16::<8>(entries));
        }
    }
    let mut planes = [[[0u16; LOOKUPS / 2]; 2]; 2];
    for (plane, sums) in planes.iter_mut().enumerate() {
        let even = _mm512_sub_epi16(words[plane], _mm512_slli_epi16::<8>(odd[plane]));
        *sums = [must_cast(even), must_cast(odd[plane])];
    }
    let mut sums = [[0; LOOKUPS / 2]; 2];
    for (parity, sums) in sums.iter_mut().enumerate() {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = u32::from(planes[0][parity][i]) + (u32::from(planes[1][parity][i]) << 8);
        }
    }
    sums
}

/// Blocks of positions that are worked on at once: enough to hide the latency of the additions.
const TOGETHER: usize = 4;

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")]
#[inline]
fn add_picked<const PAIRS: bool>(taps: &PickedTaps<'_>, blocks: &[PickedBlock], sums: &mut [i32]) {
    let (groups, rest) = blocks.as_chunks::<TOGETHER>();
    for blocks in groups {
        add_picked_blocks::<PAIRS, TOGETHER>(taps, blocks, sums);
    }
    for &block in rest {
        add_picked_blocks::<PAIRS, 1>(taps, &[block], sums);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")]
#[inline]
fn add_picked_blocks<const PAIRS: bool, const BLOCKS: usize>(
    taps: &PickedTaps<'_>,
    blocks: &[PickedBlock; BLOCKS],
    sums: &mut [i32],
) {
    let indices = must_cast::<[u8; 64], __m512i>(*taps.indices);
    let mut totals = [_mm512_setzero_si512(); BLOCKS];
    let bytes = if PAIRS { 2 } else { 1 };
    for (offset, &weights) in taps.offsets.iter().zip(taps.weights) {
        let weights = _mm512_set1_epi32(weights);
        for (total, block) in totals.iter_mut().zip(blocks) {
            let from = taps.elements[(block.input + offset) * bytes..].first_chunk();
            let row: &[u8; 64] = from.expect("elements beyond the last");
            let elements = _mm512_permutexvar_epi8(indices, must_cast(*row));
            *total = if PAIRS {
                _mm512_dpwssd_epi32(*total, elements, weights)
            } else {
                _mm512_dpbusd_epi32(*total, elements, weights)
            };
        }
    }
    for (total, block) in totals.into_iter().zip(blocks) {
        let to = sums[block.output..].first_chunk_mut::<LANES>();
        *to.expect("sums beyond the last") = must_cast(total);
    }
}
