//! From a circuit, or a function that is run, to the multiplier that it is: its ports become operands ([`operands`]), their
//! numbers are signed or not ([`readings`]), and its function a table or factors ([`evaluation`]).

mod area;
mod evaluation;
mod interpretation;
mod netlist;
mod operands;
mod ports;
mod readings;
mod subject;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use approx_netlists::{Netlist, NetlistFormat, NetlistLimits, NetlistOptions};

pub use interpretation::SignExtension;
pub(super) use interpretation::{codes, compared_indices};
pub(super) use operands::{no_multiplier, ordered};
pub use ports::PortNames;
pub(super) use subject::{Contradiction, Function, Indices, Operands, Subject};

use super::claims::Claims;
use super::library::{LibraryName, hardware_figures};
use super::reading::Draft;
use super::review::review;
use super::yosys::Synthesised;
use super::{ImportError, ImportOptions, Imported, Note};
use crate::{MAX_INDEX_BITS, Multiplier};
use interpretation::Interpretation;

/// How large a circuit may be. What is larger is an error before it takes memory or time.
///
/// ```
/// use approx_multiplier::import::CircuitLimits;
///
/// assert_eq!(CircuitLimits::default().evaluations, 1 << 40);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitLimits {
    /// How large its text may be, and what it describes.
    pub netlist: NetlistLimits,
    /// Evaluations of the circuit, one for each gate and each pair of operands: 2^40 unless told otherwise, some
    /// seconds. It bounds the gates of a multiplier of 12 x 12 bits, or of more, to 2^16.
    pub evaluations: u64,
}

impl Default for CircuitLimits {
    fn default() -> Self {
        Self {
            netlist: NetlistLimits::default(),
            evaluations: 1 << 40,
        }
    }
}

/// Reads the multiplier that a circuit is, with what was assumed to read it as one among the notes.
///
/// Up to [`MAX_INDEX_BITS`](crate::MAX_INDEX_BITS) it is tabulated. Beyond that it is factorised, and its products are
/// compared with the circuit's on random and extreme operand pairs, as one of the notes says.
///
/// The operands are signed or not as the options say, else as the circuit's name or its declarations say; where these
/// say nothing, the reading is taken under which the circuit is the better multiplier. Bits that the options give are
/// those of C functions whose parameters are wider than that, and of the operands in an undivided list of inputs.
///
/// ```
/// use approx_multiplier::import::{self, ImportOptions, NetlistFormat};
/// use approx_multiplier::{OperandFormat, ProductTable};
///
/// let text = "
///     module mul2u(input [1:0] A, input [1:0] B, output [3:0] O);
///       wire [3:0] row0 = {2'b00, A & {2{B[0]}}};
///       wire [3:0] row1 = {1'b0, A & {2{B[1]}}, 1'b0};
///       assign O = row0 + row1;
///     endmodule";
/// let imported = import::circuit(text, NetlistFormat::Verilog, &ImportOptions::default())?;
/// let uint2 = OperandFormat::unsigned(2)?;
/// assert_eq!(imported.multiplier.table(), Some(&ProductTable::exact(uint2, uint2)?));
/// assert!(imported.notes[0].text.contains("\"A\", of 2 bits, is the activation"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ImportError::Netlist`] if the text is no circuit, [`ImportError::NotAMultiplier`] if that does not have two
/// operands of 2 to 16 bits and a product, [`ImportError::Undetermined`] if their widths are not known, or its area
/// where the options have those of cells, [`ImportError::TooLarge`] if there are too many gates for as many operand
/// pairs, and [`ImportError::Multiplier`] if a product does not fit in 32 bits or a circuit that is too large for a table has no factors.
pub fn circuit(
    text: &str,
    format: NetlistFormat,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let netlist = Netlist::parse(text, format, &netlist_options(options))?;
    of_netlist(&netlist, text, format, options)
}

