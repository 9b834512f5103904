//! Sources as texts: on a command line, or in place of an object in a configuration.

use std::fmt;
use std::str::FromStr;

use super::multiplier_source::MultiplierSource;
use crate::import::FileKind;
use crate::multiplier::{SIGN_MAGNITUDE_SUFFIX, SWAPPED_SUFFIX};
use crate::{MultiplierError, MultiplierFamily, OperandFormat, evoapprox};

/// What the command line names programs with. A source may come from anybody's file, and is no reason to run one.
const EXECUTED: &str = "exec:";

/// Splits the mark of sign-magnitude use off a text.
pub(super) fn without_sign_magnitude(text: &str) -> (&str, bool) {
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

        if text.starts_with(EXECUTED) {
            return Err(MultiplierError::InvalidSource {
                reason: format!(
                    "{text:?}: a program is run only where a command line names it, never because a file does: import what \
                     it computes into a file, and name that"
                ),
            });
        }
        let (rest, sign_magnitude) = without_sign_magnitude(text);
        let (file, swap_operands) = match rest.strip_suffix(SWAPPED_SUFFIX) {
            Some(file) => (file, true),
            None => (rest, false),
        };
        if let Some((path, formats)) = split_path(file) {
            let formats = formats.map(parse_formats).transpose()?;
            // What a .npy array does not say is 8 bits, signed, as it is for the exact multiplier.
            let is_npy = path.ends_with(".npy") && !swap_operands;
            let formats = formats.or(is_npy.then_some((INT8, INT8)));
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
            MultiplierFamily::NAMES.contains(&name) && (name != "exact" || settings.contains('='))
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
