//! Tables as text with commas.

use std::io::{self, Write};

use super::description;
use crate::ProductTable;

pub(super) fn write(name: &str, table: &ProductTable, writer: &mut dyn Write) -> io::Result<()> {
    writeln!(writer, "# {}", description(name, table))?;
    for row in table.entries().chunks_exact(table.weight().cardinality()) {
        write_row(row, writer)?;
        writeln!(writer)?;
    }
    Ok(())
}

/// Numbers with commas between them.
pub(super) fn write_row(row: &[i32], writer: &mut dyn Write) -> io::Result<()> {
    for (column, entry) in row.iter().enumerate() {
        let separator = if column == 0 { "" } else { "," };
        write!(writer, "{separator}{entry}")?;
    }
    Ok(())
}
