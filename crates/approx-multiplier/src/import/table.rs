//! What all kinds of table files share: from rows of numbers, and what is known about them, to a multiplier.

use super::library::LibraryName;
use super::{ImportError, ImportOptions, Imported, Location};
use crate::{MAX_INDEX_BITS, Multiplier, MultiplierError, OperandFormat, ProductTable, Signedness};

/// The most entries of a table.
pub(super) const MAX_ENTRIES: usize = 1 << MAX_INDEX_BITS;

/// A comment that says the formats is looked for in so many lines.
const LINES_WITH_FORMATS: usize = 16;

/// What an input says about the codes of its operands, in its own order: the one that selects the rows first.
#[derive(Clone, Debug, Default)]
pub(super) struct Stated {
    pub formats: Option<[OperandFormat; 2]>,
    /// Whether the operands are signed, and what of the input says so.
    pub signedness: Option<(Signedness, &'static str)>,
}

impl Stated {
    /// What a comment says that exported files start with; see [`formats_comment`].
    pub fn by_comment(text: &str) -> Self {
        let formats = text.lines().take(LINES_WITH_FORMATS).find_map(|line| {
            let (_, formats) = line.split_once("activation ")?;
            let (activation, rest) = formats.split_once(", weight ")?;
            let weight = rest.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
            Some([activation.parse().ok()?, weight.parse().ok()?])
        });
        Self {
            formats,
            signedness: None,
        }
    }
}

/// What [`Stated::by_comment`] finds.
pub(crate) fn formats_comment(activation: OperandFormat, weight: OperandFormat) -> String {
    format!(
        "activation {}, weight {}",
        activation.type_name(),
        weight.type_name()
    )
}

/// The operand formats of a table, and what was assumed to know them.
pub(super) struct Formats {
    /// In the order of the input: of the rows first.
    pub formats: [OperandFormat; 2],
    pub notes: Vec<String>,
    guessed: bool,
}

/// Finds the formats of a table with so many rows and columns.
pub(super) fn formats_of_shape(
    shape: [usize; 2],
    stated: &Stated,
    name: &str,
    options: &ImportOptions,
) -> Result<Formats, ImportError> {
    let expected = match (
        options.bits.map(|bits| ordered(bits, options)),
        stated.formats,
    ) {
        (Some(bits), _) => Some(bits),
        (None, formats) => formats.map(|formats| formats.map(OperandFormat::bits)),
    };
    let bits = match expected {
        Some(bits) => bits,
        None => {
            let [Some(rows), Some(columns)] = shape.map(exact_bits) else {
                return Err(wrong_shape(
                    shape,
                    "a power of two of each, from 4 to 65536",
                ));
            };
            [rows, columns]
        }
    };
    let needed = bits.map(|bits| 1usize.checked_shl(bits.into()).unwrap_or(0));
    if shape != needed {
        return Err(wrong_shape(
            shape,
            &format!(
                "{} x {} for {} x {} bits",
                needed[0], needed[1], bits[0], bits[1]
            ),
        ));
    }
    formats_of_bits(bits, stated, name, options)
}

/// Adds the signedness to known widths, which are in the order of the input.
pub(super) fn formats_of_bits(
    bits: [u8; 2],
    stated: &Stated,
    name: &str,
    options: &ImportOptions,
) -> Result<Formats, ImportError> {
    let mut notes = Vec::new();
    let mut guessed = false;
    let signedness = if let Some(signedness) = options.signedness {
        ordered(signedness, options)
    } else if let Some(formats) = stated.formats {
        formats.map(OperandFormat::signedness)
    } else if let Some((signedness, reason)) = stated.signedness {
        notes.push(format!(
            "The operands were taken as {signedness}, as {reason}."
        ));
        [signedness; 2]
    } else if let Some(LibraryName { signedness, .. }) = LibraryName::parse(name) {
        notes.push(format!(
            "The operands were taken as {signedness}, as the name {name:?} says."
        ));
        [signedness; 2]
    } else {
        guessed = true;
        notes.push(
            "The file does not say whether its operands are signed: they were taken as signed."
                .into(),
        );
        [Signedness::Signed; 2]
    };
    Ok(Formats {
        formats: [
            OperandFormat::new(bits[0], signedness[0])?,
            OperandFormat::new(bits[1], signedness[1])?,
        ],
        notes,
        guessed,
    })
}

impl Formats {
    /// The multiplier of a table whose rows and columns are in the order of the formats' bit patterns.
    pub fn multiplier(self, table: ProductTable, name: &str, options: &ImportOptions) -> Imported {
        let mut notes = self.notes;
        if self.guessed && closer_if_unsigned(&table) {
            notes.push(
                "Read as unsigned, the products would be closer to the exact ones: check the signedness."
                    .into(),
            );
        }
        let multiplier = Multiplier::from_table(name, table);
        Imported {
            multiplier: if options.swap_operands {
                multiplier.swapped()
            } else {
                multiplier
            },
            notes,
        }
    }

