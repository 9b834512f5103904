//! The knapsack with a limit on the number of different multipliers.
//!
//! Every set of so many multipliers is a knapsack of its own. Where there are few sets, all of them are solved. Where
//! there are many, sets are grown and exchanged one multiplier at a time, judged at several energies by the linear
//! relaxation, which is solved by sorting (Sinha and Zoltners, Operations Research 27, 1979): in it a group may have
//! parts of two multipliers.

use std::collections::{BTreeMap, BTreeSet};

use super::dynamic::{self, Choice, Options, falling, sorted};
use super::{Coverage, KnapsackError, Limits, Solution, Solutions, evaluate, undominated};
use crate::space::Space;

/// At how many energies sets are judged.
const LEVELS: usize = 16;
/// How many sets are kept for every energy while they grow.
const BEAM: usize = 2;
/// How many sets are exchanged at most.
const EXCHANGES: usize = 100;
/// The fewest points that a set gets of the limit of points.
const FEWEST_POINTS: usize = 2_000;
/// How often the limit of points is spent over all sets.
const SHARES: usize = 20;

pub(super) fn solve(
    space: &Space,
    losses: &[Vec<Option<f64>>],
    options: &Options,
    useful: &[usize],
    limit: usize,
    limits: &Limits,
) -> Result<Solutions, KnapsackError> {
    let (subsets, coverage) = match count(useful.len(), limit) <= limits.subsets {
        true => (all(useful, limit), Coverage::All),
        false => (promising(options, useful, limit), Coverage::Promising),
    };
    let share = (SHARES * limits.points / subsets.len().max(1))
        .max(FEWEST_POINTS)
        .min(limits.points);
    let mut points: Vec<Solution> = Vec::new();
    let mut energy_error = None;
    for options in subsets
        .iter()
        .filter_map(|subset| options.of_subset(subset))
    {
        let (front, error) = dynamic::front(&options, share);
        points.extend(
            front
                .into_iter()
                .map(|choices| evaluate(space, losses, choices)),
        );
        energy_error = Some(energy_error.map_or(error, |worst: f64| worst.max(error)));
        // What is beaten is dropped now and then, so that the lists of all sets are never held at once.
        if points.len() > 4 * limits.points {
            points = undominated(points);
        }
    }
    let energy_error = energy_error.ok_or(KnapsackError::NoSubset { limit })?;
    Ok(Solutions {
        points: undominated(points),
        energy_error,
        coverage,
    })
}

/// The number of sets of so many out of so many.
fn count(all: usize, chosen: usize) -> usize {
    let factor = |count: usize, index: usize| count.saturating_mul(all - index) / (index + 1);
    (0..chosen.min(all - chosen.min(all))).fold(1, factor)
}

/// All sets of so many, in order.
fn all(useful: &[usize], limit: usize) -> Vec<Vec<usize>> {
    let mut sets = vec![Vec::new()];
    for (index, choice) in useful.iter().enumerate() {
        let with: Vec<Vec<usize>> = (sets.iter().filter(|set| set.len() < limit))
            .map(|set| set.iter().copied().chain([*choice]).collect())
            .collect();
        sets.extend(with);
        // What can no longer be filled is dropped.
        let left = useful.len() - index - 1;
        sets.retain(|set| set.len() + left >= limit);
    }
    sets.sort();
    sets
}

/// How good a set is at every level of energy.
struct Judged {
    /// How many groups it leaves without a multiplier.
    without: usize,
    /// The least energy that it can have.
    least: u64,
    /// The loss of the relaxation at every level, infinite where it cannot have so little energy.
    losses: Vec<f64>,
}

/// Sets that are the best of those looked at for some energy: grown from the best smaller ones, then exchanged.
fn promising(options: &Options, useful: &[usize], limit: usize) -> Vec<Vec<usize>> {
    let levels = levels(options);
    let sorted: Vec<Vec<Choice>> = options.groups.iter().map(|group| sorted(group)).collect();
    let mut judged: BTreeMap<Vec<usize>, Judged> = BTreeMap::new();
    let mut beam = BTreeSet::from([Vec::new()]);
    for _ in 0..limit {
        judged.clear();
        for set in beam.iter().flat_map(|set| extended(set, useful)) {
            judged
                .entry(set)
                .or_insert_with_key(|set| judge(&sorted, set, &levels));
        }
        beam = best(&judged);
    }
    // Exchanges one multiplier of every set of the beam, until all of them were exchanged.
    let mut exchanged: BTreeSet<Vec<usize>> = BTreeSet::new();
    while let Some(set) = beam.difference(&exchanged).next().cloned() {
        for gone in &set {
            let rest: Vec<usize> = set
                .iter()
                .copied()
                .filter(|choice| choice != gone)
                .collect();
            for other in extended(&rest, useful) {
                judged
                    .entry(other)
                    .or_insert_with_key(|set| judge(&sorted, set, &levels));
            }
        }
        exchanged.insert(set);
        if exchanged.len() >= EXCHANGES {
            break;
        }
        beam = best(&judged);
    }
    beam.into_iter().collect()
}

