//! The ways to read a table of numbers: signed or not, with rows and columns in the order of their codes' bit patterns or
//! of their values. They are compared, the best one is taken, and what was open is put down in a note.

use rayon::prelude::*;

use crate::import::reading::{self, Alternative, Choice, Draft, Reading, ReadingError};
use crate::import::{ImportError, ImportOptions, Note};
use crate::table::index_bits;
use crate::{Multiplier, MultiplierError, OperandFormat, ProductTable, Signedness};

/// Which codes the rows or the columns of a table are for, from the first to the last.
///
/// ```
/// use approx_multiplier::import::{self, CodeOrder, FileKind, ImportOptions};
///
/// // Of 2-bit codes: -2, -1, 0 and 1.
/// let text = "4 2 0 -2\n2 1 0 -1\n0 0 0 0\n-2 -1 0 1\n";
/// let read = |order| {
///     let options = ImportOptions { order, ..ImportOptions::default() };
///     import::parse(text.as_bytes(), FileKind::Text, "mine", &options)
/// };
/// let product = |order| Ok::<_, import::ImportError>(read(order)?.multiplier.product(-2, 1));
/// assert_eq!(product(None)?, Some(-2));
/// assert_eq!(product(Some(CodeOrder::Pattern))?, Some(0));
/// # Ok::<(), import::ImportError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeOrder {
    /// Bit patterns as unsigned numbers: 0 to 127 and then -128 to -1.
    Pattern,
    /// Values: -128 to 127.
    Value,
}

impl CodeOrder {
    /// The code of a row or column with this position.
    fn code(self, format: OperandFormat, position: usize) -> i32 {
        match self {
            Self::Pattern => format.code(position),
            // Operands have at most 16 bits.
            Self::Value => format.min_code() + position as i32,
        }
    }

    /// The position of the row or column for a code.
    fn position(self, format: OperandFormat, code: i64) -> usize {
        match self {
            Self::Pattern => format.pattern(code as i32),
            Self::Value => (code - i64::from(format.min_code())) as usize,
        }
    }
}

/// A way to read a table.
#[derive(Clone, Debug)]
pub(in crate::import) struct TableReading {
    pub formats: [OperandFormat; 2],
    /// That of the rows and that of the columns.
    pub orders: [CodeOrder; 2],
    /// The entries in the order of the file. The table's own formats are of no account.
    pub table: ProductTable,
    /// How the entries lie in the file, where that is open.
    pub layout: Option<&'static str>,
}

impl TableReading {
    /// The mean error over all operand pairs.
    fn error(&self, scale: u32) -> ReadingError {
        let sums = |(sum, squares): (u128, f64), (error, square)| (sum + error, squares + square);
        let [rows, columns] = self.formats;
        let index_bits = index_bits(rows, columns);
        let weights: Vec<i64> = (0..columns.cardinality())
            .map(|column| self.orders[1].code(columns, column).into())
            .collect();
        let entries = self.table.entries().par_chunks(weights.len()).enumerate();
        let rows: Vec<(u128, f64)> = entries
            .map(|(row, entries)| {
                let a = i64::from(self.orders[0].code(rows, row));
                let errors = entries.iter().zip(&weights).map(|(&entry, &b)| {
                    let error = (i64::from(entry) * i64::from(scale)).abs_diff(a * b);
                    (u128::from(error), (error as f64).powi(2))
                });
                errors.fold((0, 0.0), sums)
            })
            .collect();
        let (sum, squares) = rows.into_iter().fold((0, 0.0), sums);
        let count = self.table.entries().len() as f64;
        ReadingError {
            mean: sum as f64 / count,
            mean_squared: squares / count,
            index_bits,
        }
    }

    /// The table, with its entries in the order of bit patterns and multiplied by a scale.
    fn into_table(self, scale: u32) -> Result<ProductTable, MultiplierError> {
        let [rows, columns] = self.formats;
        let entries = self.table.entries();
        if self.orders == [CodeOrder::Pattern; 2] && scale == 1 {
            return match [self.table.activation(), self.table.weight()] == self.formats {
                true => Ok(self.table),
                false => ProductTable::from_slice(rows, columns, entries),
            };
        }
        let [by_row, by_column] = self.orders;
        ProductTable::from_fn(rows, columns, |a, b| {
            let row = by_row.position(rows, a) * columns.cardinality();
            i64::from(entries[row + by_column.position(columns, b)]) * i64::from(scale)
        })
    }
}

/// Formats of the same widths with each signedness, the usual ones first.
pub(in crate::import) fn signednesses(formats: [OperandFormat; 2]) -> Vec<[OperandFormat; 2]> {
    const SIGNED: Signedness = Signedness::Signed;
    const UNSIGNED: Signedness = Signedness::Unsigned;
    let with = |signedness: [Signedness; 2]| {
        [0, 1].map(|side| {
            OperandFormat::new(formats[side].bits(), signedness[side])
                .expect("the width is that of a format")
        })
    };
    [
        [SIGNED, SIGNED],
        [UNSIGNED, UNSIGNED],
        [SIGNED, UNSIGNED],
        [UNSIGNED, SIGNED],
    ]
    .map(with)
    .to_vec()
}

