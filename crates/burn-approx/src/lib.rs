//! Approximate hardware multipliers inside [Burn](https://burn.dev) models, forward and in training.
//!
//! A multiplier comes from [`approx_multiplier`]; layers from [`nn`] replace Burn's by a changed `use` line;
//! [`convert`](fn@convert) switches the layers of a finished model; [`calibrate`](fn@calibrate) finds the ranges that
//! the codes must cover; from then on the model computes bit-exactly what the hardware would, and trains through it
//! with straight-through gradients.
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
//! println!("{y}\n{}", approx_layers(&model));
//! # Ok::<(), burn_approx::ApproxError>(())
//! ```
//!
//! The rooms, from the ground up; each uses only those before it:
//!
//! | room | what it holds |
//! |---|---|
//! | `codes` | ranges and grids of operand codes, the vocabulary of quantisation |
//! | `geometry` | which activation meets which weight in which output, as a value; shapes are checked there |
//! | [`quantization`] | quantisers: scales and zero points on a device |
//! | `multiplier` | prepared multipliers, their factors on given codes, routes to their products |
//! | [`plan`] | the planner, its cost model, planned products and what is kept of weights |
//! | `backends` | the operator trait and one file or folder for each of Burn's backends |
//! | [`ops`] | the operators over Burn's tensors |
//! | `observation` | what is seen of operands, and the quantisers that follow |
//! | [`nn`] | drop-in layers |
//! | [`mod@convert`], `graph` | the conversion pass, calibration, listing; models whose source cannot change, by [`capture`] |
//! | `storage` | saving and loading |

mod backends;
mod codes;
pub mod convert;
mod error;
mod geometry;
#[cfg(feature = "capture")]
mod graph;
mod multiplier;
pub mod nn;
mod observation;
pub mod ops;
pub mod plan;
pub mod quantization;
mod storage;

pub use approx_multiplier as multipliers;
#[cfg(feature = "capture")]
pub use convert::{AnyTensor, CaptureOptions, GraphModel, GraphTensors, PartialPass, capture};
pub use convert::{
    ApproxConfig, ApproxLayer, ConversionReport, LayerRule, LayerTable, approx_layers, calibrate,
    convert, trace,
};
pub use error::ApproxError;
pub use multiplier::PreparedMultiplier;
pub use nn::{LayerSettings, Mode, Noise};
pub use storage::{configuration, load, load_plain_record, plain_record, save};
