//! ONNX's own tests of the operators that networks for images, audio and text use: which pass, and which are refused by
//! name, is fixed by a list. `data/backend` says where they come from.

#[path = "common/backend.rs"]
mod backend;

use std::collections::BTreeSet;

use backend::Outcome;

/// The cases.
const CASES: &[u8] = include_bytes!("data/backend/cases.tar.gz");
/// The names of those that are not covered.
const REFUSED: &str = include_str!("data/backend/refused.txt");

#[test]
fn every_case_passes_or_is_refused_as_listed() {
    let cases = backend::packed(CASES).unwrap();
    let listed: BTreeSet<&str> = REFUSED.lines().collect();
    let mut problems = Vec::new();
    for (name, case) in &cases {
        match (case.outcome(), listed.contains(name.as_str())) {
            (Outcome::Passed, false) | (Outcome::Refused(_), true) => {}
            (Outcome::Passed, true) => {
                problems.push(format!("{name} passes: take it out of the list"))
            }
            (Outcome::Refused(reason), false) => problems.push(format!("{name}: {reason}")),
            (Outcome::Wrong(problem), _) => problems.push(format!("{name} is wrong: {problem}")),
        }
    }
    let gone = listed.iter().filter(|name| !cases.contains_key(**name));
    problems.extend(gone.map(|name| format!("{name} is listed, but no case")));
    assert!(
        problems.is_empty(),
        "{} of {} cases:\n{}",
        problems.len(),
        cases.len(),
        problems.join("\n")
    );
    assert!(
        listed.len() * 5 < cases.len(),
        "more is refused than a fifth: {} of {}",
        listed.len(),
        cases.len()
    );
}
