//! Tables as rows of three numbers, `a b product`, in any order, after whatever a tool said before. Two more such tables
//! may follow, each after a line that says so: the derivatives of the product, which become the multiplier's own.

use approx_netlists::lexer::quoted;

use super::{cells, lines, number};
use crate::import::reading::Draft;
use crate::import::table::{self, MAX_ENTRIES, Stated, exact_bits, too_many_entries};
use crate::import::{ImportError, ImportOptions, Location, Note, Position};
use crate::{GradientTables, OperandFormat, Signedness};

/// How the first and the second operand are called in the headings of tables of derivatives.
const OPERANDS: [&[&str]; 2] = [
    &["a", "x", "da", "dx", "first", "activation"],
    &["b", "y", "w", "db", "dy", "dw", "second", "weight"],
];

/// A run of rows, and what was said before it.
struct Section<'a> {
    heading: &'a str,
    position: Position,
    rows: usize,
    /// The lowest and the highest code of each operand.
    codes: [(i64, i64); 2],
    has_negative: bool,
}

/// A row of three numbers.
struct Row<'a> {
    codes: [(Position, i64); 2],
    value: (Position, &'a str),
}

/// Whether the first line of numbers alone has three of them: no matrix has.
pub(super) fn is_one(text: &str) -> bool {
    let numbers = |content: &str| -> Option<usize> {
        let cells = cells(1, content).map(|(_, cell)| cell.parse::<f64>().ok());
        Some(cells.collect::<Option<Vec<f64>>>()?.len())
    };
    let first = lines(text).find_map(|(_, content)| numbers(content));
    first == Some(3)
}

pub(super) fn parse(text: &str, name: &str, options: &ImportOptions) -> Result<Draft, ImportError> {
    let sections = sections(text)?;
    let products = &sections[0];
    let formats = table::formats_of_shape(products.shape()?, &products.stated()?, name, options)?;
    table::check_index_bits(formats.formats)?;
    let tables = tables(text, &sections, formats.formats)?;
    let (entries, gradients) = match tables.as_slice() {
        [entries] => (entries, None),
        [entries, first, second] => (entries, Some([first, second])),
        _ => return Err(wrong_count(&sections)),
    };
    let entries: Vec<i64> = entries.iter().map(|&entry| entry as i64).collect();
    let mut draft = formats.multiplier_of_entries(&entries, name, options)?;
    if let Some(gradients) = gradients {
        let headings = [sections[1].heading, sections[2].heading];
        add_gradients(&mut draft, gradients, headings, options)?;
    }
    Ok(draft)
}

/// The row of a line; `None` if it is something else that is said. Once there were rows, a line that begins with a
/// number must be one.
fn row(line: usize, content: &str, is_first: bool) -> Result<Option<Row<'_>>, ImportError> {
    let mut cells = cells(line, content);
    let four = [cells.next(), cells.next(), cells.next(), cells.next()];
    let begins = four[0].is_some_and(|(_, cell)| cell.parse::<f64>().is_ok());
    match four {
        [Some(a), Some(b), Some(value), None]
            if begins
                && (!is_first
                    || [a, b, value]
                        .iter()
                        .all(|cell| cell.1.parse::<f64>().is_ok())) =>
        {
            let code = |(position, cell)| Ok::<_, ImportError>((position, number(position, cell)?));
            entry(value, false)?;
            Ok(Some(Row {
                codes: [code(a)?, code(b)?],
                value,
            }))
        }
        _ if begins && !is_first => Err(ImportError::Unexpected {
            location: Position { line, column: 1 }.into(),
            found: quoted(content.trim()),
            expected: "three numbers: the operands and what belongs to them".into(),
        }),
        _ => Ok(None),
    }
}

/// What the runs of rows are about.
fn sections(text: &str) -> Result<Vec<Section<'_>>, ImportError> {
    let mut sections: Vec<Section> = Vec::new();
    let mut heading = "";
    let mut follows_row = false;
    for (line, content) in lines(text) {
        let Some(row) = row(line, content, sections.is_empty())? else {
            heading = content;
            follows_row = false;
            continue;
        };
        if !follows_row {
            sections.push(Section {
                heading,
                position: Position { line, column: 1 },
                rows: 0,
                codes: row.codes.map(|(_, code)| (code, code)),
                has_negative: false,
            });
            if sections.len() > 3 {
                return Err(wrong_count(&sections));
            }
        }
        follows_row = true;
        let section = sections.last_mut().expect("a row begins a section");
        section.rows += 1;
        if section.rows > MAX_ENTRIES {
            return Err(too_many_entries(
                section.position.into(),
                section.rows as u64,
            ));
        }
        section.has_negative |= row.value.1.starts_with('-');
        for (range, (_, code)) in section.codes.iter_mut().zip(row.codes) {
            *range = (range.0.min(code), range.1.max(code));
        }
    }
    Ok(sections)
}

