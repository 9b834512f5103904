//! Multiplier sources: how configuration files and command lines say which multiplier they mean.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::import::{self, FileKind, ImportOptions, Imported};
use crate::multiplier::{SIGN_MAGNITUDE_SUFFIX, SWAPPED_SUFFIX};
use crate::{
    ContentHash, Definition, Family, FamilySpecification, Multiplier, MultiplierError,
    OperandFormat, evoapprox,
};

/// Where a multiplier comes from. [`resolve`](Self::resolve) gets it.
///
/// # As JSON
///
/// A text as below, or an object:
///
/// ```json
/// {"bundled": "mul8s_1L2J", "hash": "<64 hexadecimal digits>"}
/// {"bundled": "mul8u_17C8", "sign_magnitude": true}
/// {"npy": "tables/mine.npy", "activation": {"bits": 8, "signedness": "unsigned"},
///                            "weight": {"bits": 8, "signedness": "signed"}}
/// {"exact": {"activation": {"bits": 8, "signedness": "signed"}, "weight": {"bits": 8, "signedness": "signed"}}}
/// {"htp": "mul12s_2PS"}
/// {"file": "tables/mine.csv"}
/// {"file": "tables/mine.bin", "activation": {"bits": 8, "signedness": "unsigned"},
///                             "weight": {"bits": 8, "signedness": "unsigned"}, "swap_operands": true}
/// {"family": "drum:k=6,bits=8,signed"}
/// {"inline": {"name": "mine", ...}}
/// ```
///
/// `hash`, `sign_magnitude` and `swap_operands` may always be left out. With a hash, another content is an error.
///
/// # As text
///
/// | text | meaning |
/// |---|---|
/// | `mul8s_1L2J`, `mul16s_GRU` | a bundled multiplier |
/// | `mul8u_17C8:sign-magnitude` | a bundled unsigned one with [sign-magnitude operands](Multiplier::sign_magnitude) |
/// | `exact` | the exact 8 x 8-bit signed multiplier |
/// | `exact:uint8` | the exact one with that format for both operands |
/// | `exact:uint8,int8` | the exact one with these formats for activation and weight |
/// | `htp:mul12s_2PS` | a bundled HTP model |
/// | `tables/mine.npy` | a table in a file, 8 x 8-bit signed |
/// | `tables/mine.npy:uint8` | a table with other formats, written as for `exact` |
/// | `tables/mine.npy:uint8:sign-magnitude` | an unsigned table with sign-magnitude operands |
/// | `mine.csv`, `mine.h`, `mine.c`, `mine.v`, `mine.json` | a file of any [kind](FileKind) that can be imported, by its extension |
/// | `mine.csv:uint8,int8:swapped` | the same with operand formats, and with the weight as the file's first operand |
/// | `drum:k=6,bits=8,signed` | a member of a [family](FamilySpecification) |
///
/// Names are compared exactly, and a name that is not bundled is an error at once.
///
/// ```
/// use approx_multiplier::MultiplierSource;
///
/// let source: MultiplierSource = "mul8u_17C8:sign-magnitude".parse()?;
/// let multiplier = source.resolve()?;
/// assert!(multiplier.activation().is_signed());
///
/// // What is written to a file names the circuit and says what is meant by the name.
/// let described = MultiplierSource::describe(&multiplier);
/// assert!(matches!(
///     &described,
///     MultiplierSource::Bundled { name, hash: Some(hash), sign_magnitude: true }
///         if name == "mul8u_17C8" && *hash == multiplier.hash()
/// ));
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MultiplierSource {
    /// A bundled circuit, by its name.
    Bundled {
        /// The name, one of [`evoapprox::names`].
        name: String,
        /// The hash that its content, in sign-magnitude form if so asked, must have.
        hash: Option<ContentHash>,
        /// Whether its [sign-magnitude form](Multiplier::sign_magnitude) is meant.
        sign_magnitude: bool,
    },
    /// A table in a `.npy` file.
    Npy {
        /// The file. A relative path is relative to the folder given to
        /// [`resolve_relative_to`](MultiplierSource::resolve_relative_to).
        path: PathBuf,
        /// Format of the table's first operand, the activation.
        activation: OperandFormat,
        /// Format of the table's second operand, the weight.
        weight: OperandFormat,
        /// The hash that its content, in sign-magnitude form if so asked, must have.
        hash: Option<ContentHash>,
        /// Whether its [sign-magnitude form](Multiplier::sign_magnitude) is meant.
        sign_magnitude: bool,
    },
    /// A multiplier in a file of any kind that can be [imported](crate::import).
    File {
        /// The file. A relative path is relative to the folder given to
        /// [`resolve_relative_to`](MultiplierSource::resolve_relative_to).
        path: PathBuf,
        /// Formats of the activation and the weight, if the file does not say them or is to be read in another way.
        formats: Option<(OperandFormat, OperandFormat)>,
        /// Whether the file's first operand is the weight.
        swap_operands: bool,
        /// The hash that its content, in sign-magnitude form if so asked, must have.
        hash: Option<ContentHash>,
        /// Whether its [sign-magnitude form](Multiplier::sign_magnitude) is meant.
        sign_magnitude: bool,
    },
    /// A member of a family, by its formula.
    Family {
        /// The family, its parameters and the operand formats.
        specification: FamilySpecification,
        /// The hash that its content must have.
        hash: Option<ContentHash>,
    },
    /// The exact multiplier.
    Exact {
        /// Format of the activation.
        activation: OperandFormat,
        /// Format of the weight.
        weight: OperandFormat,
    },
    /// A bundled HTP model, by its name.
    Htp {
        /// The name, one of [`evoapprox::htp_names`].
        name: String,
        /// The hash that its content must have.
        hash: Option<ContentHash>,
    },
    /// The multiplier itself.
    Inline(Multiplier),
}

