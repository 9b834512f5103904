//! Observers: the ranges they find, when they look, and that they remember a NaN.

use approx_multiplier::evoapprox;
use burn::prelude::*;
use burn_approx::ApproxError;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::nn::{Linear, LinearConfig};
use burn_approx::quantization::{
    CodeRange, Granularity, LayerQuantization, Observation, Observer, Operand, Symmetry,
};
use rstest::rstest;

use crate::networks::values;

fn layer(device: &Device, change: impl FnOnce(&mut LayerQuantization)) -> Linear {
    device.seed(4);
    let multiplier = evoapprox::multiplier("mul8s_1KV6").unwrap();
    let mut scheme = LayerQuantization::for_multiplier(&multiplier);
    change(&mut scheme);
    let config = ApproxConfig::for_multiplier(&multiplier).with_quantization(scheme);
    convert(LinearConfig::new(2, 3).init(device), &config)
        .unwrap()
        .0
}

fn batch(values: [f32; 4], device: &Device) -> Tensor<2> {
    Tensor::<1>::from_floats(values, device).reshape([2, 2])
}

fn scale(layer: &Linear) -> f32 {
    approx_layers(layer)[0]
        .activation_quantizer()
        .unwrap()
        .scales()[0]
}

#[test]
fn min_max_keeps_the_extremes_and_the_tighter_side_decides() {
    let device = crate::device();
    let layer = layer(&device, |scheme| {
        scheme.activation.observer = Observer::MinMax
    });
    calibrate(&layer, |layer| {
        layer.forward(batch([-1.0, 0.5, 2.0, 0.0], &device));
        layer.forward(batch([-12.8, 0.5, 1.0, 0.0], &device));
    })
    .unwrap();
    assert_eq!(scale(&layer), -12.8f32 / -128.0);
}

#[test]
fn an_affine_range_always_contains_zero() {
    let device = crate::device();
    let layer = layer(&device, |scheme| {
        scheme.activation.observer = Observer::MinMax;
        scheme.activation.symmetry = Symmetry::Affine;
    });
    calibrate(&layer, |layer| {
        layer.forward(batch([10.2, 20.4, 25.5, 12.0], &device));
    })
    .unwrap();
    let quantizer = approx_layers(&layer)[0].activation_quantizer().unwrap();
    assert_eq!(quantizer.scales(), [25.5f32 / 255.0]);
    assert_eq!(quantizer.zero_points(), [-128]);
}

#[test]
fn the_moving_average_weighs_the_newest_batch_with_its_momentum() {
    let device = crate::device();
    let layer = layer(&device, |scheme| {
        scheme.activation.observer = Observer::MovingAverage { momentum: 0.25 };
    });
    calibrate(&layer, |layer| {
        layer.forward(batch([0.0, 127.0, 0.0, 0.0], &device));
        layer.forward(batch([0.0, 254.0, 0.0, 0.0], &device));
    })
    .unwrap();
    assert_eq!(scale(&layer), (127.0 * 0.75 + 254.0 * 0.25) / 127.0);
}

#[test]
fn least_squares_ignores_an_outlier_that_min_max_follows() {
    let device = crate::device();
    let run = |observer, codes: CodeRange| {
        let layer = layer(&device, |scheme| {
            scheme.activation.observer = observer;
            scheme.activation.codes = codes;
        });
        device.seed(8);
        let normal = burn::tensor::Distribution::Normal(0.0, 1.0);
        let x = Tensor::<2>::random([4096, 2], normal, &device);
        calibrate(&layer, |layer| {
            layer.forward(x);
            layer.forward(batch([12.0, 0.0, 0.0, 0.0], &device));
        })
        .unwrap();
        scale(&layer)
    };
    // With few codes, rounding everything coarsely costs more than clipping one value.
    let few = CodeRange::new(-8, 7).unwrap();
    let least_squares = run(Observer::LeastSquares, few);
    assert!(
        least_squares < 0.5 * run(Observer::MinMax, few),
        "{least_squares}"
    );
    let percentile = run(
        Observer::Percentile { percent: 99.0 },
        CodeRange::new(-128, 127).unwrap(),
    );
    assert!((2.4..2.75).contains(&(percentile * 127.0)), "{percentile}");
}

