//! What a layer keeps of its weight is never stale: after every way in which a weight can change, the layer computes as
//! a copy of itself does, and copies keep nothing.

use burn::module::Param;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::multipliers::evoapprox;
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{CodeQuantizer, Granularity, Observation};
use burn_approx::{ApproxError, Mode};
use rstest::rstest;

use crate::networks::{Perceptron, rows, values};

/// Every plan that keeps something of a weight.
const PLANS: [PlanChoice; 3] = [
    PlanChoice::Factored,
    PlanChoice::FactoredFloat32,
    PlanChoice::Gather,
];

fn converted(plan: PlanChoice, device: &Device) -> Perceptron {
    let config = ApproxConfig::bundled("mul8s_1KVA").with_plan(plan);
    let (model, _) = convert(Perceptron::new(device), &config).unwrap();
    calibrate(&model, |model| drop(model.forward(rows(device)))).unwrap();
    model
}

/// The outputs, which must be those of a copy; run twice, so that the second run takes what the first one kept.
fn outputs(model: &Perceptron, device: &Device) -> Vec<f32> {
    let fresh = values(model.clone().forward(rows(device)));
    for run in 0..2 {
        assert_eq!(values(model.forward(rows(device))), fresh, "run {run}");
    }
    fresh
}

#[test]
fn an_edited_weight_is_seen() {
    for (plan, device) in PLANS
        .into_iter()
        .flat_map(|plan| crate::two_devices().map(|device| (plan, device)))
    {
        let mut model = converted(plan, &device);
        let before = outputs(&model, &device);
        // An operation that may write in place to storage that it does not share.
        model.hidden.weight = model.hidden.weight.map(|weight| weight * -0.5);
        let scaled = outputs(&model, &device);
        assert_ne!(scaled, before);
        model.hidden.weight = model.hidden.weight.map(|weight| {
            let row = weight.clone().slice(s![0..1, ..]).zeros_like();
            weight.slice_assign(s![0..1, ..], row)
        });
        assert_ne!(outputs(&model, &device), scaled);
        model.hidden.weight = Param::from_tensor(model.hidden.weight.val() * -2.0);
        outputs(&model, &device);
    }
}

#[test]
fn an_optimisers_step_is_seen() {
    for plan in PLANS {
        let device = crate::device().autodiff();
        let mut model = converted(plan, &device);
        let classes = Tensor::<1, Int>::from_ints([0, 1, 2, 3, 0, 1, 2, 3], &device);
        let mut adam = AdamConfig::new().init();
        let mut before = Vec::new();
        for step in 0..3 {
            // In evaluation between the steps, where weights are kept, also on the training model's own device.
            let valid = model.valid();
            let now = outputs(&valid, &device.clone().inner());
            assert_ne!(now, before, "step {step}");
            outputs(&model, &device);
            before = now;
            let logits = model.forward(rows(&device));
            let classes = classes.clone().slice(s![0..logits.dims()[0]]);
            let loss = CrossEntropyLossConfig::new()
                .init(&device)
                .forward(logits, classes);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = adam.step(1e-2, model, gradients);
        }
        // Without a graph, on one device: the optimiser may write in place.
        let gradients = || {
            let logits = model.forward(rows(&device));
            GradientsParams::from_grads(logits.sum().backward(), &model)
        };
        let gradients = gradients();
        let model = SgdConfig::new().init().step(1.0, model, gradients);
        assert_ne!(outputs(&model.valid(), &device.inner()), before);
    }
}

#[test]
fn a_loaded_record_is_seen() {
    for plan in PLANS {
        let device = crate::device();
        let model = converted(plan, &device);
        let before = outputs(&model, &device);
        let mut other = model.clone();
        other.hidden.weight = other.hidden.weight.map(|weight| weight * 3.0);
        let expected = outputs(&other, &device);
        assert_ne!(before, expected);
        let loaded = model.load_record(other.into_record());
        assert_eq!(outputs(&loaded, &device), expected);
    }
}

#[test]
fn moving_to_a_device_and_back_changes_nothing() {
    for plan in PLANS {
        let [first, second] = crate::two_devices();
        let model = converted(plan, &first);
        let expected = outputs(&model, &first);
        let model = model.to_device(&second);
        assert_eq!(outputs(&model, &second), expected);
        let model = model.to_device(&first);
        assert_eq!(outputs(&model, &first), expected);
    }
}

#[test]
fn a_clone_that_is_edited_leaves_the_original_as_it_was() {
    for plan in PLANS {
        let device = crate::device();
        let model = converted(plan, &device);
        let before = outputs(&model, &device);
        let mut clone = model.clone();
        assert_eq!(outputs(&clone, &device), before);
        clone.hidden.weight = clone.hidden.weight.map(|weight| weight * -1.5);
        assert_ne!(outputs(&clone, &device), before);
        assert_eq!(outputs(&model, &device), before);
    }
}