impl MultiplierSource {
    /// Gets the multiplier. A relative path is relative to the current folder.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::HashMismatch`] if it is not the one whose hash the source gives, and what is wrong with the
    /// name, the file or the operand formats.
    pub fn resolve(&self) -> Result<Multiplier, MultiplierError> {
        self.resolve_relative_to(Path::new(""))
    }

    /// Gets the multiplier. A relative path is relative to `folder`, that of the configuration file for instance.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](Self::resolve).
    pub fn resolve_relative_to(
        &self,
        folder: impl AsRef<Path>,
    ) -> Result<Multiplier, MultiplierError> {
        Ok(self.import_relative_to(folder)?.multiplier)
    }

    /// Gets the multiplier, with what was assumed where its file leaves something open.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](Self::resolve).
    ///
    /// ```
    /// use approx_multiplier::MultiplierSource;
    ///
    /// let imported = "mul8s_1L2J".parse::<MultiplierSource>()?.import_relative_to("")?;
    /// assert!(imported.notes.is_empty());
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    pub fn import_relative_to(
        &self,
        folder: impl AsRef<Path>,
    ) -> Result<Imported, MultiplierError> {
        let mut notes = Vec::new();
        let (multiplier, sign_magnitude, hash) = match self {
            Self::Bundled {
                name,
                hash,
                sign_magnitude,
            } => (evoapprox::multiplier(name)?, *sign_magnitude, *hash),
            Self::Npy {
                path,
                activation,
                weight,
                hash,
                sign_magnitude,
            } => {
                let path = folder.as_ref().join(path);
                (
                    Multiplier::from_npy(path, *activation, *weight)?,
                    *sign_magnitude,
                    *hash,
                )
            }
            Self::File {
                path,
                formats,
                swap_operands,
                hash,
                sign_magnitude,
            } => {
                let options = ImportOptions {
                    swap_operands: *swap_operands,
                    ..ImportOptions::default()
                };
                let options = match formats {
                    Some((activation, weight)) => options.with_formats(*activation, *weight),
                    None => options,
                };
                let imported = import::read(folder.as_ref().join(path), &options)?;
                notes = imported.notes;
                (imported.multiplier, *sign_magnitude, *hash)
            }
            Self::Family {
                specification,
                hash,
            } => (specification.multiplier()?, false, *hash),
            Self::Exact { activation, weight } => {
                (Multiplier::exact(*activation, *weight), false, None)
            }
            Self::Htp { name, hash } => (Multiplier::from_htp(evoapprox::htp(name)?), false, *hash),
            Self::Inline(multiplier) => (multiplier.clone(), false, None),
        };
        let multiplier = if sign_magnitude {
            multiplier.sign_magnitude()?
        } else {
            multiplier
        };
        Ok(Imported {
            multiplier: multiplier.verified(hash)?,
            notes,
        })
    }

