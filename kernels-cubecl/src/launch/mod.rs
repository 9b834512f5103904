//! The launches, one file each, and the checks that they share.

mod conv2d;
mod element_wise;
mod encode;
mod encode_factors;
mod fake_quantize;
mod histogram;
mod mask_clipped;
mod matmul;
mod pack;
mod prepared;
mod quantization;
mod ranges;
mod rescale;
mod shifted_codes;

pub use conv2d::{Conv2dProblem, conv2d};
pub use encode::{EncodedCodes, encode};
pub use encode_factors::{
    EncodedFactors, FactorElement, FactorLayout, FactorTables, encode_factors,
};
pub use fake_quantize::fake_quantize;
pub use histogram::{HISTOGRAM_BINS, histogram};
pub use mask_clipped::mask_clipped;
pub use matmul::{MatmulProblem, MatrixPairs, matmul};
pub use pack::pack;
pub use quantization::Quantization;
pub use ranges::ranges;
pub use rescale::{PartialSums, Rescaling, rescale};
pub use shifted_codes::shifted_codes;

use crate::error::KernelError;

/// The elements that a tensor may have: indices are 32 bits wide, and one bit is left over for what is outside.
const ELEMENTS: u128 = 1 << 31;

/// Checks that kernels can count something.
pub(crate) fn check_count(quantity: &'static str, count: u128) -> Result<(), KernelError> {
    if count >= ELEMENTS {
        return Err(KernelError::TooLarge {
            quantity,
            count,
            limit: ELEMENTS - 1,
        });
    }
    Ok(())
}

/// The number of elements of a shape, if kernels can count them.
pub(crate) fn elements(quantity: &'static str, shape: &[usize]) -> Result<usize, KernelError> {
    // A length of zero makes the tensor empty, whatever the others are.
    if shape.contains(&0) {
        return Ok(0);
    }
    let count = shape
        .iter()
        .try_fold(1u128, |count, &length| count.checked_mul(length as u128))
        .unwrap_or(u128::MAX);
    check_count(quantity, count)?;
    Ok(count as usize)
}
