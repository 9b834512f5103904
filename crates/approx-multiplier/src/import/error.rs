//! What can be wrong with a file that is imported: where, what was found, and what would be right.

use std::io;
use std::path::{Path, PathBuf};

use approx_netlists::{Location, NetlistError};

use super::yosys::INSTALLING;
use super::{ExecutionError, Note};
use crate::MultiplierError;

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

    /// A circuit could not be read, or a C header or table in Verilog, which are read token by token as circuits are.
    #[error(transparent)]
    Netlist(#[from] NetlistError),

    /// A circuit in Verilog is more than a plain netlist, and Yosys is not there to make one of it.
    #[error("{source}; Yosys would read more of Verilog, and is not installed: it is {INSTALLING}")]
    NeedsYosys {
        /// What is beyond a plain netlist.
        source: NetlistError,
    },

    /// Yosys makes no netlist of a circuit.
    #[error("{location}: {problem}")]
    Synthesis {
        /// The file.
        location: Location,
        /// What it says.
        problem: String,
    },

    /// A function is more than our own reader of C knows, or in another language: a compiler would understand it, which
    /// is asked for by [`Execution::Compile`](super::Execution::Compile).
    #[error("{source}; compiled and run, it could be read all the same, which has to be asked for")]
    NeedsExecution {
        /// What is beyond what can be read.
        source: NetlistError,
    },

    /// A function that was compiled and run, or a program, does not give the products of a multiplier.
    #[error("{location}: {source}")]
    Execution {
        /// The file, or the program.
        location: Location,
        /// What is wrong.
        source: Box<ExecutionError>,
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

    /// A strict import had to assume something, or what was read is not what the file says.
    #[error("{location}: {}", doubts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))]
    InDoubt {
        /// The file.
        location: Location,
        /// All that is no mere information.
        doubts: Vec<Note>,
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
        if let Self::Netlist(error) = self {
            return Self::Netlist(error.in_file(path));
        }
        if let Self::NeedsYosys { source } = self {
            let source = source.in_file(path);
            return Self::NeedsYosys { source };
        }
        if let Self::NeedsExecution { source } = self {
            let source = source.in_file(path);
            return Self::NeedsExecution { source };
        }
        if let Some(location) = self.location_mut() {
            location.file.get_or_insert_with(|| path.to_owned());
        }
        self
    }

    /// The error at a place, where it does not have one yet.
    pub(super) fn at(mut self, place: &Location) -> Self {
        match self.location_mut() {
            Some(location) if *location == Location::default() => *location = place.clone(),
            _ => {}
        }
        self
    }

    /// Where the input is wrong; `None` if it could not be read at all.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Io { .. } => None,
            Self::Netlist(error)
            | Self::NeedsYosys { source: error }
            | Self::NeedsExecution { source: error } => error.location(),
            Self::Unexpected { location, .. }
            | Self::Synthesis { location, .. }
            | Self::Execution { location, .. }
            | Self::TooLarge { location, .. }
            | Self::NotAMultiplier { location, .. }
            | Self::Undetermined { location, .. }
            | Self::InDoubt { location, .. }
            | Self::Multiplier { location, .. } => Some(location),
        }
    }

    fn location_mut(&mut self) -> Option<&mut Location> {
        match self {
            Self::Io { .. }
            | Self::Netlist(_)
            | Self::NeedsYosys { .. }
            | Self::NeedsExecution { .. } => None,
            Self::Unexpected { location, .. }
            | Self::Synthesis { location, .. }
            | Self::Execution { location, .. }
            | Self::TooLarge { location, .. }
            | Self::NotAMultiplier { location, .. }
            | Self::Undetermined { location, .. }
            | Self::InDoubt { location, .. }
            | Self::Multiplier { location, .. } => Some(location),
        }
    }
}

impl From<ExecutionError> for ImportError {
    fn from(source: ExecutionError) -> Self {
        Self::Execution {
            location: Location::default(),
            source: Box::new(source),
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
    use approx_netlists::Position;

    use super::*;

    #[test]
    fn the_file_is_added_once() {
        let location = Location::from(Position { line: 1, column: 2 });
        let (found, expected) = ("\"x\"".to_owned(), "a name".to_owned());
        let own = ImportError::Unexpected {
            location: location.clone(),
            found: found.clone(),
            expected: expected.clone(),
        };
        let wrapped = ImportError::Netlist(NetlistError::Unexpected {
            location,
            found,
            expected,
        });
        for error in [own, wrapped] {
            let error = error.in_file(Path::new("a.v")).in_file(Path::new("b.v"));
            assert_eq!(error.to_string(), "a.v:1:2: found \"x\", expected a name");
            assert_eq!(error.location().unwrap().file, Some("a.v".into()));
        }
    }
}
