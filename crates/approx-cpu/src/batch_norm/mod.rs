//! Batch normalisation of float32 tensors `[batch, channels, inner]`, with what usually follows it in networks: the
//! addition of a shortcut, and a limit on the outputs, such as ReLU's.
//!
//! A channel is one task, small enough to stay in the cache from one pass over it to the next: statistics and outputs, or
//! both passes of the gradient, read memory once. `channel` has the passes. Where few elements of a channel lie side by
//! side, channels are brought together first.

mod channel;

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length, checked_product};
use crate::parallel::CHUNK;
use crate::written::written;

use channel::{Channel, centred_squares, gradient_sums, sum, write_gradients, write_outputs};

/// The fewest elements side by side for which passes over channels as they lie are fast.
const LONG: usize = 16;

/// What is normalised: `[batch, channels, inner]`, row-major.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchNormShape {
    /// Images of the batch.
    pub batch: usize,
    /// Channels, each of which is normalised for itself.
    pub channels: usize,
    /// Elements of a channel of an image.
    pub inner: usize,
}

/// How channels are normalised: `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta`, plus a shortcut if there is
/// one, limited to an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNorm<'a> {
    /// A factor for every channel.
    pub gamma: &'a [f32],
    /// What is added to every channel.
    pub beta: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
    /// The interval.
    pub limits: Limits,
}

/// An interval that values are brought into. Its ends may be infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The lower end. Values that are not above it have no gradient.
    pub low: f32,
    /// The upper end. Values above it have no gradient.
    pub high: f32,
}

impl Limits {
    /// All values.
    pub const NONE: Self = Self {
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
    };
    /// `max(x, 0)`
    pub const RELU: Self = Self {
        low: 0.0,
        high: f32::INFINITY,
    };
    /// `min(max(x, 0), 6)`
    pub const RELU6: Self = Self {
        low: 0.0,
        high: 6.0,
    };
}

/// The mean and the biased variance of every channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// The means.
    pub mean: Vec<f32>,
    /// The mean squares of the distances from the mean.
    pub variance: Vec<f32>,
}

/// The gradients of a batch normalisation's operands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchNormGradients {
    /// Of the values.
    pub values: Vec<f32>,
    /// Of the shortcut, if there is one.
    pub shortcut: Option<Vec<f32>>,
    /// Of `gamma`.
    pub gamma: Vec<f32>,
    /// Of `beta`.
    pub beta: Vec<f32>,
}

/// Normalises values by the statistics of their channels, which come with the outputs.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape; [`KernelError::Overflow`] for a shape that does not fit
/// in memory.
///
/// ```
/// use approx_cpu::batch_norm::{BatchNorm, BatchNormShape, Limits, batch_norm};
///
/// let shape = BatchNormShape { batch: 2, channels: 1, inner: 1 };
/// let norm = BatchNorm { gamma: &[2.0], beta: &[1.0], epsilon: 0.0, limits: Limits::RELU };
/// let (outputs, statistics) = batch_norm(&shape, &norm, &[3.0, 7.0], None)?;
/// assert_eq!((statistics.mean[0], statistics.variance[0]), (5.0, 4.0));
/// assert_eq!(outputs, [0.0, 3.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn batch_norm(
    shape: &BatchNormShape,
    norm: &BatchNorm<'_>,
    values: &[f32],
    shortcut: Option<&[f32]>,
) -> Result<(Vec<f32>, Statistics), KernelError> {
    let (set, found) = (InstructionSet::best(), Found::OfValues);
    outputs(set, shape, norm, found, values, shortcut)
}

/// Normalises values by statistics that are given.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape; [`KernelError::Overflow`] for a shape that does not fit
/// in memory.
///
/// ```
/// use approx_cpu::batch_norm::{BatchNorm, BatchNormShape, Limits, Statistics, normalize};
///
/// let shape = BatchNormShape { batch: 2, channels: 1, inner: 1 };
/// let norm = BatchNorm { gamma: &[2.0], beta: &[1.0], epsilon: 0.0, limits: Limits::NONE };
/// let statistics = Statistics { mean: vec![5.0], variance: vec![4.0] };
/// let outputs = normalize(&shape, &norm, &statistics, &[3.0, 7.0], Some(&[0.5, 0.0]))?;
/// assert_eq!(outputs, [-0.5, 3.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn normalize(
    shape: &BatchNormShape,
    norm: &BatchNorm<'_>,
    statistics: &Statistics,
    values: &[f32],
    shortcut: Option<&[f32]>,
) -> Result<Vec<f32>, KernelError> {
    let (set, found) = (InstructionSet::best(), Found::Given(statistics));
    let (outputs, _) = outputs(set, shape, norm, found, values, shortcut)?;
    Ok(outputs)
}

