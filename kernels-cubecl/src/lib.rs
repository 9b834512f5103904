//! CubeCL kernels for approximate multipliers, for every device that CubeCL runs on.
//!
//! Products of codes: [`matmul`], [`conv2d`] and [`conv_transpose2d`], with the product of two codes looked up in a
//! [`DeviceTable`] or as a sum of products of [`DeviceFactors`]. Operands are [`PackedCodes`], from [`encode`] or
//! [`pack`]; everything on the device is contiguous and row-major, and no launch waits for the device.
//!
//! Products of real values: [`encode_factors`] makes operands of a matrix product or convolution that computes the same
//! sums in float32, [`rescale`] makes real values of them; [`shifted_codes`], [`fake_quantize`] and [`mask_clipped`]
//! quantise operands and gradients. [`ranges`] and [`histogram`] are what calibration observes.
//!
//! `kernels` has the mathematics, one kernel per file, and in `kernels/geometry` where the operands of each kind of
//! product lie; `launch` has the checks and sizes, one launch per file. Beside them is what both know: codes,
//! quantisers, wide integers and the bits of floats as they lie on a device.

mod checks;
mod codes;
mod device;
mod error;
mod float_bits;
mod kernels;
mod launch;
mod product;
mod quantizer;
pub mod wide;

pub use codes::PackedCodes;
pub use device::{check_device, has_tensor_float32};
pub use error::DeviceKernelError;
pub use launch::{
    ChannelQuantization, Conv2dProblem, ConvTranspose2dProblem, EncodedCodes, EncodedFactors,
    FactorLayout, FactorTables, HISTOGRAM_BINS, MatmulProblem, MatrixPairs, PartialSums, Rescaling,
    conv_transpose2d, conv2d, encode, encode_factors, fake_quantize, histogram, mask_clipped,
    matmul, pack, ranges, rescale, shifted_codes,
};
pub use product::{
    DeviceFactors, DeviceTable, FactorNumber, Operand, Output, ScalarProduct, Words,
};
pub use quantizer::QuantizerBuffer;

/// The README, whose example is compiled with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
