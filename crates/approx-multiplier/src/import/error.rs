//! What can be wrong with a file that is imported: where, what was found, and what would be right.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::MultiplierError;

/// A place in a text: line and column, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Position {
    /// The position of the byte at `offset` in `text`, or of its end if the text is shorter.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        // Every character has one byte that is not the continuation of another.
        let characters = before[line_start..]
            .iter()
            .filter(|&&byte| byte & 0xC0 != 0x80)
            .count();
        Self {
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            column: 1 + characters,
        }
    }
}

/// Where an import failed: in which file, if the input was one, and where in it, if that can be said.
///
/// ```
/// use approx_multiplier::import::{Location, Position};
///
/// let position = Position { line: 12, column: 3 };
/// let location = Location { file: Some("mul.v".into()), position: Some(position) };
/// assert_eq!(location.to_string(), "mul.v:12:3");
/// assert_eq!(Location::from(position).to_string(), "line 12, column 3");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Location {
    /// The file, unless the input was a text.
    pub file: Option<PathBuf>,
    /// The place in it, unless the whole of it is meant.
    pub position: Option<Position>,
}

impl From<Position> for Location {
    fn from(position: Position) -> Self {
        Self {
            file: None,
            position: Some(position),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.position) {
            (Some(file), Some(Position { line, column })) => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            (Some(file), None) => write!(f, "{}", file.display()),
            (None, Some(Position { line, column })) => write!(f, "line {line}, column {column}"),
            (None, None) => f.write_str("the input"),
        }
    }
}

/// Everything that can be wrong with an input that should hold a multiplier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// The text is not what its format asks for at this place, or is outside the part of the format that can be read.
    #[error("{location}: found {found}, expected {expected}")]
    Unexpected {
        /// Where it is.
        location: Location,
        /// What is there.
        found: String,
        /// What would be right there.
        expected: String,
    },

    /// The input, or what it describes, is larger than the limits allow.
    #[error("{location}: {what}: {found}, and at most {limit} are allowed")]
    TooLarge {
        /// Where the limit was passed.
        location: Location,
        /// What there is too much of, as a plural: "bytes", "gates and nets".
        what: &'static str,
        /// How many there are, or how many there were when reading stopped.
        found: u64,
        /// How many there may be.
        limit: u64,
    },

    /// A net that the product depends on has no driver.
    #[error("{location}: nothing drives {net}, which the product depends on")]
    UndrivenNet {
        /// Where the net is declared, or first used.
        location: Location,
        /// The net.
        net: String,
    },

    /// A net has two drivers.
    #[error("{location}: {net} already has a driver: a net must have exactly one")]
    DrivenTwice {
        /// Where the second driver is.
        location: Location,
        /// The net.
        net: String,
    },

    /// A net depends on itself.
    #[error("{location}: a combinational loop through {}: no net may depend on itself", nets.join(", "))]
    CombinationalLoop {
        /// Where the first of the nets is declared.
        location: Location,
        /// Nets of the loop, at most eight of them.
        nets: Vec<String>,
    },

    /// The circuit is not one of two operands and a product.
    #[error("{location}: {found}: a multiplier has {expected}")]
    NotAMultiplier {
        /// The module, model or function.
        location: Location,
        /// Which inputs and outputs it has.
        found: String,
        /// Which it should have.
        expected: String,
    },

    /// Neither the input nor the options say what is needed to read it.
    #[error("{location}: {missing}: {remedy}")]
    Undetermined {
        /// The file, or what in it is meant.
        location: Location,
        /// What is not known.
        missing: String,
        /// How to say it.
        remedy: String,
    },

    /// What was read cannot be a multiplier here: an operand width, a product out of range, a rank that is too high.
    #[error("{location}: {source}")]
    Multiplier {
        /// The file.
        location: Location,
        /// What is wrong.
        source: Box<MultiplierError>,
    },
}

impl ImportError {
    /// The error with the name of the file that was read, where it does not have one yet.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        if let Some(location) = self.location_mut() {
            location.file.get_or_insert_with(|| path.to_owned());
        }
        self
    }

    /// Where the input is wrong; `None` if it could not be read at all.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Io { .. } => None,
            Self::Unexpected { location, .. }
            | Self::TooLarge { location, .. }
            | Self::UndrivenNet { location, .. }
            | Self::DrivenTwice { location, .. }
            | Self::CombinationalLoop { location, .. }
            | Self::NotAMultiplier { location, .. }
            | Self::Undetermined { location, .. }
            | Self::Multiplier { location, .. } => Some(location),
        }
    }

    fn location_mut(&mut self) -> Option<&mut Location> {
        match self {
            Self::Io { .. } => None,
            Self::Unexpected { location, .. }
            | Self::TooLarge { location, .. }
            | Self::UndrivenNet { location, .. }
            | Self::DrivenTwice { location, .. }
            | Self::CombinationalLoop { location, .. }
            | Self::NotAMultiplier { location, .. }
            | Self::Undetermined { location, .. }
            | Self::Multiplier { location, .. } => Some(location),
        }
    }
}

impl From<MultiplierError> for ImportError {
    fn from(source: MultiplierError) -> Self {
        Self::Multiplier {
            location: Location::default(),
            source: Box::new(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let text = "ab\ncé\u{20AC}d";
        let at = |offset| {
            let Position { line, column } = Position::of(text, offset);
            (line, column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 3));
        assert_eq!(at(3), (2, 1));
        assert_eq!(at(text.find('d').unwrap()), (2, 4));
        assert_eq!(at(1000), (2, 5));
    }

    #[test]
    fn the_file_is_added_once() {
        let error = ImportError::Unexpected {
            location: Position { line: 1, column: 2 }.into(),
            found: "\"x\"".into(),
            expected: "a name".into(),
        };
        let error = error.in_file(Path::new("a.v")).in_file(Path::new("b.v"));
        assert_eq!(error.to_string(), "a.v:1:2: found \"x\", expected a name");
    }
}
