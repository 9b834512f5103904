//! Tables in C: `const int16_t lut[256][256] = {{0, 0, ...}, ...};`, in one or two dimensions, with or without braces
//! around the rows.

use approx_netlists::NetlistError;
use approx_netlists::lexer::{Dialect, Lexer, Token, TokenKind, quoted};

use super::reading::Draft;
use super::table::{self, MAX_ENTRIES, Stated, too_many_entries};
use super::{ImportError, ImportOptions};
use crate::Signedness;

/// The most dimensions that a declaration may have.
const MAX_DIMENSIONS: usize = 2;

pub(super) fn parse(text: &str, name: &str, options: &ImportOptions) -> Result<Draft, ImportError> {
    let mut lexer = Lexer::new(text, Dialect::C);
    let declaration = Declaration::find(&mut lexer)?;
    let entries = Entries::read(&mut lexer)?;
    let declared_again = Declaration::find(&mut lexer).is_ok();
    if declared_again {
        return Err(lexer.unexpected("one array of products only").into());
    }
    let shape = declaration.shape(&entries, &lexer)?;
    let stated = Stated {
        signedness: declaration.unsigned.then_some((
            Signedness::Unsigned,
            "an array of unsigned integers suggests",
        )),
        ..Stated::by_comment(text)
    };
    table::formats_of_shape(shape, &stated, name, options)?.multiplier_of_entries(
        &entries.values,
        name,
        options,
    )
}

/// The declaration of an array with an initialiser.
struct Declaration<'a> {
    name: Token<'a>,
    /// What the brackets hold, if anything.
    dimensions: Vec<Option<usize>>,
    unsigned: bool,
}

impl<'a> Declaration<'a> {
    /// Goes past the `=` of the next declaration of an array with an initialiser.
    fn find(lexer: &mut Lexer<'a>) -> Result<Self, NetlistError> {
        let mut unsigned = false;
        loop {
            let name = lexer.advance();
            if name.kind == TokenKind::End {
                return Err(lexer.unexpected("an array with its entries, name[256][256] = {...}"));
            }
            if name.is(";") {
                unsigned = false;
            }
            if name.kind != TokenKind::Identifier {
                continue;
            }
            unsigned |= name.text == "unsigned" || name.text.starts_with("uint");
            let mut dimensions = Vec::new();
            while lexer.accept("[") {
                let size = match lexer.token().is("]") {
                    true => None,
                    // Literals have 32 bits.
                    false => Some(integer(lexer)? as usize),
                };
                dimensions.push(size);
                lexer.expect("]")?;
                if dimensions.len() > MAX_DIMENSIONS {
                    return Err(lexer.unexpected("an array of at most two dimensions"));
                }
            }
            if !dimensions.is_empty() && lexer.accept("=") {
                return Ok(Self {
                    name,
                    dimensions,
                    unsigned,
                });
            }
        }
    }

    /// The rows and columns of the entries, which must be all that the declaration asks for.
    fn shape(&self, entries: &Entries, lexer: &Lexer) -> Result<[usize; 2], NetlistError> {
        let count = entries.values.len();
        let columns = match (self.dimensions.as_slice(), entries.row_length) {
            ([_, Some(columns)], _) => *columns,
            ([Some(columns)], Some(_)) if entries.rows == 1 => *columns,
            (_, Some(columns)) => columns,
            // A square table: there is no other way to know.
            (_, None) => count.isqrt(),
        };
        let rows = count.checked_div(columns).unwrap_or(0);
        let declared = match self.dimensions.as_slice() {
            [Some(rows), Some(columns)] => rows.checked_mul(*columns),
            [Some(size)] => Some(*size),
            _ => Some(count),
        };
        let rows_fit = entries.row_length.is_none_or(|length| length == columns);
        if declared == Some(count) && rows * columns == count && rows_fit {
            return Ok([rows, columns]);
        }
        let brackets: String = self
            .dimensions
            .iter()
            .map(|size| size.map_or("[]".into(), |size| format!("[{size}]")))
            .collect();
        Err(lexer.error(
            self.name.offset,
            match entries.row_length {
                Some(length) => format!("{} rows of {length} entries", entries.rows),
                None => format!("{count} entries"),
            },
            format!(
                "all entries of {}{brackets}, of a square table if it has one dimension",
                self.name.text
            ),
        ))
    }
}

/// The entries of an initialiser.
struct Entries {
    values: Vec<i64>,
    rows: usize,
    /// How many entries every row has, if there are braces around rows.
    row_length: Option<usize>,
}

impl Entries {
    fn read(lexer: &mut Lexer) -> Result<Self, ImportError> {
        let mut entries = Self {
            values: Vec::new(),
            rows: 0,
            row_length: None,
        };
        lexer.expect("{")?;
        if lexer.token().is("{") {
            while lexer.token().is("{") {
                let offset = lexer.advance().offset;
                let start = entries.values.len();
                entries.read_values(lexer)?;
                let length = entries.values.len() - start;
                let expected = *entries.row_length.get_or_insert(length);
                if length != expected {
                    return Err(lexer
                        .error(
                            offset,
                            format!("a row of {length} entries"),
                            format!("{expected} entries, as in the rows before"),
                        )
                        .into());
                }
                entries.rows += 1;
                if !lexer.accept(",") {
                    break;
                }
            }
            lexer.expect("}")?;
        } else {
            entries.read_values(lexer)?;
        }
        Ok(entries)
    }

