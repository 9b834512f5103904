//! Accumulators and outputs of arbitrary tables equal a plain 64-bit integer loop, bit for bit.

use approx_multiplier::{Multiplier, OperandFormat, evoapprox};
use burn::tensor::Device;
use burn_approx::plan::PlanChoice;
use burn_approx::{ApproxError, PreparedMultiplier};
use burn_approx_tests::layer::{Layer, Operand, accumulators, bits};
use burn_approx_tests::random::{Random, Size, layers};
use burn_approx_tests::reference::{self, Conv2d, LayerGeometry};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rstest::rstest;

use crate::properties::{all_equal, main_law, over_layers};

fn loop_accumulators(layer: &Layer, multiplier: &Multiplier) -> Vec<i64> {
    let codes = layer.codes();
    reference::accumulators(
        &layer.geometry,
        &codes.activation,
        &codes.weight,
        codes.activation_zero,
        |a, b| multiplier.product(a, b).expect("a table"),
    )
}

fn loop_outputs(layer: &Layer, multiplier: &Multiplier) -> Vec<f32> {
    layer.codes().outputs(&layer.geometry, |a, b| {
        multiplier.product(a, b).expect("a table")
    })
}

/// Accumulators have 32 bits on a GPU, and are refused there where they might need more.
fn refused_by_a_gpu(
    layer: &Layer,
    multiplier: &Multiplier,
    error: ApproxError,
) -> Result<(), TestCaseError> {
    prop_assert!(crate::device() != Device::flex(), "{error}");
    prop_assert!(
        matches!(error, ApproxError::SumsTooLarge { bits: 32, .. }),
        "{error}"
    );
    let table = multiplier.to_table().expect("a table");
    let largest = table
        .entries()
        .iter()
        .map(|entry| entry.unsigned_abs())
        .max();
    let sum = layer.geometry.inner() as u64 * u64::from(largest.unwrap());
    prop_assert!(sum >= 1 << 31, "sums of at most {sum}: {error}");
    Ok(())
}

/// Accumulators and outputs of looked-up products equal those of the plain loop.
fn equals_the_loop(layer: &Layer, multiplier: Multiplier) -> Result<(), TestCaseError> {
    let device = crate::device();
    let prepared = PreparedMultiplier::new(multiplier.clone()).with_plan(PlanChoice::Gather);
    match layer.try_accumulators(&prepared, &device) {
        Some(Ok(sums)) => {
            all_equal("accumulator", &sums, &loop_accumulators(layer, &multiplier))?;
        }
        Some(Err(error)) => refused_by_a_gpu(layer, &multiplier, error)?,
        None => {}
    }
    let outputs = layer.outputs(&prepared, &device);
    let expected = loop_outputs(layer, &multiplier);
    all_equal("output", &bits(&outputs), &bits(&expected))
}

/// The magnitudes of random tables: those of 8-bit products, of 16-bit entries, and as large as a table allows.
const MAGNITUDES: [i32; 4] = [100, 16_384, 1 << 20, i32::MAX];

/// An asymmetric table for a layer's formats, its size and content chosen by `seed`.
fn random_table(layer: &Layer, seed: u64) -> Multiplier {
    let mut random = Random::new(seed);
    let magnitude = MAGNITUDES[random.integer(0, 3) as usize];
    random.multiplier(
        layer.activation.format,
        layer.weight.format,
        -magnitude,
        magnitude,
    )
}

#[test]
fn over_layers_of_every_kind() {
    let seed = std::cell::Cell::new(0);
    main_law(2, layers(Size::LARGE), |layer| {
        seed.set(seed.get() + 1);
        equals_the_loop(layer, random_table(layer, seed.get()))
    });
}

/// QUANTIZED, exact products in integers, against the loop.
#[test]
fn quantized_equals_the_loop() {
    let device = crate::device();
    let coverage = over_layers(300, 3, layers(Size::MEDIUM), |layer| {
        let expected = layer
            .codes()
            .outputs(&layer.geometry, |a, b| i64::from(a) * i64::from(b));
        let found = layer.outputs(&layer.exact(), &device);
        all_equal("output", &bits(&found), &bits(&expected))
    });
    assert!(coverage.deep_layers >= 10, "{coverage:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_other_layers_every_time(layer in layers(Size::SMALL), seed: u64) {
        equals_the_loop(&layer, random_table(&layer, seed))?;
    }

    /// Unsigned circuits in sign-magnitude use, the smallest code included.
    #[test]
    fn sign_magnitude_multipliers_equal_the_loop(layer in layers(Size::SMALL), circuit in 0usize..37, seed: u64) {
        let name = evoapprox::names().filter(|name| name.starts_with("mul8u")).nth(circuit).unwrap();
        let multiplier = evoapprox::multiplier(name).unwrap().sign_magnitude().unwrap();
        let mut random = Random::new(seed);
        let mut layer = layer;
        for operand in [&mut layer.activation, &mut layer.weight] {
            let codes = random.integers(operand.values.len(), -128, 127);
            *operand = Operand::from_codes(&codes, operand.shape.clone(), 0.25, 0, OperandFormat::INT8);
        }
        equals_the_loop(&layer, multiplier)?;
    }
}

/// A layer whose operands are given by their codes, in 8 signed bits.
fn layer_of_codes(geometry: LayerGeometry, activation: i32, weight: i32) -> Layer {
    let operand = |shape: Vec<usize>, code| {
        let codes = vec![code; shape.iter().product()];
        Operand::from_codes(&codes, shape, 1.0, 0, OperandFormat::INT8)
    };
    Layer {
        activation: operand(geometry.activation_shape(), activation),
        weight: operand(geometry.weight_shape(), weight),
        geometry,
    }
}

