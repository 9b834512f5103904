//! The folder that a command keeps a network in, with what was trained and found.

use std::path::Path;

use crate::error::CliError;
use crate::network::ModelSource;

/// What commands write into such a folder, besides the network itself.
pub const SETTINGS: &str = "run.json";
/// What a network was worth before it was retrained.
pub const BEFORE: &str = "before.json";
/// What was found; where it is, the run is finished.
pub const REPORT: &str = "report.json";
/// The curve of accuracy.
pub const PLOT: &str = "accuracy.svg";
/// Checkpoints and metrics.
pub const TRAINING: &str = "retraining";

/// Refuses a folder that holds something, unless what commands have written there may be replaced.
pub fn refuse(model: &ModelSource, folder: &Path, overwrite: bool) -> Result<(), CliError> {
    let place = |path: &Path| std::fs::canonicalize(path).ok();
    if place(folder).is_some() && model.folder().and_then(place) == place(folder) {
        return Err(CliError::Usage(format!(
            "`{}` is the network itself: name another folder with --output",
            folder.display()
        )));
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(CliError::file(folder, error)),
    };
    let is_ours = folder.join(SETTINGS).is_file() || ModelSource::is_saved(folder);
    // A command that was killed before it was through with anything has left parts of a network at most.
    let mut names = entries.flatten().map(|entry| entry.file_name());
    let is_part = |name: std::ffi::OsString| {
        name.to_str()
            .is_some_and(|name| name.ends_with(".tmp") || ModelSource::is_part(name))
    };
    if !is_ours && names.all(is_part) {
        return Ok(());
    }
    match (is_ours, overwrite) {
        (true, true) => Ok(()),
        (true, false) => Err(CliError::Usage(format!(
            "`{}` holds a network already: --overwrite replaces it, and retraining goes on with --resume",
            folder.display()
        ))),
        (false, _) => Err(CliError::Usage(format!(
            "`{}` is not empty, and holds nothing of this program",
            folder.display()
        ))),
    }
}

/// Removes what a retraining has written into a folder, but not the network, which stays until there is a new one. The
/// report goes first, so that a run which is stopped from here on is an unfinished one.
pub fn clear(folder: &Path) -> Result<(), CliError> {
    for path in [REPORT, PLOT, BEFORE].map(|name| folder.join(name)) {
        removed(&path, std::fs::remove_file(&path))?;
    }
    let training = folder.join(TRAINING);
    removed(&training, std::fs::remove_dir_all(&training))?;
    let settings = folder.join(SETTINGS);
    removed(&settings, std::fs::remove_file(&settings))
}

fn removed(path: &Path, result: std::io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CliError::file(path, error))
        }
        _ => Ok(()),
    }
}
