//! Ranges and histograms are the CPU's.

use approx_cpu::observe;
use kernels_cubecl::{HISTOGRAM_BINS, histogram, ranges};
use proptest::prelude::*;

use crate::support::{bits, client, download, upload};

fn check_ranges(values: &[f32], channels: usize, inner: usize) {
    let client = client();
    let handle = ranges(
        &client,
        &upload(&client, values),
        values.len(),
        channels,
        inner,
    )
    .unwrap();
    let found = download::<f32>(&client, handle, 2 * channels);
    let expected = observe::ranges(values, channels, inner);
    let ends = expected
        .iter()
        .map(|range| range.min)
        .chain(expected.iter().map(|range| range.max));
    // Which of two zeros is the smaller one is nobody's choice.
    let unsigned = |value: f32| if value == 0.0 { 0.0 } else { value };
    let expected: Vec<f32> = ends.map(unsigned).collect();
    let found: Vec<f32> = found.into_iter().map(unsigned).collect();
    assert_eq!(
        bits(&found),
        bits(&expected),
        "{channels} channels of {inner}, {} values",
        values.len()
    );
}

fn check_counts(values: &[f32]) {
    let client = client();
    let handle = histogram(&client, &upload(&client, values), values.len()).unwrap();
    let found = download::<f32>(&client, handle, HISTOGRAM_BINS);
    assert_eq!(bits(&found), bits(&observe::counts(values)));
}

/// Any bits, those of NaNs and infinities only if asked for.
fn any_bits(length: usize, seed: u32, finite: bool) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let value = f32::from_bits(state);
        if finite && !value.is_finite() {
            state as f32
        } else {
            value
        }
    };
    std::iter::repeat_with(next).take(length).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_channel_has_its_range(
        channels in prop_oneof![1usize..5, 1usize..400], inner in prop_oneof![Just(1usize), 1usize..5, 1usize..400],
        outer in prop_oneof![0usize..4, 0usize..300], seed in 1u32.., finite: bool,
    ) {
        let outer = outer.min(100_000 / (channels * inner));
        check_ranges(&any_bits(channels * inner * outer, seed, finite), channels, inner);
    }

    #[test]
    fn one_bad_value_poisons_its_channel_and_the_counts(
        channels in 1usize..6, inner in 1usize..40, outer in 1usize..40, seed in 1u32.., at: prop::sample::Index,
        bad in prop::sample::select(vec![f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
    ) {
        let mut values = any_bits(channels * inner * outer, seed, true);
        let at = at.index(values.len());
        values[at] = bad;
        check_ranges(&values, channels, inner);
        check_counts(&values);
    }

    #[test]
    fn every_bin_has_its_count(length in prop_oneof![0usize..300, 0usize..100_000], seed in 1u32.., zeros in 0usize..3) {
        let mut values = any_bits(length, seed, true);
        if zeros > 0 {
            values.iter_mut().step_by(zeros).for_each(|value| *value = if *value > 0.0 { 0.0 } else { -0.0 });
        }
        check_counts(&values);
    }
}

#[test]
fn the_ends_of_bins_are_the_cpus() {
    let ends = (0..=u32::from(u16::MAX) >> 2).map(|top| top << 18);
    let values = ends
        .flat_map(|bits| [bits, bits.saturating_sub(1)])
        .map(f32::from_bits);
    check_counts(&values.filter(|value| value.is_finite()).collect::<Vec<_>>());
}

#[test]
fn few_and_many_channels_are_cut_into_slices() {
    for (channels, inner, outer) in [
        (1, 1, 300_000),
        (1, 300_000, 1),
        (3, 1, 100_000),
        (3, 7, 15_000),
        (2, 100_000, 2),
        (100_000, 1, 3),
        (100_000, 3, 1),
        (1000, 1, 300),
    ] {
        check_ranges(
            &any_bits(channels * inner * outer, 77, true),
            channels,
            inner,
        );
    }
}
