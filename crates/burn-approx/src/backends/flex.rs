//! The operators on Burn's CPU backend: the host implementation over borrowed storage.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::host::HostBackend;

impl HostBackend for Flex {
    fn read<R>(tensor: FloatTensor<Self>, read: impl FnOnce(&[f32]) -> R) -> R {
        match tensor.as_slice::<f32>() {
            Some(values) => read(values),
            None => read(
                tensor
                    .to_contiguous()
                    .as_slice::<f32>()
                    .expect("operators cast their operands to f32"),
            ),
        }
    }
}

/// Whether two tensors are the same storage seen in the same way.
pub(super) fn share_storage(left: &FloatTensor<Flex>, right: &FloatTensor<Flex>) -> bool {
    std::ptr::eq(left.bytes(), right.bytes())
        && left.layout() == right.layout()
        && left.dtype() == right.dtype()
}
