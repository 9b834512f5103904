//! Recurrent layers are captured, for a length of sequence: each weight is one layer, which multiplies in every step.

use burn::module::Module;
use burn::nn::{
    BiGru, BiGruConfig, BiLstm, BiLstmConfig, Gru, GruConfig, Linear, LinearConfig, Lstm,
    LstmConfig,
};
use burn::prelude::*;
use burn::tensor::activation::{sigmoid, tanh};
use burn_approx::convert::{
    ApproxConfig, GraphModel, LayerRule, approx_layers, calibrate, capture, convert,
};
use burn_approx::plan::PlanChoice;
use burn_approx::{Mode, load, save};

use crate::models::{Subject, tensor, values};

const STEPS: usize = 4;
const FEATURES: usize = 6;
const HIDDEN: usize = 5;

/// The paths of the layers of these gates.
fn gates(names: &[&str]) -> Vec<String> {
    let transforms = |gate: &&str| {
        ["input_transform", "hidden_transform"].map(|transform| format!("{gate}.{transform}"))
    };
    names.iter().flat_map(transforms).collect()
}

const LSTM: [&str; 4] = ["input_gate", "forget_gate", "output_gate", "cell_gate"];
const GRU: [&str; 3] = ["update_gate", "reset_gate", "new_gate"];

fn both_ways(gates: Vec<String>) -> Vec<String> {
    let direction = |name: &'static str| gates.iter().map(move |gate| format!("{name}.{gate}"));
    direction("forward").chain(direction("reverse")).collect()
}

fn sequences(rows: usize, device: &Device) -> Tensor<3> {
    tensor([rows, STEPS, FEATURES], 31, device)
}

fn lstm() -> Subject<Lstm, Tensor<3>> {
    Subject {
        build: |device| LstmConfig::new(FEATURES, HIDDEN, true).init(device),
        input: sequences,
        forward: |model, x| model.forward(x, None).0.flatten(1, 2),
        layers: gates(&LSTM),
    }
}

/// Without biases, the forget gate taken from the input gate.
fn coupled_lstm() -> Subject<Lstm, Tensor<3>> {
    Subject {
        build: |device| {
            LstmConfig::new(FEATURES, HIDDEN, false)
                .with_input_forget(true)
                .with_reverse(true)
                .init(device)
        },
        input: sequences,
        forward: |model, x| model.forward(x, None).0.flatten(1, 2),
        layers: gates(&["input_gate", "output_gate", "cell_gate"]),
    }
}

fn bidirectional_lstm() -> Subject<BiLstm, Tensor<3>> {
    Subject {
        build: |device| BiLstmConfig::new(FEATURES, HIDDEN, true).init(device),
        input: sequences,
        forward: |model, x| model.forward(x, None).0.flatten(1, 2),
        layers: both_ways(gates(&LSTM)),
    }
}

fn gru() -> Subject<Gru, Tensor<3>> {
    Subject {
        build: |device| GruConfig::new(FEATURES, HIDDEN, true).init(device),
        input: sequences,
        forward: |model, x| model.forward(x, None).flatten(1, 2),
        layers: gates(&GRU),
    }
}

/// With the reset gate before the product, and without biases.
fn resetting_gru() -> Subject<Gru, Tensor<3>> {
    Subject {
        build: |device| {
            GruConfig::new(FEATURES, HIDDEN, false)
                .with_reset_after(false)
                .init(device)
        },
        input: sequences,
        forward: |model, x| model.forward(x, None).flatten(1, 2),
        layers: gates(&GRU),
    }
}

fn bidirectional_gru() -> Subject<BiGru, Tensor<3>> {
    Subject {
        build: |device| BiGruConfig::new(FEATURES, HIDDEN, true).init(device),
        input: sequences,
        forward: |model, x| model.forward(x, None).0.flatten(1, 2),
        layers: both_ways(gates(&GRU)),
    }
}

macro_rules! every_kind {
    ($($test:ident $subject:ident)+) => {
        $(
            #[test]
            fn $test() {
                gates_are_layers($subject());
            }
        )+
    };
}

every_kind! {
    gates_of_an_lstm lstm
    gates_of_a_coupled_lstm coupled_lstm
    gates_of_a_bidirectional_lstm bidirectional_lstm
    gates_of_a_gru gru
    gates_of_a_resetting_gru resetting_gru
    gates_of_a_bidirectional_gru bidirectional_gru
}

/// In float the outputs are Burn's; the table and its factors agree, layer by layer and as a whole.
fn gates_are_layers<M: Module>(subject: Subject<M, Tensor<3>>) {
    let device = crate::device();
    let model = subject.model(&device);
    let captured = subject.capture(&model);
    let float = |rows| values((subject.forward)(&model, sequences(rows, &device)));
    for rows in [1, 2, 5] {
        assert_eq!(
            values(captured.forward(sequences(rows, &device))),
            float(rows)
        );
    }
    let layers = approx_layers(&captured);
    let mut paths: Vec<_> = layers
        .iter()
        .map(|layer| layer.path().to_string())
        .collect();
    let mut expected = subject.layers.clone();
    paths.sort();
    expected.sort();
    assert_eq!(paths, expected);
    let (captured, _) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    calibrate(&captured, |model| {
        drop(model.forward(sequences(8, &device)))
    })
    .unwrap();
    let output = || values(captured.forward(sequences(5, &device)));
    let factors = output();
    assert_ne!(factors, float(5));
    let layers = approx_layers(&captured);
    layers
        .iter()
        .for_each(|layer| layer.set_plan(PlanChoice::Gather).unwrap());
    assert_eq!(output(), factors);
    // Every one of them has its part in the outputs.
    for layer in layers.iter() {
        layer.set_mode(Mode::Baseline).unwrap();
        assert_ne!(output(), factors, "{}", layer.path());
        layer.set_mode(Mode::Approximate).unwrap();
    }
    layers.set_mode(Mode::Baseline).unwrap();
    assert_eq!(output(), float(5));
}

