//! The bundled data set: 1,797 real handwritten digits of 8 x 8 pixels (UCI, "Optical Recognition of Handwritten
//! Digits"), compiled into the program so that it runs without any download.

use std::path::Path;

use super::dataset::{Augmentation, Dataset, Splits, numbered_classes};
use super::error::DataError;
use super::idx;
use super::images::Images;

/// Enlarges 8 x 8 pixels to 16 x 16, so that a network's halvings leave something to look at.
const ENLARGEMENT: usize = 2;

macro_rules! bundled {
    ($name:literal) => {
        (
            Path::new(concat!("data/digits/", $name)),
            &include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits/", $name))[..],
        )
    };
}

/// Reads the bundled digits: 1,437 to train on and 360 to test on, enlarged to 16 x 16 pixels.
///
/// ```
/// let digits = approx_experiment::data::digits::read()?;
/// assert_eq!(digits.shape(), [1, 16, 16]);
/// # Ok::<(), approx_experiment::data::DataError>(())
/// ```
///
/// # Errors
///
/// Damaged files, as they would be after a broken checkout.
pub fn read() -> Result<Dataset, DataError> {
    let read = |(images_path, images), (labels_path, labels)| -> Result<Images, DataError> {
        idx::parse(images_path, images, labels_path, labels)?.enlarged(ENLARGEMENT)
    };
    let train = read(
        bundled!("train-images-idx3-ubyte"),
        bundled!("train-labels-idx1-ubyte"),
    )?;
    let test = read(
        bundled!("t10k-images-idx3-ubyte"),
        bundled!("t10k-labels-idx1-ubyte"),
    )?;
    let augmentation = Augmentation {
        shift: 1,
        mirror: false,
    };
    let splits = Splits::train_and_test(train, test);
    Dataset::new("digits", numbered_classes(10), splits, augmentation)
}

#[cfg(test)]
mod tests {
    use crate::data::Split;

    #[test]
    fn the_bundled_digits_are_whole() {
        let dataset = super::read().unwrap();
        let [train, test] = [Split::Train, Split::Test].map(|split| dataset.images(split).unwrap());
        assert_eq!((train.len(), test.len()), (1437, 360));
        for class in 0..10 {
            let count = test
                .labels()
                .iter()
                .filter(|&&label| label == class)
                .count();
            assert!(count > 20, "{count} images of {class}");
        }
    }
}
