//! `evaluate`: what a network is worth on multipliers.

use std::path::PathBuf;

use approx_experiment::calibration::calibrate;
use approx_experiment::data::{
    Crop, DataSource, PreparedData, ReadOptions, Resize, Selection, Split, parse_channels,
};
use approx_experiment::device::DeviceKind;
use approx_experiment::evaluation::{Evaluation, evaluate};
use approx_experiment::loader::ImageLoader;
use approx_experiment::progress::Display;
use approx_experiment::report::{
    DataSummary, EvaluationReport, EvaluationResult, MultiplierSummary, Subject,
};
use approx_multiplier::{Multiplier, evoapprox};
use burn::tensor::{Device, Tensor};
use burn_approx::{AnyTensor, ApproxConfig, GraphTensors, Mode, approx_layers};
use clap::ValueEnum;
use globset::Glob;

use crate::device;
use crate::error::CliError;
use crate::files::refuse_overwriting;
use crate::network::{FileQuantizers, NamedShape, Network, Recorded, read_config};
use crate::output::Output;
use crate::spec::{FileOptions, resolve};

/// Measures a network's accuracy on images: in float, with quantised operands and exact products, and on every multiplier
/// that is named.
///
/// A network is an ONNX file that classifies images. One that holds quantisers is simulated with them; the ranges of any
/// other one are found on training images. Images are scaled to the size that the network takes; what is assumed of them
/// is said.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx evaluate resnet20.onnx --data cifar10 --multiplier 'mul8s_*' --report report.json \
        --plot accuracy.svg\n  burn-approx evaluate net.onnx --data photos --resize 256 --crop 224 --multiplier mine.v --limit 1000"
)]
pub struct Args {
    /// The network
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,

    /// The images: `digits`, a folder (train/CLASS and test/CLASS, or MNIST's or CIFAR's files), or an .npz file
    #[arg(long, value_name = "DATA")]
    data: DataSource,

    /// A multiplier, or all of the library's that a pattern such as 'mul8s_*' names; may be given several times
    #[arg(long, value_name = "SPEC|PATTERN")]
    multiplier: Vec<String>,

    /// A configuration: which layers have which multiplier
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,

    /// What is measured, if not everything; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Pass>,

    /// Which images are measured on
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,

    /// How many training images are held back for validation
    #[arg(long, value_name = "N", default_value_t = 0)]
    validation: usize,

    /// How many images are measured on at most, drawn by the seed
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// How many training images the ranges of activations are found on, drawn by the seed
    #[arg(long, value_name = "N", default_value_t = 512)]
    calibration: usize,

    /// The seed of what is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Images at a time
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch_size: usize,

    /// Scale images, so that the shorter side has this size, or to HEIGHTxWIDTH
    #[arg(long, value_name = "PIXELS|HxW")]
    resize: Option<Resize>,

    /// Cut this size out of the middle
    #[arg(long, value_name = "PIXELS|HxW")]
    crop: Option<Crop>,

    /// The mean that is subtracted once grey levels are divided by 255, for all channels or each
    #[arg(long, value_name = "MEAN,..")]
    mean: Option<String>,

    /// The standard deviation that is divided by, likewise
    #[arg(long, value_name = "STD,..")]
    std: Option<String>,

    /// How the codes of a quantised file are used.
    #[command(flatten)]
    quantizers: FileQuantizers,

    /// Write everything that was measured, and on what
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,

    /// Write the table
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,

    /// Draw accuracy over power
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,

    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pass {
    /// The network as it is
    Float,
    /// Quantised operands, exact products
    Quantized,
    /// The multipliers
    Multipliers,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let written = [&args.report, &args.csv, &args.plot].into_iter().flatten();
    let read = [args.model.as_path()]
        .into_iter()
        .chain(args.config.as_deref());
    refuse_overwriting(read, written.map(PathBuf::as_path))?;
    if args.batch_size == 0 {
        return Err(CliError::Usage("--batch-size must be above 0".to_string()));
    }
    let multipliers = multipliers(&args.multiplier, output)?;
    let config = args.config.as_deref().map(read_config).transpose()?;
    let device = device::open(args.device)?;
    let network = Network::load(&args.model, &device)?;
    let data = read_data(args, &network)?;
    for assumption in &data.assumptions {
        output.note(assumption);
    }
    let selection = Selection {
        validation: args.validation,
        limit: args.limit,
        seed: args.seed,
    };
    let images = data.dataset.select(args.split, &selection)?;
    let summary = DataSummary::of(&args.data, &data, args.split, &selection, &images)?;
    let study = Study {
        args,
        network: &network,
        loader: ImageLoader::in_order(images, data.normalisation(), args.batch_size, &device),
        data: &data,
        device: &device,
        display: Display::new(false),
        output,
    };
    let mut report = EvaluationReport {
        network: args.model.display().to_string(),
        data: summary,
        device: args.device,
        results: Vec::new(),
    };
    study.measure(&multipliers, config, &mut report)?;
    if report.results.is_empty() {
        return Err(CliError::Usage(
            "nothing was to be measured: name a multiplier with --multiplier or --config"
                .to_string(),
        ));
    }
    let fault = |path: &PathBuf, problem: String| CliError::file(path, problem);
    if let Some(path) = &args.report {
        report
            .save_json(path)
            .map_err(|error| fault(path, error.to_string()))?;
    }
    if let Some(path) = &args.csv {
        report
            .save_csv(path)
            .map_err(|error| fault(path, error.to_string()))?;
    }
    if let Some(path) = &args.plot {
        report
            .save_plot(path)
            .map_err(|error| CliError::Plot(error.to_string()))?;
    }
    output.result(&report, &report)
}

/// The multipliers that are named, by themselves or by patterns.
fn multipliers(specs: &[String], output: Output) -> Result<Vec<Multiplier>, CliError> {
    let mut multipliers = Vec::new();
    for spec in specs {
        if !spec.contains(['*', '?', '[']) {
            multipliers.push(resolve(spec, &FileOptions::default(), output)?);
            continue;
        }
        let pattern = Glob::new(spec).map_err(|error| CliError::Usage(error.to_string()))?;
        let matcher = pattern.compile_matcher();
        let names = evoapprox::entries().iter().map(|entry| &entry.name);
        let names: Vec<&String> = names.filter(|name| matcher.is_match(name)).collect();
        if names.is_empty() {
            return Err(CliError::Usage(format!(
                "no multiplier of the library is called `{spec}`; `burn-approx list` shows them"
            )));
        }
        for name in names {
            multipliers.push(evoapprox::multiplier(name)?);
        }
    }
    Ok(multipliers)
}

/// Reads the images at the size that the network takes.
fn read_data(args: &Args, network: &Network) -> Result<PreparedData, CliError> {
    let inputs = network.model().inputs();
    let network_size = match inputs.first().and_then(|input| input.shape.as_deref()) {
        Some([_, _, Some(height), Some(width)]) => Some([*height, *width]),
        _ => None,
    };
    let channels = |text: &Option<String>| {
        let channels = text.as_deref().map(parse_channels).transpose();
        channels.map_err(|error| CliError::Usage(error.to_string()))
    };
    Ok(args.data.read(&ReadOptions {
        resize: args.resize,
        crop: args.crop,
        mean: channels(&args.mean)?,
        std: channels(&args.std)?,
        network_size,
        ..ReadOptions::default()
    })?)
}

/// What all passes share.
struct Study<'a> {
    args: &'a Args,
    network: &'a Network,
    loader: ImageLoader,
    data: &'a PreparedData,
    device: &'a Device,
    display: Display,
    output: Output,
}

