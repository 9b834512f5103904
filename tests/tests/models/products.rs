//! Products of two activations as layers of their own: the plain loop's numbers, the operator's gradients, no place of their own.

use approx_multiplier::{OperandFormat, evoapprox};
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

/// The layer on its own, on a multiplier of unsigned operands, with these quantisers.
fn product_layer(layer: &Layer, device: &Device) -> Matmul {
    let (product, report) = convert(Matmul::new(), &ApproxConfig::bundled("mul8u_17C8")).unwrap();
    assert_eq!(report.converted, [""]);
    let handle = &approx_layers(&product)[0];
    let [activation, weight] =
        [&layer.activation, &layer.weight].map(|operand| operand.quantizer(device));
    handle.set_activation_quantizer(&activation).unwrap();
    handle.set_weight_quantizer(&weight).unwrap();
    product
}

#[test]
fn a_product_equals_the_plain_loop() {
    let device = crate::device();
    let format = OperandFormat::UINT8;
    let layer = product(format, format);
    let table = evoapprox::multiplier("mul8u_17C8").unwrap();
    let [left, right]: [Tensor<4>; 2] =
        [&layer.activation, &layer.weight].map(|operand| operand.tensor(&device));
    let product = product_layer(&layer, &device);
    let found = |product: &Matmul| {
        let found = product.forward(left.clone(), right.clone());
        assert_eq!(found.dims(), [2, 3, 4, 6]);
        bits(&values(found))
    };
    let expected = (layer.codes()).outputs(&layer.geometry, |a, b| table.product(a, b).unwrap());
    assert_eq!(found(&product), bits(&expected));
    approx_layers(&product).set_mode(Mode::Quantized);
    let exact = |a, b| i64::from(a) * i64::from(b);
    let expected = layer.codes().outputs(&layer.geometry, exact);
    assert_eq!(found(&product), bits(&expected));
    approx_layers(&product).set_mode(Mode::Baseline);
    let expected = left.clone().matmul(right.clone());
    assert_eq!(found(&product), bits(&values(expected)));
}

#[test]
fn gradients_of_a_product_are_the_operators() {
    let device = crate::device().autodiff();
    let format = OperandFormat::UINT8;
    let layer = product(format, format);
    let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8u_17C8").unwrap());
    let product = product_layer(&layer, &device);
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
    let found = gradients(&|left, right| product.forward(left, right));
    assert_eq!(found, expected);
    for gradient in found {
        assert!(gradient.iter().any(|value| *value != 0.0));
    }
}

/// A product has no weight: its sizes are those of the last pass, and its state lies where the operands do.
#[test]
fn a_product_follows_its_operands() {
    for device in crate::two_devices() {
        let (product, _) = convert(Matmul::new(), &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
        let layers = approx_layers(&product);
        let layer = &layers[0];
        assert_eq!((layer.fan_in(), layer.multiplications()), (None, None));
        assert!(layer.shape().weight.is_empty());
        let columns = |table: &str| -> Vec<String> {
            let row = table.lines().find(|line| line.contains("Matmul")).unwrap();
            row.split_whitespace().map(String::from).collect()
        };
        assert!(columns(&layers.to_string()).contains(&"-".to_string()));
        let operands = |inner: usize| {
            let [left, right] = [[2, 3, inner], [2, inner, 5]];
            (
                Sequence(1).tensor(left, 1.0, &device),
                Sequence(2).tensor(right, 1.0, &device),
            )
        };
        calibrate(&product, |product| {
            let (left, right) = operands(4);
            product.forward::<3>(left, right);
        })
        .unwrap();
        for inner in [4, 7] {
            let (left, right) = operands(inner);
            let output: Tensor<3> = product.forward(left, right);
            assert_eq!(output.device(), device);
            assert_eq!(layer.fan_in(), Some(inner));
            assert_eq!(layer.multiplications(), Some(3 * 5 * inner as u64));
            let row = columns(&layers.to_string());
            assert!(row.contains(&format!("{inner}x5")), "{row:?}");
            assert!(row.contains(&inner.to_string()), "{row:?}");
        }
        assert_eq!(product.devices(), [device]);
    }
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
