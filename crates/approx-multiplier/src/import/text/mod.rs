//! Tables as text: a matrix of numbers, perhaps with headers that give the codes of rows and columns, or a row of three
//! numbers for each pair of operands.

mod triplets;

use approx_netlists::lexer::quoted;

use super::reading::Draft;
use super::table::{self, MAX_ENTRIES, Stated, exact_bits, too_many_entries};
use super::{ImportError, ImportOptions, Location, Position};
use crate::{OperandFormat, Signedness};

/// The most cells, those of headers included.
const MAX_CELLS: usize = MAX_ENTRIES + 2 * (1 << OperandFormat::MAX_BITS);

/// A number and where it is.
type Cell = (Position, i64);

/// A table, and the codes of its rows and columns if it has headers.
struct Matrix {
    /// Row by row.
    values: Vec<i64>,
    shape: [usize; 2],
    codes: [Option<Vec<Cell>>; 2],
}

pub(super) fn parse(text: &str, name: &str, options: &ImportOptions) -> Result<Draft, ImportError> {
    if triplets::is_one(text) {
        return triplets::parse(text, name, options);
    }
    let matrix = Matrix::read(text)?;
    let stated = Stated {
        signedness: signedness_of_codes(&matrix),
        codes: matrix.codes.each_ref().map(Option::is_some),
        ..Stated::by_comment(text)
    };
    let formats = table::formats_of_shape(matrix.shape, &stated, name, options)?;
    table::check_index_bits(formats.formats)?;
    let [rows, columns] = [0, 1].map(|side| patterns(formats.formats[side], &matrix.codes[side]));
    let columns = columns?;
    let mut entries = vec![0; matrix.values.len()];
    for (row, i) in matrix.values.chunks_exact(columns.len()).zip(rows?) {
        let start = i * columns.len();
        for (&value, &j) in row.iter().zip(&columns) {
            entries[start + j] = value;
        }
    }
    formats.multiplier_of_entries(&entries, name, options)
}

impl Matrix {
    /// Reads all lines. Whether the first row and the first column are headers follows from their lengths: operands
    /// have a power of two of codes, so one row or one column more is a header.
    fn read(text: &str) -> Result<Self, ImportError> {
        let mut lines = lines(text);
        let Some((first_line, content)) = lines.next() else {
            return Err(ImportError::Unexpected {
                location: Location::default(),
                found: "no numbers".into(),
                expected: "a row of products for each activation".into(),
            });
        };
        let first: Vec<(Position, &str)> = cells(first_line, content).collect();

        let mut values = Vec::new();
        let mut row_positions = Vec::new();
        let mut columns = None;
        for (line, content) in lines {
            let start = values.len();
            for (position, cell) in cells(line, content) {
                values.push(number(position, cell)?);
                if values.len() > MAX_CELLS {
                    return Err(too_many_entries(position.into(), values.len() as u64));
                }
            }
            let found = values.len() - start;
            let expected = *columns.get_or_insert(found);
            if found != expected {
                return Err(ragged(line, found, expected));
            }
            row_positions.push(Position { line, column: 1 });
        }

        let columns = columns.unwrap_or(first.len());
        let corner_is_missing = first.len() + 1 == columns;
        if first.len() != columns && !corner_is_missing {
            return Err(ragged(first_line, first.len(), columns));
        }
        let has_header_column = exact_bits(columns).is_none() && exact_bits(columns - 1).is_some();
        let has_header_row = corner_is_missing || exact_bits(row_positions.len()).is_some();
        let column_codes = if has_header_row {
            let corner = usize::from(has_header_column && !corner_is_missing);
            Some(numbers(&first[corner..])?)
        } else {
            // The first row goes where it belongs.
            let mut all: Vec<i64> = numbers(&first)?.into_iter().map(|cell| cell.1).collect();
            all.append(&mut values);
            values = all;
            row_positions.insert(
                0,
                Position {
                    line: first_line,
                    column: 1,
                },
            );
            None
        };
        let rows = row_positions.len();
        if !has_header_column {
            return Ok(Self {
                values,
                shape: [rows, columns],
                codes: [None, column_codes],
            });
        }
        let row_codes = row_positions
            .into_iter()
            .zip(values.iter().step_by(columns).copied())
            .collect();
        Ok(Self {
            values: values
                .chunks_exact(columns)
                .flat_map(|row| &row[1..])
                .copied()
                .collect(),
            shape: [rows, columns - 1],
            codes: [Some(row_codes), column_codes],
        })
    }
}

