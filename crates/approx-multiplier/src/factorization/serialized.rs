//! How factorisations are written to files: every vector of factors compressed and in base64.
//!
//! What is read is checked like terms given by a caller, and its sizes are measured anew; only the coverage of the
//! comparison is taken from the file.

use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::codes::{all_codes, checked_codes, within};
use crate::table::compression::{
    compress_factors, decode_base64, decompress_factors, encode_base64,
};
use crate::{Coverage, Factorization, FactorizationForm, MultiplierError, OperandFormat, Term};

/// The most factors of a file, which take 128 MiB: 128 terms of 16 x 16 bits, far more than any useful factorisation
/// has.
const MAX_FACTORS: usize = 1 << 24;

/// A [`Factorization`] without its operand formats.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SerializedFactors {
    form: FactorizationForm,
    /// Lowest and highest code; all of the format if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activation_codes: Option<(i32, i32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight_codes: Option<(i32, i32)>,
    coverage: Coverage,
    terms: Vec<SerializedTerm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedTerm {
    scale: i64,
    /// Compressed factors in base64, in the order of bit patterns.
    activation: String,
    weight: String,
}

impl From<&Factorization> for SerializedFactors {
    fn from(factorization: &Factorization) -> Self {
        let restriction = |codes: RangeInclusive<i32>, format| {
            (codes != all_codes(format)).then(|| codes.into_inner())
        };
        let encode = |factors: &[i64]| encode_base64(&compress_factors(factors));
        Self {
            form: factorization.form(),
            activation_codes: restriction(
                factorization.activation_codes(),
                factorization.activation(),
            ),
            weight_codes: restriction(factorization.weight_codes(), factorization.weight()),
            coverage: factorization.certificate().coverage,
            terms: factorization
                .terms()
                .iter()
                .map(|term| SerializedTerm {
                    scale: term.scale(),
                    activation: encode(term.activation()),
                    weight: encode(term.weight()),
                })
                .collect(),
        }
    }
}

impl SerializedFactors {
    pub(crate) fn into_factorization(
        self,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<Factorization, MultiplierError> {
        let codes = |codes: Option<(i32, i32)>, format| {
            let codes = codes.map(|(low, high)| low..=high);
            checked_codes(codes.as_ref(), format)
        };
        let codes = (
            codes(self.activation_codes, activation)?,
            codes(self.weight_codes, weight)?,
        );
        // A few bytes of compressed zeros hold as many factors as an operand has codes.
        let factors = self.terms.len() * (activation.cardinality() + weight.cardinality());
        if factors > MAX_FACTORS {
            return Err(MultiplierError::InvalidCompressedTable {
                reason: format!("it has {factors} factors: at most {MAX_FACTORS} are supported"),
            });
        }
        let terms = self
            .terms
            .iter()
            .map(|term| {
                Term::new(
                    term.scale,
                    decode(activation, &codes.0, &term.activation)?,
                    decode(weight, &codes.1, &term.weight)?,
                )
            })
            .collect::<Result<_, _>>()?;
        Factorization::assemble((activation, weight), codes, self.form, terms, self.coverage)?
            .minimal()
    }
}

/// The factors of the codes of a range; those of other codes are 0, whatever the text says.
fn decode(
    format: OperandFormat,
    codes: &RangeInclusive<i32>,
    text: &str,
) -> Result<Vec<i64>, MultiplierError> {
    let bytes = decode_base64(text)?;
    let factors = decompress_factors(format.cardinality(), &bytes)?;
    Ok(within(format, codes, &factors))
}

/// A [`Factorization`] on its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedFactorization {
    activation: OperandFormat,
    weight: OperandFormat,
    factors: SerializedFactors,
}

/// Factors are compressed and written in base64.
impl Serialize for Factorization {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SerializedFactorization {
            activation: self.activation(),
            weight: self.weight(),
            factors: self.into(),
        }
        .serialize(serializer)
    }
}

/// What is read is checked as by [`Factorization::from_terms`]. That it was compared with another function, and where,
/// is taken from the file.
impl<'de> Deserialize<'de> for Factorization {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let SerializedFactorization {
            activation,
            weight,
            factors,
        } = SerializedFactorization::deserialize(deserializer)?;
        factors
            .into_factorization(activation, weight)
            .map_err(de::Error::custom)
    }
}
