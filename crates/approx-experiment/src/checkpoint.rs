//! Which of burn-train's checkpoints a stopped training can go on from.
//!
//! burn-train writes three files per epoch, one after the other: model, optimiser and learning rate. Each appears whole
//! or not at all, but a process that is killed in between leaves an epoch with one or two of them, and temporary files.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use approx_experiment::checkpoint::last_whole;
//! use approx_models::LeNet5Config;
//!
//! let model = LeNet5Config::new(10).init(&Default::default());
//! match last_whole(Path::new("runs/training"), &model)? {
//!     Some(epoch) => println!("going on after epoch {epoch}"),
//!     None => println!("nothing was trained yet"),
//! }
//! # Ok::<(), approx_experiment::checkpoint::CheckpointError>(())
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::lr_scheduler::LrSchedulerRecord;
use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;

/// The directory, inside a training's own, that burn-train writes checkpoints to.
const DIRECTORY: &str = "checkpoint";
const PARTS: [&str; 3] = ["model", "optim", "scheduler"];
const EXTENSION: &str = ".bpk";

/// Why no checkpoint could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The directory of checkpoints cannot be read.
    #[error("{path} cannot be read: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// There are whole checkpoints, and none can be read.
    #[error("{path}: no checkpoint can be read; the last one's fault is: {reason}")]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong with the newest.
        reason: String,
    },
}

/// The number of the last epoch whose three files are there, readable, and fit `model`; `None` if there is none yet.
///
/// A newer epoch that lacks a file is passed over, and so is one that cannot be read as long as an older one can.
///
/// # Errors
///
/// A directory that cannot be read, or checkpoints of which none can.
pub fn last_whole<M: Module>(training: &Path, model: &M) -> Result<Option<usize>, CheckpointError> {
    let directory = training.join(DIRECTORY);
    let mut reason = None;
    for (epoch, parts) in epochs(&directory)?.into_iter().rev() {
        if parts != PARTS.len() {
            continue;
        }
        match read(&directory, epoch, model) {
            Ok(()) => return Ok(Some(epoch)),
            Err(error) => reason = reason.or(Some(format!("epoch {epoch}: {error}"))),
        }
    }
    match reason {
        None => Ok(None),
        Some(reason) => Err(CheckpointError::Damaged {
            path: directory,
            reason,
        }),
    }
}

/// Removes what writers that were killed have left. Call it while nothing trains.
///
/// # Errors
///
/// A directory that cannot be read, or a file that cannot be removed.
pub fn remove_temporary_files(training: &Path) -> Result<(), CheckpointError> {
    let directory = training.join(DIRECTORY);
    for path in files(&directory)? {
        if path.extension().is_some_and(|extension| extension == "tmp") {
            std::fs::remove_file(&path)
                .map_err(|source| CheckpointError::Directory { path, source })?;
        }
    }
    Ok(())
}

/// The files of a directory, none where it does not exist yet.
fn files(directory: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let error = |source| CheckpointError::Directory {
        path: directory.into(),
        source,
    };
    match std::fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(error))
            .collect(),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(error(source)),
    }
}

/// How many of the three files every epoch has.
fn epochs(directory: &Path) -> Result<BTreeMap<usize, usize>, CheckpointError> {
    let mut found = BTreeMap::new();
    for path in files(directory)? {
        let epoch = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(EXTENSION))
            .and_then(|name| name.split_once('-'))
            .filter(|(part, _)| PARTS.contains(part))
            .and_then(|(_, epoch)| epoch.parse().ok());
        if let Some(epoch) = epoch {
            *found.entry(epoch).or_default() += 1;
        }
    }
    Ok(found)
}

/// Reads an epoch's files as burn-train will, which panics where this returns an error.
fn read<M: Module>(directory: &Path, epoch: usize, model: &M) -> Result<(), String> {
    let path = |part: &str| directory.join(format!("{part}-{epoch}{EXTENSION}"));
    let describe = |part: &str, error: &dyn std::fmt::Display| format!("{part}: {error}");
    let record = ModuleRecord::load(path(PARTS[0])).map_err(|error| describe(PARTS[0], &error))?;
    // A copy for evaluation: running statistics are shared between ordinary copies, and loading would change the
    // original's.
    model
        .valid()
        .try_load_record(record)
        .map_err(|error| describe(PARTS[0], &error))?;
    OptimizerRecord::load(path(PARTS[1])).map_err(|error| describe(PARTS[1], &error))?;
    LrSchedulerRecord::load(path(PARTS[2])).map_err(|error| describe(PARTS[2], &error))?;
    Ok(())
}
