//! Training steps of whole networks: of Burn's own layers, in float, quantised, and approximate by several plans, gradients
//! and observers.
//!
//! All cases of a network take turns in one process. Every time is also given relative to the first case's, and to
//! that of another program's report of the same works, `--beside PATH`, for as many threads (PyTorch's:
//! `benches/pytorch/training.py`). `--markdown PATH` writes the table. `--memory` measures, in a process of its own for
//! every case, the most memory that three steps take.

use std::path::PathBuf;
use std::time::Duration;

use approx_models::{MobileNetV2, MobileNetV2Config, ResNet, ResNetConfig};
use approx_multiplier::GradientRule;
use bunsen::burner::module::ModuleInit;
use bunsen::kits::images::resnet::ResNetContractConfig;
use burn::module::Module;
use burn::optim::SgdConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn_approx::quantization::Observer;
use burn_approx_benches::measure_in_turn;
use burn_approx_benches::network::{Case, training_step};
use burn_approx_benches::plain::ResNet20;
use clap::Parser;
use serde::{Deserialize, Serialize};

const FIVE_FACTORS: Case =
    Case::PLANNED.with_multiplier("1KVA (5 factors), straight through", "mul8s_1KVA");

/// The case of a network of Burn's own layers.
const PLAIN: &str = "Burn's own layers, float";

/// The steps of networks of this project's layers.
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
    /// Measures memory instead of time.
    #[arg(long)]
    memory: bool,
    /// Makes three steps and prints the most memory that the process took, in bytes.
    #[arg(long, hide = true)]
    peak: bool,
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
    seconds: Option<f64>,
    fastest_seconds: Option<f64>,
    /// The most memory that three steps took, that of the program included.
    #[serde(default)]
    peak_bytes: Option<u64>,
}

/// A network and the cases of it.
struct Work<'a> {
    arguments: &'a Arguments,
    name: &'static str,
    cases: Vec<(&'static str, Step<'a>)>,
}

/// Prepares a case, and then makes steps.
type Step<'a> = Box<dyn FnOnce() -> Box<dyn FnMut() + 'a> + 'a>;

impl<'a> Work<'a> {
    fn new(arguments: &'a Arguments, name: &'static str) -> Self {
        Self {
            arguments,
            name,
            cases: Vec::new(),
        }
    }

    /// Adds the network of Burn's own layers.
    fn plain<M: Module + 'a>(
        mut self,
        images: [usize; 4],
        model: impl FnOnce(&Device) -> M + 'a,
        forward: impl Fn(&M, Tensor<4>) -> Tensor<2> + 'a,
    ) -> Self {
        let step: Step<'a> = Box::new(move || {
            let (device, images) = device_and_images(images);
            let mut model = model(&device);
            let mut optimizer = SgdConfig::new().init();
            Box::new(move || {
                let forward = |model: &M| forward(model, images.clone());
                model = training_step(model.clone(), &mut optimizer, forward).0;
            })
        });
        self.cases.push((PLAIN, step));
        self
    }

    /// Adds every case of a network of this project's layers.
    fn converted<M: Module + 'a>(
        mut self,
        images: [usize; 4],
        model: impl Fn(&Device) -> M + Copy + 'a,
        forward: impl Fn(&M, Tensor<4>) -> Tensor<2> + Copy + 'a,
    ) -> Self {
        for case in &CASES {
            let step: Step<'a> = Box::new(move || {
                let (device, images) = device_and_images(images);
                // Calibrated without recording gradients, as a program would.
                let prepared = case.prepare(&model(&device).valid(), |model| {
                    drop(forward(model, images.clone().inner()));
                });
                let mut model = prepared.train();
                let mut optimizer = SgdConfig::new().init();
                Box::new(move || {
                    let forward = |model: &M| forward(model, images.clone());
                    model = training_step(model.clone(), &mut optimizer, forward).0;
                })
            });
            self.cases.push((case.name(), step));
        }
        self
    }

    /// Measures what the command line asks for.
    fn measure(mut self, lines: &mut Vec<Line>) -> std::io::Result<()> {
        let arguments = self.arguments;
        if arguments.peak {
            let is_it = |name: &str| self.name == arguments.filter && name == arguments.case;
            for (_, prepare) in self.cases.into_iter().filter(|(name, _)| is_it(name)) {
                let mut step = prepare();
                (0..3).for_each(|_| step());
                println!("{}", peak_of_this_process()?);
            }
            return Ok(());
        }
        if !self.name.contains(&arguments.filter) {
            return Ok(());
        }
        self.cases
            .retain(|(name, _)| name.contains(&arguments.case));
        let names: Vec<&str> = self.cases.iter().map(|(name, _)| *name).collect();
        let mut line = |case: &str, seconds, fastest_seconds, peak_bytes| {
            lines.push(Line {
                work: self.name.to_owned(),
                case: case.to_owned(),
                threads: rayon::current_num_threads(),
                seconds,
                fastest_seconds,
                peak_bytes,
            });
        };
        if arguments.memory {
            for name in names {
                line(name, None, None, Some(peak_of(self.name, name)?));
            }
            return Ok(());
        }
        let mut runs: Vec<_> = self
            .cases
            .into_iter()
            .map(|(_, prepare)| prepare())
            .collect();
        let times = measure_in_turn(Duration::from_secs_f64(arguments.budget), &mut runs);
        for (name, time) in names.into_iter().zip(times) {
            line(name, Some(time.median), Some(time.fastest), None);
        }
        Ok(())
    }
}

