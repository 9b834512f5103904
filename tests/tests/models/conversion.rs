//! The conversion pass: which layers it switches, what it leaves alone, and what a second pass keeps.

use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, LayerRule, approx_layers, calibrate, convert};
use burn_approx::nn::LayerKind;
use burn_approx::quantization::{CodeRange, LayerQuantization, Observer, Symmetry};
use burn_approx::{ApproxError, Mode};

use crate::networks::{Containers, PATHS, Perceptron, images, rows, values};

fn config() -> ApproxConfig {
    ApproxConfig::bundled("mul8s_1KVP")
}

fn calibrated(model: Containers, config: &ApproxConfig) -> Containers {
    let images = images(&model.devices()[0]);
    let (model, _) = convert(model, config).unwrap();
    calibrate(&model, |model| {
        model.forward(images);
    })
    .unwrap();
    model
}

#[test]
fn every_container_is_searched_and_plain_layers_are_reported() {
    let device = crate::device();
    let model = Containers::new(&device);
    let before = values(model.forward(images(&device)));
    let (model, report) = convert(model, &config()).unwrap();
    assert_eq!(report.converted, PATHS);
    assert_eq!(report.plain, ["plain"]);
    assert!(report.excluded.is_empty());
    let layers = approx_layers(&model);
    assert_eq!(
        layers.iter().map(|layer| layer.path()).collect::<Vec<_>>(),
        PATHS
    );
    layers.set_mode(Mode::Baseline).unwrap();
    assert_eq!(
        values(model.forward(images(&device))),
        before,
        "weights are untouched"
    );
}

#[test]
fn an_unconverted_drop_in_is_burns_layer_bit_for_bit() {
    let device = crate::device();
    let plain = crate::networks::PlainPerceptron::new(&device);
    let ours = Perceptron::new(&device);
    assert_eq!(
        values(ours.forward(rows(&device))),
        values(plain.forward(rows(&device)))
    );
    assert_eq!(ours.num_params(), plain.num_params());
}

#[test]
fn approximation_changes_the_output_and_the_plain_layer_stays_float() {
    let device = crate::device();
    let model = Containers::new(&device);
    let float = values(model.forward(images(&device)));
    let model = calibrated(model, &config());
    let approximate = values(model.forward(images(&device)));
    approx_layers(&model).set_mode(Mode::Quantized).unwrap();
    let quantized = values(model.forward(images(&device)));
    assert_ne!(float, approximate);
    assert_ne!(quantized, approximate);
    assert_ne!(float, quantized);
}

#[test]
fn rules_select_by_path_and_kind_and_the_last_one_wins() {
    let device = crate::device();
    let config = config()
        .with_rule(LayerRule::kind(LayerKind::Linear).with_mode(Mode::Quantized))
        .with_rule(LayerRule::path("blocks.*.conv").with_mode(Mode::Baseline))
        .with_rule(LayerRule::path("blocks.1.**").with_mode(Mode::Noise))
        .with_rule(LayerRule::path("pair.*").with_exclude(true))
        .with_rule(LayerRule::path("pair.1").with_exclude(false));
    let (model, report) = convert(Containers::new(&device), &config).unwrap();
    assert_eq!(report.excluded, ["pair.0"]);
    let modes: Vec<_> = approx_layers(&model)
        .iter()
        .map(|layer| layer.settings().map(|s| s.mode))
        .collect();
    use Mode::{Approximate, Baseline, Noise, Quantized};
    assert_eq!(
        modes,
        [
            Some(Approximate),
            Some(Baseline),
            Some(Approximate),
            Some(Noise),
            None,
            Some(Approximate),
            Some(Quantized),
            Some(Quantized)
        ]
    );
}

#[test]
fn first_and_last_layers_are_excluded_on_request() {
    let device = crate::device();
    let config = config().with_exclude_first(true).with_exclude_last(true);
    let (_, report) = convert(Containers::new(&device), &config).unwrap();
    assert_eq!(report.excluded, [PATHS[0], PATHS[7]]);
}

#[test]
fn a_pattern_that_matches_nothing_is_an_error_and_changes_nothing() {
    let device = crate::device();
    let model = Containers::new(&device);
    let bad = config().with_rule(LayerRule::path("blocks.*.missing").with_exclude(true));
    let error = convert(model.clone(), &bad).unwrap_err();
    assert!(
        matches!(&error, ApproxError::PatternMatchesNothing { pattern, layers }
            if pattern == "blocks.*.missing" && layers.len() == 8),
        "{error}"
    );
    assert!(error.to_string().contains("blocks.0.conv"));
    assert!(
        approx_layers(&model)
            .iter()
            .all(|layer| !layer.is_converted())
    );
    // A `*` does not cross a dot.
    let shallow = config().with_rule(LayerRule::path("*.conv").with_exclude(true));
    assert!(convert(model.clone(), &shallow).is_err());
    let broken = config().with_rule(LayerRule::path("blocks.[").with_exclude(true));
    assert!(matches!(
        convert(model, &broken).unwrap_err(),
        ApproxError::InvalidPattern { .. }
    ));
}

