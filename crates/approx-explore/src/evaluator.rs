//! Outcomes of assignments, each measured once.
//!
//! An [`Evaluator`] asks its network only for what its journal does not hold. It counts what a method asks for, whether
//! it had to be measured or not; so a method that goes by the budget decides the same when it is run again with
//! everything in the journal, and gives the same front.

use std::collections::HashSet;
use std::time::Instant;

use crate::journal::{Digest, Journal};
use crate::measure::{Measure, Outcome, Request};
use crate::space::{Assignment, Space};

mod error;
mod pace;

pub use error::EvaluateError;
use pace::Pace;

/// The most requests that are measured before they are written down, unless another number is set.
const MOST_REQUESTS: usize = 512;

/// A space, the network that measures its assignments, and what is known of them.
///
/// ```
/// use approx_explore::{evaluator::Evaluator, synthetic::SyntheticNetwork};
///
/// let network = SyntheticNetwork::residual(1);
/// let space = network.space().clone();
/// let mut evaluator = Evaluator::new(space.clone(), network).with_budget(2_000);
/// let outcomes = evaluator.outcomes(&[space.exact(), space.uniform(3)], 1)?;
/// assert!(outcomes[0].accuracy() > outcomes[1].accuracy());
/// assert_eq!((evaluator.measured(), evaluator.left()), (1_000, Some(1_000)));
/// // Asked again, it costs nothing.
/// evaluator.outcomes(&[space.exact()], 1)?;
/// assert_eq!(evaluator.left(), Some(1_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Evaluator<M: Measure> {
    space: Space,
    network: M,
    journal: Journal,
    blocks: Vec<usize>,
    budget: Option<u64>,
    shard: (usize, usize),
    pace: Pace,
    asked: HashSet<(Digest, usize)>,
    measured: u64,
    recalled: u64,
}

impl<M: Measure> Evaluator<M> {
    /// An evaluator that remembers in memory only, with no budget.
    pub fn new(space: Space, network: M) -> Self {
        Self {
            space,
            blocks: network.blocks(),
            network,
            journal: Journal::in_memory(),
            budget: None,
            shard: (0, 1),
            pace: Pace::of_at_most(MOST_REQUESTS),
            asked: HashSet::new(),
            measured: 0,
            recalled: 0,
        }
    }

    /// Remembers in this journal, and takes from it what it holds.
    pub fn with_journal(self, journal: Journal) -> Self {
        Self { journal, ..self }
    }

    /// The most evaluations of an image that may be asked for: those that are measured and those that are found in the
    /// journal, each once.
    pub fn with_budget(self, images: u64) -> Self {
        Self {
            budget: Some(images),
            ..self
        }
    }

    /// The most requests that are measured before they are written down; 512 unless set. There are as many as take about ten
    /// seconds: more let a network share more work between them, fewer lose less when the process is killed.
    pub fn with_batch(self, requests: usize) -> Self {
        Self {
            pace: Pace::of_at_most(requests),
            ..self
        }
    }

    /// Measures only what falls to this one of several shards, numbered from 0. What falls to it depends on the
    /// assignment and the block alone, and about as much falls to each.
    ///
    /// # Errors
    ///
    /// A number that is not below their number.
    pub fn with_shard(self, shard: usize, shards: usize) -> Result<Self, EvaluateError<M::Error>> {
        match shard < shards {
            true => Ok(Self {
                shard: (shard, shards),
                ..self
            }),
            false => Err(EvaluateError::Shard { shard, shards }),
        }
    }

    /// The space.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The number of blocks of images.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The number of images in the first blocks.
    pub fn images(&self, blocks: usize) -> u64 {
        self.blocks
            .iter()
            .take(blocks)
            .map(|images| *images as u64)
            .sum()
    }

    /// How many evaluations of an image were made.
    pub fn measured(&self) -> u64 {
        self.measured
    }

    /// How many evaluations of an image were found in the journal instead; each counts the first time it is asked for.
    pub fn recalled(&self) -> u64 {
        self.recalled
    }

    /// What is left of the budget, if there is one.
    pub fn left(&self) -> Option<u64> {
        self.budget
            .map(|budget| budget.saturating_sub(self.measured + self.recalled))
    }

    /// How many of these assignments, from the first on, the budget allows to measure on the first blocks.
    pub fn affordable(&self, assignments: &[Assignment], blocks: usize) -> usize {
        let Some(mut left) = self.left() else {
            return assignments.len();
        };
        let mut new = HashSet::new();
        let is_affordable = |assignment: &&Assignment| {
            let digest = Digest::of(&self.space, assignment);
            let is_new = |block: &usize| !self.asked.contains(&(digest.clone(), *block));
            let needed: u64 = match new.contains(&digest) {
                true => 0,
                false => (0..blocks)
                    .filter(is_new)
                    .map(|block| self.blocks[block] as u64)
                    .sum(),
            };
            let is_affordable = needed <= left;
            left -= needed.min(left);
            new.insert(digest);
            is_affordable
        };
        assignments.iter().take_while(is_affordable).count()
    }

