//! Labelled images of one size, in memory.

use std::fmt;

/// Labelled images of one size.
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    channels: usize,
    height: usize,
    width: usize,
    pixels: Vec<u8>,
    labels: Vec<usize>,
}

impl fmt::Debug for Images {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [channels, height, width] = self.shape();
        write!(
            formatter,
            "{} images of {channels} x {height} x {width}",
            self.len()
        )
    }
}

impl Images {
    /// Images of the shape `[channels, height, width]`, their pixels one image after the other, each channel by rows.
    ///
    /// # Panics
    ///
    /// If there are not as many pixels as the labels and the shape ask for: readers check before they call.
    pub fn new([channels, height, width]: [usize; 3], pixels: Vec<u8>, labels: Vec<usize>) -> Self {
        assert_eq!(pixels.len(), labels.len() * channels * height * width);
        Self {
            channels,
            height,
            width,
            pixels,
            labels,
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// The pixels of image `index`, each channel by rows.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let size = self.channels * self.height * self.width;
        &self.pixels[index * size..][..size]
    }

    /// The class of every image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// At most so many images, spread evenly over all.
    #[must_use]
    pub fn spread(&self, count: usize) -> Self {
        let count = count.min(self.len());
        let chosen = (0..count).map(|index| index * self.len() / count);
        Self {
            pixels: chosen
                .clone()
                .flat_map(|index| self.pixels(index).to_vec())
                .collect(),
            labels: chosen.map(|index| self.labels[index]).collect(),
            ..*self
        }
    }

    /// Every image enlarged by a whole factor, with pixels in between interpolated linearly.
    #[must_use]
    pub fn enlarged(&self, factor: usize) -> Self {
        let (height, width) = (self.height * factor, self.width * factor);
        // Where output pixel `position` lies between the input's pixel centres: the lower pixel and the upper one's
        // weight.
        let between = |position: usize, size: usize| {
            let centre = (position as f32 + 0.5) / factor as f32 - 0.5;
            let centre = centre.clamp(0.0, (size - 1) as f32);
            let low = centre as usize;
            (low, (low + 1).min(size - 1), centre - low as f32)
        };
        let mut pixels = Vec::with_capacity(self.pixels.len() * factor * factor);
        for plane in self.pixels.chunks_exact(self.height * self.width) {
            for row in 0..height {
                let (top, bottom, down) = between(row, self.height);
                for column in 0..width {
                    let (left, right, along) = between(column, self.width);
                    let at =
                        |row: usize, column: usize| f32::from(plane[row * self.width + column]);
                    let upper = at(top, left) * (1.0 - along) + at(top, right) * along;
                    let lower = at(bottom, left) * (1.0 - along) + at(bottom, right) * along;
                    pixels.push((upper * (1.0 - down) + lower * down).round() as u8);
                }
            }
        }
        Self::new([self.channels, height, width], pixels, self.labels.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_images_is_spread_over_all() {
        let images = Images::new([1, 1, 1], (0..10).collect(), (0..10).collect());
        let part = images.spread(4);
        assert_eq!(part.labels(), [0, 2, 5, 7]);
        assert_eq!(part.pixels(2), [5]);
        assert_eq!(images.spread(11), images);
    }

    #[test]
    fn enlarging_keeps_flat_images_and_interpolates_edges() {
        let flat = Images::new([1, 2, 2], vec![7; 4], vec![0]).enlarged(3);
        assert_eq!(flat.shape(), [1, 6, 6]);
        assert!(flat.pixels(0).iter().all(|&pixel| pixel == 7));

        let edge = Images::new([1, 1, 2], vec![0, 100], vec![0]).enlarged(2);
        assert_eq!(edge.pixels(0), [0, 25, 75, 100, 0, 25, 75, 100]);
    }
}
