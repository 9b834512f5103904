use super::*;
use crate::synthetic::SyntheticNetwork;

fn some(space: &Space) -> Vec<Assignment> {
    (0..4)
        .flat_map(|choice| {
            [
                space.uniform(choice),
                space.exact().with(choice % 3, choice),
            ]
        })
        .collect()
}

fn tiny() -> Evaluator<SyntheticNetwork> {
    let network = SyntheticNetwork::tiny(4).with_blocks(vec![20, 20, 7]);
    Evaluator::new(network.space().clone(), network)
}

#[test]
fn measures_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let assignments = some(tiny().space());
    let mut first = tiny()
        .with_journal(Journal::open(&path, "key").unwrap())
        .with_batch(3);
    let outcomes = first.outcomes(&assignments, 2).unwrap();
    // The exact assignment is there twice, and of the four uniform ones it is one.
    assert_eq!((first.measured(), first.recalled()), (7 * 40, 0));
    first.outcomes(&assignments, 3).unwrap();
    assert_eq!(
        (first.measured(), first.network().measured()),
        (7 * 47, 7 * 47)
    );
    drop(first);

    let mut again = tiny()
        .with_journal(Journal::open(&path, "key").unwrap())
        .with_budget(7 * 40);
    assert_eq!(again.outcomes(&assignments, 2).unwrap(), outcomes);
    assert_eq!(
        (again.network().measured(), again.recalled(), again.left()),
        (0, 7 * 40, Some(0))
    );
}

#[test]
fn joined_shards_are_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let assignments = some(tiny().space());
    let whole = tiny().outcomes(&assignments, 3).unwrap();
    let paths: Vec<_> = (0..3)
        .map(|shard| folder.path().join(format!("shard{shard}")))
        .collect();
    let mut measured = 0;
    for (shard, path) in paths.iter().enumerate() {
        let journal = Journal::open(path, "key").unwrap();
        let mut evaluator = tiny().with_journal(journal).with_shard(shard, 3).unwrap();
        let missing = evaluator.outcomes(&assignments, 3);
        assert!(matches!(
            missing,
            Err(EvaluateError::Missing { missing: 1.., .. })
        ));
        measured += evaluator.network().measured();
    }
    assert_eq!(measured, 7 * 47);
    let mut journal = Journal::open(folder.path().join("all"), "key").unwrap();
    assert_eq!(journal.join(&paths).unwrap(), 7 * 3);
    let mut joined = tiny().with_journal(journal).with_shard(1, 3).unwrap();
    assert_eq!(joined.outcomes(&assignments, 3).unwrap(), whole);
    assert_eq!(joined.network().measured(), 0);
}

#[test]
fn measurements_outlive_a_larger_space() {
    let evaluator = tiny();
    let space = evaluator.space();
    let mut choices = space.choices().to_vec();
    choices.insert(
        1,
        crate::space::Choice {
            name: "new".into(),
            hash: "new".into(),
            energy: 0.9,
        },
    );
    let larger = Space::new(space.layers().to_vec(), choices).unwrap();
    let (old, new) = (space.uniform(2), larger.uniform(3));
    assert_eq!(Digest::of(space, &old), Digest::of(&larger, &new));
    assert_ne!(
        Digest::of(space, &old),
        Digest::of(&larger, &larger.uniform(2))
    );
}

#[test]
fn keeps_within_its_budget() {
    let mut evaluator = tiny().with_budget(100);
    let assignments: Vec<Assignment> = (0..4)
        .map(|choice| evaluator.space().uniform(choice))
        .collect();
    assert_eq!(evaluator.affordable(&assignments, 2), 2);
    let spent = evaluator.outcomes(&assignments, 2);
    assert!(matches!(
        spent,
        Err(EvaluateError::BudgetSpent {
            needed: 160,
            left: 100,
            budget: 100
        })
    ));
    assert_eq!(evaluator.measured(), 0);
    evaluator.outcomes(&assignments[..2], 2).unwrap();
    assert_eq!(
        (evaluator.left(), evaluator.affordable(&assignments, 1)),
        (Some(20), 3)
    );
}

#[test]
fn refuses_what_cannot_be() {
    let mut evaluator = tiny();
    let exact = evaluator.space().exact();
    assert!(matches!(
        evaluator.outcomes(std::slice::from_ref(&exact), 0),
        Err(EvaluateError::Blocks { .. })
    ));
    assert!(matches!(
        evaluator.outcomes(&[exact], 4),
        Err(EvaluateError::Blocks {
            asked: 4,
            available: 3
        })
    ));
    let wrong = Assignment::new(vec![0, 9, 0]);
    assert!(matches!(
        evaluator.outcomes(&[wrong], 1),
        Err(EvaluateError::NotAllowed { .. })
    ));
    assert!(matches!(
        tiny().with_shard(3, 3),
        Err(EvaluateError::Shard { .. })
    ));
}
