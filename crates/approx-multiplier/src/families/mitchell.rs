//! Mitchell's logarithmic multiplier (J. N. Mitchell, IRE Transactions on Electronic Computers, 1962).
//!
//! With `a = 2^k (1 + x)` and `0 <= x < 1`, the logarithm of `a` is taken to be `k + x`, and the product of two
//! operands the number whose logarithm, taken so, is the sum of theirs. All numbers here are whole: a fraction of `k`
//! bits times `2^k`.

/// The product of two magnitudes.
pub(super) fn product(a: u64, b: u64) -> u64 {
    if a == 0 || b == 0 {
        return 0;
    }
    let (power_a, power_b) = (leading_one(a), leading_one(b));
    // 2^(ka + kb) times the sum of the fractions.
    let fractions = (a - power_a) * power_b + (b - power_b) * power_a;
    let one = power_a * power_b;
    if fractions < one {
        one + fractions
    } else {
        // The fractions carry into the whole part of the logarithm.
        2 * fractions
    }
}

/// The product of two magnitudes of whose fractions only the highest bits are kept.
pub(super) fn truncated_product(a: u64, b: u64, fraction_bits: u8) -> u64 {
    product(
        truncated(a, fraction_bits.into()),
        truncated(b, fraction_bits.into()),
    )
}

/// The leading one of a magnitude other than 0.
fn leading_one(magnitude: u64) -> u64 {
    1 << magnitude.ilog2()
}

fn truncated(magnitude: u64, fraction_bits: u32) -> u64 {
    let dropped = magnitude
        .checked_ilog2()
        .unwrap_or(0)
        .saturating_sub(fraction_bits);
    (magnitude >> dropped) << dropped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In floating point, which holds all these numbers exactly.
    fn by_logarithms(a: u64, b: u64, fraction_bits: i32) -> f64 {
        if a == 0 || b == 0 {
            return 0.0;
        }
        let logarithm = |value: u64| {
            let whole = (value as f64).log2().floor();
            let fraction = value as f64 / whole.exp2() - 1.0;
            let unit = f64::from(-fraction_bits).exp2();
            whole + (fraction / unit).floor() * unit
        };
        let sum = logarithm(a) + logarithm(b);
        sum.floor().exp2() * (1.0 + sum.fract())
    }

    #[test]
    fn examples() {
        // log2(3) is 1.5 and log2(6) is 2.5 by this rule.
        assert_eq!((product(3, 3), product(3, 6), product(5, 5)), (8, 16, 24));
        assert_eq!((product(0, 9), product(1, 9), product(16, 9)), (0, 9, 144));
        assert_eq!(truncated_product(255, 255, 0), 128 * 128);
    }

    proptest! {
        #[test]
        fn the_formula_is_that_of_the_logarithms(a in 0u64..65536, b in 0u64..65536, fraction_bits in 0u8..=16) {
            prop_assert_eq!(product(a, b) as f64, by_logarithms(a, b, 16));
            prop_assert_eq!(
                truncated_product(a, b, fraction_bits) as f64,
                by_logarithms(a, b, fraction_bits.into())
            );
            prop_assert!(product(a, b) <= a * b);
            prop_assert!(truncated_product(a, b, fraction_bits) <= product(a, b));
        }
    }
}