    /// The shortest source that gives this very multiplier, without reference to any file: its bundled name with the hash
    /// of its content, where name, content and hardware figures are those of a bundled one; in the same way a member of a
    /// family; the exact one; else the multiplier itself.
    pub fn describe(multiplier: &Multiplier) -> Self {
        Self::by_name(multiplier)
            .filter(|source| {
                source
                    .resolve()
                    .is_ok_and(|resolved| resolved == *multiplier)
            })
            .unwrap_or_else(|| Self::Inline(multiplier.clone()))
    }

    /// The source that a multiplier's name and kind suggest.
    fn by_name(multiplier: &Multiplier) -> Option<Self> {
        match multiplier.definition() {
            Definition::Exact => Some(Self::Exact {
                activation: multiplier.activation(),
                weight: multiplier.weight(),
            }),
            Definition::Table(_) | Definition::Factored(_) => {
                if let Ok(specification) = multiplier.name().parse() {
                    return Some(Self::Family {
                        specification,
                        hash: Some(multiplier.hash()),
                    });
                }
                let (name, sign_magnitude) = without_sign_magnitude(multiplier.name());
                // Hashing takes longer than finding out that the name is unknown.
                evoapprox::figures(name).ok()?;
                Some(Self::Bundled {
                    name: name.into(),
                    hash: Some(multiplier.hash()),
                    sign_magnitude,
                })
            }
            Definition::Htp(model) => Some(Self::Htp {
                name: model.name().into(),
                hash: Some(multiplier.hash()),
            }),
        }
    }
}

/// Splits the mark of sign-magnitude use off a text.
fn without_sign_magnitude(text: &str) -> (&str, bool) {
    match text.strip_suffix(SIGN_MAGNITUDE_SUFFIX) {
        Some(text) => (text, true),
        None => (text, false),
    }
}

/// Parses the formats of activation and weight, or one for both.
fn parse_formats(text: &str) -> Result<(OperandFormat, OperandFormat), MultiplierError> {
    match text.split_once(',') {
        Some((activation, weight)) => Ok((activation.parse()?, weight.parse()?)),
        None => {
            let both = text.parse()?;
            Ok((both, both))
        }
    }
}

/// Splits `PATH` or `PATH:FORMATS` with a path of a kind that can be imported; `None` if the text is neither.
fn split_path(text: &str) -> Option<(&str, Option<&str>)> {
    if FileKind::of_name(text).is_some() {
        return Some((text, None));
    }
    let (path, formats) = text.rsplit_once(':')?;
    FileKind::of_name(path).map(|_| (path, Some(formats)))
}

impl FromStr for MultiplierSource {
    type Err = MultiplierError;

    fn from_str(text: &str) -> Result<Self, MultiplierError> {
        const INT8: OperandFormat = OperandFormat::INT8;

        let (rest, sign_magnitude) = without_sign_magnitude(text);
        let (file, swap_operands) = match rest.strip_suffix(SWAPPED_SUFFIX) {
            Some(file) => (file, true),
            None => (rest, false),
        };
        if let Some((path, formats)) = split_path(file) {
            let formats = formats.map(parse_formats).transpose()?;
            if path.ends_with(".npy") && !swap_operands {
                let (activation, weight) = formats.unwrap_or((INT8, INT8));
                return Ok(Self::Npy {
                    path: path.into(),
                    activation,
                    weight,
                    hash: None,
                    sign_magnitude,
                });
            }
            return Ok(Self::File {
                path: path.into(),
                formats,
                swap_operands,
                hash: None,
                sign_magnitude,
            });
        }
        let is_family = |text: &str| {
            let (name, settings) = text.split_once(':').unwrap_or((text, ""));
            // What is exact has a notation of its own, without settings that have names.
            Family::NAMES.contains(&name) && (name != "exact" || settings.contains('='))
        };
        let exact_formats = match rest.strip_prefix("exact") {
            Some("") => Some((INT8, INT8)),
            Some(formats) if !is_family(rest) => {
                formats.strip_prefix(':').map(parse_formats).transpose()?
            }
            _ => None,
        };
        let source = if let Some((activation, weight)) = exact_formats {
            Self::Exact { activation, weight }
        } else if is_family(rest) {
            Self::Family {
                specification: rest.parse()?,
                hash: None,
            }
        } else if let Some(name) = rest.strip_prefix("htp:") {
            evoapprox::htp(name)?;
            Self::Htp {
                name: name.into(),
                hash: None,
            }
        } else {
            evoapprox::figures(rest)?;
            return Ok(Self::Bundled {
                name: rest.into(),
                hash: None,
                sign_magnitude,
            });
        };
        if sign_magnitude {
            return Err(MultiplierError::InvalidSource {
                reason: format!(
                    "{text:?}: only bundled circuits and files have a sign-magnitude form"
                ),
            });
        }
        Ok(source)
    }
}

