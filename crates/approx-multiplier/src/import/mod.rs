//! Multipliers from files of other tools, and from this project's own.
//!
//! [`read`] takes a file of any kind that [`FileKind`] lists, and [`parse`] its content. Files come from strangers:
//! their size and that of what they describe is bounded before memory is taken, and what is wrong with one is said with
//! the place.
//!
//! Circuits, in C, Verilog or BLIF, are evaluated for all operands, or factorised where these are too many; see
//! [`circuit`]. So are functions in C and C++ that only a compiler understands, if they may be
//! [compiled and run](Execution), and [programs](program) in any language.
//!
//! Most files do not say everything about a multiplier. Where one leaves something open, such as the order of a table's
//! rows, the usual reading is taken, or another one if that comes ten times nearer to the exact products: if its mean
//! squared error is a tenth or less. What had to be assumed is among the [notes](Imported::notes), to be shown to whoever
//! asked for the file; [`ImportOptions`] say it, and make whatever is in doubt an [error](ImportOptions::strict). Every
//! multiplier that is read is [measured](Imported::metrics), and compared with what the file claims of its errors.
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
//! assert_eq!(imported.metrics.map(|metrics| metrics.wce), Some(1.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod binary;
mod c_header;
mod case_table;
mod circuit;
mod claims;
mod error;
mod execution;
mod kind;
mod known;
mod library;
mod note;
mod npy;
mod own;
mod process;
mod reading;
mod review;
mod table;
mod text;
mod verilog;
mod yosys;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::num::NonZeroU32;
use std::path::Path;

use claims::Claims;
use execution::Language;
use review::review;

pub use approx_netlists::{
    CellLibrary, Location, NetlistError, NetlistFormat, NetlistLimits, Position,
};
pub use circuit::{CircuitLimits, PortNames, SignExtension, circuit};
pub use error::ImportError;
pub use execution::{Execution, ExecutionError, ExecutionLimits, Remark, program};
pub use kind::FileKind;
pub use note::{Note, NoteKind};
pub(crate) use own::write as write_own;
pub use table::CodeOrder;
pub(crate) use table::formats_comment;

pub use self::yosys::Synthesis;
pub use crate::table::npy::npy_header;
use crate::{ErrorMetrics, Multiplier, OperandFormat, Signedness};

/// What an input does not say itself, and how much of it to take. What is given goes before what the input says, except
/// for a file of this project, which says everything.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// Whether the codes of activation and weight are signed. If not given: what the input says, else what a name such
    /// as `mul8u_` or `mul8s_` says, else whatever comes nearer to the exact products; for tables signed, unless another
    /// reading comes ten times nearer.
    pub signedness: Option<[Signedness; 2]>,
    /// The bits of activation and weight. If not given: as many as the input's size asks for.
    pub bits: Option<[u8; 2]>,
    /// The codes that the rows and columns of a table without headers are for, one after the other. If not given: those
    /// in the order of their bit patterns, unless the other order comes ten times nearer to the exact products.
    pub order: Option<CodeOrder>,
    /// Whether the input's first operand, which selects the rows of a table, is the weight.
    pub swap_operands: bool,
    /// The kind of the input. If not given, [`read`] goes by the file's name and content.
    pub kind: Option<FileKind>,
    /// What a 1 in the products of the file counts: 8 for a circuit whose outputs are the product without its three lowest
    /// bits. If not given: 1.
    pub output_scale: Option<NonZeroU32>,
    /// Which ports of a netlist are the bits of its operands and its product. If not given: as their names say, which is
    /// an error where they do not.
    pub ports: PortNames,
    /// The sign of products of signed operands that a circuit has more bits of than both operands have. If not given: that
    /// of the number as it is computed; where all bits above are 0, the product's highest one if that comes ten times
    /// nearer to the exact products.
    pub sign_extension: Option<SignExtension>,
    /// The module, model or function of a netlist that is meant. If not given: the only one that no other one uses.
    pub top: Option<String>,
    /// Values for parameters of that module, in Verilog.
    pub parameters: BTreeMap<String, i64>,
    /// When Yosys is asked to make a netlist of a file in Verilog; of a text without a file, it never is.
    pub synthesis: Synthesis,
    /// Whether files in C and C++ are compiled and run, whatever our own reader knows of C; a text without a file never is.
    pub execution: Execution,
    /// What a function that is run, or a [`program`], may take.
    pub execution_limits: ExecutionLimits,
    /// Whether nets of a circuit that nothing drives are 0. They are an error otherwise where the product depends on them.
    pub undriven_nets_are_zero: bool,
    /// The cells that a netlist in Verilog is made of: their functions, and their areas, whose sum is taken as its area, in
    /// the place of figures in its comments. Files of other kinds have no cells, and are read as without.
    pub cells: Option<CellLibrary>,
    /// The most bytes to read, 2^28 by default: enough for a 12 x 12-bit table of any kind.
    pub max_bytes: u64,
    /// How large a circuit may be.
    pub circuit_limits: CircuitLimits,
    /// Whether whatever is in doubt is an error, [`ImportError::InDoubt`]: an assumption, a multiplier that is far from
    /// the exact one, a claim in the file that is not so.
    pub strict: bool,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            signedness: None,
            bits: None,
            order: None,
            swap_operands: false,
            kind: None,
            output_scale: None,
            ports: PortNames::default(),
            sign_extension: None,
            top: None,
            parameters: BTreeMap::new(),
            synthesis: Synthesis::default(),
            execution: Execution::default(),
            execution_limits: ExecutionLimits::default(),
            undriven_nets_are_zero: false,
            cells: None,
            max_bytes: 1 << 28,
            circuit_limits: CircuitLimits::default(),
            strict: false,
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
#[non_exhaustive]
pub struct Imported {
    /// The multiplier, under the file's name without its extension, or its own if the file gives one.
    pub multiplier: Multiplier,
    /// What was assumed or should be looked at. Empty if the file says everything.
    pub notes: Vec<Note>,
    /// How wrong the multiplier was measured to be, on a sample where there are more than 2^24 operand pairs; `None` if
    /// it is not what was read from a file: bundled, by formula, or in sign-magnitude use.
    pub metrics: Option<ErrorMetrics>,
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
            if kind == FileKind::Verilog {
                return verilog::read(&[(path, text_of(&bytes)?)], &name, options);
            }
            match Language::of(path, kind, options) {
                Some(language) => {
                    let files = [(path, text_of(&bytes)?)];
                    execution::read(&files, (kind, language), &name, options)
                }
                None => parse(&bytes, kind, &name, options),
            }
        })
        .map_err(|error| error.in_file(path))
}

