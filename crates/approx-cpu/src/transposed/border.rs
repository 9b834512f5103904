//! What the padded taps of a phase's ordinary convolution have added too much, and what its outputs are rescaled by.

use std::ops::Range;

use rayon::prelude::*;

use super::Phase;
use crate::accumulators::Accumulator;
use crate::parallel::CHUNK;
use crate::rescale::{ChannelScale, rescaled};

/// Which taps of a phase meet the input.
#[derive(Debug, Clone)]
pub(crate) struct Border {
    /// For every row and for every column of the ordinary convolution's output.
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
    taps: [usize; 2],
}

/// What is added to the sums of an ordinary convolution, `constant + sum of per_tap over the taps inside the input`.
#[derive(Debug, Clone)]
pub(crate) struct Correction {
    /// By output channel.
    pub(crate) constants: Vec<i64>,
    /// `[output channels, taps]`
    pub(crate) per_tap: Vec<i64>,
}

impl Correction {
    /// Takes off what padded taps have added, where `per_tap` is what each adds, `[output channels, taps]`.
    pub(crate) fn of_padding(per_tap: Vec<i64>, taps: usize) -> Self {
        let constants = per_tap.chunks_exact(taps).map(|channel| {
            let all = channel.iter().fold(0i64, |sum, &add| sum.wrapping_add(add));
            all.wrapping_neg()
        });
        Correction {
            constants: constants.collect(),
            per_tap,
        }
    }

    /// Adds the corrections for both zero points, of whose weight codes the sums over the input channels are given,
    /// `[output channels, taps]`, and of which there are so many.
    pub(crate) fn add_zero_points(
        &mut self,
        activation_zero_point: i64,
        weight_codes: &[i64],
        channels: &[ChannelScale],
        in_channels: usize,
    ) {
        let taps = self.per_tap.len() / self.constants.len().max(1);
        let per_tap = self.per_tap.chunks_exact_mut(taps.max(1));
        for ((per_tap, codes), channel) in per_tap
            .zip(weight_codes.chunks_exact(taps.max(1)))
            .zip(channels)
        {
            let zero_points = channel.weight_zero_point.wrapping_mul(in_channels as i64);
            for (add, codes) in per_tap.iter_mut().zip(codes) {
                let correction =
                    activation_zero_point.wrapping_mul(zero_points.wrapping_sub(*codes));
                *add = add.wrapping_add(correction);
            }
        }
    }

    /// Whether nothing is to be added anywhere.
    pub(crate) fn is_zero(&self) -> bool {
        self.per_tap
            .iter()
            .chain(&self.constants)
            .all(|&add| add == 0)
    }
}

impl Border {
    pub(crate) fn new(phase: &Phase) -> Self {
        let [rows, columns] = phase.axes.each_ref().map(|axis| axis.inside().collect());
        Border {
            rows,
            columns,
            taps: phase.convolution.kernel,
        }
    }

    /// Whether all taps of all outputs meet the input.
    pub(crate) fn is_empty(&self) -> bool {
        let full =
            |inside: &[Range<usize>], taps: usize| inside.iter().all(|inside| inside.len() == taps);
        full(&self.rows, self.taps[0]) && full(&self.columns, self.taps[1])
    }

    /// Calls `f` with every row of a plane, and what is to be added to the sums in it.
    fn for_each_row(
        &self,
        correction: &Correction,
        channel: usize,
        mut f: impl FnMut(usize, &[i64]),
    ) {
        let [height, width] = self.taps;
        let taps = &correction.per_tap[channel * height * width..][..height * width];
        // Sums over all taps above and before one.
        let pitch = width + 1;
        let mut before = vec![0i64; (height + 1) * pitch];
        for row in 0..height {
            for column in 0..width {
                before[(row + 1) * pitch + column + 1] = taps[row * width + column]
                    .wrapping_add(before[row * pitch + column + 1])
                    .wrapping_add(before[(row + 1) * pitch + column])
                    .wrapping_sub(before[row * pitch + column]);
            }
        }
        let mut sums = vec![0; self.columns.len()];
        for (y, rows) in self.rows.iter().enumerate() {
            // Most rows have the same taps as the one above.
            if y == 0 || self.rows[y - 1] != *rows {
                let above = |column: usize| {
                    before[rows.end * pitch + column]
                        .wrapping_sub(before[rows.start * pitch + column])
                };
                for (sum, columns) in sums.iter_mut().zip(&self.columns) {
                    let inside = above(columns.end).wrapping_sub(above(columns.start));
                    *sum = correction.constants[channel].wrapping_add(inside);
                }
            }
            f(y, &sums);
        }
    }

    /// Adds the correction to the sums of an ordinary convolution, `[images, output channels, rows, columns]`.
    pub(crate) fn correct<S: Accumulator>(&self, correction: &Correction, sums: &mut [S]) {
        let width = self.columns.len();
        let plane = self.rows.len() * width;
        let channels = correction.constants.len();
        sums.par_chunks_exact_mut(plane)
            .with_min_len((CHUNK / plane).max(1))
            .enumerate()
            .for_each(|(index, sums)| {
                self.for_each_row(correction, index % channels, |row, add| {
                    for (sum, &add) in sums[row * width..].iter_mut().zip(add) {
                        *sum = sum.plus(S::from_i64(add));
                    }
                });
            });
    }

    /// Rescales the corrected sums of an ordinary convolution, `[images, output channels, rows, columns]`, to real
    /// values. `windows` are the sums of activation codes over the taps inside the input,
    /// `[images, groups, rows, columns]`; they may be left out where every weight zero point is 0.
    pub(crate) fn rescale<S: Accumulator + Into<i64>>(
        &self,
        correction: &Correction,
        channels: &[ChannelScale],
        windows: Option<&[i64]>,
        groups: usize,
        sums: &[S],
    ) -> Vec<f32> {
        let width = self.columns.len();
        let plane = self.rows.len() * width;
        let mut values = vec![0.0; sums.len()];
        values
            .par_chunks_exact_mut(plane)
            .zip(sums.par_chunks_exact(plane))
            .with_min_len((CHUNK / plane).max(1))
            .enumerate()
            .for_each(|(index, (values, sums))| {
                let (image, channel) = (index / channels.len(), index % channels.len());
                let group = channel / (channels.len() / groups);
                let ChannelScale {
                    scale,
                    weight_zero_point,
                } = channels[channel];
                let windows =
                    windows.map(|windows| &windows[(image * groups + group) * plane..][..plane]);
                self.for_each_row(correction, channel, |row, add| {
                    let places = row * width..(row + 1) * width;
                    let values = values[places.clone()].iter_mut().zip(&sums[places.clone()]);
                    match windows {
                        None => {
                            for ((value, &sum), &add) in values.zip(add) {
                                *value = rescaled::<i64>(scale, sum.into(), add, 0, 0);
                            }
                        }
                        Some(windows) => {
                            for (((value, &sum), &add), &window) in
                                values.zip(add).zip(&windows[places])
                            {
                                *value =
                                    rescaled(scale, sum.into(), add, weight_zero_point, window);
                            }
                        }
                    }
                });
            });
        values
    }
}
