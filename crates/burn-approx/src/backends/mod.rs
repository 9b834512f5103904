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
