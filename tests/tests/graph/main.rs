//! Tests of captured models, on the CPU: what `convert::capture` promises for models that know nothing of this library.
//! `graph_gpu` is the same for a GPU.
//!
//! The laws hold for every model of `models`, of which three come from other crates' kits and one is Burn's own
//! encoder.

#[macro_use]
mod models;

/// A law on every model.
macro_rules! on_every_model {
    ($law:ident) => {
        tests_of!($law: perceptron convolutional transformer_encoder resnet swin gpt);
    };
}

mod activations;
mod bad_input;
mod batch;
mod containers;
mod drop_in;
mod equality;
mod folding;
mod on_left;
mod partial;
mod records;
mod recurrent;
mod simulation;
mod transformers;

use burn::tensor::Device;

/// The device that the tests run on.
fn device() -> Device {
    Device::flex()
}

/// Two devices for a model to move between.
#[allow(
    deprecated,
    reason = "Burn deprecates its NdArray backend, which is supported behind a feature"
)]
fn two_devices() -> [Device; 2] {
    [Device::flex(), Device::ndarray()]
}
