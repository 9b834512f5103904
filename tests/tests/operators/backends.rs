//! Two backends give the same codes, ranges, histograms, accumulators and, in QUANTIZED and APPROXIMATE, the same
//! outputs bit for bit. Which two says the test binary.

use burn::backend::Dispatch;
use burn::prelude::*;
use burn_approx::PreparedMultiplier;
use burn_approx::ops::ApproxOps;
use burn_approx_tests::layer::{Layer, Operand, bits, integers, relative_difference, values};
use burn_approx_tests::random::{Random, Size, layers};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::properties::{all_equal, over_layers};

/// Both backends. They are not the same device, else nothing would be compared.
fn devices() -> [Device; 2] {
    let devices = crate::two_devices();
    assert_ne!(devices[0], devices[1]);
    devices
}

fn random_table(layer: &Layer) -> PreparedMultiplier {
    PreparedMultiplier::new(Random::new(21).multiplier(
        layer.activation.format,
        layer.weight.format,
        -40_000,
        40_000,
    ))
}

#[test]
fn accumulators_and_outputs_are_the_same() {
    let [first, second] = devices();
    let coverage = over_layers(300, 7, layers(Size::MEDIUM), |layer| {
        let table = random_table(layer);
        let accumulators = |device| layer.try_accumulators(&table, device).transpose();
        let [own, other] = [&first, &second].map(|device| accumulators(device).unwrap());
        prop_assert_eq!(own.is_some(), other.is_some());
        if let (Some(own), Some(other)) = (own, other) {
            all_equal("accumulator", &own, &other)?;
        }
        for (mode, multiplier) in [("APPROXIMATE", table), ("QUANTIZED", layer.exact())] {
            all_equal(
                mode,
                &bits(&layer.outputs(&multiplier, &first)),
                &bits(&layer.outputs(&multiplier, &second)),
            )?;
        }
        Ok(())
    });
    assert!(coverage.deep_layers >= 10, "{coverage:?}");
}

/// What a device makes of an operand: codes, fake-quantised values, ranges and histogram.
fn observed<const D: usize>(operand: &Operand, device: &Device) -> [Vec<u32>; 4] {
    let tensor: Tensor<D> = operand.tensor(device);
    let quantizer = operand.quantizer(device);
    let codes = integers(quantizer.codes(tensor.clone()));
    let expected: Vec<i64> = operand.codes().into_iter().map(i64::from).collect();
    assert_eq!(codes, expected, "the codes are the reference's");
    let ranges: Tensor<2> = Tensor::from_dispatch(<Dispatch as ApproxOps>::observe_ranges(
        tensor.clone().into_dispatch(),
        operand.channel_axis,
    ));
    let histogram: Tensor<1> = Tensor::from_dispatch(<Dispatch as ApproxOps>::observe_histogram(
        tensor.clone().into_dispatch(),
    ));
    [
        codes.into_iter().map(|code| code as u32).collect(),
        bits(&values(quantizer.fake_quantize(tensor))),
        bits(&values(ranges)),
        bits(&values(histogram)),
    ]
}

fn same_observations(layer: &Layer) -> Result<(), TestCaseError> {
    let [first, second] = devices();
    for operand in [&layer.activation, &layer.weight] {
        let [first, second] = [&first, &second].map(|device| match operand.shape.len() {
            2 => observed::<2>(operand, device),
            3 => observed::<3>(operand, device),
            4 => observed::<4>(operand, device),
            _ => observed::<5>(operand, device),
        });
        for (what, first, second) in [
            ("code", &first[0], &second[0]),
            ("fake-quantised value", &first[1], &second[1]),
            ("end of a range", &first[2], &second[2]),
            ("count", &first[3], &second[3]),
        ] {
            all_equal(what, first, second)?;
        }
    }
    Ok(())
}

#[test]
fn codes_ranges_and_histograms_are_the_same() {
    over_layers(300, 8, layers(Size::MEDIUM), same_observations);
}

/// Ranges are what they are called: the smallest and largest value of each channel.
#[test]
fn ranges_are_the_smallest_and_largest_values() {
    for device in devices() {
        over_layers(100, 9, layers(Size::SMALL), |layer| {
            let operand = &layer.weight;
            let channels = operand.scales.len();
            let mut expected = [
                vec![f32::INFINITY; channels],
                vec![f32::NEG_INFINITY; channels],
            ];
            for (index, value) in operand.values.iter().enumerate() {
                let channel = operand.channel(index);
                expected[0][channel] = expected[0][channel].min(*value);
                expected[1][channel] = expected[1][channel].max(*value);
            }
            let [_, _, ranges, _] = match operand.shape.len() {
                2 => observed::<2>(operand, &device),
                3 => observed::<3>(operand, &device),
                4 => observed::<4>(operand, &device),
                _ => observed::<5>(operand, &device),
            };
            all_equal("end of a range", &ranges, &bits(&expected.concat()))
        });
    }
}

/// Gradients go through each backend's own float operators, so they agree within rounding.
#[test]
fn gradients_agree() {
    let [first, second] = devices().map(Device::autodiff);
    over_layers(150, 10, layers(Size::SMALL), |layer| {
        let gradient = Random::new(22).reals(layer.geometry.outputs(), -1.0, 1.0);
        let table = random_table(layer);
        let first = layer.gradients(&table, &gradient, &first);
        let second = layer.gradients(&table, &gradient, &second);
        for (found, expected) in [
            (&first.activation, &second.activation),
            (&first.weight, &second.weight),
        ] {
            let zero = found.iter().chain(expected).all(|value| *value == 0.0);
            let difference = relative_difference(found, expected);
            prop_assert!(zero || difference <= 1e-5, "{}", difference);
        }
        Ok(())
    });
}
