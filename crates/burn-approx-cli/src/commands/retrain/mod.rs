//! `retrain`: a network trained on its multipliers. `settings` is what determines the result, which a resumed run must
//! have too; here the run itself: measure, train, measure, keep.

mod settings;

use std::path::PathBuf;
use std::time::Instant;

use approx_experiment::data::{Augmentation, Split};
use approx_experiment::evaluation::Evaluation;
use approx_experiment::report::{DataSummary, RetrainingReport};
use approx_experiment::training::{Optimizer, Phase, Trainable, TrainingData, fit};
use approx_multiplier::GradientRule;
use burn::module::Module;
use serde::{Deserialize, Serialize};

use self::settings::Settings;
use crate::classification::{Classification, Classifier, ImageArgs, at_least_one, quantized};
use crate::error::CliError;
use crate::files::{read_json_if_there, write_json};
use crate::network::{ModelSource, NamedChoice, set_gradient};
use crate::output::Output;
use crate::run_folder::{self, BEFORE, PLOT, REPORT, SETTINGS, TRAINING};

/// Trains a network on multipliers, so that it learns to live with their errors, and keeps it in a folder: a MODEL for
/// `evaluate`, `run` and `export`.
///
/// A network is an ONNX file that classifies images, a folder that `calibrate` or `retrain` has written, or an
/// architecture with its weights (resnet18:weights.pth). It is measured in float, quantised and on its multipliers before
/// and after. A run that was stopped at any moment goes on with the same command and --resume.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  burn-approx retrain resnet20.onnx --data cifar10 --multiplier mul8s_1L2J --epochs 3 \
        --output runs/resnet20\n  burn-approx export runs/resnet20 --output retrained.onnx"
)]
pub struct Args {
    /// The network
    #[arg(value_name = "MODEL")]
    model: ModelSource,

    #[command(flatten)]
    choice: NamedChoice,

    /// How many times all training images are seen
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = at_least_one)]
    epochs: usize,

    /// The learning rate to begin with; it falls to zero along a cosine
    #[arg(long, value_name = "RATE", default_value_t = 1e-4, value_parser = learning_rate)]
    learning_rate: f64,

    /// How weights follow from gradients
    #[arg(long, value_enum, default_value_t)]
    optimizer: Optimizer,

    /// The derivative of the multiplier: straight_through, difference, difference:half_window=NUMBER,
    /// linear_regression, or custom for a multiplier that brings tables of its own [default: as the multiplier or the configuration says, else straight_through]
    #[arg(long, value_name = "RULE")]
    gradient: Option<GradientRule>,

    /// How many training images are used at most, drawn by the seed
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<usize>,

    /// Do not vary training images; by default photographs are shifted and mirrored, drawings shifted
    #[arg(long)]
    no_augmentation: bool,

    #[command(flatten)]
    images: ImageArgs,

    /// The folder for the network, checkpoints, report.json and accuracy.svg
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,

    /// Go on with the run in the folder
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,

    /// Replace what is in the folder already
    #[arg(long)]
    overwrite: bool,
}

/// A learning rate that a schedule can begin with, as an argument.
pub fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1.0 => Ok(rate),
        _ => Err(format!("`{text}` is no number above 0 and at most 1")),
    }
}

/// What a network was worth before it was retrained.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Before {
    float: Evaluation,
    quantized: Evaluation,
    approximate: Evaluation,
}

