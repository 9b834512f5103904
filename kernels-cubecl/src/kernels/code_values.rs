//! The values of the codes of real values, in units of their scale or as they are:
//!
//! ```text
//! y[i] = code(x[i]) - zero_point                  NaN where x[i] is
//! y[i] = scale * (code(x[i]) - zero_point)        NaN where x[i] is, and where the scale is not finite
//! ```

use cubecl::prelude::*;

use crate::float_bits::{bits_unless, is_finite, is_nan};
use crate::kernels::quantization::ChannelQuantizers;

/// The unit of the values of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CodeUnit {
    /// The scale of the quantiser.
    Scale,
    /// One.
    One,
}

/// One unit per value.
#[cube(launch)]
pub(crate) fn code_values(
    values: &[f32],
    quantizers: ChannelQuantizers,
    output: &mut [u32],
    #[comptime] unit: CodeUnit,
) {
    if ABSOLUTE_POS < values.len() {
        let channel = quantizers.channel(ABSOLUTE_POS);
        let scaled = quantizers.scaled(values[ABSOLUTE_POS], channel);
        let zero_point = quantizers.zero_point(channel);
        let shifted = f32::cast_from(quantizers.code(scaled, zero_point) - zero_point);
        output[ABSOLUTE_POS] = match unit {
            CodeUnit::Scale => bits_unless(is_nan(scaled), shifted),
            CodeUnit::One => {
                let scale = quantizers.scale(channel);
                let no_number = is_nan(scaled) || !is_finite(u32::reinterpret(scale));
                bits_unless(no_number, scale * shifted)
            }
        };
    }
}
