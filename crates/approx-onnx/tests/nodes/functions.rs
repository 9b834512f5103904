//! Files with functions of their own, which are written out where they are called.

use approx_onnx::{OnnxError, OnnxModel};
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};
use burn_approx::approx_layers;

use crate::common::{Builder, Setting};

/// Weights of 3 x 3 that differ by `from`.
fn numbers(count: usize, from: usize) -> Vec<f32> {
    (from..from + count)
        .map(|place| ((place * 7919 + 13) % 97) as f32 / 97.0 - 0.5)
        .collect()
}

/// `Leaky`: a linear layer, `LeakyRelu` with a slope that the caller may give, then twice that by another function.
fn with_functions() -> Builder {
    let layer = Builder::default()
        .input("x", &[])
        .input("w", &[])
        .input("b", &[])
        .output("y")
        .node("MatMul", &["x", "w"], &["p"], &[])
        .node("Add", &["p", "b"], &["s"], &[])
        .node(
            "LeakyRelu",
            &["s"],
            &["a"],
            &[("alpha", Setting::Of("slope"))],
        )
        .node("own::Twice", &["a"], &["y"], &[]);
    let twice = Builder::default()
        .input("x", &[])
        .output("y")
        .node("Identity", &["x"], &["p"], &[])
        .node("Add", &["p", "p"], &["y"], &[]);
    Builder::default()
        .function(
            "own::Leaky",
            17,
            &[],
            &[("slope", Setting::Float(0.5))],
            layer,
        )
        .function("own::Twice", 17, &[], &[], twice)
        .input("x", &[None, Some(2), Some(3)])
        .output("z")
        .weight("first.weight", &[3, 3], &numbers(9, 0))
        .weight("first.bias", &[3], &numbers(3, 9))
        .weight("second.weight", &[3, 3], &numbers(9, 12))
        .weight("second.bias", &[3], &numbers(3, 21))
        .node(
            "own::Leaky",
            &["x", "first.weight", "first.bias"],
            &["y"],
            &[],
        )
        .node(
            "own::Leaky",
            &["y", "second.weight", "second.bias"],
            &["z"],
            &[("slope", Setting::Float(0.25))],
        )
}

fn read(builder: Builder) -> Result<OnnxModel, OnnxError> {
    OnnxModel::from_bytes(builder.bytes(17), &Device::flex())
}

#[test]
fn each_call_has_its_own_values_and_settings() {
    let device = Device::flex();
    let model = read(with_functions()).unwrap();
    let x = Tensor::<3>::random([4, 2, 3], Distribution::Uniform(-1.0, 1.0), &device);
    let layer = |x: Tensor<3>, from: usize, slope: f64| {
        let tensor = |count, from| Tensor::<1>::from_floats(&numbers(count, from)[..], &device);
        let sum =
            x.matmul(tensor(9, from).reshape([1, 3, 3])) + tensor(3, from + 9).reshape([1, 1, 3]);
        burn::tensor::activation::leaky_relu(sum, slope) * 2.0
    };
    let expected = layer(layer(x.clone(), 0, 0.5), 12, 0.25);
    let captured = model.capture::<Tensor<3>, Tensor<3>>(x.clone()).unwrap();
    for found in [model.forward(x.clone()).unwrap(), captured.forward(x)] {
        let found: Tensor<3> = found;
        found
            .to_data()
            .assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(1e-5));
    }
    let layers = approx_layers(&captured);
    let paths: Vec<_> = layers
        .iter()
        .map(|layer| layer.path().to_string())
        .collect();
    assert_eq!(paths, ["first", "second"]);
}

