//! A weight on the left of a matrix product is a linear layer of the transposed activation: in float the product is
//! computed as it is written, simulated it has the numbers of the drop-in between two transpositions.

use burn::module::Param;
use burn::nn::Linear;
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn_approx::Mode;
use burn_approx::convert::{ApproxConfig, GraphModel, approx_layers, calibrate, capture, convert};
use burn_approx::multipliers::{MultiplierSource, OperandFormat};
use burn_approx::nn::LayerKind;

use crate::models::{tensor, values};

/// Mixes the tokens of a sentence, then the features of each token.
#[derive(Module, Debug)]
struct Mixer {
    /// `[tokens of the output, tokens]`
    tokens: Param<Tensor<2>>,
    features: Linear,
}

fn matrix<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(tensor(shape, seed, device))
}

impl Mixer {
    fn new(device: &Device) -> Self {
        let features = Linear {
            weight: matrix([4, 3], 2, device),
            bias: Some(matrix([3], 3, device)),
        };
        Self {
            tokens: matrix([5, 6], 1, device),
            features,
        }
    }

    /// `[batch, 6 tokens, 4]` to `[batch, 5 tokens, 3]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let mixed = self.tokens.val().unsqueeze::<3>().matmul(x);
        self.features.forward(relu(mixed))
    }
}

/// That function, of drop-in layers.
#[derive(Module, Debug)]
struct DropIns {
    tokens: burn_approx::nn::Linear,
    features: burn_approx::nn::Linear,
}

