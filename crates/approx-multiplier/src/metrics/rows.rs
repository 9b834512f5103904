//! The products of one activation with all weights, as fast as a multiplier's definition allows.

use crate::factorization::Size;
use crate::{Definition, FactorTerm, Feature, Multiplier, OperandFormat, ProductTable};

/// Up to here all integers are exact in 64-bit floating point.
const EXACT_INTEGERS: u128 = 1 << 53;

/// Where the products of one activation with all weights come from.
pub(super) enum Rows<'a> {
    Table(&'a ProductTable),
    /// Terms that give the same in floating point as one by one: activations' factors with the scale, and weights'
    /// factors.
    Terms(Vec<(Vec<f64>, Vec<f64>)>),
    /// One by one.
    Evaluated(&'a Multiplier),
}

impl<'a> Rows<'a> {
    pub(super) fn of(multiplier: &'a Multiplier) -> Self {
        match multiplier.definition() {
            Definition::Table(table) => Self::Table(table),
            Definition::Factored(factorization) => {
                Self::of_terms(&factorization.folded_terms()).unwrap_or(Self::Evaluated(multiplier))
            }
            Definition::Htp(model) => Self::Terms(
                model
                    .terms()
                    .iter()
                    .map(|term| {
                        let factors = |format: OperandFormat, feature: Feature, scale: f64| {
                            format
                                .codes()
                                .map(|code| scale * feature.evaluate(code))
                                .collect()
                        };
                        (
                            factors(model.activation(), term.first, term.coefficient),
                            factors(model.weight(), term.second, 1.0),
                        )
                    })
                    .collect(),
            ),
            Definition::Exact => {
                let codes = |format: OperandFormat| format.codes().map(f64::from).collect();
                Self::Terms(vec![(
                    codes(multiplier.activation()),
                    codes(multiplier.weight()),
                )])
            }
        }
    }

    /// `None` if floating point would round.
    fn of_terms(terms: &[FactorTerm]) -> Option<Self> {
        let largest_sum = terms
            .iter()
            .map(|term| Size::of(term.scale, &term.activation, &term.weight).product())
            .sum::<u128>();
        (largest_sum <= EXACT_INTEGERS).then(|| {
            let factors =
                |scale: i64, factors: &[i64]| factors.iter().map(|&f| (scale * f) as f64).collect();
            Self::Terms(
                terms
                    .iter()
                    .map(|term| {
                        (
                            factors(term.scale, &term.activation),
                            factors(1, &term.weight),
                        )
                    })
                    .collect(),
            )
        })
    }

    /// Reads the products of the activation with this bit pattern, in the order of the weights' patterns.
    pub(super) fn read(&self, pattern: usize, products: &mut [f64]) {
        match self {
            Self::Table(table) => {
                for (product, &entry) in products.iter_mut().zip(table.row(pattern)) {
                    *product = entry.into();
                }
            }
            Self::Terms(terms) => {
                products.fill(0.0);
                for (activations, weights) in terms {
                    let activation = activations[pattern];
                    for (product, weight) in products.iter_mut().zip(weights) {
                        *product += activation * weight;
                    }
                }
            }
            Self::Evaluated(multiplier) => {
                let a = multiplier.activation().code(pattern);
                for (product, b) in products.iter_mut().zip(multiplier.weight().codes()) {
                    *product = multiplier.evaluate(a, b);
                }
            }
        }
    }
}
