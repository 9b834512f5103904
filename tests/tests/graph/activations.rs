//! Products of two activations: layers on request, which multiply as the operator does and train.

use burn::module::Param;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn_approx::convert::{
    ApproxConfig, CaptureOptions, GraphModel, LayerRule, approx_layers, calibrate, capture, convert,
};
use burn_approx::multipliers::{MultiplierSource, OperandFormat, evoapprox};
use burn_approx::nn::LayerKind;
use burn_approx::quantization::Observation;
use burn_approx::{ApproxError, Mode, PreparedMultiplier, load, ops, save};

use crate::models::{tensor, transformer_encoder, values};

fn requested() -> CaptureOptions {
    CaptureOptions::default().with_products_of_activations(true)
}

/// Similarities of tokens.
#[derive(Module, Debug)]
struct Similarities {
    tokens: Linear,
}

impl Similarities {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let tokens = self.tokens.forward(x);
        tokens.clone().matmul(tokens.swap_dims(1, 2))
    }
}

fn similarities(device: &Device) -> Similarities {
    let weight = Param::from_tensor(tensor([6, 8], 4, device));
    let tokens = Linear { weight, bias: None };
    Similarities { tokens }
}

fn sentences(rows: usize, device: &Device) -> Tensor<3> {
    tensor([rows, 5, 6], 9, device)
}

#[test]
fn attention_has_two_layers_and_the_same_outputs() {
    let device = crate::device();
    let subject = transformer_encoder();
    let model = subject.model(&device);
    let input = |rows| (subject.input)(rows, &device);
    let captured = requested()
        .capture(&model, input(3), subject.forward)
        .unwrap();
    let layers = approx_layers(&captured);
    let mut paths: Vec<_> = layers.iter().map(|layer| layer.path()).collect();
    let products: Vec<_> = (layers.iter())
        .filter(|layer| layer.kind() == LayerKind::Matmul)
        .map(|layer| layer.path())
        .collect();
    let expected =
        [0, 1].map(|layer| ["matmul", "matmul.2"].map(|name| format!("layers.{layer}.mha.{name}")));
    assert_eq!(products, expected.concat());
    paths.retain(|path| !products.contains(path));
    assert_eq!(paths, subject.layers);
    for rows in [1, 4] {
        assert_eq!(
            values(captured.forward(input(rows))),
            values((subject.forward)(&model, input(rows)))
        );
    }
}

#[test]
fn a_product_is_the_operators() {
    let device = crate::device();
    let model = similarities(&device);
    let captured = requested()
        .capture(&model, sentences(2, &device), Similarities::forward)
        .unwrap();
    let config =
        ApproxConfig::bundled("mul8s_1L2J").with_rule(LayerRule::path("tokens").with_exclude(true));
    let (captured, report) = convert(captured, &config).unwrap();
    assert_eq!(report.converted, ["matmul"]);
    let error = captured
        .try_forward(sentences(2, &device))
        .expect_err("it is not calibrated");
    assert!(
        matches!(error, ApproxError::NotCalibrated { .. }),
        "{error}"
    );
    calibrate(&captured, |model| {
        drop(model.forward(sentences(16, &device)));
    })
    .unwrap();
    let layers = approx_layers(&captured);
    let layer = layers
        .iter()
        .find(|layer| layer.path() == "matmul")
        .unwrap();
    // Frozen once calibrated, as activations are, with one scale each.
    let scheme = layer.settings().unwrap().quantization;
    assert_eq!(scheme.weight.observation, Observation::Frozen);
    let [left, right] =
        [layer.activation_quantizer(), layer.weight_quantizer()].map(Option::unwrap);
    assert_eq!(right.parameters().dims()[1], 1);
    for rows in [1, 7] {
        let tokens = model.tokens.forward(sentences(rows, &device));
        let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J").unwrap());
        let expected = ops::matmul(
            tokens.clone(),
            tokens.swap_dims(1, 2),
            &left,
            &right,
            &multiplier,
        )
        .unwrap();
        let found = captured.forward(sentences(rows, &device));
        assert_eq!(values(found), values(expected), "{rows} rows");
        let after = layer.weight_quantizer().unwrap();
        assert_eq!(values(after.parameters()), values(right.parameters()));
    }
    // Saved and loaded with its ranges.
    let directory = tempfile::tempdir().unwrap();
    save(&captured, directory.path()).unwrap();
    let fresh = requested()
        .capture(
            &similarities(&device),
            sentences(3, &device),
            Similarities::forward,
        )
        .unwrap();
    let loaded = load(fresh, directory.path()).unwrap();
    assert_eq!(
        values(loaded.forward(sentences(4, &device))),
        values(captured.forward(sentences(4, &device)))
    );
}

