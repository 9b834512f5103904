//! What a directory of a data set holds.

use std::path::{Path, PathBuf};

use super::error::DataError;

/// The sorted entries of a directory.
pub fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let error = |source| DataError::Directory {
        path: path.into(),
        source,
    };
    let mut found = std::fs::read_dir(path)
        .map_err(error)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(error)?;
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
