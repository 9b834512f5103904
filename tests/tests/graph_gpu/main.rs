//! The tests of captured models once more, on a GPU: the modules of `graph`, but for the one with products of very many
//! sizes, each of which a GPU's driver compiles anew.

#[allow(dead_code, reason = "not every model is tried here")]
#[macro_use]
#[path = "../graph/models.rs"]
mod models;

/// A law on the models whose kernels a software driver compiles in a moment.
macro_rules! on_every_model {
    ($law:ident) => {
        tests_of!($law: perceptron convolutional);
    };
}

#[path = "../graph/activations.rs"]
mod activations;
#[path = "../graph/bad_input.rs"]
mod bad_input;
#[path = "../graph/containers.rs"]
mod containers;
#[path = "../graph/drop_in.rs"]
mod drop_in;
#[path = "../graph/equality.rs"]
mod equality;
#[path = "../graph/folding.rs"]
mod folding;
#[path = "../graph/on_left.rs"]
mod on_left;
#[path = "../graph/records.rs"]
mod records;
#[path = "../graph/simulation.rs"]
mod simulation;
#[path = "../graph/transformers.rs"]
mod transformers;

use burn::tensor::Device;
use burn_approx_tests::gpu::gpu as device;

/// Two devices for a model to move between.
fn two_devices() -> [Device; 2] {
    [Device::flex(), device()]
}
