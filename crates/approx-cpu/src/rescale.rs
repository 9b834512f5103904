//! From integer accumulators back to real values: zero-point corrections and scales in one pass.
//!
//! `y = scale * (sum + constant - weight_zero_point * activation_sum)`, where the constant of an output channel holds
//! what does not depend on the activation. The bracket is an exact integer; it is rounded to float32 once.

use rayon::prelude::*;

use crate::accumulators::Accumulator;
use crate::parallel::CHUNK;
use crate::{Accumulators, Conv2dShape};

/// What turns the accumulators of one output channel into real values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelRescale {
    /// The activation's scale times the channel's weight scale.
    pub scale: f32,
    /// The zero point of the channel's weight codes.
    pub weight_zero_point: i64,
    /// `activation_zero_point * (inner * weight_zero_point - sum of the channel's weight codes)`.
    pub constant: i64,
}

/// What turns the corrected sums of one output channel into real values, where corrections differ from output to
/// output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChannelScale {
    /// The activation's scale times the channel's weight scale.
    pub(crate) scale: f32,
    /// The zero point of the channel's weight codes.
    pub(crate) weight_zero_point: i64,
}

impl ChannelRescale {
    #[inline(always)]
    fn apply(self, sum: impl Into<i64>, activation_sum: i64) -> f32 {
        rescaled(
            self.scale,
            sum.into(),
            self.constant,
            self.weight_zero_point,
            activation_sum,
        )
    }
}

/// The formula, in integers that are known to hold the bracket: what is in between may wrap.
#[inline(always)]
pub(crate) fn rescaled<S: Accumulator>(
    scale: f32,
    sum: S,
    constant: S,
    weight_zero_point: S,
    activation_sum: S,
) -> f32 {
    let correction = weight_zero_point.times(activation_sum).negated();
    scale * sum.plus(constant).plus(correction).to_f32()
}

/// Rescales the accumulators of a matrix product, `[rows, columns]` with one channel per column.
///
/// `activation_sums` are the [`row_sums`](crate::row_sums); they may be left out where every weight zero point is 0.
///
/// # Panics
/// If `sums` is not a number of whole rows, or there is not one activation sum per row.
///
/// ```
/// use approx_cpu::rescale::{ChannelRescale, rescale_rows};
/// use approx_cpu::Accumulators;
///
/// let channel = ChannelRescale { scale: 0.5, weight_zero_point: 2, constant: 1 };
/// assert_eq!(rescale_rows(&Accumulators::I32(vec![9]), &[channel], Some(&[3])), [2.0]);
/// ```
pub fn rescale_rows(
    sums: &Accumulators,
    channels: &[ChannelRescale],
    activation_sums: Option<&[i64]>,
) -> Vec<f32> {
    fn rows<S: Copy + Into<i64> + Sync>(
        sums: &[S],
        channels: &[ChannelRescale],
        activation_sums: Option<&[i64]>,
    ) -> Vec<f32> {
        let columns = channels.len().max(1);
        assert_eq!(sums.len() % columns, 0, "whole rows");
        if let Some(activation_sums) = activation_sums {
            assert_eq!(
                activation_sums.len(),
                sums.len() / columns,
                "one sum per row"
            );
        }
        let mut values = vec![0.0; sums.len()];
        values
            .par_chunks_mut(columns)
            .zip(sums.par_chunks(columns))
            .with_min_len((CHUNK / columns).max(1))
            .enumerate()
            .for_each(|(row, (values, sums))| {
                let activation_sum = activation_sums.map_or(0, |sums| sums[row]);
                for ((value, sum), channel) in values.iter_mut().zip(sums).zip(channels) {
                    *value = channel.apply(*sum, activation_sum);
                }
            });
        values
    }
    match sums {
        Accumulators::I32(sums) => rows(sums, channels, activation_sums),
        Accumulators::I64(sums) => rows(sums, channels, activation_sums),
    }
}