fn wrong_count(sections: &[Section]) -> ImportError {
    let last = sections.last().map(|section| section.position);
    ImportError::Unexpected {
        location: last.map_or_else(Location::default, Location::from),
        found: match sections.len() {
            4.. => "a fourth table".into(),
            count => format!("{count} tables"),
        },
        expected: "one table of products, or one with two tables of derivatives after it".into(),
    }
}

impl Section<'_> {
    fn shape(&self) -> Result<[usize; 2], ImportError> {
        let [rows, columns] = self.codes.map(|(low, high)| {
            let count = usize::try_from(high.abs_diff(low)).ok()?.checked_add(1)?;
            let bits = exact_bits(count)?;
            (low == 0 || low == -(1 << (bits - 1))).then_some(count)
        });
        rows.zip(columns)
            .map(|(rows, columns)| [rows, columns])
            .ok_or_else(|| ImportError::Unexpected {
                location: self.position.into(),
                found: format!(
                    "codes from {} to {} and from {} to {}",
                    self.codes[0].0, self.codes[0].1, self.codes[1].0, self.codes[1].1
                ),
                expected: "all codes of two operands: 0 to 255, or -128 to 127, for one of 8 bits"
                    .into(),
            })
    }

    /// What the codes say. Where none is negative but a product is, they are bit patterns.
    fn stated(&self) -> Result<Stated, ImportError> {
        let has_negative_code = self.codes.iter().any(|(low, _)| *low < 0);
        if self.has_negative && !has_negative_code {
            return Ok(Stated {
                codes: [true; 2],
                ..Stated::default()
            });
        }
        let shape = self.shape()?;
        let format = |side: usize| {
            let signedness = match self.codes[side].0 < 0 {
                true => Signedness::Signed,
                false => Signedness::Unsigned,
            };
            OperandFormat::new(shape[side].ilog2() as u8, signedness)
        };
        Ok(Stated {
            formats: Some([format(0)?, format(1)?]),
            ..Stated::default()
        })
    }
}

/// The values of all sections in the order of the operands' bit patterns.
fn tables(
    text: &str,
    sections: &[Section],
    formats: [OperandFormat; 2],
) -> Result<Vec<Vec<f64>>, ImportError> {
    let [rows, columns] = formats.map(OperandFormat::cardinality);
    if let Some(section) = sections
        .iter()
        .find(|section| section.rows != rows * columns)
    {
        return Err(ImportError::Unexpected {
            location: section.position.into(),
            found: format!("{} rows", section.rows),
            expected: format!("one for each of {rows} x {columns} pairs of operands"),
        });
    }
    let mut tables = Vec::with_capacity(sections.len());
    let first_line = sections[0].position.line;
    let mut all =
        lines(text).filter_map(|(line, content)| row(line, content, line < first_line).transpose());
    for section in 0..sections.len() {
        let mut values = vec![0.0; rows * columns];
        let mut seen = vec![false; rows * columns];
        for row in all.by_ref().take(rows * columns) {
            let Row { codes, value } = row?;
            let [row, column] = [0, 1].map(|side| pattern(formats[side], codes[side]));
            let index = row? * columns + column?;
            if std::mem::replace(&mut seen[index], true) {
                return Err(ImportError::Unexpected {
                    location: codes[0].0.into(),
                    found: format!("the operands {} and {} again", codes[0].1, codes[1].1),
                    expected: "every pair once".into(),
                });
            }
            values[index] = entry(value, section == 0)?;
        }
        tables.push(values);
    }
    Ok(tables)
}

/// The bit pattern of a code, which may be given as the pattern.
fn pattern(format: OperandFormat, (position, code): (Position, i64)) -> Result<usize, ImportError> {
    let is_pattern = |pattern: &usize| *pattern < format.cardinality();
    match i32::try_from(code) {
        Ok(code) if format.contains(code) => Ok(format.pattern(code)),
        _ => usize::try_from(code)
            .ok()
            .filter(is_pattern)
            .ok_or_else(|| ImportError::Unexpected {
                location: position.into(),
                found: format!("the code {code}"),
                expected: format!(
                    "a code of a {format} operand, {} to {}",
                    format.min_code(),
                    format.max_code()
                ),
            }),
    }
}

