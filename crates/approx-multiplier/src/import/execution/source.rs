//! Files in C and C++: by our own reader, or compiled and run where that is asked for.

use std::path::Path;
use std::rc::Rc;

use approx_netlists::{CFunction, NetlistError, NetlistFormat};

use super::Execution;
use super::compiler::{Compiler, Language};
use super::function::Callable;
use super::program::Program;
use crate::import::circuit::{self, netlist_options, no_multiplier};
use crate::import::{FileKind, ImportError, ImportOptions, Imported, Location, Note, parse};

impl Language {
    /// What a file is in; `None` if that is nothing to compile. A file in C may begin with an array, and have functions
    /// after it.
    pub fn of(path: &Path, kind: FileKind, options: &ImportOptions) -> Option<Self> {
        match kind {
            FileKind::CSource => Some(Self::C),
            FileKind::CPlusPlusSource => Some(Self::CPlusPlus),
            FileKind::CHeader if options.kind.is_none() => {
                let named = FileKind::of_name(path);
                (named == Some(FileKind::CSource)).then_some(Self::C)
            }
            _ => None,
        }
    }
}

/// Reads a multiplier from files of a kind; `name` is its own if it is a table of one file.
pub(in crate::import) fn read(
    files: &[(&Path, &str)],
    (kind, language): (FileKind, Language),
    name: &str,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    if options.execution == Execution::Compile {
        return compiled(files, language, options);
    }
    let read = match files {
        [(path, text)] => {
            parse(text.as_bytes(), kind, name, options).map_err(|error| error.in_file(path))
        }
        files if language == Language::C => circuit::of_several(files, NetlistFormat::C, options),
        _ => Err(no_circuit().into()),
    };
    let is_function = || {
        files
            .first()
            .is_some_and(|file| function(file, options).is_ok())
    };
    read.map_err(|error| match error {
        ImportError::Netlist(source @ NetlistError::Unexpected { .. }) if is_function() => {
            ImportError::NeedsExecution { source }
        }
        error => error,
    })
}

/// The error that C++ is for compilers alone.
pub(in crate::import) fn no_circuit() -> NetlistError {
    NetlistError::Unexpected {
        location: Location::default(),
        found: "a file in C++".into(),
        expected: "a circuit in C, Verilog or BLIF".into(),
    }
}

/// The function that is meant in a file.
fn function(
    (path, text): &(&Path, &str),
    options: &ImportOptions,
) -> Result<CFunction, NetlistError> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
    CFunction::find(text, stem.as_deref(), &netlist_options(options))
}

/// Reads the multiplier that a function computes, which is in the first of some files; the others are linked with it.
fn compiled(
    files: &[(&Path, &str)],
    language: Language,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let Some(file @ (_, text)) = files.first() else {
        return Err(ImportError::Undetermined {
            location: Location::default(),
            missing: "there is no file to compile".into(),
            remedy: "give at least one".into(),
        });
    };
    let function = function(file, options)?;
    let output = output(&function, options)?;
    let folder = tempfile::tempdir().map_err(|source| ImportError::Io {
        path: std::env::temp_dir(),
        source,
    })?;
    let compiler = Compiler::find(language)?;
    let paths: Vec<&Path> = files.iter().map(|(path, _)| *path).collect();
    let program = compiler.compile(&paths, &function, output, folder.path())?;
    let home = Some(folder.path());
    let callable = Callable {
        program: Rc::new(Program::new(
            &[program.as_ref()],
            home,
            options.execution_limits,
        )),
        name: function.name().to_owned(),
        location: function.location().clone(),
        inputs: function.inputs().to_vec(),
        outputs: vec![function.outputs()[output].clone()],
    };
    let note = format!(
        "{} has compiled {:?}: its products are those that it computed.",
        compiler.name(),
        function.name()
    );
    callable.read(text, vec![Note::information(note)], options)
}

/// Which of a function's outputs is the product: the only one, or the one that the options name. It must have two inputs.
fn output(function: &CFunction, options: &ImportOptions) -> Result<usize, ImportError> {
    let wrong = |what: &str, count: usize| {
        let plural = if count == 1 { "" } else { "s" };
        let found = format!("{count} {what}{plural}");
        Err(no_multiplier(function.name(), function.location(), found))
    };
    let inputs = function.inputs().len();
    if inputs != 2 {
        return wrong("parameter", inputs);
    }
    let outputs = function.outputs();
    let named = match options.ports.product.as_slice() {
        [name] => outputs.iter().position(|output| output.name == *name),
        _ => None,
    };
    match (named, outputs.len()) {
        (Some(output), _) => Ok(output),
        (None, 1) => Ok(0),
        (None, count) => wrong("output", count),
    }
}
