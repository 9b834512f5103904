//! Races of candidates on growing numbers of images.

use std::collections::BTreeMap;

use super::Archive;
use crate::evaluator::{EvaluateError, Evaluator};
use crate::front::Front;
use crate::measure::{Measure, Outcome};
use crate::space::Assignment;
use crate::statistics::{Comparison, of_looks};

/// What is known of assignments, each on some number of blocks.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// On all blocks.
    pub whole: Archive,
    /// On fewer: what fell behind, or did not get further.
    pub partial: BTreeMap<Assignment, Outcome>,
}

impl Known {
    pub fn contains(&self, assignment: &Assignment) -> bool {
        self.whole.contains_key(assignment) || self.partial.contains_key(assignment)
    }

    fn learn(&mut self, assignment: &Assignment, outcome: Outcome, is_whole: bool) {
        match is_whole {
            true => {
                self.partial.remove(assignment);
                self.whole.insert(assignment.clone(), outcome);
            }
            false => {
                self.partial.insert(assignment.clone(), outcome);
            }
        }
    }
}

/// The numbers of blocks that candidates are measured on: about twice as many at each step.
pub(super) fn steps(blocks: usize) -> Vec<usize> {
    let few = std::iter::successors(Some(1_usize), |step| Some(2 * step));
    few.take_while(|step| 3 * step <= 2 * blocks)
        .filter(|step| *step < blocks)
        .chain([blocks])
        .collect()
}

/// What decides a race before its end.
#[derive(Debug)]
pub(super) struct Rules {
    /// The confidence with which a candidate must be worse than a rival.
    pub confidence: f64,
    /// The outcome of the exact network on all images.
    pub exact: Outcome,
    /// How many points below it is out of the range of interest.
    pub drop: f64,
}

impl Rules {
    /// Whether an outcome is out of the range of interest by more than chance could explain.
    fn is_out_of_range(&self, outcome: &Outcome) -> bool {
        let lost = Comparison::of(outcome, &self.exact);
        lost.difference() - STANDARD_ERRORS * lost.standard_error() > self.drop
    }
}

/// So many standard errors are more than chance could explain.
const STANDARD_ERRORS: f64 = 2.0;

/// Measures candidates on more and more blocks. Before each step but the first, those are dropped for which an
/// assignment measured on all blocks needs no more energy and is better with the stated confidence: for one candidate
/// as good as its rival, the chance of being dropped over all steps is at most one minus that. What has left the range of
/// interest is dropped too, rival or none. Those that lead furthest go first, so that they are finished where the budget
/// ends. Says whether the budget allowed all.
pub(super) fn race<M: Measure>(
    evaluator: &mut Evaluator<M>,
    known: &mut Known,
    mut candidates: Vec<Assignment>,
    rules: &Rules,
) -> Result<bool, EvaluateError<M::Error>> {
    let blocks = evaluator.blocks();
    let space = evaluator.space().clone();
    // Rivals are chosen before the race, so that its outcomes do not choose them.
    let front = Front::new(&space, known.whole.clone());
    let steps = steps(blocks);
    let confidence = of_looks(rules.confidence, steps.len() - 1);
    let mut is_enough = true;
    for step in steps {
        let affordable = evaluator.affordable(&candidates, step);
        is_enough &= affordable == candidates.len();
        candidates.truncate(affordable);
        let outcomes = evaluator.outcomes(&candidates, step)?;
        let lead = |(assignment, outcome): (Assignment, Outcome)| {
            known.learn(&assignment, outcome.clone(), step == blocks);
            let rival = front.most_accurate(space.energy(&assignment));
            let comparison = rival.map(|rival| Comparison::of(&outcome, &rival.outcome));
            let is_behind =
                comparison.is_some_and(|comparison| comparison.is_second_better(confidence));
            let lead = comparison.map_or(f64::INFINITY, |comparison| -comparison.difference());
            let is_out = is_behind || rules.is_out_of_range(&outcome);
            (!is_out).then_some((lead, assignment))
        };
        let mut left: Vec<(f64, Assignment)> = candidates
            .into_iter()
            .zip(outcomes)
            .filter_map(lead)
            .collect();
        left.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        candidates = left.into_iter().map(|(_, assignment)| assignment).collect();
    }
    Ok(is_enough)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::SyntheticNetwork;

    #[test]
    fn steps_grow_to_all() {
        assert_eq!(steps(10), [1, 2, 4, 10]);
        assert_eq!(steps(1), [1]);
        assert_eq!(steps(2), [1, 2]);
    }

    #[test]
    fn drops_what_is_clearly_beaten_early() {
        let network = SyntheticNetwork::residual(1);
        let space = network.space().clone();
        let mut evaluator = Evaluator::new(space.clone(), network);
        let mut known = Known::default();
        let exact = evaluator.outcomes(&[space.exact()], 10).unwrap().remove(0);
        let rules = Rules {
            confidence: 0.9,
            exact,
            drop: 100.0,
        };
        // Nothing to compete with: measured to the end.
        assert!(race(&mut evaluator, &mut known, vec![space.uniform(1)], &rules).unwrap());
        assert_eq!(evaluator.measured(), 10_000);
        // Costlier than uniform 1 by one group, and far worse by the others.
        let beaten = Assignment::new([vec![0], vec![12; 3], vec![0; 16]].concat());
        let beaten = if space.energy(&beaten) < 0.99 {
            beaten.with(1, 0)
        } else {
            beaten
        };
        known
            .whole
            .insert(space.uniform(12), known.whole[&space.uniform(1)].clone());
        race(&mut evaluator, &mut known, vec![beaten.clone()], &rules).unwrap();
        assert!(known.partial.contains_key(&beaten));
        assert!(evaluator.measured() < 15_000);
    }

    #[test]
    fn drops_what_has_collapsed_without_a_rival() {
        let network = SyntheticNetwork::residual(1);
        let space = network.space().clone();
        let mut evaluator = Evaluator::new(space.clone(), network);
        let exact = evaluator.outcomes(&[space.exact()], 10).unwrap().remove(0);
        let rules = Rules {
            confidence: 0.9,
            exact,
            drop: 30.0,
        };
        let mut known = Known::default();
        race(&mut evaluator, &mut known, vec![space.cheapest()], &rules).unwrap();
        assert_eq!(known.partial[&space.cheapest()].images(), 500);
        assert!(known.whole.is_empty());
    }
}
