//! Tables as raw little-endian integers.

use std::io::{self, Write};

use super::Element;
use crate::ProductTable;

pub(super) fn write(table: &ProductTable, writer: &mut dyn Write) -> io::Result<()> {
    let size = match Element::of(table) {
        // The low half of a number in two's complement is the number with 16 bits.
        Element::Signed16 | Element::Unsigned16 => 2,
        Element::Signed32 => 4,
    };
    for entry in table.entries() {
        writer.write_all(&entry.to_le_bytes()[..size])?;
    }
    Ok(())
}
