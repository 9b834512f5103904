//! A weight's codes on their way into a kernel's layout, and what rescaling the accumulators needs to know of them.

use std::ops::Range;

use approx_cpu::Weights;
use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
use approx_cpu::rescale::ChannelRescale;
use approx_multiplier::OperandFormat;

use super::patterns::Patterns;

/// A weight's codes.
pub(super) struct Codes<'a> {
    values: &'a [f32],
    layout: &'a ChannelLayout,
    format: OperandFormat,
    patterns: Option<Patterns>,
}

impl<'a> Codes<'a> {
    /// Codes made from values one by one as they are asked for, which takes no memory: for weights that are kept.
    pub(super) fn lazy(
        values: &'a [f32],
        layout: &'a ChannelLayout,
        format: OperandFormat,
    ) -> Option<Self> {
        (!values.iter().any(|value| value.is_nan())).then_some(Self {
            values,
            layout,
            format,
            patterns: None,
        })
    }

    /// Codes made from values all at once, which is faster: for weights of which nothing is kept. `None` if there is a
    /// NaN.
    pub(super) fn eager(
        values: &'a [f32],
        layout: &'a ChannelLayout,
        format: OperandFormat,
    ) -> Option<Self> {
        let patterns = Patterns::of(layout, values, format)?;
        Some(Self {
            values,
            layout,
            format,
            patterns: Some(patterns),
        })
    }

    /// A whole matrix of the weight (whose quantisers are then those of its columns, or one), or all of it.
    pub(super) fn part(&self, part: Range<usize>) -> Weights<'_> {
        match &self.patterns {
            None => Weights::Values {
                values: &self.values[part],
                layout: self.layout,
            },
            Some(patterns) => patterns.weights(part),
        }
    }

    /// The sums of the codes of a part's output channels.
    pub(super) fn sums(&self, part: Range<usize>, channels: Channels) -> Vec<i64> {
        match &self.patterns {
            None => channels.sums(&self.values[part], |position, value| {
                self.layout.channel(position).code(*value) as i32
            }),
            Some(Patterns::Narrow(patterns)) => channels.sums(&patterns[part], |_, pattern| {
                self.format.code((*pattern).into())
            }),
            Some(Patterns::Wide(patterns)) => channels.sums(&patterns[part], |_, pattern| {
                self.format.code((*pattern).into())
            }),
        }
    }
}

/// Where a weight's output channels are.
#[derive(Clone, Copy)]
pub(super) enum Channels {
    /// In the columns of a matrix, so many of them.
    Columns(usize),
    /// In rows of so many values: the kernels of a convolution.
    Rows(usize),
}

impl Channels {
    /// The sums of the codes of each channel; `code` gets a value's position and the value.
    pub(super) fn sums<T>(self, values: &[T], code: impl Fn(usize, &T) -> i32) -> Vec<i64> {
        match self {
            Self::Columns(columns) => {
                let mut sums = vec![0; columns];
                for (row, values) in values.chunks(columns.max(1)).enumerate() {
                    for (column, (sum, value)) in sums.iter_mut().zip(values).enumerate() {
                        *sum += i64::from(code(row * columns + column, value));
                    }
                }
                sums
            }
            Self::Rows(length) => {
                // Codes have 16 bits at most: so many fit in 32, and are added several at a time.
                const FEW: usize = 1 << 12;
                let sum = |(row, values): (usize, &[T])| {
                    let parts = values.chunks(FEW).enumerate();
                    let sum = parts.map(|(part, values)| {
                        let first = row * length + part * FEW;
                        let codes = values.iter().enumerate();
                        let codes = codes.map(|(place, value)| code(first + place, value));
                        i64::from(codes.sum::<i32>())
                    });
                    sum.sum()
                };
                values.chunks(length.max(1)).enumerate().map(sum).collect()
            }
        }
    }
}

/// Whether any zero point is not 0, so that sums of activation codes enter the result.
pub(super) fn needs_activation_sums(channels: &[ChannelRescale]) -> bool {
    channels
        .iter()
        .any(|channel| channel.weight_zero_point != 0)
}

/// What rescales each output channel, whose weight codes have the given sums over `inner` products.
pub(super) fn rescale(
    activation: ChannelQuantizer,
    weight: &[ChannelQuantizer],
    weight_sums: &[i64],
    inner: usize,
) -> Vec<ChannelRescale> {
    let last = weight.len().saturating_sub(1);
    let zero_point = activation.zero_point as i64;
    weight_sums
        .iter()
        .enumerate()
        .map(|(channel, weight_sum)| {
            let quantizer = weight[channel.min(last)];
            let weight_zero_point = quantizer.zero_point as i64;
            ChannelRescale {
                scale: activation.scale * quantizer.scale,
                weight_zero_point,
                constant: zero_point * (inner as i64 * weight_zero_point - weight_sum),
            }
        })
        .collect()
}
