//! Values of factors are the table's entries, in their groups, and the codes are the CPU's.

use kernels_cubecl::{FactorLayout, FactorTables, encode_factors};
use proptest::prelude::*;

use crate::support::{Quantized, bits, client, download, quantized, upload};

/// Small integers, whose differences are exact.
fn table(terms: usize, bits: u32, seed: u32) -> Vec<f32> {
    let entry = |i: usize| ((i as u32).wrapping_mul(seed | 1) >> 7) % 2001;
    (0..terms << bits)
        .map(|i| entry(i) as f32 - 1000.0)
        .collect()
}

fn check(
    tensor: &Quantized,
    terms: usize,
    layout: FactorLayout,
    seed: u32,
) -> Result<(), TestCaseError> {
    let client = client();
    let quantizer = tensor.quantizer(&client);
    let table = table(terms, tensor.bits, seed);
    let length = tensor.values.len();
    let encoded = encode_factors(
        &client,
        &upload(&client, &tensor.values),
        length,
        tensor.quantization(&quantizer),
        FactorTables {
            tables: &upload(&client, &table),
            terms,
            bits: tensor.bits,
            signed: tensor.signed,
        },
        layout,
    )
    .unwrap();

    let patterns = 1 << tensor.bits;
    let look_up =
        |term: usize, code: f32| table[term * patterns + (code as i32 as usize & (patterns - 1))];
    let at_zero: Vec<f32> = tensor
        .layout
        .channels
        .iter()
        .flat_map(|channel| (0..terms).map(|term| look_up(term, channel.zero_point)))
        .collect();
    if length > 0 {
        prop_assert_eq!(
            download::<f32>(&client, encoded.at_zero, at_zero.len()),
            at_zero
        );
    } else {
        let nans = download::<f32>(&client, encoded.at_zero, at_zero.len());
        prop_assert!(nans.into_iter().all(f32::is_nan));
    }

    let codes = tensor.layout.codes(&tensor.values);
    let FactorLayout {
        channels,
        inner,
        groups,
        less_zero,
    } = layout;
    let per_group = channels / groups;
    let mut expected = vec![0.0; length * terms];
    for (i, code) in codes.iter().enumerate() {
        let (outer, channel, x) = (i / inner / channels, i / inner % channels, i % inner);
        let (group, in_group) = (channel / per_group, channel % per_group);
        for term in 0..terms {
            let to = (((outer * groups + group) * terms + term) * per_group + in_group) * inner + x;
            let zero_point = tensor.layout.channel(i).zero_point;
            let less = if less_zero {
                look_up(term, zero_point)
            } else {
                0.0
            };
            expected[to] = if code.is_nan() {
                f32::NAN
            } else {
                look_up(term, *code) - less
            };
        }
    }
    let found = download::<f32>(&client, encoded.values, expected.len());
    prop_assert_eq!(bits(&found), bits(&expected));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_function_stands_in_its_group(
        tensor in quantized(true), terms in 1usize..5, groups in 1usize..4, per_group in 1usize..4, inner in 1usize..6,
        less_zero: bool, seed: u32, own_layout: bool,
    ) {
        let mut tensor = tensor;
        let mut layout = FactorLayout { channels: groups * per_group, inner, groups, less_zero };
        if own_layout {
            layout.channels = tensor.layout.channels.len();
            layout.inner = tensor.layout.inner;
            layout.groups = 1;
        } else {
            // One quantiser has no layout of its own.
            tensor.layout.channels.truncate(1);
            let block = layout.channels * layout.inner;
            tensor.values.truncate(tensor.values.len() / block * block);
        }
        check(&tensor, terms, layout, seed)?;
    }
}
