//! Fits High-Throughput (HTP) models: the coefficients that bring a sum of products of features closest to a
//! multiplier, in the mean square over all operand pairs.
//!
//! A product of features is an outer product of two vectors, one over the activation codes and one over the weight
//! codes. So both sets of vectors are made orthonormal on their own, the multiplier is projected on the few products of
//! those, and what is left is a least-squares problem with as many unknowns as terms, whatever the operands' widths.
//! Nothing is squared on the way, so high powers of large codes lose no more digits than they have to.

use crate::table::index_bits;
use crate::{
    Definition, ErrorMetrics, Feature, HtpModel, HtpTerm, MAX_INDEX_BITS, Multiplier,
    MultiplierError, OperandFormat, evoapprox,
};

/// The share of a vector's length below which what others leave of it counts as nothing but rounding errors.
const DEPENDENT: f64 = 1e-9;

/// How many random pairs a model of more than [`MAX_INDEX_BITS`] is compared on.
const COMPARED_PAIRS: u64 = 1 << 20;

/// The seed they are drawn from.
const COMPARED_SEED: u64 = 0;

/// What [`HtpModel::fit`] looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HtpFitOptions {
    /// The features of activation and weight whose products are the terms.
    pub terms: Vec<(Feature, Feature)>,
    /// To how many decimals the coefficients are rounded, if at all. Terms whose coefficient becomes 0 are left out.
    pub decimals: Option<u8>,
}

/// The terms of [`with_moduli`](HtpFitOptions::with_moduli) for the modulus 4 and the power 1: a start for circuits
/// that are wrong in their two lowest bits.
impl Default for HtpFitOptions {
    fn default() -> Self {
        Self::with_moduli(&[4], 1)
    }
}

impl HtpFitOptions {
    /// Every product of two of the features `x`, 1, and `x mod m`, ..., `(x mod m)^power` for each modulus `m`, the
    /// product of the codes first.
    ///
    /// Remainders modulo 2, 4, 8, ... together hold each of the low bits.
    ///
    /// ```
    /// use approx_multiplier::HtpFitOptions;
    ///
    /// assert_eq!(HtpFitOptions::with_moduli(&[4, 8], 1).terms.len(), 4 * 4);
    /// ```
    pub fn with_moduli(moduli: &[u32], power: u32) -> Self {
        let remainders = moduli
            .iter()
            .flat_map(|&modulus| (1..=power).map(move |power| Feature::Mod { modulus, power }));
        let features: Vec<Feature> = [Feature::Identity, Feature::One]
            .into_iter()
            .chain(remainders)
            .collect();
        Self {
            terms: features
                .iter()
                .flat_map(|&first| features.iter().map(move |&second| (first, second)))
                .collect(),
            decimals: None,
        }
    }
}

/// A model and how good it is.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredModel {
    /// The model.
    pub model: HtpModel,
    /// How far it is from the multiplier that it stands for.
    pub deviation: ErrorMetrics,
    /// How far it is from the exact product.
    pub error: ErrorMetrics,
}

/// What [`HtpModel::fit`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct HtpFit {
    /// The fitted model.
    pub fitted: MeasuredModel,
    /// The bundled model, if the multiplier is a [bundled circuit](evoapprox) that has one.
    pub published: Option<MeasuredModel>,
    /// How far the multiplier itself is from the exact product.
    pub error: ErrorMetrics,
}

