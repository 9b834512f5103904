//! The method of this crate: losses that nearly add up, and what was measured where they do not.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::candidates::{Scene, limits};
use super::model::{Model, Observation, Scales};
use super::race::{Known, Rules, race};
use super::{SearchError, Settings, start};
use crate::evaluator::Evaluator;
use crate::front::{Front, Point};
use crate::knapsack::{Solution, solve};
use crate::measure::{Measure, Outcome};
use crate::sensitivity::Sensitivity;
use crate::space::{Assignment, Space};

/// The part of the golden section: its multiples are spread evenly from 0 to 1.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// How much further down than the range of interest the method looks, in parts of it.
const MARGIN: f64 = 0.2;
/// How many measured assignments the model learns from: its work grows with the cube of their number.
const OBSERVATIONS: usize = 400;

/// The front of energy and accuracy, from sensitivities and few measurements.
///
/// 1. The sensitivities are measured, or given with [`with_sensitivity`](Settings::with_sensitivity).
/// 2. Assuming that they add up, the knapsack gives the best assignment for every energy. Assignments spread over its
///    front are measured on few images, to see at which energies accuracy is lost, and then others spread over the
///    range of interest, down to [`with_drop`](Settings::with_drop) points below the exact network, and the uniform ones.
/// 3. In rounds, a model of what was measured corrects the sensitivities and learns what does not add up. The knapsack
///    is solved again; its front, those of disturbed sensitivities, and changes and mixtures of what is best so far are the
///    candidates. Those from which the model expects most race on growing numbers of images; one is dropped when an
///    assignment of no more energy is better with the stated [confidence](Settings::with_confidence).
/// 4. It ends when some rounds brought nothing, after the most rounds, or when the budget is spent, and gives the front
///    of all assignments that were measured on all images.
///
/// It uses all settings but those that name another method.
///
/// ```
/// use approx_explore::{evaluator::Evaluator, search, synthetic::SyntheticNetwork};
///
/// let network = SyntheticNetwork::tiny(1);
/// let mut evaluator = Evaluator::new(network.space().clone(), network).with_budget(100_000);
/// let front = search::additive(&mut evaluator, &search::Settings::default())?;
/// let exact = front.points().last().map_or(0.0, |point| point.accuracy());
/// assert!(front.least_energy(exact - 5.0).is_some_and(|point| point.energy < 0.9));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If the exact network and the sensitivities cannot be measured within the budget; sensitivities of another space; or
/// a measurement that fails.
pub fn additive<M: Measure>(
    evaluator: &mut Evaluator<M>,
    settings: &Settings,
) -> Result<Front, SearchError<M::Error>> {
    let (whole, exact) = start(evaluator)?;
    let space = evaluator.space().clone();
    let blocks = evaluator.blocks();
    let sensitivity = match &settings.sensitivity {
        Some(sensitivity) => sensitivity.clone(),
        None => Sensitivity::measure(evaluator, settings.sensitivity_blocks.min(blocks))?,
    };
    let prior = sensitivity.increases();
    // A little further down, so that the range of interest is covered to its end.
    let drop = settings.drop * (1.0 + MARGIN);
    let floor = exact.accuracy() - drop;
    let rules = Rules {
        confidence: settings.confidence,
        exact: exact.clone(),
        drop,
    };
    // What the exact network gave on the first blocks, as many as there are.
    let mut of_blocks = vec![Outcome::default()];
    for blocks in 1..=blocks {
        of_blocks.extend(evaluator.outcomes(&[space.exact()], blocks)?);
    }
    let mut known = Known {
        whole,
        ..Known::default()
    };
    // A gain is an effect like any other before several are seen together: they need not add up, and the sum of them may
    // lead to where every network has collapsed.
    let effect = |cost: &Option<f64>| cost.map(f64::abs);
    let cautious: Vec<Vec<Option<f64>>> = prior
        .iter()
        .map(|row| row.iter().map(effect).collect())
        .collect();
    let solutions = solve(&space, &cautious, &limits())?.points;

    let first = spread(&solutions, f64::NEG_INFINITY, settings.candidates);
    let affordable = &first[..evaluator.affordable(&first, 1)];
    let outcomes = evaluator.outcomes(affordable, 1)?;
    let mut least = f64::INFINITY;
    for (assignment, outcome) in affordable.iter().zip(outcomes) {
        if of_blocks[1].accuracy() - outcome.accuracy() <= drop {
            least = least.min(space.energy(assignment));
        }
        if !known.contains(assignment) {
            known.partial.insert(assignment.clone(), outcome);
        }
    }
    let mut second = spread(&solutions, least, settings.candidates);
    // One multiplier everywhere is what the front must beat, and shows where errors of layers lean to one side.
    let uniform = (1..space.choices().len()).map(|choice| space.uniform(choice));
    let is_new = |assignment: &Assignment| space.allows(assignment) && !second.contains(assignment);
    second.extend(uniform.filter(is_new).collect::<Vec<_>>());
    let mut is_enough = race(evaluator, &mut known, second, &rules)?;

    let mut random = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
    let mut scales = Scales::default();
    let mut area = f64::NEG_INFINITY;
    let mut waited = 0;
    for round in 0..settings.rounds {
        let front = Front::new(&space, known.whole.clone());
        waited = if front.area(floor) > area {
            0
        } else {
            waited + 1
        };
        area = area.max(front.area(floor));
        if !is_enough || waited >= settings.patience {
            break;
        }
        let observations = observations(&space, &known, &front, &of_blocks, drop);
        let model = Model::fit(prior, &observations, scales);
        scales = model.scales();
        let scene = Scene {
            space: &space,
            model: &model,
            known: &known,
            front: &front,
            exact: exact.accuracy(),
            floor,
        };
        let shift = (round as f64 * GOLDEN).fract();
        let candidates = scene.choose(settings.candidates, shift, &mut random)?;
        if candidates.is_empty() {
            break;
        }
        is_enough = race(evaluator, &mut known, candidates, &rules)?;
    }
    Ok(Front::new(&space, known.whole))
}

