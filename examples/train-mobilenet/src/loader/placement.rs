//! One training image, shifted and mirrored at random.

use rand::RngExt;
use rand::rngs::StdRng;

use super::normalisation::Normalisation;
use crate::data::{Augmentation, Images};

/// Where an image lands in its frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct Placement {
    down: isize,
    right: isize,
    mirrored: bool,
}

impl Placement {
    /// Drawn anew for every image of every epoch.
    pub fn random(augmentation: Augmentation, generator: &mut StdRng) -> Self {
        let shift = augmentation.shift as i64;
        let mut offset = || generator.random_range(-shift..=shift) as isize;
        Self {
            down: offset(),
            right: offset(),
            mirrored: augmentation.mirror && generator.random(),
        }
    }

    /// Appends the image's normalised values, each channel by rows.
    pub fn append(
        self,
        images: &Images,
        index: usize,
        normalisation: &Normalisation,
        values: &mut Vec<f32>,
    ) {
        let [_, height, width] = images.shape();
        let planes = images.pixels(index).chunks_exact(height * width);
        let channels = normalisation.mean.iter().zip(&normalisation.scale);
        for (plane, (mean, scale)) in planes.zip(channels) {
            for row in 0..height {
                let source_row = row
                    .checked_add_signed(-self.down)
                    .filter(|&row| row < height);
                for column in 0..width {
                    let source_column = column
                        .checked_add_signed(-self.right)
                        .filter(|&column| column < width)
                        .map(|column| {
                            if self.mirrored {
                                width - 1 - column
                            } else {
                                column
                            }
                        });
                    let pixel = match (source_row, source_column) {
                        (Some(row), Some(column)) => plane[row * width + column],
                        _ => 0,
                    };
                    values.push((f32::from(pixel) - mean) * scale);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_shifted_and_mirrored() {
        let images = Images::new([1, 2, 3], vec![1, 2, 3, 4, 5, 6], vec![0]);
        let plain = Normalisation {
            mean: vec![0.0],
            scale: vec![1.0],
        };
        let placed = |down, right, mirrored| {
            let mut values = Vec::new();
            Placement {
                down,
                right,
                mirrored,
            }
            .append(&images, 0, &plain, &mut values);
            values
        };
        assert_eq!(placed(0, 0, false), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(placed(1, 0, false), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(placed(0, -1, false), [2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
        assert_eq!(placed(0, 0, true), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
    }
}