/// The gradients of a batch normalisation by the statistics of its values.
///
/// `statistics` are those of the values, as [`batch_norm`] returned them, `gradient` is that of the outputs.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape; [`KernelError::Overflow`] for a shape that does not fit
/// in memory.
///
/// ```
/// use approx_cpu::batch_norm::{BatchNorm, BatchNormShape, Limits, batch_norm, batch_norm_gradient};
///
/// let shape = BatchNormShape { batch: 3, channels: 1, inner: 1 };
/// let norm = BatchNorm { gamma: &[1.0], beta: &[0.0], epsilon: 0.0, limits: Limits::NONE };
/// let values = [-1.0, 0.0, 1.0];
/// let (_, statistics) = batch_norm(&shape, &norm, &values, None)?;
/// // What moves all values alike, or spreads them, does not change the outputs.
/// let gradients = batch_norm_gradient(&shape, &norm, &statistics, &values, None, &[1.0; 3])?;
/// assert_eq!((gradients.beta[0], &gradients.values[..]), (3.0, &[0.0; 3][..]));
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn batch_norm_gradient(
    shape: &BatchNormShape,
    norm: &BatchNorm<'_>,
    statistics: &Statistics,
    values: &[f32],
    shortcut: Option<&[f32]>,
    gradient: &[f32],
) -> Result<BatchNormGradients, KernelError> {
    let set = InstructionSet::best();
    gradients(set, shape, norm, statistics, values, shortcut, gradient)
}

/// Where the statistics come from.
#[derive(Clone, Copy)]
enum Found<'a> {
    /// The values themselves.
    OfValues,
    /// The caller.
    Given(&'a Statistics),
}

/// [`batch_norm`] and [`normalize`] with a given instruction set.
fn outputs(
    set: InstructionSet,
    shape: &BatchNormShape,
    norm: &BatchNorm<'_>,
    found: Found<'_>,
    values: &[f32],
    shortcut: Option<&[f32]>,
) -> Result<(Vec<f32>, Statistics), KernelError> {
    let length = shape.check(norm)?;
    check_length("values", length, values.len())?;
    if let Some(shortcut) = shortcut {
        check_length("shortcut", length, shortcut.len())?;
    }
    if let Found::Given(statistics) = found {
        check_length("means", shape.channels, statistics.mean.len())?;
        check_length("variances", shape.channels, statistics.variance.len())?;
    }
    if let Some(together) = shape.brought_together() {
        let values = shape.channels_first(values);
        let shortcut = shortcut.map(|shortcut| shape.channels_first(shortcut));
        let (outputs, statistics) =
            self::outputs(set, &together, norm, found, &values, shortcut.as_deref())?;
        return Ok((shape.batch_first(&outputs), statistics));
    }
    let mut statistics = Statistics::default();
    let write = |to: &mut [MaybeUninit<f32>]| {
        let of_channel: Vec<[f32; 2]> = (shape.split(to).into_par_iter().enumerate())
            .with_min_len(shape.channels_per_task())
            .map(|(index, to)| {
                let [mean, variance] = match found {
                    Found::Given(given) => [given.mean[index], given.variance[index]],
                    Found::OfValues => shape.statistics(set, values, index),
                };
                let channel = Channel::new(norm, index, mean, variance);
                let mut shortcuts = shortcut.map(|shortcut| shape.planes(shortcut, index));
                for (values, to) in shape.planes(values, index).zip(to) {
                    let shortcut = shortcuts.as_mut().and_then(Iterator::next);
                    write_outputs(set, channel, values, shortcut, to);
                }
                [mean, variance]
            })
            .collect();
        statistics = Statistics {
            mean: of_channel.iter().map(|channel| channel[0]).collect(),
            variance: of_channel.iter().map(|channel| channel[1]).collect(),
        };
        Ok(())
    };
    // SAFETY: the planes of all channels are all elements, and every element of a plane is written.
    let outputs = unsafe { written(length, write) }?;
    Ok((outputs, statistics))
}

