//! The real values of codes.
//!
//! ```text
//! y[i] = scale * (code(x[i]) - zero_point)        NaN where x[i] is, and where the scale is not finite
//! ```

use cubecl::prelude::*;

use crate::float_bits::{bits_unless, is_finite, is_nan};
use crate::kernels::quantization::ChannelQuantizers;

#[cube(launch)]
pub(crate) fn fake_quantize(values: &[f32], quantizers: ChannelQuantizers, output: &mut [u32]) {
    if ABSOLUTE_POS < values.len() {
        let channel = quantizers.channel(ABSOLUTE_POS);
        let scaled = quantizers.scaled(values[ABSOLUTE_POS], channel);
        let zero_point = quantizers.zero_point(channel);
        let shifted = quantizers.code(scaled, zero_point) - zero_point;
        let scale = quantizers.scale(channel);
        let no_number = is_nan(scaled) || !is_finite(u32::reinterpret(scale));
        output[ABSOLUTE_POS] = bits_unless(no_number, scale * f32::cast_from(shifted));
    }
}