fn device_and_images(shape: [usize; 4]) -> (Device, Tensor<4>) {
    let device = Device::flex().autodiff();
    device.seed(1);
    let images = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
    (device, images)
}

/// The most memory that another process took to make steps of a case, in bytes.
fn peak_of(work: &str, case: &str) -> std::io::Result<u64> {
    let program = std::env::current_exe()?;
    let output = std::process::Command::new(program)
        .args(["--peak", "--case", case, work])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| std::io::Error::other(String::from_utf8_lossy(&output.stderr)))
}

/// The most memory that this process has had resident, in bytes.
fn peak_of_this_process() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    match kilobytes {
        Some(kilobytes) => Ok(1024 * kilobytes),
        None => Err(std::io::Error::other(
            "this system does not say how much memory a process took",
        )),
    }
}

/// The results as a table, each relative to the first case of its network and to another program's.
fn table(lines: &[Line], beside: &[Line]) -> String {
    let mut table = String::from(
        "| step | case | threads | ms | fastest | MB | / Burn | / PyTorch |\n|---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let shown = |value: Option<f64>, unit: f64| {
        value.map_or(String::from("-"), |value| format!("{:.1}", value / unit))
    };
    for line in beside.iter().chain(lines) {
        let is_same = |other: &&Line| other.work == line.work && other.threads == line.threads;
        let ratio = |of: Option<&Line>| {
            let size = |line: &Line| line.seconds.or(line.peak_bytes.map(|bytes| bytes as f64));
            let ratio = of.and_then(|of| Some(size(line)? / size(of)?));
            ratio.map_or(String::from("-"), |ratio| format!("{ratio:.2}"))
        };
        table += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            line.work,
            line.case,
            line.threads,
            shown(line.seconds, 1e-3),
            shown(line.fastest_seconds, 1e-3),
            shown(line.peak_bytes.map(|bytes| bytes as f64), 1e6),
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
    let images = [128, 3, 32, 32];
    Work::new(&arguments, "ResNet-20 32x32 batch 128 training step")
        .plain(
            images,
            |device| ResNet20::new(10, device),
            ResNet20::forward,
        )
        .converted(
            images,
            |device| {
                let config = ResNetConfig::small(20, 10).expect("20 is 6 * 3 + 2");
                config.init(device)
            },
            ResNet::forward,
        )
        .measure(&mut lines)?;
    let images = [16, 3, 32, 32];
    Work::new(&arguments, "MobileNetV2 32x32 batch 16 training step")
        .converted(
            images,
            |device| MobileNetV2Config::new(10).init(device),
            MobileNetV2::forward,
        )
        .measure(&mut lines)?;
    let images = [8, 3, 224, 224];
    Work::new(&arguments, "ResNet-18 224x224 batch 8 training step")
        .plain(
            images,
            |device| ResNetContractConfig::resnet18(1000).init(device),
            |model: &bunsen::kits::images::resnet::ResNet, images| model.forward(images),
        )
        .converted(
            images,
            |device| ResNetConfig::resnet18(1000).init(device),
            ResNet::forward,
        )
        .measure(&mut lines)?;
    if arguments.peak {
        return Ok(());
    }
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
