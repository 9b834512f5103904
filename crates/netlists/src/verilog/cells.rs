//! Standard cells, whose functions are written in Verilog themselves.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::parser::Parser;
use super::syntax::{Module, Syntax};

static CELLS: LazyLock<Syntax<'static>> = LazyLock::new(|| {
    Parser::new(include_str!("cells.v"))
        .modules()
        .expect("the text of the cells is correct")
});

static BY_NAME: LazyLock<HashMap<&str, &Module>> = LazyLock::new(|| {
    CELLS
        .modules
        .iter()
        .map(|module| (module.name.text, module))
        .collect()
});

/// The cell of a name with or without a drive strength, such as `NAND2_X4`, `NAND2X1` or `NAND2`, and the syntax that
/// its expressions are in. A name without one is NanGate's.
pub(super) fn find(name: &str) -> Option<(&'static Syntax<'static>, &'static Module<'static>)> {
    let family = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let has_strength = family.ends_with('X') && family.len() < name.len();
    let module = if has_strength {
        BY_NAME.get(family)
    } else if name.starts_with('$') {
        BY_NAME.get(name)
    } else {
        BY_NAME.get(format!("{name}_X").as_str())
    };
    module.map(|module| (&*CELLS, *module))
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
        for other in ["NAND2_X", "NAND9_X1", "DFF_X1", "X1", "", "MUX2X1"] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
