//! Counts of values per bin of a sign, a power of two and the highest bits of the mantissa.
//!
//! ```text
//! distance(x) = clamp((|x|'s bits >> 18) - (95 << 5) + 1, 0, SIDE)
//! bin(x)      = SIDE - distance(x) of a negative x, SIDE + distance(x) of another
//! counts[bin] = how many x[i] have bin(x[i]) = bin
//! counts[BINS] = 1 if any x[i] is not finite
//! ```

use cubecl::prelude::*;

use crate::float_bits::{MAGNITUDE, is_finite};

/// The bins of one sign: 64 powers of two from 2^-32 on, of 32 bins each.
const SIDE: u32 = 64 * 32;
/// The number of bins: those of both signs, and the value 0 between them.
pub(crate) const BINS: usize = 2 * SIDE as usize + 1;
/// The bits of a float below the highest five of its mantissa.
const IGNORED_BITS: u32 = 18;
/// The remaining bits of 2^-32.
const FIRST: u32 = (127 - 32) << 5;

/// Adds to `counts`, whose last element, beyond the bins, is not 0 once a value is not finite.
///
/// Each cube counts on its own and adds its counts at the end. The bin of 0 is the only one that does not fit into the
/// least memory that the units of a cube share; it is likely to be the fullest, and every unit counts it by itself.
#[cube(launch)]
pub(crate) fn histogram(values: &[u32], counts: &mut [Atomic<u32>]) {
    let sides = comptime!(2 * SIDE as usize);
    let unit = UNIT_POS as usize;
    let units = CUBE_DIM as usize;
    let own = Shared::<[Atomic<u32>]>::new_slice(sides);
    for bin in range_stepped(unit, sides, units) {
        own[bin].store(0u32);
    }
    sync_cube();

    let mut zeros = 0u32;
    let mut is_poisoned = false;
    for position in range_stepped(ABSOLUTE_POS, values.len(), CUBE_COUNT * units) {
        let bits = values[position];
        is_poisoned = is_poisoned || !is_finite(bits);
        let from = (bits & MAGNITUDE) >> IGNORED_BITS;
        // Without the bin of 0: distances 1 and above count from the middle outwards.
        if from < FIRST {
            zeros += 1u32;
        } else {
            let distance = min(from - FIRST, SIDE - 1);
            let bin = select(bits > MAGNITUDE, SIDE - 1 - distance, SIDE + distance);
            own[bin as usize].fetch_add(1u32);
        }
    }
    sync_cube();

    for bin in range_stepped(unit, sides, units) {
        let count = own[bin].load();
        if count > 0 {
            let after_zero = if bin >= SIDE as usize { 1usize } else { 0usize };
            counts[bin + after_zero].fetch_add(count);
        }
    }
    // The cube's zeros are summed where its other counts have been.
    sync_cube();
    if unit == 0 {
        own[0].store(0u32);
    }
    sync_cube();
    own[0].fetch_add(zeros);
    sync_cube();
    if unit == 0 {
        counts[SIDE as usize].fetch_add(own[0].load());
    }
    if is_poisoned {
        counts[BINS].store(1u32);
    }
}
