//! Why outcomes cannot be had.

use crate::journal::JournalError;
use crate::sensitivity::SensitivityError;

/// Why outcomes cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError<E> {
    /// The network could not be measured.
    #[error("measuring failed: {0}")]
    Measure(E),
    /// What was measured could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The budget does not suffice. Nothing was measured.
    #[error(
        "{needed} evaluations of images are needed, and of the budget of {budget} there are {left} left: raise \
         the budget; what was measured is kept in the journal, if there is one"
    )]
    BudgetSpent {
        /// What the request takes.
        needed: u64,
        /// What was left.
        left: u64,
        /// The whole budget.
        budget: u64,
    },
    /// What is left to measure falls to other shards.
    #[error(
        "this was shard {shard} of {shards}, and {missing} measurements fall to others: when all shards are \
         done, join their journals and run every shard again on the joined one (or a single process without \
         shards); the run goes on from there"
    )]
    Missing {
        /// How many measurements are missing.
        missing: usize,
        /// The number of this shard, from 0.
        shard: usize,
        /// How many shards there are.
        shards: usize,
    },
    /// A shard that is not there.
    #[error(
        "there is no shard {shard} of {shards}: shards are counted from 0, and there is at least one"
    )]
    Shard {
        /// The number.
        shard: usize,
        /// How many there are.
        shards: usize,
    },
    /// A number of blocks that cannot be had.
    #[error(
        "outcomes on {asked} blocks of images were asked for, of {available}: at least 1 block is needed, and \
         no more than there are"
    )]
    Blocks {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        available: usize,
    },
    /// An assignment that the space does not allow.
    #[error("the assignment {choices:?} is not one that the space allows")]
    NotAllowed {
        /// The multipliers of its groups.
        choices: Vec<usize>,
    },
    /// Outcomes of which no table of sensitivities can be made.
    #[error(transparent)]
    Sensitivity(#[from] SensitivityError),
    /// Outcomes that do not fit the requests.
    #[error(
        "the network gave {found} {what}, of which {expected} were asked for; its `measure` or `blocks` is \
         wrong, or the journal's key does not tell its images apart"
    )]
    Outcomes {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there were.
        found: usize,
    },
}
