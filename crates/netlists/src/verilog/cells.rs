//! Standard cells and primitives of FPGAs, whose functions are written in Verilog themselves: those that are known by
//! their names, and those of a user's library.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::parser::Parser;
use super::syntax::{Module, Syntax};
use crate::NetlistError;

/// Cells, with the text that they are written in.
pub(super) struct Library<'a> {
    syntax: Syntax<'a>,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> Library<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, NetlistError> {
        let syntax = Parser::new(text).modules()?;
        let names = syntax.modules.iter().map(|module| module.name.text);
        Ok(Self {
            by_name: names.zip(0..).collect(),
            syntax,
        })
    }

    pub(super) fn find(&self, name: &str) -> Option<Cell<'a, '_>> {
        let position = *self.by_name.get(name)?;
        Some((&self.syntax, &self.syntax.modules[position]))
    }
}

/// A cell, and the syntax that its expressions are in.
type Cell<'a, 's> = (&'s Syntax<'a>, &'s Module<'a>);

static STANDARD_CELLS: LazyLock<Library> = LazyLock::new(|| {
    Library::parse(include_str!("cells.v")).expect("the text of the cells is correct")
});

static FPGA_PRIMITIVES: LazyLock<Library> = LazyLock::new(|| {
    Library::parse(include_str!("fpga.v")).expect("the text of the primitives is correct")
});

/// The cell of a name with or without a drive strength, such as `NAND2_X4`, `NAND2X1` or `NAND2`, or the primitive of an
/// FPGA. A name of a standard cell without a strength is NanGate's.
pub(super) fn find(name: &str) -> Option<Cell<'static, 'static>> {
    let family = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let has_strength = family.ends_with('X') && family.len() < name.len();
    let cell = if has_strength {
        STANDARD_CELLS.find(family)
    } else if name.starts_with('$') {
        STANDARD_CELLS.find(name)
    } else {
        STANDARD_CELLS.find(&format!("{name}_X"))
    };
    cell.or_else(|| FPGA_PRIMITIVES.find(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_with_and_without_a_strength() {
        let found = |name| find(name).map(|(_, module)| module.name.text);
        assert_eq!(found("NAND2_X4"), Some("NAND2_X"));
        assert_eq!(found("NAND2X1"), Some("NAND2X"));
        assert_eq!(found("NAND2"), Some("NAND2_X"));
        assert_eq!(found("$_ANDNOT_"), Some("$_ANDNOT_"));
        assert_eq!(found("LUT6_2"), Some("LUT6_2"));
        for other in ["NAND2_X", "NAND9_X1", "DFF_X1", "X1", "", "MUX2X1", "LUT7"] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
