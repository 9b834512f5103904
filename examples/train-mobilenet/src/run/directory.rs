//! The directory of a run: what its files are called, and how it is made ready.

use std::path::Path;

use super::RunError;
use crate::args::Args;
use crate::settings::{Settings, SettingsError};

/// Checkpoints and metrics of the training in floating point.
pub const TRAINING: &str = "training";
/// Checkpoints and metrics of the retraining.
pub const RETRAINING: &str = "retraining";
/// The trained network.
pub const FLOAT_MODEL: &str = "float.bpk";
/// The approximate network, retrained if that was asked for.
pub const APPROXIMATE_MODEL: &str = "approximate";
/// What the run found; where it is, the run is finished.
pub const REPORT: &str = "report.json";
/// The curve of accuracy.
pub const PLOT: &str = "accuracy.svg";

/// Makes the output directory ready: to go on with a run, or for a new one.
pub fn begin(args: &Args, settings: &Settings) -> Result<(), RunError> {
    let directory = &args.output;
    if args.resume {
        return Ok(());
    }
    let finished = directory.join(REPORT).exists();
    if Settings::exist_in(directory) && !finished && !args.overwrite {
        return Err(SettingsError::Unfinished {
            directory: directory.clone(),
        }
        .into());
    }
    std::fs::create_dir_all(directory).map_err(|source| RunError::output(directory, source))?;
    // The report goes first, so that a run that is killed from here on is an unfinished one.
    for name in [REPORT, PLOT, FLOAT_MODEL] {
        remove(&directory.join(name), |path| std::fs::remove_file(path))?;
    }
    for name in [TRAINING, RETRAINING, APPROXIMATE_MODEL] {
        remove(&directory.join(name), |path| std::fs::remove_dir_all(path))?;
    }
    settings.save(directory)?;
    Ok(())
}

/// Removes what an earlier run has left at `path`, if anything.
fn remove(path: &Path, with: impl Fn(&Path) -> std::io::Result<()>) -> Result<(), RunError> {
    match with(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(RunError::output(path, source))
        }
        _ => Ok(()),
    }
}