#[test]
fn converting_a_clone_leaves_the_original_as_it_was() {
    let device = crate::device();
    let original = Containers::new(&device);
    let before = values(original.forward(images(&device)));
    let converted = calibrated(original.clone(), &config());
    assert!(
        approx_layers(&original)
            .iter()
            .all(|layer| !layer.is_converted())
    );
    assert_eq!(values(original.forward(images(&device))), before);

    let copy = converted.clone();
    let approximate = values(converted.forward(images(&device)));
    approx_layers(&copy).set_mode(Mode::Baseline).unwrap();
    calibrate(&copy, |copy| {
        copy.forward(images(&device) * 50.0);
    })
    .unwrap();
    assert_eq!(values(converted.forward(images(&device))), approximate);
    assert_eq!(values(copy.forward(images(&device))), before);
}

#[test]
fn a_second_pass_changes_settings_and_keeps_the_calibration() {
    let device = crate::device();
    let model = calibrated(Containers::new(&device), &config());
    let scale = |model: &Containers| {
        let layers = approx_layers(model);
        layers
            .iter()
            .map(|l| l.activation_quantizer().unwrap().scales()[0])
            .collect::<Vec<_>>()
    };
    let before = scale(&model);
    let (model, _) = convert(
        model,
        &ApproxConfig::bundled("mul8s_1L2J").with_mode(Mode::Quantized),
    )
    .unwrap();
    assert_eq!(scale(&model), before);
    let layers = approx_layers(&model);
    assert!(layers.iter().all(|layer| layer.is_calibrated()));
    let settings = layers[0].settings().unwrap();
    assert_eq!(settings.multiplier().name(), "mul8s_1L2J");
    assert_eq!(settings.mode, Mode::Quantized);

    // Other codes: the scale is derived again from what was observed. Half the codes, about twice the step.
    let mut scheme = LayerQuantization::for_multiplier(settings.multiplier());
    scheme.activation.observer = Observer::Percentile { percent: 100.0 };
    let (model, _) = convert(model, &config().with_quantization(scheme.clone())).unwrap();
    let wide = scale(&model);
    scheme.activation.codes = CodeRange::new(-64, 63).unwrap();
    let (model, _) = convert(model, &config().with_quantization(scheme.clone())).unwrap();
    for (narrow, wide) in scale(&model).iter().zip(wide) {
        assert!(
            (narrow / wide - 2.0).abs() < 0.02,
            "{narrow} against {wide}"
        );
    }
    // Another kind of observer has seen nothing yet.
    scheme.activation.observer = Observer::MinMax;
    let (model, _) = convert(model, &config().with_quantization(scheme)).unwrap();
    assert!(
        approx_layers(&model)
            .iter()
            .all(|layer| !layer.is_calibrated())
    );
}

#[test]
fn a_layer_that_a_second_pass_excludes_is_float_again() {
    let device = crate::device();
    let model = Containers::new(&device);
    let before = values(model.forward(images(&device)));
    let model = calibrated(model, &config());
    let (model, report) = convert(
        model,
        &config().with_rule(LayerRule::path("**").with_exclude(true)),
    )
    .unwrap();
    assert_eq!(report.excluded, PATHS);
    assert_eq!(values(model.forward(images(&device))), before);
}

#[test]
fn a_model_without_drop_ins_cannot_be_converted() {
    let plain = crate::networks::PlainPerceptron::new(&crate::device());
    let error = convert(plain, &config()).unwrap_err();
    assert!(
        matches!(&error, ApproxError::NothingToConvert { plain } if plain == &["hidden", "output"]),
        "{error}"
    );
}

