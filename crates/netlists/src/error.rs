//! What can be wrong with the text of a netlist: where, what was found, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

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
    ///
    /// ```
    /// use approx_netlists::Position;
    ///
    /// assert_eq!(Position::of("one\ntwo", 5), Position { line: 2, column: 2 });
    /// ```
    pub fn of(text: &str, offset: usize) -> Self {
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

/// Where reading failed: in which file, if the input was one, and where in it, if that can be said.
///
/// ```
/// use approx_netlists::{Location, Position};
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

/// Everything that can be wrong with a text that should hold a netlist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetlistError {
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

    /// The text, or what it describes, is larger than the limits allow.
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

    /// A net that an output depends on has no driver.
    #[error("{location}: nothing drives {net}, which an output depends on")]
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

    /// Neither the text nor the options say which of several circuits is meant.
    #[error("{location}: {missing}: {remedy}")]
    Undetermined {
        /// The file, or what in it is meant.
        location: Location,
        /// What is not known.
        missing: String,
        /// How to say it.
        remedy: String,
    },

    /// A circuit has more inputs or outputs than a number with a bit for each of them can hold.
    #[error(
        "{inputs} inputs and {outputs} outputs: a circuit of at most 64 of each can be evaluated"
    )]
    TooManyPorts {
        /// Bits of the inputs.
        inputs: usize,
        /// Bits of the outputs.
        outputs: usize,
    },
}

impl NetlistError {
    /// The error with the name of the file that was read, where it does not have one yet.
    ///
    /// ```
    /// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
    ///
    /// let error = Netlist::parse("modul", NetlistFormat::Verilog, &NetlistOptions::default()).unwrap_err();
    /// let error = error.in_file("a.v".as_ref());
    /// assert_eq!(error.to_string(), "a.v:1:1: found \"modul\", expected \"module\"");
    /// ```
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        if let Some(location) = self.location_mut() {
            location.file.get_or_insert_with(|| path.to_owned());
        }
        self
    }

    /// Where the text is wrong; `None` for [`TooManyPorts`](Self::TooManyPorts), which is no error of a text.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::TooManyPorts { .. } => None,
            Self::Unexpected { location, .. }
            | Self::TooLarge { location, .. }
            | Self::UndrivenNet { location, .. }
            | Self::DrivenTwice { location, .. }
            | Self::CombinationalLoop { location, .. }
            | Self::Undetermined { location, .. } => Some(location),
        }
    }

    pub(crate) fn location_mut(&mut self) -> Option<&mut Location> {
        match self {
            Self::TooManyPorts { .. } => None,
            Self::Unexpected { location, .. }
            | Self::TooLarge { location, .. }
            | Self::UndrivenNet { location, .. }
            | Self::DrivenTwice { location, .. }
            | Self::CombinationalLoop { location, .. }
            | Self::Undetermined { location, .. } => Some(location),
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
        let error = NetlistError::Unexpected {
            location: Position { line: 1, column: 2 }.into(),
            found: "\"x\"".into(),
            expected: "a name".into(),
        };
        let error = error.in_file(Path::new("a.v")).in_file(Path::new("b.v"));
        assert_eq!(error.to_string(), "a.v:1:2: found \"x\", expected a name");
    }
}
