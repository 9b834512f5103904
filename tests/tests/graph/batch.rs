//! Captured at one batch size, run at any other: what follows the batch does, and what cannot is an error that names
//! it.

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn_approx::ApproxError;
use burn_approx::convert::{GraphModel, GraphTensors, capture};

use crate::models::{tensor, values};

#[derive(Module, Debug)]
struct Layer {
    layer: Linear,
}

fn layer(inputs: usize, outputs: usize, device: &Device) -> Layer {
    Layer {
        layer: LinearConfig::new(inputs, outputs).init(device),
    }
}

/// Compares a captured forward pass with the original at many batch sizes.
fn equal_at_every_size<const D: usize>(
    model: &Layer,
    input: impl Fn(usize) -> Tensor<D>,
    forward: impl Fn(&Layer, Tensor<D>) -> Tensor<2>,
) {
    for captured_at in [1, 3, 8] {
        let captured = capture(model, input(captured_at), &forward).unwrap();
        for rows in [1, 2, 3, 5, 8, 13, 16, 31, 64, 200] {
            let expected = values(forward(model, input(rows)));
            let found = values(captured.forward(input(rows)));
            assert_eq!(found, expected, "captured at {captured_at}, {rows} rows");
        }
    }
}

/// Burn writes the layer as a batched product or as one product of rows, as suits the sizes; so does the captured one.
#[test]
fn a_linear_layer_follows_burns_choice_of_form() {
    let device = crate::device();
    for (length, inputs, outputs) in [(7, 16, 24), (1, 12, 40), (32, 8, 64), (50, 8, 6)] {
        let model = layer(inputs, outputs, &device);
        let input = |rows| tensor([rows, length, inputs], 3, &device);
        equal_at_every_size(&model, input, |model, x| {
            model.layer.forward(x).flatten(0, 1)
        });
    }
}

/// A model that folds the batch itself does so at every size, also where Burn would not.
#[test]
fn a_fold_of_the_models_own_stays() {
    let device = crate::device();
    for (length, inputs, outputs) in [(7, 16, 24), (1, 12, 40), (32, 8, 64), (50, 8, 6)] {
        let model = layer(inputs, outputs, &device);
        let input = |rows| tensor([rows, length, inputs], 3, &device);
        equal_at_every_size(&model, input, |model, x| {
            let [rows, length, inputs] = x.dims();
            let x = model.layer.forward(x.reshape([rows * length, inputs]));
            let outputs = x.dims()[1];
            x.reshape([rows, length, outputs]).flatten(0, 1)
        });
    }
}

/// A product over broadcast weights, written by hand, stays one.
#[test]
fn a_batched_product_of_the_models_own_stays() {
    let device = crate::device();
    for (length, inputs, outputs) in [(7, 16, 24), (1, 12, 40), (32, 8, 64), (50, 8, 6)] {
        let model = layer(inputs, outputs, &device);
        let input = |rows| tensor([rows, length, inputs], 3, &device);
        equal_at_every_size(&model, input, |model, x| {
            x.matmul(model.layer.weight.val().unsqueeze()).flatten(0, 1)
        });
    }
}

/// Zeros, repetitions, ranges and windows that grow with the batch.
#[test]
fn sizes_that_follow_the_batch_do() {
    let device = crate::device();
    let model = layer(6, 6, &device);
    let input = |rows| tensor([rows, 4, 6], 5, &device);
    equal_at_every_size(&model, input, |model, x| {
        let [rows, length, size] = x.dims();
        let token = Tensor::<3>::full([1, 1, size], 0.5, &x.device()).repeat_dim(0, rows);
        let zeros = Tensor::zeros([rows, 2, size], &x.device());
        let x = Tensor::cat(vec![token, x, zeros], 1);
        let x = x.reshape([rows * (length + 3), size]);
        let x = model.layer.forward(x).slice(s![0..rows * 3, ..]);
        x.reshape([rows, 3, size]).flip([0]).flatten(0, 1)
    });
}

/// What grows or shrinks with the batch limits it.
#[test]
fn batches_for_which_a_size_would_be_negative_are_refused() {
    let device = crate::device();
    let model = layer(6, 6, &device);
    let forward = |model: &Layer, x: Tensor<2>| {
        let rows = x.dims()[0];
        let padding = Tensor::zeros([10 - rows, 6], &x.device());
        model
            .layer
            .forward(Tensor::cat(vec![x.slice(s![1..rows, ..]), padding], 0))
    };
    let captured = capture(&model, tensor([4, 6], 1, &device), forward).unwrap();
    for rows in [2, 9] {
        let x = tensor([rows, 6], 1, &device);
        let expected = values(forward(&model, x.clone()));
        assert_eq!(values(captured.forward(x)), expected);
    }
    let error = captured
        .try_forward(tensor([11, 6], 1, &device))
        .unwrap_err();
    assert!(error.to_string().contains("at most 10"), "{error}");
}

fn refused<I: GraphTensors>(
    result: Result<GraphModel<Layer, I, Tensor<2>>, ApproxError>,
) -> String {
    let error = result.unwrap_err();
    assert!(
        matches!(error, ApproxError::BatchDependent { .. }),
        "{error}"
    );
    error.to_string()
}

#[test]
fn what_cannot_follow_the_batch_is_named() {
    let device = crate::device();
    let model = layer(6, 6, &device);
    let x = || tensor([4, 6], 1, &device);
    let scaled = |model: &Layer, x: Tensor<2>| {
        let rows = x.dims()[0] as f32;
        model.layer.forward(x) / rows
    };
    let text = refused(capture(&model, x(), scaled));
    assert!(text.contains("NumericFloat DivScalar"), "{text}");
    assert!(text.contains("`layer.bias`"), "{text}");

    let counted = |model: &Layer, x: Tensor<2>| {
        let rows = x.dims()[0] as i64;
        let numbers = Tensor::<1, Int>::arange(0..rows, &x.device()).float();
        model.layer.forward(x) + numbers.unsqueeze_dim(1)
    };
    let text = refused(capture(&model, x(), counted));
    assert!(text.contains("Int IntoFloat"), "{text}");

    let squared = |model: &Layer, x: Tensor<2>| {
        let rows = x.dims()[0];
        model.layer.forward(x).repeat_dim(0, rows)
    };
    let text = refused(capture(&model, x(), squared));
    assert!(text.contains("RepeatDim"), "{text}");

    let branching = |model: &Layer, x: Tensor<2>| match x.dims()[0] % 2 {
        0 => model.layer.forward(x).exp(),
        _ => model.layer.forward(x),
    };
    let text = refused(capture(&model, x(), branching));
    assert!(text.contains("Float Exp"), "{text}");
}
