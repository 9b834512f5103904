//! Quantisation of float slices to operand codes, and its relatives, in one pass each.
//!
//! The rule is the project's numerical contract:
//! `code = clamp(round_half_even(x * reciprocal) + zero_point, low, high)`, with the reciprocal of the scale computed
//! once by the caller and kept. Rounding adds and takes away 1.5 * 2^23, which is round-half-even for every magnitude
//! that survives the clamp before it, on every processor, and vectorises without any instruction set beyond the
//! baseline.

use rayon::prelude::*;

use crate::parallel::CHUNK;
use crate::word::Pattern;

/// The quantiser of one channel: `code = clamp(round(x * reciprocal) + zero_point, low, high)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelQuantizer {
    /// The real value of one code step.
    pub scale: f32,
    /// `1 / scale`, computed once in float32.
    pub reciprocal: f32,
    /// The code of the real value 0, an integer.
    pub zero_point: f32,
    /// The lowest code, an integer.
    pub low: f32,
    /// The highest code, an integer.
    pub high: f32,
}

/// 1.5 * 2^23: adding it to a float32 of magnitude below 2^22 leaves no fraction bits.
const ROUNDING: f32 = 12_582_912.0;

impl ChannelQuantizer {
    /// `round_half_even(value * reciprocal)` limited to `low..=high`, plus [`ROUNDING`]. A NaN stays a NaN.
    ///
    /// The ends are integers, so it makes no difference whether the limits come before the rounding or after it; before
    /// it, they keep the rounding exact.
    #[inline(always)]
    fn rounding_sum(self, value: f32, low: f32, high: f32) -> f32 {
        let scaled = value * self.reciprocal;
        // Written as comparisons that keep a NaN, so that it reaches the caller.
        let limited = if scaled < low { low } else { scaled };
        let limited = if limited > high { high } else { limited };
        limited + ROUNDING
    }

    /// The code minus the zero point: the real value in units of the scale. A NaN stays a NaN.
    ///
    /// ```
    /// use approx_cpu::quantize::ChannelQuantizer;
    ///
    /// let quantizer = ChannelQuantizer { scale: 0.5, reciprocal: 2.0, zero_point: 3.0, low: -8.0, high: 7.0 };
    /// assert_eq!(quantizer.shifted_code(0.75), 2.0); // 1.5 rounds half to even
    /// assert_eq!(quantizer.shifted_code(100.0), 4.0); // clamped to code 7
    /// ```
    #[inline(always)]
    pub fn shifted_code(self, value: f32) -> f32 {
        let (low, high) = (self.low - self.zero_point, self.high - self.zero_point);
        self.rounding_sum(value, low, high) - ROUNDING
    }

    /// The real value of the code. A NaN stays a NaN.
    #[inline(always)]
    pub(crate) fn fake_quantized(self, value: f32) -> f32 {
        self.scale * self.shifted_code(value)
    }

    /// How many codes there are.
    pub(crate) fn count(self) -> usize {
        (self.high - self.low) as usize + 1
    }

    /// A function of the code, given the function's values from the lowest code on. A NaN stays a NaN.
    #[inline(always)]
    pub(crate) fn function(self, value: f32, function: &[f32]) -> f32 {
        let (low, high) = (self.low - self.zero_point, self.high - self.zero_point);
        let sum = self.rounding_sum(value, low, high);
        // Where the lowest code is, counted in the units of the mantissa; a NaN's place is none of the function's.
        let place = sum.to_bits().wrapping_sub((low + ROUNDING).to_bits());
        function.get(place as usize).copied().unwrap_or(f32::NAN)
    }

    /// The code as an integer-valued float. A NaN stays a NaN.
    #[inline(always)]
    pub fn code(self, value: f32) -> f32 {
        self.shifted_code(value) + self.zero_point
    }