/// The different ways to read a table whose formats and orders are among these, the usual ones first. For unsigned
/// operands both orders are the same.
pub(in crate::import) fn ways(
    formats: &[[OperandFormat; 2]],
    orders: &[[CodeOrder; 2]],
) -> Vec<([OperandFormat; 2], [CodeOrder; 2])> {
    let mut ways: Vec<([OperandFormat; 2], [CodeOrder; 2])> = Vec::new();
    for &orders in orders {
        for &formats in formats {
            let orders = [0, 1].map(|side| match formats[side].is_signed() {
                true => orders[side],
                false => CodeOrder::Pattern,
            });
            if !ways.contains(&(formats, orders)) {
                ways.push((formats, orders));
            }
        }
    }
    ways
}

/// The multiplier of the best of the readings that are open, of which there is at least one. If that is far from the
/// exact products, all readings there are are looked at, to be told of.
pub(in crate::import) fn chosen(
    mut open: Vec<TableReading>,
    all: impl FnOnce() -> Vec<TableReading>,
    mut notes: Vec<Note>,
    name: &str,
    options: &ImportOptions,
) -> Result<Draft, ImportError> {
    let varies = |differs: fn(&TableReading, &TableReading) -> bool| {
        open.iter().any(|reading| differs(reading, &open[0]))
    };
    let varying = Varying {
        signedness: varies(|a, b| {
            a.formats.map(OperandFormat::signedness) != b.formats.map(OperandFormat::signedness)
        }),
        order: varies(|a, b| a.orders != b.orders),
        layout: varies(|a, b| a.layout != b.layout),
    };
    let scale = options.output_scale.map_or(1, u32::from);
    let rated = |reading: TableReading| Reading {
        name: varying.name(&reading),
        error: reading.error(scale),
        content: reading,
    };
    let usual = rated(open.remove(0));
    let choice = Reading::choose(usual, open.into_iter().map(rated).collect());
    if !choice.others.is_empty() {
        notes.push(choice.note(&varying.open(), &varying.remedy()));
    }
    let Choice { taken, mut others } = choice;
    if taken.error.is_far() {
        others = other_readings(&taken.content, all(), scale);
    }
    let multiplier = Multiplier::from_table(name, taken.content.into_table(scale)?);
    let multiplier = match options.swap_operands {
        true => multiplier.swapped(),
        false => multiplier,
    };
    Ok(Draft {
        multiplier,
        notes,
        others,
    })
}

/// All readings but one, with their errors, the nearest first.
fn other_readings(taken: &TableReading, all: Vec<TableReading>, scale: u32) -> Vec<Alternative> {
    let is_other = |reading: &TableReading| {
        (reading.formats, reading.orders, reading.layout)
            != (taken.formats, taken.orders, taken.layout)
    };
    let mut others: Vec<Alternative> = all
        .into_iter()
        .filter(is_other)
        .map(|reading| Alternative {
            name: Varying::ALL.name(&reading),
            error: reading.error(scale),
        })
        .collect();
    reading::sort(&mut others);
    others
}

/// What differs from reading to reading, and is open therefore.
#[derive(Clone, Copy)]
struct Varying {
    signedness: bool,
    order: bool,
    layout: bool,
}

impl Varying {
    const ALL: Self = Self {
        signedness: true,
        order: true,
        layout: true,
    };

    /// How a reading takes what is open.
    fn name(self, reading: &TableReading) -> String {
        let mut parts = Vec::new();
        if let (true, Some(layout)) = (self.layout, reading.layout) {
            let [rows, columns] = reading.formats.map(OperandFormat::bits);
            parts.push(format!(
                "as {rows} x {columns} bits with {layout} for each product"
            ));
        }
        if self.signedness {
            parts.push(match reading.formats.map(OperandFormat::signedness) {
                [first, second] if first == second => format!("as {first}"),
                [first, second] => format!("as {first} and {second}"),
            });
        }
        let is_signed = reading.formats.iter().any(|format| format.is_signed());
        if self.order && is_signed {
            parts.push(match reading.orders.contains(&CodeOrder::Value) {
                false => "in the order of their bit patterns".into(),
                true => "in the order of their values".into(),
            });
        }
        parts.join(", ")
    }

    /// What the file does not say of its operands.
    fn open(self) -> String {
        let open = [
            (
                self.layout,
                "how many bits its operands and its products have",
            ),
            (self.signedness, "whether its operands are signed"),
            (self.order, "in which order the codes of its operands are"),
        ];
        let open = open.iter().filter(|(is_open, _)| *is_open);
        open.map(|(_, open)| *open)
            .collect::<Vec<_>>()
            .join(", nor ")
    }

    /// What must be given to have another reading.
    fn remedy(self) -> String {
        let remedies = [
            (self.layout, "the bits"),
            (self.signedness, "the signedness"),
            (self.order, "the order"),
        ];
        let remedies = remedies.iter().filter(|(is_open, _)| *is_open);
        remedies
            .map(|(_, remedy)| *remedy)
            .collect::<Vec<_>>()
            .join(" or ")
    }
}
