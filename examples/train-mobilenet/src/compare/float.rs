//! The network in floating point that every retraining begins with: made once, and kept in the output directory.

use std::path::Path;

use approx_experiment::files;
use approx_experiment::progress::Display;
use approx_models::{ResNet, ResNetConfig, ShortcutKind, torchvision::TorchvisionLoader};
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Device;

use super::args::Args;
use super::digest::digest;
use super::error::StudyError;
use super::images::Images;
use super::results::Float;
use super::train::{Training, measure};

/// The file of the trained network.
const FILE: &str = "float.bpk";

/// The seed of random weights and of the training in floating point.
const SEED: u64 = 1;

/// A ResNet-20 for images of some classes, with random weights, ready to be trained.
fn random(classes: usize, device: &Device) -> Result<ResNet, StudyError> {
    let device = device.clone().autodiff();
    device.seed(SEED);
    let config = ResNetConfig::small(20, classes)?.with_shortcut(ShortcutKind::ZeroPadding);
    Ok(config.try_init(&device)?)
}

/// The network with the weights of a file, if there is one.
fn given(args: &Args, model: ResNet) -> Result<ResNet, StudyError> {
    let Some(path) = &args.weights else {
        return Ok(model);
    };
    let loader = TorchvisionLoader::new();
    let loader = match &args.weights_key {
        Some(key) => loader.with_top_level_key(key),
        None => loader,
    };
    Ok(loader.load(model, path)?.0)
}

/// The trained network and its accuracies: read from the output directory if `known` says that it is there, otherwise
/// made.
///
/// # Errors
/// Weights that do not fit, or files that cannot be read or written.
pub fn train(
    args: &Args,
    images: &Images,
    known: Option<Float>,
    display: Display,
) -> Result<(ResNet, Float), StudyError> {
    let path = args.output.join(FILE);
    let model = random(images.classes, &images.device)?;
    if let Some(float) = known {
        return Ok((read(&model, &path, Some(&float.digest))?.0, float));
    }
    let mut model = given(args, model)?;
    let before = measure(&model, &images.test, "float, as given", display)?;
    let mut training = Training::new(args.learning_rate);
    for epoch in 1..=args.float_epochs {
        let loader = images.shuffled(SEED, epoch);
        model = training.epoch(model, &loader, &format!("float, epoch {epoch}"), display)?;
    }
    let after = measure(&model, &images.test, "float, trained", display)?;
    display.line(&format!(
        "float: {before:.2} % as given, {after:.2} % after {} epoch{}",
        args.float_epochs,
        if args.float_epochs == 1 { "" } else { "s" }
    ));
    write(&model, &path)?;
    // From here on as a later call will find it.
    let (model, digest) = read(&model, &path, None)?;
    let float = Float {
        before,
        after,
        digest,
    };
    Ok((model, float))
}

fn write(model: &ResNet, path: &Path) -> Result<(), StudyError> {
    let record = model.valid().into_record();
    let save = |path: &Path| {
        let saved = record.save(path);
        saved.map_err(|error| std::io::Error::other(error.to_string()))
    };
    files::replace(path, save).map_err(|error| StudyError::output(path, error))
}

/// The network in a file, with the file's digest, which must be an expected one if there is one.
fn read(
    model: &ResNet,
    path: &Path,
    expected: Option<&str>,
) -> Result<(ResNet, String), StudyError> {
    let unreadable = |reason: String| StudyError::Unreadable {
        path: path.into(),
        reason: format!("{reason}; remove the directory to begin anew"),
    };
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let digest = digest(bytes);
    if expected.is_some_and(|expected| expected != digest) {
        return Err(unreadable("it is not the network of these results".into()));
    }
    let record = ModuleRecord::load(path).map_err(|error| unreadable(error.to_string()))?;
    let model = model.valid().try_load_record(record);
    Ok((
        model.map_err(|error| unreadable(error.to_string()))?,
        digest,
    ))
}
