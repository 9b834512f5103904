//! The factors of a multiplier on the codes that a layer's quantisers produce, in the form that the engines take.

use approx_cpu::{FactorTerm, FactoredProduct, OperandWidth};
use approx_multiplier::{
    Factorization, FactorizationForm, FactorizationOptions, Multiplier, OperandFormat,
};

#[cfg(feature = "gpu")]
use super::on_devices::OnDevices;
use crate::codes::CodeRange;
use crate::error::ApproxError;

/// The largest rank for which factors are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RankLimit {
    /// Above this rank a lookup is faster wherever both were measured.
    Worthwhile = 24,
    /// Where the user asks for factors.
    AskedFor = 32,
    /// Where no kernel can look products up, because an operand is wider than 8 bits.
    Wide = 128,
}

/// A multiplier as a sum of products of factors.
#[derive(Debug)]
pub(crate) struct Factors {
    pub(crate) factorization: Factorization,
    /// All products: the factorisation's terms and, in its error form, the exact product.
    pub(crate) terms: Vec<FactorTerm>,
    /// The smallest and the largest value of each term's factors on the codes, activation and weight.
    pub(crate) extremes: Vec<[(i64, i64); 2]>,
    /// The terms as the integer kernels take them.
    pub(crate) integer: FactoredProduct,
    /// What GPUs hold of them.
    #[cfg(feature = "gpu")]
    pub(crate) on_devices: OnDevices,
}

impl Factors {
    pub(crate) fn of(
        multiplier: &Multiplier,
        [activation, weight]: [CodeRange; 2],
        limit: RankLimit,
    ) -> Result<Self, ApproxError> {
        let options = FactorizationOptions {
            max_rank: limit as usize,
            activation_codes: Some(activation.low()..=activation.high()),
            weight_codes: Some(weight.low()..=weight.high()),
            ..FactorizationOptions::default()
        };
        if limit == RankLimit::Wide {
            let factorization = multiplier.factorization(&options)?;
            return Self::prepared(factorization, [activation, weight]);
        }
        // Which form has fewer or smaller factors says little of which the kernels compute faster.
        let in_form = |form| {
            let options = FactorizationOptions {
                form: Some(form),
                ..options.clone()
            };
            let factorization = multiplier.factorization(&options)?;
            Self::prepared(factorization, [activation, weight])
        };
        match (
            in_form(FactorizationForm::Table),
            in_form(FactorizationForm::Error),
        ) {
            (Ok(table), Ok(error)) if error.effort() < table.effort() => Ok(error),
            (Ok(table), _) => Ok(table),
            (Err(_), error) => error,
        }
    }

    /// What the integer kernels pay for a product.
    fn effort(&self) -> (usize, usize, bool) {
        let cost = self.integer.cost();
        (cost.byte_products(), cost.passes, cost.window_sum)
    }

    fn prepared(
        factorization: Factorization,
        [activation, weight]: [CodeRange; 2],
    ) -> Result<Self, ApproxError> {
        let terms: Vec<FactorTerm> = factorization
            .folded_terms()
            .into_iter()
            .map(|term| FactorTerm {
                scale: term.scale,
                activation: term.activation,
                weight: term.weight,
            })
            .collect();
        let formats = (factorization.activation(), factorization.weight());
        let extremes = terms
            .iter()
            .map(|term| {
                [
                    extremes(&term.activation, formats.0, activation),
                    extremes(&term.weight, formats.1, weight),
                ]
            })
            .collect();
        let integer = FactoredProduct::new(width(formats.0), width(formats.1), &terms)?;
        Ok(Self {
            factorization,
            terms,
            extremes,
            integer,
            #[cfg(feature = "gpu")]
            on_devices: OnDevices::default(),
        })
    }

    /// The largest magnitude of a product of codes, and of any sum of its terms.
    pub(crate) fn largest_product(&self) -> f64 {
        let terms = self.terms.iter().zip(&self.extremes);
        terms
            .map(|(term, [activation, weight])| {
                term.scale.unsigned_abs() as f64 * largest(*activation) * largest(*weight)
            })
            .sum()
    }
}

/// The largest magnitude of a factor.
pub(crate) fn largest((low, high): (i64, i64)) -> f64 {
    low.unsigned_abs().max(high.unsigned_abs()) as f64
}

fn width(format: OperandFormat) -> OperandWidth {
    OperandWidth {
        bits: format.bits(),
        signed: format.is_signed(),
    }
}

/// The smallest and the largest value of a factor on some codes.
fn extremes(factor: &[i64], format: OperandFormat, codes: CodeRange) -> (i64, i64) {
    (codes.low()..=codes.high())
        .map(|code| factor[format.pattern(code)])
        .fold((i64::MAX, i64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        })
}
