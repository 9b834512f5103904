//! What to measure next.

use std::collections::BTreeSet;
use std::f64::consts::{PI, SQRT_2};

use rand_xoshiro::Xoshiro256PlusPlus;

use super::model::Model;
use super::race::Known;
use super::{below, normal};
use crate::front::{Front, Point};
use crate::knapsack::{KnapsackError, Limits, Solution, solve};
use crate::space::{Assignment, Space};

/// The limits of the knapsacks: they are solved often, and with sensitivities that are not exact anyway.
const POINTS: usize = 3_000;
const SUBSETS: usize = 60;
/// How many knapsacks with disturbed sensitivities are solved beside the one with the best known ones.
const DISTURBED: usize = 3;
/// As many where the number of different multipliers is limited, which makes many knapsacks of one.
const DISTURBED_WITH_LIMIT: usize = 1;
/// By how much sensitivities of which nothing more is known are disturbed, as a logarithm.
const DISTURBANCE: f64 = 0.4;
/// How many changes of each direction are joined in pairs, for each point of the front.
const CHANGES: usize = 25;
/// How many candidates of each kind are looked at closely, for each part of the range of energies.
const CLOSELY: usize = 20;
/// How many mixtures of points of the front are looked at.
const MIXTURES: usize = 300;
/// How many steps a candidate climbs, and how many neighbours it looks at in each.
const CLIMB: usize = 5;
const NEIGHBOURS: usize = 150;
/// An expected gain, in points, that is not worth a measurement.
const NO_GAIN: f64 = 1e-3;

pub(super) fn limits() -> Limits {
    Limits::default().with_points(POINTS).with_subsets(SUBSETS)
}

/// What candidates are measured by.
pub(super) struct Scene<'a> {
    pub space: &'a Space,
    pub model: &'a Model,
    pub known: &'a Known,
    pub front: &'a Front,
    /// The accuracy of the exact network.
    pub exact: f64,
    /// The accuracy below which nothing is of interest.
    pub floor: f64,
}

/// A candidate with a rough guess of the points that it gains.
type Guess = (f64, f64, Assignment);

