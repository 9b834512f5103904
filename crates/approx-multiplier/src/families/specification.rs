//! Families as texts: `drum:k=6,bits=8,signed`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::MultiplierFamily;
use crate::{Multiplier, MultiplierError, OperandFormat, Signedness};

/// A member of a family: the family with its parameters, and the operand formats.
///
/// As text ([`FromStr`], and what is serialised) it is `NAME:KEY=VALUE,...`: the family's name and parameters as listed
/// under [`MultiplierFamily`], then the formats, `bits=8,signed` or `bits=8,unsigned` for both operands,
/// `activation=uint8,weight=int4` for each of them. What is left out of them is 8 bits and signed; the text without
/// either has no colon.
///
/// ```
/// use approx_multiplier::{MultiplierFamily, FamilySpecification, OperandFormat};
///
/// let specification: FamilySpecification = "drum:k=6,bits=8,signed".parse()?;
/// assert_eq!(specification.family, MultiplierFamily::Drum { k: 6 });
/// assert_eq!(specification.activation, OperandFormat::INT8);
/// assert_eq!(specification.to_string(), "drum:k=6,bits=8,signed");
/// assert_eq!(specification.multiplier()?.name(), "drum:k=6,bits=8,signed");
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FamilySpecification {
    /// The family, with its parameters.
    pub family: MultiplierFamily,
    /// Format of the activation.
    pub activation: OperandFormat,
    /// Format of the weight.
    pub weight: OperandFormat,
}

impl FamilySpecification {
    /// The multiplier, as [`MultiplierFamily::multiplier`] gives it.
    ///
    /// # Errors
    ///
    /// As for [`MultiplierFamily::multiplier`].
    pub fn multiplier(&self) -> Result<Multiplier, MultiplierError> {
        self.family.multiplier(self.activation, self.weight)
    }
}

impl MultiplierFamily {
    /// Every family's name, as texts begin with it.
    pub const NAMES: [&'static str; 8] = [
        "exact",
        "truncated",
        "broken-array",
        "lower-or",
        "drum",
        "mitchell",
        "truncated-mitchell",
        "roba",
    ];

    /// The family's name, one of [`NAMES`](Self::NAMES).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Truncated { .. } => "truncated",
            Self::BrokenArray { .. } => "broken-array",
            Self::LowerOr { .. } => "lower-or",
            Self::Drum { .. } => "drum",
            Self::Mitchell => "mitchell",
            Self::TruncatedMitchell { .. } => "truncated-mitchell",
            Self::Roba => "roba",
        }
    }

    /// The parameters' names and values, in the order in which they are written.
    fn parameters(self) -> Vec<(&'static str, u8)> {
        match self {
            Self::Exact | Self::Mitchell | Self::Roba => vec![],
            Self::Truncated { columns } | Self::LowerOr { columns } => vec![("columns", columns)],
            Self::BrokenArray {
                horizontal,
                vertical,
            } => vec![("horizontal", horizontal), ("vertical", vertical)],
            Self::Drum { k } => vec![("k", k)],
            Self::TruncatedMitchell { fraction_bits } => vec![("fraction-bits", fraction_bits)],
        }
    }
}

/// The settings of a text, each of which must be used once.
struct Settings<'a> {
    text: &'a str,
    settings: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Settings<'a> {
    fn invalid(&self, reason: String) -> MultiplierError {
        MultiplierError::InvalidFamily {
            text: self.text.into(),
            reason,
        }
    }

    /// Takes all settings of a name, which may be only one.
    fn take(&mut self, key: &str) -> Result<Option<Option<&'a str>>, MultiplierError> {
        let mut found = self.settings.extract_if(.., |setting| setting.0 == key);
        let first = found.next().map(|setting| setting.1);
        let repeated = found.next().is_some();
        drop(found);
        if repeated {
            return Err(self.invalid(format!("{key} is given twice")));
        }
        Ok(first)
    }

    /// A setting without a value.
    fn flag(&mut self, key: &str) -> Result<bool, MultiplierError> {
        match self.take(key)? {
            Some(Some(_)) => Err(self.invalid(format!("{key} has a value: write {key} alone"))),
            found => Ok(found.is_some()),
        }
    }

    fn value<T: FromStr>(
        &mut self,
        key: &str,
        meaning: &str,
    ) -> Result<Option<T>, MultiplierError> {
        self.take(key)?
            .map(|value| {
                value.and_then(|value| value.parse().ok()).ok_or_else(|| {
                    self.invalid(format!("{key} must be {meaning}: write {key}=..."))
                })
            })
            .transpose()
    }

    fn parameter(&mut self, key: &str) -> Result<u8, MultiplierError> {
        self.value(key, "a whole number from 0 to 255")?
            .ok_or_else(|| self.invalid(format!("{key}=... is missing")))
    }

    fn formats(&mut self) -> Result<(OperandFormat, OperandFormat), MultiplierError> {
        let bits: Option<u8> = self.value("bits", "a number from 2 to 16")?;
        let signedness = match (self.flag("signed")?, self.flag("unsigned")?) {
            (true, true) => return Err(self.invalid("it is both signed and unsigned".into())),
            (true, false) => Some(Signedness::Signed),
            (false, true) => Some(Signedness::Unsigned),
            (false, false) => None,
        };
        let meaning = "an operand format such as int8 or uint8";
        let activation: Option<OperandFormat> = self.value("activation", meaning)?;
        let weight: Option<OperandFormat> = self.value("weight", meaning)?;
        if (activation.is_some() || weight.is_some()) && (bits.is_some() || signedness.is_some()) {
            return Err(self.invalid(
                "either bits and signed or unsigned describe both operands, or activation and weight each of them".into(),
            ));
        }
        let both = OperandFormat::new(bits.unwrap_or(8), signedness.unwrap_or(Signedness::Signed))?;
        Ok((activation.unwrap_or(both), weight.unwrap_or(both)))
    }
}

