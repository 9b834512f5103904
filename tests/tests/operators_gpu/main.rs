//! The tests of the operators once more, on a GPU: the very modules of `operators`, and what only a GPU has.
//!
//! Where no GPU is, a software driver serves: Vulkan's lavapipe computes the same, slowly.

#[path = "../operators/bad_input.rs"]
mod bad_input;
#[path = "../operators/exact_equals_quantized.rs"]
mod exact_equals_quantized;
mod fusion;
#[path = "../operators/golden.rs"]
mod golden;
// The comparison of two backends: here of the CPU and the GPU.
#[path = "../operators/backends.rs"]
mod gpu_equals_cpu;
#[path = "../operators/gradients.rs"]
mod gradients;
#[path = "../operators/htp.rs"]
mod htp;
mod large;
#[path = "../operators/multiplier_gradients.rs"]
mod multiplier_gradients;
#[path = "../operators/plans.rs"]
mod plans;
#[path = "../operators/properties.rs"]
mod properties;
#[path = "../operators/regressions.rs"]
mod regressions;
mod rounding;
#[path = "../operators/table_reference.rs"]
mod table_reference;

use burn::tensor::Device;
use burn_approx_tests::gpu::gpu as device;
use properties::Coverage;

/// The two devices that are compared with each other.
fn two_devices() -> [Device; 2] {
    [Device::flex(), device()]
}

/// How many layers the main laws are tried on, and how many of the smaller layers any other law is tried on at most.
/// Fewer than on the CPU: a software driver takes milliseconds for each of a layer's dozen kernels, and a tenth of a
/// second to compile one.
const MAIN_LAYERS: u32 = 300;
const MOST_LAYERS: u32 = 300;

/// How many layers each of the 50 bundled tables is tried on, by every plan.
const LAYERS_PER_TABLE: u32 = 5;

/// What the main laws must have been tried on.
const WIDE: Coverage = Coverage {
    layers: 300,
    accumulators: 2_500_000,
    deep_layers: 12,
};
