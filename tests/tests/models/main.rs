//! Tests of converted models, on the CPU: what the layers, the conversion pass, calibration and saving promise.
//! `models_gpu` is the same for a GPU.

mod accumulators;
mod attention;
mod bad_input;
mod batch_norm;
mod conversion;
mod convolutions;
mod edges;
mod gradients;
mod handles;
mod kept_weights;
mod modes;
mod networks;
mod observers;
mod products;
mod records;
mod storage;
mod threads;
mod torchapprox_usage;
mod traces;
mod training;
mod transposed;
mod unconverted;

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
