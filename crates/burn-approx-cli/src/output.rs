//! What the program prints: results as text or JSON on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Table};
use serde::Serialize;

use crate::error::CliError;

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Results as JSON or as text.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a result: the first argument as JSON, or the second as it is.
    pub fn result(self, json: &impl Serialize, text: impl Display) -> Result<(), CliError> {
        let text = match self.json {
            true => {
                serde_json::to_string_pretty(json).map_err(|error| CliError::Print(error.into()))?
            }
            false => text.to_string(),
        };
        match writeln!(std::io::stdout().lock(), "{text}") {
            // Whoever reads has had enough, `head` for instance.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(CliError::Print),
        }
    }

    /// Prints what was assumed, or should be looked at.
    pub fn note(self, text: impl Display) {
        Self::line("note", "\x1b[36m", &text);
    }

    /// Prints why the program failed.
    pub fn error(error: &CliError) {
        Self::line("error", "\x1b[1;31m", error);
    }

    /// A line on standard error; nothing is to be done if that is closed.
    fn line(label: &str, color: &str, text: &dyn Display) {
        let mut stderr = std::io::stderr().lock();
        let _ = match stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none() {
            true => writeln!(stderr, "{color}{label}\x1b[0m: {text}"),
            false => writeln!(stderr, "{label}: {text}"),
        };
    }
}

/// A table with a header, whose columns from the second on are numbers.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::UTF8_BORDERS_ONLY)
        .set_header(header.map(|text| Cell::new(text).add_attribute(Attribute::Bold)));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A number to six significant digits, without needless ones.
pub fn number(value: f64) -> String {
    // What is left of sums that cancel out is no number to be shown.
    if value.abs() < 1e-12 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..9.0).contains(&magnitude) {
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{digits}e{exponent}");
    }
    let decimals = (5.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (255.0, "255"),
            (0.081234567, "0.0812346"),
            (-1.5, "-1.5"),
            (123456.7, "123457"),
            (1e-7, "1e-7"),
            (1073741824.0, "1.074e9"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
