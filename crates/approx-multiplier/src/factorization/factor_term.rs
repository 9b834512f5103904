//! Terms while they are computed with: normalised, and how large they are.

use num_integer::gcd;

/// A term `scale * activation[a] * weight[b]` with its own factors, as integer arithmetic takes them.
///
/// The terms of [`Factorization::folded_terms`](crate::Factorization::folded_terms) have a factor for each bit pattern
/// of an operand. While a factorisation is looked for, there is one for each row and column of a matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorTerm {
    /// What the product of the factors is multiplied by, at least 1.
    pub scale: i64,
    /// The activation's factor by its bit pattern; 0 for codes that were left out.
    pub activation: Vec<i64>,
    /// The weight's factor by its bit pattern; 0 for codes that were left out.
    pub weight: Vec<i64>,
}

impl FactorTerm {
    /// Pulls the factors' greatest common divisors out into the scale, makes the scale positive and chooses the
    /// factors' signs. `None` if the scale does not fit.
    pub(super) fn normalise(&mut self) -> Option<()> {
        let mut scale = self.scale;
        if self.activation.contains(&i64::MIN) || self.weight.contains(&i64::MIN) {
            // The only number that cannot be negated.
            return None;
        }
        for factors in [&mut self.activation, &mut self.weight] {
            let divisor = common_divisor(factors);
            if divisor > 1 {
                factors.iter_mut().for_each(|value| *value /= divisor);
                scale = scale.checked_mul(divisor)?;
            }
        }
        if scale < 0 {
            negate(&mut self.activation);
            scale = scale.checked_neg()?;
        }
        // Of two ways to sign both factors, the one that fits in fewer bits: -128 is an 8-bit number, 128 is not. A value
        // has as many bits as the larger of itself and its complement, -value - 1.
        let values = self.activation.iter().chain(&self.weight);
        let (smallest, largest) = values
            .fold((i64::MAX, i64::MIN), |(smallest, largest), &value| {
                (smallest.min(value), largest.max(value))
            });
        let first_is_negative = self.weight.iter().find(|&&value| value != 0) < Some(&0);
        if smallest <= largest {
            let (kept, negated) = (largest.max(-smallest - 1), (-smallest).max(largest - 1));
            if negated < kept || (negated == kept && first_is_negative) {
                negate(&mut self.activation);
                negate(&mut self.weight);
            }
        }
        self.scale = scale;
        Some(())
    }

    pub(super) fn size(&self) -> Size {
        Size::of(self.scale, &self.activation, &self.weight)
    }
}

/// The greatest common divisor, 0 of zeros. Most values have none but 1, which two or three of them show.
fn common_divisor(values: &[i64]) -> i64 {
    let mut divisor = 0;
    for &value in values {
        divisor = gcd(divisor, value);
        if divisor == 1 {
            break;
        }
    }
    divisor
}

fn negate(values: &mut [i64]) {
    values.iter_mut().for_each(|value| *value = -*value);
}

/// The largest magnitude, 0 of nothing.
pub(crate) fn largest(values: &[i64]) -> u64 {
    values
        .iter()
        .map(|value| value.unsigned_abs())
        .max()
        .unwrap_or(0)
}

/// What a term's cost depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(super) scale: i64,
    pub(super) activation: u64,
    pub(super) weight: u64,
}

impl Size {
    pub(crate) fn of(scale: i64, activation: &[i64], weight: &[i64]) -> Self {
        Self {
            scale,
            activation: largest(activation),
            weight: largest(weight),
        }
    }

    /// The largest magnitude that the term's products could have.
    pub(crate) fn product(&self) -> u128 {
        u128::from(self.scale.unsigned_abs())
            .saturating_mul(self.activation.into())
            .saturating_mul(self.weight.into())
    }
}
