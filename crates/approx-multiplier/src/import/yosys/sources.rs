//! The files that Yosys gets: copies of those that were given and of what they include, in a folder of their own. Nothing
//! else of the machine is to be read, so what a text names must lie within its own folder, and a text that could call
//! functions of the machine is refused.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

use crate::import::{ImportError, ImportOptions, Location, Position};

/// The folder of what is included, beside the files that were given.
pub(super) const FOLDER: &str = "included";
/// The library of cells.
pub(super) const CELLS: &str = "cells.lib";

/// How many files may be included.
const MOST_FILES: usize = 1000;

/// What names another file to read, followed by its name in quotes.
const READING: [&str; 3] = ["`include", "$readmemh", "$readmemb"];

/// Copies of all files that there are to read.
pub(super) struct Sources {
    folder: TempDir,
    names: Vec<String>,
    has_cells: bool,
    is_system_verilog: bool,
}

impl Sources {
    /// Copies files and what they include.
    pub fn collect(files: &[(&Path, &str)], options: &ImportOptions) -> Result<Self, ImportError> {
        let io_error = |path: &Path| {
            let path = path.to_owned();
            move |source| ImportError::Io { path, source }
        };
        let folder = tempfile::tempdir().map_err(io_error(&std::env::temp_dir()))?;
        let write = |name: &Path, text: &str| {
            let path = folder.path().join(name);
            let parent = path.parent().unwrap_or(folder.path());
            std::fs::create_dir_all(parent).map_err(io_error(parent))?;
            std::fs::write(&path, text).map_err(io_error(&path))
        };
        let mut names = Vec::new();
        let mut left: Vec<(PathBuf, PathBuf)> = Vec::new();
        for (number, (path, text)) in files.iter().enumerate() {
            let home = path.parent().unwrap_or(Path::new("")).to_owned();
            check(text).map_err(|error| error.in_file(path))?;
            for name in included(text).map_err(|error| error.in_file(path))? {
                left.push((home.clone(), name));
            }
            let name = format!("file{number}.v");
            write(Path::new(&name), text)?;
            names.push(name);
        }
        std::fs::create_dir_all(folder.path().join(FOLDER)).map_err(io_error(folder.path()))?;
        let mut met = BTreeSet::new();
        let mut room = options.max_bytes;
        while let Some((home, name)) = left.pop() {
            let path = home.join(&name);
            // Whether what is missing is needed is for Yosys to find out: conditions may leave it out.
            let Ok(real) = path.canonicalize() else {
                continue;
            };
            let within = home.join(".").canonicalize().map_err(io_error(&home))?;
            if !real.starts_with(&within) {
                return Err(outside(&name).in_file(&path));
            }
            if !met.insert(name.clone()) {
                continue;
            }
            let size = real.metadata().map_err(io_error(&path))?.len();
            if met.len() > MOST_FILES || size > room {
                return Err(ImportError::TooLarge {
                    location: Location::default(),
                    what: "bytes in files that are included",
                    found: size,
                    limit: room,
                });
            }
            room -= size;
            let text = std::fs::read_to_string(&real).map_err(io_error(&path))?;
            check(&text).map_err(|error| error.in_file(&path))?;
            let further = included(&text).map_err(|error| error.in_file(&path))?;
            left.extend(further.into_iter().map(|name| (home.clone(), name)));
            write(&Path::new(FOLDER).join(&name), &text)?;
        }
        if let Some(cells) = &options.cells {
            write(Path::new(CELLS), cells.text())?;
        }
        let is_system_verilog = |(path, _): &(&Path, &str)| {
            let extension = path.extension().unwrap_or_default();
            extension.eq_ignore_ascii_case("sv") || extension.eq_ignore_ascii_case("svh")
        };
        Ok(Self {
            has_cells: options.cells.is_some(),
            is_system_verilog: files.iter().any(is_system_verilog),
            folder,
            names,
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The names of the files that were given.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn has_cells(&self) -> bool {
        self.has_cells
    }

    pub fn is_system_verilog(&self) -> bool {
        self.is_system_verilog
    }
}

/// Refuses a text that could call functions of the machine: Yosys calls those of C that a text imports, and a text can
/// put the word together from parts.
fn check(text: &str) -> Result<(), ImportError> {
    let calls = text.find("DPI").or_else(|| {
        let pastes = text.find("``")?;
        text.contains("import").then_some(pastes)
    });
    match calls {
        None => Ok(()),
        Some(offset) => Err(ImportError::Unexpected {
            location: Position::of(text, offset).into(),
            found: "what may import a function of C".into(),
            expected: "a circuit in Verilog alone".into(),
        }),
    }
}

/// The names of the files that a text reads.
fn included(text: &str) -> Result<Vec<PathBuf>, ImportError> {
    let mut names = Vec::new();
    for reading in READING {
        for (offset, _) in text.match_indices(reading) {
            let rest = text[offset + reading.len()..]
                .trim_start()
                .trim_start_matches('(')
                .trim_start();
            let name = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
            let Some((name, _)) = name else {
                return Err(ImportError::Unexpected {
                    location: Position::of(text, offset).into(),
                    found: format!("{reading} without the name of a file"),
                    expected: "a name in quotes".into(),
                });
            };
            let name = PathBuf::from(name);
            let is_plain =
                |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
            if !name.components().all(is_plain) {
                let mut error = outside(&name);
                if let ImportError::Unexpected { location, .. } = &mut error {
                    *location = Position::of(text, offset).into();
                }
                return Err(error);
            }
            names.push(name);
        }
    }
    Ok(names)
}

fn outside(name: &Path) -> ImportError {
    ImportError::Unexpected {
        location: Location::default(),
        found: format!("the file {:?}", name.display().to_string()),
        expected: "files within the folder of the first one".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_within_the_folder_is_read() {
        let names =
            included("`include \"a.v\"\n`include \"parts/b.v\" $readmemh(\"t.hex\", x);").unwrap();
        let names: Vec<&str> = names.iter().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["a.v", "parts/b.v", "t.hex"]);
        for text in [
            "`include \"/etc/passwd\"",
            "`include \"a/../../b.v\"",
            "`include `NAME",
            "x $readmemb (\"../t\")",
        ] {
            assert!(included(text).is_err(), "{text}");
        }
    }

    #[test]
    fn functions_of_the_machine_are_not_called() {
        assert!(check("module m; endmodule").is_ok());
        for text in [
            "import \"DPI-C\" function int system(input string s);",
            "`define JOIN(a, b) a``b\nimport pack::*;",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_outside() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(folder.path().join("secret.v"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret.v", home.join("link.v")).unwrap();
        let path = home.join("top.v");
        let files = [(path.as_path(), "`include \"link.v\"")];
        let collected = Sources::collect(&files, &ImportOptions::default());
        let error = collected.err().expect("the link leads outside").to_string();
        assert!(error.contains("within the folder"), "{error}");
    }
}