    /// The code's bit pattern in the low 16 bits (the others hold nothing of use), and whether it is one: not for a
    /// NaN.
    #[inline(always)]
    pub(crate) fn bit_pattern(self, value: f32) -> (u32, bool) {
        let (low, high) = (self.low - self.zero_point, self.high - self.zero_point);
        let sum = self.rounding_sum(value, low, high);
        // The low bits of the rounding sum's mantissa are the two's complement of the integer.
        let pattern = sum.to_bits().wrapping_add(self.zero_point as i32 as u32);
        (pattern, !sum.is_nan())
    }

    /// Whether the value's code needs no clamping: the mask of the straight-through gradient.
    #[inline(always)]
    pub fn in_range(self, value: f32) -> bool {
        // One code beyond either end tells what was clamped.
        let low = self.low - self.zero_point - 1.0;
        let high = self.high - self.zero_point + 1.0;
        let code = self.rounding_sum(value, low, high) - ROUNDING + self.zero_point;
        self.low <= code && code <= self.high
    }
}

/// The quantisers of a tensor in row-major order: element `i` belongs to channel `(i / inner) % channels.len()`.
#[derive(Clone, Debug)]
pub struct ChannelLayout {
    /// One quantiser per channel; a single one serves the whole tensor.
    pub channels: Vec<ChannelQuantizer>,
    /// The number of consecutive elements that share a channel.
    pub inner: usize,
}

/// Whether no value is a NaN.
pub(crate) fn is_free_of_nans(values: &[f32]) -> bool {
    // One flag per chunk, so that the loop is vectorised.
    values
        .par_chunks(CHUNK)
        .all(|chunk| !chunk.iter().fold(false, |nan, value| nan | value.is_nan()))
}

impl ChannelLayout {
    /// The quantiser of the element at a position.
    ///
    /// ```
    /// use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
    ///
    /// let narrow = ChannelQuantizer { scale: 1.0, reciprocal: 1.0, zero_point: 0.0, low: -8.0, high: 7.0 };
    /// let wide = ChannelQuantizer { low: -128.0, high: 127.0, ..narrow };
    /// let layout = ChannelLayout { channels: vec![narrow, wide], inner: 3 };
    /// assert_eq!((layout.channel(2), layout.channel(3), layout.channel(6)), (narrow, wide, narrow));
    /// ```
    #[inline(always)]
    pub fn channel(&self, position: usize) -> ChannelQuantizer {
        match self.channels.as_slice() {
            [single] => *single,
            channels => channels[position / self.inner % channels.len()],
        }
    }

    /// Updates every output with its value and the value's quantiser, in parallel.
    ///
    /// # Panics
    /// If `out` has another length than `values`.
    fn update<T: Send>(
        &self,
        values: &[f32],
        out: &mut [T],
        f: impl Fn(ChannelQuantizer, f32, &mut T) + Sync,
    ) {
        assert_eq!(values.len(), out.len(), "one output per value");
        let all = |channel: ChannelQuantizer, values: &[f32], out: &mut [T]| {
            for (out, value) in out.iter_mut().zip(values) {
                f(channel, *value, out);
            }
        };
        match self.channels.as_slice() {
            [single] => values
                .par_chunks(CHUNK)
                .zip(out.par_chunks_mut(CHUNK))
                .for_each(|(values, out)| all(*single, values, out)),
            channels if self.inner == 1 => {
                let rows = (CHUNK / channels.len()).max(1) * channels.len();
                values
                    .par_chunks(rows)
                    .zip(out.par_chunks_mut(rows))
                    .for_each(|(values, out)| {
                        for (values, out) in values
                            .chunks(channels.len())
                            .zip(out.chunks_mut(channels.len()))
                        {
                            for ((value, out), channel) in values.iter().zip(out).zip(channels) {
                                f(*channel, *value, out);
                            }
                        }
                    });
            }
            channels => values
                .par_chunks(self.inner)
                .zip(out.par_chunks_mut(self.inner))
                .with_min_len((CHUNK / self.inner).max(1))
                .enumerate()
                .for_each(|(index, (values, out))| {
                    all(channels[index % channels.len()], values, out)
                }),
        }
    }

