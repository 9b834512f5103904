//! From stored values to the numbers that a network is fed.

use super::error::DataError;
use super::images::{Images, Values};

/// Maps stored values to numbers by channel: less a mean, by a scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    /// The mean of every channel, in stored values.
    mean: Vec<f32>,
    /// One over the standard deviation of every channel.
    scale: Vec<f32>,
}

impl Normalisation {
    /// Maps grey levels, as parts of 255, to their distance from the channel's mean in units of its deviation.
    pub fn new(mean: &[f32], deviation: &[f32]) -> Self {
        Self::scaled(255.0, mean, deviation)
    }

    /// Maps values, as parts of `whole`, to their distance from the channel's mean in units of its deviation.
    pub(super) fn scaled(whole: f32, mean: &[f32], deviation: &[f32]) -> Self {
        Self {
            mean: mean.iter().map(|mean| whole * mean).collect(),
            scale: deviation
                .iter()
                .map(|scale| 1.0 / (whole * scale))
                .collect(),
        }
    }

    /// Measures the channels of `images`: their values then have a mean of 0 and a deviation of 1. A channel of one
    /// constant value becomes 0.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or decoded.
    pub fn of(images: &Images) -> Result<Self, DataError> {
        let [mean, deviation] = moments(images)?;
        Ok(Self {
            mean: mean.into_iter().map(|mean| mean as f32).collect(),
            scale: deviation
                .into_iter()
                .map(|deviation| 1.0 / deviation as f32)
                .collect(),
        })
    }

    /// The mean and the scale of a channel.
    pub(crate) fn channel(&self, channel: usize) -> (f32, f32) {
        (self.mean[channel], self.scale[channel])
    }
}

/// The mean and the standard deviation of every channel, in stored values.
///
/// # Errors
///
/// A file that cannot be read or decoded.
pub fn moments(images: &Images) -> Result<[Vec<f64>; 2], DataError> {
    let [channels, height, width] = images.shape();
    let area = height * width;
    let mut sums = vec![[0.0; 2]; channels];
    for index in 0..images.len() {
        match images.values(index)? {
            Values::Levels(levels) => add_up(&levels, area, &mut sums),
            Values::Reals(reals) => add_up(reals, area, &mut sums),
        }
    }
    // One grey level, or what real numbers of about 1 are rounded to.
    let least = if images.are_reals() {
        f64::from(f32::EPSILON)
    } else {
        1.0
    };
    let count = (images.len() * area) as f64;
    let moments = sums.into_iter().map(|[sum, squares]| {
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.0).sqrt();
        (mean, deviation.max(least))
    });
    let (mean, deviation) = moments.unzip();
    Ok([mean, deviation])
}

/// Adds the values of an image and their squares to every channel's sums. Those of grey levels stay below 2^53 for
/// 10^11 pixels, and are exact.
fn add_up<T: Copy + Into<f64>>(values: &[T], area: usize, sums: &mut [[f64; 2]]) {
    for ([sum, squares], plane) in sums.iter_mut().zip(values.chunks_exact(area)) {
        for &value in plane {
            let value = value.into();
            *sum += value;
            *squares += value * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_measured_one_by_one() {
        let images = Images::new([2, 1, 2], vec![0, 10, 7, 7, 20, 30, 7, 7], vec![0, 0]);
        let [mean, deviation] = moments(&images).unwrap();
        assert_eq!(mean, [15.0, 7.0]);
        // The second channel is constant, and must not be divided by 0.
        assert_eq!(deviation, [125f64.sqrt(), 1.0]);
        let normalisation = Normalisation::of(&images).unwrap();
        assert_eq!(normalisation.channel(0), (15.0, 1.0 / 125f64.sqrt() as f32));
    }

    #[test]
    fn parts_of_a_whole_are_normalised_in_stored_values() {
        let normalisation = Normalisation::new(&[0.5], &[0.25]);
        assert_eq!(normalisation.channel(0), (127.5, 1.0 / 63.75));
    }

    #[test]
    fn real_numbers_are_measured_too() {
        let images = Images::of_reals([1, 1, 2], vec![-0.5, 1.5], vec![0]);
        assert_eq!(moments(&images).unwrap(), [vec![0.5], vec![1.0]]);
    }
}
