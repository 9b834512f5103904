//! CPU kernels for approximate multipliers, over plain slices.
//!
//! [`matmul`] and [`conv2d`] compute `acc[o] = sum over k of table[a_k][w_{o,k}]` from bit patterns of operand codes and
//! the product table of a multiplier ([`LookupTable`]), as exact integers. The activation is always the first operand.
//! [`row_sums`] and [`window_sums`] give the sums of activation codes that a weight's zero point asks for.
//!
//! All of them run on the current rayon thread pool; results do not depend on its size.

mod accumulate;
mod accumulators;
mod column_gather;
mod conv2d;
mod error;
mod gather;
mod instruction_set;
mod matmul;
pub mod observe;
mod panel;
mod parallel;
pub mod quantize;
pub mod rescale;
mod table;
mod window_sums;

#[cfg(test)]
mod tests;

pub use accumulators::Accumulators;
pub use conv2d::{Conv2dShape, Padding2d, conv2d};
pub use error::KernelError;
pub use matmul::{MatmulShape, matmul};
pub use table::LookupTable;
pub use window_sums::{row_sums, window_sums};
