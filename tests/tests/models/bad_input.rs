//! Bad input at the level of layers and models: a typed error that says what, where, and what would be right.

use approx_multiplier::evoapprox;
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, LayerRule, approx_layers, calibrate, convert};
use burn_approx::nn::conv::Conv2dConfig;
use burn_approx::nn::{Linear, LinearConfig};
use burn_approx::quantization::{CodeQuantizer, CodeRange, LayerQuantization, Observer, Operand};
use burn_approx::{ApproxError, Mode};

fn linear(device: &Device) -> Linear {
    LinearConfig::new(4, 2).init(device)
}

#[test]
fn a_layer_refuses_inputs_that_do_not_fit() {
    let device = crate::device();
    let error = linear(&device)
        .try_forward(Tensor::<2>::zeros([1, 3], &device))
        .unwrap_err();
    assert!(
        matches!(
            error,
            ApproxError::Shape {
                operator: "linear",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains('4'), "{error}");
    let conv = Conv2dConfig::new([2, 4], [3, 3]).init(&device);
    let channels = conv
        .try_forward(Tensor::zeros([1, 3, 8, 8], &device))
        .unwrap_err();
    assert!(
        matches!(
            channels,
            ApproxError::Shape {
                operator: "conv2d",
                ..
            }
        ),
        "{channels}"
    );
    let small = conv
        .try_forward(Tensor::zeros([1, 2, 2, 8], &device))
        .unwrap_err();
    assert!(matches!(small, ApproxError::Kernel(_)), "{small}");
}

#[test]
#[should_panic(expected = "the layer is not calibrated")]
fn forward_panics_with_the_errors_text() {
    let device = crate::device();
    let (layer, _) = convert(linear(&device), &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    layer.forward(Tensor::<2>::zeros([1, 4], &device));
}

#[test]
fn groups_that_do_not_divide_and_zeros_are_refused() {
    let device = crate::device();
    for config in [
        Conv2dConfig::new([6, 8], [3, 3]).with_groups(4),
        Conv2dConfig::new([4, 6], [3, 3]).with_groups(4),
        Conv2dConfig::new([4, 4], [3, 3]).with_groups(0),
        Conv2dConfig::new([4, 4], [0, 3]),
        Conv2dConfig::new([4, 4], [3, 3]).with_stride([1, 0]),
        Conv2dConfig::new([4, 4], [3, 3]).with_dilation([0, 1]),
    ] {
        assert!(
            matches!(config.try_init(&device), Err(ApproxError::Shape { .. })),
            "{config:?}"
        );
    }
}

#[test]
fn an_unknown_multiplier_names_its_neighbours() {
    let device = crate::device();
    let error = convert(linear(&device), &ApproxConfig::bundled("mul8s_1L2K")).unwrap_err();
    assert!(matches!(error, ApproxError::Multiplier(_)));
    assert!(error.to_string().contains("mul8s_1L2J"), "{error}");
}

#[test]
fn quantisation_must_fit_the_multiplier() {
    let device = crate::device();
    let signed = evoapprox::multiplier("mul8s_1L2J").unwrap();
    let with = |change: &dyn Fn(&mut LayerQuantization)| {
        let mut scheme = LayerQuantization::for_multiplier(&signed);
        change(&mut scheme);
        convert(
            linear(&device),
            &ApproxConfig::bundled("mul8s_1L2J").with_quantization(scheme),
        )
        .map(|_| ())
    };
    let codes = |low, high| CodeRange::new(low, high).unwrap();
    let unsigned = with(&|scheme| scheme.activation.codes = codes(0, 255)).unwrap_err();
    assert!(
        matches!(
            unsigned,
            ApproxError::CodesOutsideMultiplier {
                operand: Operand::Activation,
                ..
            }
        ),
        "{unsigned}"
    );
    let weight = with(&|scheme| scheme.weight.codes = codes(-129, 127)).unwrap_err();
    assert!(
        matches!(
            weight,
            ApproxError::CodesOutsideMultiplier {
                operand: Operand::Weight,
                ..
            }
        ),
        "{weight}"
    );
    let wide = with(&|scheme| scheme.weight.codes = codes(-65536, 65535)).unwrap_err();
    assert!(
        matches!(wide, ApproxError::UnsupportedBits { bits: 17 }),
        "{wide}"
    );
    for observer in [
        Observer::MovingAverage { momentum: 0.0 },
        Observer::MovingAverage { momentum: f32::NAN },
        Observer::Percentile { percent: 50.0 },
        Observer::Percentile { percent: 101.0 },
    ] {
        let error = with(&|scheme| scheme.activation.observer = observer).unwrap_err();
        assert!(
            matches!(
                error,
                ApproxError::InvalidObserver {
                    operand: Operand::Activation,
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(with(&|scheme| scheme.activation.codes = codes(0, 127)).is_ok());
    assert!(
        CodeRange::new(0, 0).is_err()
            && CodeRange::new(1, 3).is_err()
            && CodeRange::new(-3, -1).is_err()
    );
}

#[test]
fn quantisers_need_positive_scales_and_zero_points_that_are_codes() {
    let device = crate::device();
    let codes = CodeRange::new(-8, 7).unwrap();
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(
            CodeQuantizer::per_tensor(scale, 0, codes, &device).is_err(),
            "scale {scale}"
        );
    }
    assert!(CodeQuantizer::per_tensor(1.0, 8, codes, &device).is_err());
    assert!(CodeQuantizer::per_channel(&[1.0, 2.0], &[0], codes, 0, &device).is_err());
    assert!(CodeQuantizer::per_channel(&[], &[], codes, 0, &device).is_err());
}

#[test]
fn an_htp_model_must_be_one() {
    let device = crate::device();
    let mut config = ApproxConfig::bundled("mul8s_1L2J");
    config.htp_model = Some("mul8s_1KVA".parse().unwrap());
    let error = convert(linear(&device), &config).unwrap_err();
    assert!(matches!(error, ApproxError::NotHtp { .. }), "{error}");
}

#[test]
fn a_nan_never_becomes_a_number() {
    let device = crate::device();
    let (layer, _) = convert(linear(&device), &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    let clean = Tensor::<2>::ones([2, 4], &device);
    calibrate(&layer, |layer| {
        layer.forward(clean.clone());
    })
    .unwrap();
    for mode in [Mode::Approximate, Mode::Quantized] {
        approx_layers(&layer).set_mode(mode).unwrap();
        let outputs = crate::networks::values(layer.forward(clean.clone() * f32::NAN));
        assert!(
            outputs.iter().all(|output| output.is_nan()),
            "{mode}: {outputs:?}"
        );
    }
}

#[test]
fn excluding_every_layer_leaves_nothing_to_save() {
    let device = crate::device();
    let config =
        ApproxConfig::bundled("mul8s_1L2J").with_rule(LayerRule::default().with_exclude(true));
    let (layer, report) = convert(linear(&device), &config).unwrap();
    assert!(report.converted.is_empty());
    assert!(matches!(
        burn_approx::configuration(&layer),
        Err(ApproxError::NothingToConvert { .. })
    ));
}
