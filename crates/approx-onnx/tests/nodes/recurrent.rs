//! Recurrent layers of files whose graph makes the first state for the batch that it is given.

use approx_onnx::OnnxModel;
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};
use burn_approx::approx_layers;

use crate::common::{Builder, Setting};

fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|place| ((place * 31 + 7) % 19) as f32 / 19.0 - 0.5)
        .collect()
}

/// An `RNN` of 3 inputs and 2 states, which start as `first` for every row of the batch, as PyTorch writes it.
fn file(first: f32) -> Builder {
    Builder::default()
        .input("x", &[None, Some(4), Some(3)])
        .output("y")
        .weight("rnn.weight_ih", &[1, 2, 3], &numbers(6))
        .weight("rnn.weight_hh", &[1, 2, 2], &numbers(4))
        .ints("place", &[1], &[1])
        .ints("before", &[1], &[1])
        .ints("after", &[1], &[2])
        .raw("first", 1, &[], first.to_le_bytes().to_vec())
        .node(
            "Transpose",
            &["x"],
            &["turned"],
            &[("perm", Setting::Ints(vec![1, 0, 2]))],
        )
        .node("Shape", &["turned"], &["sizes"], &[])
        .node("Gather", &["sizes", "place"], &["batch"], &[])
        .node(
            "Concat",
            &["before", "batch", "after"],
            &["shape"],
            &[("axis", Setting::Int(0))],
        )
        .node("Expand", &["first", "shape"], &["state"], &[])
        .node(
            "RNN",
            &["turned", "rnn.weight_ih", "rnn.weight_hh", "", "", "state"],
            &["all"],
            &[("hidden_size", Setting::Int(2))],
        )
        .ints("shape of all", &[3], &[4, -1, 2])
        .node("Reshape", &["all", "shape of all"], &["steps"], &[])
        .node(
            "Transpose",
            &["steps"],
            &["y"],
            &[("perm", Setting::Ints(vec![1, 0, 2]))],
        )
}

#[test]
fn a_first_state_that_is_made_for_the_batch_does_for_every_batch_when_captured() {
    for first in [0.0, 0.3] {
        let model = OnnxModel::from_bytes(file(first).bytes(17), &Device::flex()).unwrap();
        let x = |batch| {
            let shape = [batch, 4, 3];
            Tensor::<3>::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
        };
        let captured = model.capture::<Tensor<3>, Tensor<3>>(x(3)).unwrap();
        assert_eq!(approx_layers(&captured).len(), 2);
        for batch in [1, 2, 5, 11] {
            let x = x(batch);
            let run: Tensor<3> = model.forward(x.clone()).unwrap();
            let expected = by_hand(&x.to_data().iter().collect::<Vec<f32>>(), batch, first);
            let expected = TensorData::new(expected, [batch, 4, 2]);
            for found in [run, captured.forward(x)] {
                let found = found.into_data();
                found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
            }
        }
    }
}

/// The states after every step.
fn by_hand(x: &[f32], batch: usize, first: f32) -> Vec<f32> {
    let (input, recurrent) = (numbers(6), numbers(4));
    let mut all = Vec::new();
    for row in 0..batch {
        let mut state = [first; 2];
        for step in 0..4 {
            let own = &x[(row * 4 + step) * 3..][..3];
            let dot = |left: &[f32], right: &[f32]| -> f32 {
                left.iter()
                    .zip(right)
                    .map(|(left, right)| left * right)
                    .sum()
            };
            state = [0, 1].map(|unit| {
                let sum =
                    dot(&input[unit * 3..][..3], own) + dot(&recurrent[unit * 2..][..2], &state);
                sum.tanh()
            });
            all.extend(state);
        }
    }
    all
}
