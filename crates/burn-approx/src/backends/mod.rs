//! The operators on each of Burn's backends: the trait that they implement (`extension`), one file or folder per
//! backend, what they have in common (`float`: float products and their gradients; `batch_norm`; `terms`:
//! sums of products of one-operand functions), and what the library has to know of the backend that a tensor lies on.

#[cfg(feature = "autodiff")]
mod autodiff;
mod batch_norm;
mod coded;
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
mod function;
#[cfg(feature = "autodiff")]
mod gradient;
#[cfg_attr(
    feature = "ndarray",
    allow(
        deprecated,
        reason = "burn-ndarray is deprecated and stays behind a feature"
    )
)]
mod held;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod host;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "gpu"))]
mod terms;

pub use batch_norm::{BatchNormSettings, Shortcut};
pub use coded::CodeFunction;
pub use extension::ApproxOps;
pub(crate) use held::HeldTensor;

/// What the operators' callers have checked before: a failure here is a backend used directly with bad operands.
#[cfg(any(feature = "flex", feature = "ndarray", feature = "gpu"))]
fn checked<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
