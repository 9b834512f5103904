//! RoBA, the rounding-based multiplier (R. Zendegani, M. Kamal, M. Bahadori, A. Afzali-Kusha and M. Pedram, IEEE
//! Transactions on VLSI Systems, 2017).
//!
//! With `ra` and `rb` the operands rounded to powers of two, `a b = ra b + a rb - ra rb + (a - ra) (b - rb)`; the last
//! term is left out, so the error is one product of two one-operand functions.

use super::odd_factors;
use crate::{Factorization, FactorizationForm, MultiplierError, OperandFormat, Term};

pub(super) fn factorization(
    activation: OperandFormat,
    weight: OperandFormat,
) -> Result<Factorization, MultiplierError> {
    let rounding_errors = |format: OperandFormat| {
        let rounded = odd_factors(format, rounded);
        format
            .codes()
            .zip(rounded)
            .map(|(code, rounded)| i64::from(code) - rounded)
            .collect()
    };
    let term = Term::new(-1, rounding_errors(activation), rounding_errors(weight))?;
    Factorization::from_terms(activation, weight, FactorizationForm::Error, [term])
}

/// The nearest power of two; of two equally near ones the larger, except 2 for 3, which takes less hardware. 0 stays 0.
fn rounded(magnitude: u64) -> u64 {
    match magnitude {
        0 => 0,
        3 => 2,
        _ => {
            let below = 1 << magnitude.ilog2();
            if magnitude >= below + below / 2 && magnitude > 1 {
                2 * below
            } else {
                below
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::MultiplierFamily;

    #[rstest]
    #[case(0, 0)]
    #[case(1, 1)]
    #[case(2, 2)]
    #[case(3, 2)]
    #[case(5, 4)]
    #[case(6, 8)]
    #[case(7, 8)]
    #[case(23, 16)]
    #[case(24, 32)]
    #[case(65535, 65536)]
    fn magnitudes_are_rounded_to_powers_of_two(#[case] magnitude: u64, #[case] expected: u64) {
        assert_eq!(rounded(magnitude), expected);
    }

    #[test]
    fn the_product_is_the_sum_of_three_shifts() {
        let format = OperandFormat::UINT8;
        let roba = MultiplierFamily::Roba.multiplier(format, format).unwrap();
        for a in format.codes() {
            for b in format.codes() {
                let (ra, rb) = (rounded(a as u64) as i64, rounded(b as u64) as i64);
                let expected = ra * i64::from(b) + i64::from(a) * rb - ra * rb;
                assert_eq!(roba.product(a, b), Some(expected));
            }
        }
    }
}