/// A product, which is a whole number, or a derivative.
fn entry((position, cell): (Position, &str), is_product: bool) -> Result<f64, ImportError> {
    if is_product {
        // Whole numbers that are read are exact in this type, or too large for any table.
        return Ok(number(position, cell)? as f64);
    }
    let value = cell.parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| ImportError::Unexpected {
        location: position.into(),
        found: quoted(cell),
        expected: "a number".into(),
    })
}

/// Gives a multiplier the derivatives of its file.
fn add_gradients(
    draft: &mut Draft,
    tables: [&Vec<f64>; 2],
    headings: [&str; 2],
    options: &ImportOptions,
) -> Result<(), ImportError> {
    let scales = headings.map(scale);
    let [first, second] = [0, 1].map(|which| -> Vec<f32> {
        let values = tables[which].iter();
        values.map(|value| (value / scales[which]) as f32).collect()
    });
    let is_exchanged = match headings.map(operand) {
        [Some(first), Some(second)] if first != second => first == 1,
        [None, None] => {
            draft.notes.push(Note::assumption(
                "The file does not say which of its derivatives are by which operand: the first ones were taken as those \
                 by the first operand.",
            ));
            false
        }
        _ => {
            return Err(ImportError::Undetermined {
                location: Location::default(),
                missing: format!(
                    "it is not known by which operand the derivatives under {} and {} are",
                    quoted(headings[0].trim()),
                    quoted(headings[1].trim())
                ),
                remedy: "name one operand in each heading, a or b".into(),
            });
        }
    };
    let (by_first, by_second) = match is_exchanged {
        false => (first, second),
        true => (second, first),
    };
    let multiplier = &draft.multiplier;
    let formats = (multiplier.activation(), multiplier.weight());
    let tables = match options.swap_operands {
        false => GradientTables::from_slices(formats.0, formats.1, &by_first, &by_second)?,
        true => GradientTables::from_slices(formats.1, formats.0, &by_first, &by_second)?.swapped(),
    };
    draft.multiplier = multiplier.with_gradient_tables(tables)?;
    draft.notes.push(Note::information(format!(
        "The file has derivatives, which became the multiplier's own, divided by {} and by {}.",
        scales[0], scales[1]
    )));
    Ok(())
}

/// The operand that a heading names, if it is one.
fn operand(heading: &str) -> Option<usize> {
    let heading = heading.to_ascii_lowercase();
    let names = |side: usize| {
        let mut words = heading.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| OPERANDS[side].contains(&word))
    };
    match [names(0), names(1)] {
        [true, false] => Some(0),
        [false, true] => Some(1),
        _ => None,
    }
}

