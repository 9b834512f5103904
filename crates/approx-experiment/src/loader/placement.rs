//! One training image, shifted and mirrored at random.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::data::{Augmentation, DataError, Images, Normalisation, Values};

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

    /// Fills `values` with the normalised values of an image, each channel by rows.
    pub fn fill(
        self,
        images: &Images,
        index: usize,
        normalisation: &Normalisation,
        values: &mut [f32],
    ) -> Result<(), DataError> {
        let [_, height, width] = images.shape();
        match images.values(index)? {
            Values::Levels(levels) => self.place(&levels, [height, width], normalisation, values),
            Values::Reals(reals) => self.place(reals, [height, width], normalisation, values),
        }
        Ok(())
    }

    fn place<T: Copy + Default + Into<f32>>(
        self,
        image: &[T],
        [height, width]: [usize; 2],
        normalisation: &Normalisation,
        values: &mut [f32],
    ) {
        let area = height * width;
        let planes = image.chunks_exact(area).zip(values.chunks_exact_mut(area));
        for (channel, (plane, values)) in planes.enumerate() {
            let (mean, scale) = normalisation.channel(channel);
            for (row, values) in values.chunks_exact_mut(width).enumerate() {
                let source_row = row
                    .checked_add_signed(-self.down)
                    .filter(|&row| row < height);
                for (column, value) in values.iter_mut().enumerate() {
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
                    let stored = match (source_row, source_column) {
                        (Some(row), Some(column)) => plane[row * width + column],
                        _ => T::default(),
                    };
                    *value = (stored.into() - mean) * scale;
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
        let levels = Images::new([1, 2, 3], vec![1, 2, 3, 4, 5, 6], vec![0]);
        let numbers = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let reals = Images::of_reals([1, 2, 3], numbers, vec![0]);
        let plain = Normalisation::new(&[0.0], &[1.0 / 255.0]);
        let placed = |down, right, mirrored| {
            [&levels, &reals].map(|images| {
                let mut values = vec![f32::NAN; 6];
                let placement = Placement {
                    down,
                    right,
                    mirrored,
                };
                placement.fill(images, 0, &plain, &mut values).unwrap();
                values
            })
        };
        for (found, expected) in [
            (placed(0, 0, false), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            (placed(1, 0, false), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]),
            (placed(0, -1, false), [2.0, 3.0, 0.0, 5.0, 6.0, 0.0]),
            (placed(0, 0, true), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]),
        ] {
            assert_eq!(found, [expected, expected]);
        }
    }
}