/// Writes the text that [`FromStr`] reads, which leaves hashes out; of an inline multiplier the name.
impl fmt::Display for MultiplierSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |sign_magnitude| {
            if sign_magnitude {
                SIGN_MAGNITUDE_SUFFIX
            } else {
                ""
            }
        };
        match self {
            Self::Bundled {
                name,
                sign_magnitude,
                ..
            } => write!(f, "{name}{}", mark(*sign_magnitude)),
            Self::Npy {
                path,
                activation,
                weight,
                sign_magnitude,
                ..
            } => write!(
                f,
                "{}:{},{}{}",
                path.display(),
                activation.type_name(),
                weight.type_name(),
                mark(*sign_magnitude)
            ),
            Self::File {
                path,
                formats,
                swap_operands,
                sign_magnitude,
                ..
            } => {
                write!(f, "{}", path.display())?;
                if let Some((activation, weight)) = formats {
                    write!(f, ":{},{}", activation.type_name(), weight.type_name())?;
                }
                if *swap_operands {
                    f.write_str(SWAPPED_SUFFIX)?;
                }
                f.write_str(mark(*sign_magnitude))
            }
            Self::Family { specification, .. } => write!(f, "{specification}"),
            Self::Exact { activation, weight } => {
                write!(f, "exact:{},{}", activation.type_name(), weight.type_name())
            }
            Self::Htp { name, .. } => write!(f, "htp:{name}"),
            Self::Inline(multiplier) => f.write_str(multiplier.name()),
        }
    }
}

