//! Drop-in replacements for Burn's layers: the same constructors, fields and parameter names, and room for an
//! approximate multiplier.
//!
//! Replace `use burn::nn::{Linear, LinearConfig}` by `use burn_approx::nn::{Linear, LinearConfig}`, likewise for
//! `conv::{Conv2d, Conv2dConfig}`, and nothing else in a model changes: until [`convert`](crate::convert::convert) has
//! been over it, a drop-in layer computes, saves and loads exactly as Burn's own. [`attention`] and [`transformer`] are
//! Burn's modules of those names, put together from such layers; [`Matmul`] makes a layer of a product of two
//! activations. [`BatchNorm`] has nothing to convert, but is faster than Burn's. Recurrent layers have no drop-in: [`capture`](fn@crate::convert::capture) converts a model with Burn's
//! own.
//!
//! Design: each drop-in has one field more than Burn's layer, [`Approximation`], a module with a hand-written
//! implementation. Before conversion it shows a flag (which records do not hold) and no tensor; after it, the
//! quantisation state's tensors, so that Burn itself carries them through records, devices, `train()` and `valid()`.
//! The alternative, a `Reparameterization` on the weight, was rejected: a second one on the same parameter is silently
//! undone, and mapping the parameter drops it.

pub mod attention;
mod batch_norm;
pub mod cache;
pub mod conv;
mod drop_in;
mod layer;
pub(crate) mod linear;
pub(crate) mod matmul;
mod settings;
pub mod transformer;

pub use batch_norm::{BatchNorm, BatchNormConfig, FusedActivation};
pub use burn::nn::LinearLayout;
pub use conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose1d,
    ConvTranspose1dConfig, ConvTranspose2d, ConvTranspose2dConfig,
};
pub use layer::{Approximation, LayerKind, LayerShape};
pub(crate) use layer::{Converted, LayerState, Tap, with_handle};
pub use linear::{Linear, LinearConfig};
pub use matmul::Matmul;
pub use settings::{LayerSettings, Mode, Noise};