    /// The multiplier of entries, row by row in the order of the formats' bit patterns.
    pub fn multiplier_of_entries(
        self,
        entries: &[i64],
        name: &str,
        options: &ImportOptions,
    ) -> Result<Imported, ImportError> {
        let table = ProductTable::from_entries(self.formats[0], self.formats[1], entries)?;
        Ok(self.multiplier(table, name, options))
    }
}

/// What options give for activation and weight, in the order of the input.
fn ordered<T>([activation, weight]: [T; 2], options: &ImportOptions) -> [T; 2] {
    if options.swap_operands {
        [weight, activation]
    } else {
        [activation, weight]
    }
}

/// The bits of an operand with so many codes, if there is one.
pub(super) fn exact_bits(codes: usize) -> Option<u8> {
    let bits = codes.checked_ilog2()? as u8;
    let possible = OperandFormat::MIN_BITS..=OperandFormat::MAX_BITS;
    (codes.is_power_of_two() && possible.contains(&bits)).then_some(bits)
}

/// Whether the sum of the errors' magnitudes is smaller if both operands are unsigned.
fn closer_if_unsigned(table: &ProductTable) -> bool {
    let error = |signed: bool| -> f64 {
        let code = |format: OperandFormat, pattern: usize| {
            if signed {
                format.code(pattern) as f64
            } else {
                pattern as f64
            }
        };
        (0..table.activation().cardinality())
            .map(|row| {
                let a = code(table.activation(), row);
                table
                    .row(row)
                    .iter()
                    .enumerate()
                    .map(|(column, &entry)| {
                        (f64::from(entry) - a * code(table.weight(), column)).abs()
                    })
                    .sum::<f64>()
            })
            .sum()
    };
    error(false) < error(true)
}

fn wrong_shape(shape: [usize; 2], expected: &str) -> ImportError {
    ImportError::Unexpected {
        location: Location::default(),
        found: format!("a table of {} rows and {} columns", shape[0], shape[1]),
        expected: expected.into(),
    }
}

pub(super) fn too_many_entries(location: Location, found: u64) -> ImportError {
    ImportError::TooLarge {
        location,
        what: "entries",
        found,
        limit: MAX_ENTRIES as u64,
    }
}

/// The error for a table of these formats that is too large, before anything is read.
pub(super) fn check_index_bits(formats: [OperandFormat; 2]) -> Result<(), MultiplierError> {
    crate::table::entry_count(formats[0], formats[1]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_gives_the_formats() {
        let formats = [OperandFormat::UINT8, OperandFormat::signed(12).unwrap()];
        let text = format!(
            "// mine\n/* {}; rows first */\n",
            formats_comment(formats[0], formats[1])
        );
        assert_eq!(Stated::by_comment(&text).formats, Some(formats));
        assert_eq!(
            Stated::by_comment("activation int99, weight int8").formats,
            None
        );
    }
}
