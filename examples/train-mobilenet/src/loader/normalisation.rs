//! From grey levels to the numbers that a network is fed.

use crate::data::Images;

/// Maps grey levels 0 to 255 to numbers of about mean 0 and standard deviation 1, by channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    /// The mean of every channel, in grey levels.
    pub(super) mean: Vec<f32>,
    /// One over the standard deviation of every channel.
    pub(super) scale: Vec<f32>,
}

impl Normalisation {
    /// Maps grey levels, as parts of 255, to their distance from the channel's mean in units of its deviation.
    pub fn new(mean: &[f32], deviation: &[f32]) -> Self {
        Self {
            mean: mean.iter().map(|mean| 255.0 * mean).collect(),
            scale: deviation
                .iter()
                .map(|scale| 1.0 / (255.0 * scale))
                .collect(),
        }
    }

    /// Measures the channels of `images`. A channel of one constant value becomes 0.
    pub fn of(images: &Images) -> Self {
        let [channels, height, width] = images.shape();
        let area = height * width;
        let mut sums = vec![(0u64, 0u64); channels];
        for index in 0..images.len() {
            for (channel, plane) in images.pixels(index).chunks_exact(area).enumerate() {
                for &pixel in plane {
                    sums[channel].0 += u64::from(pixel);
                    sums[channel].1 += u64::from(pixel).pow(2);
                }
            }
        }
        let count = (images.len() * area) as f64;
        let moments = sums.into_iter().map(|(sum, squares)| {
            let mean = sum as f64 / count;
            let deviation = (squares as f64 / count - mean * mean).max(0.0).sqrt();
            (mean as f32, 1.0 / (deviation.max(1.0)) as f32)
        });
        let (mean, scale) = moments.unzip();
        Self { mean, scale }
    }
}
