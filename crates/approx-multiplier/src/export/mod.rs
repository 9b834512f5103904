//! Multipliers as files for other tools, and as this project's own.
//!
//! Every file that is written can be [imported](crate::import) again as the same multiplier. Kinds that hold tables
//! have the content hash of [`to_table`](Multiplier::to_table), which is another than that of the exact multiplier's
//! definition; [`ExportFormat::Own`] keeps every definition.

mod binary;
mod c_header;
mod text;
mod verilog;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

pub use crate::file::replace as replace_file;
use crate::table::npy;
use crate::{Multiplier, MultiplierError, OperandFormat, ProductTable, import};

/// The kinds of files that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A NumPy array of 32-bit integers (`npy`).
    Npy,
    /// Numbers separated by commas, a row for each activation in the order of bit patterns, under a comment that gives
    /// the name and the operand formats (`csv`).
    Csv,
    /// Raw little-endian integers (`bin`), row by row: 16-bit ones if all products fit, which are signed if an operand
    /// is, else signed 32-bit ones. TFApprox reads such files of 8 x 8-bit unsigned multipliers. The file does not say
    /// its operand formats: give them when it is imported.
    Binary,
    /// A C header (`c`) with an array `lut` in two dimensions, as AdaPT includes it for 8 x 8-bit signed multipliers.
    CHeader,
    /// A Verilog module (`verilog`) with a `case` over all pairs of operands, as the reference of a test bench: not for
    /// synthesis.
    Verilog,
    /// A file of this project (`own`): versioned, with the name, the hardware figures and the content hash.
    Own,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Npy,
        Self::Csv,
        Self::Binary,
        Self::CHeader,
        Self::Verilog,
        Self::Own,
    ];

    /// The name that [`FromStr`] reads: `npy`, `csv`, `bin`, `c`, `verilog` or `own`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Csv => "csv",
            Self::Binary => "bin",
            Self::CHeader => "c",
            Self::Verilog => "verilog",
            Self::Own => "own",
        }
    }

    /// The extension of such files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Csv => "csv",
            Self::Binary => "bin",
            Self::CHeader => "h",
            Self::Verilog => "v",
            Self::Own => "json",
        }
    }

    /// The format that a file's name asks for, by its extension.
    ///
    /// ```
    /// use approx_multiplier::export::ExportFormat;
    ///
    /// assert_eq!(ExportFormat::of_name("out/mine.h"), Some(ExportFormat::CHeader));
    /// assert_eq!(ExportFormat::of_name("mine"), None);
    /// ```
    pub fn of_name(path: impl AsRef<Path>) -> Option<Self> {
        let extension = path.as_ref().extension().and_then(OsStr::to_str)?;
        Self::ALL
            .into_iter()
            .find(|format| extension.eq_ignore_ascii_case(format.extension()))
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = MultiplierError;

    fn from_str(text: &str) -> Result<Self, MultiplierError> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| MultiplierError::UnknownExportFormat {
                text: text.into(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

/// Writes a multiplier to a file. An existing file is replaced in one step: it is never seen half-written.
///
/// # Errors
///
/// [`MultiplierError::Io`] if the file cannot be written. For every format but [`ExportFormat::Own`], as for
/// [`Multiplier::to_table`]: an HTP model has no table, and neither has a multiplier of too many bits.
pub fn write(
    multiplier: &Multiplier,
    path: impl AsRef<Path>,
    format: ExportFormat,
) -> Result<(), MultiplierError> {
    let content = Content::new(multiplier, format)?;
    replace_file(path.as_ref(), |writer| content.write(writer))
}

/// The bytes of the file that [`write()`] writes.
///
/// ```
/// use approx_multiplier::export::{self, ExportFormat};
/// use approx_multiplier::{Multiplier, OperandFormat};
///
/// let format = OperandFormat::unsigned(2)?;
/// let csv = export::to_bytes(&Multiplier::exact(format, format), ExportFormat::Csv)?;
/// let text = "# exact: activation uint2, weight uint2\n0,0,0,0\n0,1,2,3\n0,2,4,6\n0,3,6,9\n";
/// assert_eq!(String::from_utf8_lossy(&csv), text);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
///
/// # Errors
///
/// As for [`write()`], except that nothing is written.
pub fn to_bytes(multiplier: &Multiplier, format: ExportFormat) -> Result<Vec<u8>, MultiplierError> {
    let mut bytes = Vec::new();
    Content::new(multiplier, format)?
        .write(&mut bytes)
        .expect("a vector takes all that is written to it");
    Ok(bytes)
}

/// What a file will hold.
enum Content<'a> {
    Table {
        name: &'a str,
        table: ProductTable,
        format: ExportFormat,
    },
    Own(&'a Multiplier),
}

impl<'a> Content<'a> {
    fn new(multiplier: &'a Multiplier, format: ExportFormat) -> Result<Self, MultiplierError> {
        Ok(match format {
            ExportFormat::Own => Self::Own(multiplier),
            format => Self::Table {
                name: multiplier.name(),
                table: multiplier.to_table()?,
                format,
            },
        })
    }

    fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Own(multiplier) => import::write_own(multiplier, writer),
            Self::Table {
                name,
                table,
                format,
            } => match format {
                ExportFormat::Npy => npy::write(table, writer),
                ExportFormat::Binary => binary::write(table, writer),
                ExportFormat::CHeader => c_header::write(name, table, writer),
                ExportFormat::Verilog => verilog::write(name, table, writer),
                ExportFormat::Csv | ExportFormat::Own => text::write(name, table, writer),
            },
        }
    }
}

/// The integers in which a table's entries can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Signed16,
    Unsigned16,
    Signed32,
}

