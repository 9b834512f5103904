//! The kernels around a product: what they compute is what the CPU's functions compute, bit for bit.

mod codes;
#[path = "../common/mod.rs"]
mod common;
mod errors;
mod factors;
mod observation;
mod quantization;
mod rescale;
mod support;
