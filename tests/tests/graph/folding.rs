//! Batch normalisation folded into convolutions: the same function, whose quantised weight is the folded one.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig, Conv3d, Conv3dConfig};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_approx::convert::{
    ApproxConfig, CaptureOptions, GraphModel, GraphTensors, approx_layers, calibrate, convert,
};
use burn_approx::plain_record;

use crate::models::{Subject, convolutional, resnet, tensor, values};

/// Convolutions of volumes and of lines, each normalised.
#[derive(Module, Debug)]
struct Signals {
    volume: Conv3d,
    volumes: BatchNorm,
    line: Conv1d,
    lines: BatchNorm,
}

fn signals() -> Subject<Signals, Tensor<5>> {
    Subject {
        build: |device| Signals {
            volume: Conv3dConfig::new([2, 4], [2, 2, 2])
                .with_groups(2)
                .with_bias(false)
                .init(device),
            volumes: BatchNormConfig::new(4).init(device),
            line: Conv1dConfig::new(4, 3, 3).init(device),
            lines: BatchNormConfig::new(3).init(device),
        },
        input: |rows, device| tensor([rows, 2, 3, 3, 3], 2, device),
        forward: |model, x| {
            let x = model.volumes.forward(model.volume.forward(x));
            let x = model.line.forward(x.flatten(2, 4));
            model.lines.forward(x).flatten(1, 2)
        },
        layers: ["volume", "line"].map(String::from).into(),
    }
}

fn folded<M: Module, I: GraphTensors>(
    subject: &Subject<M, I>,
    model: &M,
) -> GraphModel<M, I, Tensor<2>> {
    let options = CaptureOptions::default().with_fold_batch_norm(true);
    let input = (subject.input)(3, &crate::device());
    options.capture(model, input, subject.forward).unwrap()
}

fn the_function_is_the_same<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device();
    let model = subject.model(&device);
    let captured = folded(&subject, &model);
    let input = || (subject.input)(6, &device);
    let expected = values((subject.forward)(&model, input()));
    let found = values(captured.forward(input()));
    assert_ne!(found, expected, "something was folded");
    let largest = expected
        .iter()
        .fold(0.0f32, |all, value| all.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= 1e-5 * largest,
            "{found} for {expected}"
        );
    }
    let layers = approx_layers(&captured);
    let paths: Vec<_> = layers.iter().map(|layer| layer.path()).collect();
    assert_eq!(paths, subject.layers);
    // Parameters are the original's, unfolded.
    let restored = (subject.build)(&device).load_record(plain_record(&captured));
    assert_eq!(values((subject.forward)(&restored, input())), expected);
}

#[test]
fn a_folded_network_computes_the_same_function() {
    the_function_is_the_same(convolutional());
    the_function_is_the_same(resnet());
    the_function_is_the_same(signals());
}

/// The weights of these layers are quantised as they are with the normalisation folded in.
fn folded_weights_are_quantised<M: Module, I: GraphTensors>(
    subject: Subject<M, I>,
    layers: &[&str],
) {
    let device = crate::device();
    let model = subject.model(&device);
    let config = ApproxConfig::bundled("mul8s_1L2J");
    let calibrated = |captured: GraphModel<M, I, Tensor<2>>| {
        let (captured, _) = convert(captured, &config).unwrap();
        let input = (subject.input)(6, &device);
        calibrate(&captured, |captured| drop(captured.forward(input))).unwrap();
        approx_layers(&captured)
    };
    let [folded, plain] = [folded(&subject, &model), subject.capture(&model)].map(calibrated);
    for layer in layers {
        let [folded, plain] = [&folded, &plain].map(|layers| {
            let quantizer = layers.get(layer).unwrap().weight_quantizer().unwrap();
            values(quantizer.parameters())
        });
        assert_ne!(folded, plain, "{layer}");
    }
}

#[test]
fn the_folded_weight_is_what_is_quantised() {
    folded_weights_are_quantised(convolutional(), &["stem"]);
    folded_weights_are_quantised(signals(), &["volume", "line"]);
}

#[test]
fn training_goes_through_the_fold() {
    let device = crate::device().autodiff();
    let subject = resnet();
    let captured = folded(&subject, &subject.model(&device));
    let (mut captured, _) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    let input = || (subject.input)(8, &device);
    calibrate(&captured, |captured| drop(captured.forward(input()))).unwrap();
    let target = tensor([8, 5], 77, &device);
    let mut optimizer = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..=50 {
        let loss = (captured.forward(input()) - target.clone()).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &captured);
        captured = optimizer.step(1e-2, captured, gradients);
    }
    assert!(losses[50] <= losses[0] / 2.0, "{losses:?}");
}
