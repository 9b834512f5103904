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
            let divisor = factors
                .iter()
                .fold(0, |divisor, &value| gcd(divisor, value));
            if divisor > 1 {
                factors.iter_mut().for_each(|value| *value /= divisor);
                scale = scale.checked_mul(divisor)?;
            }
        }
        if scale < 0 {
            negate(&mut self.activation);
            scale = scale.checked_neg()?;
        }
        // Of two ways to sign both factors, the one that fits in fewer bits: -128 is an 8-bit number, 128 is not.
        let bits = |sign: i64| {
            let complement = |&value: &i64| (value * sign).max(-(value * sign) - 1);
            self.activation
                .iter()
                .chain(&self.weight)
                .map(complement)
                .max()
        };
        let first_is_negative = self.weight.iter().find(|&&value| value != 0) < Some(&0);
        let (kept, negated) = (bits(1), bits(-1));
        if negated < kept || (negated == kept && first_is_negative) {
            negate(&mut self.activation);
            negate(&mut self.weight);
        }
        self.scale = scale;
        Some(())
    }

    pub(super) fn size(&self) -> Size {
        Size::of(self.scale, &self.activation, &self.weight)
    }
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
#[derive(Clone, Copy)]
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