/// The serialised form of a source: one of the first seven fields says what kind it is, the others belong to it.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SourceFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    bundled: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
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
            MultiplierSource::Npy {
                path,
                activation,
                weight,
                hash,
                sign_magnitude,
            } => Self {
                npy: Some(path),
                activation: Some(activation),
                weight: Some(weight),
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
                "`activation` and `weight` belong to `npy` or `file`, or inside `exact`",
            ));
        }
        if sign_magnitude && bundled.is_none() && !is_file {
            return Err(invalid(
                "`sign_magnitude` belongs to `bundled`, `npy` or `file`",
            ));
        }
        if swap_operands && file.is_none() {
            return Err(invalid("`swap_operands` belongs to `file`"));
        }
        if hash.is_some() && (exact.is_some() || inline.is_some()) {
            return Err(invalid(
                "`hash` belongs to `bundled`, `npy`, `file`, `family` or `htp`",
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
                let (activation, weight) = formats.ok_or_else(|| {
                    invalid("`npy` needs the operand formats `activation` and `weight` beside it")
                })?;
                Ok(Self::Npy {
                    path,
                    activation,
                    weight,
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
                "exactly one of `bundled`, `npy`, `file`, `family`, `exact`, `htp` and `inline` is needed",
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
        f.write_str("the name of a multiplier, or an object with `bundled`, `npy`, `file`, `family`, `exact`, `htp` or `inline`")
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::export::{self, ExportFormat};
    use crate::{HardwareFigures, ProductTable};

    const INT8: OperandFormat = OperandFormat::INT8;
    const UINT8: OperandFormat = OperandFormat::UINT8;

    fn bundled(name: &str, hash: Option<ContentHash>, sign_magnitude: bool) -> MultiplierSource {
        MultiplierSource::Bundled {
            name: name.into(),
            hash,
            sign_magnitude,
        }
    }

    fn npy(
        path: &str,
        activation: OperandFormat,
        weight: OperandFormat,
        sign_magnitude: bool,
    ) -> MultiplierSource {
        MultiplierSource::Npy {
            path: path.into(),
            activation,
            weight,
            hash: None,
            sign_magnitude,
        }
    }

    fn file(
        path: &str,
        formats: Option<(OperandFormat, OperandFormat)>,
        swap_operands: bool,
        sign_magnitude: bool,
    ) -> MultiplierSource {
        MultiplierSource::File {
            path: path.into(),
            formats,
            swap_operands,
            hash: None,
            sign_magnitude,
        }
    }

    fn family(text: &str) -> MultiplierSource {
        MultiplierSource::Family {
            specification: text.parse().unwrap(),
            hash: None,
        }
    }

    fn exact(activation: OperandFormat, weight: OperandFormat) -> MultiplierSource {
        MultiplierSource::Exact { activation, weight }
    }

    #[rstest]
    #[case("mul8s_1L2J", bundled("mul8s_1L2J", None, false))]
    #[case("mul16s_GRU", bundled("mul16s_GRU", None, false))]
    #[case("mul8u_17C8:sign-magnitude", bundled("mul8u_17C8", None, true))]
    #[case("exact", exact(INT8, INT8))]
    #[case("exact:uint8", exact(UINT8, UINT8))]
    #[case("exact:uint8,int8", exact(UINT8, INT8))]
    #[case("htp:mul12s_2PS", MultiplierSource::Htp { name: "mul12s_2PS".into(), hash: None })]
    #[case("a/b.npy", npy("a/b.npy", INT8, INT8, false))]
    #[case("a/b.npy:uint8,int8", npy("a/b.npy", UINT8, INT8, false))]
    #[case(r"c:\b.npy:uint8:sign-magnitude", npy(r"c:\b.npy", UINT8, UINT8, true))]
    #[case("exact.npy", npy("exact.npy", INT8, INT8, false))]
    #[case("b.npy:sign-magnitude", npy("b.npy", INT8, INT8, true))]
    #[case("b.npy:swapped", file("b.npy", None, true, false))]
    #[case("a/b.csv", file("a/b.csv", None, false, false))]
    #[case("b.json:sign-magnitude", file("b.json", None, false, true))]
    #[case(r"c:\b.BIN:uint8", file(r"c:\b.BIN", Some((UINT8, UINT8)), false, false))]
    #[case("b.h:uint8,int8:swapped:sign-magnitude", file("b.h", Some((UINT8, INT8)), true, true))]
    #[case("drum:k=6,bits=8,signed", family("drum:k=6,bits=8,signed"))]
    #[case("roba", family("roba:bits=8,signed"))]
    #[case("exact:bits=9,unsigned", family("exact:bits=9,unsigned"))]
    fn texts_are_parsed_and_written(#[case] text: &str, #[case] expected: MultiplierSource) {
        let source: MultiplierSource = text.parse().unwrap();
        assert_eq!(source, expected);
        assert_eq!(
            source.to_string().parse::<MultiplierSource>().unwrap(),
            expected
        );
        let json = serde_json::to_string(&source).unwrap();
        assert_eq!(
            serde_json::from_str::<MultiplierSource>(&json).unwrap(),
            expected
        );
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(
            serde_json::from_str::<MultiplierSource>(&json).unwrap(),
            expected
        );
    }

    #[rstest]
    #[case("", "nearest")]
    #[case("mul8s_1L2", "mul8s_1L2J")]
    #[case("exactly", "nearest")]
    #[case("exact:int1", "2 to 16")]
    #[case("exact:", "operand format")]
    #[case("exact:int8,", "operand format")]
    #[case("exact:sign-magnitude", "sign-magnitude")]
    #[case("htp:mul8s_1KV8:sign-magnitude", "sign-magnitude")]
    #[case("htp:nothing", "nearest")]
    #[case("b.npy:float32", "operand format")]
    #[case("b.npz", "nearest")]
    #[case("b.csv:int1", "2 to 16")]
    #[case("drum:k=1", "2 to 16")]
    #[case("roba:unsigned:sign-magnitude", "only bundled circuits and files")]
    fn other_texts_are_refused(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<MultiplierSource>().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let error = serde_json::from_value::<MultiplierSource>(text.into()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[rstest]
    #[case(r#"{}"#, "exactly one")]
    #[case(r#"{"bundled": "mul8s_1L2J", "htp": "mul8s_1L2J"}"#, "exactly one")]
    #[case(
        r#"{"bundled": "mul8s_1L2J", "activation": {"bits": 8, "signedness": "signed"}}"#,
        "belong"
    )]
    #[case(r#"{"npy": "b.npy"}"#, "`activation`")]
    #[case(
        r#"{"npy": "b.npy", "activation": {"bits": 1, "signedness": "signed"}}"#,
        "2 to 16"
    )]
    #[case(r#"{"htp": "mul8s_1L2J", "sign_magnitude": true}"#, "belongs")]
    #[case(r#"{"npy": "b.npy", "swap_operands": true}"#, "belongs to `file`")]
    #[case(r#"{"file": "b.csv", "family": "roba"}"#, "exactly one")]
    #[case(
        r#"{"file": "b.csv", "weight": {"bits": 8, "signedness": "signed"}}"#,
        "together"
    )]
    #[case(r#"{"family": "roba:k=3"}"#, "no setting")]
    #[case(r#"{"bundled": "mul8s_1L2J", "hash": "12"}"#, "64 hexadecimal")]
    #[case(r#"{"bundeld": "mul8s_1L2J"}"#, "unknown field")]
    #[case("17", "the name of a multiplier")]
    fn malformed_objects_are_refused(#[case] json: &str, #[case] expected: &str) {
        let error = serde_json::from_str::<MultiplierSource>(json).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn a_hash_does_not_belong_to_the_exact_multiplier() {
        let hash = Multiplier::exact(INT8, INT8).hash();
        let json = format!(
            r#"{{"exact": {{"activation": {0}, "weight": {0}}}, "hash": "{hash}"}}"#,
            serde_json::to_string(&INT8).unwrap()
        );
        let error = serde_json::from_str::<MultiplierSource>(&json).unwrap_err();
        assert!(error.to_string().contains("`hash` belongs"), "{error}");
    }

    #[test]
    fn a_name_alone_is_written_as_text() {
        let json = serde_json::to_string(&bundled("mul8u_17C8", None, true)).unwrap();
        assert_eq!(json, r#""mul8u_17C8:sign-magnitude""#);
    }

    #[test]
    fn another_content_than_the_hash_says_is_refused() {
        let expected = evoapprox::multiplier("mul8s_1KV8").unwrap().hash();
        let found = evoapprox::multiplier("mul8s_1KV9").unwrap().hash();
        let error = bundled("mul8s_1KV9", Some(expected), false)
            .resolve()
            .unwrap_err();
        assert!(matches!(
            error,
            MultiplierError::HashMismatch { expected: e, found: f, .. } if e == expected && f == found
        ));
        assert!(bundled("mul8s_1KV9", Some(found), false).resolve().is_ok());
        let htp = MultiplierSource::Htp {
            name: "mul8s_1KV9".into(),
            hash: Some(found),
        };
        assert!(matches!(
            htp.resolve(),
            Err(MultiplierError::HashMismatch { .. })
        ));
    }

    #[test]
    fn files_are_found_relative_to_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let table = ProductTable::from_fn(UINT8, UINT8, |a, b| a * b + 1).unwrap();
        table.to_npy(folder.path().join("t.npy")).unwrap();
        let multiplier = npy("t.npy", UINT8, UINT8, false)
            .resolve_relative_to(folder.path())
            .unwrap();
        assert_eq!(multiplier.table(), Some(&table));
        let signed = npy("t.npy", UINT8, UINT8, true)
            .resolve_relative_to(folder.path())
            .unwrap();
        assert_eq!(signed, multiplier.sign_magnitude().unwrap());
        let absolute = folder.path().join("t.npy");
        let source: MultiplierSource = format!("{}:uint8", absolute.display()).parse().unwrap();
        assert_eq!(source.resolve().unwrap(), multiplier);
        assert!(matches!(
            npy("other.npy", UINT8, UINT8, false).resolve_relative_to(folder.path()),
            Err(MultiplierError::Io { .. })
        ));
    }

    #[test]
    fn files_of_any_kind_are_found_relative_to_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let multiplier = Multiplier::from_fn("t", UINT8, UINT8, |a, b| a * b + 2 * a).unwrap();
        for format in [
            ExportFormat::Csv,
            ExportFormat::Binary,
            ExportFormat::CHeader,
            ExportFormat::Own,
        ] {
            let name = format!("t.{}", format.extension());
            export::write(&multiplier, folder.path().join(&name), format).unwrap();
            let resolved = |swap_operands, sign_magnitude| {
                file(&name, Some((UINT8, UINT8)), swap_operands, sign_magnitude)
                    .resolve_relative_to(folder.path())
                    .unwrap()
            };
            assert_eq!(resolved(false, false), multiplier);
            assert_eq!(resolved(true, false), multiplier.swapped());
            assert_eq!(resolved(false, true), multiplier.sign_magnitude().unwrap());
        }
        std::fs::write(folder.path().join("t.csv"), "1 2 3").unwrap();
        let error = file("t.csv", None, false, false)
            .resolve_relative_to(folder.path())
            .unwrap_err();
        assert!(error.to_string().contains("t.csv"), "{error}");
        assert!(matches!(error, MultiplierError::Import(_)));
    }

    #[test]
    fn what_a_source_describes_resolves_to_the_same() {
        let circuit = evoapprox::multiplier("mul8u_17C8").unwrap();
        let signed = circuit.sign_magnitude().unwrap();
        let htp = Multiplier::from_htp(evoapprox::htp("mul12s_2PS").unwrap());
        let mixed = Multiplier::exact(UINT8, INT8);
        let wide = evoapprox::multiplier("mul16s_GRU").unwrap();
        let member: FamilySpecification = "drum:k=4,bits=8,unsigned".parse().unwrap();
        let drum = member.multiplier().unwrap();
        let described = [
            (
                drum.clone(),
                MultiplierSource::Family {
                    specification: member,
                    hash: Some(drum.hash()),
                },
            ),
            (
                wide.clone(),
                bundled("mul16s_GRU", Some(wide.hash()), false),
            ),
            (
                circuit.clone(),
                bundled("mul8u_17C8", Some(circuit.hash()), false),
            ),
            (
                signed.clone(),
                bundled("mul8u_17C8", Some(signed.hash()), true),
            ),
            (mixed, exact(UINT8, INT8)),
            (
                htp.clone(),
                MultiplierSource::Htp {
                    name: "mul12s_2PS".into(),
                    hash: Some(htp.hash()),
                },
            ),
        ];
        for (multiplier, expected) in described {
            let source = MultiplierSource::describe(&multiplier);
            assert_eq!(source, expected);
            let json = serde_json::to_string(&source).unwrap();
            let read: MultiplierSource = serde_json::from_str(&json).unwrap();
            assert_eq!(read, source);
            assert_eq!(read.resolve().unwrap(), multiplier);
        }
    }

    #[test]
    fn what_only_resembles_a_bundled_multiplier_is_described_inline() {
        let circuit = evoapprox::multiplier("mul8u_17C8").unwrap();
        let other = evoapprox::multiplier("mul8u_R92").unwrap();
        let exact = Multiplier::exact(INT8, INT8);
        let multipliers = [
            circuit.with_name("mine"),
            other.with_name("mul8u_17C8"),
            circuit.with_name("mul8u_17C8:sign-magnitude"),
            circuit.with_name("drum:k=4,bits=8,unsigned"),
            circuit.with_name("exact"),
            circuit.with_name("mul12s_2PS"),
            evoapprox::multiplier("mul16s_HG8")
                .unwrap()
                .with_name("mul16s_HFB"),
            evoapprox::multiplier("mul16s_GQV").unwrap().swapped(),
            circuit.with_hardware(HardwareFigures::new("7 nm")),
            circuit.swapped(),
            exact.with_name("reference"),
            Multiplier::from_htp(evoapprox::htp("mul8s_1KV8").unwrap()).with_name("mul8s_1KV9"),
        ];
        for multiplier in multipliers {
            let source = MultiplierSource::describe(&multiplier);
            assert_eq!(source, MultiplierSource::Inline(multiplier.clone()));
            let json = serde_json::to_string(&source).unwrap();
            let read: MultiplierSource = serde_json::from_str(&json).unwrap();
            assert_eq!(read.resolve().unwrap(), multiplier);
        }
    }
}