fn deep_linear(inputs: usize) -> LayerGeometry {
    LayerGeometry::Linear {
        leading: vec![3],
        inputs,
        outputs: 19,
    }
}

fn padded_conv2d(group_inputs: usize) -> LayerGeometry {
    LayerGeometry::Conv2d(Conv2d {
        batch: 2,
        groups: 2,
        group_inputs,
        group_outputs: 3,
        input: [5, 6],
        kernel: [3, 3],
        stride: [1, 2],
        dilation: [1, 1],
        padding: [(1, 2), (0, 1)],
    })
}

#[rstest]
fn all_extreme_codes(
    #[values(-128, -127, 127)] activation: i32,
    #[values(-128, -127, 127)] weight: i32,
    #[values(deep_linear(5000), padded_conv2d(150))] geometry: LayerGeometry,
) {
    let layer = layer_of_codes(geometry, activation, weight);
    let int8 = OperandFormat::INT8;
    for multiplier in [
        Multiplier::from_fn("exact table", int8, int8, |a, b| a * b).unwrap(),
        Multiplier::from_fn("a*b-1", int8, int8, |a, b| a * b - 1).unwrap(),
        evoapprox::multiplier("mul8s_1KVA").unwrap(),
        evoapprox::multiplier("mul8u_17C8")
            .unwrap()
            .sign_magnitude()
            .unwrap(),
    ] {
        equals_the_loop(&layer, multiplier).unwrap();
    }
}

/// Sums beyond 32 bits in either direction, and just within them.
#[rstest]
fn accumulators_are_64_bits_wide_where_they_must_be(
    #[values(i32::MAX, i32::MIN, 1 << 30, -(1 << 20), 65_536, 65_535)] product: i32,
    #[values(deep_linear(2), deep_linear(2047), padded_conv2d(230))] geometry: LayerGeometry,
) {
    let int8 = OperandFormat::INT8;
    let multiplier =
        Multiplier::from_fn("constant", int8, int8, move |_, _| product.into()).unwrap();
    let layer = layer_of_codes(geometry, 3, -5);
    let inner = layer.geometry.inner() as i64;
    let prepared = PreparedMultiplier::new(multiplier.clone());
    let sums = layer.try_accumulators(&prepared, &crate::device());
    match sums.expect("it has an operator") {
        Ok(sums) => assert!(sums.iter().all(|sum| *sum == inner * i64::from(product))),
        Err(error) => refused_by_a_gpu(&layer, &multiplier, error).unwrap(),
    }
    equals_the_loop(&layer, multiplier).unwrap();
}

/// `m(0, 0)` counts in every product, also of padded taps, and in no other place.
#[rstest]
fn a_product_of_zeros_that_is_not_zero(
    #[values(-7, 1, 1000)] product: i32,
    #[values(deep_linear(1), deep_linear(17), padded_conv2d(1), padded_conv2d(5))]
    geometry: LayerGeometry,
) {
    let int8 = OperandFormat::INT8;
    let multiplier = Multiplier::from_fn("m(0, 0)", int8, int8, move |a, b| {
        if (a, b) == (0, 0) {
            product.into()
        } else {
            a * b
        }
    })
    .unwrap();
    let layer = layer_of_codes(geometry, 0, 0);
    let inner = layer.geometry.inner() as i64;
    let sums = layer.accumulators(
        &PreparedMultiplier::new(multiplier.clone()),
        &crate::device(),
    );
    assert_eq!(sums, vec![inner * i64::from(product); sums.len()]);
    equals_the_loop(&layer, multiplier).unwrap();
}

/// Every pair of codes, one product each: a table's rows and columns are nowhere exchanged or out of place.
#[test]
fn every_entry_of_an_asymmetric_table() {
    let int8 = OperandFormat::INT8;
    let multiplier = Random::new(7).multiplier(int8, int8, -1_000_000, 1_000_000);
    let codes: Vec<i32> = int8.codes().collect();
    let geometry = LayerGeometry::Linear {
        leading: vec![256],
        inputs: 1,
        outputs: 256,
    };
    let prepared = PreparedMultiplier::new(multiplier.clone());
    let found = accumulators(&geometry, [&codes, &codes], 0, &prepared, &crate::device());
    let found = found.unwrap().unwrap();
    let table = multiplier.table().unwrap();
    let expected: Vec<i64> = table
        .entries()
        .iter()
        .map(|entry| (*entry).into())
        .collect();
    assert_eq!(found, expected);
}

/// A batch without images and a product without rows give an output without values, not a panic.
#[test]
fn an_empty_batch() {
    let int8 = OperandFormat::INT8;
    let LayerGeometry::Conv2d(conv) = padded_conv2d(2) else {
        unreachable!("it is a convolution")
    };
    let conv = LayerGeometry::Conv2d(Conv2d { batch: 0, ..conv });
    let linear = LayerGeometry::Linear {
        leading: vec![0],
        inputs: 4,
        outputs: 3,
    };
    let table = Random::new(8).multiplier(int8, int8, -99, 99);
    for geometry in [conv, linear] {
        let layer = layer_of_codes(geometry, 1, 1);
        for multiplier in [table.clone(), Multiplier::exact(int8, int8)] {
            let prepared = PreparedMultiplier::new(multiplier);
            assert_eq!(
                layer.outputs(&prepared, &crate::device()),
                Vec::<f32>::new()
            );
            assert_eq!(
                layer.accumulators(&prepared, &crate::device()),
                Vec::<i64>::new()
            );
        }
    }
}