/// [`batch_norm_gradient`] with a given instruction set.
fn gradients(
    set: InstructionSet,
    shape: &BatchNormShape,
    norm: &BatchNorm<'_>,
    statistics: &Statistics,
    values: &[f32],
    shortcut: Option<&[f32]>,
    gradient: &[f32],
) -> Result<BatchNormGradients, KernelError> {
    let length = shape.check(norm)?;
    check_length("values", length, values.len())?;
    check_length("gradients", length, gradient.len())?;
    check_length("means", shape.channels, statistics.mean.len())?;
    check_length("variances", shape.channels, statistics.variance.len())?;
    if let Some(shortcut) = shortcut {
        check_length("shortcut", length, shortcut.len())?;
    }
    if let Some(together) = shape.brought_together() {
        let [values, gradient] = [values, gradient].map(|values| shape.channels_first(values));
        let shortcut = shortcut.map(|shortcut| shape.channels_first(shortcut));
        let shortcut = shortcut.as_deref();
        let found = self::gradients(
            set, &together, norm, statistics, &values, shortcut, &gradient,
        )?;
        return Ok(BatchNormGradients {
            values: shape.batch_first(&found.values),
            shortcut: found.shortcut.map(|values| shape.batch_first(&values)),
            ..found
        });
    }
    let mut gradients = BatchNormGradients::default();
    let mut write = |to: &mut [MaybeUninit<f32>], to_shortcut: Option<&mut [MaybeUninit<f32>]>| {
        let to = shape.split(to);
        let mut to_shortcut: Vec<_> = match to_shortcut {
            Some(to) => shape.split(to).into_iter().map(Some).collect(),
            None => to.iter().map(|_| None).collect(),
        };
        let of_channel: Vec<[f32; 2]> = (to.into_par_iter().zip(&mut to_shortcut).enumerate())
            .with_min_len(shape.channels_per_task())
            .map(|(index, (to, to_shortcut))| {
                let (mean, variance) = (statistics.mean[index], statistics.variance[index]);
                let channel = Channel::new(norm, index, mean, variance);
                let mut sums = [0.0; 2];
                let mut shortcuts = shortcut.map(|shortcut| shape.planes(shortcut, index));
                let planes = shape
                    .planes(values, index)
                    .zip(shape.planes(gradient, index));
                for (values, gradient) in planes.clone() {
                    let shortcut = shortcuts.as_mut().and_then(Iterator::next);
                    let of_plane = gradient_sums(set, channel, values, shortcut, gradient);
                    sums = [sums[0] + of_plane[0], sums[1] + of_plane[1]];
                }
                let gradient = channel.gradient(sums, shape.batch as f64 * shape.inner as f64);
                let mut shortcuts = shortcut.map(|shortcut| shape.planes(shortcut, index));
                let mut to_shortcut = to_shortcut.as_mut().map(|planes| planes.iter_mut());
                for ((values, of_outputs), to) in planes.zip(to) {
                    let shortcut = (shortcuts.as_mut().and_then(Iterator::next))
                        .zip(to_shortcut.as_mut().and_then(Iterator::next));
                    let shortcut = shortcut.map(|(values, to)| (values, &mut **to));
                    write_gradients(set, gradient, values, shortcut, of_outputs, to);
                }
                channel.parameter_gradients(sums)
            })
            .collect();
        gradients.gamma = of_channel.iter().map(|channel| channel[0]).collect();
        gradients.beta = of_channel.iter().map(|channel| channel[1]).collect();
        Ok(())
    };
    match shortcut {
        // SAFETY: the planes of all channels are all elements, and every element of a plane is written.
        None => gradients.values = unsafe { written(length, |to| write(to, None)) }?,
        Some(_) => {
            let mut values = Vec::new();
            let write = |to_shortcut: &mut [MaybeUninit<f32>]| {
                // SAFETY: as above.
                values = unsafe { written(length, |to| write(to, Some(to_shortcut))) }?;
                Ok(())
            };
            // SAFETY: as above; the shortcut's gradients are written with those of the values.
            let of_shortcut = unsafe { written(length, write) }?;
            gradients.values = values;
            gradients.shortcut = Some(of_shortcut);
        }
    }
    Ok(gradients)
}