/// Reads a multiplier that is a circuit in several files, in any order: the modules of one may use those of another. Of
/// one file it may be anything that [`read`] takes. Of several that are compiled, the first has the function.
///
/// ```
/// use approx_multiplier::import::{self, ImportOptions};
///
/// # let folder = tempfile::tempdir()?;
/// # let [top, row] = ["top.v", "row.v"].map(|name| folder.path().join(name));
/// let text = "
///     module mul2u_rows(input [1:0] a, b, output [3:0] o);
///       wire [1:0] low, high;
///       row r0(a, b[0], low), r1(a, b[1], high);
///       assign o = low + {high, 1'b0};
///     endmodule";
/// std::fs::write(&top, text)?;
/// std::fs::write(&row, "module row(input [1:0] a, input b, output [1:0] r); assign r = b ? a : 0; endmodule")?;
/// let imported = import::read_several(&[top, row], &ImportOptions::default())?;
/// assert_eq!(imported.multiplier.product(3, 3), Some(9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ImportError::Unexpected`] if one of several files is no circuit in the language of the first, and as for [`read`].
pub fn read_several(
    paths: &[impl AsRef<Path>],
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
    if let [path] = paths.as_slice() {
        return read(path, options);
    }
    let mut room = options.clone();
    let mut known = None;
    let mut contents = Vec::with_capacity(paths.len());
    for path in &paths {
        let (kind, bytes) =
            circuit_file(path, &room, known).map_err(|error| error.in_file(path))?;
        room.max_bytes -= bytes.len() as u64;
        known = Some(kind);
        contents.push(bytes);
    }
    let texts = paths.iter().zip(&contents).map(|(&path, bytes)| {
        let text = text_of(bytes).map_err(|error| error.in_file(path))?;
        Ok::<_, ImportError>((path, text))
    });
    let files: Vec<(&Path, &str)> = texts.collect::<Result<_, _>>()?;
    let (Some(kind), Some(first)) = (known, paths.first()) else {
        return Err(ImportError::Undetermined {
            location: Location::default(),
            missing: "there is no file to read".into(),
            remedy: "give at least one".into(),
        });
    };
    let read = match (kind.netlist_format(), Language::of(first, kind, options)) {
        (_, Some(language)) => execution::read(&files, (kind, language), "", options),
        (Some(NetlistFormat::Verilog), _) => verilog::read(&files, "", options),
        (Some(format), _) => circuit::of_several(&files, format, options),
        (None, None) => Err(not_among_several()),
    };
    read.map_err(|error| error.in_file(first))
}

/// The kind and the content of one of several files, which must be of the same kind as those before.
fn circuit_file(
    path: &Path,
    options: &ImportOptions,
    known: Option<FileKind>,
) -> Result<(FileKind, Vec<u8>), ImportError> {
    let bytes = bytes(path, options)?;
    let kind = match options.kind {
        Some(kind) => kind,
        None => FileKind::detect(path, &bytes)?,
    };
    let is_circuit = kind.netlist_format().is_some() || kind == FileKind::CPlusPlusSource;
    match is_circuit && known.is_none_or(|known| known == kind) {
        true => Ok((kind, bytes)),
        false => Err(not_among_several()),
    }
}

fn not_among_several() -> ImportError {
    ImportError::Unexpected {
        location: Location::default(),
        found: "a file of another kind among several".into(),
        expected: "circuits in one language only, C, C++, Verilog or BLIF".into(),
    }
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
    let (draft, claims) = match kind {
        FileKind::Own => return own::parse(text_of(bytes)?, options),
        FileKind::Npy => (npy::parse(bytes, name, options)?, Claims::default()),
        FileKind::Binary => (binary::parse(bytes, name, options)?, Claims::default()),
        FileKind::Text => {
            let text = text_of(bytes)?;
            (text::parse(text, name, options)?, Claims::of_lines(text))
        }
        FileKind::CHeader => {
            let text = text_of(bytes)?;
            let draft = c_header::parse(text, name, options)?;
            (draft, Claims::of_comments(text))
        }
        FileKind::CSource => return circuit(text_of(bytes)?, NetlistFormat::C, options),
        FileKind::CPlusPlusSource => return Err(execution::no_circuit().into()),
        FileKind::Blif => return circuit(text_of(bytes)?, NetlistFormat::Blif, options),
        FileKind::Verilog => {
            let text = text_of(bytes)?;
            match case_table::parse(text, name, options) {
                Some(draft) => (draft?, Claims::of_comments(text)),
                None => return circuit(text, NetlistFormat::Verilog, options),
            }
        }
    };
    review(draft, &claims, options)
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
