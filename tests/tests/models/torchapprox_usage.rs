//! The steps that TorchApprox's users know, with this library: convert, train with exact products, then loop over the
//! layers to set a table, a mode, an HTP model or noise, and retrain.

use approx_multiplier::{Multiplier, OperandFormat, evoapprox};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, approx_layers, convert};
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::Observation;
use burn_approx::{Mode, Noise};

use crate::networks::{Perceptron, rows, values};

fn train(mut model: Perceptron, steps: usize, device: &Device) -> (Perceptron, Vec<f32>) {
    let mut optimizer = SgdConfig::new().init();
    // Six rows, four classes: few enough to be learnt by heart.
    let target = Tensor::<2>::from_floats(
        [
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, 1.0],
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, 0.0, 0.0],
        ],
        device,
    );
    let mut losses = Vec::new();
    for _ in 0..steps {
        let loss = (model.forward(rows(device)) - target.clone())
            .square()
            .mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.1, model, gradients);
    }
    (model, losses)
}

#[test]
fn convert_train_exactly_switch_layer_by_layer_and_retrain() {
    let device = crate::device().autodiff();
    let model = Perceptron::new(&device);

    // Quantisation-aware training with exact products, observers on.
    let config = ApproxConfig::new("exact".parse().unwrap()).with_mode(Mode::Quantized);
    let (model, _) = convert(model, &config).unwrap();
    for layer in &approx_layers(&model) {
        layer
            .set_observation(Observation::WhileTraining, Observation::WhileTraining)
            .unwrap();
    }
    let (model, losses) = train(model, 30, &device);
    assert!(losses[29] < losses[0], "{losses:?}");
    let exact = values(model.forward(rows(&device)));

    // A table of one's own, set in a loop. The exact product first: nothing changes.
    let table = Multiplier::from_fn("lut", OperandFormat::INT8, OperandFormat::INT8, |x, w| {
        x * w
    });
    let table = table.unwrap();
    for layer in &approx_layers(&model) {
        layer
            .set_observation(Observation::Frozen, Observation::Frozen)
            .unwrap();
        layer.set_mode(Mode::Approximate).unwrap();
        layer.set_multiplier(table.clone()).unwrap();
        // Looked up: the planner would multiply, as QUANTIZED does.
        layer.set_plan(PlanChoice::Gather).unwrap();
    }
    assert_eq!(values(model.forward(rows(&device))), exact);

    // A rough one, then retraining on it.
    for layer in &approx_layers(&model) {
        layer.set_plan(PlanChoice::Auto).unwrap();
        layer
            .set_multiplier(evoapprox::multiplier("mul8s_1KVA").unwrap())
            .unwrap();
    }
    assert_ne!(values(model.forward(rows(&device))), exact);
    let (model, losses) = train(model, 30, &device);
    assert!(losses.last() < losses.first(), "{losses:?}");

    // HTP models and noise are set the same way.
    for layer in &approx_layers(&model) {
        layer
            .set_htp_model(Some(evoapprox::htp("mul8s_1KVA").unwrap()))
            .unwrap();
    }
    let (model, losses) = train(model, 5, &device);
    assert!(losses.iter().all(|loss| loss.is_finite()));
    for layer in &approx_layers(&model) {
        layer.set_htp_model(None).unwrap();
        layer.set_mode(Mode::Noise).unwrap();
        layer
            .set_noise(Noise {
                mean: 0.0,
                standard_deviation: 0.01,
            })
            .unwrap();
    }
    let (_, losses) = train(model, 5, &device);
    assert!(losses.iter().all(|loss| loss.is_finite()));
}

#[test]
fn tables_are_ordered_by_bit_pattern() {
    // Rows and columns of a signed table: 0 to 127, then -128 to -1, as two's-complement bytes.
    let multiplier = evoapprox::multiplier("mul8s_1KV6").unwrap();
    let table = multiplier.table().unwrap();
    assert_eq!(table.row(0xff)[0x02], -2);
    assert_eq!(table.row(0x80)[0x80], 128 * 128);
}