/// What the derivatives under a heading such as `Gradient to a (scaled by 16):` were multiplied by; 1 if it says nothing.
fn scale(heading: &str) -> f64 {
    let heading = heading.to_ascii_lowercase();
    let after = heading.split_once("scale").map_or("", |(_, after)| after);
    let start = after.find(|c: char| c.is_ascii_digit());
    let number = start.map_or("", |start| &after[start..]);
    let end = number.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let number = number[..end.unwrap_or(number.len())].trim_end_matches('.');
    let scale = number.parse().ok();
    scale
        .filter(|scale: &f64| *scale > 0.0 && scale.is_finite())
        .unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use rstest::rstest;

    use super::super::parse;
    use super::*;
    use crate::Multiplier;
    use crate::import::NoteKind;

    fn parsed(text: &str) -> Result<Draft, ImportError> {
        parse(text, "t", &ImportOptions::default())
    }

    /// Rows for all codes of two ranges.
    fn rows(
        codes: [std::ops::Range<i32>; 2],
        separator: &str,
        value: fn(i32, i32) -> f64,
    ) -> String {
        let mut text = String::new();
        let [rows, columns] = codes;
        for a in rows {
            for b in columns.clone() {
                writeln!(text, "{a}{separator}{b}{separator}{}", value(a, b)).unwrap();
            }
        }
        text
    }

    fn product(a: i32, b: i32) -> f64 {
        f64::from(a * b - (a & b & 1))
    }

    fn multiplier(formats: [&str; 2]) -> Multiplier {
        let [activation, weight] = formats.map(|format| format.parse().unwrap());
        Multiplier::from_fn("t", activation, weight, |a, b| a * b - (a & b & 1)).unwrap()
    }

    #[rstest]
    #[case("", [0..4, 0..8], " ", ["uint2", "uint3"])]
    #[case("Warning: 3 nets\n\nproducts:\n", [-4..4, -2..2], "\t", ["int3", "int2"])]
    #[case("a,b,product\n", [-4..4, 0..4], ",", ["int3", "uint2"])]
    #[case("# 1 2 3\n2 lines\n", [0..4, 0..4], "; ", ["uint2", "uint2"])]
    fn the_codes_say_the_formats(
        #[case] before: &str,
        #[case] codes: [std::ops::Range<i32>; 2],
        #[case] separator: &str,
        #[case] formats: [&str; 2],
    ) {
        let text = format!("{before}{}", rows(codes, separator, product));
        let draft = parsed(&text).unwrap();
        assert_eq!(draft.multiplier, multiplier(formats));
        assert_eq!(draft.notes, []);
        // In any order of rows.
        let mut lines: Vec<&str> = text.lines().skip(before.lines().count()).collect();
        lines.reverse();
        assert_eq!(
            parsed(&lines.join("\n")).unwrap().multiplier,
            multiplier(formats)
        );
    }

    #[test]
    fn codes_may_be_bit_patterns() {
        let text = rows([0..4, 0..4], " ", |a, b| product((a ^ 2) - 2, (b ^ 2) - 2));
        let draft = parsed(&text).unwrap();
        assert_eq!(draft.multiplier, multiplier(["int2", "int2"]));
        assert_eq!(draft.notes[0].kind, NoteKind::Assumption);
    }

    #[rstest]
    #[case(["d/da (scaled by 4):", "d/db, scale 8"], [4.0, 8.0], false, NoteKind::Information)]
    #[case(["Gradient to weight", "Gradient to activation"], [1.0, 1.0], true, NoteKind::Information)]
    #[case(["--", "--"], [1.0, 1.0], false, NoteKind::Assumption)]
    fn derivatives_become_the_multipliers_own(
        #[case] headings: [&str; 2],
        #[case] scales: [f64; 2],
        #[case] exchanged: bool,
        #[case] kind: NoteKind,
        #[values(false, true)] swap_operands: bool,
    ) {
        let codes = || [-2..2, 0..8];
        let derivatives: [fn(i32, i32) -> f64; 2] = match exchanged {
            false => [|_, b| f64::from(b) * 1.5, |a, _| f64::from(a)],
            true => [|a, _| f64::from(a), |_, b| f64::from(b) * 1.5],
        };
        let text = format!(
            "{}{}\n{}{}\n{}",
            rows(codes(), " ", product),
            headings[0],
            rows(codes(), " ", derivatives[0]),
            headings[1],
            rows(codes(), " ", derivatives[1]),
        );
        let options = ImportOptions {
            swap_operands,
            ..ImportOptions::default()
        };
        let draft = parse(&text, "t", &options).unwrap();
        let multiplier = match swap_operands {
            true => draft.multiplier.swapped(),
            false => draft.multiplier,
        };
        let [by_first, by_second] = match exchanged {
            false => [scales[0], scales[1]],
            true => [scales[1], scales[0]],
        };
        let expected = GradientTables::from_fn(
            multiplier.activation(),
            multiplier.weight(),
            |_, b| f64::from(b) * 1.5 / by_first,
            |a, _| f64::from(a) / by_second,
        );
        assert_eq!(multiplier.gradient_tables(), Some(&expected.unwrap()));
        assert_eq!(draft.notes[0].kind, kind, "{:?}", draft.notes);
    }

    #[rstest]
    #[case("0 0 0\n0 0 0\n0 0 0", "codes from 0 to 0")]
    #[case("0 0 0\n3 3 9", "2 rows, expected one for each of 4 x 4")]
    #[case("0 0 0\n0 1 x\n", "line 2, column 5: found \"x\"")]
    #[case("0 0 0\n0 1\n", "line 2, column 1: found \"0 1\"")]
    #[case("0 0 0\n0 1.5 2\n", "line 2, column 3")]
    #[case("0 0 0\nand\n0 0 0\nand\n0 0 0\nand\n0 0 0", "a fourth table")]
    #[case("1 0 0\n2 0 0\n3 0 0\n4 3 9\n", "codes from 1 to 4")]
    #[case(
        "0 0 0\n9223372036854775807 -9223372036854775808 0",
        "codes from 0 to 9223372036854775807"
    )]
    fn other_rows_are_refused(#[case] text: &str, #[case] expected: &str) {
        let error = parsed(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn pairs_come_once_and_derivatives_for_both_operands() {
        let products = rows([0..4, 0..4], " ", product);
        let error = |text: String| parsed(&text).unwrap_err().to_string();
        let twice = error(products.replace("3 3 8", "3 2 8"));
        assert!(twice.contains("the operands 3 and 2 again"), "{twice}");
        let two = error(format!("{products}gradient\n{products}"));
        assert!(two.contains("2 tables"), "{two}");
        let same = error(format!("{products}by a\n{products}by a\n{products}"));
        assert!(same.contains("by which operand"), "{same}");
    }
}
