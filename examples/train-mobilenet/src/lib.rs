//! Trains MobileNetV2 in floating point, converts it to an approximate multiplier, and retrains it.

pub mod checkpoint;
pub mod data;
pub mod loader;
pub mod progress;
pub mod train;
