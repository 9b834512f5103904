//! What can be wrong with a function that is run.

use std::fmt;
use std::process::ExitStatus;

use super::ExecutionLimits;
use crate::MultiplierError;

/// Everything that can go wrong when a function is compiled and run, or a program is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// There is no compiler.
    #[error(
        "there is no compiler `{compiler}`: install one (Debian: gcc, for C++ g++), or name yours in the environment \
         variable {variable}"
    )]
    NoCompiler {
        /// What it would be called.
        compiler: String,
        /// Where another one can be named.
        variable: &'static str,
    },

    /// The compiler does not take a file.
    #[error("{compiler} does not compile it: {problem}")]
    NotCompiled {
        /// Which compiler, and which version.
        compiler: String,
        /// What it says.
        problem: String,
    },

    /// A program cannot be started.
    #[error("`{program}` cannot be started: {problem}")]
    NotStarted {
        /// The program.
        program: String,
        /// What the system says.
        problem: String,
    },

    /// A program did not end in time.
    #[error(
        "it was stopped after {} s, with {answered} of {asked} products: give it more time, unless it never \
         ends{remark}",
        limits.time.as_secs_f64()
    )]
    OutOfTime {
        /// How many products it has given.
        answered: u64,
        /// How many it was asked for.
        asked: u64,
        /// What it may take.
        limits: ExecutionLimits,
        /// What it said.
        remark: Remark,
    },

    /// A program ended before it had given all products, or not well.
    #[error(
        "it ended ({status}) after {answered} of {asked} products{}: it must answer every pair of operands and then end \
         well, within {limits}{remark}",
        at(*operands)
    )]
    Ended {
        /// How.
        status: ExitStatus,
        /// How many products it has given.
        answered: u64,
        /// How many it was asked for.
        asked: u64,
        /// The operands that it has ended at, if that is known.
        operands: Option<[i64; 2]>,
        /// What it may take.
        limits: ExecutionLimits,
        /// What it said.
        remark: Remark,
    },

    /// A program gave something else than a product.
    #[error(
        "its answer to {} {} is {found:?}, expected a whole number of up to 64 bits in decimal, alone in its \
         line{remark}",
        operands[0], operands[1]
    )]
    NotAProduct {
        /// The operands that it was to answer.
        operands: [i64; 2],
        /// What it answered.
        found: String,
        /// What it said.
        remark: Remark,
    },

    /// A program gave more than it was asked for.
    #[error(
        "it goes on with {found:?} after its answers to all {asked} pairs of operands, expected nothing more{remark}"
    )]
    TooManyProducts {
        /// How many products it was asked for.
        asked: u64,
        /// What it went on with.
        found: String,
        /// What it said.
        remark: Remark,
    },

    /// A product is far too large for the operands.
    #[error("its answer to {} {} is {product}, expected a product of up to {bits} bits", operands[0], operands[1])]
    ProductTooLarge {
        /// The operands.
        operands: [i64; 2],
        /// The product.
        product: i128,
        /// How many bits it may have.
        bits: usize,
    },

    /// What a program computes depends on more than the operands.
    #[error(
        "its answers to {} {} are {} and {}: the product of a multiplier depends on its operands alone, not on what was \
         computed before or on chance",
        operands[0], operands[1], products[0], products[1]
    )]
    Contradiction {
        /// The operands.
        operands: [i64; 2],
        /// The two products.
        products: [i64; 2],
    },

    /// A function is too large for a table, and has no factors.
    #[error(
        "{source}; a function that is run, of more than {} bits of both operands, is known by its factors alone: bring its \
         circuit, in Verilog, BLIF, or C without branches and loops",
        crate::MAX_INDEX_BITS
    )]
    NoFactors {
        /// Why it has none.
        source: Box<MultiplierError>,
    },
}

fn at(operands: Option<[i64; 2]>) -> String {
    operands.map_or(String::new(), |[a, b]| {
        format!(", at the operands {a} and {b}")
    })
}

/// The end of what a program wrote to its standard error, as what is put behind a sentence.
///
/// ```
/// use approx_multiplier::import::Remark;
///
/// assert_eq!(Remark::default().to_string(), "");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remark(Option<String>);

/// The most lines of it, and the most characters.
const LINES: usize = 4;
const CHARACTERS: usize = 400;

impl Remark {
    /// The last lines of a text.
    pub(super) fn of(text: &str) -> Self {
        let lines = text.lines().map(str::trim_end);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join(" | ");
        let superfluous = last.chars().count().saturating_sub(CHARACTERS);
        let last: String = last.chars().skip(superfluous).collect();
        Self(Some(last).filter(|last| !last.is_empty()))
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(text) => write!(f, "; it says: {text}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_quoted() {
        assert!(Remark::of("\n \n").is_empty());
        let text: String = (0..9).map(|line| format!("line {line}\r\n\n")).collect();
        assert_eq!(
            Remark::of(&text).to_string(),
            "; it says: line 5 | line 6 | line 7 | line 8"
        );
        let long = Remark::of(&"\u{e9}".repeat(5000)).to_string();
        assert_eq!(long.chars().filter(|&c| c == '\u{e9}').count(), CHARACTERS);
    }
}
