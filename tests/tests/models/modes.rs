//! Inference modes, HTP models on layers, noise, and settings made layer by layer.

use approx_multiplier::evoapprox;
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::plan::PlanChoice;
use burn_approx::{ApproxError, Mode, Noise};
use burn_approx_tests::layer::Layer;

use crate::networks::{Perceptron, rows, values};

fn model(device: &Device, multiplier: &str) -> Perceptron {
    let (model, _) = convert(Perceptron::new(device), &ApproxConfig::bundled(multiplier)).unwrap();
    calibrate(&model, |model| {
        model.forward(rows(device));
    })
    .unwrap();
    model
}

/// An exact circuit by every plan that can compute it: the outputs of QUANTIZED, which are those of a plain loop.
#[test]
fn with_the_exact_circuit_approximate_is_quantized() {
    let device = crate::device();
    let model = model(&device, "mul8s_1KV6");
    let layers = approx_layers(&model);
    layers.set_mode(Mode::Quantized).unwrap();
    let quantized = values(model.forward(rows(&device)));
    let hidden = Layer::of_linear(&model.hidden, rows(&device));
    let sums = (hidden.codes()).outputs(&hidden.geometry, |a, w| i64::from(a) * i64::from(w));
    let bias = values(model.hidden.bias.as_ref().unwrap().val());
    let expected: Vec<f32> = (sums.iter().enumerate())
        .map(|(index, sum)| sum + bias[index % bias.len()])
        .collect();
    assert_eq!(values(model.hidden.forward(rows(&device))), expected);
    layers.set_mode(Mode::Approximate).unwrap();
    for plan in [
        PlanChoice::Factored,
        PlanChoice::FactoredFloat32,
        PlanChoice::Gather,
    ] {
        for layer in &layers {
            layer.set_plan(plan).unwrap();
        }
        let hidden = values(model.hidden.forward(rows(&device)));
        assert_eq!(hidden, expected, "{plan}");
        assert_eq!(values(model.forward(rows(&device))), quantized, "{plan}");
        let taken = layers[0].plan().unwrap();
        assert_eq!(taken.route().to_string(), plan.to_string());
    }
}

#[test]
fn an_htp_model_wins_until_it_is_removed() {
    let device = crate::device();
    let model = model(&device, "mul8s_1KV6");
    let exact = values(model.forward(rows(&device)));
    for layer in &approx_layers(&model) {
        layer
            .set_htp_model(Some(evoapprox::htp("mul8s_1L2J").unwrap()))
            .unwrap();
    }
    let htp = values(model.forward(rows(&device)));
    assert_ne!(htp, exact);
    let table = approx_layers(&model).to_string();
    assert!(table.contains("mul8s_1L2J (HTP)"), "{table}");
    for layer in &approx_layers(&model) {
        layer.set_htp_model(None).unwrap();
    }
    assert_eq!(values(model.forward(rows(&device))), exact);

    // The HTP model of 1L2J reproduces its table, up to the rounding of float sums.
    for layer in &approx_layers(&model) {
        layer
            .set_multiplier(evoapprox::multiplier("mul8s_1L2J").unwrap())
            .unwrap();
    }
    for (table, htp) in values(model.forward(rows(&device))).iter().zip(htp) {
        assert!((table - htp).abs() <= 1e-5 * htp.abs().max(1.0));
    }
}

#[test]
fn noise_is_added_in_training_only_with_the_stated_moments() {
    let device = crate::device().autodiff();
    device.seed(1);
    let layer = burn_approx::nn::LinearConfig::new(8, 64).init(&device);
    let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1KV6")).unwrap();
    let x = Tensor::<2>::random(
        [512, 8],
        burn::tensor::Distribution::Normal(0.0, 1.0),
        &device,
    );
    calibrate(&layer, |layer| {
        layer.forward(x.clone());
    })
    .unwrap();
    let layers = approx_layers(&layer);
    layers.set_mode(Mode::Quantized).unwrap();
    let quantized = layer.forward(x.clone());
    layers.set_mode(Mode::Noise).unwrap();
    let noise = Noise {
        mean: 0.5,
        standard_deviation: 0.25,
    };
    layers[0].set_noise(noise).unwrap();
    let spread = values(quantized.clone());
    let mean = spread.iter().sum::<f32>() / spread.len() as f32;
    let spread =
        (spread.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / spread.len() as f32).sqrt();
    let added: Vec<f32> = values(layer.forward(x.clone()))
        .iter()
        .zip(values(quantized.clone()))
        .map(|(noisy, clean)| (noisy - clean) / spread)
        .collect();
    let mean = added.iter().sum::<f32>() / added.len() as f32;
    let deviation =
        (added.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / added.len() as f32).sqrt();
    assert!((mean - 0.5).abs() < 0.01, "{mean}");
    assert!((deviation - 0.25).abs() < 0.01, "{deviation}");

    let evaluated = layer.valid();
    assert_eq!(
        values(evaluated.forward(x.inner())),
        values(quantized),
        "no noise in evaluation"
    );
    let bad = Noise {
        mean: f64::NAN,
        standard_deviation: 0.0,
    };
    assert!(layers[0].set_noise(bad).is_err());
    let bad = Noise {
        mean: 0.0,
        standard_deviation: -1.0,
    };
    assert!(layers[0].set_noise(bad).is_err());
}

#[test]
fn settings_need_a_converted_layer_and_fitting_codes() {
    let device = crate::device();
    let model = Perceptron::new(&device);
    let layers = approx_layers(&model);
    assert!(matches!(
        layers[0].set_mode(Mode::Quantized),
        Err(ApproxError::NotConverted { layer }) if layer == "hidden"
    ));
    let (model, _) = convert(model, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    let layers = approx_layers(&model);
    let unsigned = evoapprox::multiplier("mul8u_17C8").unwrap();
    let error = layers[0].set_multiplier(unsigned.clone()).unwrap_err();
    assert!(
        matches!(error, ApproxError::CodesOutsideMultiplier { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("sign_magnitude"), "{error}");
    let name = |index: usize| {
        layers[index]
            .settings()
            .unwrap()
            .multiplier()
            .name()
            .to_string()
    };
    assert_eq!(name(0), "mul8s_1L2J", "nothing has changed");
    layers[0]
        .set_multiplier(unsigned.sign_magnitude().unwrap())
        .unwrap();
    assert_eq!(name(0), "mul8u_17C8:sign-magnitude");
}

#[test]
fn a_quantiser_set_by_hand_is_used_and_frozen() {
    use burn_approx::quantization::{CodeQuantizer, CodeRange};
    let device = crate::device();
    let (layer, _) = convert(
        burn_approx::nn::LinearConfig::new(8, 4).init(&device),
        &ApproxConfig::bundled("mul8s_1L2J"),
    )
    .unwrap();
    let layers = approx_layers(&layer);
    let quantizer =
        CodeQuantizer::per_tensor(0.125, 0, CodeRange::new(-128, 127).unwrap(), &device).unwrap();
    layers[0].set_activation_quantizer(&quantizer).unwrap();
    layer.forward(rows(&device) * 1000.0);
    assert_eq!(layers[0].activation_quantizer().unwrap().scales(), [0.125]);
    assert!(
        layers[0].set_weight_quantizer(&quantizer).is_err(),
        "the layer's weight has a scale per channel"
    );
}
