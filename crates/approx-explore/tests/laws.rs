//! What holds for every method: it finds what is there, repeats itself, and keeps to its bounds.

use std::convert::Infallible;

use approx_explore::evaluator::{EvaluateError, Evaluator};
use approx_explore::front::Front;
use approx_explore::journal::Journal;
use approx_explore::measure::{Measure, Outcome, Request};
use approx_explore::search::{self, SearchError, Settings};
use approx_explore::space::{Assignment, Choice, Group, Layer, Space};
use approx_explore::synthetic::SyntheticNetwork;

/// A network whose loss is the sum of its layers' losses, and which is wrong on the more images the larger that is.
#[derive(Clone)]
struct Additive {
    losses: [[f64; 4]; 4],
}

impl Measure for Additive {
    type Error = Infallible;

    fn blocks(&self) -> Vec<usize> {
        vec![100; 4]
    }

    fn measure(&mut self, requests: &[Request]) -> Result<Vec<Outcome>, Infallible> {
        let outcome = |request: &Request| {
            let rows = request.assignment.choices().iter().zip(&self.losses);
            let loss: f64 = rows.map(|(choice, row)| row[*choice]).sum();
            let right = |image: usize| loss < (image * 4 + request.block) as f64 / 40.0;
            Outcome {
                right: (0..100).map(right).collect(),
                loss: 100.0 * (0.3 + loss),
            }
        };
        Ok(requests.iter().map(outcome).collect())
    }
}

fn additive(seed: u64) -> (Space, Additive) {
    let counts = [100, 250, 180, 70];
    let layer = |number: usize| Layer {
        path: number.to_string(),
        multiplications: counts[number],
    };
    let choice = |(number, energy): (usize, f64)| Choice {
        name: number.to_string(),
        hash: number.to_string(),
        energy,
    };
    let choices = [1.0, 0.83, 0.61, 0.34]
        .into_iter()
        .enumerate()
        .map(choice)
        .collect();
    let space = Space::new((0..4).map(layer).collect(), choices).unwrap();
    let loss = |group: u64, choice: u64| {
        let wobble = (seed * 31 + group * 17 + choice * 7) % 11;
        choice.pow(2) as f64 * (1.0 + wobble as f64) / 20.0
    };
    let row = |group: usize| std::array::from_fn(|choice| loss(group as u64, choice as u64));
    (
        space,
        Additive {
            losses: std::array::from_fn(row),
        },
    )
}

fn all(space: &Space) -> Vec<Assignment> {
    let (groups, choices) = (space.groups().len(), space.choices().len());
    let digits = |number: usize| {
        (0..groups)
            .map(|group| number / choices.pow(group as u32) % choices)
            .collect()
    };
    let all = (0..choices.pow(groups as u32)).map(|number| Assignment::new(digits(number)));
    all.filter(|assignment| space.allows(assignment)).collect()
}

#[test]
fn finds_the_optimum_of_additive_losses() {
    for (seed, limit) in [(1, 4), (2, 4), (3, 4), (4, 2), (5, 3)] {
        let (space, network) = additive(seed);
        let space = space.with_most_multipliers(limit).unwrap();
        let mut evaluator = Evaluator::new(space.clone(), network.clone());
        let assignments = all(&space);
        let outcomes = evaluator.outcomes(&assignments, 4).unwrap();
        let best = Front::new(&space, assignments.into_iter().zip(outcomes));
        let reach = best.points().last().unwrap().accuracy() - best.points()[0].accuracy();
        let mut evaluator = Evaluator::new(space, network);
        let settings = Settings::default()
            .with_drop(reach)
            .with_sensitivity_blocks(1);
        let found = search::additive(&mut evaluator, &settings).unwrap();
        assert!(
            found.covers(&best),
            "seed {seed}: falls short by {} points",
            found.shortfall(&best)
        );
        assert!(best.covers(&found));
    }
}

/// A small network with tied layers and a limit of two multipliers.
fn bound() -> SyntheticNetwork {
    let network = SyntheticNetwork::residual(3).with_blocks(vec![60, 60, 30]);
    let group = |first: usize| Group {
        layers: (first..first + 5).collect(),
        choices: if first == 0 {
            vec![0, 3, 4]
        } else {
            (0..13).collect()
        },
    };
    let space = network
        .space()
        .clone()
        .with_groups([0, 5, 10, 15].map(group).to_vec())
        .unwrap();
    network.with_space(space.with_most_multipliers(2).unwrap())
}

type Method =
    fn(&mut Evaluator<SyntheticNetwork>, &Settings) -> Result<Front, SearchError<Infallible>>;

const METHODS: [Method; 4] = [
    search::additive,
    search::uniform,
    search::random,
    search::nsga2,
];

fn settings() -> Settings {
    Settings::default()
        .with_population(8, 6)
        .with_samples(30)
        .with_candidates(6)
        .with_seed(5)
}

