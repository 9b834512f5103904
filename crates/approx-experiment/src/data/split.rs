//! The parts of a data set, and which of a part's images are taken.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The images to train on
    Train,
    /// Images that are held back from training, to choose settings by
    Validation,
    /// The images to measure on
    Test,
}

/// What its images are called: `training`, `validation` or `test`.
impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// Which images of a data set make up its splits, and how many of a split's are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// How many training images are held back for validation, drawn by the seed. With 0, validation images are those
    /// that the data set has, if any.
    pub validation: usize,
    /// How many images of a split are taken at most, drawn by the seed. (The first ones would all be of one class in
    /// many data sets.)
    pub limit: Option<usize>,
    /// The seed.
    pub seed: u64,
}
