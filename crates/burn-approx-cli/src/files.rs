//! Which files a command may write: by what name, and not in the place of one that it reads. Values in files, as JSON.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use approx_experiment::files::write_atomically;
use approx_multiplier::import::FileKind;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::CliError;

/// An error unless a file has the extension by which this project's own files are known.
pub fn expect_own(path: &Path) -> Result<(), CliError> {
    match FileKind::of_name(path) {
        Some(FileKind::Own) => Ok(()),
        _ => Err(CliError::Usage(format!(
            "`{}` does not end in .json, by which files of this project are known",
            path.display()
        ))),
    }
}

/// An error unless a picture's file has the extension of the format that is drawn.
pub fn expect_svg(path: Option<&Path>) -> Result<(), CliError> {
    match path.filter(|path| path.extension().is_none_or(|extension| extension != "svg")) {
        None => Ok(()),
        Some(path) => Err(CliError::Usage(format!(
            "the picture is drawn as SVG, and `{}` does not end in .svg",
            path.display()
        ))),
    }
}

/// An error if a file would be written twice, in the place of one that is read, or where it cannot be.
pub fn refuse_overwriting<'a>(
    read: impl IntoIterator<Item = &'a Path>,
    written: impl IntoIterator<Item = &'a Path>,
) -> Result<(), CliError> {
    let mut taken: Vec<PathBuf> = read.into_iter().map(place).collect();
    for path in written {
        if path.is_dir() {
            return Err(CliError::Usage(format!(
                "`{}` is a folder, and a file is to be written",
                path.display()
            )));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder
            && !folder.is_dir()
        {
            return Err(CliError::Usage(format!(
                "there is no folder `{}` to write into",
                folder.display()
            )));
        }
        let place = place(path);
        if taken.contains(&place) {
            return Err(CliError::Usage(format!(
                "`{}` would be written over: it is named twice",
                path.display()
            )));
        }
        taken.push(place);
    }
    Ok(())
}

/// The value that a file holds as JSON.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| CliError::file(path, error))?;
    serde_json::from_str(&text).map_err(|error| CliError::file(path, error))
}

/// The value that a file holds as JSON, if the file is there.
pub fn read_json_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CliError> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => read_json(path).map(Some),
    }
}

/// Writes a value as JSON, in one step.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::file(path, error))?;
    write_atomically(path, text.as_bytes()).map_err(|error| CliError::file(path, error))
}

/// The one name of a file that can be named in several ways.
fn place(path: &Path) -> PathBuf {
    // What is not there yet has no other name than its path.
    std::fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.into())
}
