//! Codes to packed codes.
//!
//! ```text
//! words[w] = sum over j < per_word of (code[per_word w + j] & mask) << (j * 32 / per_word)
//! ```

use cubecl::prelude::*;

use crate::kernels::encode::placed;

/// One unit per word.
#[cube(launch)]
pub(crate) fn pack(
    codes: &[i32],
    words: &mut [u32],
    #[comptime] bits: u32,
    #[comptime] per_word: usize,
) {
    if ABSOLUTE_POS < words.len() {
        let mut word = 0u32;
        #[unroll]
        for part in 0..per_word {
            let position = ABSOLUTE_POS * per_word + part;
            if position < codes.len() {
                word |= placed(codes[position], part, bits, per_word);
            }
        }
        words[ABSOLUTE_POS] = word;
    }
}
