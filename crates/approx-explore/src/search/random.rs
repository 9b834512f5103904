//! Random assignments.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::{SearchError, Settings, below, measure_affordable, normal, start, unit};
use crate::evaluator::Evaluator;
use crate::front::Front;
use crate::measure::Measure;
use crate::space::{Assignment, Space};

/// The front of random assignments, with the [`samples`](Settings::with_samples) and the [`seed`](Settings::with_seed)
/// of the settings.
///
/// Were every group drawn evenly by itself, nearly all energies would lie near the mean. So each assignment first draws
/// an energy, and its groups draw multipliers around that.
///
/// ```
/// use approx_explore::{evaluator::Evaluator, search, synthetic::SyntheticNetwork};
///
/// let network = SyntheticNetwork::tiny(1);
/// let mut evaluator = Evaluator::new(network.space().clone(), network);
/// let front = search::random(&mut evaluator, &search::Settings::default().with_samples(10))?;
/// assert!(!front.points().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If not even the exact network can be measured within the budget, or a measurement fails.
pub fn random<M: Measure>(
    evaluator: &mut Evaluator<M>,
    settings: &Settings,
) -> Result<Front, SearchError<M::Error>> {
    let (mut archive, _) = start(evaluator)?;
    let space = evaluator.space().clone();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
    let drawn: Vec<Assignment> = (0..settings.samples)
        .map(|_| draw(&space, &mut random))
        .collect();
    measure_affordable(evaluator, &drawn, &mut archive)?;
    Ok(Front::new(&space, archive))
}

/// Draws an assignment that the space allows, with an energy that is spread over all that there are.
pub(super) fn draw(space: &Space, random: &mut Xoshiro256PlusPlus) -> Assignment {
    let energies = space.choices().iter().map(|choice| choice.energy);
    let (least, most) = (
        energies.clone().fold(f64::INFINITY, f64::min),
        energies.fold(0.0, f64::max),
    );
    // A limit may leave few sets that serve all groups; the exact multiplier serves every group.
    for _ in 0..20 {
        let set = draw_set(space, random);
        let middle = least + (most - least) * unit(random);
        let spread = (most - least) * 0.5 * unit(random);
        let of_group = |group: &crate::space::Group| {
            let wanted = middle + spread * normal(random);
            let distance = |choice: &usize| (space.choices()[*choice].energy - wanted).abs();
            let allowed = group.choices.iter().filter(|choice| set.contains(choice));
            let nearest = allowed.min_by(|one, other| distance(one).total_cmp(&distance(other)));
            nearest.copied().unwrap_or(0)
        };
        let assignment = Assignment::new(space.groups().iter().map(of_group).collect());
        if space.allows(&assignment) {
            return assignment;
        }
    }
    space.exact()
}

/// A set of no more multipliers than allowed.
fn draw_set(space: &Space, random: &mut Xoshiro256PlusPlus) -> Vec<usize> {
    let mut choices: Vec<usize> = (0..space.choices().len()).collect();
    let limit = space
        .most_multipliers()
        .unwrap_or(choices.len())
        .min(choices.len());
    for place in 0..limit {
        let other = place + below(random, choices.len() - place);
        choices.swap(place, other);
    }
    choices.truncate(limit);
    choices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::SyntheticNetwork;

    #[test]
    fn energies_are_spread() {
        for limit in [1, 3, 13] {
            let space = SyntheticNetwork::residual(1)
                .space()
                .clone()
                .with_most_multipliers(limit)
                .unwrap();
            let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
            let drawn: Vec<Assignment> = (0..200).map(|_| draw(&space, &mut random)).collect();
            assert!(drawn.iter().all(|assignment| space.allows(assignment)));
            let energies: Vec<f64> = drawn
                .iter()
                .map(|assignment| space.energy(assignment))
                .collect();
            let within = |low: f64, high: f64| {
                energies
                    .iter()
                    .filter(|energy| (low..high).contains(*energy))
                    .count()
            };
            assert!(within(0.2, 0.5) > 20 && within(0.5, 0.75) > 20 && within(0.75, 1.1) > 20);
        }
    }
}
