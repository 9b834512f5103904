//! Loss and accuracy of every epoch, as burn-train logs them.

use std::path::Path;

use burn::train::logger::{FileMetricLogger, MetricLogger};
use burn::train::metric::NumericEntry;
use burn::train::metric::store::Split;
use serde::{Deserialize, Serialize};

/// Loss and accuracy of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// The epoch's number, from 1.
    pub epoch: usize,
    /// Mean loss over the training images, as training went on.
    pub train_loss: f64,
    /// Accuracy on the training images, in per cent, as training went on.
    pub train_accuracy: f64,
    /// Mean loss over the test images after the epoch.
    pub test_loss: f64,
    /// Accuracy on the test images after the epoch, in per cent.
    pub test_accuracy: f64,
}

/// Reads the metrics that burn-train has logged. An epoch whose log did not survive is left out.
pub fn history(directory: &Path, epochs: usize) -> Vec<EpochMetrics> {
    let mut logger = FileMetricLogger::new(directory);
    let mut read = |name: &str, epoch, split| -> Option<f64> {
        match logger.read_numeric(name, epoch, &split).ok()?.pop()? {
            NumericEntry::Final(value) => Some(value),
            _ => None,
        }
    };
    (1..=epochs)
        .filter_map(|epoch| {
            Some(EpochMetrics {
                epoch,
                train_loss: read("Loss", epoch, Split::Train)?,
                train_accuracy: read("Accuracy", epoch, Split::Train)?,
                test_loss: read("Loss", epoch, Split::Valid)?,
                test_accuracy: read("Accuracy", epoch, Split::Valid)?,
            })
        })
        .collect()
}