#[test]
fn products_stay_in_float_unless_asked_for() {
    let device = crate::device();
    let model = similarities(&device);
    let captured = capture(&model, sentences(2, &device), Similarities::forward).unwrap();
    assert_eq!(approx_layers(&captured).len(), 1);
}

#[test]
fn a_matrix_that_grows_with_the_batch_is_no_layer() {
    let device = crate::device();
    let model = LinearConfig::new(6, 8).init(&device);
    let captured = requested()
        .capture(&model, tensor([3, 6], 1, &device), |model, x: Tensor<2>| {
            let x = model.forward(x);
            x.clone().matmul(x.transpose())
        })
        .unwrap();
    assert_eq!(approx_layers(&captured).len(), 1);
    assert_eq!(captured.forward(tensor([5, 6], 2, &device)).dims(), [5, 5]);
}

type Attention = GraphModel<MultiHeadAttention, Tensor<4>, Tensor<4>>;

/// Burn's attention operation with everything that it can be asked for, on three heads of one tensor.
fn attend(_: &MultiHeadAttention, x: Tensor<4>) -> Tensor<4> {
    let [_, heads, steps, _] = x.dims();
    let bias = Tensor::<4>::ones([1, heads, steps, steps], &x.device()) * 0.25;
    let mask = x
        .clone()
        .slice([0..x.dims()[0], 0..heads, 0..steps, 0..1])
        .greater_elem(0.9)
        .expand([x.dims()[0], heads, steps, steps]);
    let options = AttentionModuleOptions {
        scale: Some(0.7),
        softcap: Some(3.0),
        is_causal: true,
    };
    let key = x.clone().flip([3]);
    attention(x.clone(), key, x * 2.0, Some(mask), Some(bias), options)
}

fn heads(rows: usize, device: &Device) -> Tensor<4> {
    tensor([rows, 3, 5, 4], 6, device)
}

/// Simulated on exact products of 12 bits, the steps of attention are those of Burn's operation but for quantisation;
/// idle, they are the operation.
#[test]
fn the_attention_operation_is_taken_apart_when_simulated() {
    let device = crate::device();
    let model = MultiHeadAttentionConfig::new(4, 1).init(&device);
    let captured: Attention = requested()
        .capture(&model, heads(2, &device), attend)
        .unwrap();
    let expected = values(attend(&model, heads(4, &device)));
    assert_eq!(values(captured.forward(heads(4, &device))), expected);
    let format = OperandFormat::signed(12).unwrap();
    let exact = ApproxConfig::new(MultiplierSource::Exact {
        activation: format,
        weight: format,
    });
    let (captured, report) = convert(captured, &exact).unwrap();
    assert_eq!(report.converted, ["matmul", "matmul.2"]);
    calibrate(&captured, |model| drop(model.forward(heads(8, &device)))).unwrap();
    let close = |captured: &Attention| {
        let found = values(captured.forward(heads(4, &device)));
        assert_ne!(found, expected, "it is quantised");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 0.01, "{found} for {expected}");
        }
    };
    close(&captured);
    // One of the two in float.
    let layers = approx_layers(&captured);
    for layer in layers.iter() {
        layer.set_mode(Mode::Baseline).unwrap();
        close(&captured);
        layer.set_mode(Mode::Approximate).unwrap();
    }
    layers.set_mode(Mode::Baseline).unwrap();
    assert_eq!(values(captured.forward(heads(4, &device))), expected);
}

#[test]
fn gradients_reach_everything_through_products() {
    let device = crate::device().autodiff();
    let model = MultiHeadAttentionConfig::new(8, 2)
        .with_dropout(0.0)
        .init(&device);
    let tokens = |device: &Device| tensor([4, 5, 8], 3, device);
    let forward =
        |model: &MultiHeadAttention, x: Tensor<3>| model.forward(MhaInput::self_attn(x)).context;
    let captured = requested()
        .capture(&model, tokens(&crate::device()), forward)
        .unwrap();
    let config = ApproxConfig::bundled("mul8s_1L2J");
    let (captured, _) = convert(captured, &config).unwrap();
    calibrate(&captured, |model| drop(model.forward(tokens(&device)))).unwrap();
    let loss = captured.forward(tokens(&device)).square().mean();
    let gradients = loss.backward();
    let original = captured.into_original();
    for layer in [
        &original.query,
        &original.key,
        &original.value,
        &original.output,
    ] {
        let gradient = layer.weight.val().grad(&gradients).expect("it is trained");
        let gradient = values(gradient);
        assert!(gradient.iter().all(|value| value.is_finite()));
        assert!(gradient.iter().any(|value| *value != 0.0));
    }
}
