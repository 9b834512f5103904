//! With the exact table APPROXIMATE equals QUANTIZED bit for bit: a table's products and plain arithmetic, over every
//! padding, stride, dilation, group count, zero point and scale.

use approx_multiplier::{Multiplier, OperandFormat};
use burn::prelude::*;
use burn_approx::PreparedMultiplier;
use burn_approx::plan::PlanChoice;
use burn_approx_tests::layer::{Layer, Operand, bits};
use burn_approx_tests::random::{Size, layers};
use burn_approx_tests::reference::LayerGeometry;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::properties::{all_equal, main_law};

/// The exact products of a layer's codes as a table, which is looked up like any other.
fn exact_table(layer: &Layer) -> PreparedMultiplier {
    let (activation, weight) = (layer.activation.format, layer.weight.format);
    let table = Multiplier::from_fn("exact table", activation, weight, |a, b| a * b);
    PreparedMultiplier::new(table.expect("products of 8 bits fit")).with_plan(PlanChoice::Gather)
}

fn approximate_is_quantized(layer: &Layer, device: &Device) -> Result<(), TestCaseError> {
    let quantized = layer.outputs(&layer.exact(), device);
    let approximate = layer.outputs(&exact_table(layer), device);
    all_equal("output", &bits(&approximate), &bits(&quantized))
}

#[test]
fn over_layers_of_every_kind() {
    let device = crate::device();
    main_law(1, layers(Size::LARGE), |layer| {
        approximate_is_quantized(layer, &device)
    });
}

/// A sum of no value but zeros is +0 in both modes, whatever the signs of the codes that 0 was multiplied with.
#[test]
fn zero_has_no_sign() {
    let int8 = OperandFormat::INT8;
    for inner in [1, 2, 8, 50] {
        let geometry = LayerGeometry::Linear {
            leading: vec![2],
            inputs: inner,
            outputs: 3,
        };
        let zeros = vec![0; 2 * inner];
        let layer = Layer {
            activation: Operand::from_codes(&zeros, vec![2, inner], 1.0, 0, int8),
            weight: Operand::from_codes(&vec![-3; inner * 3], vec![inner, 3], 1.0, 0, int8),
            geometry,
        };
        for multiplier in [layer.exact(), exact_table(&layer)] {
            let found = layer.outputs(&multiplier, &crate::device());
            assert_eq!(bits(&found), vec![0; 6], "{inner} products");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_other_layers_every_time(layer in layers(Size::SMALL)) {
        approximate_is_quantized(&layer, &crate::device())?;
    }
}
