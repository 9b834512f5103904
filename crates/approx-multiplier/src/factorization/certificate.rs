//! What certifies a factorisation: the products that were compared, and the sizes of its factors.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::balance::Cost;
use super::exact_in::ExactIn;
use super::factor_term::Size;
use super::term::Term;
use crate::MultiplierError;

/// The operand pairs over which a function was compared with another one, or its error measured.
///
/// ```
/// use approx_multiplier::Coverage;
///
/// let sample = Coverage::Sampled { pairs: 1000, seed: 7 };
/// assert!(sample.pairs() == 1000 && !sample.is_exhaustive());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Coverage {
    /// All of them: a comparison proves equality, and metrics are exact.
    Exhaustive {
        /// How many there are.
        pairs: u64,
    },
    /// A random sample: the means are estimates, and the maxima lower bounds.
    Sampled {
        /// How many were drawn.
        pairs: u64,
        /// The seed of the random generator.
        seed: u64,
    },
}

impl Coverage {
    /// How many pairs were compared.
    pub fn pairs(self) -> u64 {
        match self {
            Self::Exhaustive { pairs } | Self::Sampled { pairs, .. } => pairs,
        }
    }

    /// Whether that is all of them.
    pub fn is_exhaustive(self) -> bool {
        matches!(self, Self::Exhaustive { .. })
    }
}

/// How a [`Factorization`](crate::Factorization) was checked, and how large its factors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The operand pairs whose product was compared: all of them where terms define the function, or follow from terms
    /// that do.
    pub coverage: Coverage,
    /// The pairs whose product was another one: 0, or there would be no factorisation.
    pub mismatches: u64,
    /// The largest magnitude of an activation's factor, 0 without terms.
    pub largest_activation_factor: u64,
    /// The largest magnitude of a weight's factor, 0 without terms.
    pub largest_weight_factor: u64,
    /// The largest factor once the terms share one scale,
    /// [`Factorization::common_scale`](crate::Factorization::common_scale), and what remains of their own is multiplied
    /// into the smaller one of their factors.
    pub largest_folded_factor: u64,
    /// The formats that hold all activations' factors.
    pub activation_exact_in: ExactIn,
    /// The formats that hold all weights' factors.
    pub weight_exact_in: ExactIn,
}

impl Certificate {
    /// The largest magnitude of a factor of either side, 0 without terms.
    pub fn largest_factor(&self) -> u64 {
        self.largest_activation_factor
            .max(self.largest_weight_factor)
    }
}

/// The sizes of normalised terms, which are refused if arithmetic with them could exceed 64 bits.
pub(super) fn certificate(
    codes: &(RangeInclusive<i32>, RangeInclusive<i32>),
    terms: &[Term],
    coverage: Coverage,
) -> Result<Certificate, MultiplierError> {
    let sizes: Vec<Size> = terms
        .iter()
        .map(|term| Size::of(term.scale(), term.activation(), term.weight()))
        .collect();
    // `a * b` is added in the error form, and taken away where a table form's error is looked at.
    let largest_code = |codes: &RangeInclusive<i32>| {
        u128::from(codes.start().unsigned_abs().max(codes.end().unsigned_abs()))
    };
    let sum = sizes.iter().map(Size::product).fold(
        largest_code(&codes.0) * largest_code(&codes.1),
        u128::saturating_add,
    );
    let largest_folded_factor = Cost::of_sizes(sizes.iter().copied()).largest;
    if sum > i64::MAX as u128 || largest_folded_factor > i64::MAX as u128 {
        return Err(MultiplierError::FactorsOutOfRange);
    }
    let exact_in = |factors: fn(&Term) -> &[i64]| {
        terms
            .iter()
            .map(|term| ExactIn::of(factors(term)))
            .fold(ExactIn::of(&[]), ExactIn::and)
    };
    Ok(Certificate {
        coverage,
        mismatches: 0,
        largest_activation_factor: sizes.iter().map(|size| size.activation).max().unwrap_or(0),
        largest_weight_factor: sizes.iter().map(|size| size.weight).max().unwrap_or(0),
        largest_folded_factor: largest_folded_factor as u64,
        activation_exact_in: exact_in(Term::activation),
        weight_exact_in: exact_in(Term::weight),
    })
}