/// All sets with one multiplier more.
fn extended(set: &[usize], useful: &[usize]) -> Vec<Vec<usize>> {
    let absent = useful.iter().filter(|choice| !set.contains(choice));
    absent.map(|choice| with(set, *choice)).collect()
}

fn with(set: &[usize], choice: usize) -> Vec<usize> {
    let mut set: Vec<usize> = set.iter().copied().chain([choice]).collect();
    set.sort_unstable();
    set
}

/// Energies spread evenly from the least to the most.
fn levels(options: &Options) -> Vec<u64> {
    let energies = |group: &Vec<Choice>| {
        let energies = group.iter().map(|choice| choice.energy);
        (
            energies.clone().min().unwrap_or(0),
            energies.max().unwrap_or(0),
        )
    };
    let sum = |(least, most): (u64, u64), (low, high): (u64, u64)| (least + low, most + high);
    let (least, most) = options.groups.iter().map(energies).fold((0, 0), sum);
    let level = |step: usize| least + (most - least) / (LEVELS as u64) * (step as u64 + 1);
    (0..LEVELS).map(level).collect()
}

/// The best sets of every level.
fn best(judged: &BTreeMap<Vec<usize>, Judged>) -> BTreeSet<Vec<usize>> {
    let mut kept = BTreeSet::new();
    for level in 0..LEVELS {
        let worse = |one: &(&Vec<usize>, &Judged), other: &(&Vec<usize>, &Judged)| {
            (one.1.without.cmp(&other.1.without))
                .then(one.1.losses[level].total_cmp(&other.1.losses[level]))
                .then(one.1.least.cmp(&other.1.least))
                .then_with(|| one.0.cmp(other.0))
        };
        let mut order: Vec<(&Vec<usize>, &Judged)> = judged.iter().collect();
        if order.len() > BEAM {
            order.select_nth_unstable_by(BEAM, worse);
            order.truncate(BEAM);
        }
        kept.extend(order.into_iter().map(|(set, _)| set.clone()));
    }
    kept
}

fn judge(sorted: &[Vec<Choice>], set: &[usize], levels: &[u64]) -> Judged {
    let of_group = |group: &Vec<Choice>| -> Vec<Choice> {
        let has = |choice: &&Choice| set.binary_search(&choice.number).is_ok();
        hull(&falling(group.iter().filter(has).copied()))
    };
    let hulls: Vec<Vec<Choice>> = sorted.iter().map(of_group).collect();
    let starts = hulls.iter().filter_map(|hull| hull.first());
    let least = starts.clone().map(|choice| choice.energy).sum();
    let mut at = (least, starts.map(|choice| choice.loss).sum::<f64>());
    let segment = |pair: &[Choice]| (pair[1].energy - pair[0].energy, pair[0].loss - pair[1].loss);
    let mut segments: Vec<(u64, f64)> = hulls
        .iter()
        .flat_map(|hull| hull.windows(2).map(segment))
        .collect();
    segments.sort_by(|one, other| (other.1 / other.0 as f64).total_cmp(&(one.1 / one.0 as f64)));
    let mut segments = segments.into_iter().peekable();
    let at_level = |level: &u64| {
        while let Some((energy, gain)) = segments.next_if(|segment| at.0 + segment.0 <= *level) {
            at = (at.0 + energy, at.1 - gain);
        }
        let part = segments.peek().map_or(0.0, |(energy, gain)| {
            level.saturating_sub(at.0) as f64 / *energy as f64 * gain
        });
        if at.0 <= *level {
            at.1 - part
        } else {
            f64::INFINITY
        }
    };
    let losses = levels.iter().map(at_level).collect();
    let without = hulls.iter().filter(|hull| hull.is_empty()).count();
    Judged {
        without,
        least,
        losses,
    }
}

/// The lower convex hull of multipliers in which energies rise and losses fall.
fn hull(choices: &[Choice]) -> Vec<Choice> {
    let mut hull: Vec<Choice> = Vec::new();
    for choice in choices {
        while let [.., one, middle] = hull.as_slice() {
            let slope = |from: &Choice, to: &Choice| {
                (from.loss - to.loss) / (to.energy - from.energy) as f64
            };
            if slope(one, middle) > slope(middle, choice) {
                break;
            }
            hull.pop();
        }
        hull.push(*choice);
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_counted_as_listed() {
        let useful: Vec<usize> = (0..7).collect();
        for limit in 1..7 {
            let sets = all(&useful, limit);
            assert_eq!(sets.len(), count(7, limit));
            assert!(sets.iter().all(|set| set.len() == limit));
            assert!(sets.is_sorted_by(|one, next| one < next));
        }
        assert_eq!(count(51, 3), 20_825);
    }
}
