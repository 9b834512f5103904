//! What all kinds of table files share: from rows of numbers, and what is known about them, to a multiplier.

mod readings;

use super::library::LibraryName;
use super::reading::Draft;
use super::{ImportError, ImportOptions, Location, Note};
use crate::{MAX_INDEX_BITS, MultiplierError, OperandFormat, ProductTable, Signedness};

pub use readings::CodeOrder;
pub(super) use readings::{TableReading, chosen, signednesses, ways};

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
    /// Whether it gives the codes of its rows and of its columns, which were brought into the order of bit patterns.
    pub codes: [bool; 2],
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
            ..Self::default()
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
    /// In the order of the input: of the rows first. Those of a usual table, where the signedness is open.
    pub formats: [OperandFormat; 2],
    pub notes: Vec<Note>,
    /// Whether nothing says if the operands are signed.
    is_open: bool,
    /// Whether the rows and the columns are known to be in the order of bit patterns.
    is_ordered: [bool; 2],
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
    let mut is_open = false;
    let signedness = if let Some(signedness) = options.signedness {
        ordered(signedness, options)
    } else if let Some(formats) = stated.formats {
        formats.map(OperandFormat::signedness)
    } else if let Some((signedness, reason)) = stated.signedness {
        notes.push(Note::information(format!(
            "The operands were taken as {signedness}, as {reason}."
        )));
        [signedness; 2]
    } else if let Some(LibraryName { signedness, .. }) = LibraryName::parse(name) {
        notes.push(Note::information(format!(
            "The operands were taken as {signedness}, as the name {name:?} says."
        )));
        [signedness; 2]
    } else {
        is_open = true;
        [Signedness::Signed; 2]
    };
    Ok(Formats {
        formats: [
            OperandFormat::new(bits[0], signedness[0])?,
            OperandFormat::new(bits[1], signedness[1])?,
        ],
        notes,
        is_open,
        is_ordered: stated.codes.map(|given| given || stated.formats.is_some()),
    })
}

impl Formats {
    /// The multiplier of a table in the order of the input.
    pub fn multiplier(
        self,
        table: &ProductTable,
        name: &str,
        options: &ImportOptions,
    ) -> Result<Draft, ImportError> {
        let readings = |formats: &[[OperandFormat; 2]], order| {
            let ways = ways(formats, &self.orders(order)).into_iter();
            let reading = |(formats, orders)| TableReading {
                formats,
                orders,
                table: table.clone(),
                layout: None,
            };
            ways.map(reading).collect()
        };
        let open = readings(&self.possible(), options.order);
        let all = || readings(&signednesses(self.formats), None);
        chosen(open, all, self.notes.clone(), name, options)
    }

    /// The multiplier of entries in the order of the input.
    pub fn multiplier_of_entries(
        self,
        entries: &[i64],
        name: &str,
        options: &ImportOptions,
    ) -> Result<Draft, ImportError> {
        let table = ProductTable::from_entries(self.formats[0], self.formats[1], entries)?;
        self.multiplier(&table, name, options)
    }

    /// The formats that the table may have, the usual ones first.
    pub fn possible(&self) -> Vec<[OperandFormat; 2]> {
        match self.is_open {
            true => signednesses(self.formats),
            false => vec![self.formats],
        }
    }

    /// The orders that rows and columns may have, where one may be given, the usual one first.
    pub fn orders(&self, given: Option<CodeOrder>) -> Vec<[CodeOrder; 2]> {
        let unless_known = |order| {
            let is_known = |known: bool| if known { CodeOrder::Pattern } else { order };
            self.is_ordered.map(is_known)
        };
        match given {
            Some(order) => vec![unless_known(order)],
            None => [CodeOrder::Pattern, CodeOrder::Value]
                .map(unless_known)
                .to_vec(),
        }
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
