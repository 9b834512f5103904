//! High-Throughput (HTP) models: a multiplier as a short sum of products of one-operand formulas with real
//! coefficients, `m(a, b) ~ sum of coefficient * first(a) * second(b)`.
//!
//! They come from TorchApprox, where they replace the table lookup by ordinary convolutions. A model is fitted by hand
//! to one circuit and need not reproduce it: see [`evoapprox::htp`](crate::evoapprox::htp).

use serde::{Deserialize, Serialize};

use crate::{MultiplierError, OperandFormat};

/// A function of one operand, as it occurs in an [`HtpTerm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Feature {
    /// The code itself.
    Identity,
    /// The constant 1.
    One,
    /// `(code mod modulus) ^ power`, where the modulus's result lies in `0 .. modulus` for negative codes too.
    Mod {
        /// The modulus, at least 1.
        modulus: u32,
        /// The power to which the result is raised; anything to the power of 0 is 1.
        power: u32,
    },
}

impl Feature {
    /// The feature's value for a code.
    ///
    /// A modulus of 0, which [`HtpModel::new`] refuses, gives NaN.
    ///
    /// ```
    /// use approx_multiplier::Feature;
    ///
    /// assert_eq!(Feature::Identity.evaluate(-3), -3.0);
    /// assert_eq!(Feature::Mod { modulus: 4, power: 2 }.evaluate(-1), 9.0);
    /// ```
    pub fn evaluate(self, code: i32) -> f64 {
        match self {
            Self::Identity => f64::from(code),
            Self::One => 1.0,
            Self::Mod { modulus, power } => {
                match i64::from(code).checked_rem_euclid(i64::from(modulus)) {
                    Some(remainder) => power_of(remainder as f64, power),
                    None => f64::NAN,
                }
            }
        }
    }

    /// The largest magnitude over the codes of a format.
    fn max_magnitude(self, format: OperandFormat) -> f64 {
        match self {
            Self::Identity => f64::from(format.min_code())
                .abs()
                .max(f64::from(format.max_code())),
            Self::One => 1.0,
            Self::Mod { modulus, power } => power_of(f64::from(modulus) - 1.0, power).max(1.0),
        }
    }
}

/// `base ^ power` for a base that is a whole number: beyond the range of `powi` the result is 0, 1 or infinite anyway.
fn power_of(base: f64, power: u32) -> f64 {
    base.powi(i32::try_from(power).unwrap_or(i32::MAX))
}

/// One term of an [`HtpModel`]: `coefficient * first(a) * second(b)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HtpTerm {
    /// The coefficient, finite.
    pub coefficient: f64,
    /// The function of the activation code.
    pub first: Feature,
    /// The function of the weight code.
    pub second: Feature,
}

/// A High-Throughput model of a multiplier: a sum of [`HtpTerm`]s.
///
/// ```
/// use approx_multiplier::{Feature, HtpModel, HtpTerm, OperandFormat};
///
/// // a * b without the product of the operands' lowest bits.
/// let bit = Feature::Mod { modulus: 2, power: 1 };
/// let model = HtpModel::new("no_lowest", OperandFormat::INT8, OperandFormat::INT8, vec![
///     HtpTerm { coefficient: 1.0, first: Feature::Identity, second: Feature::Identity },
///     HtpTerm { coefficient: -1.0, first: bit, second: bit },
/// ])?;
/// assert_eq!(model.evaluate(3, 5), 14.0);
/// assert_eq!(model.evaluate(-2, 5), -10.0);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedModel")]
pub struct HtpModel {
    name: String,
    activation: OperandFormat,
    weight: OperandFormat,
    terms: Vec<HtpTerm>,
}

/// What a serialised model holds before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedModel {
    name: String,
    activation: OperandFormat,
    weight: OperandFormat,
    terms: Vec<HtpTerm>,
}

impl TryFrom<UncheckedModel> for HtpModel {
    type Error = MultiplierError;

    fn try_from(model: UncheckedModel) -> Result<Self, MultiplierError> {
        Self::new(model.name, model.activation, model.weight, model.terms)
    }
}

