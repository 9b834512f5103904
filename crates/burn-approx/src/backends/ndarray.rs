//! The operators on Burn's older CPU backend: the host implementation over copied data.
#![allow(
    deprecated,
    reason = "burn-ndarray is deprecated, but was asked for and stays behind a feature"
)]

use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{NdArray, read_sync};

use burn_ndarray::NdArrayTensor;

use super::host::HostBackend;

impl HostBackend for NdArray {
    fn read<R>(tensor: FloatTensor<Self>, read: impl FnOnce(&[f32]) -> R) -> R {
        let data = read_sync(Self::float_into_data(tensor)).expect("host tensors can be read");
        read(
            data.as_slice::<f32>()
                .expect("operators cast their operands to f32"),
        )
    }
}

/// Whether two tensors are the same storage seen in the same way.
pub(super) fn share_storage(left: &FloatTensor<NdArray>, right: &FloatTensor<NdArray>) -> bool {
    let (NdArrayTensor::F32(left), NdArrayTensor::F32(right)) = (left, right) else {
        return false;
    };
    let (left, right) = (left.view(), right.view());
    std::ptr::eq(left.as_ptr(), right.as_ptr())
        && left.shape() == right.shape()
        && left.strides() == right.strides()
}
