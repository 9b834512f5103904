//! Multipliers from files of other tools, and from this project's own.
//!
//! [`read`] takes a file of any kind that [`FileKind`] lists, and [`parse`] its content. Files come from strangers:
//! their size and that of what they describe is bounded before memory is taken, and what is wrong with one is said with
//! the place.
//!
//! Circuits, in C, Verilog or BLIF, are evaluated for all operands, or factorised where these are too many; see
//! [`circuit`].
//!
//! The kinds that hold nothing but numbers do not say everything about a multiplier. What had to be assumed is among
//! the [notes](Imported::notes), to be shown to whoever asked for the file; [`ImportOptions`] say it.
//!
//! ```
//! use approx_multiplier::import::{self, FileKind, ImportOptions};
//! use approx_multiplier::{OperandFormat, Signedness};
//!
//! let text = "0 0 0 0\n0 1 2 3\n0 2 4 6\n0 3 6 8\n";
//! let options = ImportOptions {
//!     signedness: Some([Signedness::Unsigned; 2]),
//!     ..ImportOptions::default()
//! };
//! let imported = import::parse(text.as_bytes(), FileKind::Text, "small", &options)?;
//! assert_eq!(imported.multiplier.activation(), OperandFormat::unsigned(2)?);
//! assert_eq!(imported.multiplier.product(3, 3), Some(8));
//! assert!(imported.notes.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod binary;
mod c_header;
mod case_table;
mod circuit;
mod error;
mod kind;
mod library;
mod npy;
mod own;
mod table;
mod text;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use approx_netlists::{
    CellAreas, Location, NetlistError, NetlistFormat, NetlistLimits, Position,
};
pub use circuit::{CircuitLimits, circuit};
pub use error::ImportError;
pub use kind::FileKind;
pub(crate) use own::write as write_own;
pub(crate) use table::formats_comment;

pub use crate::table::npy::npy_header;
use crate::{Multiplier, OperandFormat, Signedness};

/// What an input does not say itself, and how much of it to take. What is given goes before what the input says, except
/// for a file of this project, which says everything.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// Whether the codes of activation and weight are signed. If not given: what the input says, else what a name such
    /// as `mul8u_` or `mul8s_` says, else signed.
    pub signedness: Option<[Signedness; 2]>,
    /// The bits of activation and weight. If not given: as many as the input's size asks for.
    pub bits: Option<[u8; 2]>,
    /// Whether the input's first operand, which selects the rows of a table, is the weight.
    pub swap_operands: bool,
    /// The kind of the input. If not given, [`read`] goes by the file's name and content.
    pub kind: Option<FileKind>,
    /// The module, model or function of a netlist that is meant. If not given: the only one that no other one uses.
    pub top: Option<String>,
    /// The areas of the standard cells that a netlist in Verilog is made of: their sum is taken as its area, in the place of
    /// figures in its comments. Files of other kinds say nothing of cells, and are read as without.
    pub cells: Option<CellAreas>,
    /// The most bytes to read, 2^28 by default: enough for a 12 x 12-bit table of any kind.
    pub max_bytes: u64,
    /// How large a circuit may be.
    pub circuit_limits: CircuitLimits,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            signedness: None,
            bits: None,
            swap_operands: false,
            kind: None,
            top: None,
            cells: None,
            max_bytes: 1 << 28,
            circuit_limits: CircuitLimits::default(),
        }
    }
}

impl ImportOptions {
    /// These options, with other formats for activation and weight.
    #[must_use]
    pub fn with_formats(mut self, activation: OperandFormat, weight: OperandFormat) -> Self {
        self.signedness = Some([activation.signedness(), weight.signedness()]);
        self.bits = Some([activation.bits(), weight.bits()]);
        self
    }
}

/// What was read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The multiplier, under the file's name without its extension, or its own if the file gives one.
    pub multiplier: Multiplier,
    /// What was assumed or should be looked at, in whole sentences. Empty if the file says everything.
    pub notes: Vec<String>,
}

/// Reads a multiplier from a file of any kind.
///
/// ```
/// use approx_multiplier::import::{self, ImportOptions};
/// use approx_multiplier::{evoapprox, export};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("mul8s_1L2J.csv");
/// let multiplier = evoapprox::multiplier("mul8s_1L2J")?;
/// export::write(&multiplier, &path, export::ExportFormat::Csv)?;
/// let imported = import::read(&path, &ImportOptions::default())?;
/// assert_eq!(imported.multiplier.hash(), multiplier.hash());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ImportError::Io`] if the file cannot be read, [`ImportError::Undetermined`] if its kind is not known, and as for
/// [`parse`]. Every error but the first names the file.
pub fn read(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported, ImportError> {
    let path = path.as_ref();
    let name = path
        .file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    bytes(path, options)
        .and_then(|bytes| {
            let kind = match options.kind {
                Some(kind) => kind,
                None => FileKind::detect(path, &bytes)?,
            };
            parse(&bytes, kind, &name, options)
        })
        .map_err(|error| error.in_file(path))
}

/// The content of a file that is not too large.
fn bytes(path: &Path, options: &ImportOptions) -> Result<Vec<u8>, ImportError> {
    let io_error = |source| ImportError::Io {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(io_error)?;
    let size = file.metadata().map_err(io_error)?.len();
    check_size(size, options)?;
    // What is read may be longer than a pipe or a growing file announces.
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(options.max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io_error)?;
    Ok(bytes)
}

/// Reads a multiplier from the content of a file, of the kind that is given here whatever the options say. `name`
/// becomes the multiplier's unless the content has one, as netlists and files of this project do.
///
/// # Errors
///
/// Whatever [`ImportError`] lists but [`ImportError::Io`]: what is wrong with the content, and where.
pub fn parse(
    bytes: &[u8],
    kind: FileKind,
    name: &str,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    check_size(bytes.len() as u64, options)?;
    match kind {
        FileKind::Npy => npy::parse(bytes, name, options),
        FileKind::Text => text::parse(text_of(bytes)?, name, options),
        FileKind::Binary => binary::parse(bytes, name, options),
        FileKind::CHeader => c_header::parse(text_of(bytes)?, name, options),
        FileKind::Own => own::parse(text_of(bytes)?, options),
        FileKind::CSource => circuit(text_of(bytes)?, NetlistFormat::C, options),
        FileKind::Verilog => {
            let text = text_of(bytes)?;
            match case_table::parse(text, name, options) {
                Some(imported) => imported,
                None => circuit(text, NetlistFormat::Verilog, options),
            }
        }
        FileKind::Blif => circuit(text_of(bytes)?, NetlistFormat::Blif, options),
    }
}

fn check_size(bytes: u64, options: &ImportOptions) -> Result<(), ImportError> {
    if bytes <= options.max_bytes {
        return Ok(());
    }
    Err(ImportError::TooLarge {
        location: Location::default(),
        what: "bytes",
        found: bytes,
        limit: options.max_bytes,
    })
}

/// The content as text, without a byte order mark.
fn text_of(bytes: &[u8]) -> Result<&str, ImportError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        ImportError::Unexpected {
            location: Position::of(&valid, valid.len()).into(),
            found: "bytes that are no UTF-8".into(),
            expected: "text".into(),
        }
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
