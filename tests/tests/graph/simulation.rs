//! A captured model is converted, listed, calibrated, simulated, retrained and saved like one of drop-in layers.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_approx::convert::{
    ApproxConfig, GraphModel, GraphTensors, approx_layers, calibrate, convert,
};
use burn_approx::plan::PlanChoice;
use burn_approx::{ApproxError, Mode, load, save};

use crate::models::{Subject, tensor, values};

/// Of rank 1: one integer product.
const FACTORS: &str = "mul8s_1L2J";

type Captured<M, I> = GraphModel<M, I, Tensor<2>>;

/// A captured model, converted and calibrated.
fn simulated<M: Module, I: GraphTensors>(
    subject: &Subject<M, I>,
    config: &ApproxConfig,
    device: &Device,
) -> Captured<M, I> {
    let captured = subject.capture(&subject.model(device));
    let (captured, _) = convert(captured, config).unwrap();
    let input = (subject.input)(8, device);
    calibrate(&captured, |captured| drop(captured.forward(input))).unwrap();
    captured
}

fn layers_have_the_original_paths<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device();
    let captured = subject.capture(&subject.model(&device));
    let layers = approx_layers(&captured);
    let paths: Vec<_> = layers.iter().map(|layer| layer.path()).collect();
    assert_eq!(paths, subject.layers);
    let (captured, report) = convert(captured, &ApproxConfig::bundled(FACTORS)).unwrap();
    assert_eq!(report.converted, subject.layers);
    assert!(report.plain.is_empty(), "{:?}", report.plain);
    let listing = approx_layers(&captured).to_string();
    assert!(
        subject
            .layers
            .iter()
            .all(|path| listing.contains(path.as_str()))
    );
}

on_every_model!(layers_have_the_original_paths);

/// The table and its factors give the same outputs, which are not the float ones; BASELINE gives those.
fn table_and_factors_agree<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device();
    let input = || (subject.input)(5, &device);
    let float = values(subject.capture(&subject.model(&device)).forward(input()));
    let plan = |plan| {
        let captured = simulated(
            &subject,
            &ApproxConfig::bundled(FACTORS).with_plan(plan),
            &device,
        );
        let output = values(captured.forward(input()));
        approx_layers(&captured).set_mode(Mode::Baseline).unwrap();
        assert_eq!(values(captured.forward(input())), float);
        output
    };
    let factors = plan(PlanChoice::Factored);
    assert_eq!(plan(PlanChoice::Gather), factors);
    assert_ne!(factors, float);
    assert!(factors.iter().all(|value| value.is_finite()));
}

on_every_model!(table_and_factors_agree);

/// A converted layer that was not calibrated is an error that names it.
fn calibration_is_needed<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device();
    let captured = subject.capture(&subject.model(&device));
    let (captured, _) = convert(captured, &ApproxConfig::bundled(FACTORS)).unwrap();
    let error = captured
        .try_forward((subject.input)(2, &device))
        .unwrap_err();
    assert!(
        matches!(error, ApproxError::NotCalibrated { .. }),
        "{error}"
    );
}

on_every_model!(calibration_is_needed);

/// Fifty steps on the approximate multiplier bring the loss to half of what it was, and the original stays as it is.
fn retraining_halves_the_loss<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device().autodiff();
    let model = subject.model(&device);
    let input = || (subject.input)(8, &device);
    let before = values((subject.forward)(
        &model.valid(),
        (subject.input)(8, &crate::device()),
    ));
    let captured = subject.capture(&model);
    let (mut captured, _) = convert(captured, &ApproxConfig::bundled(FACTORS)).unwrap();
    calibrate(&captured, |captured| drop(captured.forward(input()))).unwrap();
    let output = captured.forward(input());
    let target = tensor(output.dims(), 77, &device);
    let mut optimizer = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..=50 {
        let loss = (captured.forward(input()) - target.clone()).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &captured);
        captured = optimizer.step(1e-2, captured, gradients);
    }
    assert!(losses[50] <= losses[0] / 2.0, "{losses:?}");
    let after = values((subject.forward)(
        &model.valid(),
        (subject.input)(8, &crate::device()),
    ));
    assert_eq!(before, after, "the original");
}

on_every_model!(retraining_halves_the_loss);

/// Saved and loaded into a newly captured model, it gives the same outputs.
fn saved_models_load<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device();
    let directory = tempfile::tempdir().unwrap();
    let captured = simulated(&subject, &ApproxConfig::bundled(FACTORS), &device);
    save(&captured, directory.path()).unwrap();
    let other = (subject.build)(&device);
    let loaded = load(subject.capture(&other), directory.path()).unwrap();
    let input = || (subject.input)(4, &device);
    assert_eq!(
        values(loaded.forward(input())),
        values(captured.forward(input()))
    );
    // The original type takes the trained weights too.
    let float = values(subject.capture(&subject.model(&device)).forward(input()));
    let original = loaded.into_original();
    assert_eq!(values((subject.forward)(&original, input())), float);
}

on_every_model!(saved_models_load);

/// A clone is independent: converting and moving it leaves the first alone.
fn clones_are_independent<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device();
    let captured = subject.capture(&subject.model(&device));
    let input = || (subject.input)(4, &device);
    let float = values(captured.forward(input()));
    let (clone, _) = convert(captured.clone(), &ApproxConfig::bundled(FACTORS)).unwrap();
    assert!(
        approx_layers(&clone)
            .iter()
            .all(|layer| layer.is_converted())
    );
    assert!(
        approx_layers(&captured)
            .iter()
            .all(|layer| !layer.is_converted())
    );
    assert_eq!(values(captured.forward(input())), float);
}

on_every_model!(clones_are_independent);
