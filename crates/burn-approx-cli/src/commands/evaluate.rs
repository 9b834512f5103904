//! `evaluate`: what a network is worth on multipliers.

use std::path::PathBuf;

use approx_experiment::data::Split;
use approx_experiment::loader::ImageLoader;
use approx_experiment::report::{
    DataSummary, EvaluationReport, EvaluationResult, MultiplierSummary, Subject,
};
use approx_multiplier::{Multiplier, OperandFormat};
use burn_approx::ApproxConfig;
use clap::ValueEnum;

use crate::classification::{Classification, ImageArgs, quantized};
use crate::error::CliError;
use crate::files::{expect_svg, refuse_overwriting};
use crate::network::{Choice, Chosen, ModelSource, read_config};
use crate::output::Output;
use crate::spec::{ProgramOptions, resolve_all};

/// Measures a network's accuracy on images: in float, with quantised operands and exact products, and on every multiplier
/// that is named.
///
/// A network is an ONNX file that classifies images, a folder that `calibrate` or `retrain` has written, or an
/// architecture with its weights (resnet18:weights.pth). One that holds quantisers is simulated with them; the ranges of
/// any other one are found on training images. Images are scaled to the size that the network takes; what is assumed of
/// them is said.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx evaluate resnet20.onnx --data cifar10 --multiplier 'mul8s_*' --report report.json \
        --plot accuracy.svg\n  burn-approx evaluate net.onnx --data photos --resize 256 --crop 224 --multiplier mine.v --limit 1000"
)]
pub struct Args {
    /// The network
    #[arg(value_name = "MODEL")]
    model: ModelSource,

    /// A multiplier, or all of the library's that a pattern such as 'mul8s_*' names; may be given several times
    #[arg(long, value_name = "SPEC|PATTERN")]
    multiplier: Vec<String>,

    #[command(flatten)]
    program: ProgramOptions,

    /// A configuration: which layers have which multiplier
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,

    /// What is measured, if not everything; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Pass>,

    /// Which images are measured on
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,

    /// How many images are measured on at most, drawn by the seed
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    #[command(flatten)]
    images: ImageArgs,

    /// Write everything that was measured, and on what
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,

    /// Write the table
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,

    /// Draw accuracy over power
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
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
    expect_svg(args.plot.as_deref())?;
    let files = args.model.files();
    let written = [&args.report, &args.csv, &args.plot].into_iter().flatten();
    let read = files
        .iter()
        .map(PathBuf::as_path)
        .chain(args.config.as_deref());
    refuse_overwriting(read, written.map(PathBuf::as_path))?;
    let is_named = !args.multiplier.is_empty() || args.config.is_some();
    let is_left_out = !args.only.is_empty()
        && !args.only.contains(&Pass::Multipliers)
        && !args.only.contains(&Pass::Quantized);
    if is_named && is_left_out {
        return Err(CliError::Usage(
            "--only leaves out the multipliers that are named".to_string(),
        ));
    }
    let multipliers = resolve_all(
        &args.multiplier,
        &[],
        &args.program.as_file_options(),
        output,
    )?;
    args.program
        .expect_multiplier(!args.multiplier.is_empty())?;
    let config = args.config.as_deref().map(read_config).transpose()?;
    let classification = Classification::read(&args.model, &args.images, output)?;
    let images = classification.images(args.split, args.limit)?;
    let selection = args.images.selection(args.limit);
    let data = &classification.data;
    let mut report = EvaluationReport {
        version: env!("CARGO_PKG_VERSION").into(),
        network: classification.network_summary()?,
        data: DataSummary::of(&args.images.data, data, args.split, &selection, &images)?,
        ranges: classification.range_summary(),
        device: args.images.device,
        results: Vec::new(),
    };
    let study = Study {
        args,
        loader: classification.in_order(images),
        classification,
    };
    study.measure(&multipliers, config.as_ref(), &mut report)?;
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

/// What all passes share.
struct Study<'a> {
    args: &'a Args,
    classification: Classification<'a>,
    loader: ImageLoader,
}

impl Study<'_> {
    fn measure(
        &self,
        multipliers: &[Multiplier],
        config: Option<&ApproxConfig>,
        report: &mut EvaluationReport,
    ) -> Result<(), CliError> {
        let classification = &self.classification;
        let is_wanted = |pass| self.args.only.is_empty() || self.args.only.contains(&pass);
        let mut add = |subject: Subject, network, name: &str| {
            let evaluation = classification.measure(name, &network, &self.loader)?;
            report.results.push(EvaluationResult {
                subject,
                evaluation,
            });
            Ok::<_, CliError>(())
        };
        if is_wanted(Pass::Float) {
            add(Subject::Float, classification.in_float()?, "float")?;
        }
        let is_saved = self.args.model.folder().is_some();
        if is_wanted(Pass::Quantized) {
            let exact = Multiplier::exact(OperandFormat::INT8, OperandFormat::INT8);
            let choice = match (multipliers.first(), config) {
                _ if is_saved => Choice::AsSaved,
                (Some(multiplier), _) => Choice::Multiplier(multiplier),
                (None, Some(config)) => Choice::Config(config),
                (None, None) => Choice::Multiplier(&exact),
            };
            add(
                Subject::Quantized,
                quantized(&classification.on(choice)?)?,
                "quantised",
            )?;
        }
        if !is_wanted(Pass::Multipliers) {
            return Ok(());
        }
        for multiplier in multipliers {
            let network = classification.on(Choice::Multiplier(multiplier))?;
            let subject = Subject::Multiplier(MultiplierSummary::of(multiplier));
            add(subject, network, multiplier.name())?;
        }
        if let (Some(config), Some(path)) = (config, &self.args.config) {
            let network = classification.on(Choice::Config(config))?;
            let subject = Subject::Configuration(path.display().to_string());
            add(subject, network, "configuration")?;
        }
        if is_saved && multipliers.is_empty() && config.is_none() {
            let subject = Chosen::AsSaved.subject();
            add(subject, classification.on(Choice::AsSaved)?, "as saved")?;
        }
        Ok(())
    }
}
