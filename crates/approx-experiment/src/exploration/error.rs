//! What can go wrong while a network is explored.

use burn_approx::ApproxError;

use crate::data::DataError;
use crate::evaluation::EvaluationError;

/// Why a network could not be explored.
#[derive(Debug, thiserror::Error)]
pub enum ExplorationError {
    /// Images that cannot be read or decoded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A layer that cannot be simulated.
    #[error(transparent)]
    Approximation(#[from] ApproxError),
    /// Outputs that are no logits of the images.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}
