//! Methods that look for the front of energy and accuracy.
//!
//! [`additive`] is the one to use. [`uniform`], [`random`] and [`nsga2`] are there to compare it with. All of them ask
//! an [`Evaluator`] for outcomes, keep to its budget, and decide by nothing but its outcomes and a seed; so a run from
//! a journal gives the same front bit for bit. Every point of a front is measured on all images.

use std::collections::BTreeMap;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;

use crate::evaluator::{EvaluateError, Evaluator};
use crate::knapsack::KnapsackError;
use crate::measure::{Measure, Outcome};
use crate::sensitivity::Sensitivity;
use crate::space::Assignment;

mod additive;
mod candidates;
mod linear;
mod link;
mod model;
mod nsga2;
mod race;
mod random;
mod uniform;

pub use additive::additive;
pub use nsga2::nsga2;
pub use random::random;
pub use uniform::uniform;

/// What the methods go by besides the budget of the [`Evaluator`]. Each names the settings that it uses.
///
/// ```
/// use approx_explore::search::Settings;
///
/// let settings = Settings::default().with_seed(7).with_drop(5.0);
/// assert_ne!(settings, Settings::default());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    seed: u64,
    sensitivity: Option<Sensitivity>,
    sensitivity_blocks: usize,
    drop: f64,
    confidence: f64,
    candidates: usize,
    rounds: usize,
    patience: usize,
    samples: usize,
    population: usize,
    generations: usize,
}

impl Default for Settings {
    /// Seed 0; sensitivities measured on 2 blocks; fronts down to 20 points below the exact network; confidence 0.8;
    /// 12 candidates a round, at most 40 rounds, patience for 4; 200 samples; 40 individuals, 50 generations.
    fn default() -> Self {
        Self {
            seed: 0,
            sensitivity: None,
            sensitivity_blocks: 2,
            drop: 20.0,
            confidence: 0.8,
            candidates: 12,
            rounds: 40,
            patience: 4,
            samples: 200,
            population: 40,
            generations: 50,
        }
    }
}

impl Settings {
    /// What random decisions start from, in every method.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The sensitivities that [`additive`] starts from, for instance predicted ones; it measures them otherwise.
    pub fn with_sensitivity(self, sensitivity: Sensitivity) -> Self {
        Self {
            sensitivity: Some(sensitivity),
            ..self
        }
    }

    /// On how many blocks of images [`additive`] measures the sensitivities; at least 1, at most all are used.
    pub fn with_sensitivity_blocks(self, blocks: usize) -> Self {
        Self {
            sensitivity_blocks: blocks.max(1),
            ..self
        }
    }

    /// How far below the exact network's accuracy, in points, [`additive`] still looks for assignments.
    pub fn with_drop(self, points: f64) -> Self {
        Self {
            drop: points,
            ..self
        }
    }

    /// With which confidence, from 0 to 1, [`additive`] drops a candidate that falls behind on few images: the chance
    /// that one which is as good as its rival stays in its race to the end. See
    /// [`Comparison::is_second_better`](crate::statistics::Comparison::is_second_better).
    pub fn with_confidence(self, confidence: f64) -> Self {
        Self {
            confidence: confidence.clamp(0.0, 1.0),
            ..self
        }
    }

    /// How many candidates [`additive`] measures in a round; at least 1.
    pub fn with_candidates(self, candidates: usize) -> Self {
        Self {
            candidates: candidates.max(1),
            ..self
        }
    }

    /// The most rounds of [`additive`], and how many rounds without a better front it waits before it ends.
    pub fn with_rounds(self, rounds: usize, patience: usize) -> Self {
        Self {
            rounds,
            patience: patience.max(1),
            ..self
        }
    }

    /// How many assignments [`random`] draws.
    pub fn with_samples(self, samples: usize) -> Self {
        Self { samples, ..self }
    }

    /// The individuals of a generation of [`nsga2`], at least 4, and the number of generations after the first.
    pub fn with_population(self, individuals: usize, generations: usize) -> Self {
        Self {
            population: individuals.max(4),
            generations,
            ..self
        }
    }
}

/// Why there is no front.
#[derive(Debug, thiserror::Error)]
pub enum SearchError<E> {
    /// Outcomes cannot be had.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError<E>),
    /// The knapsack has no solution: the sensitivities are of another space, or not finite.
    #[error("the sensitivities do not fit the space: {0}")]
    Knapsack(#[from] KnapsackError),
}

/// What is known of assignments on all images.
type Archive = BTreeMap<Assignment, Outcome>;

/// The outcome of the exact network on all images, which every front begins with.
fn start<M: Measure>(
    evaluator: &mut Evaluator<M>,
) -> Result<(Archive, Outcome), EvaluateError<M::Error>> {
    let exact = evaluator.space().exact();
    let blocks = evaluator.blocks();
    let outcome = evaluator
        .outcomes(std::slice::from_ref(&exact), blocks)?
        .swap_remove(0);
    Ok((Archive::from([(exact, outcome.clone())]), outcome))
}

/// Measures assignments on all images, as many of them as the budget allows, and says whether it allowed all.
fn measure_affordable<M: Measure>(
    evaluator: &mut Evaluator<M>,
    assignments: &[Assignment],
    archive: &mut Archive,
) -> Result<bool, EvaluateError<M::Error>> {
    let blocks = evaluator.blocks();
    let affordable = &assignments[..evaluator.affordable(assignments, blocks)];
    let outcomes = evaluator.outcomes(affordable, blocks)?;
    archive.extend(affordable.iter().cloned().zip(outcomes));
    Ok(affordable.len() == assignments.len())
}

/// A number from 0 to below 1.
fn unit(random: &mut Xoshiro256PlusPlus) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number below a count, which must not be 0.
fn below(random: &mut Xoshiro256PlusPlus, count: usize) -> usize {
    ((unit(random) * count as f64) as usize).min(count - 1)
}

/// Nearly normal, of mean 0 and variance 1.
fn normal(random: &mut Xoshiro256PlusPlus) -> f64 {
    let sum: f64 = (0..12).map(|_| unit(random)).sum();
    sum - 6.0
}