    fn collect<T: Send + Default + Clone>(
        &self,
        values: &[f32],
        f: impl Fn(ChannelQuantizer, f32) -> T + Sync,
    ) -> Vec<T> {
        let mut out = vec![T::default(); values.len()];
        self.update(values, &mut out, |channel, value, out| {
            *out = f(channel, value)
        });
        out
    }

    /// The codes' bit patterns, `code & mask`, for codes of at most 8 bits; `None` if any value is a NaN.
    ///
    /// ```
    /// use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
    ///
    /// let quantizer = ChannelQuantizer { scale: 1.0, reciprocal: 1.0, zero_point: 0.0, low: -8.0, high: 7.0 };
    /// let layout = ChannelLayout { channels: vec![quantizer], inner: 1 };
    /// assert_eq!(layout.patterns(&[-1.0, 2.0], 0xf), Some(vec![0xf, 2]));
    /// assert_eq!(layout.patterns(&[f32::NAN], 0xf), None);
    /// ```
    pub fn patterns(&self, values: &[f32], mask: u8) -> Option<Vec<u8>> {
        self.bit_patterns(values, mask)
    }

    /// The codes' bit patterns, `code & mask`, for codes of at most 16 bits; `None` if any value is a NaN.
    ///
    /// ```
    /// use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
    ///
    /// let quantizer = ChannelQuantizer { scale: 1.0, reciprocal: 1.0, zero_point: 0.0, low: -2048.0, high: 2047.0 };
    /// let layout = ChannelLayout { channels: vec![quantizer], inner: 1 };
    /// assert_eq!(layout.wide_patterns(&[-1.0, 5e3], 0xfff), Some(vec![0xfff, 2047]));
    /// ```
    pub fn wide_patterns(&self, values: &[f32], mask: u16) -> Option<Vec<u16>> {
        self.bit_patterns(values, mask)
    }

    fn bit_patterns<P: Pattern>(&self, values: &[f32], mask: P) -> Option<Vec<P>> {
        is_free_of_nans(values).then(|| {
            self.collect(values, |channel, value| {
                P::truncate(channel.bit_pattern(value).0) & mask
            })
        })
    }

    /// The codes minus their zero point, as integer-valued floats; a NaN stays one.
    pub fn shifted_codes(&self, values: &[f32]) -> Vec<f32> {
        self.collect(values, ChannelQuantizer::shifted_code)
    }

    /// The codes as integer-valued floats; a NaN stays one.
    pub fn codes(&self, values: &[f32]) -> Vec<f32> {
        self.collect(values, ChannelQuantizer::code)
    }

    /// The real values of the codes, `scale * (code - zero_point)`.
    pub fn fake_quantize(&self, values: &[f32]) -> Vec<f32> {
        self.collect(values, ChannelQuantizer::fake_quantized)
    }

    /// A function of the codes, given its values from the lowest code on; `finish` gets each with the value's quantiser. A NaN
    /// stays one.
    ///
    /// # Panics
    /// If the function has not one value per code.
    ///
    /// ```
    /// use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
    ///
    /// let quantizer = ChannelQuantizer { scale: 0.5, reciprocal: 2.0, zero_point: 0.0, low: -1.0, high: 1.0 };
    /// let layout = ChannelLayout { channels: vec![quantizer], inner: 1 };
    /// let halves = layout.map_codes(&[-9.0, 0.5], &[7.0, 0.0, 3.0], |channel, value| channel.scale * value);
    /// assert_eq!(halves, [3.5, 1.5]);
    /// ```
    pub fn map_codes(
        &self,
        values: &[f32],
        function: &[f32],
        finish: impl Fn(ChannelQuantizer, f32) -> f32 + Sync,
    ) -> Vec<f32> {
        let is_whole = |channel: &ChannelQuantizer| channel.count() == function.len();
        assert!(self.channels.iter().all(is_whole), "a value for every code");
        self.collect(values, |channel, value| {
            finish(channel, channel.function(value, function))
        })
    }

