//! The whole study: one network in floating point, and from it every retraining that is still missing.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Instant;

use approx_experiment::calibration::calibrate;
use approx_experiment::data::Augmentation;
use approx_experiment::plot;
use approx_experiment::progress::Display;
use approx_models::ResNet;
use approx_multiplier::{GradientRule, Multiplier, MultiplierSource};
use burn::module::Module;
use burn_approx::{ApproxConfig, Mode, approx_layers, convert};

use super::args::Args;
use super::error::StudyError;
use super::float;
use super::images::Images;
use super::results::{Results, Run, Subject};
use super::train::{Training, measure};

/// How many training images the ranges of the activations are taken from, or a few more to fill a batch.
const CALIBRATION_IMAGES: usize = 512;

/// Does what the command line asks for.
///
/// # Errors
/// See [`StudyError`]. What was measured until then is kept.
pub fn run(args: &Args) -> Result<Results, StudyError> {
    check(args)?;
    let multipliers = args.multipliers.iter().map(MultiplierSource::resolve);
    let multipliers = multipliers.collect::<Result<Vec<Multiplier>, _>>()?;
    // What no layer can be trained with should not be found out after an hour of training.
    for gradient in &args.gradients {
        (multipliers.iter()).try_for_each(|multiplier| gradient.check(multiplier))?;
    }
    let display = Display::new(args.quiet);
    let images = Images::read(args, display)?;
    std::fs::create_dir_all(&args.output)
        .map_err(|error| StudyError::output(&args.output, error))?;
    // Held until the end: two programs would overwrite each other's results.
    let _lock = lock(&args.output)?;
    let mut results = Results::in_directory(args, &images)?;
    let (float, accuracies) = float::train(args, &images, results.float, display)?;
    results.float = Some(accuracies);
    save(&results, args)?;

    for (source, multiplier) in args.multipliers.iter().zip(&multipliers) {
        let name = source.to_string();
        let known = |subject: &Subject| subject.is_of(source, multiplier);
        let index = match results.subjects.iter().position(known) {
            Some(index) => index,
            None => {
                let model =
                    approximate(args, &float, source, GradientRule::StraightThrough, &images)?;
                let mut measured = [0.0; 2];
                for (measured, mode) in measured
                    .iter_mut()
                    .zip([Mode::Quantized, Mode::Approximate])
                {
                    approx_layers(&model).set_mode(mode)?;
                    let label = format!("{name}, {mode}");
                    *measured = measure(&model, &images.test, &label, display)?;
                }
                results
                    .subjects
                    .push(Subject::new(source, multiplier, measured));
                save(&results, args)?;
                results.subjects.len() - 1
            }
        };
        for &gradient in &args.gradients {
            for &seed in &args.seeds {
                let subject = &results.subjects[index];
                if subject.run(gradient, seed).is_some() {
                    continue;
                }
                let model = approximate(args, &float, source, gradient, &images)?;
                let name = format!("{source}, {gradient}, seed {seed}");
                let run = retrain(args, model, (gradient, seed), &images, &name, display)?;
                let shown: Vec<String> = run.accuracy.iter().map(|a| format!("{a:.2}")).collect();
                display.line(&format!(
                    "{name}: {:.2} -> {} %, {:.0} s",
                    subject.before,
                    shown.join(", "),
                    run.seconds
                ));
                results.subjects[index].runs.push(run);
                save(&results, args)?;
            }
        }
    }
    Ok(results)
}

/// Writes the results, their tables and their picture.
fn save(results: &Results, args: &Args) -> Result<(), StudyError> {
    results.save(&args.output)?;
    let path = args.output.join("accuracy.svg");
    plot::save(results, &path).map_err(|error| StudyError::output(&path, error))
}

/// A file in the output directory that no other program holds.
fn lock(directory: &Path) -> Result<File, StudyError> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(|error| StudyError::output(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StudyError::InUse {
            directory: directory.into(),
        }),
        Err(TryLockError::Error(error)) => Err(StudyError::output(&path, error)),
    }
}

fn check(args: &Args) -> Result<(), StudyError> {
    let at_least = |option, value: usize, least: usize| match value >= least {
        true => Ok(()),
        false => Err(StudyError::Range {
            option,
            value: value.to_string(),
            expected: format!("at least {least}"),
        }),
    };
    if !(8..=1024).contains(&args.image_size) {
        return Err(StudyError::Range {
            option: "--image-size",
            value: args.image_size.to_string(),
            expected: "8 to 1024".into(),
        });
    }
    at_least("--batch-size", args.batch_size, 2)?;
    at_least("--epochs", args.epochs, 1)?;
    at_least("--train-images", args.train_images.unwrap_or(2), 2)?;
    match args.learning_rate > 0.0 && args.learning_rate <= 1.0 {
        true => Ok(()),
        false => Err(StudyError::Range {
            option: "--learning-rate",
            value: args.learning_rate.to_string(),
            expected: "above 0 and at most 1".into(),
        }),
    }
}

/// The network on a multiplier, its ranges calibrated.
fn approximate(
    args: &Args,
    float: &ResNet,
    multiplier: &MultiplierSource,
    gradient: GradientRule,
    images: &Images,
) -> Result<ResNet, StudyError> {
    let config = ApproxConfig::new(multiplier.clone()).with_gradient(gradient);
    // Not a clone, which would share its statistics of batch normalisation.
    let (model, _) = convert(float.valid(), &config)?;
    let loader = images.train.clone().shuffled(1, Augmentation::NONE, 0);
    let batches = CALIBRATION_IMAGES.div_ceil(args.batch_size);
    let forward = |model: &ResNet, images| drop(model.forward(images));
    calibrate(&model, forward, &loader, batches, Display::hidden())?;
    Ok(model)
}

/// Retrains a network and measures it after every epoch.
fn retrain(
    args: &Args,
    model: ResNet,
    (gradient, seed): (GradientRule, u64),
    images: &Images,
    name: &str,
    display: Display,
) -> Result<Run, StudyError> {
    let started = Instant::now();
    let mut training = Training::new(args.learning_rate);
    let mut model = model.train();
    let mut accuracy = Vec::new();
    for epoch in 1..=args.epochs {
        let loader = images.shuffled(seed, epoch);
        model = training.epoch(model, &loader, &format!("{name}, epoch {epoch}"), display)?;
        accuracy.push(measure(&model, &images.test, name, display)?);
    }
    Ok(Run {
        gradient,
        seed,
        accuracy,
        seconds: (10.0 * started.elapsed().as_secs_f64()).round() / 10.0,
    })
}
