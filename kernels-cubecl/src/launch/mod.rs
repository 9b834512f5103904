//! The launches, one file each, and what they share.

mod checked_product;
mod code_values;
mod conv2d;
mod conv_transpose2d;
mod element_wise;
mod encode;
mod encode_factors;
mod histogram;
mod mask_clipped;
mod matmul;
mod pack;
mod quantization;
mod ranges;
mod rescale;

pub use code_values::{fake_quantize, shifted_codes};
pub use conv_transpose2d::{ConvTranspose2dProblem, conv_transpose2d};
pub use conv2d::{Conv2dProblem, conv2d};
pub use encode::{EncodedCodes, encode};
pub use encode_factors::{EncodedFactors, FactorLayout, FactorTables, encode_factors};
pub use histogram::{HISTOGRAM_BINS, histogram};
pub use mask_clipped::mask_clipped;
pub use matmul::{MatmulProblem, MatrixPairs, matmul};
pub use pack::pack;
pub use quantization::ChannelQuantization;
pub use ranges::ranges;
pub use rescale::{PartialSums, Rescaling, rescale};
