//! The kernels compute in float32; other float types pass through it.

use burn::prelude::*;
use burn::tensor::DType;

/// Runs an operation on float32 values and gives its result in the type of the values.
pub(super) fn in_float32<const D: usize, const R: usize>(
    values: Tensor<D>,
    operation: impl FnOnce(Tensor<D>) -> Tensor<R>,
) -> Tensor<R> {
    match values.dtype() {
        DType::F32 => operation(values),
        other => operation(values.cast(DType::F32)).cast(other),
    }
}
