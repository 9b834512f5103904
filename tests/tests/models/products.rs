//! Products of two activations as layers of their own: the plain loop's numbers, the operator's gradients, no place of
//! their own.

use approx_multiplier::{OperandFormat, evoapprox};
use burn::nn::LinearConfig;
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
use burn_approx::nn::Matmul;
use burn_approx::{ApproxError, Mode, PreparedMultiplier, ops};
use burn_approx_tests::layer::{Layer, Operand, bits};
use burn_approx_tests::random::Random;
use burn_approx_tests::reference::LayerGeometry;

use crate::networks::{Sequence, values};

/// A product of batched matrices with zero points, on random values.
fn product(activation: OperandFormat, weight: OperandFormat) -> Layer {
    let geometry = LayerGeometry::Matmul {
        activation_batch: [2, 3],
        weight_batch: [2, 1],
        rows: 4,
        inner: 5,
        columns: 6,
    };
    let mut random = Random::new(12);
    let mut operand = |shape: Vec<usize>, scale, zero, format| {
        let codes = random.integers(shape.iter().product(), 0, 255);
        Operand::from_codes(&codes, shape, scale, zero, format)
    };
    Layer {
        activation: operand(geometry.activation_shape(), 0.02, 7, activation),
        weight: operand(geometry.weight_shape(), 0.03, 140, weight),
        geometry,
    }
}

/// A product, and a layer of Burn's after it that says on which device the model is.
type Model = (Matmul, burn::nn::Linear);

fn model(multiplier: &str, device: &Device) -> Model {
    let model = (Matmul::new(), LinearConfig::new(1, 1).init(device));
    let (model, report) = convert(model, &ApproxConfig::bundled(multiplier)).unwrap();
    assert_eq!(
        (report.converted, report.plain),
        (vec!["0".to_string()], vec!["1".to_string()])
    );
    assert_eq!(model.devices().len(), 1);
    model
}

/// A product on a multiplier of unsigned operands, with these quantisers.
fn product_layer(layer: &Layer, device: &Device) -> Model {
    let model = model("mul8u_17C8", device);
    let handle = &approx_layers(&model)[0];
    let [activation, weight] =
        [&layer.activation, &layer.weight].map(|operand| operand.quantizer(device));
    handle.set_activation_quantizer(&activation).unwrap();
    handle.set_weight_quantizer(&weight).unwrap();
    model
}

#[test]
fn a_product_equals_the_plain_loop() {
    let device = crate::device();
    let format = OperandFormat::UINT8;
    let layer = product(format, format);
    let table = evoapprox::multiplier("mul8u_17C8").unwrap();
    let [left, right]: [Tensor<4>; 2] =
        [&layer.activation, &layer.weight].map(|operand| operand.tensor(&device));
    let model = product_layer(&layer, &device);
    let found = || {
        let found = model.0.forward(left.clone(), right.clone());
        assert_eq!(found.dims(), [2, 3, 4, 6]);
        bits(&values(found))
    };
    let expected = (layer.codes()).outputs(&layer.geometry, |a, b| table.product(a, b).unwrap());
    assert_eq!(found(), bits(&expected));
    approx_layers(&model).set_mode(Mode::Quantized).unwrap();
    let exact = |a, b| i64::from(a) * i64::from(b);
    let expected = layer.codes().outputs(&layer.geometry, exact);
    assert_eq!(found(), bits(&expected));
    approx_layers(&model).set_mode(Mode::Baseline).unwrap();
    let expected = left.clone().matmul(right.clone());
    assert_eq!(found(), bits(&values(expected)));
}

#[test]
fn gradients_of_a_product_are_the_operators() {
    let device = crate::device().autodiff();
    let format = OperandFormat::UINT8;
    let layer = product(format, format);
    let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8u_17C8").unwrap());
    let model = product_layer(&layer, &device);
    let gradients = |multiply: &dyn Fn(Tensor<4>, Tensor<4>) -> Tensor<4>| {
        let operands: [Tensor<4>; 2] = [&layer.activation, &layer.weight]
            .map(|operand| operand.tensor(&device).require_grad());
        let [left, right] = operands.clone();
        let gradients = multiply(left, right).square().sum().backward();
        operands.map(|operand| values(operand.grad(&gradients).unwrap()))
    };
    let [left, right] =
        [&layer.activation, &layer.weight].map(|operand| operand.quantizer(&device));
    let expected = gradients(&|a, b| ops::matmul(a, b, &left, &right, &multiplier).unwrap());
    let found = gradients(&|left, right| model.0.forward(left, right));
    assert_eq!(found, expected);
    for gradient in found {
        assert!(gradient.iter().any(|value| *value != 0.0));
    }
}

/// A product has no weight: its sizes are those of the last pass, and its state goes where the operands are.
#[test]
fn a_product_follows_its_operands() {
    let [first, second] = crate::two_devices();
    let model = model("mul8s_1L2J", &first);
    let layers = approx_layers(&model);
    let layer = &layers[0];
    assert_eq!((layer.fan_in(), layer.multiplications()), (None, None));
    assert!(layer.shape().weight.is_empty());
    let columns = |table: String| -> Vec<String> {
        let row = table.lines().find(|line| line.contains("Matmul")).unwrap();
        row.split_whitespace().map(String::from).collect()
    };
    let unknown = columns(layers.to_string());
    assert_eq!(unknown.iter().filter(|column| *column == "-").count(), 3);
    let operands = |inner: usize, device: &Device| -> [Tensor<3>; 2] {
        [
            Sequence(1).tensor([2, 3, inner], 1.0, device),
            Sequence(2).tensor([2, inner, 5], 1.0, device),
        ]
    };
    calibrate(&model, |(product, _)| {
        let [left, right] = operands(4, &first);
        product.forward(left, right);
    })
    .unwrap();
    let mut outputs = Vec::new();
    for device in [&first, &second, &first] {
        for inner in [4, 7] {
            let [left, right] = operands(inner, device);
            let output = model.0.forward(left, right);
            assert_eq!(output.device(), *device);
            assert_eq!(layer.fan_in(), Some(inner));
            assert_eq!(layer.multiplications(), Some(3 * 5 * inner as u64));
            let row = columns(layers.to_string());
            assert!(row.contains(&format!("{inner}x5")), "{row:?}");
            assert!(row.contains(&inner.to_string()), "{row:?}");
            outputs.push(values(output));
        }
        assert_eq!(
            layer.activation_quantizer().unwrap().parameters().device(),
            *device
        );
    }
    assert_eq!(outputs[..2], outputs[2..4]);
    assert_eq!(outputs[..2], outputs[4..]);
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let device = crate::device();
    let refused = |result: Result<(), ApproxError>, said: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, ApproxError::Shape { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    };
    let [left, right] = [[2, 3, 4], [2, 5, 6]].map(|shape| Tensor::<3>::ones(shape, &device));
    let result = Matmul::new().try_forward(left, right);
    refused(result.map(drop), "inner sizes 4 and 5");
    let vector = Tensor::<1>::ones([4], &device);
    let result = Matmul::new().try_forward(vector.clone(), vector);
    refused(result.map(drop), "rank 2");
}
