//! A data set: images to train on and to test on that fit each other, and how they may be varied.

use std::sync::Arc;

use super::error::DataError;
use super::images::Images;

/// How training images are varied from epoch to epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// The farthest that an image is shifted, in pixels, up, down and sideways; what comes in is black.
    pub shift: usize,
    /// Whether every other image is mirrored: photographs keep their meaning so, digits do not.
    pub mirror: bool,
}

impl Augmentation {
    /// Images as they are.
    pub const NONE: Self = Self {
        shift: 0,
        mirror: false,
    };
}

/// Training and test images, and what their classes are called.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What the data set is called in reports.
    pub name: String,
    /// The classes' names, by class number.
    pub classes: Vec<String>,
    /// The images to train on.
    pub train: Arc<Images>,
    /// The images to measure accuracy on.
    pub test: Arc<Images>,
    /// How the training images may be varied without changing what they show.
    pub augmentation: Augmentation,
}

impl Dataset {
    /// Puts training and test images together after checking that they fit.
    ///
    /// # Errors
    ///
    /// Images of different shapes, fewer than two to train on, none to test on, or labels beyond the classes.
    pub fn new(
        name: &str,
        classes: Vec<String>,
        train: Images,
        test: Images,
        augmentation: Augmentation,
    ) -> Result<Self, DataError> {
        if train.shape() != test.shape() {
            return Err(DataError::Shapes {
                train: train.shape(),
                test: test.shape(),
            });
        }
        for (split, images, needed) in [("training", &train, 2), ("test", &test, 1)] {
            if images.len() < needed {
                return Err(DataError::TooFew {
                    split,
                    found: images.len(),
                    needed,
                });
            }
            let outside = images
                .labels()
                .iter()
                .position(|&label| label >= classes.len());
            if let Some(index) = outside {
                return Err(DataError::LabelRange {
                    split,
                    index,
                    label: images.labels()[index],
                    classes: classes.len(),
                });
            }
        }
        Ok(Self {
            name: name.into(),
            classes,
            train: train.into(),
            test: test.into(),
            augmentation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| class.to_string()).collect()
    }

    #[test]
    fn splits_that_do_not_fit_are_refused() {
        let images = |size: usize, labels: Vec<usize>| {
            Images::new([1, size, size], vec![0; labels.len() * size * size], labels)
        };
        let dataset = |train, test| Dataset::new("test", names(2), train, test, Augmentation::NONE);
        assert!(matches!(
            dataset(images(8, vec![0, 1]), images(4, vec![0])),
            Err(DataError::Shapes { .. })
        ));
        assert!(matches!(
            dataset(images(8, vec![0]), images(8, vec![0])),
            Err(DataError::TooFew {
                split: "training",
                ..
            })
        ));
        let error = dataset(images(8, vec![0, 1]), images(8, vec![1, 2])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "test image 1 has the label 2; there are 2 classes, 0 to 1"
        );
    }
}