#[test]
fn a_file_with_functions_is_written_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let bytes = with_functions().bytes(17);
    std::fs::write(&path, &bytes).unwrap();
    let model = OnnxModel::load(&path, &Device::flex()).unwrap();
    model.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_weight_within_a_function_is_a_layer_that_is_not_written_back() {
    let body = Builder::default()
        .input("x", &[])
        .output("y")
        .node(
            "Constant",
            &[],
            &["w"],
            &[("value", Setting::Tensor(vec![3, 3], numbers(9, 0)))],
        )
        .node("MatMul", &["x", "w"], &["y"], &[]);
    let file = Builder::default()
        .function("own::Product", 17, &[], &[], body)
        .input("x", &[None, Some(3)])
        .output("y")
        .node("own::Product", &["x"], &["y"], &[]);
    let model = read(file).unwrap();
    let x = Tensor::<2>::ones([2, 3], &Device::flex());
    let captured = model.capture::<Tensor<2>, Tensor<2>>(x).unwrap();
    assert_eq!(approx_layers(&captured).len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let error = model.save(folder.path().join("model.onnx")).unwrap_err();
    assert!(error.to_string().contains("onnx.inliner"), "{error}");
}

#[test]
fn operators_of_a_function_are_of_the_version_that_it_names() {
    // Before version 13 all elements of an image share one softmax.
    let body = Builder::default()
        .input("x", &[])
        .output("y")
        .node("Softmax", &["x"], &["y"], &[]);
    let file = Builder::default()
        .function("own::Shares", 11, &[], &[], body)
        .input("x", &[None, Some(2), Some(3)])
        .output("y")
        .node("own::Shares", &["x"], &["y"], &[]);
    let x = Tensor::<3>::ones([4, 2, 3], &Device::flex());
    let found: Tensor<3> = read(file).unwrap().forward(x.clone()).unwrap();
    found
        .to_data()
        .assert_approx_eq::<f32>(&(x / 6.0).to_data(), Tolerance::absolute(1e-6));
}

#[test]
fn inner_graphs_inputs_left_out_and_inputs_given_back_keep_their_meaning() {
    let branch = |operator: &str| {
        let body = Builder::default().output("inner");
        // `x` is the function's, and so the caller's `v`.
        Setting::Graph(Box::new(body.node(operator, &["x"], &["inner"], &[])))
    };
    let body = Builder::default()
        .input("x", &[])
        .input("condition", &[])
        .input("nothing", &[])
        .output("y")
        .output("x")
        .output("z")
        .node(
            "If",
            &["condition"],
            &["y"],
            &[
                ("then_branch", branch("Neg")),
                ("else_branch", branch("Abs")),
            ],
        )
        .node("Clip", &["x", "nothing", "nothing"], &["z"], &[]);
    let file = Builder::default()
        .function("own::Choice", 17, &[], &[], body)
        .input("v", &[None, Some(2)])
        .raw("yes", 9, &[], vec![1])
        .raw("no", 9, &[], vec![0])
        .node(
            "own::Choice",
            &["v", "yes"],
            &["negative", "same", "whole"],
            &[],
        )
        .node("own::Choice", &["v", "no"], &["positive"], &[])
        .output("negative")
        .output("same")
        .output("whole")
        .output("positive");
    let v = Tensor::<2>::from_floats([[-1.0, 2.0]], &Device::flex());
    let outputs: Vec<burn_approx::AnyTensor> = read(file).unwrap().forward(v).unwrap();
    let expected = [[1.0, -2.0], [-1.0, 2.0], [-1.0, 2.0], [1.0, 2.0]];
    for (found, expected) in outputs.into_iter().zip(expected) {
        let found: Vec<f32> = found.into_data().iter().collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn files_with_functions_that_are_changed_are_errors_and_nothing_else() {
    let whole = with_functions().bytes(17);
    let x = Tensor::<3>::ones([1, 2, 3], &Device::flex());
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[place] ^= 1 << bit;
            // Whatever it says now, it says it without a panic.
            if let Ok(model) = OnnxModel::from_bytes(changed, &Device::flex()) {
                let _ = model.forward::<Tensor<3>, Tensor<3>>(x.clone());
            }
        }
    }
}

/// A file in which `own::F` with one input and one output is called once.
fn calling(functions: Builder, settings: &[(&str, Setting)]) -> Builder {
    functions
        .input("x", &[None, Some(2)])
        .output("y")
        .node("own::F", &["x"], &["y"], settings)
}

fn one_to_one() -> Builder {
    Builder::default().input("x", &[]).output("y")
}

#[test]
fn functions_that_are_not_as_they_should_be_are_refused() {
    let itself = one_to_one().node("own::F", &["x"], &["y"], &[]);
    let other = |name: &str| one_to_one().node(name, &["x"], &["y"], &[]);
    let two = one_to_one().node("Relu", &["x"], &["y"], &[]);
    let more = Builder::default()
        .output("y")
        .node("Relu", &["x"], &["y"], &[]);
    // Each calls the next one twice: 2^40 nodes.
    let bomb = (0..40).fold(Builder::default(), |builder, depth| {
        let (name, next) = (format!("own::F{depth}"), format!("own::F{}", depth + 1));
        let name = if depth == 0 { "own::F" } else { &name };
        let body = one_to_one()
            .node(&next, &["x"], &["p"], &[])
            .node(&next, &["p"], &["y"], &[]);
        builder.function(name, 17, &[], &[], body)
    });
    let deep = (0..100).fold(Builder::default(), |builder, depth| {
        let (name, next) = (format!("own::F{depth}"), format!("own::F{}", depth + 1));
        let name = if depth == 0 { "own::F" } else { &name };
        builder.function(name, 17, &[], &[], other(&next))
    });
    let define = |builder: Builder, name: &str, body| builder.function(name, 17, &[], &[], body);
    let refused = [
        (
            calling(define(Builder::default(), "own::F", itself), &[]),
            "calls itself",
        ),
        (
            calling(
                define(
                    define(Builder::default(), "own::F", other("own::G")),
                    "own::G",
                    other("own::F"),
                ),
                &[],
            ),
            "calls itself",
        ),
        (
            calling(
                define(
                    define(Builder::default(), "own::F", two.clone()),
                    "own::F",
                    two.clone(),
                ),
                &[],
            ),
            "two functions",
        ),
        (
            calling(
                define(Builder::default(), "own::F", two),
                &[("slope", Setting::Float(1.0))],
            ),
            "no setting \"slope\"",
        ),
        (
            calling(define(Builder::default(), "own::F", more), &[]),
            "1 inputs, but it has 0",
        ),
        (calling(bomb, &[]), "more memory"),
        (calling(deep, &[]), "60 deep"),
    ];
    for (file, part) in refused {
        let error = read(file).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains('F'), "{error}");
    }
    let alone = Builder::default()
        .input("x", &[None, Some(2)])
        .output("y")
        .node(
            "LeakyRelu",
            &["x"],
            &["y"],
            &[("alpha", Setting::Of("slope"))],
        );
    let error = read(alone).unwrap_err().to_string();
    assert!(error.contains("in no function"), "{error}");
}
