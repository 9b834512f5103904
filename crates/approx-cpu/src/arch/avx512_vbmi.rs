//! What byte permutations of AVX-512 VBMI are good for in every kernel: looking bytes up inside vector registers.

use std::arch::x86_64::*;

use bytemuck::must_cast;

use crate::word::CODES;

/// Bytes of a vector.
pub(crate) const BLOCK: usize = 64;

/// The bytes at 64 indices of a line.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
#[inline]
pub(crate) fn look_up<const ONE_HALF: bool>(line: &[u8; CODES], indices: __m512i) -> __m512i {
    let quarter =
        |i: usize| -> __m512i { must_cast::<[u8; BLOCK], __m512i>(line.as_chunks::<BLOCK>().0[i]) };
    let lower = _mm512_permutex2var_epi8(quarter(0), indices, quarter(1));
    if ONE_HALF {
        return lower;
    }
    let upper = _mm512_permutex2var_epi8(quarter(2), indices, quarter(3));
    _mm512_mask_blend_epi8(_mm512_movepi8_mask(indices), lower, upper)
}
