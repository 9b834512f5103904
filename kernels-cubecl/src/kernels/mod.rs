//! The kernels, one file each, and the components that they share.

pub(crate) mod code_sums;
pub(crate) mod code_values;
pub(crate) mod direct;
pub(crate) mod encode;
pub(crate) mod encode_factors;
pub(crate) mod epilogue;
pub(crate) mod finish_counts;
pub(crate) mod geometry;
pub(crate) mod histogram;
pub(crate) mod mask_clipped;
pub(crate) mod pack;
pub(crate) mod quantization;
pub(crate) mod ranges;
pub(crate) mod rescale;
pub(crate) mod scalar_product;
pub(crate) mod sums;
pub(crate) mod tile;
