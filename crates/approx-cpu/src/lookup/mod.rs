//! Products that are looked up in a table, for multipliers of any rank with operands of at most 8 bits.
//!
//! A matrix product and a convolution are one problem ([`gather`]): some codes are held fixed while others are streamed
//! past them, either by panels of many lanes ([`panel`], [`accumulate`]) or one lane at a time ([`column_gather`]). A
//! transposed convolution consists of such problems ([`transposed`]).

mod accumulate;
mod bounds;
mod column_gather;
pub(crate) mod conv2d;
pub(crate) mod conv_transpose2d;
pub(crate) mod gather;
pub(crate) mod matmul;
mod panel;
mod table;
pub(crate) mod transposed;

pub use conv_transpose2d::{conv_transpose2d, conv_transpose2d_rescaled};
pub use conv2d::conv2d;
pub use matmul::matmul;
pub use table::LookupTable;
