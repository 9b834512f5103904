//! Raw little-endian tables. Nothing but the size tells what is in them, and that may be two things: of a square table,
//! products of four bytes, or products of one byte of operands that have a bit more.

mod mantissas;

use super::reading::Draft;
use super::table::{self, CodeOrder, Formats, Stated, TableReading};
use super::{ImportError, ImportOptions, Location};
use crate::{MAX_INDEX_BITS, MultiplierError, OperandFormat, ProductTable};

/// How products lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// The operands' bits in the order of the file.
    bits: [u8; 2],
    /// The bytes of each product: 1, 2 or 4.
    width: usize,
}

pub(super) fn parse(
    bytes: &[u8],
    name: &str,
    options: &ImportOptions,
) -> Result<Draft, ImportError> {
    let layouts = layouts(bytes.len(), options)?;
    let is_open = layouts.len() > 1;
    let mut tables = Vec::new();
    for layout in layouts {
        let formats = table::formats_of_bits(layout.bits, &Stated::default(), name, options)?;
        table::check_index_bits(formats.formats)?;
        tables.push(Table::new(layout, formats, bytes, is_open)?);
    }
    let readings = tables.iter().flat_map(|table| table.open(options));
    let all = || tables.iter().flat_map(Table::all).collect();
    let notes = tables[0].formats.notes.clone();
    let mut draft = table::chosen(readings.collect(), all, notes, name, options)?;
    draft.notes.extend(mantissas::warning(bytes));
    Ok(draft)
}

/// The products of a file in one layout, read as signed and as unsigned numbers.
struct Table {
    formats: Formats,
    signed: ProductTable,
    unsigned: ProductTable,
    /// The bytes of each product, where they are open.
    layout: Option<&'static str>,
}

impl Table {
    fn new(
        layout: Layout,
        formats: Formats,
        bytes: &[u8],
        is_open: bool,
    ) -> Result<Self, MultiplierError> {
        let table = |signed: bool| {
            let entries: Vec<i32> = bytes
                .chunks_exact(layout.width)
                .map(|bytes| match (bytes, signed) {
                    (&[byte], true) => byte.cast_signed().into(),
                    (&[byte], false) => byte.into(),
                    (&[low, high], true) => i16::from_le_bytes([low, high]).into(),
                    (&[low, high], false) => u16::from_le_bytes([low, high]).into(),
                    (bytes, _) => bytes
                        .iter()
                        .rev()
                        .fold(0, |entry, &byte| entry << 8 | i32::from(byte)),
                })
                .collect();
            ProductTable::from_slice(formats.formats[0], formats.formats[1], &entries)
        };
        let signed = table(true)?;
        let unsigned = match layout.width {
            4 => signed.clone(),
            _ => table(false)?,
        };
        Ok(Self {
            layout: is_open.then_some(match layout.width {
                1 => "1 byte",
                2 => "2 bytes",
                _ => "4 bytes",
            }),
            formats,
            signed,
            unsigned,
        })
    }

    /// The readings that are open.
    fn open(&self, options: &ImportOptions) -> Vec<TableReading> {
        self.readings(&self.formats.possible(), options.order)
    }

    /// All readings in this layout.
    fn all(&self) -> Vec<TableReading> {
        let formats = table::signednesses(self.formats.formats);
        self.readings(&formats, None)
    }

    fn readings(
        &self,
        formats: &[[OperandFormat; 2]],
        order: Option<CodeOrder>,
    ) -> Vec<TableReading> {
        let ways = table::ways(formats, &self.formats.orders(order)).into_iter();
        ways.map(|(formats, orders)| {
            // Products are signed if an operand is.
            let table = match formats.iter().any(|format| format.is_signed()) {
                true => &self.signed,
                false => &self.unsigned,
            };
            TableReading {
                formats,
                orders,
                table: table.clone(),
                layout: self.layout,
            }
        })
        .collect()
    }
}

/// The layouts that a file of this size may have, the usual one first.
fn layouts(size: usize, options: &ImportOptions) -> Result<Vec<Layout>, ImportError> {
    let wrong = |expected: String| ImportError::Unexpected {
        location: Location::default(),
        found: format!("{size} bytes"),
        expected,
    };
    if let Some(bits) = options.bits {
        let bits = if options.swap_operands {
            [bits[1], bits[0]]
        } else {
            bits
        };
        // Widths out of range have formats that say so.
        let entries = 1usize
            .checked_shl(u32::from(bits[0]) + u32::from(bits[1]))
            .unwrap_or(0);
        return [1, 2, 4]
            .into_iter()
            .find(|width| entries.checked_mul(*width) == Some(size))
            .map(|width| vec![Layout { bits, width }])
            .ok_or_else(|| {
                wrong(format!(
                    "1, 2 or 4 for each product of {} x {} bits",
                    bits[0], bits[1]
                ))
            });
    }
    // 2^(2 n) products of 1, 2 or 4 bytes: an even or an odd power of two.
    let exponent = size.checked_ilog2().unwrap_or(0);
    let widths: &[usize] = match exponent.is_multiple_of(2) {
        true => &[4, 1],
        false => &[2],
    };
    let square = |&width: &usize| {
        let bits = (exponent.saturating_sub(width.ilog2()) / 2) as u8;
        let possible = OperandFormat::MIN_BITS..=OperandFormat::MAX_BITS;
        (size.is_power_of_two() && possible.contains(&bits)).then_some(Layout {
            bits: [bits, bits],
            width,
        })
    };
    let mut layouts: Vec<Layout> = widths.iter().filter_map(square).collect();
    if layouts.is_empty() {
        return Err(wrong(
            "1, 2 or 4 for each product of two operands of as many bits, unless the options give the bits".into(),
        ));
    }
    // The usual one is refused if it is too large; another one is no alternative then.
    let usual = layouts[0];
    layouts.retain(|layout| {
        let index_bits = u32::from(layout.bits[0]) + u32::from(layout.bits[1]);
        *layout == usual || index_bits <= MAX_INDEX_BITS
    });
    Ok(layouts)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(131_072, None, &[(8, 8, 2)])]
    #[case(262_144, None, &[(8, 8, 4), (9, 9, 1)])]
    #[case(32, None, &[(2, 2, 2)])]
    #[case(16, None, &[(2, 2, 1)])]
    #[case(64, None, &[(2, 2, 4), (3, 3, 1)])]
    #[case(65_536, None, &[(7, 7, 4), (8, 8, 1)])]
    #[case(1 << 26, None, &[(12, 12, 4)])]
    #[case(0, None, &[])]
    #[case(1, None, &[])]
    #[case(8, None, &[])]
    #[case(131_073, None, &[])]
    #[case(4096, Some([8, 4]), &[(8, 4, 1)])]
    #[case(8192, Some([8, 4]), &[(8, 4, 2)])]
    #[case(16384, Some([8, 4]), &[(8, 4, 4)])]
    #[case(32768, Some([8, 4]), &[])]
    #[case(32768, Some([255, 255]), &[])]
    fn the_size_tells_the_layout(
        #[case] size: usize,
        #[case] bits: Option<[u8; 2]>,
        #[case] expected: &[(u8, u8, usize)],
    ) {
        let options = ImportOptions {
            bits,
            ..ImportOptions::default()
        };
        let found = layouts(size, &options).unwrap_or_default();
        let found: Vec<(u8, u8, usize)> = found
            .iter()
            .map(|layout| (layout.bits[0], layout.bits[1], layout.width))
            .collect();
        assert_eq!(found, expected);
    }
}
