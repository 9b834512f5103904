//! Values to the values of one-operand functions of their codes, for products of factors.
//!
//! ```text
//! at_zero[c, t]  = table[t][zero_point[c] & mask]
//! y[b, t, i]     = table[t][code(x[b, i]) & mask] - at_zero[c, t]        NaN where x[b, i] is
//! ```
//!
//! with the values in blocks `b`, the functions `t`, and `c` the channel of the quantiser; the subtraction is a choice.

use cubecl::prelude::*;

use crate::float_bits::is_nan;
use crate::kernels::quantization::ChannelQuantizers;

/// One unit per value, and at least one per element of `at_zero`.
#[cube(launch)]
pub(crate) fn encode_factors(
    values: &[f32],
    quantizers: ChannelQuantizers,
    tables: &[f32],
    output: &mut [f32],
    at_zero: &mut [f32],
    terms: usize,
    block: usize,
    #[comptime] bits: u32,
    #[comptime] less_zero: bool,
) {
    let patterns = comptime!(1usize << bits);
    if ABSOLUTE_POS < at_zero.len() {
        let zero = pattern(quantizers.zero_point((ABSOLUTE_POS / terms) as u32), bits);
        at_zero[ABSOLUTE_POS] = tables[(ABSOLUTE_POS % terms) * patterns + zero];
    }
    if ABSOLUTE_POS < values.len() {
        let channel = quantizers.channel(ABSOLUTE_POS);
        let scaled = quantizers.scaled(values[ABSOLUTE_POS], channel);
        let no_number = is_nan(scaled);
        let nan = f32::reinterpret(scaled);
        let zero_point = quantizers.zero_point(channel);
        let code = pattern(quantizers.code(scaled, zero_point), bits);
        let zero = pattern(zero_point, bits);
        let first = (ABSOLUTE_POS / block) * terms * block + ABSOLUTE_POS % block;
        for term in 0..terms {
            let table = term * patterns;
            let mut value = tables[table + code];
            if less_zero {
                value -= tables[table + zero];
            }
            output[first + term * block] = select(no_number, nan, value);
        }
    }
}

#[cube]
fn pattern(code: i32, #[comptime] bits: u32) -> usize {
    let mask = comptime!((1u32 << bits) - 1);
    (u32::reinterpret(code) & mask) as usize
}
