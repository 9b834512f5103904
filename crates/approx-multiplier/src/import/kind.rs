//! The kinds of files that a multiplier can be read from, and how to tell them apart.

use std::ffi::OsStr;
use std::path::Path;

use approx_netlists::NetlistFormat;
use approx_netlists::lexer::{Dialect, Lexer, TokenKind};

use super::{ImportError, Location};

/// What a `.npy` file starts with.
const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// The kinds of files that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A NumPy array of integers (`.npy`), of shape `[2^activation bits, 2^weight bits]`.
    Npy,
    /// A matrix of numbers as text (`.csv`, `.tsv`, `.txt`, `.dat`): a row for each activation, with numbers separated
    /// by commas, semicolons, tabs or spaces. Comments start with `#`. Numbers may be written as `1.0e+01`, as NumPy
    /// does, if they are whole. A row or a column of headers, or both, gives the codes of the operands; without them
    /// the codes are in the order of their bit patterns, or in [another](super::CodeOrder).
    ///
    /// Or rows of three numbers, an activation, a weight and their product, in any order and after any lines of words.
    /// Two more such tables, each after a line that says by which operand, are the derivatives of the product; `scaled by
    /// 16` in such a line divides them. They become the multiplier's [own](crate::Multiplier::gradient_tables).
    Text,
    /// A raw little-endian table of 8-, 16- or 32-bit integers (`.bin`), row by row, as TFApprox reads it. Which of these
    /// is told from the size, and from the products where the size leaves it open; entries of 8 and 16 bits are signed if
    /// an operand is.
    Binary,
    /// A function in C (`.c`) without branches and loops, such as those of EvoApproxLib; see
    /// [`circuit`](super::circuit). Any other function is compiled and run, if that is
    /// [asked for](super::Execution::Compile).
    CSource,
    /// A function in C++ (`.cc`, `.cpp`, `.cxx`), which is compiled and run, if that is
    /// [asked for](super::Execution::Compile).
    CPlusPlusSource,
    /// A combinational netlist in Verilog (`.v`), or a table of all products in a `case` statement.
    Verilog,
    /// A combinational netlist in the Berkeley Logic Interchange Format (`.blif`).
    Blif,
    /// An array in C (`.h`, `.c`): `const int16_t lut[256][256] = {...};`, with or without braces around the rows, as
    /// AdaPT and TransAxx use it.
    CHeader,
    /// A file of this project (`.json`): any multiplier with its name, formats, hardware figures and content hash.
    Own,
}

impl FileKind {
    /// The kind that a file's name suggests, by its extension.
    ///
    /// ```
    /// use approx_multiplier::import::FileKind;
    ///
    /// assert_eq!(FileKind::of_name("tables/mine.CSV"), Some(FileKind::Text));
    /// assert_eq!(FileKind::of_name("mul8s_1L2J"), None);
    /// ```
    pub fn of_name(path: impl AsRef<Path>) -> Option<Self> {
        let extension = path
            .as_ref()
            .extension()
            .and_then(OsStr::to_str)?
            .to_ascii_lowercase();
        match extension.as_str() {
            "npy" => Some(Self::Npy),
            "csv" | "tsv" | "txt" | "dat" => Some(Self::Text),
            "bin" => Some(Self::Binary),
            "h" => Some(Self::CHeader),
            "c" => Some(Self::CSource),
            "cc" | "cpp" | "cxx" => Some(Self::CPlusPlusSource),
            "v" | "sv" => Some(Self::Verilog),
            "blif" => Some(Self::Blif),
            "json" => Some(Self::Own),
            _ => None,
        }
    }

    /// The language of a circuit; `None` if the file holds something else.
    pub(super) fn netlist_format(self) -> Option<NetlistFormat> {
        match self {
            Self::CSource => Some(NetlistFormat::C),
            Self::Verilog => Some(NetlistFormat::Verilog),
            Self::Blif => Some(NetlistFormat::Blif),
            Self::Npy
            | Self::Text
            | Self::Binary
            | Self::CPlusPlusSource
            | Self::CHeader
            | Self::Own => None,
        }
    }

    /// The kind of a file by its content, where that is beyond doubt, else by its name.
    pub(super) fn detect(path: &Path, content: &[u8]) -> Result<Self, ImportError> {
        if content.starts_with(NPY_MAGIC) {
            return Ok(Self::Npy);
        }
        let kind = match Self::of_name(path) {
            // Either may hold what the other one is for.
            Some(named @ (Self::CHeader | Self::CSource)) => {
                Some(kind_of_c(content).unwrap_or(named))
            }
            kind => kind,
        };
        kind.ok_or_else(|| ImportError::Undetermined {
            location: Location::default(),
            missing: "its kind is not known".into(),
            remedy: remedy(path).into(),
        })
    }
}

/// How to have a file read whose name says no kind: what there is, or how to make that of it.
fn remedy(path: &Path) -> &'static str {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "vhd" | "vhdl" => "VHDL becomes Verilog by `ghdl --synth --out=verilog`",
        "aig" | "aag" => {
            "an and-inverter graph becomes BLIF by Yosys: `read_aiger FILE; write_blif`"
        }
        "edf" | "edif" => "EDIF is written by tools that also write Verilog: take that",
        "chr" | "cgp" => {
            "a chromosome of Cartesian genetic programming is a list of gates: write them as C, Verilog or BLIF"
        }
        _ => {
            "give the file one of the extensions .npy, .csv, .tsv, .txt, .dat, .bin, .h, .c, .cpp, .v, .blif and .json"
        }
    }
}

/// Whether a C text has a function or an array, by what is before its first brace.
fn kind_of_c(content: &[u8]) -> Option<FileKind> {
    let text = String::from_utf8_lossy(content);
    let mut lexer = Lexer::new(&text, Dialect::C);
    loop {
        let token = lexer.advance();
        if token.kind == TokenKind::End {
            return None;
        }
        if lexer.token().is("{") {
            return match token.text {
                ")" => Some(FileKind::CSource),
                "=" => Some(FileKind::CHeader),
                _ => None,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a.VHD", "ghdl --synth")]
    #[case("a.aag", "read_aiger")]
    #[case("a", ".blif")]
    fn other_kinds_are_told_how_to_get_there(#[case] path: &str, #[case] remedy: &str) {
        let error = FileKind::detect(Path::new(path), b"").unwrap_err();
        assert!(error.to_string().contains(remedy), "{error}");
    }

    #[rstest]
    #[case("a.c", "int f(int a, int b) { return a; }", FileKind::CSource)]
    #[case(
        "a.h",
        "static int f(int a, int b)\n{ int x[2] = {0, 1};",
        FileKind::CSource
    )]
    #[case("a.c", "// f() {\nint lut[4][4] = {{0", FileKind::CHeader)]
    #[case("a.h", "", FileKind::CHeader)]
    #[case("a.c", "", FileKind::CSource)]
    #[case("a.V", "", FileKind::Verilog)]
    #[case("a.blif", "", FileKind::Blif)]
    #[case("a.csv", "", FileKind::Text)]
    #[case("a.csv", "\u{93}NUMPY", FileKind::Text)]
    fn kinds_are_told_apart(#[case] path: &str, #[case] content: &str, #[case] kind: FileKind) {
        let found = FileKind::detect(Path::new(path), content.as_bytes()).unwrap();
        assert_eq!(found, kind);
    }
}
