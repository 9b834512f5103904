//! Why a command did not end well, and the exit code for it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use approx_experiment::calibration::CalibrationError;
use approx_experiment::data::DataError;
use approx_experiment::device::DeviceError;
use approx_experiment::evaluation::EvaluationError;
use approx_experiment::exploration::ExplorationError;
use approx_experiment::training::TrainError;
use approx_models::LoadError;
use approx_multiplier::MultiplierError;
use approx_multiplier::import::{ImportError, NoteKind};
use approx_onnx::OnnxError;
use burn_approx::ApproxError;

/// Why a command did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Arguments that do not fit each other or name nothing.
    #[error("{0}")]
    Usage(String),
    /// What was to be checked is not so.
    #[error("{0}")]
    Check(String),
    /// A multiplier that cannot be had, or does not have what is asked of it.
    #[error(transparent)]
    Multiplier(#[from] MultiplierError),
    /// A file that holds no multiplier.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A file or program that holds no multiplier, unless an option is given.
    #[error("{source} ({option})")]
    Advised {
        /// What is wrong.
        source: Box<ImportError>,
        /// The option.
        option: &'static str,
    },
    /// A layer that cannot be computed.
    #[error(transparent)]
    Layer(#[from] ApproxError),
    /// A network that cannot be read or run.
    #[error(transparent)]
    Network(#[from] OnnxError),
    /// Images that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network that cannot be measured.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// Ranges that cannot be found.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A network that cannot be explored.
    #[error(transparent)]
    Exploration(#[from] ExplorationError),
    /// A training that did not finish.
    #[error(transparent)]
    Training(#[from] TrainError),
    /// A retrained network whose outputs are no numbers.
    #[error(
        "the outputs of the retrained network are not all finite: a lower --learning-rate may help"
    )]
    Diverged,
    /// Weights that cannot be loaded.
    #[error(transparent)]
    Weights(#[from] LoadError),
    /// A device that cannot be used.
    #[error(transparent)]
    Devices(#[from] DeviceError),
    /// A file that cannot be read or written.
    #[error("{path}: {problem}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Standard output cannot be written to.
    #[error("the result cannot be printed: {0}")]
    Print(std::io::Error),
    /// A plot that cannot be drawn.
    #[error("the plot cannot be drawn: {0}")]
    Plot(String),
}

impl CliError {
    /// An error at a file.
    pub fn file(path: &Path, problem: impl ToString) -> Self {
        Self::File {
            path: path.into(),
            problem: problem.to_string(),
        }
    }

    /// The exit code of the program.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Check(_) => 3,
            // What a file claims was checked, too.
            Self::Import(ImportError::InDoubt { doubts, .. })
                if doubts
                    .iter()
                    .any(|doubt| doubt.kind == NoteKind::Contradiction) =>
            {
                3
            }
            _ => 1,
        })
    }
}