#[test]
fn changed_settings_are_seen() {
    let device = crate::device();
    let model = converted(PlanChoice::Auto, &device);
    let layer = &approx_layers(&model)[0];
    let kva = outputs(&model, &device);
    layer
        .set_multiplier(evoapprox::multiplier("mul8s_1L2L").unwrap())
        .unwrap();
    let l2l = outputs(&model, &device);
    assert_ne!(kva, l2l);
    let mut scheme = layer.settings().unwrap().quantization;
    scheme.granularity = Granularity::PerTensor;
    layer.set_quantization(scheme.clone()).unwrap();
    let per_tensor = outputs(&model, &device);
    assert_ne!(per_tensor, l2l);
    scheme.weight.codes = burn_approx::quantization::CodeRange::new(-7, 7).unwrap();
    layer.set_quantization(scheme).unwrap();
    let coarse = outputs(&model, &device);
    assert_ne!(coarse, per_tensor);
    for plan in [
        PlanChoice::Gather,
        PlanChoice::FactoredFloat32,
        PlanChoice::Factored,
    ] {
        layer.set_plan(plan).unwrap();
        assert_eq!(outputs(&model, &device), coarse, "{plan}");
    }
    let scales = layer.weight_quantizer().unwrap();
    let doubled = burn_approx::quantization::CodeQuantizer::per_tensor(
        2.0 * scales.scales()[0],
        0,
        burn_approx::quantization::CodeRange::new(-7, 7).unwrap(),
        &device,
    );
    layer.set_weight_quantizer(&doubled.unwrap()).unwrap();
    assert_ne!(outputs(&model, &device), coarse);
}

/// A pass like the last one is not thought through again; whatever makes it another one is seen.
#[test]
fn a_pass_unlike_the_last_one_is_thought_through() {
    let device = crate::device();
    let mut model = converted(PlanChoice::Auto, &device);
    let approximate = outputs(&model, &device);
    let layers = approx_layers(&model);
    let mut seen = vec![approximate.clone()];
    for mode in [Mode::Quantized, Mode::Baseline] {
        layers.set_mode(mode).unwrap();
        let now = outputs(&model, &device);
        assert!(!seen.contains(&now), "{mode}");
        seen.push(now);
    }
    layers.set_mode(Mode::Approximate).unwrap();
    assert_eq!(outputs(&model, &device), approximate);

    let wider = layers[0].activation_quantizer().unwrap();
    let codes = layers[0].settings().unwrap().quantization.activation.codes;
    let wider = CodeQuantizer::per_tensor(2.0 * wider.scales()[0], 0, codes, &device).unwrap();
    layers[0].set_activation_quantizer(&wider).unwrap();
    let coarse = outputs(&model, &device);
    assert_ne!(coarse, approximate);

    calibrate(&model, |model| {
        model.forward(rows(&device) * 0.25);
    })
    .unwrap();
    assert_ne!(outputs(&model, &device), coarse);

    let bias = model.hidden.bias.take().unwrap();
    let without = outputs(&model, &device);
    let longer = Tensor::zeros([bias.val().dims()[0] + 1], &device);
    model.hidden.bias = Some(Param::from_tensor(longer));
    assert!(matches!(
        model.hidden.try_forward(rows(&device)),
        Err(ApproxError::Shape { .. })
    ));
    model.hidden.bias = Some(Param::from_tensor(bias.val() * -1.0));
    assert_ne!(outputs(&model, &device), without);
}

/// One weight behind two inputs of different shapes, which may take different plans.
#[rstest]
fn shapes_may_alternate(#[values("mul8s_1L2J", "mul8u_17C8", "mul8u_2V0")] name: &str) {
    let device = crate::device();
    let config = ApproxConfig::bundled(name);
    let (model, _) = convert(Perceptron::new(&device), &config).unwrap();
    calibrate(&model, |model| drop(model.forward(rows(&device)))).unwrap();
    let many = rows(&device).repeat_dim(0, 50);
    let (few, repeated) = (
        outputs(&model, &device),
        values(model.forward(many.clone())),
    );
    assert_eq!(repeated, few.repeat(50));
    assert_eq!(outputs(&model, &device), few);
    assert_eq!(values(model.forward(many)), repeated);
}

/// Evaluation keeps the weight as it is, without observing it: training observes it nonetheless.
#[test]
fn weights_that_training_observes_are_observed_after_evaluation() {
    let device = crate::device().autodiff();
    let mut model = converted(PlanChoice::Auto, &device);
    let layer = approx_layers(&model)[0].clone();
    let mut scheme = layer.settings().unwrap().quantization;
    scheme.weight.observation = Observation::WhileTraining;
    layer.set_quantization(scheme).unwrap();
    model.forward(rows(&device));
    model.hidden.weight = model.hidden.weight.map(|weight| (weight * 4.0).detach());
    let scales = |model: &Perceptron| {
        let quantizer = approx_layers(model)[0].weight_quantizer().unwrap();
        quantizer.scales()
    };
    let before = scales(&model);
    let valid = model.valid();
    valid.forward(rows(&device.clone().inner()));
    assert_eq!(scales(&valid), before, "evaluation does not observe");
    let model = valid.train();
    model.forward(rows(&device));
    for (after, before) in scales(&model).iter().zip(before) {
        assert_eq!(*after, 4.0 * before);
    }
}

/// A convolution's groups are a public field, as they are in Burn's layer.
#[test]
fn edited_groups_are_seen() {
    let device = crate::device();
    let input = Tensor::<4>::ones([1, 4, 5, 5], &device);
    for plan in PLANS {
        let layer = burn_approx::nn::conv::Conv2dConfig::new([4, 4], [3, 3])
            .with_groups(2)
            .init(&device);
        let config = ApproxConfig::bundled("mul8s_1KVA").with_plan(plan);
        let (mut layer, _) = convert(layer, &config).unwrap();
        calibrate(&layer, |layer| drop(layer.forward(input.clone()))).unwrap();
        let before = values(layer.forward(input.clone()));
        layer.groups = 1;
        let narrow = input.clone().slice(s![.., 0..2]);
        let fresh = values(layer.clone().forward(narrow.clone()));
        assert_eq!(values(layer.forward(narrow)), fresh, "{plan}");
        layer.groups = 2;
        assert_eq!(values(layer.forward(input.clone())), before, "{plan}");
    }
}