/// Rescales the accumulators of a convolution, `[batch, out, height, width]`.
///
/// `activation_sums` are the [`window_sums`](crate::window_sums); they may be left out where every weight zero point is
/// 0.
///
/// # Panics
/// If there is not one channel per output channel, or a length does not follow from the shape.
///
/// ```
/// use approx_cpu::rescale::{ChannelRescale, rescale_planes};
/// use approx_cpu::{Accumulators, Conv2dShape, Padding2d};
///
/// let shape = Conv2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 2], kernel: [1, 1], stride: [1, 1], dilation: [1, 1],
///     padding: Padding2d::symmetric(0, 0),
/// };
/// let channel = ChannelRescale { scale: 0.5, weight_zero_point: 0, constant: 1 };
/// assert_eq!(rescale_planes(&Accumulators::I32(vec![9, -1]), &[channel], None, shape), [5.0, 0.0]);
/// ```
pub fn rescale_planes(
    sums: &Accumulators,
    channels: &[ChannelRescale],
    activation_sums: Option<&[i64]>,
    shape: Conv2dShape,
) -> Vec<f32> {
    fn planes<S: Copy + Into<i64> + Sync>(
        sums: &[S],
        channels: &[ChannelRescale],
        activation_sums: Option<&[i64]>,
        shape: Conv2dShape,
    ) -> Vec<f32> {
        let plane = shape.output().iter().product::<usize>().max(1);
        assert_eq!(
            channels.len(),
            shape.out_channels,
            "one channel per output channel"
        );
        assert_eq!(
            sums.len(),
            shape.batch * channels.len() * plane,
            "the shape's outputs"
        );
        if let Some(activation_sums) = activation_sums {
            assert_eq!(
                activation_sums.len(),
                shape.batch * shape.groups * plane,
                "one sum per window"
            );
        }
        let mut values = vec![0.0; sums.len()];
        values
            .par_chunks_mut(plane)
            .zip(sums.par_chunks(plane))
            .with_min_len((CHUNK / plane).max(1))
            .enumerate()
            .for_each(|(index, (values, sums))| {
                let (image, channel) = (index / channels.len(), index % channels.len());
                let group = channel / (channels.len() / shape.groups);
                let first = (image * shape.groups + group) * plane;
                let channel = channels[channel];
                match activation_sums.map(|sums| &sums[first..first + plane]) {
                    Some(windows) if channel.weight_zero_point != 0 => {
                        for ((value, sum), window) in values.iter_mut().zip(sums).zip(windows) {
                            *value = channel.apply(*sum, *window);
                        }
                    }
                    _ => {
                        for (value, sum) in values.iter_mut().zip(sums) {
                            *value = channel.apply(*sum, 0);
                        }
                    }
                }
            });
        values
    }
    match sums {
        Accumulators::I32(sums) => planes(sums, channels, activation_sums, shape),
        Accumulators::I64(sums) => planes(sums, channels, activation_sums, shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Padding2d;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_output_takes_its_channel_and_window(
            batch in 1usize..4, groups in 1usize..4, per_group in 1usize..4,
            height in 1usize..5, width in 1usize..5, seed in any::<u32>(), wide in any::<bool>(),
        ) {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 12) as i64 - (1 << 19)
            };
            let out_channels = groups * per_group;
            let plane = height * width;
            let channels: Vec<_> = (0..out_channels)
                .map(|_| ChannelRescale { scale: next() as f32 / 1e6, weight_zero_point: next() % 3, constant: next() })
                .collect();
            let sums: Vec<i64> = (0..batch * out_channels * plane).map(|_| next()).collect();
            let windows: Vec<i64> = (0..batch * groups * plane).map(|_| next()).collect();
            let accumulators = if wide {
                Accumulators::I64(sums.clone())
            } else {
                Accumulators::I32(sums.iter().map(|sum| *sum as i32).collect())
            };
            let shape = Conv2dShape {
                batch, in_channels: groups, out_channels, groups,
                input: [height, width], kernel: [1, 1], stride: [1, 1], dilation: [1, 1],
                padding: Padding2d::symmetric(0, 0),
            };
            let found = rescale_planes(&accumulators, &channels, Some(&windows), shape);
            for (i, found) in found.iter().enumerate() {
                let (image, channel, position) = (i / plane / out_channels, i / plane % out_channels, i % plane);
                let c = channels[channel];
                let window = windows[(image * groups + channel / per_group) * plane + position];
                prop_assert_eq!(*found, c.scale * (sums[i] + c.constant - c.weight_zero_point * window) as f32);
            }
            let rows = &windows[..batch.min(windows.len())];
            let matrix = Accumulators::I64(sums[..rows.len() * out_channels].to_vec());
            for (i, found) in rescale_rows(&matrix, &channels, Some(rows)).iter().enumerate() {
                let c = channels[i % out_channels];
                let window = rows[i / out_channels];
                prop_assert_eq!(*found, c.scale * (sums[i] + c.constant - c.weight_zero_point * window) as f32);
            }
        }
    }
}
