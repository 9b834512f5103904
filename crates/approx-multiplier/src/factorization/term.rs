//! The terms of a factorisation, which share their factors when they are cloned, and what they add up to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exact_in::ExactIn;
use super::factor_term::{FactorTerm, largest};
use crate::MultiplierError;

/// What the terms of a [`Factorization`](crate::Factorization) add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactorizationForm {
    /// The product `m(a, b)` itself.
    Table,
    /// Its error `m(a, b) - a * b`: the exact product is one more term.
    Error,
}

impl fmt::Display for FactorizationForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Table => "table",
            Self::Error => "error",
        })
    }
}

/// One term of a [`Factorization`](crate::Factorization): `scale * activation[a] * weight[b]`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Term {
    scale: i64,
    activation: Arc<[i64]>,
    weight: Arc<[i64]>,
}

impl Term {
    /// A term of [`Factorization::from_terms`](crate::Factorization::from_terms), with one factor for each code of the
    /// operands, in the order of bit patterns.
    ///
    /// Common divisors of the factors go into the scale; and both factors, or the scale and one of them, change their
    /// signs where that saves a bit or makes the scale positive. The products stay.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::FactorsOutOfRange`] if the scale that results does not fit in 64 bits, or a factor is
    /// `i64::MIN`.
    pub fn new(
        scale: i64,
        activation: Vec<i64>,
        weight: Vec<i64>,
    ) -> Result<Self, MultiplierError> {
        let mut term = FactorTerm {
            scale,
            activation,
            weight,
        };
        term.normalise().ok_or(MultiplierError::FactorsOutOfRange)?;
        Ok(Self {
            scale: term.scale,
            activation: term.activation.into(),
            weight: term.weight.into(),
        })
    }

    /// The term with its operands exchanged.
    pub(super) fn swapped(&self) -> Self {
        Self::new(self.scale, self.weight.to_vec(), self.activation.to_vec())
            .expect("the factors have no common divisor, so that the scale stays")
    }

    /// What both factors' greatest common divisors multiply to, at least 1 for a term of a factorisation.
    pub fn scale(&self) -> i64 {
        self.scale
    }

    /// The activation's factor by its bit pattern, without a common divisor; 0 for codes that were left out.
    pub fn activation(&self) -> &[i64] {
        &self.activation
    }

    /// The weight's factor by its bit pattern, without a common divisor; 0 for codes that were left out.
    pub fn weight(&self) -> &[i64] {
        &self.weight
    }

    /// The number formats that hold the activation's factor.
    pub fn activation_exact_in(&self) -> ExactIn {
        ExactIn::of(&self.activation)
    }

    /// The number formats that hold the weight's factor.
    pub fn weight_exact_in(&self) -> ExactIn {
        ExactIn::of(&self.weight)
    }
}

/// Leaves the factors out, of which there are up to 65536 each.
impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Term")
            .field("scale", &self.scale)
            .field("largest_activation", &largest(&self.activation))
            .field("largest_weight", &largest(&self.weight))
            .finish_non_exhaustive()
    }
}
