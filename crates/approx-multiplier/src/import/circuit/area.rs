//! What a circuit takes in hardware, as far as the areas of its cells say it.

use approx_netlists::{CellLibrary, Netlist};

use crate::HardwareFigures;
use crate::import::{ImportError, Note};

/// The sum of the areas of a circuit's cells.
pub(super) fn area(
    netlist: &Netlist,
    library: &CellLibrary,
    notes: &mut Vec<Note>,
) -> Result<HardwareFigures, ImportError> {
    let undetermined = |missing: String, remedy: &str| ImportError::Undetermined {
        location: netlist.location().clone(),
        missing,
        remedy: remedy.into(),
    };
    let cells = netlist.cells().ok_or_else(|| {
        undetermined(
            "its area is not known, for it has gates or expressions beside its cells".to_owned(),
            "map it to the cells of the library, or leave the areas of cells out",
        )
    })?;
    let mut sum = 0.0;
    for (cell, count) in cells {
        let area = library.area(cell).ok_or_else(|| {
            let library = library.name();
            undetermined(
                format!(
                    "its area is not known: the library {library:?} says none of the cell {cell:?}"
                ),
                "give the library that it was mapped to",
            )
        })?;
        sum += area * *count as f64;
    }
    notes.push(Note::information(format!(
        "Its area is the sum of those of its {} cells: {sum}, taken as square micrometres.",
        cells.values().sum::<u64>()
    )));
    Ok(HardwareFigures {
        area_um2: Some(sum),
        ..HardwareFigures::new(library.name())
    })
}