/// Runs the command.
pub fn run(args: &Args, output: Output) -> Result<(), CliError> {
    let started = Instant::now();
    let chosen = args.choice.resolve(&args.model, output)?;
    let path = |name: &str| args.output.join(name);
    let resume = args.resume && path(SETTINGS).is_file();
    if args.resume && !resume {
        output.note("there is nothing to go on with yet: the run begins");
    }
    if !resume {
        run_folder::refuse(&args.model, &args.output, args.overwrite)?;
    }
    let classification = Classification::read(&args.model, &args.images, output)?;
    // While training goes on, accuracy is measured on what was held back, if anything was.
    let watched = match args.images.validation {
        0 => Split::Test,
        _ => Split::Validation,
    };
    let train = classification.images(Split::Train, args.limit)?;
    let (watched, test) = (
        classification.images(watched, None)?,
        classification.images(Split::Test, None)?,
    );
    let (selection, of_test) = (
        args.images.selection(args.limit),
        args.images.selection(None),
    );
    let (source, data) = (&args.images.data, &classification.data);
    let training_data = DataSummary::of(source, data, Split::Train, &selection, &train)?;
    let augmentation = match args.no_augmentation {
        true => Augmentation::NONE,
        false => data.dataset.augmentation,
    };
    let summary = classification.network_summary()?;
    let settings = Settings::new(args, &summary, &chosen, &training_data, augmentation)?;
    if resume {
        settings.check(&path(SETTINGS))?;
        if let Some(report) = read_json_if_there::<RetrainingReport>(&path(REPORT))? {
            output.note("this run is finished");
            return output.result(&report, &report);
        }
    }
    let network = classification.on(chosen.choice())?;
    if let Some(gradient) = args.gradient {
        set_gradient(&network, gradient)?;
    }
    // Once everything that was asked for is known to be possible.
    if !resume {
        if args.overwrite {
            run_folder::clear(&args.output)?;
        }
        settings.save(&path(SETTINGS))?;
    }

    let test_images = classification.in_order(test.clone());
    let before = match read_json_if_there::<Before>(&path(BEFORE))? {
        Some(before) => before,
        None => {
            let measure = |name: &str, network: &Classifier| {
                classification.measure(name, network, &test_images)
            };
            let before = Before {
                float: measure("float", &classification.in_float()?)?,
                quantized: measure("quantised", &quantized(&network)?)?,
                approximate: measure("approximate", &network)?,
            };
            write_json(&path(BEFORE), &before)?;
            before
        }
    };
    output.note(format!(
        "before: float {:.2} %, quantised {:.2} %, approximate {:.2} %",
        before.float.top1, before.quantized.top1, before.approximate.top1
    ));
    let training = TrainingData::new(
        [&train, &watched],
        &data.normalisation(),
        augmentation,
        args.images.batch_size,
        args.images.seed,
        std::slice::from_ref(&classification.device),
    );
    let phase = Phase {
        name: "retraining",
        directory: path(TRAINING),
        epochs: args.epochs,
        learning_rate: args.learning_rate,
        optimizer: args.optimizer,
        resume,
    };
    let network = Trainable::new(network.train());
    let (network, epochs) = fit(network, &training, &phase, classification.display)?;
    let network = network.network;
    let retrained = classification.measure("retrained", &network, &test_images)?;
    if retrained.loss.is_none() {
        return Err(CliError::Diverged);
    }
    classification.save(&network, &args.output)?;

    let report = RetrainingReport {
        version: env!("CARGO_PKG_VERSION").into(),
        network: summary,
        subject: chosen.subject(),
        data: DataSummary::of(source, data, Split::Test, &of_test, &test)?,
        training_data,
        ranges: classification.range_summary(),
        device: args.images.device,
        settings: settings.into_value(),
        float: before.float,
        quantized: before.quantized,
        approximate: before.approximate,
        retrained,
        epochs,
        resumed: resume,
        seconds: started.elapsed().as_secs_f64(),
    };
    report
        .save_plot(&path(PLOT))
        .map_err(|error| CliError::Plot(error.to_string()))?;
    // Last, because this file is what makes a run a finished one.
    report
        .save_json(&path(REPORT))
        .map_err(|error| CliError::file(&path(REPORT), error))?;
    output.result(
        &report,
        format!(
            "{report}\n{:.0} s; the network, report.json and accuracy.svg are in {}",
            report.seconds,
            args.output.display()
        ),
    )
}
