//! Why a run did not finish, and the exit code for it.

use std::path::{Path, PathBuf};

use approx_experiment::calibration::CalibrationError;
use approx_experiment::data::DataError;
use approx_experiment::device::DeviceError;
use approx_experiment::evaluation::EvaluationError;
use approx_experiment::training::TrainError;
use approx_models::ModelError;
use burn_approx::ApproxError;

use crate::settings::SettingsError;

/// Why a run did not finish.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Wrong settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Data that is missing or damaged.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A device that cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A network that cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A conversion that cannot be made.
    #[error(transparent)]
    Approximation(#[from] ApproxError),
    /// A network that cannot be measured.
    #[error(transparent)]
    Evaluation(EvaluationError),
    /// A training that did not finish.
    #[error(transparent)]
    Training(#[from] TrainError),
    /// A file or directory that cannot be written.
    #[error("{path} cannot be written: {reason}")]
    Output {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl From<CalibrationError> for RunError {
    fn from(error: CalibrationError) -> Self {
        match error {
            CalibrationError::Data(error) => Self::Data(error),
            CalibrationError::Approximation(error) => Self::Approximation(error),
        }
    }
}

impl From<EvaluationError> for RunError {
    fn from(error: EvaluationError) -> Self {
        match error {
            EvaluationError::Data(error) => Self::Data(error),
            error => Self::Evaluation(error),
        }
    }
}

impl RunError {
    /// The exit code of a program that stops for this reason.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Device(DeviceError::TooFew { .. }) => 2,
            Self::Data(_) => 3,
            Self::Approximation(
                ApproxError::PatternMatchesNothing { .. }
                | ApproxError::InvalidPattern { .. }
                | ApproxError::Multiplier(_),
            ) => 2,
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
