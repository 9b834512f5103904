//! The operators on Burn's CPU backend: the host implementation over borrowed storage.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::host::HostBackend;

impl HostBackend for Flex {
    fn read<R>(tensor: FloatTensor<Self>, read: impl FnOnce(&[f32]) -> R) -> R {
        let contiguous = tensor.to_contiguous();
        read(
            contiguous
                .as_slice::<f32>()
                .expect("operators cast their operands to f32 and make them contiguous"),
        )
    }
}

/// Whether two tensors are the same storage seen in the same way.
pub(super) fn share_storage(left: &FloatTensor<Flex>, right: &FloatTensor<Flex>) -> bool {
    std::ptr::eq(left.bytes(), right.bytes())
        && left.layout() == right.layout()
        && left.dtype() == right.dtype()
}
