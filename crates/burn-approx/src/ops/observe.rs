//! What calibration observes of a tensor: ranges and histograms.

use burn::backend::Dispatch;
use burn::prelude::*;
use burn::tensor::DType;

use crate::backends::ApproxOps;

/// The smallest and largest value per channel, `[2, channels]`.
pub(crate) fn observe_ranges<const D: usize>(
    values: Tensor<D>,
    channel_axis: Option<usize>,
) -> Tensor<2> {
    let values = values.without_autodiff().cast(DType::F32);
    Tensor::from_dispatch(<Dispatch as ApproxOps>::observe_ranges(
        values.into_dispatch(),
        channel_axis,
    ))
}

/// The counts per histogram bin, `[bins]`.
pub(crate) fn observe_histogram<const D: usize>(values: Tensor<D>) -> Tensor<1> {
    let values = values.without_autodiff().cast(DType::F32);
    Tensor::from_dispatch(<Dispatch as ApproxOps>::observe_histogram(
        values.into_dispatch(),
    ))
}