/// The lines that have anything but comments, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let content = line.split('#').next().unwrap_or_default();
        (!content.trim().is_empty()).then_some((index + 1, content))
    })
}

/// The cells of a line. They are separated by single commas or semicolons, which may have spaces around them; in a line
/// without either by any number of tabs and spaces. A separator at the end separates nothing.
fn cells(line: usize, content: &str) -> impl Iterator<Item = (Position, &str)> {
    let is_blank = |c: char| c.is_whitespace();
    let content = content.trim_end();
    let by_marks = content.contains([',', ';']);
    let content = content.strip_suffix([',', ';']).unwrap_or(content);
    let mut column = 1;
    content
        .split(move |c| {
            if by_marks {
                matches!(c, ',' | ';')
            } else {
                is_blank(c)
            }
        })
        .filter_map(move |cell| {
            let start = column;
            column += cell.chars().count() + 1;
            let blank = cell.chars().take_while(|&c| is_blank(c)).count();
            let position = Position {
                line,
                column: start + blank,
            };
            let cell = cell.trim();
            (by_marks || !cell.is_empty()).then_some((position, cell))
        })
}

/// A whole number, in any way in which floating-point numbers are written.
fn number(position: Position, cell: &str) -> Result<i64, ImportError> {
    let whole = |cell: &str| {
        let value: f64 = cell.parse().ok()?;
        // Beyond, neighbouring whole numbers have the same representation.
        let exact = value.fract() == 0.0 && value.abs() <= (1u64 << 53) as f64;
        exact.then_some(value as i64)
    };
    cell.parse()
        .ok()
        .or_else(|| whole(cell))
        .ok_or_else(|| ImportError::Unexpected {
            location: position.into(),
            found: if cell.is_empty() {
                "an empty cell".into()
            } else {
                quoted(cell)
            },
            expected: "a whole number".into(),
        })
}

fn numbers(cells: &[(Position, &str)]) -> Result<Vec<Cell>, ImportError> {
    cells
        .iter()
        .map(|&(position, cell)| Ok((position, number(position, cell)?)))
        .collect()
}

/// Whether the codes in headers are signed, as far as they tell.
fn signedness_of_codes(matrix: &Matrix) -> Option<(Signedness, &'static str)> {
    let mut beyond_signed = false;
    for (codes, size) in matrix.codes.iter().zip(matrix.shape) {
        for &(_, code) in codes.iter().flatten() {
            if code < 0 {
                return Some((Signedness::Signed, "the negative codes of its headers say"));
            }
            beyond_signed |= code >= size as i64 / 2;
        }
    }
    beyond_signed.then_some((Signedness::Unsigned, "the codes of its headers say"))
}

/// The bit patterns of rows or columns with these codes; all in their order if there are none.
fn patterns(format: OperandFormat, codes: &Option<Vec<Cell>>) -> Result<Vec<usize>, ImportError> {
    let Some(codes) = codes else {
        return Ok((0..format.cardinality()).collect());
    };
    let mut seen = vec![false; format.cardinality()];
    codes
        .iter()
        .map(|&(position, code)| {
            i32::try_from(code)
                .ok()
                .filter(|&code| format.contains(code))
                .map(|code| format.pattern(code))
                .filter(|&pattern| !std::mem::replace(&mut seen[pattern], true))
                .ok_or_else(|| ImportError::Unexpected {
                    location: position.into(),
                    found: format!("the code {code} in a header"),
                    expected: format!(
                        "every code of a {format} operand, {} to {}, once",
                        format.min_code(),
                        format.max_code()
                    ),
                })
        })
        .collect()
}

