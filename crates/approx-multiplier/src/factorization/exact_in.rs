//! Which number formats hold integers exactly.

use serde::{Deserialize, Serialize};

use super::factor_term::largest;

/// The number formats in which every one of some integers is exact.
///
/// ```
/// use approx_multiplier::ExactIn;
///
/// let formats = ExactIn::of(&[0, -257, 512]);
/// assert!(!formats.bf16 && formats.f16 && formats.tf32 && formats.int16 && !formats.int8);
/// // 512 needs only one significant bit.
/// assert!(ExactIn::of(&[512]).bf16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExactIn {
    /// bfloat16, with 8 significant bits: all integers up to 256.
    pub bf16: bool,
    /// IEEE half precision, with 11 significant bits: all integers up to 2048, and none above 65504.
    pub f16: bool,
    /// TF32, with 11 significant bits: all integers up to 2048.
    pub tf32: bool,
    /// IEEE single precision, with 24 significant bits: all integers up to 2^24.
    pub f32: bool,
    /// Signed 8-bit integers, -128 to 127.
    pub int8: bool,
    /// Signed 16-bit integers, -32768 to 32767.
    pub int16: bool,
}

impl ExactIn {
    /// The formats that hold each of the values exactly: all of them if there are no values.
    pub fn of(values: &[i64]) -> Self {
        let significant_bits = values
            .iter()
            .map(|&value| match value.unsigned_abs() {
                0 => 0,
                magnitude => 64 - magnitude.leading_zeros() - magnitude.trailing_zeros(),
            })
            .max()
            .unwrap_or(0);
        Self {
            bf16: significant_bits <= 8,
            f16: significant_bits <= 11 && largest(values) <= 65504,
            tf32: significant_bits <= 11,
            f32: significant_bits <= 24,
            int8: values.iter().all(|&value| i8::try_from(value).is_ok()),
            int16: values.iter().all(|&value| i16::try_from(value).is_ok()),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            bf16: self.bf16 && other.bf16,
            f16: self.f16 && other.f16,
            tf32: self.tf32 && other.tf32,
            f32: self.f32 && other.f32,
            int8: self.int8 && other.int8,
            int16: self.int16 && other.int16,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// For each format the largest number up to which all integers are exact, and the next one.
    #[rstest]
    #[case(256, 257, |exact: ExactIn| exact.bf16)]
    #[case(2048, 2049, |exact: ExactIn| exact.f16)]
    #[case(65504, 65536, |exact: ExactIn| exact.f16)]
    #[case(2048, 2049, |exact: ExactIn| exact.tf32)]
    #[case(65536, 65537, |exact: ExactIn| exact.tf32)]
    #[case(1 << 24, (1 << 24) + 1, |exact: ExactIn| exact.f32)]
    #[case(127, 128, |exact: ExactIn| exact.int8)]
    #[case(-128, -129, |exact: ExactIn| exact.int8)]
    #[case(32767, 32768, |exact: ExactIn| exact.int16)]
    #[case(-32768, -32769, |exact: ExactIn| exact.int16)]
    fn formats_hold_integers_up_to_their_precision(
        #[case] held: i64,
        #[case] not_held: i64,
        #[case] format: fn(ExactIn) -> bool,
    ) {
        assert!(format(ExactIn::of(&[])) && format(ExactIn::of(&[0])));
        assert!(format(ExactIn::of(&[1, held])));
        assert!(!format(ExactIn::of(&[1, not_held])));
    }

    #[test]
    fn extreme_integers_are_answered() {
        let exact = ExactIn::of(&[i64::MIN]);
        assert!(exact.bf16 && exact.tf32 && exact.f32 && !exact.f16 && !exact.int16);
        assert!(!ExactIn::of(&[i64::MAX]).f32);
    }
}
