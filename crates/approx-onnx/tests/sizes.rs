//! Small files that ask for tensors beyond all memory: the node that would make one refuses, before memory is taken.

mod common;

use approx_onnx::OnnxModel;
use burn::prelude::*;
use burn_approx::AnyTensor;
use common::{Builder, Setting};

const FAR: i64 = 1 << 40;

/// A graph from an input of 1 x 1 x 2 x 2 floats to one output.
fn graph() -> Builder {
    Builder::default()
        .input("x", &[Some(1), Some(1), Some(2), Some(2)])
        .output("y")
}

fn run(file: Builder) -> Result<Vec<AnyTensor>, String> {
    let device = Device::flex();
    let model = OnnxModel::from_bytes(file.bytes(18), &device).unwrap();
    let input = Tensor::<4>::ones([1, 1, 2, 2], &device);
    model.forward(input).map_err(|error| error.to_string())
}

#[track_caller]
fn assert_refused(file: Builder, expected: &str) {
    let error = run(file).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

const LARGE: &str = "which is too large";

#[test]
fn tensors_beyond_memory_are_refused() {
    let expanded =
        graph()
            .ints("shape", &[4], &[FAR, 1, 2, 2])
            .node("Expand", &["x", "shape"], &["y"], &[]);
    assert_refused(expanded, LARGE);
    let repeated =
        graph()
            .ints("times", &[4], &[FAR, FAR, 1, 1])
            .node("Tile", &["x", "times"], &["y"], &[]);
    assert_refused(repeated, LARGE);
    for mode in ["constant", "edge", "wrap"] {
        let padded = graph()
            .ints("sides", &[8], &[0, 0, 0, FAR, 0, 0, 0, i64::MAX])
            .node(
                "Pad",
                &["x", "sides"],
                &["y"],
                &[("mode", Setting::Text(mode))],
            );
        assert_refused(padded, LARGE);
    }
    let resized = graph().ints("sizes", &[4], &[1, 1, FAR, 2]).node(
        "Resize",
        &["x", "", "", "sizes"],
        &["y"],
        &[],
    );
    assert_refused(resized, LARGE);
    let windows = |operator, settings: &[(&str, Setting)]| {
        graph()
            .weight("w", &[1, 1, 1, 1], &[1.0])
            .node(operator, &["x", "w"], &["y"], settings)
    };
    let many = || Setting::Ints(vec![i32::MAX.into(); 2]);
    let sides = || Setting::Ints(vec![i32::MAX.into(); 4]);
    assert_refused(windows("Conv", &[("pads", sides())]), LARGE);
    assert_refused(windows("ConvTranspose", &[("strides", many())]), LARGE);
    assert_refused(windows("ConvTranspose", &[("output_shape", many())]), LARGE);
    let beyond = Setting::Ints(vec![FAR; 2]);
    assert_refused(windows("Conv", &[("dilations", beyond)]), "numbers from 0");
    let parts = graph().node(
        "Split",
        &["x"],
        &["y"],
        &[
            ("axis", Setting::Int(3)),
            ("num_outputs", Setting::Int(FAR)),
        ],
    );
    assert_refused(parts, "parts of an axis");
}

/// Each node takes the tensor of the one before several times: after a few of them it is beyond memory.
#[test]
fn tensors_that_grow_from_node_to_node_are_refused() {
    let mut joined = graph();
    let names: Vec<String> = (0..4).map(|step| format!("joined{step}")).collect();
    let mut last = "x";
    for name in &names {
        let axis = [("axis", Setting::Int(2))];
        joined = joined.node("Concat", &[last; 1024], &[name], &axis);
        last = name;
    }
    assert_refused(joined.node("Relu", &[last], &["y"], &[]), LARGE);

    let column_and_row = |side: i64| {
        graph()
            .ints("column", &[2], &[side, 1])
            .ints("row", &[2], &[1, side])
            .ints("one", &[1], &[1])
            .node("ReduceMean", &["x"], &["s"], &[])
            .node("Reshape", &["s", "one"], &["o"], &[])
            .node("Expand", &["o", "column"], &["c"], &[])
            .node("Expand", &["o", "row"], &["r"], &[])
    };
    for operator in ["Add", "MatMul", "Less"] {
        let product = column_and_row(1 << 20).node(operator, &["c", "r"], &["y"], &[]);
        assert_refused(product, LARGE);
    }
    let rows = graph()
        .ints("shape", &[2], &[1, 1 << 20])
        .ints("one", &[1], &[1])
        .raw("zero", 7, &[], 0_i64.to_le_bytes().to_vec())
        .node("ReduceMean", &["x"], &["s"], &[])
        .node("Reshape", &["s", "one"], &["o"], &[])
        .node("Expand", &["o", "shape"], &["e"], &[])
        .node("Expand", &["zero", "shape"], &["indices"], &[])
        .node("Gather", &["e", "indices"], &["y"], &[]);
    assert_refused(rows, LARGE);
}

/// Channels that are not there add nothing.
#[test]
fn normalisation_over_more_channels_than_there_are_is_computed() {
    let normalized = |size| {
        let file = graph().node("LRN", &["x"], &["y"], &[("size", Setting::Int(size))]);
        run(file).unwrap().remove(0).into_data()
    };
    let expected = 1.0 / (1.0_f32 + 1e-4 / 3.0).powf(0.75);
    let expected = TensorData::new(vec![expected; 4], [1, 1, 2, 2]);
    let tolerance = burn::tensor::Tolerance::<f32>::absolute(1e-6);
    normalized(3).assert_approx_eq(&expected, tolerance);
    let expected = TensorData::new(vec![1.0_f32; 4], [1, 1, 2, 2]);
    normalized(FAR).assert_approx_eq(&expected, tolerance);
}