/// Reads the multiplier that a circuit in several files is.
pub(super) fn of_several(
    files: &[(&Path, &str)],
    format: NetlistFormat,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let netlist = Netlist::parse_several(files, format, &netlist_options(options))?;
    // What a file says of itself is said of what is in it.
    let own = files
        .iter()
        .find(|(path, _)| netlist.location().file.as_deref() == Some(*path));
    of_netlist(&netlist, own.map_or("", |(_, text)| text), format, options)
}

/// Reads the multiplier that a netlist is which Yosys made; `comments` is the text that it was made of.
pub(super) fn of_synthesised(
    synthesised: &Synthesised,
    comments: &str,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    // What was said of modules, parameters and cells was said to Yosys.
    let options = ImportOptions {
        top: None,
        parameters: BTreeMap::new(),
        cells: None,
        ..options.clone()
    };
    let netlist = Netlist::parse(
        &synthesised.text,
        NetlistFormat::Verilog,
        &netlist_options(&options),
    )?;
    let mut imported = of_netlist(&netlist, comments, NetlistFormat::Verilog, &options)?;
    let note = format!("{} has made a netlist of it.", synthesised.program);
    imported.notes.insert(0, Note::information(note));
    Ok(imported)
}

pub(super) fn netlist_options(options: &ImportOptions) -> NetlistOptions {
    NetlistOptions {
        top: options.top.clone(),
        preferred_top: Some(|name| LibraryName::parse(name).is_some()),
        parameters: options.parameters.clone(),
        cells: options.cells.clone(),
        undriven_nets_are_zero: options.undriven_nets_are_zero,
        limits: options.circuit_limits.netlist,
    }
}

/// The multiplier that a netlist is, with what the text of its file says besides.
fn of_netlist(
    netlist: &Netlist,
    text: &str,
    format: NetlistFormat,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let mut notes: Vec<Note> = netlist.notes().iter().map(Note::information).collect();
    notes.extend(netlist.assumptions().iter().map(Note::assumption));
    let (interpretation, others) = readings::interpret(netlist, options, &mut notes)?;
    let gates = interpretation.function.gates() as u64;
    let index_bits = interpretation.index_bits().min(MAX_INDEX_BITS);
    let most = options.circuit_limits.evaluations >> index_bits;
    if gates > most {
        return Err(ImportError::TooLarge {
            location: netlist.location().clone(),
            what: "gates of a multiplier with as many operand pairs",
            found: gates,
            limit: most,
        });
    }
    let multiplier = multiplier(netlist, &interpretation, options, &mut notes)?;
    let hardware = match (&options.cells, format) {
        (Some(library), NetlistFormat::Verilog) => Some(area::area(netlist, library, &mut notes)?),
        _ => hardware_figures(text),
    };
    let multiplier = match hardware {
        Some(hardware) => multiplier.with_hardware(hardware),
        None => multiplier,
    };
    let draft = Draft {
        multiplier,
        notes,
        others,
    };
    review(draft, &Claims::of_comments(text), options)
}

/// The multiplier that something is, read in one way.
fn multiplier<S: Subject>(
    subject: &S,
    interpretation: &Interpretation<S::Function>,
    options: &ImportOptions,
    notes: &mut Vec<Note>,
) -> Result<Multiplier, ImportError> {
    let multiplier = interpretation
        .multiplier(subject.name(), notes)
        .map_err(|error| error.at(subject.location()))?;
    Ok(match options.swap_operands {
        true => multiplier.swapped(),
        false => multiplier,
    })
}

/// Reads something else than a netlist as a multiplier. The text is that of its file, if it has one, which may have
/// figures and claims in comments.
pub(super) fn of_subject(
    subject: &impl Subject,
    text: &str,
    mut notes: Vec<Note>,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let (interpretation, others) = readings::interpret(subject, options, &mut notes)?;
    let multiplier = multiplier(subject, &interpretation, options, &mut notes)?;
    let multiplier = match hardware_figures(text) {
        Some(hardware) => multiplier.with_hardware(hardware),
        None => multiplier,
    };
    let draft = Draft {
        multiplier,
        notes,
        others,
    };
    review(draft, &Claims::of_comments(text), options)
}