/// Assignments of a front, spread evenly over its energies from some energy on.
fn spread(solutions: &[Solution], least: f64, count: usize) -> Vec<Assignment> {
    let within = &solutions[solutions.partition_point(|solution| solution.energy < least)..];
    let (Some(first), Some(last)) = (within.first(), within.last()) else {
        return Vec::new();
    };
    let step = (last.energy - first.energy) / count as f64;
    let at = |number: usize| {
        let energy = first.energy + step * number as f64;
        let index = within.partition_point(|solution| solution.energy < energy - 1e-12);
        within[index.min(within.len() - 1)].assignment.clone()
    };
    let mut assignments: Vec<Assignment> = (0..count).map(at).collect();
    assignments.dedup();
    assignments
}

/// What was measured. Of too much, what is nearest to the front.
fn observations(
    space: &Space,
    known: &Known,
    front: &Front,
    exact: &[Outcome],
    drop: f64,
) -> Vec<Observation> {
    let images = exact.last().map_or(0, Outcome::images);
    let observation = |(assignment, outcome): (&Assignment, &Outcome)| {
        let is_same = |exact: &&Outcome| exact.images() == outcome.images();
        let exact = exact.iter().find(is_same)?;
        let (increase, lost) = (
            outcome.mean_loss() - exact.mean_loss(),
            exact.accuracy() - outcome.accuracy(),
        );
        let observation = Observation {
            assignment: assignment.clone(),
            increase,
            drop: lost,
            part: outcome.images() as f64 / images.max(1) as f64,
            has_collapsed: !increase.is_finite() || lost > 1.5 * drop + 5.0,
        };
        let rival = front.most_accurate(space.energy(assignment));
        let behind = rival.map_or(0.0, Point::accuracy) - outcome.accuracy();
        Some((behind, observation))
    };
    let is_changed = |(assignment, _): &(&Assignment, &Outcome)| {
        assignment.choices().iter().any(|choice| *choice != 0)
    };
    let changed = known.whole.iter().chain(&known.partial).filter(is_changed);
    let mut observations: Vec<(f64, Observation)> = changed.filter_map(observation).collect();
    observations.sort_by(|one, other| {
        let order = |of: &(f64, Observation)| (of.1.has_collapsed, of.0);
        let ((one_collapsed, behind), (other_collapsed, other_behind)) = (order(one), order(other));
        one_collapsed
            .cmp(&other_collapsed)
            .then_with(|| behind.total_cmp(&other_behind))
            .then_with(|| one.1.assignment.cmp(&other.1.assignment))
    });
    observations.truncate(OBSERVATIONS);
    observations
        .into_iter()
        .map(|(_, observation)| observation)
        .collect()
}
