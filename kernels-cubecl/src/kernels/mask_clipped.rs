//! The straight-through gradient of quantisation.
//!
//! ```text
//! y[i] = gradient[i]   where low <= round_half_even(x[i] * reciprocal) + zero_point <= high
//!        0             elsewhere, and where x[i] is NaN
//! ```

use cubecl::prelude::*;

use crate::kernels::quantization::ChannelQuantizers;

/// Gradients pass as bits: they are only copied.
#[cube(launch)]
pub(crate) fn mask_clipped(
    values: &[f32],
    gradients: &[u32],
    quantizers: ChannelQuantizers,
    output: &mut [u32],
) {
    if ABSOLUTE_POS < values.len() {
        let channel = quantizers.channel(ABSOLUTE_POS);
        let scaled = quantizers.scaled(values[ABSOLUTE_POS], channel);
        let kept = quantizers.is_in_range(scaled, quantizers.zero_point(channel));
        output[ABSOLUTE_POS] = select(kept, gradients[ABSOLUTE_POS], 0u32.runtime());
    }
}
