//! Measuring what assignments are worth, image by image.
//!
//! The images are cut into blocks, whose order was drawn once. A measurement is that of one assignment on one block; it
//! is the same whenever it is made, so it is worth being written down (see [`journal`](crate::journal)). Assignments
//! that were measured on the same blocks are compared image by image, which tells smaller differences apart than two
//! shares of right answers do.

use serde::{Deserialize, Serialize};

use crate::space::Assignment;

/// A measurement to be made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// The assignment.
    pub assignment: Assignment,
    /// The number of the block of images.
    pub block: usize,
}

/// What a network gave on some images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether its answer was right, image by image.
    pub right: Vec<bool>,
    /// The sum of the cross-entropies; not finite if an output was not.
    pub loss: f64,
}

/// Something that measures assignments: a network on its images, or a formula.
pub trait Measure {
    /// Why it could not.
    type Error;

    /// The number of images in every block.
    fn blocks(&self) -> Vec<usize>;

    /// Measures, and gives the outcomes in the order of the requests. No two of them are the same.
    ///
    /// # Errors
    ///
    /// If one cannot be measured.
    fn measure(&mut self, requests: &[Request]) -> Result<Vec<Outcome>, Self::Error>;
}

impl Outcome {
    /// The number of images.
    pub fn images(&self) -> usize {
        self.right.len()
    }

    /// The share of right answers, in per cent.
    pub fn accuracy(&self) -> f64 {
        let right = self.right.iter().filter(|right| **right).count();
        100.0 * right as f64 / self.images().max(1) as f64
    }

    /// The mean cross-entropy.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.images().max(1) as f64
    }

    /// Adds what it gave on further images.
    pub fn extend(&mut self, further: &Self) {
        self.right.extend_from_slice(&further.right);
        self.loss += further.loss;
    }
}