    /// Sets to 0 the gradients of values whose code was clamped, in place.
    ///
    /// # Panics
    /// If `gradients` has another length than `values`.
    pub fn mask_clipped(&self, values: &[f32], gradients: &mut [f32]) {
        self.update(values, gradients, |channel, value, gradient| {
            *gradient = if channel.in_range(value) {
                *gradient
            } else {
                0.0
            };
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantizer(scale: f32, zero_point: i32, low: i32, high: i32) -> ChannelQuantizer {
        ChannelQuantizer {
            scale,
            reciprocal: 1.0 / scale,
            zero_point: zero_point as f32,
            low: low as f32,
            high: high as f32,
        }
    }

    /// The contract's formula in f32 with the standard library's rounding.
    fn reference(q: ChannelQuantizer, value: f32) -> f32 {
        ((value * q.reciprocal).round_ties_even() + q.zero_point).clamp(q.low, q.high)
    }

    proptest! {
        #[test]
        fn code_is_the_contract(
            scale in 1e-6f32..1e3, zero in 0.0f32..=1.0, bits in 2u32..=16, signed: bool,
            values in prop::collection::vec(-1e6f32..1e6, 1..50),
        ) {
            let (low, high) = if signed { (-1 << (bits - 1), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) };
            let q = quantizer(scale, low + (zero * (high - low) as f32) as i32, low, high);
            for value in values {
                prop_assert_eq!(q.code(value), reference(q, value));
                let (pattern, is_number) = q.bit_pattern(value);
                prop_assert!(is_number);
                prop_assert_eq!(pattern as u16, q.code(value) as i32 as u16);
                prop_assert_eq!(q.in_range(value), {
                    let code = (value * q.reciprocal).round_ties_even() + q.zero_point;
                    (q.low..=q.high).contains(&code)
                });
            }
        }

        #[test]
        fn every_layout_maps_each_element_with_its_channel(
            channels in 1usize..5, inner in 1usize..7, outer in 1usize..4, seed in any::<u32>()
        ) {
            let quantizers: Vec<_> = (0..channels).map(|c| quantizer(0.1 + c as f32, c as i32 - 2, -100, 90)).collect();
            let values: Vec<f32> = (0..channels * inner * outer).map(|i| ((i as u32).wrapping_mul(seed) % 999) as f32 - 500.0).collect();
            let layout = ChannelLayout { channels: quantizers.clone(), inner };
            let patterns = layout.patterns(&values, 0xff).unwrap();
            let wide_patterns = layout.wide_patterns(&values, 0xfff).unwrap();
            let codes = layout.codes(&values);
            let shifted = layout.shifted_codes(&values);
            let fake = layout.fake_quantize(&values);
            let mut gradients = vec![1.0; values.len()];
            layout.mask_clipped(&values, &mut gradients);
            for (i, value) in values.iter().enumerate() {
                let q = quantizers[(i / inner) % channels];
                let code = reference(q, *value);
                prop_assert_eq!(codes[i], code);
                prop_assert_eq!(patterns[i], (code as i32 & 0xff) as u8);
                prop_assert_eq!(wide_patterns[i], (code as i32 & 0xfff) as u16);
                prop_assert_eq!(shifted[i], code - q.zero_point);
                prop_assert_eq!(fake[i], q.scale * (code - q.zero_point));
                prop_assert_eq!(gradients[i] == 1.0, q.in_range(*value));
            }
        }
    }

    #[test]
    fn ties_go_to_even_and_infinities_saturate() {
        let q = quantizer(1.0, 0, -128, 127);
        assert_eq!(
            [0.5, 1.5, 2.5, -0.5, -1.5].map(|v| q.code(v)),
            [0.0, 2.0, 2.0, 0.0, -2.0]
        );
        assert_eq!(q.code(f32::INFINITY), 127.0);
        assert_eq!(q.code(f32::NEG_INFINITY), -128.0);
        assert!(q.code(f32::NAN).is_nan());
        assert!(!q.bit_pattern(f32::NAN).1);
    }
}
