//! Records between Burn's layers and the drop-ins, and what travels with a module.

use burn::module::ParamGroup;
use burn::prelude::*;
use burn::store::ModuleRecord;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::multipliers::evoapprox;
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{LayerQuantization, Symmetry};
use burn_approx::{ApproxError, load_plain_record, plain_record};

use crate::networks::{Containers, Perceptron, PlainPerceptron, images, rows, values};

fn converted(device: &Device) -> Perceptron {
    let (model, _) = convert(
        Perceptron::new(device),
        &ApproxConfig::bundled("mul8s_1KVP"),
    )
    .unwrap();
    calibrate(&model, |model| {
        model.forward(rows(device));
    })
    .unwrap();
    model
}

/// Another random state, so that equal outputs can only come from loading.
fn other(device: &Device) -> Perceptron {
    let model = Perceptron::new(device);
    device.seed(99);
    let hidden = burn_approx::nn::LinearConfig::new(8, 16).init(device);
    Perceptron { hidden, ..model }
}

#[test]
fn records_of_burns_layers_load_into_unconverted_drop_ins_and_back() {
    let device = crate::device();
    let plain = PlainPerceptron::new(&device);
    let expected = values(plain.forward(rows(&device)));
    let ours = other(&device).load_record(plain.clone().into_record());
    assert_eq!(values(ours.forward(rows(&device))), expected);
    device.seed(123);
    let back = PlainPerceptron {
        hidden: burn::nn::LinearConfig::new(8, 16).init(&device),
        ..plain
    };
    let back = back.load_record(ours.into_record());
    assert_eq!(values(back.forward(rows(&device))), expected);
}

#[test]
fn a_converted_models_record_restores_its_quantisation_state() {
    let device = crate::device();
    let model = converted(&device);
    let expected = values(model.forward(rows(&device)));
    let bytes = model.into_record().into_bytes().unwrap();
    let (fresh, _) = convert(other(&device), &ApproxConfig::bundled("mul8s_1KVP")).unwrap();
    assert!(!approx_layers(&fresh)[0].is_calibrated());
    let loaded = fresh.load_record(ModuleRecord::from_bytes(bytes).unwrap());
    assert!(
        approx_layers(&loaded)
            .iter()
            .all(|layer| layer.is_calibrated())
    );
    assert_eq!(values(loaded.forward(rows(&device))), expected);
}

#[test]
fn a_plain_record_loaded_into_a_converted_model_leaves_it_uncalibrated() {
    let device = crate::device();
    let plain = PlainPerceptron::new(&device).into_record();
    let strict = converted(&device).try_load_record(plain.clone());
    assert!(strict.is_err(), "the record lacks the quantisation state");
    let loaded = load_plain_record(converted(&device), plain.clone()).unwrap();
    let error = loaded.hidden.try_forward(rows(&device)).unwrap_err();
    assert!(
        matches!(&error, ApproxError::NotCalibrated { layer, mode: "APPROXIMATE" } if layer == "hidden"),
        "{error}"
    );
    calibrate(&loaded, |model| {
        model.forward(rows(&device));
    })
    .unwrap();
    loaded.forward(rows(&device));

    // The same holds where Burn itself was told to be lenient.
    let (fresh, _) = convert(other(&device), &ApproxConfig::bundled("mul8s_1KVP")).unwrap();
    let lenient = fresh.load_record(plain.allow_partial(true));
    assert!(lenient.hidden.try_forward(rows(&device)).is_err());

    let wrong = load_plain_record(converted(&device), Containers::new(&device).into_record());
    assert!(matches!(wrong, Err(ApproxError::ModelMismatch { .. })));
}

#[test]
fn the_plain_record_of_a_converted_model_is_burns_own() {
    let device = crate::device();
    let model = converted(&device);
    let expected = values(PlainPerceptron::new(&device).forward(rows(&device)));
    let approximate = values(model.forward(rows(&device)));
    device.seed(123);
    let plain = PlainPerceptron {
        hidden: burn::nn::LinearConfig::new(8, 16).init(&device),
        ..PlainPerceptron::new(&device)
    };
    let plain = plain.load_record(plain_record(&model));
    assert_eq!(values(plain.forward(rows(&device))), expected);
    assert_eq!(
        values(model.forward(rows(&device))),
        approximate,
        "the model itself is unchanged"
    );
}

#[test]
fn the_state_survives_train_valid_devices_and_clones() {
    let device = crate::device().autodiff();
    let model = converted(&device);
    let expected = values(model.forward(rows(&device)));
    let valid = model.valid();
    let inner = device.clone().inner();
    assert_eq!(values(valid.forward(rows(&inner))), expected);
    let trained = valid.clone().train();
    assert_eq!(values(trained.forward(rows(&device))), expected);
    let moved = valid.clone().to_device(&inner).fork(&device).train();
    assert_eq!(values(moved.forward(rows(&device))), expected);
    assert_eq!(model.devices().len(), 1);

    // Quantisation state is a buffer: no request for gradients reaches it.
    let unfrozen = trained.unfreeze().set_require_grad(true);
    let loss = unfrozen.forward(rows(&device)).sum();
    let gradients = loss.backward();
    assert!(unfrozen.hidden.weight.grad(&gradients).is_some());
    assert_eq!(values(unfrozen.forward(rows(&device))), expected);
}

