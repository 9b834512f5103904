//! The bundled data set: 1,797 real handwritten digits of 8 x 8 pixels (UCI, "Optical Recognition of Handwritten
//! Digits"), compiled into the program so that it runs without any download.

use std::path::Path;

use super::{Augmentation, DataError, Dataset, idx};

/// Enlarges 8 x 8 pixels to 16 x 16, so that MobileNetV2's halvings leave something to look at.
const ENLARGEMENT: usize = 2;

macro_rules! bundled {
    ($name:literal) => {
        (
            Path::new(concat!("data/digits/", $name)),
            &include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/digits/", $name))[..],
        )
    };
}

/// Reads the bundled digits.
///
/// # Errors
///
/// Damaged files, as they would be after a broken checkout.
pub fn read() -> Result<Dataset, DataError> {
    let [train, test] = [
        (
            bundled!("train-images-idx3-ubyte"),
            bundled!("train-labels-idx1-ubyte"),
        ),
        (
            bundled!("t10k-images-idx3-ubyte"),
            bundled!("t10k-labels-idx1-ubyte"),
        ),
    ]
    .map(|((images_path, images), (labels_path, labels))| {
        idx::parse(images_path, images, labels_path, labels)
            .map(|images| images.enlarged(ENLARGEMENT))
    });
    let classes = (0..10).map(|class| class.to_string()).collect();
    let augmentation = Augmentation {
        shift: 1,
        mirror: false,
    };
    Dataset::new("digits", classes, train?, test?, augmentation)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bundled_digits_are_whole() {
        let dataset = super::read().unwrap();
        assert_eq!((dataset.train.len(), dataset.test.len()), (1437, 360));
        assert_eq!(dataset.train.shape(), [1, 16, 16]);
        for class in 0..10 {
            let count = dataset
                .test
                .labels()
                .iter()
                .filter(|&&label| label == class)
                .count();
            assert!(count > 20, "{count} images of {class}");
        }
    }
}