/// A gate of drop-in layers, with the paths of Burn's.
#[derive(Module, Debug)]
struct Gate {
    input_transform: burn_approx::nn::Linear,
    hidden_transform: burn_approx::nn::Linear,
}

impl Gate {
    fn new(device: &Device) -> Self {
        let linear = |inputs| burn_approx::nn::LinearConfig::new(inputs, HIDDEN).init(device);
        Self {
            input_transform: linear(FEATURES),
            hidden_transform: linear(HIDDEN),
        }
    }

    fn forward(&self, input: &Tensor<2>, hidden: &Tensor<2>) -> Tensor<2> {
        self.input_transform.forward(input.clone()) + self.hidden_transform.forward(hidden.clone())
    }
}

/// An LSTM written with drop-in layers.
#[derive(Module, Debug)]
struct Loop {
    input_gate: Gate,
    forget_gate: Gate,
    output_gate: Gate,
    cell_gate: Gate,
}

impl Loop {
    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let rows = x.dims()[0];
        let mut hidden = Tensor::<2>::zeros([rows, HIDDEN], &x.device());
        let mut cell = hidden.clone();
        let mut outputs = Vec::new();
        for step in 0..STEPS {
            let input = x.clone().narrow(1, step, 1).squeeze_dim(1);
            let gate = |gate: &Gate| sigmoid(gate.forward(&input, &hidden));
            let candidate = tanh(self.cell_gate.forward(&input, &hidden));
            cell = gate(&self.forget_gate) * cell + gate(&self.input_gate) * candidate;
            hidden = gate(&self.output_gate) * tanh(cell.clone());
            outputs.push(hidden.clone());
        }
        Tensor::cat(outputs, 1)
    }
}

/// A captured LSTM, saved and loaded into a loop over drop-in layers, gives the loop its numbers, and takes the loop's
/// ranges.
#[test]
fn a_captured_lstm_is_a_loop_over_layers() {
    let device = crate::device();
    let subject = lstm();
    let captured = subject.capture(&subject.model(&device));
    let (captured, _) = convert(captured, &ApproxConfig::bundled("mul8s_1KVA")).unwrap();
    calibrate(&captured, |model| {
        drop(model.forward(sequences(8, &device)))
    })
    .unwrap();
    let expected = values(captured.forward(sequences(5, &device)));
    let directory = tempfile::tempdir().unwrap();
    save(&captured, directory.path()).unwrap();
    let gate = || Gate::new(&device);
    let steps = Loop {
        input_gate: gate(),
        forget_gate: gate(),
        output_gate: gate(),
        cell_gate: gate(),
    };
    let steps = load(steps, directory.path()).unwrap();
    assert_eq!(values(steps.forward(sequences(5, &device))), expected);
    // Ranges are those of all steps together.
    calibrate(&steps, |model| drop(model.forward(sequences(8, &device)))).unwrap();
    assert_eq!(values(steps.forward(sequences(5, &device))), expected);
}

/// A network of words: an LSTM between layers, its state handed over.
#[derive(Module, Debug)]
struct Tagger {
    embed: Linear,
    recurrent: Lstm,
    head: Linear,
}

type Captured = GraphModel<Tagger, Tensor<3>, Tensor<2>>;

#[test]
fn recurrent_layers_are_part_of_a_network_and_train() {
    use burn::optim::{AdamConfig, GradientsParams};
    let device = crate::device().autodiff();
    device.seed(7);
    let model = Tagger {
        embed: LinearConfig::new(3, FEATURES).init(&device),
        recurrent: LstmConfig::new(FEATURES, HIDDEN, true).init(&device),
        head: LinearConfig::new(HIDDEN, 2).init(&device),
    };
    let words = || tensor([6, STEPS, 3], 12, &device);
    let forward = |model: &Tagger, x: Tensor<3>| {
        let (_, state) = model.recurrent.forward(model.embed.forward(x), None);
        model.head.forward(state.hidden)
    };
    let captured: Captured =
        capture(&model, tensor([2, STEPS, 3], 1, &crate::device()), forward).unwrap();
    let config = ApproxConfig::bundled("mul8s_1L2J")
        .with_rule(LayerRule::path("recurrent.*.hidden_transform").with_mode(Mode::Quantized));
    let (mut captured, report) = convert(captured, &config).unwrap();
    assert_eq!(report.converted.len(), 1 + 8 + 1);
    calibrate(&captured, |model| drop(model.forward(words()))).unwrap();
    let target = tensor([6, 2], 13, &device);
    let mut optimizer = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..=50 {
        let loss = (captured.forward(words()) - target.clone()).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &captured);
        captured = optimizer.step(3e-2, captured, gradients);
    }
    assert!(losses[50] <= losses[0] / 2.0, "{losses:?}");
}
