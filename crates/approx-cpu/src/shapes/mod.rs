//! The shapes of products: their sides, what has to hold of them, and the sizes that follow.

mod conv2d;
mod conv_transpose2d;
mod matmul;

pub use conv_transpose2d::ConvTranspose2dShape;
pub(crate) use conv_transpose2d::greatest_common_divisor;
pub use conv2d::{Conv2dShape, Padding2d};
pub use matmul::MatmulShape;
