//! What each gradient of a multiplier is worth: a ResNet-20 is trained in floating point, put on one approximate
//! multiplier after the other, and retrained with every gradient and seed; accuracies before and after every epoch go
//! into a table and a plot. The program `compare-gradients` is [`study::run`] with [`args::Args`] from the command
//! line.
//!
//! `images` is what all train on, `train` trains and measures one network, `float` makes the one that all begin with,
//! `results` keeps what was measured, `plot` draws it.

pub mod args;
pub mod digest;
pub mod error;
pub mod float;
pub mod images;
pub mod plot;
pub mod results;
pub mod study;
pub mod train;