impl Scene<'_> {
    /// The most promising candidates, at most one for each of so many equal parts of the range of energies, the most
    /// promising first. `shift`, from 0 to 1, moves the borders of the parts.
    ///
    /// A candidate promises the expected improvement (Jones, Schonlau and Welch, Journal of Global Optimization 13,
    /// 1998) over the most accurate assignment of no more energy.
    pub fn choose(
        &self,
        count: usize,
        shift: f64,
        random: &mut Xoshiro256PlusPlus,
    ) -> Result<Vec<Assignment>, KnapsackError> {
        let costs = self.model.costs();
        let solved = self.solved(&costs, random)?;
        let moved = self.moved(&costs);
        let reaches = solved
            .iter()
            .filter(|guess| guess.0 >= 0.0)
            .map(|guess| guess.1);
        let known = self
            .front
            .points()
            .iter()
            .filter(|point| point.accuracy() >= self.floor);
        let least = reaches
            .chain(known.map(|point| point.energy))
            .fold(f64::INFINITY, f64::min);
        let most = self.space.energy(&self.space.exact());
        // One part more, so that the end moves on where more is possible than the sums let expect.
        let least = least - (most - least) / count as f64;
        let width = ((most - least) / count as f64).max(f64::MIN_POSITIVE);
        let part = |energy: f64| ((energy - least) / width + shift).max(0.0) as usize;
        let mut close: BTreeSet<Assignment> = BTreeSet::new();
        for mut guesses in [solved, moved, self.crossed(random)] {
            guesses
                .sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.2.cmp(&other.2)));
            let mut counts = vec![0; count + 2];
            for (_, energy, assignment) in guesses {
                let place = part(energy).min(count + 1);
                if counts[place] < CLOSELY && close.insert(assignment) {
                    counts[place] += 1;
                }
            }
        }
        let uniform = (1..self.space.choices().len()).map(|choice| self.space.uniform(choice));
        close.extend(uniform.filter(|assignment| self.is_new(assignment)));
        let mut best: Vec<Option<(f64, Assignment)>> = vec![None; count + 2];
        for assignment in close {
            let energy = self.space.energy(&assignment);
            let Some(gain) = self.expected_gain(&assignment, energy) else {
                continue;
            };
            let best = &mut best[part(energy).min(count + 1)];
            if gain > best.as_ref().map_or(NO_GAIN, |best| best.0) {
                *best = Some((gain, assignment));
            }
        }
        let starts: Vec<Assignment> = best
            .iter()
            .flatten()
            .map(|(_, assignment)| assignment.clone())
            .collect();
        for assignment in starts.into_iter().map(|start| self.climb(start, random)) {
            let energy = self.space.energy(&assignment);
            let gain = self
                .expected_gain(&assignment, energy)
                .filter(|_| self.is_new(&assignment));
            let best = &mut best[part(energy).min(count + 1)];
            if let Some(gain) = gain
                && gain > best.as_ref().map_or(NO_GAIN, |best| best.0)
            {
                *best = Some((gain, assignment));
            }
        }
        let mut best: Vec<(f64, Assignment)> = best.into_iter().flatten().collect();
        best.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        best.truncate(count);
        Ok(best.into_iter().map(|(_, assignment)| assignment).collect())
    }

    /// Mixtures of two points of the front, group by group, with one group drawn anew: where losses do not add up, what
    /// is good together is kept together.
    fn crossed(&self, random: &mut Xoshiro256PlusPlus) -> Vec<Guess> {
        let near = self
            .front
            .points()
            .iter()
            .filter(|point| point.accuracy() >= self.floor);
        let near: Vec<&Assignment> = near.map(|point| &point.assignment).collect();
        let mut child = || {
            let (one, other) = (
                near.get(below(random, near.len()))?,
                near.get(below(random, near.len()))?,
            );
            let pairs = one.choices().iter().zip(other.choices());
            let mixed = pairs.map(|(one, other)| if below(random, 2) == 0 { *one } else { *other });
            let mixed = Assignment::new(mixed.collect());
            let group = below(random, self.space.groups().len());
            let choices = &self.space.groups()[group].choices;
            let child = mixed.with(group, choices[below(random, choices.len())]);
            let energy = self.space.energy(&child);
            let expected = self.exact - self.model.expect(&child)?;
            Some((expected - self.known_accuracy(energy), energy, child))
                .filter(|guess| self.is_new(&guess.2))
        };
        (0..MIXTURES).filter_map(|_| child()).collect()
    }

    /// Changes single groups, each time the one of which the model expects most, as long as it expects more: here all
    /// that the model knows counts, not only what adds up.
    fn climb(&self, start: Assignment, random: &mut Xoshiro256PlusPlus) -> Assignment {
        let value = |assignment: &Assignment| {
            let drop = self.model.expect(assignment)?;
            Some(self.exact - drop - self.known_accuracy(self.space.energy(assignment)))
        };
        let cells = || {
            let groups = self.space.groups().iter().enumerate();
            groups.flat_map(|(group, of)| of.choices.iter().map(move |choice| (group, *choice)))
        };
        let stride = cells().count().div_ceil(NEIGHBOURS);
        let mut at = start;
        let mut reached = value(&at).unwrap_or(f64::NEG_INFINITY);
        for _ in 0..CLIMB {
            let neighbours = cells().skip(below(random, stride)).step_by(stride);
            let changed = neighbours
                .filter(|(group, choice)| at.choices()[*group] != *choice)
                .map(|(group, choice)| at.with(group, choice))
                .filter(|assignment| self.space.allows(assignment));
            let valued = changed.filter_map(|assignment| Some((value(&assignment)?, assignment)));
            match valued
                .max_by(|one, other| one.0.total_cmp(&other.0).then_with(|| other.1.cmp(&one.1)))
            {
                Some((value, assignment)) if value > reached => (at, reached) = (assignment, value),
                _ => break,
            }
        }
        at
    }

    fn is_new(&self, assignment: &Assignment) -> bool {
        self.space.allows(assignment) && !self.known.contains(assignment)
    }

    /// The best accuracy that is known for no more energy, or the floor.
    fn known_accuracy(&self, energy: f64) -> f64 {
        self.front
            .most_accurate(energy)
            .map_or(self.floor, Point::accuracy)
            .max(self.floor)
    }

    fn expected_gain(&self, assignment: &Assignment, energy: f64) -> Option<f64> {
        let expected = self.model.predict(assignment)?;
        let gain = self.exact - expected.drop - self.known_accuracy(energy);
        let ratio = gain / expected.error;
        let density = (-0.5 * ratio * ratio).exp() / (2.0 * PI).sqrt();
        Some(expected.error * density + gain * cumulative(ratio))
    }

    /// The fronts of knapsacks: with corrected sensitivities, and with randomly disturbed ones, the more the less is
    /// known of them.
    fn solved(
        &self,
        costs: &[Vec<Option<f64>>],
        random: &mut Xoshiro256PlusPlus,
    ) -> Result<Vec<Guess>, KnapsackError> {
        let evidence = self.model.evidence();
        let mut all = solve(self.space, costs, &limits())?.points;
        let disturbed = self
            .space
            .most_multipliers()
            .map_or(DISTURBED, |_| DISTURBED_WITH_LIMIT);
        for _ in 0..disturbed {
            let disturbed: Vec<Vec<Option<f64>>> = (costs.iter().zip(&evidence))
                .map(|(costs, evidence)| {
                    let cells = costs.iter().zip(evidence);
                    let disturb = |(cost, evidence): (&Option<f64>, &f64)| {
                        let scale = DISTURBANCE / (1.0 + evidence).sqrt();
                        let factor = (scale * normal(random)).exp();
                        cost.map(|cost| cost * factor)
                    };
                    cells.map(disturb).collect()
                })
                .collect();
            all.extend(solve(self.space, &disturbed, &limits())?.points);
        }
        let guess = |solution: Solution| {
            let cells = solution.assignment.choices().iter().zip(costs);
            let sum: f64 = cells.filter_map(|(choice, row)| row[*choice]).sum();
            let gain = self.exact - self.model.of_sum(sum) - self.known_accuracy(solution.energy);
            (gain, solution.energy, solution.assignment)
        };
        let new = all
            .into_iter()
            .filter(|solution| self.is_new(&solution.assignment));
        Ok(new.map(guess).collect())
    }

    /// Assignments that differ from a point of the front in one or two groups, or in one multiplier wherever it is.
    /// What they gain is guessed from what that point was measured to have.
    fn moved(&self, costs: &[Vec<Option<f64>>]) -> Vec<Guess> {
        let points = self
            .front
            .points()
            .iter()
            .filter(|point| point.accuracy() >= self.floor);
        points
            .flat_map(|point| self.moved_from(point, costs))
            .collect()
    }

    fn moved_from(&self, point: &Point, costs: &[Vec<Option<f64>>]) -> Vec<Guess> {
        let choices = point.assignment.choices();
        let sum: f64 = choices
            .iter()
            .zip(costs)
            .filter_map(|(choice, row)| row[*choice])
            .sum();
        let measured = self.exact - point.accuracy() - self.model.of_sum(sum);
        // Energy, loss, group and multiplier of every change of one group.
        let mut changes: Vec<(f64, f64, usize, usize)> = Vec::new();
        for (group, own) in choices.iter().enumerate() {
            let share = self.space.share(group);
            let energy = |choice: usize| share * self.space.choices()[choice].energy;
            for choice in self.space.groups()[group]
                .choices
                .iter()
                .filter(|choice| *choice != own)
            {
                if let (Some(before), Some(after)) = (costs[group][*own], costs[group][*choice]) {
                    changes.push((
                        energy(*choice) - energy(*own),
                        after - before,
                        group,
                        *choice,
                    ));
                }
            }
        }
        let guess = |assignment: Assignment, loss: f64| {
            let energy = self.space.energy(&assignment);
            let drop = self.model.of_sum((sum + loss).max(0.0)) + measured;
            (
                self.exact - drop - self.known_accuracy(energy),
                energy,
                assignment,
            )
        };
        let mut guesses: Vec<Guess> = (changes.iter())
            .map(|(_, loss, group, choice)| guess(point.assignment.with(*group, *choice), *loss))
            .collect();
        // Of those that save energy, the ones that lose least for it; of those that win accuracy, the ones that take
        // least.
        let kind = |is_saving: bool| {
            let has_kind = |change: &&(f64, f64, usize, usize)| match is_saving {
                true => change.0 < 0.0,
                false => change.0 >= 0.0 && change.1 < 0.0,
            };
            let mut of_kind: Vec<&(f64, f64, usize, usize)> =
                changes.iter().filter(has_kind).collect();
            let rate = |change: &(f64, f64, usize, usize)| change.1 / (change.0.abs() + 1e-6);
            of_kind.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
            of_kind.truncate(CHANGES);
            of_kind
        };
        let (saving, winning) = (kind(true), kind(false));
        for (_, loss, group, choice) in saving {
            let assignment = point.assignment.with(*group, *choice);
            let partners = winning.iter().filter(|(_, _, other, _)| other != group);
            guesses.extend(
                partners.map(|(_, more, other, next)| {
                    guess(assignment.with(*other, *next), loss + more)
                }),
            );
        }
        for gone in point.assignment.multipliers() {
            for new in 0..self.space.choices().len() {
                let groups = choices.iter().zip(self.space.groups());
                let exchanged =
                    groups.map(
                        |(own, group)| match *own == gone && group.choices.contains(&new) {
                            true => new,
                            false => *own,
                        },
                    );
                let exchanged: Vec<usize> = exchanged.collect();
                let cells = exchanged
                    .iter()
                    .zip(costs)
                    .map(|(choice, row)| row[*choice]);
                if let Some(after) = cells.sum::<Option<f64>>() {
                    guesses.push(guess(Assignment::new(exchanged), after - sum));
                }
            }
        }
        guesses.retain(|(_, _, assignment)| self.is_new(assignment));
        guesses
    }
}

/// The chance that a normal variable of mean 0 and variance 1 is below this, to within 1e-7 (Abramowitz and Stegun,
/// Handbook of Mathematical Functions, 7.1.26).
fn cumulative(value: f64) -> f64 {
    let x = value.abs() / SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let factors = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let tail = factors.iter().fold(0.0, |sum, factor| (sum + factor) * t) * (-x * x).exp() / 2.0;
    if value < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cumulative_is_that_of_a_normal_variable() {
        let expected = [
            (0.0, 0.5),
            (1.0, 0.841_344_7),
            (-1.96, 0.024_997_9),
            (3.0, 0.998_650_1),
        ];
        assert!(
            expected
                .iter()
                .all(|(value, chance)| (cumulative(*value) - chance).abs() < 2e-7)
        );
    }
}
