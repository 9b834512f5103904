//! Functions that are run, because nobody here can read them: those of C and C++ that a compiler of the system makes a
//! program of ([`source`]), and programs that are there already. Nothing is run unless the caller says so.
//!
//! A [`program`] gets pairs of operands and gives products, and what it is as a multiplier comes out of that as for a
//! circuit: a table, or factors.

mod compiler;
mod error;
mod function;
mod program;
mod source;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use approx_netlists::{Location, Port};

pub(super) use self::compiler::Language;
pub use self::error::{ExecutionError, Remark};
use self::function::Callable;
use self::program::Program;
pub(super) use self::source::{no_circuit, read};
use super::circuit;
use super::{ImportError, ImportOptions, Imported, Note};
use crate::Signedness;

/// Whether files that cannot be read otherwise are compiled and run. What they do then, they do with the rights of whoever
/// reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// Never: what takes a compiler to understand is an error.
    #[default]
    Never,
    /// Files in C and C++ are compiled and run.
    Compile,
}

/// What a function that is run may take, over all of its products.
///
/// ```
/// use approx_multiplier::import::ExecutionLimits;
///
/// assert_eq!(ExecutionLimits::default().to_string(), "60 s and 2 GiB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionLimits {
    /// How long it may take: a minute unless told otherwise.
    pub time: Duration,
    /// How much memory it may have, in bytes of addresses: 2 GiB unless told otherwise. Not every system knows such a
    /// limit.
    pub memory: u64,
}

impl Default for ExecutionLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            memory: 2 << 30,
        }
    }
}

impl fmt::Display for ExecutionLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory as f64 / (1u64 << 30) as f64;
        write!(f, "{} s and {memory} GiB", self.time.as_secs_f64())
    }
}

/// Reads the multiplier that a program computes: its first word is the program, the others are what it is told. It is
/// started as it is, without a shell, with the rights of the caller.
///
/// It gets pairs of operands from its standard input, a line for each with two whole numbers in decimal, and writes the
/// products to its standard output in the same order, a line for each with one number. It may answer as it reads or at
/// the end of its input, which comes. It may be started several times. Operands are as the options say, which must give
/// their bits and their signedness. What it writes to its standard error is left out, and quoted where something is wrong.
///
/// ```
/// use approx_multiplier::import::{self, ImportOptions};
/// use approx_multiplier::OperandFormat;
///
/// # if cfg!(not(unix)) { return Ok(()) }
/// let uint4 = OperandFormat::unsigned(4)?;
/// let options = ImportOptions::default().with_formats(uint4, uint4);
/// let imported = import::program(&["awk", "{ print $1 * $2 }"], &options)?;
/// assert_eq!(imported.multiplier.product(15, 15), Some(225));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ImportError::Undetermined`] if the options do not give the bits and the signedness, [`ImportError::Execution`] if the
/// program cannot be started, does not answer as it should, or takes more than its [limits](ExecutionLimits), or if it is
/// too large for a table and has no factors, and [`ImportError::Multiplier`] if a product does not fit in 32 bits.
pub fn program(
    words: &[impl AsRef<OsStr>],
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).collect();
    let shown: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let location = Location {
        file: Some(PathBuf::from(format!("`{}`", shown.join(" ")))),
        position: None,
    };
    let undetermined = |missing: &str, remedy: &str| ImportError::Undetermined {
        location: location.clone(),
        missing: missing.into(),
        remedy: remedy.into(),
    };
    let name = name(&words).ok_or_else(|| {
        undetermined(
            "it is not known which program is meant",
            "give its name, and then what it is told",
        )
    })?;
    let bits = options.bits.ok_or_else(|| {
        undetermined(
            "a program does not say how many bits its operands have",
            "give the bits",
        )
    })?;
    let signedness = options.signedness.ok_or_else(|| {
        undetermined(
            "a program does not say whether its operands are signed",
            "give the signedness",
        )
    })?;
    let port = |name: &str, bits: u8, signedness| {
        let mut port = Port::new(name, bits.into());
        port.signed = signedness == Signedness::Signed;
        port
    };
    let [first_bits, second_bits] = circuit::ordered(bits, options);
    let [first, second] = circuit::ordered(signedness, options);
    let mut answer = Port::new("the answer", 64);
    answer.signed = true;
    let callable = Callable {
        program: Rc::new(Program::new(&words, None, options.execution_limits)),
        name,
        location,
        inputs: vec![port("a", first_bits, first), port("b", second_bits, second)],
        outputs: vec![answer],
    };
    let note = Note::information("The program was run: its products are those that it answered.");
    callable.read("", vec![note], options)
}

/// What a multiplier is called that a program computes: as the last word is that is a file, such as a script, else as the
/// program.
fn name(words: &[&OsStr]) -> Option<String> {
    let file = words.iter().rev().find(|word| Path::new(word).is_file());
    let named = Path::new(file.or(words.first())?);
    let stem = named.file_stem().unwrap_or(named.as_os_str());
    Some(stem.to_string_lossy().into_owned()).filter(|name| !name.is_empty())
}

impl Callable {
    /// Reads the multiplier that it computes, with what is said besides.
    fn read(
        &self,
        text: &str,
        notes: Vec<Note>,
        options: &ImportOptions,
    ) -> Result<Imported, ImportError> {
        let mut imported = circuit::of_subject(self, text, notes, options)
            .map_err(|error| error.at(&self.location))?;
        if let Some(remark) = self.program.remark() {
            let note = format!("It also wrote to standard error, which was left out{remark}.");
            imported.notes.push(Note::information(note));
        }
        Ok(imported)
    }
}