    /// Reads numbers separated by commas, and the brace behind them.
    fn read_values(&mut self, lexer: &mut Lexer) -> Result<(), ImportError> {
        while !lexer.accept("}") {
            let negative = lexer.accept("-");
            if !negative {
                lexer.accept("+");
            }
            let value = integer(lexer)?;
            if self.values.len() == MAX_ENTRIES {
                let error = lexer.unexpected("");
                let location = error.location().cloned().unwrap_or_default();
                return Err(too_many_entries(location, MAX_ENTRIES as u64 + 1));
            }
            self.values.push(if negative { -value } else { value });
            if !lexer.accept(",") && !lexer.token().is("}") {
                return Err(lexer.unexpected("\",\" or \"}\"").into());
            }
        }
        Ok(())
    }
}

/// Reads an integer literal of at most 32 bits.
fn integer(lexer: &mut Lexer) -> Result<i64, NetlistError> {
    let token = lexer.expect_kind(TokenKind::Number, "an integer")?;
    let digits = token.text.trim_end_matches(['u', 'U', 'l', 'L']);
    let value = if let Some(digits) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        u32::from_str_radix(digits, 16)
    } else if let Some(digits) = digits.strip_prefix("0b").or(digits.strip_prefix("0B")) {
        u32::from_str_radix(digits, 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        u32::from_str_radix(digits, 8)
    } else {
        digits.parse()
    };
    value.map(i64::from).map_err(|_| {
        lexer.error(
            token.offset,
            quoted(token.text),
            "an integer of at most 32 bits",
        )
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{Multiplier, OperandFormat};

    fn parsed(text: &str) -> Result<Draft, ImportError> {
        parse(text, "t", &ImportOptions::default())
    }

    const ROWS: &str = "{0, 0, 0, 0}, {0, 1, -2, -1}, {0, -2, 4, 2}, {0, -1, 2, 1}";

    #[rstest]
    #[case(format!("const int16_t lut [4][4] = {{{ROWS}}};"))]
    #[case(format!("#include <stdint.h>\n#ifndef T_H\n #define T_H\nconst __device__ short lut[4][4] = {{{ROWS}}};\n#endif"))]
    #[case(format!("static int n = 3; int f(int x[4]);\nstatic const int lut[][4] = {{{ROWS},}};"))]
    #[case(format!("int lut[] = {{{}}};", ROWS.replace(['{', '}'], "")))]
    #[case(format!("int lut[16] = {{{},}};", ROWS.replace(['{', '}'], "")))]
    #[case(format!("int lut[4][4] = {{{}}};", ROWS.replace(['{', '}'], "")))]
    #[case("int l[4][4]={{0x0,0X0,00,0u},{0L,+1,-02,-1},{0, /* x */ -2, 0b100, 2},// y\n{0, -1, 2, 1}};".into())]
    fn all_ways_to_write_a_table_are_read(#[case] text: String) {
        let format = OperandFormat::signed(2).unwrap();
        let imported = parsed(&text).unwrap();
        let exact = Multiplier::from_fn("t", format, format, |a, b| a * b).unwrap();
        assert_eq!(imported.multiplier, exact);
        assert_eq!(imported.notes.len(), 1);
    }

    #[test]
    fn unsigned_entries_belong_to_unsigned_operands() {
        for element in ["uint16_t", "unsigned short", "uint32_t"] {
            let text = format!("const {element} lut[16] = {{0,0,0,0, 0,1,2,3, 0,2,4,6, 0,3,6,9}};");
            let multiplier = parsed(&text).unwrap().multiplier;
            assert_eq!(multiplier.product(3, 3), Some(9));
            assert!(!multiplier.activation().is_signed());
        }
    }

    #[rstest]
    #[case("", "1, column 1", "an array with its entries")]
    #[case("int lut[4][4];", "1, column 15", "an array with its entries")]
    #[case("int lut[4][4] = 3;", "column 17", "expected \"{\"")]
    #[case("int lut[4][4] = {{0, 0, 0, x", "column 28", "expected an integer")]
    #[case("int lut[4][4] = {{0, 0, 0, 1.5", "column 29", "found \".\"")]
    #[case("int lut[4][4] = {{{0", "column 19", "expected an integer")]
    #[case("int lut[4][4] = {{0, 0, 0, 0 0", "column 30", "or")]
    #[case(
        "int lut[4][4] = {{0, 0, 0, 0},\n {0, 0, 0}}",
        "line 2, column 2",
        "a row of 3 entries"
    )]
    #[case("int lut[4][4] = {{0, 0, 0, 0}};", "column 5", "1 rows of 4 entries")]
    #[case("int lut[4][4] = {0, 0, 0, 0};", "column 5", "4 entries")]
    #[case("int lut[4] = {0, 0, 0, 0};", "the input", "2 rows and 2 columns")]
    #[case("int lut[5] = {0, 0, 0, 0, 0};", "column 5", "5 entries")]
    #[case("int lut[99999999999] = {0};", "column 9", "an integer")]
    #[case("int lut[2][2][2] = {0};", "column 18", "two dimensions")]
    #[case("int lut[4] = {99999999999};", "column 15", "an integer")]
    #[case("int lut[] = {0};\nint lut[] = {1};", "line 2", "one array")]
    #[case("int lut[4][4] = {/*", "column 18", "an integer")]
    fn other_texts_are_refused(#[case] text: &str, #[case] place: &str, #[case] expected: &str) {
        let error = parsed(text).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(expected), "{error}");
    }
}
