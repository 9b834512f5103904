//! Sums of products of codes, computed in float32 in parts, to real values.
//!
//! ```text
//! y[i] = (s_x * s_w[o]) * (sum over p of sum[p, i] + constant[o])        o = (i / inner) % channels
//! ```
//!
//! The bracket is an integer: where every part is one that float32 holds, they are added as integers of 32 bits, and
//! the bracket is rounded to float32 once. A zero has no sign. NaN where a part is, and where a scale is not finite.

use cubecl::prelude::*;

use crate::float_bits::{SIGN, bits_unless, is_finite, is_nan};
use crate::quantizer::Quantizers;
use crate::wide::Wide;

/// What the parts of a sum are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartialSums {
    /// Integers up to 2^24, whose sums fit in 32 bits. Constants are `i32`.
    Integers,
    /// Any numbers; they are added in float32. Constants are `f32`.
    Reals,
}

#[cube(launch)]
pub(crate) fn rescale(
    sums: &[f32],
    constants: ComptimeOption<&[u32]>,
    activation: Quantizers,
    weight: Quantizers,
    output: &mut [u32],
    parts: usize,
    channels: usize,
    inner: usize,
    #[comptime] kind: PartialSums,
) {
    let length = sums.len() / parts;
    if ABSOLUTE_POS < length {
        let channel = (ABSOLUTE_POS / inner) % channels;
        #[comptime]
        let constant = match constants {
            ComptimeOption::Some(constants) => constants[channel],
            ComptimeOption::None => 0u32.runtime(),
        };
        let mut not_a_number = false;
        let mut integer = constant;
        let mut real = 0.0f32;
        if comptime!(matches!(kind, PartialSums::Reals)) {
            real = f32::reinterpret(constant);
        }
        for part in 0..parts {
            let sum = sums[part * length + ABSOLUTE_POS];
            not_a_number = not_a_number || is_nan(u32::reinterpret(sum));
            match comptime!(kind) {
                PartialSums::Integers => integer += u32::reinterpret(i32::cast_from(sum)),
                PartialSums::Reals => real += sum,
            }
        }
        let bracket = match comptime!(kind) {
            PartialSums::Integers => Wide::from_word(i32::reinterpret(integer)).to_f32(),
            PartialSums::Reals => {
                let bits = u32::reinterpret(real);
                // The only bits of -0 are its sign.
                f32::reinterpret(select(bits == SIGN, 0u32.runtime(), bits))
            }
        };
        let activation_scale = activation.scale(0u32);
        let weight_scale = weight.scale(channel as u32);
        let no_number = not_a_number
            || !is_finite(u32::reinterpret(activation_scale))
            || !is_finite(u32::reinterpret(weight_scale));
        output[ABSOLUTE_POS] = bits_unless(no_number, (activation_scale * weight_scale) * bracket);
    }
}
