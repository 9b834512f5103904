//! Training steps of whole networks: in float, quantised, and approximate by several plans, gradients and observers.
//!
//! All cases of a network take turns in one process. Every time is also given relative to Burn's float step, and to
//! that of another program's report of the same works, `--beside PATH`, for as many threads (PyTorch's:
//! `benches/pytorch/training.py`). `--markdown PATH` writes the table.

use std::path::PathBuf;
use std::time::Duration;

use approx_models::{MobileNetV2Config, ResNetConfig};
use approx_multiplier::GradientRule;
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::quantization::Observer;
use burn_approx_benches::measure_in_turn;
use burn_approx_benches::network::{Case, training_step};
use clap::Parser;
use serde::{Deserialize, Serialize};

const FIVE_FACTORS: Case =
    Case::PLANNED.with_multiplier("1KVA (5 factors), straight through", "mul8s_1KVA");

/// The steps, of which the first is what the others are compared with.
const CASES: [Case; 9] = [
    Case::FLOAT,
    Case::QUANTIZED,
    Case::PLANNED.with_gradient("1L2J, straight through", GradientRule::StraightThrough),
    Case::PLANNED.with_observer("1L2J, min-max observers on", Observer::MinMax),
    Case::PLANNED.with_observer("1L2J, histogram observers on", Observer::LeastSquares),
    Case::PLANNED.with_gradient("1L2J, linear regression", GradientRule::LinearRegression),
    Case::PLANNED.with_gradient(
        "1L2J, difference",
        GradientRule::Difference {
            half_window: GradientRule::DEFAULT_HALF_WINDOW,
        },
    ),
    FIVE_FACTORS,
    Case::TABLE_LOOKUP,
];

#[derive(Parser)]
struct Arguments {
    /// Writes the results as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes the results as a table.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// The results of another program, in the same form.
    #[arg(long)]
    beside: Option<PathBuf>,
    /// As long as the cases of a network are measured together, in seconds; at least three rounds.
    #[arg(long, default_value_t = 45.0)]
    budget: f64,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    case: String,
    /// Only networks whose name contains this.
    #[arg(default_value = "")]
    filter: String,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One case of a network.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    work: String,
    case: String,
    threads: usize,
    /// The median of a step.
    seconds: f64,
    fastest_seconds: f64,
}

fn steps<M: Module>(
    arguments: &Arguments,
    lines: &mut Vec<Line>,
    work: &str,
    model: impl FnOnce(&Device) -> M,
    images: [usize; 4],
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) {
    if !work.contains(&arguments.filter) {
        return;
    }
    let device = Device::flex().autodiff();
    device.seed(1);
    let model = model(&device);
    let images = Tensor::<4>::random(images, Distribution::Normal(0.0, 1.0), &device);
    let cases: Vec<&Case> = (CASES.iter())
        .filter(|case| case.name().contains(&arguments.case))
        .collect();
    let mut runs: Vec<Box<dyn FnMut() + '_>> = Vec::new();
    for case in &cases {
        let mut model = case.prepare(&model, |model| drop(forward(model, images.clone())));
        let mut optimizer = SgdConfig::new().init();
        let (forward, images) = (&forward, images.clone());
        runs.push(Box::new(move || {
            let forward = |model: &M| forward(model, images.clone());
            model = training_step(model.clone(), &mut optimizer, forward).0;
        }));
    }
    let times = measure_in_turn(Duration::from_secs_f64(arguments.budget), &mut runs);
    for (case, time) in cases.iter().zip(times) {
        lines.push(Line {
            work: work.to_owned(),
            case: case.name().to_owned(),
            threads: rayon::current_num_threads(),
            seconds: time.median,
            fastest_seconds: time.fastest,
        });
    }
}

/// The results as a table, each relative to the first case of its network and to another program's.
fn table(lines: &[Line], beside: &[Line]) -> String {
    let mut table = String::from(
        "| step | case | threads | ms | fastest | / Burn's float | / PyTorch's float |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for line in beside.iter().chain(lines) {
        let is_same = |other: &&Line| other.work == line.work && other.threads == line.threads;
        let ratio = |of: Option<&Line>| {
            of.map_or(String::from("-"), |of| {
                format!("{:.2}", line.seconds / of.seconds)
            })
        };
        table += &format!(
            "| {} | {} | {} | {:.1} | {:.1} | {} | {} |\n",
            line.work,
            line.case,
            line.threads,
            line.seconds * 1e3,
            line.fastest_seconds * 1e3,
            ratio(lines.iter().find(is_same)),
            ratio(beside.iter().find(is_same)),
        );
    }
    table
}

fn main() -> std::io::Result<()> {
    // On a thread of the pool, which hands work to the others without waking up to ask for it.
    rayon::scope(|_| run())
}

fn run() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let beside: Vec<Line> = match &arguments.beside {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => Vec::new(),
    };
    let mut lines = Vec::new();
    steps(
        &arguments,
        &mut lines,
        "ResNet-20 32x32 batch 128 training step",
        |device| {
            let config = ResNetConfig::small(20, 10).expect("20 is 6 * 3 + 2");
            config.init(device)
        },
        [128, 3, 32, 32],
        |model, images| model.forward(images),
    );
    steps(
        &arguments,
        &mut lines,
        "MobileNetV2 32x32 batch 16 training step",
        |device| MobileNetV2Config::new(10).init(device),
        [16, 3, 32, 32],
        |model, images| model.forward(images),
    );
    steps(
        &arguments,
        &mut lines,
        "ResNet-18 224x224 batch 8 training step",
        |device| ResNetConfig::resnet18(1000).init(device),
        [8, 3, 224, 224],
        |model, images| model.forward(images),
    );
    let table = table(&lines, &beside);
    println!("{table}");
    if let Some(path) = &arguments.markdown {
        std::fs::write(path, table)?;
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&lines)? + "\n")?;
    }
    Ok(())
}
