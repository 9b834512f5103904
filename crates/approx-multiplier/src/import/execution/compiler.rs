//! The compilers of the system, and the program that one makes of a function: the file with it, a call of it, and a driver
//! that reads operands and writes products.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use approx_netlists::CFunction;

use super::ExecutionError;
use crate::import::ImportError;
use crate::import::process::{Finished, Limits, run_tool};

/// What is ours of the program.
const DRIVER: &str = include_str!("driver.c");

/// The compiled driver with the function, and the program.
const OBJECT: &str = "driver.o";
const PROGRAM: &str = "program";

/// Signed numbers wrap, as our own reader of C has them. A program that is in the file beside the function is not run.
const FLAGS: [&str; 5] = [
    "-O2",
    "-w",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-Dmain=approx_driver_other_main",
];

/// The words by which complaints of compilers and linkers are known, and the most lines of them that are quoted.
const COMPLAINTS: [&str; 3] = ["error", "undefined", "multiple definition"];
const QUOTED: usize = 4;

/// The languages that are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Language {
    C,
    CPlusPlus,
}

impl Language {
    /// The environment variable that names a compiler, and how it is called otherwise.
    fn compiler(self) -> (&'static str, &'static str) {
        match self {
            Self::C => ("CC", "cc"),
            Self::CPlusPlus => ("CXX", "c++"),
        }
    }

    /// As compilers call it.
    fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::CPlusPlus => "c++",
        }
    }

    fn driver(self) -> &'static str {
        match self {
            Self::C => "driver.c",
            Self::CPlusPlus => "driver.cc",
        }
    }
}

/// A compiler, as it is called here.
pub(super) struct Compiler {
    language: Language,
    /// Its name, and what it is always told.
    words: Vec<String>,
    version: String,
}

impl Compiler {
    /// The one that is installed, or that the environment names.
    pub fn find(language: Language) -> Result<Self, ExecutionError> {
        let (variable, usual) = language.compiler();
        let named = std::env::var(variable).unwrap_or_default();
        let mut words: Vec<String> = named.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            words.push(usual.to_owned());
        }
        let said = Command::new(&words[0])
            .args(&words[1..])
            .arg("--version")
            .output()
            .ok()
            .filter(|said| said.status.success());
        let Some(said) = said else {
            return Err(ExecutionError::NoCompiler {
                compiler: words.join(" "),
                variable,
            });
        };
        let version = String::from_utf8_lossy(&said.stdout);
        Ok(Self {
            language,
            version: version.lines().next().unwrap_or_default().trim().to_owned(),
            words,
        })
    }

    /// What it is called, and which version it is.
    pub fn name(&self) -> String {
        format!("`{}` ({})", self.words.join(" "), self.version)
    }

    /// Makes a program in a folder, which computes one of the outputs of a function in the first of some files.
    pub fn compile(
        &self,
        files: &[&Path],
        function: &CFunction,
        output: usize,
        folder: &Path,
    ) -> Result<PathBuf, ImportError> {
        let io_error = |path: &Path| {
            let path = path.to_owned();
            move |source| ImportError::Io { path, source }
        };
        let driver = folder.join(self.language.driver());
        let text = format!("{}\n{DRIVER}", call(function, output));
        std::fs::write(&driver, text).map_err(io_error(&driver))?;
        let mut absolute = Vec::with_capacity(files.len());
        for file in files {
            absolute.push(std::path::absolute(file).map_err(io_error(file))?);
        }
        // The first file is read before the driver, in which its names are known whether others may use them or not.
        let (first, further) = absolute.split_at(1.min(absolute.len()));
        let mut driving = vec![OsStr::new("-c")];
        for file in first {
            driving.extend([OsStr::new("-include"), file.as_ref()]);
        }
        driving.extend([driver.as_ref(), OsStr::new("-o"), OsStr::new(OBJECT)]);
        let mut linking: Vec<&OsStr> = further.iter().map(|file| file.as_ref()).collect();
        linking.extend(["-x", "none", OBJECT, "-o", PROGRAM, "-lm"].map(OsStr::new));
        for arguments in [driving, linking] {
            if let Err(mut problem) = self.run(&arguments, folder)? {
                for (absolute, file) in absolute.iter().zip(files) {
                    let [absolute, file] = [absolute, *file].map(|path| path.display().to_string());
                    problem = problem.replace(&absolute, &file);
                }
                return Err(self.refused(problem).into());
            }
        }
        Ok(folder.join(PROGRAM))
    }

    /// Runs the compiler; what is wrong, if it does not end well.
    fn run(&self, arguments: &[&OsStr], folder: &Path) -> Result<Result<(), String>, ImportError> {
        let options = self.words[1..].iter().map(String::as_str).chain(FLAGS);
        let options = options.chain(["-x", self.language.name()]);
        let arguments = options.map(OsStr::new).chain(arguments.iter().copied());
        let Finished { status, log } = run_tool(&self.words[0], arguments, folder)?;
        let Some(status) = status else {
            let seconds = Limits::TOOL.wall.as_secs();
            return Ok(Err(format!("it takes longer than {seconds} s")));
        };
        if status.success() {
            return Ok(Ok(()));
        }
        let is_complaint = |line: &&str| COMPLAINTS.iter().any(|word| line.contains(word));
        let complaints: Vec<&str> = log.lines().filter(is_complaint).take(QUOTED).collect();
        Ok(Err(match complaints.is_empty() {
            true => format!("it ended with {status}, of at most {}", Limits::TOOL),
            false => complaints.join(" | "),
        }))
    }

    fn refused(&self, problem: String) -> ExecutionError {
        ExecutionError::NotCompiled {
            compiler: self.name(),
            problem,
        }
    }
}

/// A function of two numbers that calls the one that is meant, and gives one of its outputs.
fn call(function: &CFunction, output: usize) -> String {
    let mut operands = ["first", "second"].into_iter();
    let mut declarations = String::new();
    let mut arguments = Vec::new();
    let mut written = Vec::new();
    for (position, parameter) in function.parameters().iter().enumerate() {
        let r#type = &parameter.r#type;
        if parameter.is_pointer {
            declarations.push_str(&format!("    {type} written{position} = 0;\n"));
            arguments.push(format!("&written{position}"));
            written.push(format!("written{position}"));
        } else {
            arguments.push(format!("({type}){}", operands.next().unwrap_or("0")));
        }
    }
    let called = format!("{}({})", function.name(), arguments.join(", "));
    let body = match output.checked_sub(usize::from(function.returns_value())) {
        None => format!("    return (long long){called};\n"),
        Some(output) => format!(
            "    {called};\n    return (long long){};\n",
            written[output]
        ),
    };
    format!(
        "static long long approx_driver_product(long long first, long long second) {{\n{declarations}{body}}}"
    )
}
