//! How multipliers are written to files: self-contained, with the hash of their content, which is verified when they
//! are read.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::definition::Definition;
use super::handle::Multiplier;
use super::hardware::HardwareFigures;
use super::hash::ContentHash;
use crate::factorization::SerializedFactors;
use crate::table::SerializedGradient;
use crate::table::compression::{decode_base64, encode_base64};
use crate::{HtpModel, HtpTerm, MultiplierError, OperandFormat, ProductTable};

/// The serialised form of a [`Multiplier`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedMultiplier {
    name: String,
    activation: OperandFormat,
    weight: OperandFormat,
    hash: ContentHash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hardware: Option<HardwareFigures>,
    definition: SerializedDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gradient: Option<SerializedGradient>,
}

/// The serialised form of a [`Definition`], without what the multiplier holds already.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SerializedDefinition {
    Exact,
    /// A compressed table in base64.
    Table(String),
    Factored(SerializedFactors),
    Htp(Vec<HtpTerm>),
}

impl Serialize for Multiplier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SerializedMultiplier {
            name: self.0.name.clone(),
            activation: self.0.activation,
            weight: self.0.weight,
            hash: self.hash(),
            hardware: self.0.hardware.clone(),
            definition: match &self.0.definition {
                Definition::Exact => SerializedDefinition::Exact,
                Definition::Table(table) => {
                    SerializedDefinition::Table(encode_base64(&table.to_compressed()))
                }
                Definition::Factored(factorization) => {
                    SerializedDefinition::Factored(factorization.into())
                }
                Definition::Htp(model) => SerializedDefinition::Htp(model.terms().to_vec()),
            },
            gradient: self.gradient_tables().map(SerializedGradient::from),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Multiplier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SerializedMultiplier::deserialize(deserializer)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

impl TryFrom<SerializedMultiplier> for Multiplier {
    type Error = MultiplierError;

    fn try_from(serialized: SerializedMultiplier) -> Result<Self, MultiplierError> {
        let SerializedMultiplier {
            name,
            activation,
            weight,
            hash,
            hardware,
            definition,
            gradient,
        } = serialized;
        let gradient = gradient.map(|tables| tables.into_tables(activation, weight));
        let definition = match definition {
            SerializedDefinition::Exact => Definition::Exact,
            SerializedDefinition::Table(text) => {
                let bytes = decode_base64(&text)?;
                Definition::Table(ProductTable::from_compressed(activation, weight, &bytes)?)
            }
            SerializedDefinition::Factored(factors) => {
                let factorization = factors.into_factorization(activation, weight)?;
                factorization.check_unrestricted()?;
                Definition::Factored(factorization)
            }
            SerializedDefinition::Htp(terms) => {
                Definition::Htp(HtpModel::new(name.clone(), activation, weight, terms)?)
            }
        };
        Self::new(name, activation, weight, definition, hardware)
            .with_gradient(gradient.transpose()?)
            .verified(Some(hash))
    }
}
