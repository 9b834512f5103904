//! A small timing harness: benchmarks are plain programs that time closures, print a table, and write the same numbers
//! as JSON where `--json PATH` asks for it.
//!
//! Everything that is compared runs in one process, since a shared machine differs from run to run more than its programs
//! do.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

/// How long a closure took, over several runs.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Timing {
    /// The median run, in seconds.
    pub median: f64,
    /// The fastest run, in seconds.
    pub fastest: f64,
    /// The number of runs.
    pub runs: usize,
}

/// Times `work`, after one run that is not counted, for at least three runs and about `budget`.
pub fn measure<R>(budget: Duration, mut work: impl FnMut() -> R) -> Timing {
    std::hint::black_box(work());
    let begin = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < 3 || (begin.elapsed() < budget && seconds.len() < 1000) {
        let start = Instant::now();
        std::hint::black_box(work());
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Timing {
        median: seconds[seconds.len() / 2],
        fastest: seconds[0],
        runs: seconds.len(),
    }
}

/// The arguments that every benchmark takes. Others, which `cargo bench` adds, are ignored.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Where to write the results as JSON.
    pub json: Option<PathBuf>,
    /// Only cases whose name contains this are run.
    pub filter: Option<String>,
}

impl Arguments {
    /// Reads `--json PATH` and a filter from the command line.
    pub fn from_command_line() -> Self {
        let mut arguments = Arguments::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => arguments.json = words.next().map(PathBuf::from),
                _ if word.starts_with('-') => {}
                _ => arguments.filter = Some(word),
            }
        }
        arguments
    }

    /// Whether the case of this name is to be run.
    pub fn selects(&self, name: &str) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| name.contains(filter.as_str()))
    }

    /// Writes `results` to the path given with `--json`, if any.
    ///
    /// # Errors
    ///
    /// Whatever writing the file meets.
    pub fn write_json(&self, results: &impl Serialize) -> std::io::Result<()> {
        match &self.json {
            Some(path) => std::fs::write(path, serde_json::to_string_pretty(results)? + "\n"),
            None => Ok(()),
        }
    }
}
