//! Trains MobileNetV2 in floating point, converts it to an approximate multiplier, retrains it, and reports its
//! accuracy at every stage. The program `train-mobilenet` is [`run::run`] with [`args::Args`] from the command line. A
//! second program, `compare-gradients`, is in [`compare`]: it trains on the same data sets. What is not about these
//! programs' networks is in `approx-experiment`.

pub mod approximate;
pub mod args;
pub mod compare;
pub mod measure;
pub mod plot;
pub mod report;
pub mod run;
pub mod settings;
