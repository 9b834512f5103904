//! Drop-in convolutions of lines and volumes until they are converted: Burn's layers, whatever the padding, and their
//! records go both ways.

use burn::nn::conv as burns;
use burn::nn::{PaddingConfig1d, PaddingConfig3d};
use burn::prelude::*;
use burn_approx::nn::conv::{Conv1d, Conv1dConfig, Conv3d, Conv3dConfig};
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
