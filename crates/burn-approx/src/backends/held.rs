//! Tensors that are held so as to know them again: what was made of a weight is good while it still is that very
//! tensor.

#[cfg(feature = "flex")]
use burn::backend::Flex;
#[cfg(feature = "ndarray")]
use burn::backend::NdArray;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "gpu"))]
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use burn_cubecl::Cube;

/// A tensor's storage, held.
///
/// While it is held nobody writes to it, for no backend writes to storage that more than one tensor shares: a tensor
/// that is the same storage, seen in the same way, has the values that this one had.
pub(crate) enum HeldTensor {
    #[cfg(feature = "flex")]
    Flex(FloatTensor<Flex>),
    #[cfg(feature = "ndarray")]
    NdArray(FloatTensor<NdArray>),
    #[cfg(feature = "gpu")]
    Cube(FloatTensor<Cube>),
}

impl HeldTensor {
    /// Holds a tensor; `None` on backends that do not tell one tensor's storage from another's.
    pub(crate) fn new<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        #[allow(unused_variables)]
        let tensor = || tensor.clone().without_autodiff();
        #[cfg(feature = "flex")]
        if let Ok(tensor) = tensor().try_into_primitive::<Flex>() {
            return Some(Self::Flex(tensor));
        }
        #[cfg(feature = "ndarray")]
        if let Ok(tensor) = tensor().try_into_primitive::<NdArray>() {
            return Some(Self::NdArray(tensor));
        }
        #[cfg(feature = "gpu")]
        if let Ok(tensor) = tensor().try_into_primitive::<Cube>() {
            return Some(Self::Cube(tensor));
        }
        None
    }

    /// Whether a tensor is the same storage, seen in the same way.
    #[allow(unused_variables)]
    pub(crate) fn is<const D: usize>(&self, tensor: &Tensor<D>) -> bool {
        #[allow(unused_variables)]
        let tensor = || tensor.clone().without_autodiff();
        match self {
            #[cfg(feature = "flex")]
            Self::Flex(own) => (tensor().try_into_primitive::<Flex>())
                .is_ok_and(|tensor| super::flex::share_storage(own, &tensor)),
            #[cfg(feature = "ndarray")]
            Self::NdArray(own) => (tensor().try_into_primitive::<NdArray>())
                .is_ok_and(|tensor| super::ndarray::share_storage(own, &tensor)),
            #[cfg(feature = "gpu")]
            Self::Cube(own) => (tensor().try_into_primitive::<Cube>())
                .is_ok_and(|tensor| super::cubecl::share_storage(own, &tensor)),
            #[cfg(not(any(feature = "flex", feature = "ndarray", feature = "gpu")))]
            _ => false,
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    /// Every backend in host memory.
    #[allow(
        deprecated,
        reason = "burn-ndarray is deprecated and stays behind a feature"
    )]
    fn devices() -> Vec<Device> {
        vec![
            Device::flex(),
            #[cfg(feature = "ndarray")]
            Device::ndarray(),
        ]
    }

    fn same<const D: usize>(left: &Tensor<D>, right: &Tensor<D>) -> bool {
        let held = HeldTensor::new(left).expect("these backends tell");
        held.is(right)
    }

    const VALUES: [[f32; 3]; 3] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];

    fn square(device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::from(VALUES), device)
    }

    #[test]
    fn a_copy_of_a_tensor_shares_its_storage() {
        for device in devices() {
            let tensor = square(&device);
            assert!(same(&tensor, &tensor.clone()), "{device:?}");
            assert!(same(&tensor, &tensor.clone().detach()), "{device:?}");
        }
    }

    /// Equal values are not enough, neither is the same storage in another order or in part.
    #[test]
    fn other_tensors_do_not_share_it() {
        for device in devices() {
            let tensor = square(&device);
            let others = [
                square(&device),
                tensor.clone() + 0.0,
                tensor.clone().transpose(),
            ];
            for (index, other) in others.iter().enumerate() {
                assert!(!same(&tensor, other), "{index} on {device:?}");
                assert!(same(other, other), "{index} on {device:?}");
            }
            let [first, last] = [0..2, 1..3].map(|part| tensor.clone().slice([part, 0..3]));
            assert!(!same(&first, &last), "{device:?}");
        }
    }

    /// While a copy is held, its storage is not written to: what a weight was known by stays as it was.
    #[test]
    fn what_is_shared_is_not_written_to() {
        for device in devices() {
            let held = square(&device);
            let row = Tensor::<2>::zeros([1, 3], &device);
            // Operations that may write in place to storage that nobody else holds.
            let edited = [
                held.clone() * 2.0,
                held.clone().neg(),
                held.clone().slice_assign([0..1, 0..3], row),
            ];
            for (index, edited) in edited.into_iter().enumerate() {
                assert!(!same(&held, &edited), "{index} on {device:?}");
                held.to_data().assert_eq(&TensorData::from(VALUES), true);
            }
        }
    }

    #[cfg(feature = "autodiff")]
    #[test]
    fn a_tensor_shares_its_storage_with_itself_in_a_graph() {
        for device in devices() {
            let tensor = square(&device.autodiff()).require_grad();
            assert!(same(&tensor, &tensor.clone().inner()));
            assert!(same(&tensor, &tensor.clone().detach()));
        }
    }

    #[cfg(feature = "ndarray")]
    #[test]
    fn tensors_of_two_backends_share_nothing() {
        let [first, second] = [&devices()[0], &devices()[1]].map(square);
        assert!(!same(&first, &second));
    }
}
