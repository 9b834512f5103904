//! Approximate hardware multipliers inside [Burn](https://burn.dev) models, forward and in training.
//!
//! A multiplier comes from [`approx_multiplier`]; layers from [`nn`] replace Burn's by a changed `use` line;
//! [`convert`](fn@convert) switches the layers of a finished model; [`calibrate`](fn@calibrate) finds the ranges
//! that the codes must cover; from then on the model computes bit-exactly what the hardware would, and trains through it with
//! straight-through gradients.
//!
//! ```
//! use burn::prelude::*;
//! use burn_approx::convert::{ApproxConfig, approx_layers, calibrate, convert};
//! use burn_approx::nn::{Linear, LinearConfig};
//!
//! #[derive(Module, Debug)]
//! struct Model {
//!     hidden: Linear,
//!     output: Linear,
//! }
//!
//! impl Model {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.output.forward(burn::tensor::activation::relu(self.hidden.forward(x)))
//!     }
//! }
//!
//! let device = Device::default();
//! let model = Model { hidden: LinearConfig::new(16, 8).init(&device), output: LinearConfig::new(8, 3).init(&device) };
//! let x = Tensor::<2>::random([4, 16], burn::tensor::Distribution::Default, &device);
//!
//! let (model, _) = convert(model, &ApproxConfig::bundled("mul8s_1L2J"))?;
//! calibrate(&model, |model| {
//!     model.forward(x.clone());
//! })?;
//! let y = model.forward(x); // every product is mul8s_1L2J's
//! println!("{}", approx_layers(&model));
//! # Ok::<(), burn_approx::ApproxError>(())
//! ```
//!
//! The rooms: [`quantization`] (codes, observers, quantisers), [`ops`] (the operators and the trait that a backend
//! implements), [`plan`] (how a layer's products are computed), `backends` (one file each), [`nn`] (drop-in layers),
//! [`mod@convert`] (the pass, calibration, listing), `graph` (models whose source cannot change, by `convert::capture`), and saving.

mod backends;
pub mod convert;
mod error;
#[cfg(feature = "capture")]
mod graph;
mod multiplier;
pub mod nn;
#[cfg(feature = "gpu")]
mod on_devices;
pub mod ops;
pub mod plan;
pub mod quantization;
mod settings;
mod storage;

pub use approx_multiplier as multipliers;
pub use convert::{ApproxConfig, approx_layers, calibrate, convert};
pub use error::ApproxError;
pub use multiplier::PreparedMultiplier;
pub use settings::{LayerSettings, Mode, Noise};
pub use storage::{configuration, load, load_plain_record, plain_record, save};
