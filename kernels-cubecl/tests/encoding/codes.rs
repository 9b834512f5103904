//! Packed codes are the CPU's bit patterns, of every width.

use kernels_cubecl::{PackedCodes, encode, pack};
use proptest::prelude::*;

use crate::support::{Quantized, client, download, quantized, upload};

/// The words of bit patterns, and those of the codes that a device has packed.
fn words(codes: &PackedCodes, patterns: &[u16]) -> (Vec<u32>, Vec<u32>) {
    let (per_word, width) = if codes.bits() <= 8 { (4, 8) } else { (2, 16) };
    assert_eq!(codes.per_word(), per_word);
    let word = |chunk: &[u16]| {
        let places = (0..).step_by(width);
        let placed = chunk
            .iter()
            .zip(places)
            .map(|(pattern, place)| u32::from(*pattern) << place);
        placed.sum()
    };
    let expected: Vec<u32> = patterns.chunks(per_word).map(word).collect();
    (
        download(&client(), codes.handle().clone(), expected.len()),
        expected,
    )
}

fn mask(bits: u32) -> u16 {
    ((1u32 << bits) - 1) as u16
}

fn check(tensor: &Quantized) -> Result<(), TestCaseError> {
    let client = client();
    let quantizer = tensor.quantizer(&client);
    let values = upload(&client, &tensor.values);
    let encoded = encode(
        &client,
        &values,
        tensor.values.len(),
        tensor.quantization(&quantizer),
        tensor.bits,
        tensor.signed,
    )
    .unwrap();
    let poison = download::<u32>(&client, encoded.poison, 1)[0];
    match tensor
        .layout
        .wide_patterns(&tensor.values, mask(tensor.bits))
    {
        Some(patterns) => {
            prop_assert_eq!(poison, 0);
            let (found, expected) = words(&encoded.codes, &patterns);
            prop_assert_eq!(found, expected);
        }
        None => prop_assert_ne!(poison, 0),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn values_have_the_cpus_patterns(tensor in quantized(false)) {
        check(&tensor)?;
    }

    #[test]
    fn one_nan_anywhere_poisons(mut tensor in quantized(false), at: prop::sample::Index, negative: bool) {
        if !tensor.values.is_empty() {
            let at = at.index(tensor.values.len());
            tensor.values[at] = if negative { -f32::NAN } else { f32::NAN };
        }
        check(&tensor)?;
    }

    #[test]
    fn integers_are_packed_by_their_low_bits(
        bits in 1u32..=16, signed: bool, codes in prop::collection::vec(any::<i32>(), 0..40),
    ) {
        let client = client();
        let packed = pack(&client, &upload(&client, &codes), codes.len(), bits, signed).unwrap();
        prop_assert_eq!((packed.length(), packed.bits(), packed.is_signed()), (codes.len(), bits, signed));
        let patterns: Vec<u16> = codes.iter().map(|code| *code as u16 & mask(bits)).collect();
        let (found, expected) = words(&packed, &patterns);
        prop_assert_eq!(found, expected);
    }
}