#[test]
fn a_frozen_group_stops_observing() {
    use burn_approx::quantization::Observation;
    let device = crate::device().autodiff();
    let model = converted(&device);
    for layer in &approx_layers(&model) {
        layer
            .set_observation(Observation::WhileTraining, Observation::WhileTraining)
            .unwrap();
    }
    let scale = |model: &Perceptron| {
        approx_layers(model)[0]
            .activation_quantizer()
            .unwrap()
            .scales()[0]
    };
    let before = scale(&model);
    let model = model.freeze_group(ParamGroup::from_predicate("hidden"));
    model.forward(rows(&device) * 100.0);
    assert_eq!(scale(&model), before);
    let model = model.unfreeze();
    model.forward(rows(&device) * 100.0);
    assert_ne!(scale(&model), before);
    let after = scale(&model);
    let valid = model.valid();
    valid.forward(rows(&device.clone().inner()) * 1000.0);
    assert_eq!(scale(&valid), after, "evaluation does not observe");
}

#[test]
fn optimisers_leave_the_state_alone() {
    use burn::optim::{AdamWConfig, GradientsParams};
    let device = crate::device().autodiff();
    let model = converted(&device);
    let scales = |model: &Perceptron| {
        approx_layers(model)[0]
            .activation_quantizer()
            .unwrap()
            .scales()
    };
    let before = scales(&model);
    let mut optimizer = AdamWConfig::new().with_weight_decay(0.5).init();
    let gradients =
        GradientsParams::from_grads(model.forward(rows(&device)).sum().backward(), &model);
    let stepped = optimizer.step(0.1, model.clone(), gradients);
    assert_eq!(scales(&stepped), before);
    assert_ne!(
        values(stepped.forward(rows(&device))),
        values(model.forward(rows(&device)))
    );
}

#[test]
fn states_of_all_containers_are_recorded() {
    let device = crate::device();
    let (model, _) = convert(
        Containers::new(&device),
        &ApproxConfig::bundled("mul8s_1KVP"),
    )
    .unwrap();
    let plain = plain_record(&model).len();
    // Five tensors per layer: two quantisers, what was observed of the activation, and two counts.
    assert_eq!(model.clone().into_record().len(), plain + 8 * 5);
    calibrate(&model, |model| {
        model.forward(images(&device));
    })
    .unwrap();
    let record = model.clone().into_record();
    let (fresh, _) = convert(
        Containers::new(&device),
        &ApproxConfig::bundled("mul8s_1KVP"),
    )
    .unwrap();
    let loaded = fresh.load_record(record);
    assert_eq!(
        values(loaded.forward(images(&device))),
        values(model.forward(images(&device)))
    );
}

/// Zero points that the settings do not have are refused, whatever the plan, instead of computed with by some and not
/// by others.
#[test]
fn an_affine_record_does_not_fit_symmetric_settings() {
    let device = crate::device();
    let scheme = |symmetry| {
        let multiplier = evoapprox::multiplier("mul8s_1KVP").unwrap();
        let mut scheme = LayerQuantization::for_multiplier(&multiplier);
        scheme.activation.symmetry = symmetry;
        ApproxConfig::bundled("mul8s_1KVP").with_quantization(scheme)
    };
    let (affine, _) = convert(Perceptron::new(&device), &scheme(Symmetry::Affine)).unwrap();
    calibrate(&affine, |model| drop(model.forward(rows(&device) + 1.0))).unwrap();
    let expected = values(affine.forward(rows(&device)));
    let record = || affine.clone().into_record();
    let load = |symmetry, record| {
        let (model, _) = convert(other(&device), &scheme(symmetry)).unwrap();
        model.load_record(record)
    };
    assert_eq!(
        values(load(Symmetry::Affine, record()).forward(rows(&device))),
        expected
    );
    let symmetric = load(Symmetry::Symmetric, record());
    for plan in [
        PlanChoice::Auto,
        PlanChoice::FactoredFloat32,
        PlanChoice::Gather,
    ] {
        approx_layers(&symmetric)[0].set_plan(plan).unwrap();
        match symmetric.hidden.try_forward(rows(&device)) {
            Err(ApproxError::InvalidQuantizer { what, problem }) => {
                assert!(what.contains("activation of layer `hidden`"), "{what}");
                assert!(problem.contains("zero point"), "{problem}");
            }
            other => panic!("{plan}: {other:?}"),
        }
    }
}