    /// The network.
    pub fn network(&self) -> &M {
        &self.network
    }

    /// The outcomes of assignments on the first blocks of images, in the order of the assignments. Only what is not in
    /// the journal is measured, block by block.
    ///
    /// # Errors
    ///
    /// No blocks or more than there are; an assignment that the space does not allow; a budget that does not suffice
    /// for all of them; measurements that fall to other shards; a network or a journal that fails.
    pub fn outcomes(
        &mut self,
        assignments: &[Assignment],
        blocks: usize,
    ) -> Result<Vec<Outcome>, EvaluateError<M::Error>> {
        match assignments
            .iter()
            .find(|assignment| !self.space.allows(assignment))
        {
            Some(wrong) => Err(EvaluateError::NotAllowed {
                choices: wrong.choices().to_vec(),
            }),
            None => self.outcomes_without_limit(assignments, blocks),
        }
    }

    /// The outcomes of assignments that may have more different multipliers than the space allows: changes of one group
    /// tell about it even where the exact multiplier may not stay beside the other.
    pub(crate) fn outcomes_without_limit(
        &mut self,
        assignments: &[Assignment],
        blocks: usize,
    ) -> Result<Vec<Outcome>, EvaluateError<M::Error>> {
        if blocks == 0 || blocks > self.blocks.len() {
            return Err(EvaluateError::Blocks {
                asked: blocks,
                available: self.blocks.len(),
            });
        }
        let digests: Vec<Digest> = assignments
            .iter()
            .map(|assignment| Digest::of(&self.space, assignment))
            .collect();
        let mut new = HashSet::new();
        let places = (0..blocks).flat_map(|block| {
            digests
                .iter()
                .zip(assignments)
                .map(move |pair| (pair, block))
        });
        let asked: Vec<((Digest, usize), Request)> = places
            .map(|((digest, assignment), block)| {
                (
                    (digest.clone(), block),
                    Request {
                        assignment: assignment.clone(),
                        block,
                    },
                )
            })
            .filter(|(place, _)| !self.asked.contains(place) && new.insert(place.clone()))
            .collect();
        let needed = asked
            .iter()
            .map(|((_, block), _)| self.blocks[*block] as u64)
            .sum();
        if let (Some(left), Some(budget)) = (self.left(), self.budget)
            && needed > left
        {
            return Err(EvaluateError::BudgetSpent {
                needed,
                left,
                budget,
            });
        }
        let (recalled, unknown): (Vec<_>, Vec<_>) = asked
            .into_iter()
            .partition(|((digest, block), _)| self.journal.get(digest, *block).is_some());
        for ((digest, block), _) in recalled {
            let found = self.journal.get(&digest, block).map_or(0, Outcome::images);
            self.check("images of a block", self.blocks[block], found)?;
            self.recalled += found as u64;
            self.asked.insert((digest, block));
        }
        let (shard, shards) = self.shard;
        let is_own = |((digest, block), _): &((Digest, usize), Request)| {
            digest.bits().wrapping_add(*block as u64) % shards as u64 == shard as u64
        };
        let (own, others): (Vec<_>, Vec<_>) = unknown.into_iter().partition(is_own);
        let mut left = own.as_slice();
        while !left.is_empty() {
            let (batch, later) = left.split_at(left.len().min(self.pace.next()));
            let begun = Instant::now();
            self.measure(batch)?;
            self.pace.learn(batch.len(), begun.elapsed());
            left = later;
        }
        if !others.is_empty() {
            return Err(EvaluateError::Missing {
                missing: others.len(),
                shard,
                shards,
            });
        }
        let joined = digests.iter().map(|digest| {
            let mut joined = Outcome::default();
            (0..blocks)
                .filter_map(|block| self.journal.get(digest, block))
                .for_each(|part| joined.extend(part));
            joined
        });
        Ok(joined.collect())
    }

    /// Measures a batch and writes it down.
    fn measure(
        &mut self,
        batch: &[((Digest, usize), Request)],
    ) -> Result<(), EvaluateError<M::Error>> {
        let requests: Vec<Request> = batch.iter().map(|(_, request)| request.clone()).collect();
        let outcomes = self
            .network
            .measure(&requests)
            .map_err(EvaluateError::Measure)?;
        self.check("outcomes", requests.len(), outcomes.len())?;
        for (request, outcome) in requests.iter().zip(&outcomes) {
            self.check(
                "images of a block",
                self.blocks[request.block],
                outcome.images(),
            )?;
        }
        let places = batch.iter().map(|(place, _)| place.clone());
        self.journal.add(places.clone().zip(outcomes).collect())?;
        self.measured += requests
            .iter()
            .map(|request| self.blocks[request.block] as u64)
            .sum::<u64>();
        self.asked.extend(places);
        Ok(())
    }

    fn check(
        &self,
        what: &'static str,
        expected: usize,
        found: usize,
    ) -> Result<(), EvaluateError<M::Error>> {
        match expected == found {
            true => Ok(()),
            false => Err(EvaluateError::Outcomes {
                what,
                expected,
                found,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
