//! Integers of two 32-bit words, for devices that have none of 64 bits.
//!
//! Both words are the two's complement of the value: `value = high * 2^32 + low`, and all arithmetic is modulo `2^64`.
//! The words are unsigned because overflow is defined for unsigned numbers in every language that kernels are compiled
//! to.

#![expect(
    missing_docs,
    reason = "what the derive makes of a type has no documentation"
)]

use cubecl::prelude::*;

/// A 64-bit integer in two's complement.
///
/// ```
/// use cubecl::prelude::*;
/// use kernels_cubecl::wide::Wide;
///
/// /// The correctly rounded float32 of `a * b + c`, at every position.
/// #[cube(launch)]
/// fn multiply_add(a: &[i32], b: &[i32], c: &[i32], result: &mut [f32]) {
///     let i = ABSOLUTE_POS;
///     if i < result.len() {
///         result[i] = Wide::product(a[i], b[i]).plus(Wide::from_word(c[i])).to_f32();
///     }
/// }
/// # fn main() {}
/// ```
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub struct Wide {
    /// The 32 bits of lowest value.
    pub low: u32,
    /// The 32 bits of highest value; the first is the sign.
    pub high: u32,
}

#[cube]
impl Wide {
    /// The value of a 32-bit integer.
    pub fn from_word(value: i32) -> Wide {
        Wide {
            low: u32::reinterpret(value),
            high: select(value < 0, 0xffff_ffffu32, 0u32),
        }
    }

    /// The value of an unsigned 32-bit integer.
    pub fn from_unsigned(value: u32) -> Wide {
        Wide {
            low: value,
            high: 0u32.runtime(),
        }
    }

    /// `self + other`.
    pub fn plus(self, other: Wide) -> Wide {
        let low = self.low + other.low;
        let carry = select(low < other.low, 1u32, 0u32);
        Wide {
            low,
            high: self.high + other.high + carry,
        }
    }

    /// `self - other`.
    pub fn minus(self, other: Wide) -> Wide {
        let borrow = select(self.low < other.low, 1u32, 0u32);
        Wide {
            low: self.low - other.low,
            high: self.high - other.high - borrow,
        }
    }

    /// `a * b`, always exact.
    pub fn product(a: i32, b: i32) -> Wide {
        let (unsigned_a, unsigned_b) = (u32::reinterpret(a), u32::reinterpret(b));
        // Unsigned, a negative factor is 2^32 too large, and the product by as many times the other factor. The signed
        // high word is not asked of the device: where it is emulated, it is the unsigned one.
        let excess = select(a < 0, unsigned_b, 0u32) + select(b < 0, unsigned_a, 0u32);
        Wide {
            low: unsigned_a * unsigned_b,
            high: u32::mul_hi(unsigned_a, unsigned_b) - excess,
        }
    }

    /// The nearest float32, of two equally near the one with an even mantissa. Zero is positive.
    ///
    /// In integers throughout: not every device rounds its own conversions to nearest.
    pub fn to_f32(self) -> f32 {
        let negative = self.high >= 0x8000_0000u32;
        let mut low = self.low;
        let mut high = self.high;
        if negative {
            low = 0u32 - self.low;
            high = 0u32 - self.high - select(self.low > 0, 1u32, 0u32);
        }
        let mut bits = 0u32;
        if (low | high) != 0 {
            // Normalised: the leading 1 becomes the first bit of the high word.
            let mut zeros = high.leading_zeros();
            if high == 0 {
                high = low;
                low = 0u32;
                zeros = 32u32 + high.leading_zeros();
            }
            let shift = zeros & 31;
            if shift > 0 {
                high = (high << shift) | (low >> (32u32 - shift));
                low <<= shift;
            }
            let mantissa = high >> 8;
            let rest = high & 0xff;
            let above_half = rest > 0x80 || (rest == 0x80 && (low != 0 || (mantissa & 1) == 1));
            // The mantissa's leading 1 and the carry of its rounding are added to the exponent, as they should be.
            let exponent = (126u32 + 63u32) - zeros;
            bits = (exponent << 23) + mantissa + select(above_half, 1u32, 0u32);
        }
        f32::reinterpret(bits | select(negative, 0x8000_0000u32, 0u32))
    }
}
