//! What a directory of a data set holds.

use std::path::{Path, PathBuf};

use super::error::DataError;

/// The sorted entries of a directory that are not hidden: `.git`, `.DS_Store` and `._image.png` are no part of a data
/// set.
pub fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let error = |source| DataError::Directory {
        path: path.into(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(error)? {
        let entry = entry.map_err(error)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// As [`entries`], where an empty directory is an error that says what was expected.
pub fn entries_expecting(path: &Path, expected: &str) -> Result<Vec<PathBuf>, DataError> {
    let found = entries(path)?;
    if found.is_empty() {
        return Err(DataError::EmptyDirectory {
            path: path.into(),
            expected: expected.into(),
        });
    }
    Ok(found)
}

/// The content of a file in a directory, where a missing one is an error that says all that was expected.
pub fn read_expected(directory: &Path, file: &str, expected: &str) -> Result<Vec<u8>, DataError> {
    let path = directory.join(file);
    if !path.exists() {
        return Err(DataError::MissingFile {
            directory: directory.into(),
            file: file.into(),
            expected: expected.into(),
        });
    }
    std::fs::read(&path).map_err(|source| DataError::Read { path, source })
}