#[rstest]
#[case(Observer::MinMax)]
#[case(Observer::MovingAverage { momentum: 0.1 })]
#[case(Observer::LeastSquares)]
#[case(Observer::Percentile { percent: 99.9 })]
fn a_nan_or_infinity_is_remembered_and_reported(#[case] observer: Observer) {
    let device = crate::device();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let layer = layer(&device, |scheme| scheme.activation.observer = observer);
        let error = calibrate(&layer, |layer| {
            layer.forward(batch([1.0, 2.0, 3.0, 4.0], &device));
            layer.forward(batch([1.0, bad, 3.0, 4.0], &device));
            layer.forward(batch([1.0, 2.0, 3.0, 4.0], &device));
        })
        .unwrap_err();
        assert!(
            matches!(
                &error,
                ApproxError::NotFinite {
                    operand: Operand::Activation,
                    ..
                }
            ),
            "{error}"
        );
        let x = batch([1.0, 2.0, 3.0, 4.0], &device);
        assert!(
            layer.try_forward(x.clone()).is_err(),
            "the layer asks for another calibration"
        );
        calibrate(&layer, |layer| {
            layer.forward(x.clone());
        })
        .unwrap();
        assert!(values(layer.forward(x)).iter().all(|y| y.is_finite()));
    }
}

#[test]
fn a_nan_in_the_weight_is_reported_as_such() {
    let device = crate::device();
    let mut layer = layer(&device, |_| {});
    layer.weight = layer.weight.map(|weight| weight * f32::NAN);
    let error = calibrate(&layer, |layer| {
        layer.forward(batch([1.0; 4], &device));
    })
    .unwrap_err();
    assert!(
        matches!(
            error,
            ApproxError::NotFinite {
                operand: Operand::Weight,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_calibration_without_batches_is_an_error() {
    let layer = layer(&crate::device(), |_| {});
    assert!(matches!(
        calibrate(&layer, |_| {}),
        Err(ApproxError::NotCalibrated { .. })
    ));
}

#[rstest]
#[case(Granularity::PerTensor, 1)]
#[case(Granularity::PerChannel, 3)]
fn weights_follow_their_current_values_unless_frozen(
    #[case] granularity: Granularity,
    #[case] scales: usize,
) {
    let device = crate::device();
    for observer in [Observer::MinMax, Observer::LeastSquares] {
        let mut layer = layer(&device, |scheme| {
            scheme.granularity = granularity;
            scheme.weight.observer = observer;
        });
        calibrate(&layer, |layer| {
            layer.forward(batch([1.0; 4], &device));
        })
        .unwrap();
        let weight_scales =
            |layer: &Linear| approx_layers(layer)[0].weight_quantizer().unwrap().scales();
        let before = weight_scales(&layer);
        assert_eq!(before.len(), scales);
        layer.weight = layer.weight.map(|weight| weight * 2.0);
        layer.forward(batch([1.0; 4], &device));
        let doubled: Vec<f32> = before.iter().map(|scale| scale * 2.0).collect();
        assert_eq!(weight_scales(&layer), doubled);
        approx_layers(&layer)[0]
            .set_observation(Observation::Frozen, Observation::Frozen)
            .unwrap();
        layer.weight = layer.weight.map(|weight| weight * 2.0);
        layer.forward(batch([1.0; 4], &device));
        assert_eq!(weight_scales(&layer), doubled);
    }
}

#[test]
fn weight_scales_belong_to_their_channels() {
    let device = crate::device();
    for observer in [Observer::MinMax, Observer::Percentile { percent: 100.0 }] {
        let mut layer = layer(&device, |scheme| scheme.weight.observer = observer);
        let weight = Tensor::<2>::from_floats([[1.0, 0.25, -8.0], [0.5, -0.5, 4.0]], &device);
        layer.weight = layer.weight.map(|_| weight);
        calibrate(&layer, |layer| {
            layer.forward(batch([1.0; 4], &device));
        })
        .unwrap();
        let scales = approx_layers(&layer)[0]
            .weight_quantizer()
            .unwrap()
            .scales();
        for (scale, largest) in scales.iter().zip([1.0, 0.5, 8.0]) {
            let expected = largest / 127.0;
            assert!(
                (scale - expected).abs() <= 0.02 * expected,
                "{scales:?} with {observer:?}"
            );
        }
    }
}

#[test]
fn observing_on_every_pass_needs_no_calibration() {
    let device = crate::device();
    let layer = layer(&device, |scheme| {
        scheme.activation.observer = Observer::MinMax;
        scheme.activation.observation = Observation::Always;
    });
    layer.forward(batch([0.0, 127.0, 0.0, 0.0], &device));
    assert_eq!(scale(&layer), 1.0);
    layer.forward(batch([0.0, 254.0, 0.0, 0.0], &device));
    assert_eq!(scale(&layer), 2.0);
}

#[test]
fn a_tensor_of_zeros_has_a_scale() {
    let device = crate::device();
    for observer in [Observer::MinMax, Observer::LeastSquares] {
        let layer = layer(&device, |scheme| scheme.activation.observer = observer);
        calibrate(&layer, |layer| {
            layer.forward(batch([0.0; 4], &device));
        })
        .unwrap();
        assert_eq!(scale(&layer), 1.0);
        assert!(
            values(layer.forward(batch([0.0; 4], &device)))
                .iter()
                .all(|y| y.is_finite())
        );
    }
}
