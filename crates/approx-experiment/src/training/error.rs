//! Why a training did not finish.

use std::path::PathBuf;
use std::sync::Arc;

use crate::checkpoint::CheckpointError;

/// Why a training did not finish.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// No checkpoint to go on from.
    #[error("{phase}: {source}")]
    Checkpoint {
        /// The training.
        phase: String,
        /// What is wrong.
        source: CheckpointError,
    },
    /// The directory for checkpoints and metrics cannot be made.
    #[error("{path} cannot be created: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Settings that the optimiser's schedule refuses.
    #[error("{phase}: {reason} (learning rate {learning_rate}, {epochs} epochs)")]
    Schedule {
        /// The training.
        phase: String,
        /// What is wrong.
        reason: String,
        /// The learning rate given.
        learning_rate: f64,
        /// The number of epochs given.
        epochs: usize,
    },
    /// burn-train stopped with an error.
    #[error("{phase}: training stopped: {source}")]
    Stopped {
        /// The training.
        phase: String,
        /// The cause.
        source: Arc<burn::train::TrainingError>,
    },
    /// The loss is no number any more.
    #[error("{phase}: the loss of epoch {epoch} is {loss}; a lower learning rate may help")]
    Diverged {
        /// The training.
        phase: String,
        /// The epoch.
        epoch: usize,
        /// Its loss.
        loss: f64,
    },
}
