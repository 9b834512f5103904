//! The quantisers of a tensor's channels, inside a kernel.
//!
//! ```text
//! code(x) = clamp(round_half_even(x * reciprocal) + zero_point, low, high)
//! ```
//!
//! The product is the only floating-point operation; its bits are rounded as integers. Targets disagree about ties in
//! their rounding, may merge a product with a sum that follows it, and promise nothing of comparisons with NaNs and
//! infinities; none of them can change what is computed here.

use cubecl::prelude::*;

use crate::float_bits::{MAGNITUDE, is_nan};
use crate::quantizer::Quantizers;

const MANTISSA_BITS: u32 = 23;
/// The exponent, as it is stored, of floats whose unit in the last place is 1.
const INTEGER_EXPONENT: u32 = 127 + MANTISSA_BITS;
/// The bits of 2^17, beyond which any value is clamped: codes and zero points have 16 bits.
const CLAMPED: u32 = (127 + 17) << MANTISSA_BITS;

/// The quantisers of a row-major tensor, of which element `i` belongs to channel `(i / inner) % channels`.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct ChannelQuantizers {
    quantizers: Quantizers,
    inner: u32,
    low: i32,
    high: i32,
    /// Whether there is more than one quantiser.
    #[cube(comptime)]
    per_channel: bool,
}

#[cube]
impl ChannelQuantizers {
    /// The quantiser of a tensor's element.
    pub(crate) fn channel(&self, position: usize) -> u32 {
        if self.per_channel {
            (position as u32 / self.inner) % self.quantizers.channels()
        } else {
            0u32.runtime()
        }
    }

    pub(crate) fn scale(&self, channel: u32) -> f32 {
        self.quantizers.scale(channel)
    }

    pub(crate) fn zero_point(&self, channel: u32) -> i32 {
        self.quantizers.zero_point(channel)
    }

    /// The bits of a value in units of its scale.
    pub(crate) fn scaled(&self, value: f32, channel: u32) -> u32 {
        u32::reinterpret(value * self.quantizers.reciprocal(channel))
    }

    /// The code of a scaled value; of a NaN, any.
    pub(crate) fn code(&self, scaled: u32, zero_point: i32) -> i32 {
        clamp(round_half_even(scaled) + zero_point, self.low, self.high)
    }

    /// Whether a scaled value has a code without clamping; a NaN has none.
    pub(crate) fn is_in_range(&self, scaled: u32, zero_point: i32) -> bool {
        let code = round_half_even(scaled) + zero_point;
        !is_nan(scaled) && self.low <= code && code <= self.high
    }
}

/// The integer nearest to a float of these bits, the even one of two; beyond 2^17, 2^17 with the float's sign.
#[cube]
fn round_half_even(bits: u32) -> i32 {
    let limited = min(bits & MAGNITUDE, CLAMPED);
    let mantissa = (limited & ((1u32 << MANTISSA_BITS) - 1)) | (1u32 << MANTISSA_BITS);
    // Below a half the shift would pass the word's end; one bit beyond the mantissa leaves nothing as well.
    let shift = min(
        INTEGER_EXPONENT - (limited >> MANTISSA_BITS),
        MANTISSA_BITS + 2,
    );
    // Just less than a half is added to an even integer, a half to an odd one.
    let odd = (mantissa >> shift) & 1;
    let whole = i32::cast_from((mantissa + (1u32 << (shift - 1)) - 1 + odd) >> shift);
    select(bits > MAGNITUDE, -whole, whole)
}
