//! DRUM, the dynamic-range unbiased multiplier (S. Hashemi, R. I. Bahar and S. Reda, ICCAD 2015).
//!
//! Of each operand the `k` bits from the leading one on are multiplied exactly, with the lowest of them set to 1: the
//! mean of what was cut off below it. Operands of up to `k` bits stay as they are. So the product is one of two
//! one-operand functions.

use super::odd_factors;
use crate::{Factorization, FactorizationForm, MultiplierError, OperandFormat, Term};

pub(super) fn factorization(
    activation: OperandFormat,
    weight: OperandFormat,
    k: u8,
) -> Result<Factorization, MultiplierError> {
    let term = Term::new(
        1,
        odd_factors(activation, |a| segment(a, k.into())),
        odd_factors(weight, |b| segment(b, k.into())),
    )?;
    Factorization::from_terms(activation, weight, FactorizationForm::Table, [term])
}

/// What is left of an operand's magnitude, in its place.
fn segment(magnitude: u64, k: u32) -> u64 {
    let shift = (u64::BITS - magnitude.leading_zeros()).saturating_sub(k);
    if shift == 0 {
        magnitude
    } else {
        ((magnitude >> shift) | 1) << shift
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0)]
    #[case(7, 7)]
    #[case(8, 0b1010)]
    #[case(0b1011, 0b1010)]
    #[case(0b1111, 0b1110)]
    #[case(0b1000_0000, 0b1010_0000)]
    #[case(0b1101_1011, 0b1110_0000)]
    fn three_bits_are_left(#[case] magnitude: u64, #[case] expected: u64) {
        assert_eq!(segment(magnitude, 3), expected);
    }

    /// What is cut off is replaced by its mean, up to half a unit.
    #[test]
    fn operands_are_unbiased() {
        for k in 2..8 {
            let sum: i64 = (128..256).map(|a| segment(a, k) as i64 - a as i64).sum();
            assert_eq!(sum, 64, "{k}");
        }
    }
}
