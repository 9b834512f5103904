//! The choice of gradient in models: configured, listed, changed, saved, and only where the multiplier is simulated.

use approx_multiplier::{GradientRule, GradientTables, MultiplierError, evoapprox};
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, LayerRule, approx_layers, calibrate, convert};
use burn_approx::nn::LayerKind;
use burn_approx::{ApproxError, Mode, configuration, load, save};

use crate::networks::{Containers, Perceptron, images, rows, values};

const DIFFERENCE: GradientRule = GradientRule::Difference { half_window: 3 };

/// Convolutions by differences, linear layers by regression, one as it comes.
fn config() -> ApproxConfig {
    ApproxConfig::bundled("mul8s_1L2N")
        .with_gradient(DIFFERENCE)
        .with_rule(LayerRule::kind(LayerKind::Linear).with_gradient(GradientRule::LinearRegression))
        .with_rule(LayerRule::path("stem").with_gradient(GradientRule::StraightThrough))
}

#[test]
fn a_gradient_is_configured_listed_and_saved() {
    let text = serde_json::to_string(&config()).unwrap();
    assert!(
        text.contains(r#""gradient":"difference:half_window=3""#),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<ApproxConfig>(&text).unwrap(),
        config()
    );
    let older = r#"{"multiplier": "mul8s_1L2N"}"#;
    let older: ApproxConfig = serde_json::from_str(older).unwrap();
    assert_eq!(older.gradient, GradientRule::StraightThrough);

    let device = crate::device();
    let (model, _) = convert(Containers::new(&device), &config()).unwrap();
    calibrate(&model, |model| drop(model.forward(images(&device)))).unwrap();
    let layers = approx_layers(&model);
    for layer in &layers {
        let expected = match (layer.path(), layer.kind()) {
            ("stem", _) => GradientRule::StraightThrough,
            (_, LayerKind::Linear) => GradientRule::LinearRegression,
            _ => DIFFERENCE,
        };
        assert_eq!(
            layer.settings().unwrap().gradient,
            expected,
            "{}",
            layer.path()
        );
    }
    let table = layers.to_string();
    for rule in [
        "straight_through",
        "difference:half_window=3",
        "linear_regression",
    ] {
        assert!(table.contains(rule), "{table}");
    }

    let directory = tempfile::tempdir().unwrap();
    save(&model, directory.path()).unwrap();
    let loaded = load(Containers::new(&device), directory.path()).unwrap();
    assert_eq!(
        configuration(&loaded).unwrap(),
        configuration(&model).unwrap()
    );
    assert_eq!(
        approx_layers(&loaded)
            .get("pair.0")
            .unwrap()
            .settings()
            .unwrap()
            .gradient,
        DIFFERENCE
    );
}

/// Tables of one's own go with the multiplier, into the configuration and a saved model; without them `custom` is refused.
#[test]
fn derivatives_of_ones_own_are_saved_with_their_multiplier() {
    let device = crate::device();
    let multiplier = evoapprox::multiplier("mul8s_1L2N").unwrap();
    let config = ApproxConfig::for_multiplier(&multiplier).with_gradient(GradientRule::Custom);
    let error = convert(Containers::new(&device), &config).unwrap_err();
    assert!(matches!(
        error,
        ApproxError::Multiplier(MultiplierError::NoGradientTables { .. })
    ));

    let format = multiplier.activation();
    let tables = GradientTables::from_fn(
        format,
        format,
        |_, b| 2.0 * f64::from(b),
        |a, _| f64::from(a),
    );
    let multiplier = multiplier.with_gradient_tables(tables.unwrap()).unwrap();
    let config = ApproxConfig::for_multiplier(&multiplier).with_gradient(GradientRule::Custom);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ApproxConfig>(&text).unwrap(), config);
    let (model, _) = convert(Containers::new(&device), &config).unwrap();
    calibrate(&model, |model| drop(model.forward(images(&device)))).unwrap();
    let directory = tempfile::tempdir().unwrap();
    save(&model, directory.path()).unwrap();
    let loaded = load(Containers::new(&device), directory.path()).unwrap();
    for layer in &approx_layers(&loaded) {
        let settings = layer.settings().unwrap();
        assert_eq!(settings.gradient, GradientRule::Custom);
        assert_eq!(settings.multiplier(), &multiplier);
    }
}

/// The input's gradient of a perceptron.
fn input_gradient(model: &Perceptron, device: &Device) -> Vec<f32> {
    let input = rows(device).require_grad();
    let gradients = model.forward(input.clone()).square().sum().backward();
    values(input.grad(&gradients).unwrap())
}

/// Where products are exact, so is the gradient; a change of the setting is a change of the next step's gradient alone.
#[test]
fn a_gradient_is_that_of_simulated_products_alone() {
    let device = crate::device().autodiff();
    let config = ApproxConfig::bundled("mul8s_1L2N");
    let (model, _) = convert(Perceptron::new(&device), &config).unwrap();
    let input = || rows(&device);
    calibrate(&model, |model| drop(model.forward(input()))).unwrap();
    let layers = approx_layers(&model);
    let by_rules = |mode| {
        layers.set_mode(mode).unwrap();
        let rules = [
            GradientRule::StraightThrough,
            DIFFERENCE,
            GradientRule::LinearRegression,
        ];
        rules.map(|rule| {
            for layer in &layers {
                layer.set_gradient(rule).unwrap();
            }
            (
                values(model.forward(input())),
                input_gradient(&model, &device),
            )
        })
    };
    for mode in [Mode::Quantized, Mode::Baseline] {
        let [straight_through, difference, regression] = by_rules(mode);
        assert_eq!(difference, straight_through, "{mode}");
        assert_eq!(regression, straight_through, "{mode}");
    }
    let [straight_through, difference, regression] = by_rules(Mode::Approximate);
    assert_eq!(difference.0, straight_through.0);
    assert_eq!(regression.0, straight_through.0);
    assert_ne!(difference.1, straight_through.1);
    assert_ne!(regression.1, difference.1);
    assert_eq!(by_rules(Mode::Approximate)[1], difference);
}

/// A window that a multiplier has no codes for is refused when it is set, and when the multiplier is.
#[test]
fn a_window_too_wide_is_refused_and_changes_nothing() {
    let device = crate::device();
    let wide = GradientRule::Difference { half_window: 128 };
    let refused = |error: ApproxError| {
        let is_typed = matches!(
            error,
            ApproxError::Multiplier(MultiplierError::HalfWindowTooLarge {
                half_window: 128,
                ..
            })
        );
        assert!(is_typed, "{error:?}");
        assert!(error.to_string().contains("at most 127"), "{error}");
    };
    let config = ApproxConfig::bundled("mul8s_1L2N");
    let wrong = config.clone().with_gradient(wide);
    refused(convert(Perceptron::new(&device), &wrong).unwrap_err());
    let (model, _) = convert(Perceptron::new(&device), &config).unwrap();
    let layers = approx_layers(&model);
    refused(layers[0].set_gradient(wide).unwrap_err());
    assert_eq!(
        layers[0].settings().unwrap().gradient,
        GradientRule::StraightThrough
    );
}
