//! Tests of the operators over tensors, on the CPU: against plain integer loops, against the recorded reference
//! vectors, and of the CPU backends against each other. `operators_gpu` is the same for a GPU.

mod backends;
mod bad_input;
mod exact_equals_quantized;
mod golden;
mod gradients;
mod htp;
mod multiplier_gradients;
mod plans;
mod properties;
mod regressions;
mod table_reference;

use burn::tensor::Device;
use properties::Coverage;

/// The device that the tests run on.
fn device() -> Device {
    Device::flex()
}

/// The two devices that are compared with each other.
#[allow(
    deprecated,
    reason = "Burn deprecates its NdArray backend, which is supported behind a feature"
)]
fn two_devices() -> [Device; 2] {
    [Device::flex(), Device::ndarray()]
}

/// How many layers the main laws are tried on, and how many of the smaller layers any other law is tried on at most.
const MAIN_LAYERS: u32 = 1200;
const MOST_LAYERS: u32 = 1200;

/// How many layers each of the 50 bundled tables is tried on, by every plan.
const LAYERS_PER_TABLE: u32 = 12;

/// What the main laws must have been tried on.
const WIDE: Coverage = Coverage {
    layers: 1_000,
    accumulators: 10_000_000,
    deep_layers: 50,
};
