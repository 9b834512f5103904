//! Runs the test data of ONNX itself, single operators and small models, and counts what passes, what is refused and
//! what is wrong.
//!
//! `backend_tests FOLDER ..`: each has folders with a `model.onnx` and `test_data_set_0/{input,output}_N.pb`, as
//! `tests/data/backend/pack.py FOLDER` writes them.

#[path = "../tests/common/backend.rs"]
mod backend;

use std::collections::BTreeMap;

use backend::{Case, Outcome};

fn main() -> std::io::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let (mut passed, mut wrong, mut refused) =
        (0, Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for folder in std::env::args().skip(1) {
        let mut tests: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
        tests.sort_by_key(std::fs::DirEntry::file_name);
        for test in tests {
            let name = test.file_name().to_string_lossy().into_owned();
            match Case::from_folder(&test.path())?.outcome() {
                Outcome::Passed => passed += 1,
                Outcome::Wrong(problem) => wrong.push(format!("{name}: {problem}")),
                Outcome::Refused(reason) => refused.entry(reason).or_default().push(name),
            }
        }
    }
    for (reason, tests) in &refused {
        println!("refused: {}: {reason}", tests.join(" "));
    }
    for test in &wrong {
        println!("WRONG {test}");
    }
    let count: usize = refused.values().map(Vec::len).sum();
    println!("{passed} passed, {count} refused, {} wrong", wrong.len());
    Ok(())
}
