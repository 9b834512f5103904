//! The whole run: train, convert, measure, retrain, measure, report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use approx_models::{MobileNetV2, MobileNetV2Config, ModelError, Stem};
use approx_multiplier::import::Imported;
use burn::module::Module;
use burn::tensor::Device;
use burn_approx::convert::trace;
use burn_approx::ops::check_device;
use burn_approx::{ApproxError, Mode, convert};

use crate::approximate::{approximate, configuration, set_mode};
use crate::args::{Args, DatasetKind};
use crate::data::{DataError, Dataset, cifar10, digits, idx, image_folder};
use crate::device::DeviceError;
use crate::plot::{self, PlotError};
use crate::progress::Display;
use crate::report::{Accuracy, DatasetSummary, MultiplierSummary, Report};
use crate::settings::{Settings, SettingsError};
use crate::train::{Phase, TrainError, TrainingData, accuracy, fit};

/// The directories and files of a run.
const TRAINING: &str = "training";
const RETRAINING: &str = "retraining";
const FLOAT_MODEL: &str = "float.bpk";
const APPROXIMATE_MODEL: &str = "approximate";
const REPORT: &str = "report.json";
const PLOT: &str = "accuracy.svg";

/// Why a run did not finish.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Wrong settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Data that is missing or damaged.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A device that cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A network that cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A conversion that cannot be made.
    #[error(transparent)]
    Approximation(#[from] ApproxError),
    /// A training that did not finish.
    #[error(transparent)]
    Training(#[from] TrainError),
    /// A file or directory that cannot be written.
    #[error("{path} cannot be written: {reason}")]
    Output {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl RunError {
    /// The exit code of a program that stops for this reason.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Device(DeviceError::TooFew { .. }) => 2,
            Self::Data(_) => 3,
            Self::Approximation(
                ApproxError::PatternMatchesNothing { .. } | ApproxError::InvalidPattern { .. },
            ) => 2,
            _ => 1,
        }
    }

    fn output(path: &Path, reason: impl ToString) -> Self {
        Self::Output {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}

/// Does what the command line asks for.
///
/// # Errors
///
/// See [`RunError`]. What was trained until then can be resumed.
pub fn run(args: &Args) -> Result<Report, RunError> {
    let started = Instant::now();
    let display = Display::new(args.quiet);
    let settings = Settings::resolve(args)?;
    let imported = settings.multiplier.import_relative_to("");
    let Imported { multiplier, notes } = imported.map_err(SettingsError::from)?;
    for note in notes {
        display.line(&note);
    }
    let dataset = read_dataset(&settings, display)?;
    let devices = args.device.open(args.devices.unwrap_or(1))?;
    check_device(&devices[0])?;
    let model = build(&settings, &dataset, &devices[0])?;
    // A pattern that matches nothing should not be found out after an hour of training.
    convert(model.clone(), &configuration(&settings))?;
    begin(args, &settings)?;

    let data = TrainingData::new(&dataset, settings.batch_size, settings.seed, &devices);
    let phase = |name, directory: &str, epochs, learning_rate| Phase {
        name,
        directory: args.output.join(directory),
        epochs,
        learning_rate,
        resume: args.resume,
    };
    let training = phase(
        "training",
        TRAINING,
        settings.epochs,
        settings.learning_rate,
    );
    let (model, training) = fit(model, &data, &training, display)?;
    let path = args.output.join(FLOAT_MODEL);
    let record = model.clone().into_record();
    record
        .save(&path)
        .map_err(|error| RunError::output(&path, error))?;

    let measure = |model: &MobileNetV2, label| accuracy(model, data.test(), label, display);
    let float = measure(&model, "float");
    let (model, layers) = approximate(model, &settings, &data, display)?;
    set_mode(&model, Mode::Quantized);
    let quantized = measure(&model, "quantised");
    set_mode(&model, Mode::Approximate);
    let approximate = measure(&model, "approximate");
    display.line(&format!(
        "float {float:.2} %, quantised {quantized:.2} %, approximate {approximate:.2} %"
    ));

    let (model, retraining, retrained) = if settings.retrain_epochs > 0 {
        let phase = phase(
            "retraining",
            RETRAINING,
            settings.retrain_epochs,
            settings.retrain_learning_rate,
        );
        let (model, retraining) = fit(model.train(), &data, &phase, display)?;
        let retrained = measure(&model, "retrained");
        (model, retraining, Some(retrained))
    } else {
        (model, Vec::new(), None)
    };
    burn_approx::save(&model, args.output.join(APPROXIMATE_MODEL))?;
    if let Some(path) = &args.trace {
        let trace = trace(&model, |model| {
            measure(model, "tracing");
        })?;
        trace
            .save(path)
            .map_err(|error| RunError::output(path, error))?;
    }

    let report = Report {
        device: args.device,
        devices: devices.len(),
        dataset: DatasetSummary::of(&dataset),
        multiplier: MultiplierSummary::of(&multiplier),
        settings,
        layers,
        accuracy: Accuracy {
            float,
            quantized,
            approximate,
            retrained,
        },
        training,
        retraining,
        resumed: args.resume,
        seconds: started.elapsed().as_secs_f64(),
    };
    let path = args.output.join(PLOT);
    plot::save(&report, &path).map_err(|error| match error {
        PlotError::Write(source) => RunError::output(&path, source),
        error => RunError::output(&path, error),
    })?;
    // Last, because this file is what makes a run a finished one.
    let path = args.output.join(REPORT);
    report
        .save(&path)
        .map_err(|source| RunError::output(&path, source))?;
    Ok(report)
}

fn read_dataset(settings: &Settings, display: Display) -> Result<Dataset, RunError> {
    let directory = || {
        settings.data.as_deref().ok_or(SettingsError::DataNeeded {
            dataset: settings.dataset,
        })
    };
    Ok(match settings.dataset {
        DatasetKind::Digits => digits::read()?,
        DatasetKind::Mnist => idx::read_directory(directory()?)?,
        DatasetKind::Cifar10 => cifar10::read_directory(directory()?)?,
        DatasetKind::Folder => {
            image_folder::read_directory(directory()?, settings.image_size, display)?
        }
    })
}

/// A network with random weights for the data set's images, on the device and ready to be trained.
fn build(
    settings: &Settings,
    dataset: &Dataset,
    device: &Device,
) -> Result<MobileNetV2, ModelError> {
    let [channels, height, width] = dataset.train.shape();
    let stem = if height.max(width) <= 32 {
        Stem::Small
    } else {
        Stem::ImageNet
    };
    let device = device.clone().autodiff();
    device.seed(settings.seed);
    MobileNetV2Config::new(dataset.classes.len())
        .with_in_channels(channels)
        .with_width(settings.width)
        .with_stem(stem)
        .try_init(&device)
}

/// Makes the output directory ready: to go on with a run, or for a new one.
fn begin(args: &Args, settings: &Settings) -> Result<(), RunError> {
    let directory = &args.output;
    if args.resume {
        return Ok(());
    }
    let finished = directory.join(REPORT).exists();
    if Settings::exist_in(directory) && !finished && !args.overwrite {
        return Err(SettingsError::Unfinished {
            directory: directory.clone(),
        }
        .into());
    }
    std::fs::create_dir_all(directory).map_err(|source| RunError::output(directory, source))?;
    // The report goes first, so that a run that is killed from here on is an unfinished one.
    for name in [REPORT, PLOT, FLOAT_MODEL] {
        remove(&directory.join(name), |path| std::fs::remove_file(path))?;
    }
    for name in [TRAINING, RETRAINING, APPROXIMATE_MODEL] {
        remove(&directory.join(name), |path| std::fs::remove_dir_all(path))?;
    }
    settings.save(directory)?;
    Ok(())
}

/// Removes what an earlier run has left at `path`, if anything.
fn remove(path: &Path, with: impl Fn(&Path) -> std::io::Result<()>) -> Result<(), RunError> {
    match with(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(RunError::output(path, source))
        }
        _ => Ok(()),
    }
}
