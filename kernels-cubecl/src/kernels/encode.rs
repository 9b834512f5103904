//! Values to packed codes.
//!
//! ```text
//! words[w] = sum over j < per_word of (code(x[per_word w + j]) & mask) << (j * 32 / per_word)
//! poison   = 1 if any x[i] is NaN
//! ```

use cubecl::prelude::*;

use crate::float_bits::is_nan;
use crate::kernels::quantization::ChannelQuantizers;

/// One unit per word.
#[cube(launch)]
pub(crate) fn encode(
    values: &[f32],
    quantizers: ChannelQuantizers,
    words: &mut [u32],
    poison: &mut [Atomic<u32>],
    #[comptime] bits: u32,
    #[comptime] per_word: usize,
) {
    if ABSOLUTE_POS < words.len() {
        let mut word = 0u32;
        let mut found_nan = false;
        #[unroll]
        for part in 0..per_word {
            let position = ABSOLUTE_POS * per_word + part;
            if position < values.len() {
                let channel = quantizers.channel(position);
                let scaled = quantizers.scaled(values[position], channel);
                found_nan = found_nan || is_nan(scaled);
                let code = quantizers.code(scaled, quantizers.zero_point(channel));
                word |= placed(code, part, bits, per_word);
            }
        }
        words[ABSOLUTE_POS] = word;
        if found_nan {
            poison[0].store(1u32);
        }
    }
}

/// A code's bit pattern at its place in a word.
#[cube]
pub(crate) fn placed(
    code: i32,
    #[comptime] part: usize,
    #[comptime] bits: u32,
    #[comptime] per_word: usize,
) -> u32 {
    let mask = comptime!((1u32 << bits) - 1);
    let place = comptime!((part * (32 / per_word)) as u32);
    (u32::reinterpret(code) & mask) << place
}
