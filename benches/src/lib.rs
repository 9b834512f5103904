//! A small timing harness: benchmarks are plain programs that time closures, print a table, and write the same numbers
//! as JSON where `--json PATH` asks for it.
//!
//! Everything that is compared runs in one process, since a shared machine differs from run to run more than its
//! programs do.

pub mod layer;
pub mod network;
pub mod plain;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

/// What the project's programs allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

impl Timing {
    fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self {
            median: seconds[seconds.len() / 2],
            fastest: seconds[0],
            runs: seconds.len(),
        }
    }
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
    Timing::of(seconds)
}

/// Times several pieces of work in turn, for at least three rounds and about `budget` in all, so that whatever else the
/// machine does slows all of them down alike.
///
/// In each round every one runs twice, and only the second run counts: its data are in the caches as if it ran alone.
pub fn measure_in_turn(budget: Duration, works: &mut [Box<dyn FnMut() + '_>]) -> Vec<Timing> {
    let begin = Instant::now();
    let mut seconds = vec![Vec::new(); works.len()];
    let mut rounds = 0;
    while rounds < 3 || (begin.elapsed() < budget && rounds < 1000) {
        for (work, seconds) in works.iter_mut().zip(&mut seconds) {
            work();
            let start = Instant::now();
            work();
            seconds.push(start.elapsed().as_secs_f64());
        }
        rounds += 1;
    }
    seconds.into_iter().map(Timing::of).collect()
}

/// Times work that a device does later than it is told to: `work` joins the device's queue, `wait` returns once the
/// queue is empty.
///
/// A sample is several pieces of work between two waits, so that the wait itself hardly counts, and there are at least
/// five samples, for about `budget`. What the work returns is held until the wait is over: a device need not compute
/// what nobody holds. Before that, the work runs a few times uncounted, while kernels are compiled and the fastest of
/// them found.
pub fn measure_queued<R>(budget: Duration, mut work: impl FnMut() -> R, wait: impl Fn()) -> Timing {
    const WARM_UP: usize = 3;
    const SAMPLES: usize = 5;
    /// As long as a sample should take at least, in seconds.
    const SAMPLE: f64 = 0.02;
    /// As many results as are held at a time.
    const MOST_PIECES: f64 = 16.0;

    let mut sample = |pieces: usize| {
        wait();
        let start = Instant::now();
        let results: Vec<R> = (0..pieces).map(|_| work()).collect();
        wait();
        let seconds = start.elapsed().as_secs_f64();
        drop(results);
        seconds / pieces as f64
    };
    let warm = (0..WARM_UP)
        .map(|_| sample(1))
        .fold(f64::INFINITY, f64::min);
    let pieces = (SAMPLE / warm).clamp(1.0, MOST_PIECES).ceil() as usize;
    let begin = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < SAMPLES || (begin.elapsed() < budget && seconds.len() < 1000) {
        seconds.push(sample(pieces));
    }
    Timing::of(seconds)
}

/// A generator of test data, the same in every run.
///
/// ```
/// let mut next = burn_approx_benches::random(1);
/// assert_ne!(next(), next());
/// ```
pub fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

/// The arguments that every benchmark takes. Others, which `cargo bench` adds, are ignored.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Where to write the results as JSON.
    pub json: Option<PathBuf>,
    /// Where to draw the results, for the benchmarks that can.
    pub plot: Option<PathBuf>,
    /// The folder of exported networks, for the benchmark that takes them.
    pub onnx: Option<PathBuf>,
    /// Only cases whose name contains this are run.
    pub filter: Option<String>,
}

impl Arguments {
    /// Reads `--json PATH`, `--plot PATH`, `--onnx FOLDER` and a filter from the command line.
    pub fn from_command_line() -> Self {
        let mut arguments = Arguments::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => arguments.json = words.next().map(PathBuf::from),
                "--plot" => arguments.plot = words.next().map(PathBuf::from),
                "--onnx" => arguments.onnx = words.next().map(PathBuf::from),
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
