//! The operators on each of Burn's backends: the trait that they implement (`extension`), one file or folder per
//! backend, what they have in common (`float`: float products and their gradients; `terms`: sums of products of
//! one-operand functions), and what the library has to know of the backend that a tensor lies on.

#[cfg(feature = "autodiff")]
mod autodiff;
#[cfg(feature = "gpu")]
mod cubecl;
#[cfg_attr(
    feature = "ndarray",
    allow(
        deprecated,
        reason = "burn-ndarray is deprecated and stays behind a feature"
    )
)]
mod extension;
#[cfg(feature = "flex")]
mod flex;
mod float;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod host;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "gpu"))]
mod terms;

use burn::tensor::Tensor;

pub use extension::ApproxOps;

/// What the operators' callers have checked before: a failure here is a backend used directly with bad operands.
#[cfg(any(feature = "flex", feature = "ndarray", feature = "gpu"))]
fn checked<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// Whether two tensors are the same storage seen in the same way.
///
/// While both exist they then hold the same values: no backend writes to storage that more than one tensor shares.
/// `false` on backends that do not tell.
pub(crate) fn share_storage<const D: usize>(left: &Tensor<D>, right: &Tensor<D>) -> bool {
    #[allow(unused_variables)]
    let operands = || [left, right].map(|tensor| tensor.clone().without_autodiff());
    #[cfg(feature = "flex")]
    if let [Ok(left), Ok(right)] =
        operands().map(|tensor| tensor.try_into_primitive::<burn::backend::Flex>())
    {
        return flex::share_storage(&left, &right);
    }
    #[cfg(feature = "ndarray")]
    #[allow(
        deprecated,
        reason = "burn-ndarray is deprecated and stays behind a feature"
    )]
    if let [Ok(left), Ok(right)] =
        operands().map(|tensor| tensor.try_into_primitive::<burn::backend::NdArray>())
    {
        return ndarray::share_storage(&left, &right);
    }
    #[cfg(feature = "gpu")]
    if let [Ok(left), Ok(right)] =
        operands().map(|tensor| tensor.try_into_primitive::<burn_cubecl::Cube>())
    {
        return cubecl::share_storage(&left, &right);
    }
    false
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

    const VALUES: [[f32; 3]; 3] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];

    fn square(device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::from(VALUES), device)
    }

    #[test]
    fn a_copy_of_a_tensor_shares_its_storage() {
        for device in devices() {
            let tensor = square(&device);
            assert!(share_storage(&tensor, &tensor.clone()), "{device:?}");
            assert!(
                share_storage(&tensor, &tensor.clone().detach()),
                "{device:?}"
            );
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
                assert!(!share_storage(&tensor, other), "{index} on {device:?}");
                assert!(share_storage(other, other), "{index} on {device:?}");
            }
            let [first, last] = [0..2, 1..3].map(|part| tensor.clone().slice([part, 0..3]));
            assert!(!share_storage(&first, &last), "{device:?}");
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
                assert!(!share_storage(&held, &edited), "{index} on {device:?}");
                held.to_data().assert_eq(&TensorData::from(VALUES), true);
            }
        }
    }

    #[cfg(feature = "autodiff")]
    #[test]
    fn a_tensor_shares_its_storage_with_itself_in_a_graph() {
        for device in devices() {
            let tensor = square(&device.autodiff()).require_grad();
            assert!(share_storage(&tensor, &tensor.clone().inner()));
            assert!(share_storage(&tensor, &tensor.clone().detach()));
        }
    }

    #[cfg(feature = "ndarray")]
    #[test]
    fn tensors_of_two_backends_share_nothing() {
        let [first, second] = [&devices()[0], &devices()[1]].map(square);
        assert!(!share_storage(&first, &second));
    }
}
