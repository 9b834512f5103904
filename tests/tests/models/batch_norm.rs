//! Batch normalisation is Burn's: outputs, statistics, gradients, modes, records, with what follows it taken in or not.

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};
use burn_approx::ApproxError;
use burn_approx::nn::{BatchNorm, BatchNormConfig, FusedActivation};
use proptest::prelude::*;

/// A layer of ours with parameters that are not those of a new one.
fn layer(channels: usize, device: &Device) -> BatchNorm {
    let mut layer = BatchNormConfig::new(channels)
        .with_momentum(0.3)
        .init(device);
    let random = |mean| Tensor::random([channels], Distribution::Normal(mean, 0.5), device);
    let learned = |values: Tensor<1>| match device.is_autodiff() {
        true => values.require_grad(),
        false => values,
    };
    layer.gamma = layer.gamma.map(|_| learned(random(1.0)));
    layer.beta = layer.beta.map(|_| learned(random(0.5)));
    layer.running_mean.update(random(0.0));
    layer.running_var.update(random(0.0).square() + 0.1);
    // Records have what was synchronised.
    layer.running_mean.value_sync();
    layer.running_var.value_sync();
    layer
}

/// A layer of Burn's with the same numbers, and statistics of its own: a clone would share them.
fn burns_own(layer: &BatchNorm, device: &Device) -> burn::nn::BatchNorm {
    let [channels] = layer.gamma.dims();
    burn::nn::BatchNormConfig::new(channels)
        .with_momentum(layer.momentum)
        .init(device)
        .load_record(burn::nn::BatchNorm::from(layer.clone()).into_record())
}

/// Burn's layer and what follows it, one after the other.
fn composed(
    layer: &burn::nn::BatchNorm,
    input: Tensor<4>,
    shortcut: Option<Tensor<4>>,
    activation: FusedActivation,
) -> Tensor<4> {
    let normalized = layer.forward(input);
    activation.forward(match shortcut {
        Some(shortcut) => normalized + shortcut,
        None => normalized,
    })
}

fn equal<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
    let tolerance = Tolerance::<f32>::rel_abs(1e-4, 2e-5);
    found
        .into_data()
        .assert_approx_eq(&expected.into_data(), tolerance);
}

/// Compares with Burn's layer, in training and after it.
fn check(shape: [usize; 4], activation: FusedActivation, with_shortcut: bool, device: &Device) {
    let ours = layer(shape[1], device);
    let burns = burns_own(&ours, device);
    let random = || Tensor::<4>::random(shape, Distribution::Normal(0.5, 2.0), device);
    let (input, shortcut, weights) = (random(), random(), random());
    let near_limit = {
        let shortcut = with_shortcut.then(|| shortcut.clone());
        let layer = burns_own(&ours, device);
        let outputs = composed(&layer, input.clone(), shortcut, FusedActivation::None);
        let near = |limit: f32| (outputs.clone() - limit).abs().lower_elem(1e-3);
        near(0.0).bool_or(near(6.0))
    };
    // Gradients of outputs as good as on a limit do not count.
    let weights = weights.mask_fill(near_limit, 0.0);

    let operands = || {
        [&input, &shortcut].map(|tensor| match device.is_autodiff() {
            true => tensor.clone().detach().require_grad(),
            false => tensor.clone(),
        })
    };
    let [of_ours, of_burns] = [operands(), operands()];
    let added = |operands: &[Tensor<4>; 2]| with_shortcut.then(|| operands[1].clone());
    let output = ours.forward_fused(of_ours[0].clone(), added(&of_ours), activation);
    let expected = composed(&burns, of_burns[0].clone(), added(&of_burns), activation);
    equal(output.clone(), expected.clone());
    equal(
        ours.running_mean.value_sync(),
        burns.running_mean.value_sync(),
    );
    equal(
        ours.running_var.value_sync(),
        burns.running_var.value_sync(),
    );
    if device.is_autodiff() {
        let found = (output * weights.clone()).sum().backward();
        let expected = (expected * weights).sum().backward();
        for index in 0..1 + usize::from(with_shortcut) {
            equal(
                of_ours[index].grad(&found).unwrap(),
                of_burns[index].grad(&expected).unwrap(),
            );
        }
        for (ours, burns) in [(&ours.gamma, &burns.gamma), (&ours.beta, &burns.beta)] {
            equal(
                ours.val().grad(&found).unwrap(),
                burns.val().grad(&expected).unwrap(),
            );
        }
    }
}

fn activations() -> impl Strategy<Value = FusedActivation> {
    prop_oneof![
        Just(FusedActivation::None),
        Just(FusedActivation::Relu),
        Just(FusedActivation::Relu6)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_burns(
        shape in [2usize..5, 1usize..6, 1usize..8, 1usize..8], activation in activations(), with_shortcut: bool,
        training: bool,
    ) {
        let device = crate::device();
        check(shape, activation, with_shortcut, &if training { device.autodiff() } else { device });
    }
}

#[test]
fn checkpointing_changes_nothing() {
    let device = crate::device().autodiff().gradient_checkpointing();
    check([3, 4, 5, 5], FusedActivation::Relu, true, &device);
}

/// A frozen layer normalises by its running statistics and keeps them, and gradients flow through it.
#[test]
fn a_frozen_layer_is_burns() {
    let device = crate::device().autodiff();
    let ours = layer(3, &device).freeze();
    let burns = burns_own(&ours, &device).freeze();
    let before = ours.running_mean.value_sync();
    let input = Tensor::<4>::random([2, 3, 4, 4], Distribution::Normal(0.0, 1.0), &device);
    let [of_ours, of_burns] = [(); 2].map(|()| input.clone().detach().require_grad());
    let output = ours.forward_fused(of_ours.clone(), None, FusedActivation::None);
    let expected = burns.forward(of_burns.clone());
    equal(output.clone(), expected.clone());
    equal(ours.running_mean.value_sync(), before);
    let weights = Tensor::<4>::random([2, 3, 4, 4], Distribution::Normal(0.0, 1.0), &device);
    let found = (output * weights.clone()).sum().backward();
    let expected = (expected * weights).sum().backward();
    equal(
        of_ours.grad(&found).unwrap(),
        of_burns.grad(&expected).unwrap(),
    );
}

#[test]
fn records_are_burns() {
    let device = crate::device();
    let ours = layer(5, &device);
    let burns = burns_own(&ours, &device);
    equal(burns.gamma.val(), ours.gamma.val());
    let again = BatchNorm::from(burns);
    equal(again.running_var.value(), ours.running_var.value());
    assert_eq!(ours.to_string(), again.to_string());
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let device = crate::device();
    let norm = layer(3, &device);
    let zeros = |shape: [usize; 4]| Tensor::<4>::zeros(shape, &device);
    let none = FusedActivation::None;
    let error = norm
        .try_forward_fused(zeros([2, 4, 5, 5]), None, none)
        .unwrap_err();
    assert!(matches!(error, ApproxError::Shape { .. }), "{error}");
    assert!(error.to_string().contains("[batch, 3, ..]"), "{error}");
    let shortcut = Some(zeros([2, 3, 5, 1]));
    let error = norm
        .try_forward_fused(zeros([2, 3, 5, 5]), shortcut, none)
        .unwrap_err();
    assert!(error.to_string().contains("shortcut"), "{error}");
    let error = norm
        .try_forward_fused(Tensor::<1>::zeros([3], &device), None, none)
        .unwrap_err();
    assert!(matches!(error, ApproxError::Shape { .. }), "{error}");
}
