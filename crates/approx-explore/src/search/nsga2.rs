//! The genetic algorithm NSGA-II (Deb, Pratap, Agarwal and Meyarivan, IEEE Transactions on Evolutionary Computation 6,
//! 2002), which ALWANN uses for this question.
//!
//! It is written here because the crates that have it evaluate individuals one by one, or only vectors of real numbers;
//! here a generation is measured in one batch, within a budget, by one seeded generator.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::{SearchError, Settings, below, measure_affordable, random::draw, start, unit};
use crate::evaluator::Evaluator;
use crate::front::Front;
use crate::measure::Measure;
use crate::space::{Assignment, Space};

/// How often two parents are mixed; else one of them is copied before it mutates.
const CROSSOVER: f64 = 0.9;
/// How often a child that was met before is drawn again.
const REDRAWS: usize = 10;

#[derive(Debug, Clone)]
struct Individual {
    assignment: Assignment,
    energy: f64,
    /// In per cent, negated, so that less is better in both.
    inaccuracy: f64,
    rank: usize,
    crowding: f64,
}

/// The front of all individuals of NSGA-II, with the [`population`](Settings::with_population) and the
/// [`seed`](Settings::with_seed) of the settings.
///
/// The first generation has the exact and the uniform assignments, and random ones besides. Parents are found by
/// tournaments of two, mixed group by group, and on average one group of a child is drawn anew. Of parents and children
/// the best ranks survive, of the last rank that fits in part those with the most room around them. Every individual is
/// measured on all images. A child with too many different multipliers gives up its rarest ones.
///
/// ```
/// use approx_explore::{evaluator::Evaluator, search, synthetic::SyntheticNetwork};
///
/// let network = SyntheticNetwork::tiny(1);
/// let mut evaluator = Evaluator::new(network.space().clone(), network);
/// let front = search::nsga2(&mut evaluator, &search::Settings::default().with_population(8, 2))?;
/// assert!(!front.points().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If not even the exact network can be measured within the budget, or a measurement fails.
pub fn nsga2<M: Measure>(
    evaluator: &mut Evaluator<M>,
    settings: &Settings,
) -> Result<Front, SearchError<M::Error>> {
    let (mut archive, _) = start(evaluator)?;
    let space = evaluator.space().clone();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
    let mut met: BTreeSet<Assignment> = BTreeSet::new();
    let uniform = (0..space.choices().len()).map(|choice| space.uniform(choice));
    let mut generation: Vec<Assignment> = uniform
        .filter(|assignment| space.allows(assignment) && met.insert(assignment.clone()))
        .take(settings.population)
        .collect();
    while generation.len() < settings.population {
        generation.push(fresh(&met, || draw(&space, &mut random)));
        met.extend(generation.last().cloned());
    }
    let mut population: Vec<Individual> = Vec::new();
    for _ in 0..=settings.generations {
        let is_whole = measure_affordable(evaluator, &generation, &mut archive)?;
        let measured = generation.iter().filter_map(|assignment| {
            let outcome = archive.get(assignment)?;
            Some(Individual {
                energy: space.energy(assignment),
                assignment: assignment.clone(),
                inaccuracy: -outcome.accuracy(),
                rank: 0,
                crowding: 0.0,
            })
        });
        population.extend(measured);
        if !is_whole {
            break;
        }
        population = survivors(population, settings.population);
        generation.clear();
        while generation.len() < settings.population {
            generation.push(fresh(&met, || child(&space, &population, &mut random)));
            met.extend(generation.last().cloned());
        }
    }
    Ok(Front::new(&space, archive))
}

/// One that was not met before, if a few draws give one.
fn fresh(met: &BTreeSet<Assignment>, mut draw: impl FnMut() -> Assignment) -> Assignment {
    let mut drawn = draw();
    for _ in 0..REDRAWS {
        if !met.contains(&drawn) {
            break;
        }
        drawn = draw();
    }
    drawn
}

fn child(space: &Space, population: &[Individual], random: &mut Xoshiro256PlusPlus) -> Assignment {
    let (first, second) = (
        tournament(population, random),
        tournament(population, random),
    );
    let is_mixed = unit(random) < CROSSOVER;
    let pairs = first
        .assignment
        .choices()
        .iter()
        .zip(second.assignment.choices());
    let mut choices: Vec<usize> = pairs
        .map(|(one, other)| {
            if is_mixed && unit(random) < 0.5 {
                *other
            } else {
                *one
            }
        })
        .collect();
    let groups = space.groups().len();
    for (choice, group) in choices.iter_mut().zip(space.groups()) {
        if unit(random) < 1.0 / groups as f64 {
            *choice = group.choices[below(random, group.choices.len())];
        }
    }
    within_limit(space, choices).unwrap_or_else(|| first.assignment.clone())
}

fn tournament<'a>(population: &'a [Individual], random: &mut Xoshiro256PlusPlus) -> &'a Individual {
    let one = &population[below(random, population.len())];
    let other = &population[below(random, population.len())];
    if crowded(one, other) == Ordering::Greater {
        other
    } else {
        one
    }
}

