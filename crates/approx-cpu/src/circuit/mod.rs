//! Products that a circuit computes gate by gate, for multipliers of any rank with operands of up to 16 bits.
//!
//! 64 products of one output are computed at a time, one in every bit of a word: so an output's sum is the count of ones
//! among its words, for each bit of the product ([`engine`]). [`slices`] lays the bits of operands out so. An output has
//! lanes to spare unless 64 divides the number of its products: `masks` say which count. In a matrix product all lines
//! have the same mask; in a [transposed convolution](conv_transpose2d), what lies outside of the input is left out by it.
//!
//! Lanes could also run over outputs, each of which would then add its products up in carry-save form. That takes some
//! five gates for every bit of the product and every product, where a count takes one instruction for 64 of them.

mod conv2d;
mod conv_transpose2d;
mod engine;
mod matmul;
mod product;
mod slices;

#[cfg(test)]
mod tests;

pub use product::CircuitProduct;
