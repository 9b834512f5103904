//! HTP models against a float64 loop over their formulas. A padded tap is the code of 0 and counts in every term.

use approx_multiplier::{Feature, HtpModel, HtpTerm, OperandFormat, evoapprox};
use burn_approx::PreparedMultiplier;
use burn_approx_tests::layer::{Layer, Operand, bits};
use burn_approx_tests::random::{Random, Size, layers};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::properties::{all_equal, over_layers};

/// The bundled models of 8-bit multipliers.
fn models() -> Vec<HtpModel> {
    let names = evoapprox::names().filter(|name| name.starts_with("mul8s"));
    let models: Vec<HtpModel> = names.map(|name| evoapprox::htp(name).unwrap()).collect();
    assert_eq!(models.len(), 13);
    models
}

/// The models that reproduce their table.
const FAITHFUL: [&str; 7] = [
    "mul8s_1KV6",
    "mul8s_1KVM",
    "mul8s_1KXF",
    "mul8s_1L12",
    "mul8s_1L2J",
    "mul8s_1L2L",
    "mul8s_1L2N",
];

fn agrees_with_the_loop(layer: &Layer, model: &HtpModel) -> Result<(), TestCaseError> {
    let expected = layer.codes().htp(&layer.geometry, model);
    let prepared = PreparedMultiplier::htp(model.clone());
    let found = layer.outputs(&prepared, &crate::device());
    prop_assert_eq!(found.len(), expected.len());
    for (index, (found, (expected, magnitude))) in found.iter().zip(&expected).enumerate() {
        // Rounding of float32 sums in proportion to what they sum up.
        let tolerance = 2e-6 * magnitude + 1e-30;
        let difference = (f64::from(*found) - expected).abs();
        prop_assert!(
            difference <= tolerance,
            "{}, output {}: {} instead of {}, which may differ by {}",
            model.name(),
            index,
            found,
            expected,
            tolerance
        );
    }
    Ok(())
}

/// A layer with every operand in 8 signed bits; half of them have zero points, and some weights several.
fn signed_layer(layer: &Layer, seed: u64) -> Layer {
    let mut random = Random::new(seed);
    let mut layer = layer.clone();
    let zeros = random.one_in(2);
    for operand in [&mut layer.activation, &mut layer.weight] {
        let codes = random.integers(operand.values.len(), -128, 127);
        let mut zero = |count| match zeros {
            true => random.integers(count, -128, 127),
            false => vec![0; count],
        };
        let channels = operand.scales.len();
        let mut signed =
            Operand::from_codes(&codes, operand.shape.clone(), 1.0, 0, OperandFormat::INT8);
        signed.channel_axis = operand.channel_axis;
        signed.zero_points = zero(channels);
        signed.scales = operand.scales.clone();
        signed.values = codes
            .iter()
            .enumerate()
            .map(|(index, code)| {
                let channel = signed.channel(index);
                signed.scales[channel] * (code - signed.zero_points[channel]) as f32
            })
            .collect();
        *operand = signed;
    }
    layer
}

#[test]
fn models_agree_with_a_float64_loop() {
    let models = models();
    let seed = std::cell::Cell::new(0);
    over_layers(390, 11, layers(Size::SMALL), |layer| {
        seed.set(seed.get() + 1);
        let layer = signed_layer(layer, seed.get());
        agrees_with_the_loop(&layer, &models[seed.get() as usize % models.len()])
    });
}

/// A model with every kind of feature, other widths and unsigned codes.
#[test]
fn other_features_and_formats_agree_with_a_float64_loop() {
    let features = [
        Feature::Identity,
        Feature::One,
        Feature::Mod {
            modulus: 3,
            power: 1,
        },
        Feature::Mod {
            modulus: 8,
            power: 2,
        },
        Feature::Mod {
            modulus: 16,
            power: 0,
        },
        Feature::Mod {
            modulus: 1,
            power: 3,
        },
    ];
    let seed = std::cell::Cell::new(0);
    over_layers(200, 12, layers(Size::SMALL), |layer| {
        seed.set(seed.get() + 1);
        let mut random = Random::new(seed.get());
        let terms = (0..random.integer(1, 5))
            .map(|_| HtpTerm {
                coefficient: random.real(-2.0, 2.0).into(),
                first: features[random.integer(0, 5) as usize],
                second: features[random.integer(0, 5) as usize],
            })
            .collect();
        let (activation, weight) = (layer.activation.format, layer.weight.format);
        let model = HtpModel::new("random", activation, weight, terms).unwrap();
        agrees_with_the_loop(layer, &model)
    });
}

/// While sums stay below 2^24 a model with whole coefficients is exact in float32, so these give the table's bits.
#[test]
fn models_that_reproduce_their_table_give_its_outputs() {
    let seed = std::cell::Cell::new(0);
    let coverage = over_layers(210, 13, layers(Size::SMALL), |layer| {
        seed.set(seed.get() + 1);
        let layer = signed_layer(layer, seed.get());
        let name = FAITHFUL[seed.get() as usize % FAITHFUL.len()];
        let table = PreparedMultiplier::new(evoapprox::multiplier(name).unwrap());
        let model = PreparedMultiplier::htp(evoapprox::htp(name).unwrap());
        let device = crate::device();
        all_equal(
            name,
            &bits(&layer.outputs(&model, &device)),
            &bits(&layer.outputs(&table, &device)),
        )
    });
    assert_eq!(coverage.layers, 210);
}
