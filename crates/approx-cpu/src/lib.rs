//! CPU kernels for approximate multipliers, over plain slices.
//!
//! [`matmul`] and [`conv2d`] compute `acc[o] = sum over k of table[a_k][w_{o,k}]` from bit patterns of operand codes
//! and the product table of a multiplier ([`LookupTable`]), as exact integers. The activation is always the first
//! operand. [`conv_transpose2d`] computes a transposed convolution so. [`row_sums`] and [`window_sums`] give the sums
//! of activation codes that a weight's zero point asks for.
//!
//! [`FactoredProduct`] computes the same sums for a multiplier of low rank, whose table is an exact sum of products of
//! one-operand functions: as one integer matrix product or convolution over encoded operands, much faster than by
//! looking every product up, and for operands of up to 16 bits.
//!
//! [`CircuitProduct`] computes them for any multiplier whose circuit is known, gate by gate: of any rank, and for operands
//! of up to 16 bits.
//!
//! [`conv2d_activation_gradient`], [`conv2d_weight_gradient`] and their like are the backward passes of training, in
//! float32.
//!
//! `shapes` says what the products' shapes are, `lookup`, `factored` and `circuit` hold the three families of kernels, `gradients` the
//! backward passes, `transposed` takes transposed convolutions apart for the first two, and `arch` has the instruction sets that all of them are compiled for,
//! one file each.
//!
//! All of them run on the current rayon thread pool; results do not depend on its size.

mod accumulators;
mod arch;
mod axis;
pub mod batch_norm;
mod circuit;
mod error;
mod factored;
mod gradients;
mod lookup;
pub mod observe;
mod operand;
mod parallel;
pub mod quantize;
pub mod rescale;
mod shapes;
mod speed;
mod transposed;
mod window_sums;
mod word;
mod written;

#[cfg(test)]
mod tests;

pub use accumulators::Accumulators;
pub use circuit::CircuitProduct;
pub use error::KernelError;
pub use factored::{
    Activations, Conv2dWeights, ConvTranspose2dWeights, ElementType, FactorTerm, FactoredProduct,
    MatmulWeights, ProductCost, Weights,
};
pub use gradients::{
    Coded, FloatOperand, conv_transpose2d_activation_gradient, conv_transpose2d_weight_gradient,
    conv2d_activation_gradient, conv2d_weight_gradient, matmul_activation_gradient,
    matmul_weight_gradient,
};
pub use lookup::{LookupTable, conv_transpose2d, conv_transpose2d_rescaled, conv2d, matmul};
pub use operand::{OperandWidth, ProductQuantizers};
pub use parallel::in_pool;
pub use shapes::{Conv2dShape, ConvTranspose2dShape, MatmulShape, Padding2d};
pub use speed::{RelativeTimes, lookup_cycles, relative_times, transposed_lookup_cycles};
pub use window_sums::{row_sums, window_sums};
