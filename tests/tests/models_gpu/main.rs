//! The tests of converted models once more, on a GPU: the very modules of `models`, but for the one with transformers
//! of very many sizes, each of which a GPU's driver compiles anew; `graph_gpu` has a transformer.

#[path = "../models/bad_input.rs"]
mod bad_input;
#[path = "../models/conversion.rs"]
mod conversion;
#[path = "../models/convolutions.rs"]
mod convolutions;
#[path = "../models/edges.rs"]
mod edges;
#[path = "../models/gradients.rs"]
mod gradients;
#[path = "../models/kept_weights.rs"]
mod kept_weights;
#[path = "../models/modes.rs"]
mod modes;
#[path = "../models/networks.rs"]
mod networks;
#[path = "../models/observers.rs"]
mod observers;
#[path = "../models/products.rs"]
mod products;
#[path = "../models/records.rs"]
mod records;
#[path = "../models/storage.rs"]
mod storage;
#[path = "../models/torchapprox_usage.rs"]
mod torchapprox_usage;
#[path = "../models/traces.rs"]
mod traces;
#[path = "../models/training.rs"]
mod training;

use burn::tensor::Device;
use burn_approx_tests::gpu::gpu as device;

/// Two devices for a model to move between.
fn two_devices() -> [Device; 2] {
    [Device::flex(), device()]
}
