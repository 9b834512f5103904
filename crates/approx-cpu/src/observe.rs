//! What observers need to know of a tensor: its range per channel, and a histogram with fixed logarithmic bins.
//!
//! A NaN or an infinity poisons the result (it comes back as NaN) instead of being skipped, so that an observer
//! remembers having met one.

use rayon::prelude::*;

use crate::parallel::CHUNK;

/// The smallest and largest of some values; both NaN if any value was not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The smallest value, `+inf` of no values.
    pub min: f32,
    /// The largest value, `-inf` of no values.
    pub max: f32,
}

impl Range {
    const EMPTY: Self = Self {
        min: f32::INFINITY,
        max: f32::NEG_INFINITY,
    };
    const POISONED: Self = Self {
        min: f32::NAN,
        max: f32::NAN,
    };

    fn of(values: &[f32]) -> Self {
        const LANES: usize = 16;
        let (mut min, mut max, mut poison) = (
            [f32::INFINITY; LANES],
            [f32::NEG_INFINITY; LANES],
            [0.0f32; LANES],
        );
        let (blocks, rest) = values.as_chunks::<LANES>();
        let mut tail = [values.first().copied().unwrap_or_default(); LANES];
        tail[..rest.len()].copy_from_slice(rest);
        let tail = (!rest.is_empty()).then_some(&tail);
        for block in blocks.iter().chain(tail) {
            for lane in 0..LANES {
                let value = block[lane];
                min[lane] = if value < min[lane] { value } else { min[lane] };
                max[lane] = if value > max[lane] { value } else { max[lane] };
                poison[lane] += value * 0.0; // 0 for finite values, NaN otherwise
            }
        }
        if poison.iter().any(|lane| lane.is_nan()) {
            return Self::POISONED;
        }
        Self {
            min: min.into_iter().fold(f32::INFINITY, f32::min),
            max: max.into_iter().fold(f32::NEG_INFINITY, f32::max),
        }
    }

