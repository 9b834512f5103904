//! Handles to layers and the table of them: what they refuse, and what they leave alone.

use burn::prelude::*;
use burn_approx::plan::PlanChoice;
use burn_approx::{
    ApproxConfig, ApproxError, LayerRule, Mode, Noise, approx_layers, calibrate, capture, convert,
};

use crate::networks::{Perceptron, PlainPerceptron, rows, values};

fn config() -> ApproxConfig {
    ApproxConfig::bundled("mul8s_1L2J")
}

/// Scales, zero points and what observers saw are in records, but nothing of it is learned.
#[test]
fn quantisation_state_is_no_parameter() {
    let device = crate::device();
    let expected = PlainPerceptron::new(&device).num_params();
    assert_eq!(expected, 8 * 16 + 16 + 16 * 4 + 4);
    let model = Perceptron::new(&device);
    assert_eq!(model.num_params(), expected);
    let (model, _) = convert(model, &config()).unwrap();
    calibrate(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    assert_eq!(model.num_params(), expected);
    assert_eq!(model.into_record().len(), 4 + 2 * 5);

    let plain = PlainPerceptron::new(&device);
    let captured = capture(&plain, rows(&device), PlainPerceptron::forward).unwrap();
    assert_eq!(captured.num_params(), expected);
    let (captured, _) = convert(captured, &config()).unwrap();
    calibrate(&captured, |model| drop(model.forward(rows(&device)))).unwrap();
    assert_eq!(captured.num_params(), expected);
}

#[test]
fn a_plan_needs_a_conversion_and_a_shape_of_input() {
    let device = crate::device();
    let model = Perceptron::new(&device);
    let layers = approx_layers(&model);
    match layers[1].plan() {
        Err(ApproxError::NotConverted { layer }) => assert_eq!(layer, "output"),
        other => panic!("{other:?}"),
    }
    let (model, _) = convert(model, &config()).unwrap();
    match layers[1].plan() {
        Err(error @ ApproxError::NoForwardPass { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("`output`") && text.contains("forward pass"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    calibrate(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    layers[1].set_plan(PlanChoice::Gather).unwrap();
    assert_eq!(layers[1].plan().unwrap().to_string(), "gather");
}

/// Layers that a conversion left out stay as they are, but a table without a converted layer has nothing to set.
#[test]
fn a_table_sets_the_mode_of_what_is_converted() {
    let device = crate::device();
    let model = Perceptron::new(&device);
    match approx_layers(&model).set_mode(Mode::Quantized) {
        Err(ApproxError::NotConverted { layer }) => assert_eq!(layer, "hidden"),
        other => panic!("{other:?}"),
    }
    let excluding = config().with_rule(LayerRule::path("hidden").with_exclude(true));
    let (model, _) = convert(model, &excluding).unwrap();
    let layers = approx_layers(&model);
    assert_eq!((layers.len(), layers.is_empty()), (2, false));
    layers.set_mode(Mode::Quantized).unwrap();
    let modes: Vec<_> = (layers.iter())
        .map(|layer| layer.settings().map(|settings| settings.mode))
        .collect();
    assert_eq!(modes, [None, Some(Mode::Quantized)]);
    assert_eq!(layers.get("output").unwrap().path(), layers[1].path());
    assert!(layers.get("missing").is_none());

    // Burn's own layers are not in the table, and there is nothing to set in an empty one.
    let plain = approx_layers(&PlainPerceptron::new(&device));
    assert!(plain.is_empty());
    plain.set_mode(Mode::Quantized).unwrap();
}

#[test]
fn noise_is_finite_and_spreads() {
    let device = crate::device();
    let (model, _) = convert(Perceptron::new(&device), &config()).unwrap();
    let layers = approx_layers(&model);
    for (mean, standard_deviation) in [
        (f64::NAN, 0.0),
        (f64::INFINITY, 0.0),
        (0.0, -1.0),
        (0.0, f64::NAN),
    ] {
        let noise = Noise {
            mean,
            standard_deviation,
        };
        match layers[0].set_noise(noise) {
            Err(error @ ApproxError::InvalidNoise { .. }) => {
                let text = error.to_string();
                for number in [mean, standard_deviation] {
                    assert!(text.contains(&number.to_string()), "{number} in: {text}");
                }
            }
            other => panic!("{mean}, {standard_deviation}: {other:?}"),
        }
        assert_eq!(layers[0].settings().unwrap().noise, Noise::default());
        let configured = config().with_noise(noise);
        assert!(convert(Perceptron::new(&device), &configured).is_err());
    }
}

/// What a rule's and a configuration's builders set is what a file with these fields says.
#[test]
fn builders_set_what_files_say() {
    use burn_approx::nn::LayerKind;
    let noise = Noise {
        mean: 0.0,
        standard_deviation: 0.5,
    };
    let rule = LayerRule::path("hidden")
        .with_kind(LayerKind::Linear)
        .with_exclude(false)
        .with_multiplier("mul8s_1KVA".parse().unwrap())
        .with_htp_model("mul8s_1KVA".parse().unwrap())
        .with_mode(Mode::Noise)
        .with_noise(noise)
        .with_plan(PlanChoice::Htp);
    let built = config()
        .with_rule(rule)
        .with_mode(Mode::Quantized)
        .with_exclude_first(true)
        .with_exclude_last(false)
        .with_htp_model("mul8s_1L2J".parse().unwrap())
        .with_noise(noise)
        .with_plan(PlanChoice::Htp);
    let noise = r#""noise": {"mean": 0.0, "standard_deviation": 0.5}"#;
    let text = format!(
        r#"{{
            "multiplier": "mul8s_1L2J", "htp_model": "mul8s_1L2J", "mode": "quantized", {noise}, "plan": "htp",
            "exclude_first": true,
            "rules": [{{
                "path": "hidden", "kind": "linear", "exclude": false, "multiplier": "mul8s_1KVA", "htp_model": "mul8s_1KVA",
                "mode": "noise", {noise}, "plan": "htp"
            }}]
        }}"#
    );
    assert_eq!(serde_json::from_str::<ApproxConfig>(&text).unwrap(), built);
}

/// Handles reach the model that they came from, and no clone of it.
#[test]
fn handles_reach_one_model() {
    let device = crate::device();
    let (model, _) = convert(Perceptron::new(&device), &config()).unwrap();
    calibrate(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    let copy = model.clone();
    let approximate = values(copy.forward(rows(&device)));
    approx_layers(&model).set_mode(Mode::Baseline).unwrap();
    assert_eq!(values(copy.forward(rows(&device))), approximate);
    assert_ne!(values(model.forward(rows(&device))), approximate);
}