impl FromStr for FamilySpecification {
    type Err = MultiplierError;

    fn from_str(text: &str) -> Result<Self, MultiplierError> {
        let (name, settings) = match text.split_once(':') {
            Some((name, settings)) => (
                name,
                settings
                    .split(',')
                    .map(|setting| match setting.split_once('=') {
                        Some((key, value)) => (key, Some(value)),
                        None => (setting, None),
                    })
                    .collect(),
            ),
            None => (text, vec![]),
        };
        let mut settings = Settings { text, settings };
        let family = match name {
            "exact" => MultiplierFamily::Exact,
            "truncated" => MultiplierFamily::Truncated {
                columns: settings.parameter("columns")?,
            },
            "broken-array" => MultiplierFamily::BrokenArray {
                horizontal: settings.parameter("horizontal")?,
                vertical: settings.parameter("vertical")?,
            },
            "lower-or" => MultiplierFamily::LowerOr {
                columns: settings.parameter("columns")?,
            },
            "drum" => MultiplierFamily::Drum {
                k: settings.parameter("k")?,
            },
            "mitchell" => MultiplierFamily::Mitchell,
            "truncated-mitchell" => MultiplierFamily::TruncatedMitchell {
                fraction_bits: settings.parameter("fraction-bits")?,
            },
            "roba" => MultiplierFamily::Roba,
            _ => {
                return Err(settings.invalid(format!(
                    "there is no family {name:?}; there are {}",
                    MultiplierFamily::NAMES.join(", ")
                )));
            }
        };
        let (activation, weight) = settings.formats()?;
        if let Some((unknown, _)) = settings.settings.first() {
            return Err(settings.invalid(format!("{name} has no setting {unknown:?}")));
        }
        family.check(activation, weight)?;
        Ok(Self {
            family,
            activation,
            weight,
        })
    }
}

impl fmt::Display for FamilySpecification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.family.name())?;
        for (key, value) in self.family.parameters() {
            write!(f, "{key}={value},")?;
        }
        if self.activation == self.weight {
            write!(
                f,
                "bits={},{}",
                self.weight.bits(),
                self.weight.signedness()
            )
        } else {
            write!(
                f,
                "activation={},weight={}",
                self.activation.type_name(),
                self.weight.type_name()
            )
        }
    }
}

impl Serialize for FamilySpecification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FamilySpecification {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("exact:bits=16,unsigned")]
    #[case("truncated:columns=4,bits=8,signed")]
    #[case("broken-array:horizontal=1,vertical=4,bits=12,unsigned")]
    #[case("lower-or:columns=5,bits=8,signed")]
    #[case("drum:k=6,activation=uint8,weight=int4")]
    #[case("mitchell:bits=9,unsigned")]
    #[case("truncated-mitchell:fraction-bits=3,bits=8,unsigned")]
    #[case("roba:bits=2,signed")]
    fn texts_are_written_as_they_are_read(#[case] text: &str) {
        let specification: FamilySpecification = text.parse().unwrap();
        assert_eq!(specification.to_string(), text);
        assert!(MultiplierFamily::NAMES.contains(&specification.family.name()));
        let json = serde_json::to_string(&specification).unwrap();
        assert_eq!(
            serde_json::from_str::<FamilySpecification>(&json).unwrap(),
            specification
        );
        assert_eq!(
            specification.multiplier().unwrap().activation(),
            specification.activation
        );
    }

    #[rstest]
    #[case("roba", "roba:bits=8,signed")]
    #[case("roba:unsigned", "roba:bits=8,unsigned")]
    #[case("roba:unsigned,bits=5", "roba:bits=5,unsigned")]
    #[case("roba:weight=uint8", "roba:activation=int8,weight=uint8")]
    #[case("drum:bits=5,k=4", "drum:k=4,bits=5,signed")]
    fn what_is_left_out_is_8_bits_signed(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(
            text.parse::<FamilySpecification>().unwrap().to_string(),
            expected
        );
    }

    #[rstest]
    #[case("", "no family")]
    #[case("drums:k=3", "truncated-mitchell")]
    #[case("drum", "k=... is missing")]
    #[case("drum:k", "must be a whole number")]
    #[case("drum:k=-1", "from 0 to 255")]
    #[case("drum:k=300", "from 0 to 255")]
    #[case("drum:k=1", "2 to 16")]
    #[case("drum:k=3,k=4", "twice")]
    #[case("drum:k=3,columns=4", "no setting \"columns\"")]
    #[case("drum:k=3,", "no setting \"\"")]
    #[case("roba:signed,unsigned", "both")]
    #[case("roba:signed=1", "alone")]
    #[case("roba:bits=17", "17 bits")]
    #[case("roba:bits=8,weight=int8", "either")]
    #[case("roba:weight=float8", "operand format")]
    #[case("truncated:columns=16", "0 to 15")]
    fn other_texts_are_refused(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<FamilySpecification>().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
