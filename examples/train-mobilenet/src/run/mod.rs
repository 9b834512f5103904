//! The whole run: train, convert, measure, retrain, measure, report. `prepare` is what it begins with, `directory`
//! where it writes,
//! `error` why it does not finish.

mod directory;
mod error;
mod prepare;

use std::time::Instant;

use approx_experiment::plot::{self, PlotError};
use approx_experiment::progress::Display;
use approx_experiment::report::MultiplierSummary;
use approx_experiment::training::{Optimizer, Phase, TrainingData, fit};
use approx_models::MobileNetV2;
use approx_multiplier::import::Imported;
use burn::module::Module;
use burn_approx::convert::trace;
use burn_approx::ops::check_device;
use burn_approx::{Mode, convert};

use self::directory::{APPROXIMATE_MODEL, FLOAT_MODEL, PLOT, REPORT, RETRAINING, TRAINING};
pub use self::error::RunError;
use crate::approximate::{approximate, configuration, set_mode};
use crate::args::Args;
use crate::measure::accuracy;
use crate::report::{Accuracy, DatasetSummary, Report};
use crate::settings::{Settings, SettingsError};

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
    let Imported {
        multiplier, notes, ..
    } = imported.map_err(SettingsError::from)?;
    for note in notes {
        display.line(&note.text);
    }
    let dataset = prepare::dataset(&settings, display)?;
    let devices = args.device.open(args.devices.unwrap_or(1))?;
    check_device(&devices[0])?;
    let model = prepare::model(&settings, &dataset, &devices[0])?;
    // A pattern that matches nothing should not be found out after an hour of training.
    convert(model.clone(), &configuration(&settings))?;
    directory::begin(args, &settings)?;

    let data = TrainingData::of(&dataset, settings.batch_size, settings.seed, &devices)?;
    let phase = |name, directory: &str, epochs, learning_rate| Phase {
        name,
        directory: args.output.join(directory),
        epochs,
        learning_rate,
        optimizer: Optimizer::Adamw,
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

    let measure = |model: &MobileNetV2, label| {
        accuracy(|images| model.forward(images), data.test(), label, display)
    };
    let float = measure(&model, "float")?;
    let (model, layers) = approximate(model, &settings, &data, display)?;
    set_mode(&model, Mode::Quantized)?;
    let quantized = measure(&model, "quantised")?;
    set_mode(&model, Mode::Approximate)?;
    let approximate = measure(&model, "approximate")?;
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
        let retrained = measure(&model, "retrained")?;
        (model, retraining, Some(retrained))
    } else {
        (model, Vec::new(), None)
    };
    burn_approx::save(&model, args.output.join(APPROXIMATE_MODEL))?;
    if let Some(path) = &args.trace {
        let mut measured = Ok(0.0);
        let trace = trace(&model, |model| measured = measure(model, "tracing"))?;
        measured?;
        trace
            .save(path)
            .map_err(|error| RunError::output(path, error))?;
    }

    let report = Report {
        device: args.device,
        devices: devices.len(),
        dataset: DatasetSummary::of(&dataset)?,
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
    plot::save(&crate::plot::curve(&report), &path).map_err(|error| match error {
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
