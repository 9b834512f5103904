//! The smallest and the largest value of every channel, over one slice of the channel's values.
//!
//! ```text
//! low[s, c]  = min over e in slice s of x[c, e]
//! high[s, c] = max over e in slice s of x[c, e]        both NaN if any of them is not finite
//! ```
//!
//! A second launch takes the slices' results to the channels'. Floats are compared as integers that are ordered as they
//! are, with what is not finite below the lowest and above the highest.

use cubecl::prelude::*;

use crate::float_bits::{NAN, SIGN, is_finite, is_nan};

/// The integers of +inf and -inf, the ends of nothing.
const NO_LOW: u32 = 0xff80_0000;
const NO_HIGH: u32 = 0x007f_ffff;
/// The integers of no value but NaNs.
const POISONED_LOW: u32 = 0;
const POISONED_HIGH: u32 = 0xffff_ffff;

/// Where the values of a channel lie, and which of them are one slice's.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Slices {
    pub(crate) channels: usize,
    /// Neighbouring values of one channel.
    pub(crate) inner: usize,
    /// The values of a channel.
    pub(crate) values: usize,
    /// The slices of a channel.
    pub(crate) count: usize,
    /// The values of a slice.
    pub(crate) length: usize,
}

/// `lanes` units share a slice of a channel; a cube has `units`.
///
/// The input holds values, from which both ends are taken, or, where they are `ends`, the lowest values of all channels
/// and, after as many elements as there are of them, the highest.
#[cube(launch)]
pub(crate) fn ranges(
    input: &[u32],
    output: &mut [u32],
    slices: Slices,
    #[comptime] ends: bool,
    #[comptime] lanes: usize,
    #[comptime] units: usize,
) {
    let unit = UNIT_POS as usize;
    let lane = unit % lanes;
    let per_cube = comptime!(units / lanes);
    let cubes = slices.channels.div_ceil(per_cube);
    let slice = CUBE_POS / cubes;
    let channel = (CUBE_POS % cubes) * per_cube + unit / lanes;
    let is_used = slice < slices.count && channel < slices.channels;

    let mut low = NO_LOW.runtime();
    let mut high = NO_HIGH.runtime();
    if is_used {
        let end = min((slice + 1) * slices.length, slices.values);
        let mut value = slice * slices.length + lane;
        while value < end {
            let position = ((value / slices.inner) * slices.channels + channel) * slices.inner
                + value % slices.inner;
            if ends {
                let highs = slices.channels * slices.values;
                low = min(low, ordered_end(input[position], POISONED_LOW));
                high = max(high, ordered_end(input[highs + position], POISONED_HIGH));
            } else {
                let bits = input[position];
                let is_number = is_finite(bits);
                let integer = ordered(bits);
                low = min(low, select(is_number, integer, POISONED_LOW.runtime()));
                high = max(high, select(is_number, integer, POISONED_HIGH.runtime()));
            }
            value += lanes;
        }
    }

    let mut lows = Shared::<[u32]>::new_slice(units);
    let mut highs = Shared::<[u32]>::new_slice(units);
    lows[unit] = low;
    highs[unit] = high;
    #[unroll]
    for step in 0..comptime!(lanes.ilog2() as usize) {
        let distance = comptime!(lanes >> (step + 1));
        sync_cube();
        if lane < distance {
            lows[unit] = min(lows[unit], lows[unit + distance]);
            highs[unit] = max(highs[unit], highs[unit + distance]);
        }
    }
    if is_used && lane == 0 {
        let position = slice * slices.channels + channel;
        let low = lows[unit];
        let is_poisoned = low == POISONED_LOW;
        output[position] = select(is_poisoned, NAN.runtime(), unordered(low));
        output[slices.count * slices.channels + position] =
            select(is_poisoned, NAN.runtime(), unordered(highs[unit]));
    }
}

/// The integer of a number, or a given one for a NaN.
#[cube]
fn ordered_end(bits: u32, #[comptime] poisoned: u32) -> u32 {
    select(is_nan(bits), poisoned.runtime(), ordered(bits))
}

/// An integer that is the larger the larger the number of these bits is.
#[cube]
fn ordered(bits: u32) -> u32 {
    select(bits >= SIGN, !bits, bits | SIGN)
}

/// The bits of the number of an integer.
#[cube]
fn unordered(integer: u32) -> u32 {
    select(integer >= SIGN, integer ^ SIGN, !integer)
}
