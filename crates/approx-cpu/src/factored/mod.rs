//! Multipliers of low rank as integer matrix products and convolutions.
//!
//! Such a multiplier is an exact sum `m(a, b) = sum over t of scale_t * u_t(a) * v_t(b)` of integer factors of one
//! operand each. `sum over k of m(a_k, w_{o,k})` then is one integer product over encoded operands, `terms` times as
//! deep: the weights are encoded and packed once, the activations as they come.

mod conv2d;
mod conv_transpose2d;
mod decompose;
mod depthwise;
mod encode;
mod epilogue;
mod kernel;
mod layout;
mod matmul;
mod operands;
mod prepared;
mod product;
mod scratch;
mod source;
#[cfg(test)]
mod tests;
mod tile;
mod weights;

pub use self::conv_transpose2d::ConvTranspose2dWeights;
pub use self::decompose::ElementType;
pub use self::operands::{Activations, FactorTerm, Weights};
pub use self::product::{Conv2dWeights, FactoredProduct, MatmulWeights, ProductCost};
