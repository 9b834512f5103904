//! Putting the trained network on the approximate multiplier: conversion, calibration, and the modes to measure in.

use approx_experiment::calibration::{CalibrationError, calibrate};
use approx_experiment::data::Augmentation;
use approx_experiment::progress::Display;
use approx_experiment::training::TrainingData;
use approx_models::MobileNetV2;
use burn_approx::convert::LayerRule;
use burn_approx::{ApproxConfig, ApproxError, Mode, approx_layers, convert};

use crate::settings::Settings;

/// How many training images the ranges of the activations are taken from, or a few more to fill a batch.
const CALIBRATION_IMAGES: usize = 512;

/// The configuration that the settings ask for: every layer, or those that a pattern matches.
pub fn configuration(settings: &Settings) -> ApproxConfig {
    let config = ApproxConfig::new(settings.multiplier.clone()).with_gradient(settings.gradient);
    if settings.layers.is_empty() {
        return config;
    }
    settings.layers.iter().fold(
        config.with_rule(LayerRule::path("**").with_exclude(true)),
        |config, pattern| config.with_rule(LayerRule::path(pattern).with_exclude(false)),
    )
}

/// Converts a model and gives it the activations' ranges on some training images. The paths of the converted layers
/// come with it.
///
/// # Errors
///
/// A pattern that matches nothing, a multiplier that cannot be used, or activations that are not finite.
pub fn approximate(
    model: MobileNetV2,
    settings: &Settings,
    data: &TrainingData,
    display: Display,
) -> Result<(MobileNetV2, Vec<String>), CalibrationError> {
    let (model, report) = convert(model, &configuration(settings))?;
    let loader = data
        .train_in_order()
        .clone()
        .shuffled(settings.seed, Augmentation::NONE, 0);
    let batches = CALIBRATION_IMAGES.div_ceil(settings.batch_size);
    let forward = |model: &MobileNetV2, images| drop(model.forward(images));
    calibrate(&model, forward, &loader, batches, display)?;
    Ok((model, report.converted))
}

/// Sets the mode of all converted layers.
pub fn set_mode(model: &MobileNetV2, mode: Mode) -> Result<(), ApproxError> {
    approx_layers(model).set_mode(mode)
}