impl DropIns {
    fn of(mixer: &Mixer) -> Self {
        let tokens = Linear {
            weight: mixer.tokens.clone().map(|weight| {
                let trained = weight.is_require_grad();
                weight.transpose().detach().set_require_grad(trained)
            }),
            bias: None,
        };
        Self {
            tokens: tokens.into(),
            features: mixer.features.clone().into(),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let mixed = self.tokens.forward(x.transpose()).transpose();
        self.features.forward(relu(mixed))
    }
}

fn sentences(rows: usize, device: &Device) -> Tensor<3> {
    tensor([rows, 6, 4], 9, device)
}

type Captured = GraphModel<Mixer, Tensor<3>, Tensor<3>>;

/// Both, converted and calibrated on the same sentences.
fn simulated(mixer: &Mixer, device: &Device) -> (DropIns, Captured) {
    let config = ApproxConfig::bundled("mul8s_1KVA");
    let example = sentences(2, &device.clone().without_autodiff());
    let captured = capture(mixer, example, Mixer::forward).unwrap();
    let (captured, report) = convert(captured, &config).unwrap();
    assert_eq!(report.converted, ["tokens", "features"]);
    let (ours, _) = convert(DropIns::of(mixer), &config).unwrap();
    calibrate(&ours, |model| drop(model.forward(sentences(16, device)))).unwrap();
    calibrate(&captured, |model| {
        drop(model.forward(sentences(16, device)))
    })
    .unwrap();
    (ours, captured)
}

#[test]
fn in_float_it_is_the_product_as_written() {
    let device = crate::device();
    let mixer = Mixer::new(&device);
    let captured = capture(&mixer, sentences(3, &device), Mixer::forward).unwrap();
    for rows in [1, 2, 7] {
        let expected = values(mixer.forward(sentences(rows, &device)));
        let found = captured.forward(sentences(rows, &device));
        assert_eq!(values(found), expected, "{rows} rows");
    }
    let layers = approx_layers(&captured);
    assert_eq!(layers[0].kind(), LayerKind::Linear);
    assert_eq!(layers[0].shape().weight, [6, 5]);
    // Five sums of six products for each of four features.
    assert_eq!(layers[0].multiplications(), Some(5 * 6 * 4));
}

#[test]
fn simulated_it_is_the_drop_in_of_both_transposed() {
    let device = crate::device();
    let (ours, captured) = simulated(&Mixer::new(&device), &device);
    for mode in [Mode::Approximate, Mode::Quantized] {
        approx_layers(&ours).set_mode(mode).unwrap();
        approx_layers(&captured).set_mode(mode).unwrap();
        for rows in [1, 5] {
            let expected = values(ours.forward(sentences(rows, &device)));
            let found = captured.forward(sentences(rows, &device));
            assert_eq!(values(found), expected, "{mode}, {rows} rows");
        }
    }
}

#[test]
fn gradients_are_the_drop_ins() {
    let device = crate::device().autodiff();
    let mixer = Mixer::new(&device);
    let (ours, captured) = simulated(&mixer, &device);
    let loss = |output: Tensor<3>| {
        let factor = tensor(output.dims(), 5, &device);
        (output * factor).sum().backward()
    };
    let expected = loss(ours.forward(sentences(4, &device)));
    let found = loss(captured.forward(sentences(4, &device)));
    let expected = ours.tokens.weight.val().grad(&expected).unwrap();
    let found = captured.into_original().tokens.val().grad(&found).unwrap();
    let [expected, found] = [expected.transpose(), found].map(values);
    assert!(expected.iter().any(|value| *value != 0.0));
    for (found, expected) in found.iter().zip(&expected) {
        let tolerance = 1e-5 * expected.abs().max(1.0);
        assert!(
            (found - expected).abs() <= tolerance,
            "{found} for {expected}"
        );
    }
}

/// A weight and a shift, as plain parameters.
#[derive(Module, Debug)]
struct Bare {
    square: Param<Tensor<2>>,
    shift: Param<Tensor<1>>,
}

fn bare(device: &Device) -> Bare {
    Bare {
        square: matrix([6, 6], 1, device),
        shift: matrix([6], 2, device),
    }
}

/// One weight on either side of an activation has its channels along one axis here and the other there: two layers.
#[test]
fn a_weight_on_either_side_is_two_layers() {
    let device = crate::device();
    let model = bare(&device);
    let forward = |model: &Bare, x: Tensor<3>| {
        let square = || model.square.val().unsqueeze::<3>();
        square().matmul(x.matmul(square()))
    };
    let input = |rows| tensor([rows, 6, 6], 4, &device);
    let captured = capture(&model, input(2), forward).unwrap();
    assert_eq!(
        values(captured.forward(input(3))),
        values(forward(&model, input(3)))
    );
    let (captured, report) = convert(captured, &ApproxConfig::bundled("mul8s_1KVA")).unwrap();
    assert_eq!(report.converted, ["square", "square.2"]);
    calibrate(&captured, |model| drop(model.forward(input(8)))).unwrap();
    let layers = approx_layers(&captured);
    let [right, left] = [0, 1].map(|layer| layers[layer].weight_quantizer().unwrap().scales());
    assert_ne!(right, left);
}

/// Plain matrices: the batch along the columns, and without a batch what is added along them.
#[test]
fn matrices_whose_columns_are_the_batch_or_take_a_shift() {
    let device = crate::device();
    let model = bare(&device);
    let forward = |model: &Bare, x: Tensor<2>| {
        let columns = model.square.val().matmul(x.clone().transpose());
        let together = x.clone().transpose().matmul(x);
        let shifted = model.square.val().matmul(together) + model.shift.val().unsqueeze();
        columns.transpose().matmul(relu(shifted))
    };
    let input = |rows| tensor([rows, 6], 4, &device);
    let captured = capture(&model, input(3), forward).unwrap();
    let layers = approx_layers(&captured);
    let paths: Vec<_> = layers.iter().map(|layer| layer.path()).collect();
    assert_eq!(paths, ["square"], "one weight, one layer");
    for rows in [1, 4, 9] {
        let expected = values(forward(&model, input(rows)));
        assert_eq!(values(captured.forward(input(rows))), expected);
    }
    // On exact products of 12 bits the outputs are those of float but for quantisation: whatever is added is added
    // once.
    let expected = values(forward(&model, input(9)));
    let format = OperandFormat::signed(12).unwrap();
    let exact = ApproxConfig::new(MultiplierSource::Exact {
        activation: format,
        weight: format,
    });
    let (captured, _) = convert(captured, &exact).unwrap();
    calibrate(&captured, |model| drop(model.forward(input(9)))).unwrap();
    let found = values(captured.forward(input(9)));
    assert_ne!(found, expected, "it is quantised");
    let largest = expected
        .iter()
        .fold(0.0, |all: f32, value| all.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        let difference = (found - expected).abs();
        assert!(difference < 0.01 * largest, "{found} for {expected}");
    }
}