impl BatchNormShape {
    /// Checks the parameters, and returns the number of elements.
    fn check(&self, norm: &BatchNorm<'_>) -> Result<usize, KernelError> {
        check_length("gamma", self.channels, norm.gamma.len())?;
        check_length("beta", self.channels, norm.beta.len())?;
        checked_product(
            "the number of values",
            &[self.batch, self.channels, self.inner],
        )
    }

    /// The planes of a channel, one of each image.
    fn planes<'a>(
        &self,
        values: &'a [f32],
        channel: usize,
    ) -> impl Iterator<Item = &'a [f32]> + Clone + use<'a> {
        let Self {
            channels, inner, ..
        } = *self;
        // A shape without elements has no plane.
        let images = values.chunks_exact(channels.saturating_mul(inner).max(1));
        images.map(move |image| &image[channel * inner..(channel + 1) * inner])
    }

    /// The mean and the biased variance of a channel.
    fn statistics(&self, set: InstructionSet, values: &[f32], channel: usize) -> [f32; 2] {
        let count = self.batch as f64 * self.inner as f64;
        let planes = || self.planes(values, channel);
        let mean = planes().map(|plane| sum(set, plane)).sum::<f64>() / count;
        let mean = mean as f32;
        let squares = planes().map(|plane| centred_squares(set, plane, mean));
        [mean, (squares.sum::<f64>() / count) as f32]
    }

    /// The planes of every channel.
    fn split<'a, T>(&self, values: &'a mut [T]) -> Vec<Vec<&'a mut [T]>> {
        let mut channels: Vec<_> = (0..self.channels)
            .map(|_| Vec::with_capacity(self.batch))
            .collect();
        for image in values.chunks_exact_mut(self.channels.saturating_mul(self.inner).max(1)) {
            for (channel, plane) in channels.iter_mut().zip(image.chunks_exact_mut(self.inner)) {
                channel.push(plane);
            }
        }
        channels
    }

    /// Channels that are worth a task.
    fn channels_per_task(&self) -> usize {
        (CHUNK / self.batch.saturating_mul(self.inner).max(1)).max(1)
    }

    /// The shape with each channel's elements side by side, if they should be.
    fn brought_together(&self) -> Option<Self> {
        let is_apart = self.batch > 1 && self.inner < LONG && self.channels > 0;
        is_apart.then(|| Self {
            batch: 1,
            channels: self.channels,
            inner: self.batch * self.inner,
        })
    }

    /// `[channels, batch, inner]`
    fn channels_first(&self, values: &[f32]) -> Vec<f32> {
        exchanged([self.batch, self.channels], self.inner, values)
    }

    /// The way back from [`channels_first`](Self::channels_first).
    fn batch_first(&self, values: &[f32]) -> Vec<f32> {
        exchanged([self.channels, self.batch], self.inner, values)
    }
}

/// From `[outer, middle, inner]` to `[middle, outer, inner]`.
fn exchanged([outer, middle]: [usize; 2], inner: usize, values: &[f32]) -> Vec<f32> {
    if values.is_empty() {
        return Vec::new();
    }
    assert_eq!(values.len(), outer * middle * inner);
    // The usual sizes of small images are known when this is compiled: such rows are too short for a call of `memcpy`.
    let copy = match inner {
        1 => copy_rows::<1>,
        4 => copy_rows::<4>,
        _ => copy_rows::<0>,
    };
    let write = |to: &mut [MaybeUninit<f32>]| {
        to.par_chunks_exact_mut(outer * inner)
            .with_min_len((CHUNK / (outer * inner)).max(1))
            .enumerate()
            .for_each(|(index, to)| copy(&values[index * inner..], middle * inner, inner, to));
        Ok::<(), Infallible>(())
    };
    // SAFETY: there are `middle` chunks of `outer` rows, and all of each is written.
    let Ok(exchanged) = unsafe { written(values.len(), write) };
    exchanged
}

/// Writes rows of `length` values, which is `LENGTH` if that is not 0, that begin `pitch` values apart, one after the
/// other.
fn copy_rows<const LENGTH: usize>(
    values: &[f32],
    pitch: usize,
    length: usize,
    to: &mut [MaybeUninit<f32>],
) {
    let length = match LENGTH {
        0 => length,
        known => known,
    };
    for (row, to) in to.chunks_exact_mut(length).enumerate() {
        let from = &values[row * pitch..][..length];
        for (to, from) in to.iter_mut().zip(from) {
            to.write(*from);
        }
    }
}
