//! Trains MobileNetV2 in floating point, converts it to an approximate multiplier, retrains it, and reports its
//! accuracy at every stage. The program `train-mobilenet` is [`run::run`] with [`args::Args`] from the command line.
//! A second program, `compare-gradients`, is in [`compare`]: it trains on the same data sets.

pub mod approximate;
pub mod args;
pub mod checkpoint;
pub mod compare;
pub mod data;
pub mod device;
pub mod files;
pub mod loader;
pub mod plot;
pub mod progress;
pub mod report;
pub mod run;
pub mod settings;
pub mod train;
