//! Drop-in convolutions until they are converted: Burn's layers, whatever the padding, in training too, and their records go
//! both ways.

use burn::nn::conv as burns;
use burn::nn::{PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
use burn::prelude::*;
use burn_approx::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv3d, Conv3dConfig, ConvTranspose1d, ConvTranspose2d,
};
use burn_approx_tests::layer::relative_difference;
use rstest::rstest;

use crate::convolutions::{tensor, volumes};
use crate::networks::values;

fn lines(device: &Device) -> Tensor<3> {
    tensor([2, 4, 13], 1, device)
}

/// A drop-in computes what Burn's layer does, and records go both ways; each layer starts with weights of its own.
#[rstest]
fn lines_are_burns_until_converted(
    #[values(
        PaddingConfig1d::Valid,
        PaddingConfig1d::Same,
        PaddingConfig1d::Explicit(3, 1)
    )]
    padding: PaddingConfig1d,
    #[values((1, 1), (2, 1), (3, 2))] steps: (usize, usize),
    #[values(1, 2, 5)] kernel: usize,
) {
    let (stride, dilation) = steps;
    let device = crate::device();
    let plain = || {
        burns::Conv1dConfig::new(4, 6, kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_groups(2)
            .with_padding(padding.clone())
            .init(&device)
    };
    let ours = Conv1dConfig::new(4, 6, kernel)
        .with_stride(stride)
        .with_dilation(dilation)
        .with_groups(2)
        .with_padding(padding.clone())
        .init(&device);
    let original = plain();
    let expected = values(original.forward(lines(&device)));
    assert_eq!(ours.num_params(), original.num_params());
    assert_ne!(values(ours.forward(lines(&device))), expected);
    let ours = ours.load_record(original.clone().into_record());
    assert_eq!(values(ours.forward(lines(&device))), expected);
    let back = plain().load_record(ours.clone().into_record());
    assert_eq!(values(back.forward(lines(&device))), expected);
    let taken = burns::Conv1d::from(Conv1d::from(original));
    assert_eq!(values(taken.forward(lines(&device))), expected);
}

#[rstest]
fn volumes_are_burns_until_converted(
    #[values(
        PaddingConfig3d::Valid,
        PaddingConfig3d::Same,
        PaddingConfig3d::Explicit(2, 0, 1)
    )]
    padding: PaddingConfig3d,
    // One less than the sizes of the input is divided by them, as padding that keeps the size asks for.
    #[values(([1, 1, 1], [1, 1, 1]), ([2, 3, 4], [1, 2, 1]))] steps: ([usize; 3], [usize; 3]),
    #[values([1, 3, 5], [3, 1, 3])] kernel: [usize; 3],
) {
    let (stride, dilation) = steps;
    let device = crate::device();
    let plain = || {
        burns::Conv3dConfig::new([4, 6], kernel)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_groups(2)
            .with_padding(padding.clone())
            .init(&device)
    };
    let ours = Conv3dConfig::new([4, 6], kernel)
        .with_stride(stride)
        .with_dilation(dilation)
        .with_groups(2)
        .with_padding(padding.clone())
        .init(&device);
    let original = plain();
    let expected = values(original.forward(volumes(&device)));
    assert_eq!(ours.num_params(), original.num_params());
    assert_ne!(values(ours.forward(volumes(&device))), expected);
    let ours = ours.load_record(original.clone().into_record());
    assert_eq!(values(ours.forward(volumes(&device))), expected);
    let back = plain().load_record(ours.clone().into_record());
    assert_eq!(values(back.forward(volumes(&device))), expected);
    let taken = burns::Conv3d::from(Conv3d::from(original));
    assert_eq!(values(taken.forward(volumes(&device))), expected);
}

/// The output of a convolution and the gradients of its input, weight and bias, on an autodiff device.
macro_rules! trained {
    ($layer:expr, $shape:expr, $device:expr) => {{
        let input = tensor($shape, 3, &$device).require_grad();
        let output = $layer.forward(input.clone());
        let loss = output.clone() * tensor(output.dims(), 4, &$device);
        let gradients = loss.sum().backward();
        let bias = $layer
            .bias
            .as_ref()
            .unwrap()
            .val()
            .grad(&gradients)
            .unwrap();
        [
            values(output),
            values(input.grad(&gradients).unwrap()),
            values($layer.weight.val().grad(&gradients).unwrap()),
            values(bias),
        ]
    }};
}

/// In training, too: the gradients may be found by other kernels, and are the same to float rounding.
#[rstest]
#[case::dense([1, 1], [1, 1], 1)]
#[case::strided([2, 3], [1, 1], 1)]
#[case::dilated([1, 2], [2, 1], 2)]
#[case::depthwise([2, 1], [1, 1], 4)]
fn training_is_burns_until_converted(
    #[case] stride: [usize; 2],
    #[case] dilation: [usize; 2],
    #[case] groups: usize,
) {
    let device = crate::device().autodiff();
    let check = |name: &str, found: [Vec<f32>; 4], expected: [Vec<f32>; 4]| {
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let difference = relative_difference(found, expected);
            assert!(difference < 1e-5, "{name}, {index}: {difference}");
        }
    };
    // Burn's own weight gradient is wrong where groups meet a stride that leaves values unread; here none is left.
    let plain = burns::Conv1dConfig::new(4, 8, 3)
        .with_stride(stride[1])
        .with_dilation(dilation[1])
        .with_groups(groups)
        .with_padding(PaddingConfig1d::Explicit(1, 1))
        .init(&device);
    let shape = [3, 4, 15];
    let found = trained!(Conv1d::from(plain.clone()), shape, device);
    check("conv1d", found, trained!(plain, shape, device));
    let plain = burns::Conv2dConfig::new([4, 8], [3, 2])
        .with_stride(stride)
        .with_dilation(dilation)
        .with_groups(groups)
        .with_padding(PaddingConfig2d::Explicit(1, 0, 2, 1))
        .init(&device);
    let shape = [3, 4, 11, 10];
    let found = trained!(Conv2d::from(plain.clone()), shape, device);
    check("conv2d", found, trained!(plain, shape, device));
    let plain = burns::ConvTranspose1dConfig::new([4, 8], 3)
        .with_stride(stride[1])
        .with_dilation(dilation[1])
        .with_groups(groups)
        .with_padding(1)
        .init(&device);
    let shape = [3, 4, 13];
    let found = trained!(ConvTranspose1d::from(plain.clone()), shape, device);
    check("conv_transpose1d", found, trained!(plain, shape, device));
    let plain = burns::ConvTranspose2dConfig::new([4, 8], [3, 2])
        .with_stride(stride)
        .with_dilation(dilation)
        .with_groups(groups)
        .with_padding([1, 0])
        .init(&device);
    let shape = [3, 4, 6, 5];
    let found = trained!(ConvTranspose2d::from(plain.clone()), shape, device);
    check("conv_transpose2d", found, trained!(plain, shape, device));
}
