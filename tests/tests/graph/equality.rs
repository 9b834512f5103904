//! The captured model computes what the original computes: outputs bit for bit, gradients too.

use burn::module::{Lora, Module, ModuleVisitor, Param};
use burn::nn::attention::generate_autoregressive_mask;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderInput};
use burn::prelude::*;
use burn_approx::convert::{GraphTensors, approx_layers, capture};

use crate::models::{Subject, perceptron, tensor, transformer_encoder, values};

/// Bit for bit, at the captured batch size and at others, and the original is what it was.
fn outputs_equal<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device();
    let model = subject.model(&device);
    let output = |model: &M, rows| values((subject.forward)(model, (subject.input)(rows, &device)));
    let before: Vec<_> = [1, 2, 3, 7, 16].map(|rows| output(&model, rows)).into();
    let captured = subject.capture(&model);
    for (rows, expected) in [1, 2, 3, 7, 16].into_iter().zip(&before) {
        let input = (subject.input)(rows, &device);
        assert_eq!(&values(captured.forward(input)), expected, "{rows} rows");
        assert_eq!(&output(&model, rows), expected, "the original, {rows} rows");
    }
    assert_eq!(model.devices(), [device]);
}

on_every_model!(outputs_equal);

#[derive(Default)]
struct Gradients<'a> {
    path: Vec<String>,
    gradients: Option<&'a burn::tensor::Gradients>,
    found: Vec<(String, Vec<f32>)>,
}

impl ModuleVisitor for Gradients<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradients = self.gradients.expect("set before the visit");
        if let Some(gradient) = param.val().grad(gradients) {
            self.found.push((self.path.join("."), values(gradient)));
        }
    }
}

/// The gradients of all parameters for a fixed combination of the outputs.
fn gradients<M: Module>(model: &M, output: Tensor<2>) -> Vec<(String, Vec<f32>)> {
    let loss = (output.clone() * tensor(output.dims(), 9, &output.device())).sum();
    let gradients = loss.backward();
    let mut visitor = Gradients {
        gradients: Some(&gradients),
        ..Gradients::default()
    };
    model.visit(&mut visitor);
    visitor.found
}

fn gradients_agree<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device().autodiff();
    // Gradients, but normalisation by running statistics and no dropout, as captured.
    let model = subject.model(&device).freeze().set_require_grad(true);
    let captured = subject.capture(&model);
    let input = |rows| (subject.input)(rows, &device);
    for rows in [3, 8] {
        let expected = gradients(&model, (subject.forward)(&model, input(rows)));
        let found = gradients(&captured, captured.forward(input(rows)));
        assert!(!expected.is_empty());
        assert_eq!(found.len(), expected.len());
        for ((path, expected), (other, found)) in expected.iter().zip(&found) {
            assert_eq!(path, other);
            let largest = expected
                .iter()
                .fold(0.0f32, |all, value| all.max(value.abs()));
            for (expected, found) in expected.iter().zip(found) {
                let difference = (expected - found).abs();
                assert!(
                    difference <= 1e-6 * largest,
                    "{path}: {found} for {expected}"
                );
            }
        }
    }
}

on_every_model!(gradients_agree);

/// Inputs of several kinds, and masks made in the forward pass for its batch.
#[test]
fn masks_given_and_made_are_captured() {
    let device = crate::device();
    let subject = transformer_encoder();
    let model = subject.model(&device);
    type Inputs = (Tensor<3>, Tensor<2, Bool>);
    let forward = |model: &TransformerEncoder, (x, padding): Inputs| {
        let [batch, length, _] = x.dims();
        let causal = generate_autoregressive_mask(batch, length, &x.device());
        let input = TransformerEncoderInput::new(x).mask_pad(padding);
        model.forward(input.mask_attn(causal)).flatten::<2>(0, 1)
    };
    let inputs = |rows: usize| {
        let padding = tensor([rows, 6], 21, &device).greater_elem(0.5);
        ((subject.input)(rows, &device), padding)
    };
    let captured = capture(&model, inputs(2), forward).unwrap();
    for rows in [1, 2, 9] {
        let expected = values(forward(&model, inputs(rows)));
        assert_eq!(
            values(captured.forward(inputs(rows))),
            expected,
            "{rows} rows"
        );
    }
}

/// A weight that Burn computes from a base and a low-rank adapter is one layer, and the adapter is what trains.
#[test]
fn low_rank_adapters_are_part_of_the_weight() {
    let device = crate::device().autodiff();
    let subject = perceptron();
    let model = subject.model(&device).apply_lora(Lora::new(2, 4.0));
    let captured = subject.capture(&model);
    let input = || (subject.input)(4, &device);
    let expected = values((subject.forward)(&model, input()));
    assert_eq!(values(captured.forward(input())), expected);
    let layers = approx_layers(&captured);
    let paths: Vec<_> = layers.iter().map(|layer| layer.path()).collect();
    assert_eq!(paths, subject.layers);
    let trained: Vec<_> = (gradients(&captured, captured.forward(input())).into_iter())
        .map(|(path, _)| path)
        .collect();
    let original: Vec<_> = (gradients(&model, (subject.forward)(&model, input())).into_iter())
        .map(|(path, _)| path)
        .collect();
    assert_eq!(trained, original);
    assert!(
        !trained.contains(&"output.weight".to_string()),
        "{trained:?}"
    );
}
