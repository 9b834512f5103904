//! The counts of a [`histogram`](crate::kernels::histogram) as floats:
//!
//! ```text
//! y[bin] = NaN if a value was not finite, else counts[bin]
//! ```

use cubecl::prelude::*;

use crate::float_bits::bits_unless;
use crate::kernels::histogram::BINS;

/// The kernel: one unit per bin.
#[cube(launch)]
pub(crate) fn finish_counts(counts: &[u32], output: &mut [u32]) {
    if ABSOLUTE_POS < output.len() {
        let count = f32::cast_from(counts[ABSOLUTE_POS]);
        output[ABSOLUTE_POS] = bits_unless(counts[BINS] != 0, count);
    }
}