#[test]
fn a_journal_replays_the_front() {
    let folder = tempfile::tempdir().unwrap();
    for (number, method) in METHODS.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        let run = || {
            let journal = Journal::open(&path, "key").unwrap();
            let mut evaluator = Evaluator::new(bound().space().clone(), bound())
                .with_journal(journal)
                .with_budget(9_000);
            let front = method(&mut evaluator, &settings()).unwrap();
            (front, evaluator.network().measured(), evaluator.left())
        };
        let (first, second) = (run(), run());
        assert!(first.1 > 0 && second.1 == 0);
        assert_eq!((&first.0, first.2), (&second.0, second.2));

        // Killed half way, with a torn line: the rest is measured, and nothing else.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let third = run();
        assert_eq!((&first.0, first.2), (&third.0, third.2));
        assert!(third.1 > 0 && third.1 < first.1);
    }
}

#[test]
fn joined_shards_give_the_front_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let evaluator = || Evaluator::new(bound().space().clone(), bound()).with_budget(9_000);
    let whole = search::additive(&mut evaluator(), &settings()).unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut measured = 0;
    let joined = (0..200).find_map(|turn| {
        let mut found = None;
        let paths = [0, 1].map(|shard| file(&format!("turn{turn}shard{shard}")));
        for (shard, path) in paths.iter().enumerate() {
            if turn > 0 {
                std::fs::copy(file("joined"), path).unwrap();
            }
            let journal = Journal::open(path, "key").unwrap();
            let mut evaluator = evaluator()
                .with_journal(journal)
                .with_shard(shard, 2)
                .unwrap();
            match search::additive(&mut evaluator, &settings()) {
                Ok(front) => found = Some(front),
                Err(SearchError::Evaluate(EvaluateError::Missing { .. })) => {}
                Err(error) => panic!("{error}"),
            }
            measured += evaluator.network().measured();
        }
        Journal::open(file("joined"), "key")
            .unwrap()
            .join(&paths)
            .unwrap();
        found
    });
    assert_eq!(joined, Some(whole));
    let mut single = evaluator();
    search::additive(&mut single, &settings()).unwrap();
    assert_eq!(measured, single.measured());
}

#[test]
fn methods_keep_to_the_space_and_the_budget() {
    let space = bound().space().clone();
    for method in METHODS {
        let mut evaluator = Evaluator::new(space.clone(), bound()).with_budget(9_000);
        let front = method(&mut evaluator, &settings()).unwrap();
        assert!(evaluator.measured() <= 9_000);
        assert!(
            front
                .points()
                .iter()
                .all(|point| space.allows(&point.assignment))
        );
        assert!(
            front
                .points()
                .iter()
                .all(|point| point.outcome.images() == 150)
        );
        // The exact network is measured by all, so no front can do without its accuracy.
        let exact = evaluator.outcomes(&[space.exact()], 3).unwrap()[0].accuracy();
        assert!(
            front
                .most_accurate(1.0)
                .is_some_and(|point| point.accuracy() >= exact)
        );

        let mut poor = Evaluator::new(space.clone(), bound()).with_budget(100);
        let spent = method(&mut poor, &settings());
        assert!(matches!(
            spent,
            Err(SearchError::Evaluate(EvaluateError::BudgetSpent { .. }))
        ));
    }
}

#[test]
fn a_uniform_assignment_takes_its_multipliers_energy() {
    let space = SyntheticNetwork::residual(1).space().clone();
    let energies = space.choices().iter().map(|choice| choice.energy);
    assert!(
        energies
            .enumerate()
            .all(|(choice, energy)| space.energy(&space.uniform(choice)) == energy)
    );
}

#[test]
fn additive_beats_the_others_at_the_same_cost() {
    // A thousand images tell a point of accuracy from none only just. With a shift, single changes promise gains that do not
    // add up, and many assignments are as good as one can be by different ways.
    for (seed, shift, tolerance, ahead) in [
        (1, 0.0, 1.0, 1.1),
        (2, 0.0, 1.0, 1.1),
        (2, 0.5, 3.0, 1.0),
        (4, 0.5, 3.0, 1.0),
    ] {
        let network = SyntheticNetwork::residual(seed)
            .with_blocks(vec![200; 5])
            .with_shift(shift);
        let space = network.space().clone();
        let run = |method: Method| {
            let mut evaluator = Evaluator::new(space.clone(), network.clone()).with_budget(120_000);
            let settings = Settings::default()
                .with_sensitivity_blocks(1)
                .with_population(20, 100)
                .with_samples(1000);
            method(&mut evaluator, &settings.with_rounds(40, 40)).unwrap()
        };
        let [ours, uniform, random, genetic] = METHODS.map(run);
        let exact = ours.points().last().unwrap().accuracy();
        // Only what is within the range that it looks at.
        let in_range = |front: &Front| {
            let points = front
                .points()
                .iter()
                .filter(|point| point.accuracy() >= exact - 15.0);
            Front::new(
                &space,
                points.map(|point| (point.assignment.clone(), point.outcome.clone())),
            )
        };
        for other in [uniform, random, genetic] {
            let shortfall = ours.shortfall(&in_range(&other));
            assert!(
                shortfall < tolerance,
                "seed {seed}, shift {shift}: {shortfall}"
            );
            assert!(ours.area(exact - 15.0) > ahead * other.area(exact - 15.0));
        }
    }
}
