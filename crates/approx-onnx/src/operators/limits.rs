//! How large what operators make may be: a file's numbers must not take memory that no network needs.

use crate::error::Problem;

/// The most elements of a tensor, far beyond what networks make.
const LARGEST: usize = 1 << 28;

/// Checks that a tensor is not larger than any that networks make, before memory is taken for it; how many elements it
/// has.
pub(super) fn check_size(shape: &[usize]) -> Result<usize, Problem> {
    (shape.iter())
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .filter(|&elements| elements <= LARGEST)
        .ok_or_else(|| {
            Problem::new(format!(
                "it makes a tensor of shape {shape:?}, which is too large"
            ))
        })
}
