//! Codes, their real values and the gradient's mask are those of the CPU, bit for bit.

use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
use kernels_cubecl::{fake_quantize, mask_clipped, shifted_codes};
use proptest::prelude::*;

use crate::support::{Quantized, bits, client, download, quantized, upload};

fn check(tensor: &Quantized) -> Result<(), TestCaseError> {
    let Quantized { values, layout, .. } = tensor;
    let client = client();
    let quantizer = tensor.quantizer(&client);
    let quantization = tensor.quantization(&quantizer);
    let length = values.len();
    let uploaded = upload(&client, values);

    let shifted = shifted_codes(&client, &uploaded, length, quantization).unwrap();
    let shifted = download(&client, shifted, length);
    prop_assert_eq!(bits(&shifted), bits(&layout.shifted_codes(values)));

    let fake = fake_quantize(&client, &uploaded, length, quantization).unwrap();
    let fake = download(&client, fake, length);
    prop_assert_eq!(bits(&fake), bits(&layout.fake_quantize(values)));

    let mut gradients: Vec<f32> = (0..length).map(|i| i as f32 - 7.5).collect();
    let masked = upload(&client, &gradients);
    let masked = mask_clipped(&client, &uploaded, &masked, length, quantization).unwrap();
    layout.mask_clipped(values, &mut gradients);
    prop_assert_eq!(bits(&download(&client, masked, length)), bits(&gradients));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_value_has_the_cpus_code(tensor in quantized(true)) {
        check(&tensor)?;
    }
}

/// All ties between 16-bit codes, and the floats next to them.
#[test]
fn every_tie_goes_to_the_even_code() {
    let ties = (-70_000..70_000).map(|step| step as f32 + 0.5);
    let values = ties.flat_map(|tie: f32| [tie.next_down(), tie, tie.next_up()]);
    for (zero_point, low) in [(0.0, -32_768.0), (-32_768.0, -32_768.0), (65_535.0, 0.0)] {
        let quantizer = ChannelQuantizer {
            scale: 1.0,
            reciprocal: 1.0,
            zero_point,
            low,
            high: low + 65_535.0,
        };
        let tensor = Quantized {
            values: values.clone().collect(),
            layout: ChannelLayout {
                channels: vec![quantizer],
                inner: 1,
            },
            bits: 16,
            signed: low < 0.0,
        };
        check(&tensor).unwrap();
    }
}

/// Scales without a meaning leave no number.
#[test]
fn a_scale_that_is_not_finite_gives_nans() {
    for (scale, reciprocal) in [(f32::INFINITY, 0.0), (f32::NAN, f32::NAN)] {
        let quantizer = ChannelQuantizer {
            scale,
            reciprocal,
            zero_point: 1.0,
            low: -8.0,
            high: 7.0,
        };
        let tensor = Quantized {
            values: vec![0.0, 1.0, -1e30],
            layout: ChannelLayout {
                channels: vec![quantizer],
                inner: 1,
            },
            bits: 4,
            signed: true,
        };
        check(&tensor).unwrap();
        let client = client();
        let quantizer = tensor.quantizer(&client);
        let values = upload(&client, &tensor.values);
        let fake = fake_quantize(&client, &values, 3, tensor.quantization(&quantizer)).unwrap();
        let fake = download::<f32>(&client, fake, 3);
        assert!(fake.into_iter().all(f32::is_nan));
    }
}