/// The order of rank, then of room.
fn crowded(one: &Individual, other: &Individual) -> Ordering {
    one.rank
        .cmp(&other.rank)
        .then(other.crowding.total_cmp(&one.crowding))
}

/// Replaces the rarest multipliers by the nearest ones of the others until there are no more than allowed; `None` if a
/// group may have none of those left.
fn within_limit(space: &Space, mut choices: Vec<usize>) -> Option<Assignment> {
    let limit = space.most_multipliers().unwrap_or(usize::MAX);
    loop {
        let assignment = Assignment::new(choices.clone());
        let mut left = assignment.multipliers();
        if left.len() <= limit {
            return Some(assignment);
        }
        let count = |choice: &usize| choices.iter().filter(|other| *other == choice).count();
        let rarest = *left.iter().min_by_key(|choice| count(choice))?;
        left.retain(|choice| *choice != rarest);
        let energy = |choice: usize| space.choices()[choice].energy;
        for (choice, group) in choices.iter_mut().zip(space.groups()) {
            if *choice == rarest {
                let allowed = left.iter().filter(|other| group.choices.contains(other));
                let distance = |other: &usize| (energy(*other) - energy(rarest)).abs();
                *choice =
                    *allowed.min_by(|one, other| distance(one).total_cmp(&distance(other)))?;
            }
        }
    }
}

/// The best so many, with their ranks and room.
fn survivors(mut population: Vec<Individual>, count: usize) -> Vec<Individual> {
    // The order makes the rest independent of the order of birth.
    population.sort_by(|one, other| {
        (one.energy.total_cmp(&other.energy))
            .then(one.inaccuracy.total_cmp(&other.inaccuracy))
            .then_with(|| one.assignment.cmp(&other.assignment))
    });
    population.dedup_by(|one, other| one.assignment == other.assignment);
    let mut left = population;
    let mut kept: Vec<Individual> = Vec::new();
    let mut rank = 0;
    while kept.len() < count && !left.is_empty() {
        // In order of energy, an individual is beaten by one before it that is at least as accurate.
        let mut best = f64::INFINITY;
        let (mut this, beaten): (Vec<Individual>, Vec<Individual>) =
            left.into_iter().partition(|individual| {
                let is_better = individual.inaccuracy < best;
                best = best.min(individual.inaccuracy);
                is_better
            });
        give_room(&mut this);
        this.iter_mut()
            .for_each(|individual| individual.rank = rank);
        this.sort_by(crowded);
        this.truncate(count - kept.len());
        kept.extend(this);
        left = beaten;
        rank += 1;
    }
    kept
}

/// The crowding distance: of each individual of a rank, in order of energy, how far its neighbours are apart, in parts
/// of the rank's whole extent, summed over energy and accuracy. The ends have infinite room.
fn give_room(rank: &mut [Individual]) {
    let (Some(first), Some(last)) = (rank.first(), rank.last()) else {
        return;
    };
    let energies = (last.energy - first.energy).max(f64::MIN_POSITIVE);
    let inaccuracies = (first.inaccuracy - last.inaccuracy).max(f64::MIN_POSITIVE);
    let room = |pair: &[Individual]| {
        (pair[2].energy - pair[0].energy) / energies
            + (pair[0].inaccuracy - pair[2].inaccuracy) / inaccuracies
    };
    let rooms: Vec<f64> = rank.windows(3).map(room).collect();
    let rooms = [f64::INFINITY]
        .into_iter()
        .chain(rooms)
        .chain([f64::INFINITY]);
    rank.iter_mut()
        .zip(rooms)
        .for_each(|(individual, room)| individual.crowding = room);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::SyntheticNetwork;

    fn individual(number: usize, energy: f64, accuracy: f64) -> Individual {
        Individual {
            assignment: Assignment::new(vec![number]),
            energy,
            inaccuracy: -accuracy,
            rank: 0,
            crowding: 0.0,
        }
    }

    #[test]
    fn ranks_and_room_decide_who_survives() {
        let population = vec![
            individual(0, 1.0, 90.0),
            individual(1, 0.9, 89.0),
            individual(2, 0.89, 88.9),
            individual(3, 0.2, 20.0),
            individual(4, 0.95, 50.0),
            individual(5, 0.5, 70.0),
        ];
        let kept = survivors(population, 4);
        let numbers: BTreeSet<usize> = kept.iter().map(|one| one.assignment.choices()[0]).collect();
        // Number 4 is beaten; of the others, number 1 has the least room.
        assert_eq!(numbers, BTreeSet::from([0, 2, 3, 5]));
        assert!(kept.iter().all(|one| one.rank == 0));
    }

    #[test]
    fn children_keep_to_the_limit() {
        let space = SyntheticNetwork::residual(1)
            .space()
            .clone()
            .with_most_multipliers(3)
            .unwrap();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
        let population: Vec<Individual> = (0..10)
            .map(|_| Individual {
                assignment: draw(&space, &mut random),
                ..individual(0, 1.0, 1.0)
            })
            .collect();
        assert!((0..100).all(|_| space.allows(&child(&space, &population, &mut random))));
    }
}