#[test]
fn the_configuration_is_written_by_hand_as_json() {
    let text = r#"{
        "multiplier": "mul8s_1L2J",
        "mode": "quantized",
        "exclude_first": true,
        "rules": [
            {"path": "head.**", "multiplier": "mul8u_17C8:sign-magnitude"},
            {"kind": "conv2d", "quantization": {
                "activation": {"codes": [0, 127], "symmetry": "affine", "observer": {"moving_average": {"momentum": 0.1}},
                               "observation": "while_training"},
                "weight": {"codes": [-127, 127], "symmetry": "symmetric", "observer": "min_max", "observation": "always"},
                "granularity": "per_tensor"}}
        ]
    }"#;
    let config: ApproxConfig = serde_json::from_str(text).unwrap();
    let again: ApproxConfig =
        serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
    assert_eq!(again, config);
    let (model, _) = convert(Containers::new(&crate::device()), &config).unwrap();
    let layers = approx_layers(&model);
    let conv = layers.get("blocks.0.conv").unwrap().settings().unwrap();
    assert_eq!(conv.quantization.activation.symmetry, Symmetry::Affine);
    let head = layers.get("head.Deep.0").unwrap().settings().unwrap();
    assert_eq!(head.multiplier().name(), "mul8u_17C8:sign-magnitude");
    assert!(
        serde_json::from_str::<ApproxConfig>(r#"{"multiplier": "exact", "modee": 1}"#).is_err()
    );
    assert!(
        serde_json::from_str::<ApproxConfig>(
            r#"{"multiplier": "exact", "rules": [{"quantization": {"activation": {"codes": [1, 5]}}}]}"#
        )
        .is_err()
    );
}

#[test]
fn the_listing_counts_multiplications_after_a_forward_pass() {
    let device = crate::device();
    let model = Containers::new(&device);
    assert!(
        approx_layers(&model)
            .iter()
            .all(|layer| layer.multiplications().is_none())
    );
    model.forward(images(&device));
    let layers = approx_layers(&model);
    let of = |path: &str| layers.get(path).unwrap().multiplications().unwrap();
    assert_eq!(of("stem"), 8 * 8 * 4 * (2 * 9));
    assert_eq!(of("blocks.0.shortcut"), 8 * 8 * 4 * 4);
    assert_eq!(of("pair.1"), 6 * 6 * 4 * 9);
    assert_eq!(of("head.Deep.0"), 4 * 6);
    assert_eq!(layers.get("pair.1").unwrap().fan_in(), Some(9));
    let model = calibrated(model, &config());
    let table = approx_layers(&model).to_string();
    for expected in [
        "blocks.0.shortcut",
        "mul8s_1KVP",
        "APPROXIMATE",
        "-127..=127 symmetric per channel",
        "4x1x3x3 / 4",
    ] {
        assert!(table.contains(expected), "{expected} in\n{table}");
    }
}

/// Configurations from before there were plans still load.
#[test]
fn a_configuration_without_plans_is_read() {
    let old = r#"{"multiplier": "mul8s_1L2J", "mode": "approximate", "rules": [{"path": "head.**", "mode": "quantized"}]}"#;
    let config: ApproxConfig = serde_json::from_str(old).unwrap();
    assert_eq!(config.plan, burn_approx::plan::PlanChoice::Auto);
    assert_eq!(config.rules[0].plan, None);
    let new = r#"{"multiplier": "mul8s_1L2J", "plan": "gather", "rules": [{"kind": "linear", "plan": "factored_float32"}]}"#;
    let config: ApproxConfig = serde_json::from_str(new).unwrap();
    assert_eq!(config.plan, burn_approx::plan::PlanChoice::Gather);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ApproxConfig>(&text).unwrap(), config);
}

/// An exact multiplier wider than its codes takes every plan that the codes allow, and says so.
#[test]
fn a_wide_exact_multiplier_on_narrow_codes() {
    use burn_approx::multipliers::{Multiplier, OperandFormat};
    use burn_approx::plan::{PlanChoice, Route};
    use burn_approx::quantization::CodeRange;
    let device = crate::device();
    let wide = OperandFormat::signed(16).unwrap();
    let exact = Multiplier::exact(wide, wide);
    let mut scheme = burn_approx::quantization::LayerQuantization::for_multiplier(&exact);
    for operand in [&mut scheme.activation, &mut scheme.weight] {
        operand.codes = CodeRange::new(-127, 127).unwrap();
    }
    let config = ApproxConfig::for_multiplier(&exact).with_quantization(scheme);
    let layer = burn_approx::nn::LinearConfig::new(8, 4).init(&device);
    let (layer, _) = convert(layer, &config).unwrap();
    let input = rows(&device);
    calibrate(&layer, |layer| drop(layer.forward(input.clone()))).unwrap();
    let exact = crate::networks::values(layer.forward(input.clone()));
    let handle = &approx_layers(&layer)[0];
    for (plan, kind) in [
        (PlanChoice::Gather, Route::Gather),
        (PlanChoice::Exact, Route::Exact),
    ] {
        handle.set_plan(plan).unwrap();
        assert_eq!(handle.plan().unwrap().route(), kind);
        assert_eq!(crate::networks::values(layer.forward(input.clone())), exact);
    }
}
