//! A transformer of drop-in layers and one captured from Burn's: the same layers, numbers, settings and files, products
//! of activations included.

use burn::nn::transformer as burns;
use burn::prelude::*;
use burn_approx::convert::{
    ApproxConfig, CaptureOptions, GraphModel, LayerRule, approx_layers, calibrate, convert,
};
use burn_approx::nn::LayerKind;
use burn_approx::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn_approx::{Mode, configuration, load, save};

use crate::models::{tensor, transformer_encoder, values};

type Captured = GraphModel<burns::TransformerEncoder, Tensor<3>, Tensor<2>>;

fn tokens(rows: usize) -> Tensor<3> {
    (transformer_encoder().input)(rows, &crate::device())
}

fn forward(encoder: &TransformerEncoder, tokens: Tensor<3>) -> Tensor<2> {
    let encoded = encoder.forward(TransformerEncoderInput::new(tokens));
    encoded.mean_dim(1).squeeze_dim(1)
}

/// Both, with the same weights, unconverted.
fn both() -> (TransformerEncoder, Captured) {
    let subject = transformer_encoder();
    let plain = subject.model(&crate::device());
    let ours = TransformerEncoder::from(plain.clone()).with_products_of_activations(true);
    let options = CaptureOptions::default().with_products_of_activations(true);
    let captured = options.capture(&plain, tokens(2), subject.forward).unwrap();
    (ours, captured)
}

#[test]
fn layers_numbers_and_settings_are_the_same() {
    let (ours, captured) = both();
    assert_eq!(
        values(captured.forward(tokens(4))),
        values(forward(&ours, tokens(4)))
    );
    let config = ApproxConfig::bundled("mul8s_1KVA")
        .with_rule(LayerRule::path("layers.0.mha.matmul.2").with_mode(Mode::Quantized))
        .with_rule(LayerRule::path("layers.1.pwff.*").with_mode(Mode::Baseline))
        .with_exclude_first(true);
    let (ours, ours_report) = convert(ours, &config).unwrap();
    let (captured, captured_report) = convert(captured, &config).unwrap();
    assert_eq!(captured_report, ours_report);
    calibrate(&ours, |model| drop(forward(model, tokens(16)))).unwrap();
    calibrate(&captured, |model| drop(model.forward(tokens(16)))).unwrap();
    assert_eq!(
        configuration(&captured).unwrap(),
        configuration(&ours).unwrap()
    );
    for mode in [
        None,
        Some(Mode::Approximate),
        Some(Mode::Quantized),
        Some(Mode::Baseline),
    ] {
        if let Some(mode) = mode {
            approx_layers(&ours).set_mode(mode).unwrap();
            approx_layers(&captured).set_mode(mode).unwrap();
        }
        assert_eq!(
            values(captured.forward(tokens(5))),
            values(forward(&ours, tokens(5))),
            "{mode:?}"
        );
    }
    let (ours, captured) = (approx_layers(&ours), approx_layers(&captured));
    assert_eq!(ours.len(), captured.len());
    for (ours, captured) in ours.iter().zip(&captured) {
        assert_eq!(captured.path(), ours.path());
        assert_eq!(captured.shape(), ours.shape());
        assert_eq!(captured.fan_in(), ours.fan_in());
        assert_eq!(captured.multiplications(), ours.multiplications());
    }
    let products = ours
        .iter()
        .filter(|layer| layer.kind() == LayerKind::Matmul);
    assert_eq!(products.count(), 4);
    assert_eq!(captured.to_string(), ours.to_string());
}

#[test]
fn a_model_saved_by_one_loads_into_the_other() {
    let (ours, captured) = both();
    let (ours, _) = convert(ours, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    calibrate(&ours, |model| drop(forward(model, tokens(16)))).unwrap();
    let expected = values(forward(&ours, tokens(5)));
    let directory = tempfile::tempdir().unwrap();
    save(&ours, directory.path()).unwrap();
    let captured = load(captured, directory.path()).unwrap();
    assert_eq!(values(captured.forward(tokens(5))), expected);
    save(&captured, directory.path()).unwrap();
    let fresh = TransformerEncoderConfig::new(16, 32, 2, 2).init(&crate::device());
    let fresh = fresh.with_products_of_activations(true);
    let ours = load(fresh, directory.path()).unwrap();
    assert_eq!(values(forward(&ours, tokens(5))), expected);
}

/// Training takes the same steps: gradients of both are equal.
#[test]
fn gradients_are_the_same() {
    let device = crate::device().autodiff();
    let subject = transformer_encoder();
    // Without dropout, as captured.
    let plain = (subject.model(&device)).freeze().set_require_grad(true);
    let ours = TransformerEncoder::from(plain.clone()).with_products_of_activations(true);
    let options = CaptureOptions::default().with_products_of_activations(true);
    let captured = options.capture(&plain, tokens(2), subject.forward).unwrap();
    let config = ApproxConfig::bundled("mul8s_1L2J");
    let (ours, _) = convert(ours, &config).unwrap();
    let (captured, _) = convert(captured, &config).unwrap();
    let input = || tensor([4, 6, 16], 8, &device);
    calibrate(&ours, |model| drop(forward(model, input()))).unwrap();
    calibrate(&captured, |model| drop(model.forward(input()))).unwrap();
    let loss = |output: Tensor<2>| output.square().mean();
    let found = loss(forward(&ours, input())).backward();
    let expected = loss(captured.forward(input())).backward();
    let captured = captured.into_original();
    for (ours, captured) in ours.layers.iter().zip(&captured.layers) {
        for (ours, captured) in [
            (&ours.mha.query.weight, &captured.mha.query.weight),
            (&ours.mha.key.weight, &captured.mha.key.weight),
            (&ours.mha.value.weight, &captured.mha.value.weight),
            (
                &ours.pwff.linear_outer.weight,
                &captured.pwff.linear_outer.weight,
            ),
        ] {
            let found = values(ours.val().grad(&found).expect("it is trained"));
            let expected = values(captured.val().grad(&expected).expect("it is trained"));
            assert!(found.iter().any(|value| *value != 0.0));
            let largest = (expected.iter()).fold(0.0f32, |all, value| all.max(value.abs()));
            for (found, expected) in found.iter().zip(&expected) {
                let difference = (found - expected).abs();
                assert!(difference <= 1e-5 * largest, "{found} for {expected}");
            }
        }
    }
}
