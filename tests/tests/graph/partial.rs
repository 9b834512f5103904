//! A pass that stops at layers gives what whole passes give.

use burn::module::Module;
use burn::prelude::*;
use burn_approx::ApproxError;
use burn_approx::convert::{
    ApproxConfig, GraphModel, GraphTensors, approx_layers, calibrate, convert,
};
use burn_approx::multipliers::evoapprox::multiplier;

use crate::models::{Subject, values};

type Captured<M, I> = GraphModel<M, I, Tensor<2>>;

/// A calibrated model on the exact multiplier, and a copy on another one.
fn two_copies<M: Module, I: GraphTensors>(subject: &Subject<M, I>) -> [Captured<M, I>; 2] {
    let device = crate::device();
    let captured = subject.capture(&subject.model(&device));
    let (exact, _) = convert(captured, &ApproxConfig::bundled("mul8s_1KV6")).unwrap();
    let input = (subject.input)(8, &device);
    calibrate(&exact, |exact| drop(exact.forward(input))).unwrap();
    let other = exact.clone();
    for layer in &approx_layers(&other) {
        layer
            .set_multiplier(multiplier("mul8s_1L2N").unwrap())
            .unwrap();
    }
    [exact, other]
}

/// However a pass is cut, and whichever layers come from the copy.
fn a_pass_in_parts_is_the_whole<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let [exact, other] = two_copies(&subject);
    let input = || (subject.input)(5, &crate::device());
    let layers = approx_layers(&exact);
    for stride in [1, 2, 3] {
        // Every layer at this distance is the copy's.
        let is_replaced = |path: &str| {
            let number = layers
                .iter()
                .position(|layer| layer.path() == path)
                .unwrap();
            number % stride == stride - 1
        };
        let whole = exact.clone();
        for layer in approx_layers(&whole)
            .iter()
            .filter(|layer| is_replaced(layer.path()))
        {
            layer
                .set_multiplier(multiplier("mul8s_1L2N").unwrap())
                .unwrap();
        }
        let mut pass = exact.begin(input()).unwrap();
        let mut met = Vec::new();
        while let [first, ..] = &pass.next_layers()[..] {
            pass.run_to(first).unwrap();
            let untouched = pass.clone();
            for path in pass.next_layers() {
                if is_replaced(&path) {
                    pass.replace(&path, &other).unwrap();
                }
                met.push(path);
            }
            let output = pass.run_layers().unwrap();
            assert!(output.dims().iter().all(|size| *size > 0));
            drop(untouched);
        }
        met.sort();
        met.dedup();
        let mut paths: Vec<&str> = layers.iter().map(|layer| layer.path()).collect();
        paths.sort_unstable();
        assert_eq!(met, paths);
        let found = values(pass.finish().unwrap());
        assert_eq!(found, values(whole.forward(input())));
        assert_ne!(found, values(exact.forward(input())));
    }
}

on_every_model!(a_pass_in_parts_is_the_whole);

/// Two ways on from one place do not disturb each other.
fn branches_are_independent<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let [exact, other] = two_copies(&subject);
    let input = || (subject.input)(4, &crate::device());
    let last = exact.begin(input()).unwrap().next_layers().remove(0);
    let mut pass = exact.begin(input()).unwrap();
    pass.run_to(&last).unwrap();
    let mut branch = pass.clone();
    branch.replace(&last, &other).unwrap();
    let mut shifted = pass.clone();
    let output = shifted.run_layers().unwrap();
    // No constant: a normalisation may follow, which takes shift and scale off again.
    shifted.add_to_output(output.square());
    let changed = [branch, shifted].map(|pass| values(pass.finish().unwrap()));
    let expected = values(exact.forward(input()));
    assert_eq!(values(pass.finish().unwrap()), expected);
    for changed in changed {
        assert_ne!(changed, expected);
    }
}

on_every_model!(branches_are_independent);

/// What is added to a layer's output has the gradient of that output: of a sum, along the values themselves.
#[test]
fn zeros_that_are_added_have_the_gradient_of_the_output() {
    let subject = crate::models::perceptron();
    let device = crate::device();
    let model = subject.capture(&subject.model(&device));
    let input = (subject.input)(3, &device);
    let mut pass = model.begin(input.clone()).unwrap();
    let mut added = Vec::new();
    while !pass.next_layers().is_empty() {
        let sizes = pass.run_layers().unwrap().dims();
        let zeros = Tensor::<2>::zeros(sizes, &device.clone().autodiff()).require_grad();
        pass.add_to_output(zeros.clone());
        added.push(zeros);
    }
    let gradients = pass.finish().unwrap().powi_scalar(2).sum().backward();
    // By differences, layer by layer.
    for (number, zeros) in added.iter().enumerate() {
        let gradient = values(zeros.grad(&gradients).unwrap());
        let [rows, elements] = zeros.dims();
        for element in [0, rows * elements / 2, rows * elements - 1] {
            let loss = |step: f32| {
                let mut pass = model.begin(input.clone()).unwrap();
                for _ in 0..=number {
                    pass.run_layers().unwrap();
                }
                let mut change = vec![0.0; rows * elements];
                change[element] = step;
                let change = TensorData::new(change, [rows, elements]);
                pass.add_to_output(Tensor::from_data(change, &device));
                values(pass.finish().unwrap())
                    .iter()
                    .map(|x| f64::from(x * x))
                    .sum::<f64>()
            };
            let step = 1e-2;
            let difference = (loss(step) - loss(-step)) / f64::from(2.0 * step);
            let found = f64::from(gradient[element]);
            assert!(
                (found - difference).abs() <= 1e-2 * difference.abs().max(0.1),
                "layer {number}, element {element}: {found} {difference}"
            );
        }
    }
}

#[test]
fn what_a_pass_cannot_do_is_an_error() {
    let subject = crate::models::perceptron();
    let [exact, _] = two_copies(&subject);
    let [stranger, _] = two_copies(&subject);
    let input = (subject.input)(2, &crate::device());
    let mut pass = exact.begin(input).unwrap();
    assert!(matches!(
        pass.run_to("nowhere"),
        Err(ApproxError::UnknownLayer { .. })
    ));
    let first = pass.next_layers().remove(0);
    // A model that was captured by itself is no copy.
    assert!(matches!(
        pass.replace(&first, &stranger),
        Err(ApproxError::GraphInput { .. })
    ));
    while !pass.next_layers().is_empty() {
        pass.run_layers().unwrap();
    }
    assert!(matches!(
        pass.run_layers(),
        Err(ApproxError::GraphInput { .. })
    ));
    assert!(matches!(
        pass.run_to(&first),
        Err(ApproxError::GraphInput { .. })
    ));
    pass.finish().unwrap();
}
