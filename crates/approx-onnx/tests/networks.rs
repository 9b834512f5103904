//! Six networks of torchvision, narrow, as PyTorch exports them: run, captured, simulated and trained. `data/networks`
//! says where they come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use approx_onnx::OnnxModel;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::Tolerance;
use burn_approx::plan::PlanChoice;
use burn_approx::{ApproxConfig, GraphModel, Mode, approx_layers, calibrate, convert};
use serde::Deserialize;

/// An approximate multiplier, whose table has the same products as its integer factors.
const APPROXIMATE: &str = "mul8s_1L2J";

type Captured = GraphModel<OnnxModel, Tensor<4>, Tensor<2>>;

/// What is known of a network.
#[derive(Deserialize)]
struct Expected {
    /// The names of its convolutions and fully connected layers.
    layers: Vec<String>,
    /// What ONNX Runtime gives for the images, row by row.
    logits: Vec<Vec<f32>>,
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/networks")
        .join(file)
}

fn expected(network: &str) -> Expected {
    let text = std::fs::read_to_string(data("expected.json")).unwrap();
    let mut all: BTreeMap<String, Expected> = serde_json::from_str(&text).unwrap();
    all.remove(network).unwrap()
}

fn model(network: &str, device: &Device) -> OnnxModel {
    OnnxModel::load(data(&format!("{network}.onnx")), device).unwrap()
}

fn captured(network: &str, device: &Device) -> Captured {
    let model = model(network, device);
    model.capture(images(2, device)).unwrap()
}

/// The images that `make.py` shows ONNX Runtime.
fn images(count: usize, device: &Device) -> Tensor<4> {
    const SIZES: [usize; 3] = [3, 32, 32];
    let each: usize = SIZES.iter().product();
    let value = |place: usize| {
        let contrast = (place / each + 1) as f32 / 2.0;
        (((place * 7919 + 13) % 97) as f32 / 97.0 - 0.5) * contrast
    };
    let values: Vec<f32> = (0..count * each).map(value).collect();
    Tensor::<1>::from_floats(&values[..], device).reshape([count, SIZES[0], SIZES[1], SIZES[2]])
}

/// The captured network on a multiplier, its ranges those of some images.
fn simulated(network: &str, config: &ApproxConfig, device: &Device) -> Captured {
    let (converted, report) = convert(captured(network, device), config).unwrap();
    let mut layers = report.converted;
    layers.sort();
    let mut expected = expected(network).layers;
    expected.sort();
    assert_eq!(layers, expected);
    assert!(report.plain.is_empty(), "{:?}", report.plain);
    calibrate(&converted, |model| {
        drop(model.forward(images(4, device)));
    })
    .unwrap();
    converted
}

fn outputs(model: &Captured, count: usize) -> Vec<f32> {
    let outputs = model.forward(images(count, &Device::flex()));
    outputs.into_data().try_to_vec().unwrap()
}

/// Runs a function on every network, each as a test of its own.
macro_rules! on_every_network {
    ($function:ident) => {
        mod $function {
            on_every_network!($function: alexnet efficientnet_b0 mobilenet_v2 resnet18 resnet50 vgg16);
        }
    };
    ($function:ident: $($network:ident)*) => {
        $(
            #[test]
            fn $network() {
                super::$function(stringify!($network));
            }
        )*
    };
}

/// As it is read and as it is captured, it gives what ONNX Runtime gives, at every batch.
fn outputs_are_those_of_onnx_runtime(network: &str) {
    let device = Device::flex();
    let (read, captured) = (model(network, &device), captured(network, &device));
    let expected = expected(network).logits;
    for count in [1, 2, 7] {
        let rows = TensorData::new(expected[..count].concat(), [count, expected[0].len()]);
        let run: Tensor<2> = read.forward(images(count, &device)).unwrap();
        for found in [run, captured.forward(images(count, &device))] {
            found
                .to_data()
                .assert_approx_eq::<f32>(&rows, Tolerance::absolute(1e-4));
        }
    }
}

on_every_network!(outputs_are_those_of_onnx_runtime);

/// An exact multiplier of 8 bits gives what the mode QUANTIZED gives, bit for bit, and not what floats give.
fn exact_products_are_quantized_ones(network: &str) {
    let device = Device::flex();
    let config = ApproxConfig::new("exact:int8".parse().unwrap()).with_mode(Mode::Approximate);
    let model = simulated(network, &config, &device);
    let in_mode = |mode| {
        approx_layers(&model).set_mode(mode).unwrap();
        outputs(&model, 7)
    };
    let approximate = in_mode(Mode::Approximate);
    assert_eq!(in_mode(Mode::Quantized), approximate);
    assert_ne!(in_mode(Mode::Baseline), approximate);
    assert!(approximate.iter().all(|value| value.is_finite()));
}

on_every_network!(exact_products_are_quantized_ones);

/// A multiplier's table and its factors give the same bits, which are not those of exact products.
fn table_and_factors_agree(network: &str) {
    let planned = |plan| {
        let config = ApproxConfig::bundled(APPROXIMATE).with_plan(plan);
        simulated(network, &config, &Device::flex())
    };
    let factors = planned(PlanChoice::Factored);
    let approximate = outputs(&factors, 7);
    assert_eq!(outputs(&planned(PlanChoice::Gather), 7), approximate);
    approx_layers(&factors).set_mode(Mode::Quantized).unwrap();
    assert_ne!(outputs(&factors, 7), approximate);
}

on_every_network!(table_and_factors_agree);

/// A training step on an approximate multiplier, straight through, lowers the loss.
fn a_training_step_lowers_the_loss(network: &str) {
    let device = Device::flex().autodiff();
    let model = simulated(network, &ApproxConfig::bundled(APPROXIMATE), &device);
    let images = images(7, &device);
    let [rows, columns] = model.forward(images.clone()).dims();
    let target: Vec<f32> = (0..rows * columns)
        .map(|place| ((place * 7919 + 13) % 97) as f32 / 97.0 - 0.5)
        .collect();
    let target = Tensor::<1>::from_floats(&target[..], &device).reshape([rows, columns]);
    let loss = |model: &Captured| {
        let difference = model.forward(images.clone()) - target.clone();
        difference.square().mean()
    };
    let before = loss(&model);
    let gradients = GradientsParams::from_grads(before.clone().backward(), &model);
    let model = SgdConfig::new().init().step(1e-2, model, gradients);
    let [before, after] = [before, loss(&model)].map(|loss| loss.into_scalar::<f32>());
    assert!(after < before, "{before} before, {after} after");
}

on_every_network!(a_training_step_lowers_the_loss);