impl HtpModel {
    /// The model of these terms that is closest to a multiplier, in the mean square over all operand pairs, under the
    /// multiplier's name.
    ///
    /// Up to [`MAX_INDEX_BITS`] index bits all products are compared to measure it, else a million random ones; the
    /// coefficients are those for all pairs in any case.
    ///
    /// ```
    /// use approx_multiplier::{HtpFitOptions, HtpModel, evoapprox};
    ///
    /// let circuit = evoapprox::multiplier("mul8s_1KV9")?;
    /// let options = HtpFitOptions { decimals: Some(3), ..HtpFitOptions::default() };
    /// let fit = HtpModel::fit(&circuit, &options)?;
    /// let published = fit.published.unwrap();
    /// assert!(fit.fitted.deviation.mse < published.deviation.mse);
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidHtpModel`] as for [`HtpModel::new`], and [`MultiplierError::DependentTerms`] if a term
    /// adds nothing to those before it: powers of `x mod 2` are the same, for example.
    pub fn fit(
        multiplier: &Multiplier,
        options: &HtpFitOptions,
    ) -> Result<HtpFit, MultiplierError> {
        let (activation, weight) = (multiplier.activation(), multiplier.weight());
        let model = |coefficients: &[f64]| {
            let terms = options.terms.iter().zip(coefficients);
            Self::new(
                multiplier.name(),
                activation,
                weight,
                terms
                    .map(|(&(first, second), &coefficient)| HtpTerm {
                        coefficient,
                        first,
                        second,
                    })
                    .collect(),
            )
        };
        // Features that overflow would make no numbers below.
        model(&vec![1.0; options.terms.len()])?;
        let mut fitted = model(&least_squares(multiplier, &options.terms)?)?;
        if let Some(decimals) = options.decimals {
            fitted = rounded(&fitted, decimals)?;
        }
        Ok(HtpFit {
            fitted: measured(fitted, multiplier)?,
            published: published(multiplier)
                .map(|model| measured(model, multiplier))
                .transpose()?,
            error: compared(multiplier, &Multiplier::exact(activation, weight))?,
        })
    }
}

/// The model with coefficients of so many decimals.
fn rounded(model: &HtpModel, decimals: u8) -> Result<HtpModel, MultiplierError> {
    let terms: Vec<HtpTerm> = model
        .terms()
        .iter()
        .map(|term| HtpTerm {
            // Decimal digits are what is asked for, so the rounding is left to what writes them.
            coefficient: format!("{:.*}", usize::from(decimals), term.coefficient)
                .parse()
                .unwrap_or(term.coefficient),
            ..*term
        })
        .collect();
    let mut left: Vec<HtpTerm> = terms
        .iter()
        .filter(|term| term.coefficient != 0.0)
        .copied()
        .collect();
    if left.is_empty() {
        // A model of the constant 0 needs a term as well.
        left.extend(terms.first());
    }
    HtpModel::new(model.name(), model.activation(), model.weight(), left)
}

/// The bundled model of a multiplier that is, by its name and its content, a bundled circuit.
fn published(multiplier: &Multiplier) -> Option<HtpModel> {
    let model = evoapprox::htp(multiplier.name()).ok()?;
    let circuit = evoapprox::multiplier(multiplier.name()).ok()?;
    (circuit.hash() == multiplier.hash()).then_some(model)
}

fn measured(model: HtpModel, multiplier: &Multiplier) -> Result<MeasuredModel, MultiplierError> {
    let stand_in = Multiplier::from_htp(model.clone());
    let exact = Multiplier::exact(model.activation(), model.weight());
    Ok(MeasuredModel {
        deviation: compared(&stand_in, multiplier)?,
        error: compared(&stand_in, &exact)?,
        model,
    })
}

fn compared(
    multiplier: &Multiplier,
    reference: &Multiplier,
) -> Result<ErrorMetrics, MultiplierError> {
    if index_bits(multiplier.activation(), multiplier.weight()) <= MAX_INDEX_BITS {
        ErrorMetrics::measure_against(multiplier, reference)
    } else {
        ErrorMetrics::measure_sampled_against(multiplier, reference, COMPARED_PAIRS, COMPARED_SEED)
    }
}

/// The coefficients with the least mean square deviation.
fn least_squares(
    multiplier: &Multiplier,
    terms: &[(Feature, Feature)],
) -> Result<Vec<f64>, MultiplierError> {
    let first = FeatureSpace::new(multiplier.activation(), terms.iter().map(|term| term.0));
    let second = FeatureSpace::new(multiplier.weight(), terms.iter().map(|term| term.1));
    let target = projection(multiplier, &first.space.basis, &second.space.basis);
    let columns = terms
        .iter()
        .map(|term| outer(first.coordinates(term.0), second.coordinates(term.1)))
        .collect();
    let space = Orthonormal::of(columns);
    if let Some(term) = space.dependent {
        return Err(MultiplierError::DependentTerms { term });
    }
    Ok(space.solve(&target))
}

/// An orthonormal basis of some vectors, and their coordinates in it.
struct Orthonormal {
    basis: Vec<Vec<f64>>,
    coordinates: Vec<Vec<f64>>,
    /// The first vector that depends on those before it.
    dependent: Option<usize>,
}

impl Orthonormal {
    /// Gram and Schmidt's process, twice for each vector, which makes up for the rounding errors of the first time.
    fn of(vectors: Vec<Vec<f64>>) -> Self {
        let mut space = Self {
            basis: Vec::new(),
            coordinates: Vec::new(),
            dependent: None,
        };
        for (index, mut rest) in vectors.into_iter().enumerate() {
            let length = norm(&rest);
            let mut coordinates = vec![0.0; space.basis.len()];
            for _ in 0..2 {
                for (axis, coordinate) in space.basis.iter().zip(&mut coordinates) {
                    let share = dot(axis, &rest);
                    *coordinate += share;
                    for (value, axis) in rest.iter_mut().zip(axis) {
                        *value -= share * axis;
                    }
                }
            }
            let left = norm(&rest);
            if left > DEPENDENT * length {
                rest.iter_mut().for_each(|value| *value /= left);
                space.basis.push(rest);
                coordinates.push(left);
            } else {
                space.dependent.get_or_insert(index);
            }
            space.coordinates.push(coordinates);
        }
        space
    }

    /// The multiples of the vectors, none of which depends on others, whose sum is closest to a target.
    fn solve(&self, target: &[f64]) -> Vec<f64> {
        // Coordinates are triangular: a vector has none on the axes of later ones.
        let mut rest: Vec<f64> = self.basis.iter().map(|axis| dot(axis, target)).collect();
        let mut multiples = vec![0.0; rest.len()];
        for (index, coordinates) in self.coordinates.iter().enumerate().rev() {
            multiples[index] = rest[index] / coordinates[index];
            for (rest, coordinate) in rest.iter_mut().zip(coordinates) {
                *rest -= multiples[index] * coordinate;
            }
        }
        multiples
    }
}

/// The distinct features of one operand as vectors over its codes.
struct FeatureSpace {
    features: Vec<Feature>,
    space: Orthonormal,
}

impl FeatureSpace {
    fn new(format: OperandFormat, all: impl Iterator<Item = Feature>) -> Self {
        let mut features = Vec::new();
        for feature in all {
            if !features.contains(&feature) {
                features.push(feature);
            }
        }
        let values =
            |feature: &Feature| format.codes().map(|code| feature.evaluate(code)).collect();
        let space = Orthonormal::of(features.iter().map(values).collect());
        Self { features, space }
    }

    /// One of the features in the basis, with zeros behind its last coordinate.
    fn coordinates(&self, feature: Feature) -> Vec<f64> {
        let mut coordinates = self
            .features
            .iter()
            .zip(&self.space.coordinates)
            .find(|(known, _)| **known == feature)
            .map(|(_, coordinates)| coordinates.clone())
            .unwrap_or_default();
        coordinates.resize(self.space.basis.len(), 0.0);
        coordinates
    }
}

/// The inner products of a multiplier with all outer products of two bases, the second's index running faster.
fn projection(multiplier: &Multiplier, first: &[Vec<f64>], second: &[Vec<f64>]) -> Vec<f64> {
    let projected = |basis: &[Vec<f64>], vector: &[f64]| -> Vec<f64> {
        basis.iter().map(|axis| dot(axis, vector)).collect()
    };
    let mut sum = vec![0.0; first.len() * second.len()];
    let mut add = |activation: Vec<f64>, weight: Vec<f64>| {
        for (sum, product) in sum.iter_mut().zip(outer(activation, weight)) {
            *sum += product;
        }
    };
    let values = |format: OperandFormat, feature: Feature| -> Vec<f64> {
        format.codes().map(|code| feature.evaluate(code)).collect()
    };
    let (activation, weight) = (multiplier.activation(), multiplier.weight());
    match multiplier.definition() {
        Definition::Exact => add(
            projected(first, &values(activation, Feature::Identity)),
            projected(second, &values(weight, Feature::Identity)),
        ),
        Definition::Table(table) => {
            let columns = weight.cardinality();
            for (pattern, row) in table.entries().chunks_exact(columns).enumerate() {
                let row: Vec<f64> = row.iter().copied().map(f64::from).collect();
                let activation = first.iter().map(|axis| axis[pattern]).collect();
                add(activation, projected(second, &row));
            }
        }
        Definition::Factored(factorization) => {
            for term in factorization.folded_terms() {
                let factors = |scale: i64, factors: &[i64]| -> Vec<f64> {
                    factors
                        .iter()
                        .map(|&factor| scale as f64 * factor as f64)
                        .collect()
                };
                add(
                    projected(first, &factors(term.scale, &term.activation)),
                    projected(second, &factors(1, &term.weight)),
                );
            }
        }
        Definition::Htp(model) => {
            for term in model.terms() {
                let scaled: Vec<f64> = values(activation, term.first)
                    .into_iter()
                    .map(|value| term.coefficient * value)
                    .collect();
                add(
                    projected(first, &scaled),
                    projected(second, &values(weight, term.second)),
                );
            }
        }
    }
    sum
}

fn outer(first: Vec<f64>, second: Vec<f64>) -> Vec<f64> {
    first
        .iter()
        .flat_map(|a| second.iter().map(move |b| a * b))
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{FactorizationOptions, MultiplierFamily};

    const INT8: OperandFormat = OperandFormat::INT8;

    fn modulus(modulus: u32, power: u32) -> Feature {
        Feature::Mod { modulus, power }
    }

    /// What is a model is found again, from every kind of definition.
    #[test]
    fn circuits_that_are_models_are_fitted_exactly() {
        let circuit = evoapprox::multiplier("mul8s_1L2J").unwrap();
        let factors = circuit
            .factorization(&FactorizationOptions::default())
            .unwrap();
        let model = evoapprox::htp("mul8s_1L2J").unwrap();
        let kinds = [
            circuit.clone(),
            Multiplier::from_factorization("f", factors).unwrap(),
            Multiplier::from_htp(model.clone()),
        ];
        let options = HtpFitOptions {
            terms: model
                .terms()
                .iter()
                .map(|term| (term.first, term.second))
                .collect(),
            decimals: Some(6),
        };
        for multiplier in kinds {
            let fit = HtpModel::fit(&multiplier, &options).unwrap();
            assert_eq!(fit.fitted.model.terms(), model.terms());
            assert_eq!(fit.fitted.deviation.wce, 0.0);
            assert_eq!(fit.fitted.error.mse, fit.error.mse);
            assert_eq!(fit.published.is_some(), multiplier == circuit);
        }
    }

    #[test]
    fn wide_multipliers_are_fitted_over_all_pairs_and_compared_on_some() {
        let format = OperandFormat::signed(16).unwrap();
        let family = MultiplierFamily::BrokenArray {
            horizontal: 3,
            vertical: 0,
        };
        let multiplier = family.multiplier(format, format).unwrap();
        let options = HtpFitOptions {
            terms: vec![
                (Feature::Identity, Feature::Identity),
                (modulus(8, 1), Feature::Identity),
                (Feature::One, modulus(4, 2)),
            ],
            decimals: Some(9),
        };
        let fit = HtpModel::fit(&multiplier, &options).unwrap();
        let coefficients: Vec<f64> = fit
            .fitted
            .model
            .terms()
            .iter()
            .map(|t| t.coefficient)
            .collect();
        assert_eq!(coefficients, [1.0, -1.0]);
        assert_eq!(fit.fitted.deviation.wce, 0.0);
        assert!(!fit.fitted.deviation.coverage.is_exhaustive());
    }

    #[test]
    fn fits_are_at_least_as_good_as_the_published_models() {
        for name in evoapprox::htp_names().filter(|name| name.starts_with("mul8s")) {
            let circuit = evoapprox::multiplier(name).unwrap();
            let model = evoapprox::htp(name).unwrap();
            let features = model.terms().iter().map(|term| (term.first, term.second));
            let mut options = HtpFitOptions {
                terms: features.collect(),
                decimals: None,
            };
            // Some of the published models have more terms than they need.
            let fit = loop {
                match HtpModel::fit(&circuit, &options) {
                    Err(MultiplierError::DependentTerms { term }) => options.terms.remove(term),
                    fit => break fit.unwrap(),
                };
            };
            let published = fit.published.unwrap();
            assert_eq!(published.model, model);
            let (fitted, published) = (fit.fitted.deviation.mse, published.deviation.mse);
            assert!(fitted <= published + 1e-9, "{name}: {fitted} {published}");
        }
    }

    #[rstest]
    #[case(vec![], "no terms")]
    #[case(vec![(Feature::One, modulus(0, 1))], "modulus 0")]
    #[case(vec![(Feature::One, modulus(8, u32::MAX))], "overflows")]
    fn impossible_terms_are_refused(
        #[case] terms: Vec<(Feature, Feature)>,
        #[case] expected: &str,
    ) {
        let options = HtpFitOptions {
            terms,
            decimals: None,
        };
        let error = HtpModel::fit(&Multiplier::exact(INT8, INT8), &options).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[rstest]
    #[case(vec![(Feature::One, Feature::One), (Feature::One, Feature::One)], 1)]
    #[case(vec![(Feature::One, modulus(2, 1)), (Feature::Identity, Feature::One), (Feature::One, modulus(2, 2))], 2)]
    #[case(vec![(Feature::One, modulus(1, 1))], 0)]
    fn dependent_terms_are_named(#[case] terms: Vec<(Feature, Feature)>, #[case] expected: usize) {
        let options = HtpFitOptions {
            terms,
            decimals: None,
        };
        let error = HtpModel::fit(&Multiplier::exact(INT8, INT8), &options).unwrap_err();
        assert!(matches!(error, MultiplierError::DependentTerms { term } if term == expected));
    }

    #[test]
    fn a_model_of_nothing_is_the_constant_0() {
        let nothing = Multiplier::from_fn("0", INT8, INT8, |_, _| 0).unwrap();
        let options = HtpFitOptions {
            decimals: Some(2),
            ..HtpFitOptions::default()
        };
        let fit = HtpModel::fit(&nothing, &options).unwrap();
        assert_eq!(fit.fitted.model.terms().len(), 1);
        assert_eq!(fit.fitted.deviation.wce, 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// What is left is orthogonal to every term: the condition for the least mean square.
        #[test]
        fn the_deviation_is_orthogonal_to_the_terms(
            entries in proptest::collection::vec(-1000i32..1000, 128), power in 1u32..3,
        ) {
            let (activation, weight) = (OperandFormat::signed(4).unwrap(), OperandFormat::unsigned(3).unwrap());
            let multiplier = Multiplier::from_slice("m", activation, weight, &entries).unwrap();
            let options = HtpFitOptions::with_moduli(&[4], power);
            let model = HtpModel::fit(&multiplier, &options).unwrap().fitted.model;
            for (first, second) in &options.terms {
                let mut product = 0.0;
                let mut size = 0.0;
                for (a, b) in activation.codes().flat_map(|a| weight.codes().map(move |b| (a, b))) {
                    let value = first.evaluate(a) * second.evaluate(b);
                    product += value * (model.evaluate(a, b) - multiplier.evaluate(a, b));
                    size += (value * multiplier.evaluate(a, b)).abs();
                }
                prop_assert!(product.abs() <= 1e-9 * size.max(1.0), "{} {}", product, size);
            }
        }
    }
}
