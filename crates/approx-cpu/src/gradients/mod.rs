//! Backward passes of products in float32: the gradients of activations and of weights.
//!
//! All of them are matrix products. `kernel` multiplies packed blocks, `product` cuts matrices into these, and `lines`
//! and `windows` are where blocks are packed from, by `runs`; activations are mapped by their codes on the way (`operand`). Only depthwise convolutions, with little to multiply, go another way
//! (`depthwise`). A product's sums are images (`images`) or a weight (`weights`). The public functions, which say which
//! product a gradient is, have a file for each geometry.

mod conv2d;
mod conv_transpose2d;
mod depthwise;
mod images;
mod kernel;
mod lines;
mod matmul;
mod operand;
mod product;
mod runs;
mod turned;
mod weights;
mod windows;

#[cfg(test)]
mod tests;

pub use conv_transpose2d::{
    conv_transpose2d_activation_gradient, conv_transpose2d_weight_gradient,
};
pub use conv2d::{conv2d_activation_gradient, conv2d_weight_gradient};
pub use matmul::{matmul_activation_gradient, matmul_weight_gradient};
pub use operand::{Coded, FloatOperand};
