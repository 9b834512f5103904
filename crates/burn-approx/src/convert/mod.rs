//! Conversion: switching the drop-in layers of a finished model to an approximate multiplier, and reaching them after.

mod accumulators;
mod apply;
mod calibrate;
mod config;
mod layers;
mod trace;
mod walk;

#[cfg(feature = "capture")]
pub use crate::graph::{AnyTensor, CaptureOptions, GraphModel, GraphTensors, PartialPass, capture};
pub use accumulators::accumulators;
pub use apply::{ConversionReport, convert};
pub use calibrate::calibrate;
pub use config::{ApproxConfig, LayerRule};
pub use layers::{ApproxLayer, LayerTable, approx_layers};
pub use trace::trace;
