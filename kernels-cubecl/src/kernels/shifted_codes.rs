//! Codes minus their zero points: real values in units of their scale.
//!
//! ```text
//! y[i] = code(x[i]) - zero_point        NaN where x[i] is
//! ```

use cubecl::prelude::*;

use crate::float_bits::{bits_unless, is_nan};
use crate::kernels::quantization::ChannelQuantizers;

#[cube(launch)]
pub(crate) fn shifted_codes(values: &[f32], quantizers: ChannelQuantizers, output: &mut [u32]) {
    if ABSOLUTE_POS < values.len() {
        let channel = quantizers.channel(ABSOLUTE_POS);
        let scaled = quantizers.scaled(values[ABSOLUTE_POS], channel);
        let zero_point = quantizers.zero_point(channel);
        let shifted = quantizers.code(scaled, zero_point) - zero_point;
        output[ABSOLUTE_POS] = bits_unless(is_nan(scaled), f32::cast_from(shifted));
    }
}
