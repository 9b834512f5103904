//! Real values are those of the formula, with one rounding of the bracket and one of the product.

use kernels_cubecl::{PartialSums, QuantizerBuffer, Rescaling, rescale};
use proptest::prelude::*;

use crate::support::{bits, client, download, upload};

fn quantizers(scales: &[f32]) -> QuantizerBuffer {
    QuantizerBuffer::from_parameters(&client(), scales, &vec![0.0; scales.len()]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_sum_takes_its_channels_scale_and_constant(
        (channels, inner, outer, parts) in (1usize..7, 1usize..7, 0usize..7, 1usize..4),
        integers: bool,
        per_channel: bool, with_constants: bool,
        special in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![f32::NAN, -0.0, 0.0, 16_777_215.0])), 0..4),
        bad_scale in prop::option::weighted(0.2, prop::sample::select(vec![f32::NAN, f32::INFINITY])),
        bad_activation in prop::option::weighted(0.1, prop::sample::select(vec![f32::NAN, f32::INFINITY])),
        scale in 1e-5f32..1.0, seed: u32,
    ) {
        let client = client();
        let length = channels * inner * outer;
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 10) as f32 - 2_097_152.0
        };
        let mut sums: Vec<f32> = (0..length * parts).map(|_| next()).collect();
        for (at, value) in special {
            if length > 0 {
                let at = at.index(sums.len());
                sums[at] = value;
            }
        }
        let mut scales: Vec<f32> = (0..if per_channel { channels } else { 1 }).map(|_| next().abs() * 1e-7 + 1e-6).collect();
        if let Some(bad) = bad_scale {
            scales[0] = bad;
        }
        let scale = bad_activation.unwrap_or(scale);
        // The constant of the first channel makes a zero of the first sum.
        let mut constants: Vec<f32> = (0..channels).map(|_| next()).collect();
        if length > 0 && !sums[0].is_nan() {
            constants[0] = -sums[0];
        }
        let uploaded = if integers {
            upload(&client, &constants.iter().map(|constant| *constant as i32).collect::<Vec<_>>())
        } else {
            upload(&client, &constants)
        };
        let found = rescale(
            &client, &upload(&client, &sums), length,
            Rescaling {
                activation: &quantizers(&[scale]),
                weight: &quantizers(&scales),
                constants: with_constants.then_some(&uploaded),
                kind: if integers { PartialSums::Integers } else { PartialSums::Reals },
                parts,
                channels,
                inner,
            },
        ).unwrap();
        let expected: Vec<f32> = (0..length).map(|i| {
            let channel = i / inner % channels;
            let constant = if with_constants { constants[channel] } else { 0.0 };
            let weight = scales[channel % scales.len()];
            let own = sums.iter().skip(i).step_by(length);
            let bracket = if integers && own.clone().all(|sum| !sum.is_nan()) {
                (own.map(|sum| *sum as i64).sum::<i64>() + constant as i64) as f32
            } else {
                own.fold(constant, |sum, part| sum + part) + 0.0
            };
            if scale.is_finite() && weight.is_finite() {
                (scale * weight) * bracket
            } else {
                f32::NAN
            }
        }).collect();
        prop_assert_eq!(bits(&download(&client, found, length)), bits(&expected));
    }
}
