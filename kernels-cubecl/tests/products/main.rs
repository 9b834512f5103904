//! Products of codes on the device against plain loops in 128-bit integers, bit for bit.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod conv2d;
mod conv_transpose2d;
mod extremes;
mod matmul;
mod operands;
mod poison;
mod reals;
mod wide;
