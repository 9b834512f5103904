//! Why a study did not finish, and the exit code for it.

use std::path::{Path, PathBuf};

use approx_experiment::calibration::CalibrationError;
use approx_experiment::data::DataError;
use approx_experiment::evaluation::EvaluationError;
use approx_models::{LoadError, ModelError};
use approx_multiplier::MultiplierError;
use burn_approx::ApproxError;

/// Why a study did not finish.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A value out of range.
    #[error("{option} is {value}; it must be {expected}")]
    Range {
        /// The option.
        option: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A multiplier that cannot be read.
    #[error(transparent)]
    Multiplier(#[from] MultiplierError),
    /// Data that is missing or damaged.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network that cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Weights that cannot be loaded.
    #[error(transparent)]
    Weights(#[from] LoadError),
    /// A conversion that cannot be made.
    #[error(transparent)]
    Approximation(#[from] ApproxError),
    /// A network that cannot be measured.
    #[error(transparent)]
    Evaluation(EvaluationError),
    /// Another program works in the output directory.
    #[error(
        "{directory} is in use by another compare-gradients; wait for it, or give another --output"
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The output directory holds the results of another study.
    #[error(
        "{path} has results with other settings ({difference}); give another --output, or remove it"
    )]
    OtherSettings {
        /// The file of results.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// A file that cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file or directory that cannot be written.
    #[error("{path} cannot be written: {reason}")]
    Output {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl From<CalibrationError> for StudyError {
    fn from(error: CalibrationError) -> Self {
        match error {
            CalibrationError::Data(error) => Self::Data(error),
            CalibrationError::Approximation(error) => Self::Approximation(error),
        }
    }
}

impl From<EvaluationError> for StudyError {
    fn from(error: EvaluationError) -> Self {
        match error {
            EvaluationError::Data(error) => Self::Data(error),
            error => Self::Evaluation(error),
        }
    }
}

impl StudyError {
    /// The exit code of a program that stops for this reason.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Range { .. } | Self::Multiplier(_) | Self::OtherSettings { .. } => 2,
            Self::InUse { .. } => 2,
            Self::Data(_) | Self::Weights(_) | Self::Unreadable { .. } => 3,
            _ => 1,
        }
    }

    /// A file or directory that cannot be written.
    pub(super) fn output(path: &Path, reason: impl ToString) -> Self {
        Self::Output {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
