//! Floats as their bits.
//!
//! Targets promise nothing of NaNs and infinities: compilers may assume that there are none, and their constants may
//! not even be written down. As integers they are told apart and written everywhere alike, so kernels test and store
//! bits.

use cubecl::prelude::*;

/// The bits of a float that are not its sign.
pub(crate) const MAGNITUDE: u32 = 0x7fff_ffff;
/// The sign of a float.
pub(crate) const SIGN: u32 = 0x8000_0000;
/// The bits of a NaN.
pub(crate) const NAN: u32 = 0x7fc0_0000;
/// The magnitude of an infinity; those of NaNs are larger.
const INFINITY: u32 = 0x7f80_0000;

#[cube]
pub(crate) fn is_nan(bits: u32) -> bool {
    (bits & MAGNITUDE) > INFINITY
}

#[cube]
pub(crate) fn is_finite(bits: u32) -> bool {
    (bits & MAGNITUDE) < INFINITY
}

/// The bits of a value, or of a NaN instead.
#[cube]
pub(crate) fn bits_unless(no_number: bool, value: f32) -> u32 {
    select(no_number, NAN.runtime(), u32::reinterpret(value))
}
