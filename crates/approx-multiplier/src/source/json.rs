//! Sources as JSON: a text, or an object whose first field says what kind of source it is.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::multiplier_source::MultiplierSource;
use crate::{ContentHash, FamilySpecification, Multiplier, MultiplierError, OperandFormat};

/// The serialised form of a source: one of the first seven fields says what kind it is, the others belong to it.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SourceFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    bundled: Option<String>,
    /// What version 0.1.0 wrote for a `.npy` file; it is read, and never written.
    #[serde(skip_serializing)]
    npy: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<FamilySpecification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<ExactFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    htp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline: Option<Multiplier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<OperandFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<OperandFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<ContentHash>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sign_magnitude: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    swap_operands: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExactFields {
    activation: OperandFormat,
    weight: OperandFormat,
}

impl From<&MultiplierSource> for SourceFields {
    fn from(source: &MultiplierSource) -> Self {
        match source.clone() {
            MultiplierSource::Bundled {
                name,
                hash,
                sign_magnitude,
            } => Self {
                bundled: Some(name),
                hash,
                sign_magnitude,
                ..Self::default()
            },
            MultiplierSource::File {
                path,
                formats,
                swap_operands,
                hash,
                sign_magnitude,
            } => Self {
                file: Some(path),
                activation: formats.map(|formats| formats.0),
                weight: formats.map(|formats| formats.1),
                hash,
                sign_magnitude,
                swap_operands,
                ..Self::default()
            },
            MultiplierSource::Family {
                specification,
                hash,
            } => Self {
                family: Some(specification),
                hash,
                ..Self::default()
            },
            MultiplierSource::Exact { activation, weight } => Self {
                exact: Some(ExactFields { activation, weight }),
                ..Self::default()
            },
            MultiplierSource::Htp { name, hash } => Self {
                htp: Some(name),
                hash,
                ..Self::default()
            },
            MultiplierSource::Inline(multiplier) => Self {
                inline: Some(multiplier),
                ..Self::default()
            },
        }
    }
}

impl TryFrom<SourceFields> for MultiplierSource {
    type Error = MultiplierError;

    fn try_from(fields: SourceFields) -> Result<Self, MultiplierError> {
        let invalid = |reason: &str| MultiplierError::InvalidSource {
            reason: reason.into(),
        };
        let SourceFields {
            bundled,
            npy,
            file,
            family,
            exact,
            htp,
            inline,
            activation,
            weight,
            hash,
            sign_magnitude,
            swap_operands,
        } = fields;
        let formats = match (activation, weight) {
            (Some(activation), Some(weight)) => Some((activation, weight)),
            (None, None) => None,
            _ => return Err(invalid("`activation` and `weight` belong together")),
        };
        let is_file = npy.is_some() || file.is_some();
        if formats.is_some() && !is_file {
            return Err(invalid(
                "`activation` and `weight` belong to `file`, or inside `exact`",
            ));
        }
        if sign_magnitude && bundled.is_none() && !is_file {
            return Err(invalid("`sign_magnitude` belongs to `bundled` or `file`"));
        }
        if swap_operands && file.is_none() {
            return Err(invalid("`swap_operands` belongs to `file`"));
        }
        if hash.is_some() && (exact.is_some() || inline.is_some()) {
            return Err(invalid(
                "`hash` belongs to `bundled`, `file`, `family` or `htp`",
            ));
        }
        let mut sources = [
            bundled.map(|name| {
                Ok(Self::Bundled {
                    name,
                    hash,
                    sign_magnitude,
                })
            }),
            npy.map(|path| {
                if formats.is_none() {
                    return Err(invalid(
                        "`npy` needs the operand formats `activation` and `weight` beside it",
                    ));
                }
                Ok(Self::File {
                    path,
                    formats,
                    swap_operands: false,
                    hash,
                    sign_magnitude,
                })
            }),
            file.map(|path| {
                Ok(Self::File {
                    path,
                    formats,
                    swap_operands,
                    hash,
                    sign_magnitude,
                })
            }),
            family.map(|specification| {
                Ok(Self::Family {
                    specification,
                    hash,
                })
            }),
            exact.map(|ExactFields { activation, weight }| Ok(Self::Exact { activation, weight })),
            htp.map(|name| Ok(Self::Htp { name, hash })),
            inline.map(|multiplier| Ok(Self::Inline(multiplier))),
        ]
        .into_iter()
        .flatten();
        match (sources.next(), sources.next()) {
            (Some(source), None) => source,
            _ => Err(invalid(
                "exactly one of `bundled`, `file`, `family`, `exact`, `htp` and `inline` is needed",
            )),
        }
    }
}

/// A bundled name on its own is written as a text, everything else as an object.
impl Serialize for MultiplierSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bundled { hash: None, .. } => serializer.collect_str(self),
            _ => SourceFields::from(self).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for MultiplierSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

/// Reads a text or an object. An untagged enumeration would do so too, but not say what is wrong with either.
struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = MultiplierSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a multiplier, or an object with `bundled`, `file`, `family`, `exact`, `htp` or `inline`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MultiplierSource, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MultiplierSource, A::Error> {
        SourceFields::deserialize(MapAccessDeserializer::new(map))?
            .try_into()
            .map_err(de::Error::custom)
    }
}
