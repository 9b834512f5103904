//! Tables as C headers.

use std::io::{self, Write};

use super::text::write_row;
use super::{Element, description};
use crate::ProductTable;

pub(super) fn write(name: &str, table: &ProductTable, writer: &mut dyn Write) -> io::Result<()> {
    let (rows, columns) = (
        table.activation().cardinality(),
        table.weight().cardinality(),
    );
    let element = match Element::of(table) {
        Element::Signed16 => "int16_t",
        Element::Unsigned16 => "uint16_t",
        Element::Signed32 => "int32_t",
    };
    writeln!(writer, "/* {}.", description(name, table))?;
    writeln!(
        writer,
        " * The product of a and b is lut[a & {:#x}][b & {:#x}]. */",
        table.activation().mask(),
        table.weight().mask()
    )?;
    writeln!(writer, "#include <stdint.h>\n")?;
    writeln!(writer, "static const {element} lut[{rows}][{columns}] = {{")?;
    for row in table.entries().chunks_exact(columns) {
        write!(writer, "{{")?;
        // C has no literal for the smallest number: its digits are a positive one, which does not fit.
        write_row(row, writer)?;
        writeln!(writer, "}},")?;
    }
    writeln!(writer, "}};")
}
