//! The passes over a plane of one channel.
//!
//! Sums are kept in lanes that lie as far apart as the vectors of any instruction set are wide, and added in double
//! precision: they are the same on every machine.

use std::mem::MaybeUninit;

use crate::arch::compiled_for_every_set;

use super::{BatchNorm, Limits};

/// Lanes of a sum.
const LANES: usize = 32;

/// What becomes of the values of a channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel {
    mean: f32,
    /// `1 / sqrt(variance + epsilon)`
    reciprocal_deviation: f32,
    /// The reciprocal deviation times gamma.
    factor: f32,
    beta: f32,
    limits: Limits,
}

/// What becomes of the gradients of a channel's outputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChannelGradient {
    channel: Channel,
    /// The mean of the gradients that pass the limits.
    mean: f32,
    /// How a value's distance from its mean changes its gradient.
    slope: f32,
}

impl Channel {
    pub(super) fn new(norm: &BatchNorm<'_>, index: usize, mean: f32, variance: f32) -> Self {
        let reciprocal_deviation = 1.0 / (variance + norm.epsilon).sqrt();
        Self {
            mean,
            reciprocal_deviation,
            factor: reciprocal_deviation * norm.gamma[index],
            beta: norm.beta[index],
            limits: norm.limits,
        }
    }

    /// The output before the limits.
    #[inline(always)]
    fn normalized(self, value: f32, shortcut: f32) -> f32 {
        (value - self.mean) * self.factor + self.beta + shortcut
    }

    /// The output; a NaN stays one.
    #[inline(always)]
    fn output(self, value: f32, shortcut: f32) -> f32 {
        let Limits { low, high } = self.limits;
        let output = self.normalized(value, shortcut);
        let output = if output <= low { low } else { output };
        if output > high { high } else { output }
    }

    /// The gradient of the output before the limits.
    #[inline(always)]
    fn passed(self, value: f32, shortcut: f32, gradient: f32) -> f32 {
        let Limits { low, high } = self.limits;
        let output = self.normalized(value, shortcut);
        let stopped = (output <= low) | (output > high);
        if stopped { 0.0 } else { gradient }
    }

    /// What becomes of gradients, given the [`gradient_sums`] of all planes, which have `count` values.
    pub(super) fn gradient(self, sums: [f64; 2], count: f64) -> ChannelGradient {
        let deviation = f64::from(self.reciprocal_deviation);
        ChannelGradient {
            channel: self,
            mean: (sums[0] / count) as f32,
            slope: (sums[1] / count * deviation * deviation) as f32,
        }
    }

    /// The gradients of gamma and beta, given the [`gradient_sums`] of all planes.
    pub(super) fn parameter_gradients(self, sums: [f64; 2]) -> [f32; 2] {
        let gamma = sums[1] * f64::from(self.reciprocal_deviation);
        [gamma as f32, sums[0] as f32]
    }
}

impl ChannelGradient {
    /// The gradient of a value, given that of its output before the limits.
    #[inline(always)]
    fn of_value(self, value: f32, passed: f32) -> f32 {
        let Self {
            channel,
            mean,
            slope,
        } = self;
        channel.factor * (passed - mean - (value - channel.mean) * slope)
    }
}

/// Sums over the elements of several slices of one length, in lanes.
#[inline(always)]
#[allow(
    clippy::needless_range_loop,
    reason = "a lane of several slices at once"
)]
fn sums_in_lanes<const SLICES: usize, const SUMS: usize>(
    slices: [&[f32]; SLICES],
    terms: impl Fn([f32; SLICES]) -> [f32; SUMS],
) -> [f64; SUMS] {
    let mut sums = [[0.0f32; LANES]; SUMS];
    let length = slices[0].len();
    let slices = slices.map(|slice| slice[..length].as_chunks::<LANES>());
    let mut add = |lane: usize, elements: [f32; SLICES]| {
        let terms = terms(elements);
        for sum in 0..SUMS {
            sums[sum][lane] += terms[sum];
        }
    };
    for block in 0..length / LANES {
        // Not `map`, which would be a call for every element.
        let blocks: [&[f32; LANES]; SLICES] = std::array::from_fn(|slice| &slices[slice].0[block]);
        for lane in 0..LANES {
            add(lane, std::array::from_fn(|slice| blocks[slice][lane]));
        }
    }
    for lane in 0..length % LANES {
        add(lane, std::array::from_fn(|slice| slices[slice].1[lane]));
    }
    sums.map(|sums| sums.iter().map(|&sum| f64::from(sum)).sum())
}

compiled_for_every_set! {
    /// The sum of the values.
    pub(super) fn sum(set, values: &[f32]) -> f64 {
        let [sum] = sums_in_lanes([values], |[value]| [value]);
        sum
    }
}

compiled_for_every_set! {
    /// The sum of the squares of the distances from the mean.
    pub(super) fn centred_squares(set, values: &[f32], mean: f32) -> f64 {
        let [sum] = sums_in_lanes([values], |[value]| [(value - mean) * (value - mean)]);
        sum
    }
}

compiled_for_every_set! {
    /// Writes the outputs.
    pub(super) fn write_outputs(set, channel: Channel, values: &[f32], shortcut: Option<&[f32]>; to: &mut [MaybeUninit<f32>]) {
        match shortcut {
            None => {
                for (to, &value) in to.iter_mut().zip(values) {
                    to.write(channel.output(value, 0.0));
                }
            }
            Some(shortcut) => {
                for ((to, &value), &shortcut) in to.iter_mut().zip(values).zip(shortcut) {
                    to.write(channel.output(value, shortcut));
                }
            }
        }
    }
}

compiled_for_every_set! {
    /// The sums of the gradients that pass the limits, and of their products with the distance of the value from the mean.
    pub(super) fn gradient_sums(
        set,
        channel: Channel,
        values: &[f32],
        shortcut: Option<&[f32]>,
        gradient: &[f32],
    ) -> [f64; 2] {
        let terms = move |value, shortcut, gradient| {
            let passed = channel.passed(value, shortcut, gradient);
            [passed, passed * (value - channel.mean)]
        };
        match shortcut {
            None => sums_in_lanes([values, gradient], |[value, gradient]| terms(value, 0.0, gradient)),
            Some(shortcut) => sums_in_lanes([values, shortcut, gradient], |[value, shortcut, gradient]| {
                terms(value, shortcut, gradient)
            }),
        }
    }
}

/// The values of a shortcut and where their gradients go.
pub(super) type Shortcut<'a> = (&'a [f32], &'a mut [MaybeUninit<f32>]);

compiled_for_every_set! {
    /// Writes the gradients of values and shortcut.
    pub(super) fn write_gradients(
        set,
        gradient: ChannelGradient,
        values: &[f32],
        shortcut: Option<Shortcut<'_>>,
        of_outputs: &[f32];
        to: &mut [MaybeUninit<f32>],
    ) {
        let channel = gradient.channel;
        match shortcut {
            None => {
                for ((to, &value), &of_output) in to.iter_mut().zip(values).zip(of_outputs) {
                    to.write(gradient.of_value(value, channel.passed(value, 0.0, of_output)));
                }
            }
            Some((shortcut, to_shortcut)) => {
                let operands = values.iter().zip(shortcut).zip(of_outputs);
                let to = to.iter_mut().zip(to_shortcut);
                for ((to, to_shortcut), ((&value, &shortcut), &of_output)) in to.zip(operands) {
                    let passed = channel.passed(value, shortcut, of_output);
                    to_shortcut.write(passed);
                    to.write(gradient.of_value(value, passed));
                }
            }
        }
    }
}
