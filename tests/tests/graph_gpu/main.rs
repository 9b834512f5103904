//! The tests of captured models once more, on a GPU: the very modules of `graph`.

#[path = "../graph/bad_input.rs"]
mod bad_input;
#[path = "../graph/batch.rs"]
mod batch;
#[path = "../graph/containers.rs"]
mod containers;
#[path = "../graph/drop_in.rs"]
mod drop_in;
#[path = "../graph/equality.rs"]
mod equality;
#[path = "../graph/folding.rs"]
mod folding;
#[path = "../graph/models.rs"]
mod models;
#[path = "../graph/records.rs"]
mod records;
#[path = "../graph/simulation.rs"]
mod simulation;

use burn::tensor::Device;
use burn_approx_tests::gpu::gpu as device;

/// Two devices for a model to move between.
fn two_devices() -> [Device; 2] {
    [Device::flex(), device()]
}
