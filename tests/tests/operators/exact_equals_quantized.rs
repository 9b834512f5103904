//! With the exact table APPROXIMATE equals QUANTIZED bit for bit: a table's products and plain arithmetic, over every
//! padding, stride, dilation, group count, zero point and scale.

use approx_multiplier::Multiplier;
use burn::prelude::*;
use burn_approx::PreparedMultiplier;
use burn_approx_tests::layer::{Layer, bits};
use burn_approx_tests::random::{Size, layers};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::properties::{Coverage, all_equal, over_layers};

/// The exact products of a layer's codes as a table, which is looked up like any other.
fn exact_table(layer: &Layer) -> PreparedMultiplier {
    let (activation, weight) = (layer.activation.format, layer.weight.format);
    let table = Multiplier::from_fn("exact table", activation, weight, |a, b| a * b);
    PreparedMultiplier::new(table.expect("products of 8 bits fit"))
}

fn approximate_is_quantized(layer: &Layer, device: &Device) -> Result<(), TestCaseError> {
    let quantized = layer.outputs(&layer.exact(), device);
    let approximate = layer.outputs(&exact_table(layer), device);
    all_equal("output", &bits(&approximate), &bits(&quantized))
}

#[test]
fn over_a_thousand_layers_and_ten_million_accumulators() {
    let device = Device::default();
    let coverage = over_layers(1200, 1, layers(Size::LARGE), |layer| {
        approximate_is_quantized(layer, &device)
    });
    println!("{coverage:?}");
    let Coverage {
        layers,
        accumulators,
        deep_layers,
    } = coverage;
    assert!(layers >= 1_000, "{layers} layers");
    assert!(accumulators >= 10_000_000, "{accumulators} accumulators");
    assert!(deep_layers >= 50, "{deep_layers} layers deeper than 1024");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_other_layers_every_time(layer in layers(Size::SMALL)) {
        approximate_is_quantized(&layer, &Device::default())?;
    }
}