impl Element {
    /// The narrowest one that holds all entries, unsigned only if no operand is signed.
    fn of(table: &ProductTable) -> Self {
        let signed = [table.activation(), table.weight()]
            .into_iter()
            .any(OperandFormat::is_signed);
        let fits = |range: std::ops::RangeInclusive<i32>| {
            table.entries().iter().all(|entry| range.contains(entry))
        };
        if signed && fits(i16::MIN.into()..=i16::MAX.into()) {
            Self::Signed16
        } else if !signed && fits(0..=u16::MAX.into()) {
            Self::Unsigned16
        } else {
            Self::Signed32
        }
    }
}

/// What comments in files say about a table: one line, in which a name cannot end the comment.
fn description(name: &str, table: &ProductTable) -> String {
    let name: String = name
        .chars()
        .map(|c| {
            let harmless = c.is_ascii_alphanumeric() || " _-.:,=+".contains(c);
            if harmless { c } else { '_' }
        })
        .collect();
    format!(
        "{name}: {}",
        import::formats_comment(table.activation(), table.weight())
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn names_and_extensions_are_read() {
        for format in ExportFormat::ALL {
            assert_eq!(format.name().parse::<ExportFormat>().unwrap(), format);
            let path = format!("folder/file.{}", format.extension().to_uppercase());
            assert_eq!(ExportFormat::of_name(path), Some(format));
        }
        let error = "xls".parse::<ExportFormat>().unwrap_err().to_string();
        assert!(error.contains("npy, csv, bin, c, verilog, own"), "{error}");
    }

    #[rstest]
    #[case("int8", "int8", 1, Element::Signed16)]
    #[case("uint8", "uint8", 1, Element::Unsigned16)]
    #[case("uint8", "uint8", -1, Element::Signed32)]
    #[case("uint8", "int8", 1, Element::Signed16)]
    #[case("uint8", "int8", 2, Element::Signed32)]
    #[case("uint9", "uint8", 1, Element::Signed32)]
    fn elements_are_as_narrow_as_can_be(
        #[case] activation: OperandFormat,
        #[case] weight: OperandFormat,
        #[case] factor: i64,
        #[case] expected: Element,
    ) {
        let table = ProductTable::from_fn(activation, weight, |a, b| factor * a * b).unwrap();
        assert_eq!(Element::of(&table), expected);
    }

    #[test]
    fn what_has_no_table_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let format = OperandFormat::signed(16).unwrap();
        let wide = Multiplier::exact(format, format);
        for format in ExportFormat::ALL {
            let path = folder.path().join("file");
            let written = write(&wide, &path, format);
            assert_eq!(written.is_ok(), format == ExportFormat::Own);
            assert_eq!(path.exists(), format == ExportFormat::Own);
            let _ = std::fs::remove_file(path);
        }
    }
}
