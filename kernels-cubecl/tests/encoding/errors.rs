//! What does not fit is refused before anything is launched, and grids beyond one dimension are not.

use cubecl::server::Handle;
use kernels_cubecl::{
    ChannelQuantization, DeviceKernelError, FactorLayout, FactorTables, PartialSums,
    QuantizerBuffer, Rescaling, encode, encode_factors, fake_quantize, histogram, mask_clipped,
    pack, ranges, rescale, shifted_codes,
};

use crate::support::{client, download, upload};

fn quantizer(channels: usize) -> QuantizerBuffer {
    QuantizerBuffer::from_parameters(&client(), &vec![0.5; channels], &vec![0.0; channels]).unwrap()
}

fn quantization(quantizer: &QuantizerBuffer) -> ChannelQuantization<'_> {
    ChannelQuantization {
        quantizer,
        inner: 2,
        low: -8,
        high: 7,
    }
}

/// The error of rescaling sums of channels without neighbours.
fn rescaling_error(
    sums: &Handle,
    length: usize,
    constants: Option<&Handle>,
    quantizers: [usize; 2],
    channels: usize,
) -> Option<DeviceKernelError> {
    let [activation, weight] = quantizers.map(quantizer);
    let rescaling = Rescaling {
        activation: &activation,
        weight: &weight,
        constants,
        kind: PartialSums::Reals,
        parts: 1,
        channels,
        inner: 1,
    };
    rescale(&client(), sums, length, rescaling).err()
}

#[test]
fn short_buffers_are_refused() {
    let client = client();
    let three = quantizer(3);
    let (short, six) = (upload(&client, &[1.0f32; 5]), upload(&client, &[1.0f32; 6]));
    let is_short =
        |error: Option<DeviceKernelError>| matches!(error, Some(DeviceKernelError::Buffer { .. }));
    let quantization = quantization(&three);
    assert!(is_short(
        shifted_codes(&client, &short, 6, quantization).err()
    ));
    assert!(is_short(
        fake_quantize(&client, &short, 6, quantization).err()
    ));
    assert!(is_short(
        mask_clipped(&client, &six, &short, 6, quantization).err()
    ));
    assert!(is_short(
        mask_clipped(&client, &short, &six, 6, quantization).err()
    ));
    assert!(is_short(
        encode(&client, &short, 6, quantization, 4, true).err()
    ));
    assert!(is_short(pack(&client, &short, 6, 4, true).err()));
    assert!(is_short(ranges(&client, &short, 6, 1, 1).err()));
    assert!(is_short(histogram(&client, &short, 6).err()));
    assert!(is_short(rescaling_error(&short, 6, None, [1, 3], 3)));
    assert!(is_short(rescaling_error(&six, 6, Some(&short), [1, 6], 6)));
    let too_large = |error| matches!(error, Err(DeviceKernelError::TooLarge { .. }));
    assert!(too_large(histogram(&client, &six, 1 << 31)));
    assert!(too_large(ranges(&client, &six, 0, usize::MAX, 1)));
}

#[test]
fn layouts_and_formats_that_do_not_fit_are_refused() {
    let client = client();
    let (three, one) = (quantizer(3), quantizer(1));
    let seven = upload(&client, &[1.0f32; 7]);
    let error = shifted_codes(&client, &seven, 7, quantization(&three)).err();
    let expected = DeviceKernelError::Layout {
        length: 7,
        channels: 3,
        inner: 2,
    };
    assert_eq!(error, Some(expected));
    let is_layout = |error| matches!(error, Err(DeviceKernelError::Layout { .. }));
    assert!(is_layout(ranges(&client, &seven, 7, 0, 1)));
    assert!(is_layout(ranges(&client, &seven, 7, 1, 0)));
    assert!(is_layout(ranges(&client, &seven, 7, usize::MAX, 2)));

    let error = encode(&client, &seven, 7, quantization(&one), 3, true).err();
    let expected = DeviceKernelError::CodeRange {
        low: -8,
        high: 7,
        lowest: -4,
        highest: 3,
    };
    assert_eq!(error, Some(expected));
    let unsigned = encode(&client, &seven, 7, quantization(&one), 8, false);
    assert!(matches!(unsigned, Err(DeviceKernelError::CodeRange { .. })));
    let wide = ChannelQuantization {
        high: 65_536,
        ..quantization(&one)
    };
    let wide = shifted_codes(&client, &seven, 7, wide);
    assert!(matches!(wide, Err(DeviceKernelError::CodeRange { .. })));
    let error = encode(&client, &seven, 7, quantization(&one), 17, true).err();
    assert_eq!(error, Some(DeviceKernelError::CodeWidth { bits: 17 }));
    let error = pack(&client, &seven, 7, 0, true).err();
    assert_eq!(error, Some(DeviceKernelError::CodeWidth { bits: 0 }));

    let expected = DeviceKernelError::Quantizers {
        operand: "weights",
        channels: 7,
        actual: 3,
    };
    assert_eq!(rescaling_error(&seven, 7, None, [1, 3], 7), Some(expected));
    let expected = DeviceKernelError::Quantizers {
        operand: "activations",
        channels: 1,
        actual: 3,
    };
    assert_eq!(rescaling_error(&seven, 7, None, [3, 1], 7), Some(expected));
}

#[test]
fn factors_that_do_not_fit_are_refused() {
    let client = client();
    let one = quantizer(1);
    let values = upload(&client, &[1.0f32; 6]);
    let tables = upload(&client, &[1.0f32; 32]);
    let refused = |terms: usize, groups: usize, inner: usize| {
        let factors = FactorTables {
            tables: &tables,
            terms,
            bits: 4,
            signed: true,
        };
        let layout = FactorLayout {
            channels: 3,
            inner,
            groups,
            less_zero: true,
        };
        encode_factors(&client, &values, 6, quantization(&one), factors, layout).err()
    };
    let zero = |parameter| Some(DeviceKernelError::Zero { parameter });
    assert_eq!(refused(2, 3, 2), None);
    assert_eq!(refused(0, 3, 2), zero("number of terms"));
    assert_eq!(refused(2, 0, 2), zero("number of groups"));
    let expected = DeviceKernelError::Groups {
        groups: 2,
        channels: 3,
        side: "input",
    };
    assert_eq!(refused(2, 2, 2), Some(expected));
    let expected = DeviceKernelError::Layout {
        length: 6,
        channels: 3,
        inner: 4,
    };
    assert_eq!(refused(2, 1, 4), Some(expected));
    assert!(matches!(
        refused(3, 3, 2),
        Some(DeviceKernelError::Buffer { .. })
    ));
    assert!(matches!(
        refused(usize::MAX, 3, 2),
        Some(DeviceKernelError::TooLarge { .. })
    ));
}

/// One cube more than one dimension of a grid has.
#[test]
fn large_tensors_are_reached_to_their_ends() {
    let client = client();
    let length = 65_535 * 256 + 1;
    let mut values = vec![1.0f32; length];
    values[length - 1] = -1.0;
    let handle = upload(&client, &values);
    let one = quantizer(1);
    let shifted = shifted_codes(&client, &handle, length, quantization(&one)).unwrap();
    let shifted = download::<f32>(&client, shifted, length);
    assert!(shifted[..length - 1].iter().all(|code| *code == 2.0));
    assert_eq!(shifted[length - 1], -2.0);
    let found = ranges(&client, &handle, length, length, 1).unwrap();
    let found = download::<f32>(&client, found, 2 * length);
    assert!(found == [values.clone(), values].concat());
}
