//! The integer accumulators of single layers of a network.

use approx_multiplier::evoapprox;
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, accumulators, approx_layers, calibrate, convert};
use burn_approx::nn::conv::Conv2dConfig;
use burn_approx::{ApproxError, Mode, PreparedMultiplier, ops};
use burn_approx_tests::random::{Random, Size, layers};
use burn_approx_tests::reference;
use proptest::prelude::*;

use crate::networks::{Perceptron, rows, values};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Convolutions of lines and volumes and transposed ones, as the plain loop sums them, in the shape of the output.
    #[test]
    fn they_are_those_of_the_plain_loop(layer in layers(Size::SMALL), seed in any::<u64>()) {
        let (a, w) = (layer.activation.format, layer.weight.format);
        let multiplier = Random::new(seed).multiplier(a, w, -40_000, 70_000);
        let codes = layer.codes();
        let expected = reference::accumulators(
            &layer.geometry,
            &codes.activation,
            &codes.weight,
            codes.activation_zero,
            |a, w| multiplier.product(a, w).expect("codes of its formats"),
        );
        let prepared = PreparedMultiplier::new(multiplier.clone());
        if let Some((shape, found)) = layer.tapped_accumulators(&prepared, &crate::device()) {
            prop_assert_eq!(shape, layer.geometry.output_shape());
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_linear_layer_leaves_those_of_its_codes_and_computes_what_it_did() {
    let device = crate::device();
    let (model, _) = convert(
        Perceptron::new(&device),
        &ApproxConfig::bundled("mul8s_1L2J"),
    )
    .unwrap();
    calibrate(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    let expected = values(model.forward(rows(&device)));
    let handles = approx_layers(&model);
    let hidden = handles.get("hidden").unwrap();
    for (mode, multiplier) in [
        (Mode::Approximate, "mul8s_1L2J"),
        (Mode::Quantized, "exact"),
    ] {
        hidden.set_mode(mode).unwrap();
        let mut output = Vec::new();
        let found = accumulators(&model, "hidden", |model| {
            for _ in 0..2 {
                output = values(model.forward(rows(&device)));
            }
        })
        .unwrap();
        assert_eq!(found.len(), 2, "one for each pass");
        assert_eq!(found[0], found[1]);
        let multiplier = match multiplier {
            "exact" => approx_multiplier::Multiplier::exact(
                approx_multiplier::OperandFormat::INT8,
                approx_multiplier::OperandFormat::INT8,
            ),
            name => evoapprox::multiplier(name).unwrap(),
        };
        let sums = ops::matmul_accumulators(
            hidden.activation_quantizer().unwrap().codes(rows(&device)),
            hidden
                .weight_quantizer()
                .unwrap()
                .codes(model.hidden.weight.val()),
            &PreparedMultiplier::new(multiplier),
        )
        .unwrap();
        found[0].assert_eq(&sums.into_data().convert::<i64>(), true);
        if mode == Mode::Approximate {
            assert_eq!(output, expected);
        }
    }
    // Once nobody wants them, passes leave nothing.
    assert_eq!(accumulators(&model, "hidden", |_| {}).unwrap(), []);
}

#[test]
fn a_padded_convolution_sums_the_code_of_zero_at_its_border() {
    let device = crate::device();
    let layer = Conv2dConfig::new([2, 3], [3, 3])
        .with_padding(burn::nn::PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&device);
    let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1KVA")).unwrap();
    let x = Tensor::<4>::random(
        [2, 2, 5, 5],
        burn::tensor::Distribution::Uniform(-1.0, 3.0),
        &device,
    );
    calibrate(&layer, |layer| drop(layer.forward(x.clone()))).unwrap();
    let found = accumulators(&layer, "", |layer| drop(layer.forward(x.clone()))).unwrap();
    let handle = &approx_layers(&layer)[0];
    let quantizer = handle.activation_quantizer().unwrap();
    let options = burn::tensor::ops::ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    let sums = ops::conv2d_accumulators(
        quantizer.codes(x),
        handle.weight_quantizer().unwrap().codes(layer.weight.val()),
        quantizer.zero_points()[0],
        &PreparedMultiplier::new(evoapprox::multiplier("mul8s_1KVA").unwrap()),
        options,
    )
    .unwrap();
    assert_eq!(found.len(), 1);
    found[0].assert_eq(&sums.into_data().convert::<i64>(), true);
}

#[test]
fn what_has_none_is_named() {
    let device = crate::device();
    let model = Perceptron::new(&device);
    let refused = accumulators(&model, "hiden", |_| {}).unwrap_err();
    assert!(matches!(&refused, ApproxError::UnknownLayer { path, .. } if path == "hiden"));
    assert!(refused.to_string().contains("hidden"), "{refused}");
    let refused = accumulators(&model, "hidden", |_| {}).unwrap_err();
    assert!(matches!(refused, ApproxError::NotConverted { .. }));
    // The sums of an HTP model are real numbers.
    let htp = ApproxConfig::new("htp:mul8s_1L2J".parse().unwrap());
    let (model, _) = convert(model, &htp).unwrap();
    calibrate(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    let refused = accumulators(&model, "hidden", |model| drop(model.forward(rows(&device))));
    assert!(refused.unwrap_err().to_string().contains("HTP"));
}