impl HtpModel {
    /// A model with at least one term.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidHtpModel`] if there is no term, a modulus is 0, or a coefficient, a term or the sum is
    /// not finite for every operand.
    pub fn new(
        name: impl Into<String>,
        activation: OperandFormat,
        weight: OperandFormat,
        terms: Vec<HtpTerm>,
    ) -> Result<Self, MultiplierError> {
        let name = name.into();
        let invalid = |reason: String| {
            Err(MultiplierError::InvalidHtpModel {
                model: name.clone(),
                reason,
            })
        };
        if terms.is_empty() {
            return invalid("it has no terms, and needs at least one".into());
        }
        let mut bound = 0.0;
        for (index, term) in terms.iter().enumerate() {
            let zero_modulus = |feature| matches!(feature, Feature::Mod { modulus: 0, .. });
            if zero_modulus(term.first) || zero_modulus(term.second) {
                return invalid(format!(
                    "term {index} has the modulus 0: it must be at least 1"
                ));
            }
            if !term.coefficient.is_finite() {
                return invalid(format!(
                    "term {index} has the coefficient {}: it must be finite",
                    term.coefficient
                ));
            }
            bound += term.coefficient.abs()
                * term.first.max_magnitude(activation)
                * term.second.max_magnitude(weight);
            if !bound.is_finite() {
                return invalid(format!("term {index} overflows for some operands"));
            }
        }
        Ok(Self {
            name,
            activation,
            weight,
            terms,
        })
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Format of the first operand, the activation.
    pub fn activation(&self) -> OperandFormat {
        self.activation
    }

    /// Format of the second operand, the weight.
    pub fn weight(&self) -> OperandFormat {
        self.weight
    }

    /// The terms, at least one.
    pub fn terms(&self) -> &[HtpTerm] {
        &self.terms
    }

    /// The model's product of an activation code and a weight code, a finite number.
    ///
    /// Of a code outside its format the low bits count, as in [`OperandFormat::pattern`].
    pub fn evaluate(&self, a: i32, b: i32) -> f64 {
        let a = self.activation.code(self.activation.pattern(a));
        let b = self.weight.code(self.weight.pattern(b));
        self.terms
            .iter()
            .map(|term| term.coefficient * term.first.evaluate(a) * term.second.evaluate(b))
            .sum()
    }

    /// This model under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The model with its operands exchanged.
    #[must_use]
    pub fn swapped(&self) -> Self {
        Self {
            name: self.name.clone(),
            activation: self.weight,
            weight: self.activation,
            terms: self
                .terms
                .iter()
                .map(|term| HtpTerm {
                    coefficient: term.coefficient,
                    first: term.second,
                    second: term.first,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const INT8: OperandFormat = OperandFormat::INT8;

    fn term(coefficient: f64, first: Feature, second: Feature) -> HtpTerm {
        HtpTerm {
            coefficient,
            first,
            second,
        }
    }

    #[rstest]
    #[case(vec![], "at least one")]
    #[case(vec![term(f64::NAN, Feature::One, Feature::One)], "finite")]
    #[case(vec![term(f64::INFINITY, Feature::One, Feature::One)], "finite")]
    #[case(vec![term(1.0, Feature::One, Feature::Mod { modulus: 0, power: 1 })], "at least 1")]
    #[case(vec![term(1.0, Feature::Mod { modulus: 8, power: u32::MAX }, Feature::One)], "overflows")]
    #[case(vec![term(1e308, Feature::Identity, Feature::Identity)], "overflows")]
    fn malformed_models_are_refused(#[case] terms: Vec<HtpTerm>, #[case] expected: &str) {
        let error = HtpModel::new("m", INT8, INT8, terms).unwrap_err();
        assert!(matches!(error, MultiplierError::InvalidHtpModel { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn a_zero_modulus_outside_a_model_gives_nan() {
        assert!(
            Feature::Mod {
                modulus: 0,
                power: 1
            }
            .evaluate(3)
            .is_nan()
        );
    }

    #[test]
    fn features_are_tagged_with_their_kind() {
        let json = r#"{"coefficient": -0.5, "first": {"kind": "identity"}, "second": {"kind": "mod", "modulus": 4, "power": 1}}"#;
        let parsed: HtpTerm = serde_json::from_str(json).unwrap();
        let expected = term(
            -0.5,
            Feature::Identity,
            Feature::Mod {
                modulus: 4,
                power: 1,
            },
        );
        assert_eq!(parsed, expected);
        assert!(serde_json::from_str::<Feature>(r#"{"kind": "sine"}"#).is_err());
    }

    #[test]
    fn deserialising_checks_the_model() {
        let model = HtpModel::new(
            "m",
            INT8,
            INT8,
            vec![term(1.0, Feature::One, Feature::Identity)],
        )
        .unwrap();
        let json = serde_json::to_string(&model).unwrap();
        assert_eq!(serde_json::from_str::<HtpModel>(&json).unwrap(), model);
        let empty = json.replace(&serde_json::to_string(model.terms()).unwrap(), "[]");
        assert!(serde_json::from_str::<HtpModel>(&empty).is_err());
    }

    proptest! {
        #[test]
        fn mod_is_the_nonnegative_remainder_to_a_power(code in -32768i32..65536, modulus in 1u32..300, power in 0u32..5) {
            let mut remainder = code % modulus as i32;
            if remainder < 0 {
                remainder += modulus as i32;
            }
            let expected = i64::from(remainder).pow(power) as f64;
            prop_assert_eq!(Feature::Mod { modulus, power }.evaluate(code), expected);
        }

        #[test]
        fn swapping_exchanges_the_operands(a in -128i32..128, b in -128i32..128) {
            let model = HtpModel::new("m", INT8, INT8, vec![
                term(0.5, Feature::Identity, Feature::Mod { modulus: 4, power: 2 }),
                term(-2.0, Feature::One, Feature::Identity),
            ]).unwrap();
            prop_assert_eq!(model.swapped().evaluate(b, a), model.evaluate(a, b));
            prop_assert_eq!(model.swapped().swapped(), model);
        }
    }
}
