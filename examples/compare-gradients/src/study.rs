//! The whole study: one network in floating point, and from it every retraining that is still missing.

use std::time::Instant;

use approx_models::ResNet;
use approx_multiplier::{GradientRule, Multiplier, MultiplierSource};
use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn_approx::{ApproxConfig, Mode, approx_layers, calibrate, convert};
use train_mobilenet::data::Augmentation;
use train_mobilenet::progress::Display;
use train_mobilenet::report::MultiplierSummary;

use crate::args::Args;
use crate::error::StudyError;
use crate::images::Images;
use crate::results::{Results, Run, Subject};
use crate::train::{Training, measure};
use crate::{float, plot};

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
    let display = Display::new(args.quiet);
    let images = Images::read(args, display)?;
    std::fs::create_dir_all(&args.output)
        .map_err(|error| StudyError::output(&args.output, error))?;
    let counts = [images.train.num_items(), images.test.num_items()];
    let mut results = Results::in_directory(args, counts)?;
    let (float, accuracies) = float::train(args, &images, results.float, display)?;
    results.float = Some(accuracies);
    results.save(&args.output)?;

    for (source, multiplier) in args.multipliers.iter().zip(&multipliers) {
        let summary = MultiplierSummary::of(multiplier);
        let known = |subject: &Subject| subject.multiplier == summary;
        let index = match results.subjects.iter().position(known) {
            Some(index) => index,
            None => {
                let model =
                    approximate(args, &float, source, GradientRule::StraightThrough, &images)?;
                if results.quantized.is_none() {
                    approx_layers(&model).set_mode(Mode::Quantized)?;
                    results.quantized = Some(measure(&model, &images.test, "quantised", display));
                    approx_layers(&model).set_mode(Mode::Approximate)?;
                }
                results.subjects.push(Subject {
                    before: measure(&model, &images.test, &summary.name, display),
                    multiplier: summary.clone(),
                    runs: Vec::new(),
                });
                results.save(&args.output)?;
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
                let name = format!("{}, {gradient}, seed {seed}", summary.name);
                let run = retrain(args, model, (gradient, seed), &images, &name, display)?;
                let shown: Vec<String> = run.accuracy.iter().map(|a| format!("{a:.2}")).collect();
                display.line(&format!(
                    "{name}: {:.2} -> {} %, {:.0} s",
                    subject.before,
                    shown.join(", "),
                    run.seconds
                ));
                results.subjects[index].runs.push(run);
                results.save(&args.output)?;
            }
        }
    }
    plot::save(&results, &args.output.join("accuracy.svg"))?;
    Ok(results)
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
    at_least("--image-size", args.image_size, 8)?;
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
    calibrate(&model, |model| {
        for batch in loader.iter().take(batches) {
            model.forward(batch.expect("images in memory can always be read").images);
        }
    })?;
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
        accuracy.push(measure(&model, &images.test, name, display));
    }
    Ok(Run {
        gradient,
        seed,
        accuracy,
        seconds: (10.0 * started.elapsed().as_secs_f64()).round() / 10.0,
    })
}