    fn merge(self, other: Self) -> Self {
        if self.min.is_nan() || other.min.is_nan() {
            return Self::POISONED;
        }
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// The range of every channel of a row-major tensor: element `i` belongs to channel `(i / inner) % channels`.
///
/// # Panics
/// If `channels` or `inner` is 0.
///
/// ```
/// use approx_cpu::observe::ranges;
///
/// let found = ranges(&[1.0, -2.0, 5.0, 7.0], 2, 2);
/// assert_eq!((found[0].min, found[0].max), (-2.0, 1.0));
/// assert_eq!((found[1].min, found[1].max), (5.0, 7.0));
/// assert!(ranges(&[1.0, f32::NAN], 1, 2)[0].min.is_nan());
/// ```
pub fn ranges(values: &[f32], channels: usize, inner: usize) -> Vec<Range> {
    assert!(
        channels > 0 && inner > 0,
        "a tensor has at least one channel of one element"
    );
    if channels == 1 {
        return vec![
            values
                .par_chunks(CHUNK)
                .map(Range::of)
                .reduce(|| Range::EMPTY, Range::merge),
        ];
    }
    if inner == 1 {
        return interleaved_ranges(values, channels);
    }
    (0..channels)
        .into_par_iter()
        .with_min_len((CHUNK / (values.len() / channels).max(1)).max(1))
        .map(|channel| {
            let blocks = values.chunks(inner).skip(channel).step_by(channels);
            blocks.map(Range::of).fold(Range::EMPTY, Range::merge)
        })
        .collect()
}

/// The ranges of channels whose values alternate: all channels at once, row by row, so that memory is read in order.
fn interleaved_ranges(values: &[f32], channels: usize) -> Vec<Range> {
    values
        .par_chunks((CHUNK / channels).max(1) * channels)
        .map(|rows| {
            let mut ranges = vec![Range::EMPTY; channels];
            let mut poison = vec![0.0f32; channels];
            for row in rows.chunks(channels) {
                for ((range, poison), value) in ranges.iter_mut().zip(&mut poison).zip(row) {
                    range.min = if *value < range.min {
                        *value
                    } else {
                        range.min
                    };
                    range.max = if *value > range.max {
                        *value
                    } else {
                        range.max
                    };
                    *poison += value * 0.0;
                }
            }
            for (range, poison) in ranges.iter_mut().zip(poison) {
                if poison.is_nan() {
                    *range = Range::POISONED;
                }
            }
            ranges
        })
        .reduce(
            || vec![Range::EMPTY; channels],
            |left, right| {
                left.into_iter()
                    .zip(right)
                    .map(|(left, right)| left.merge(right))
                    .collect()
            },
        )
}

/// The layout of the histogram: logarithmic bins that are the same for every tensor, so that counts simply add up.
///
/// A bin is a sign, a power of two from 2^-32 to 2^31 and the five highest bits of the mantissa, so that a bin is at
/// most 1/32 as wide as its values are large. Smaller magnitudes count as 0, larger ones into the last bin.
pub mod histogram {
    const OCTAVES: usize = 64;
    const STEPS: usize = 32;
    const LOWEST_EXPONENT: i32 = -32;
    /// The bins of one sign.
    pub const SIDE: usize = OCTAVES * STEPS;
    /// The number of bins: both signs, and the value 0 in the middle.
    pub const BINS: usize = 2 * SIDE + 1;

    /// The bin of a finite value.
    #[inline]
    pub fn bin(value: f32) -> usize {
        let first = ((127 + LOWEST_EXPONENT) as u32) << 5;
        let key = (value.abs().to_bits() >> 18) as i64 - i64::from(first);
        let distance = (key + 1).clamp(0, SIDE as i64) as usize;
        if value.is_sign_negative() {
            SIDE - distance
        } else {
            SIDE + distance
        }
    }

    /// The value in the middle of a bin.
    ///
    /// # Panics
    /// If there is no such bin.
    pub fn centre(bin: usize) -> f64 {
        assert!(bin < BINS, "bin {bin} of {BINS}");
        let distance = bin.abs_diff(SIDE);
        if distance == 0 {
            return 0.0;
        }
        let octave = LOWEST_EXPONENT + ((distance - 1) / STEPS) as i32;
        let fraction = 1.0 + (((distance - 1) % STEPS) as f64 + 0.5) / STEPS as f64;
        let magnitude = fraction * f64::powi(2.0, octave);
        if bin < SIDE { -magnitude } else { magnitude }
    }
}

/// Counts the values per bin of [`histogram`], as floats; every count is NaN if any value was not finite.
///
/// ```
/// use approx_cpu::observe::{counts, histogram};
///
/// let found = counts(&[0.0, 1.0, 1.001, -3.0]);
/// assert_eq!(found[histogram::bin(0.0)], 1.0);
/// assert_eq!(found[histogram::bin(1.0)], 2.0);
/// assert_eq!(found[histogram::bin(-3.0)], 1.0);
/// ```
pub fn counts(values: &[f32]) -> Vec<f32> {
    // Chunks larger than those of a map: each one owns a histogram.
    let chunk = (values.len() / (4 * rayon::current_num_threads())).max(CHUNK);
    let counted = values
        .par_chunks(chunk)
        .map(|values| {
            let mut counts = vec![0u32; histogram::BINS];
            let mut poison = 0.0f32;
            for value in values {
                counts[histogram::bin(*value)] += 1;
                poison += value * 0.0;
            }
            (counts, poison.is_nan())
        })
        .reduce(
            || (vec![0u32; histogram::BINS], false),
            |(mut left, left_poison), (right, right_poison)| {
                for (left, right) in left.iter_mut().zip(right) {
                    *left += right;
                }
                (left, left_poison | right_poison)
            },
        );
    match counted {
        (_, true) => vec![f32::NAN; histogram::BINS],
        (counts, false) => counts.into_iter().map(|count| count as f32).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_are_those_of_a_plain_loop(channels in 1usize..5, inner in 1usize..40, outer in 1usize..5, seed in any::<u32>()) {
            let values: Vec<f32> = (0..channels * inner * outer)
                .map(|i| ((i as u32).wrapping_mul(seed | 1) >> 8) as f32 - 8e6)
                .collect();
            let found = ranges(&values, channels, inner);
            for (channel, range) in found.iter().enumerate() {
                let mine: Vec<f32> = values.iter().enumerate()
                    .filter(|(i, _)| (i / inner) % channels == channel).map(|(_, v)| *v).collect();
                prop_assert_eq!(range.min, mine.iter().copied().fold(f32::INFINITY, f32::min));
                prop_assert_eq!(range.max, mine.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            }
        }

        #[test]
        fn one_bad_value_anywhere_poisons_its_channel_only(at in 0usize..60, bad in prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY])) {
            let mut values = vec![1.0f32; 60];
            values[at] = bad;
            for (channel, range) in ranges(&values, 3, 10).iter().enumerate() {
                prop_assert_eq!(range.min.is_nan(), channel == (at / 10) % 3);
            }
            prop_assert!(counts(&values).iter().all(|count| count.is_nan()));
        }

        #[test]
        fn a_value_lies_within_a_thirtysecond_of_its_bin(value in prop::num::f32::NORMAL) {
            let centre = histogram::centre(histogram::bin(value));
            let magnitude = f64::from(value.abs());
            if (f64::powi(2.0, -32)..f64::powi(2.0, 32)).contains(&magnitude) {
                prop_assert!((centre - f64::from(value)).abs() <= magnitude / 64.0 + 1e-12 * magnitude);
            }
        }
    }

    #[test]
    fn an_empty_tensor_has_an_empty_range() {
        assert_eq!(ranges(&[], 1, 1), vec![Range::EMPTY]);
        assert_eq!(counts(&[]), vec![0.0; histogram::BINS]);
    }
}