impl Study<'_> {
    fn measure(
        &self,
        multipliers: &[Multiplier],
        config: Option<ApproxConfig>,
        report: &mut EvaluationReport,
    ) -> Result<(), CliError> {
        let is_wanted = |pass| self.args.only.is_empty() || self.args.only.contains(&pass);
        let mut add = |subject: Subject, evaluation| {
            report.results.push(EvaluationResult {
                subject,
                evaluation,
            });
        };
        if is_wanted(Pass::Float) {
            add(Subject::Float, self.pass("float", &self.record()?)?);
        }
        if is_wanted(Pass::Quantized) {
            let config = match (multipliers.first(), &config) {
                (Some(multiplier), _) => ApproxConfig::for_multiplier(multiplier),
                (None, Some(config)) => config.clone(),
                (None, None) => ApproxConfig::new("exact".parse()?),
            };
            let converted = self.on_multiplier(&config)?;
            approx_layers(&converted).set_mode(Mode::Quantized)?;
            add(Subject::Quantized, self.pass("quantised", &converted)?);
        }
        if is_wanted(Pass::Multipliers) {
            for multiplier in multipliers {
                let converted = self.on_multiplier(&ApproxConfig::for_multiplier(multiplier))?;
                let subject = Subject::Multiplier(MultiplierSummary::of(multiplier));
                add(subject, self.pass(multiplier.name(), &converted)?);
            }
            if let (Some(config), Some(path)) = (&config, &self.args.config) {
                let converted = self.on_multiplier(config)?;
                let subject = Subject::Configuration(path.display().to_string());
                add(subject, self.pass("configuration", &converted)?);
            }
        }
        Ok(())
    }

    /// The network recorded for the images' shape.
    fn record(&self) -> Result<Recorded, CliError> {
        let [channels, height, width] = self.loader.images().shape();
        let shape = NamedShape::of_first(vec![2, channels, height, width]);
        let example = self.network.example(&[shape])?;
        let recorded = self.network.record(example.clone())?;
        let outputs = recorded.try_forward(example)?;
        Tensor::<2>::from_tensors(outputs)?;
        Ok(recorded)
    }

    /// The network on multipliers, with ranges from the file or from training images.
    fn on_multiplier(&self, config: &ApproxConfig) -> Result<Recorded, CliError> {
        let (converted, is_calibrated) =
            self.network
                .converted(self.record()?, config, self.args.quantizers, self.output)?;
        if !is_calibrated {
            let images = self.data.dataset.images(Split::Train)?;
            let images = images.drawn(self.args.calibration.max(1), self.args.seed);
            let normalisation = self.data.normalisation();
            let loader =
                ImageLoader::in_order(images, normalisation, self.args.batch_size, self.device);
            let forward = |model: &Recorded, images: Tensor<4>| {
                drop(model.forward(vec![AnyTensor::from(images)]));
            };
            calibrate(
                &converted,
                forward,
                &loader,
                loader.num_batches(),
                self.display,
            )?;
        }
        Ok(converted)
    }

    /// One pass over the images.
    fn pass(&self, name: &str, network: &Recorded) -> Result<Evaluation, CliError> {
        let bar = self.display.bar(name, self.loader.images().len());
        let forward = |images: Tensor<4>| {
            let outputs = network.forward(vec![AnyTensor::from(images)]);
            Tensor::<2>::from_tensors(outputs).expect("the outputs were tried once")
        };
        let evaluation = evaluate(forward, &self.loader, |images| bar.inc(images as u64))?;
        bar.finish_and_clear();
        Ok(evaluation)
    }
}
