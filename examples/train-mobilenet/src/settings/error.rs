//! Settings that are wrong, or that do not fit the run to be resumed.

use std::path::PathBuf;

use approx_multiplier::{ContentHash, MultiplierError};

use crate::args::DatasetKind;

/// Settings that are wrong, or that do not fit the run to be resumed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value out of range.
    #[error("{option} is {value}; it must be {expected}")]
    Range {
        /// The option.
        option: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A data set without its directory.
    #[error("--dataset {dataset} needs --data DIR, the directory it is in")]
    DataNeeded {
        /// The data set.
        dataset: DatasetKind,
    },
    /// A directory for the data set that needs none.
    #[error(
        "--data {path} has no meaning for the digits, which come with the program; choose --dataset mnist, cifar10 or folder"
    )]
    DataNotUsed {
        /// The directory.
        path: PathBuf,
    },
    /// The multiplier cannot be had.
    #[error(transparent)]
    Multiplier(#[from] MultiplierError),
    /// The multiplier is not what it was.
    #[error(
        "the multiplier computes something else than when the run in {directory} began ({was}, now {is})"
    )]
    MultiplierChanged {
        /// The run.
        directory: PathBuf,
        /// The hash of then.
        was: ContentHash,
        /// The hash of now.
        is: ContentHash,
    },
    /// An option that contradicts the run to be resumed.
    #[error(
        "{option} {given} contradicts the run in {directory}, which has {stored}; leave it out, or start another run with --output"
    )]
    Conflict {
        /// The option.
        option: &'static str,
        /// The value given.
        given: String,
        /// The run's.
        stored: String,
        /// The run's directory.
        directory: PathBuf,
    },
    /// No run to go on with.
    #[error("no run in {directory} can be resumed: {reason}")]
    NothingToResume {
        /// The directory.
        directory: PathBuf,
        /// What is missing or damaged.
        reason: String,
    },
    /// A run that would be lost.
    #[error(
        "{directory} holds a run that is not finished: go on with it by --resume, start anew by --overwrite, or choose another --output"
    )]
    Unfinished {
        /// The directory.
        directory: PathBuf,
    },
    /// The file of settings cannot be written.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}