fn ragged(line: usize, found: usize, expected: usize) -> ImportError {
    ImportError::Unexpected {
        location: Position { line, column: 1 }.into(),
        found: format!("a row of {found} numbers"),
        expected: format!("{expected}, as in the other rows"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::Multiplier;

    fn parsed(text: &str) -> Result<Draft, ImportError> {
        parse(text, "t", &ImportOptions::default())
    }

    fn multiplier(signed: bool) -> Multiplier {
        let format = if signed { "int2" } else { "uint2" }.parse().unwrap();
        Multiplier::from_fn("t", format, format, |a, b| 2 * a + a * b).unwrap()
    }

    #[rstest]
    #[case("0 0 0 0\n2 3 0 1\n-4 -6 0 -2\n-2 -3 0 -1")]
    #[case("# a table\n\n0,0,0,0\r\n2,3,0,1 # of one\r\n-4, -6,0 ,-2,\n-2;-3;0;-1\n\n")]
    #[case("0\t0\t0\t0\n2\t3\t0\t1\n  -4 -6 0 -2\n-2 -3 0 -1")]
    #[case("0.0,0e0,0,-0.0\n2.000e+00,3,0,1\n-4,-6,0,-2\n-2,-3,0,-1")]
    fn signed_tables_are_read(#[case] text: &str) {
        let imported = parsed(text).unwrap();
        assert_eq!(imported.multiplier, multiplier(true));
        assert!(imported.notes[0].text.contains("signed"));
    }

    #[rstest]
    // Columns in another order, with and without a corner; rows as well; rows alone.
    #[case(",-2,-1,0,1\n0,0,0,0,0\n1,0,1,2,3\n-2,0,-2,-4,-6\n-1,0,-1,-2,-3")]
    #[case("a\\b -2 -1 0 1\n0 0 0 0 0\n1 0 1 2 3\n-2 0 -2 -4 -6\n-1 0 -1 -2 -3")]
    #[case("99,-2,-1,0,1\n0,0,0,0,0\n1,0,1,2,3\n-2,0,-2,-4,-6\n-1,0,-1,-2,-3")]
    #[case("-2 -1 0 1\n-2 0 -2 -4 -6\n-1 0 -1 -2 -3\n0 0 0 0 0\n1 0 1 2 3")]
    #[case("-2 -1 0 1\n0 0 0 0\n0 1 2 3\n0 -2 -4 -6\n0 -1 -2 -3")]
    #[case("0 0 0 0 0\n1 2 3 0 1\n-1 -2 -3 0 -1\n-2 -4 -6 0 -2")]
    fn headers_order_rows_and_columns(#[case] text: &str) {
        let imported = parsed(text).unwrap();
        assert_eq!(imported.multiplier, multiplier(true));
        assert!(
            imported.notes[0].text.contains("negative codes"),
            "{:?}",
            imported.notes
        );
    }

    #[test]
    fn codes_beyond_the_signed_ones_are_unsigned() {
        let text = "0 1 2 3\n0 0 0 0 0\n1 2 3 4 5\n3 6 9 12 15\n2 4 6 8 10";
        assert_eq!(parsed(text).unwrap().multiplier, multiplier(false));
    }

    #[test]
    fn a_comment_says_the_formats() {
        let text = "# activation uint2, weight int2\n0 0 0 0\n2 3 0 1\n4 6 0 2\n6 9 0 3";
        let imported = parsed(text).unwrap();
        assert_eq!(imported.notes, []);
        assert_eq!(imported.multiplier.product(3, -1), Some(3));
        assert_eq!(imported.multiplier.product(-1, -2), Some(0));
    }

    #[rstest]
    #[case("", "no numbers")]
    #[case("# nothing\n \n", "no numbers")]
    #[case("0 1 2 3", "1 rows and 4 columns")]
    #[case("0 0 0 0\n0 0 0 x", "line 2, column 7: found \"x\"")]
    #[case("0 0 0 0\n0 0 0 0.5", "line 2, column 7: found \"0.5\"")]
    #[case("0 0 0 0\n0 0 0 1e300", "line 2, column 7")]
    #[case("0 0 0 0\n0 0 0 nan", "line 2, column 7")]
    #[case("0 0 0 0\n0 0 0", "a row of 4 numbers")]
    #[case("0 0 0 0\n0 0 0 0\n0 0 0 0 0", "line 3, column 1: found a row of 5")]
    #[case("0,0,0,0\n0, ,0,0", "line 2, column 4: found an empty cell")]
    #[case("0,,0,0\n0,0,0,0", "line 1, column 3: found an empty cell")]
    #[case(
        ",0,0,0\n0,0,0,0\n0,0,0,0\n0,0,0,0",
        "line 1, column 1: found an empty cell"
    )]
    #[case(
        "0 1 2 2\n0 0 0 0\n0 0 0 0\n0 0 0 0\n0 0 0 0",
        "line 1, column 7: found the code 2"
    )]
    #[case("-2 -1 0 2\n0 0 0 0\n0 0 0 0\n0 0 0 0\n0 0 0 0", "-2 to 1")]
    #[case(
        "0 1 2 3\n0 0 0 0 0\n4 0 0 0 0\n1 0 0 0 0\n2 0 0 0 0",
        "line 3, column 1"
    )]
    #[case("0 0 0 0\n0 0 0 9999999999\n0 0 0 0\n0 0 0 0", "9999999999")]
    fn other_texts_are_refused(#[case] text: &str, #[case] expected: &str) {
        let error = parsed(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
