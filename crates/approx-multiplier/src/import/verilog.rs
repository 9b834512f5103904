//! Files in Verilog: by our own reader, or through Yosys where they are more than a netlist.

use std::path::Path;

use approx_netlists::{NetlistError, NetlistFormat};

use super::yosys::{self, INSTALLING};
use super::{FileKind, ImportError, ImportOptions, Imported, Location, Synthesis, circuit, parse};

/// Reads a multiplier from files; `name` is its own if it is a table of one file.
pub(super) fn read(
    files: &[(&Path, &str)],
    name: &str,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    match options.synthesis {
        Synthesis::Always => through_yosys(files, None, options),
        Synthesis::Never => by_own_reader(files, name, options),
        Synthesis::WhereNeeded => match by_own_reader(files, name, options) {
            Err(ImportError::Netlist(beyond @ NetlistError::Unexpected { .. })) => {
                through_yosys(files, Some(beyond), options)
            }
            read => read,
        },
    }
}

fn by_own_reader(
    files: &[(&Path, &str)],
    name: &str,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    match files {
        [(path, text)] => parse(text.as_bytes(), FileKind::Verilog, name, options)
            .map_err(|error| error.in_file(path)),
        files => circuit::of_several(files, NetlistFormat::Verilog, options),
    }
}

/// Reads what Yosys makes of files; `own` is what our own reader has found beyond a netlist.
fn through_yosys(
    files: &[(&Path, &str)],
    own: Option<NetlistError>,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let synthesised = yosys::synthesise(files, options).map_err(|error| match (error, &own) {
        // Which of the two sees the mistake, is open.
        (ImportError::Synthesis { location, problem }, Some(own)) => ImportError::Synthesis {
            location,
            problem: format!("{problem} (and without Yosys: {own})"),
        },
        (error, _) => error,
    })?;
    let Some(synthesised) = synthesised else {
        return Err(match own {
            Some(source) => ImportError::NeedsYosys { source },
            None => ImportError::Undetermined {
                location: Location::default(),
                missing: "Yosys was asked for and is not installed".into(),
                remedy: format!("it is {INSTALLING}"),
            },
        });
    };
    let comments: String = files.iter().map(|(_, text)| *text).collect();
    circuit::of_synthesised(&synthesised, &comments, options).map_err(|error| match (error, own) {
        // Unknown bits, for instance, are no circuit either way: the place in the file is worth more.
        (ImportError::Netlist(_), Some(own)) => own.into(),
        (ImportError::Netlist(error), None) => ImportError::Synthesis {
            location: Location::default(),
            problem: format!(
                "what {} makes of it is no circuit: {error}",
                synthesised.program
            ),
        },
        (error, _) => error,
    })
}
