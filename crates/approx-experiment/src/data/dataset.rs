//! A data set: images to train on and to test on that fit each other, and how they may be varied.

use super::draw::{Purpose, draw};
use super::error::DataError;
use super::images::Images;
use super::split::{Selection, Split};

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

/// The parts that a data set has.
#[derive(Debug, Clone, Default)]
pub struct Splits {
    /// The images to train on.
    pub train: Option<Images>,
    /// Images held back from training by whoever made the data set.
    pub validation: Option<Images>,
    /// The images to measure accuracy on.
    pub test: Option<Images>,
}

impl Splits {
    /// Images to train on and to test on, as most data sets have them.
    pub fn train_and_test(train: Images, test: Images) -> Self {
        Self {
            train: Some(train),
            validation: None,
            test: Some(test),
        }
    }

    fn get(&self, split: Split) -> Option<&Images> {
        match split {
            Split::Train => self.train.as_ref(),
            Split::Validation => self.validation.as_ref(),
            Split::Test => self.test.as_ref(),
        }
    }

    fn each(&self) -> impl Iterator<Item = (Split, &Images)> {
        [Split::Train, Split::Validation, Split::Test]
            .into_iter()
            .filter_map(|split| Some((split, self.get(split)?)))
    }
}

/// The images of a data set, and what their classes are called.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What the data set is called in reports.
    pub name: String,
    /// The classes' names, by class number.
    pub classes: Vec<String>,
    /// How the training images may be varied without changing what they show.
    pub augmentation: Augmentation,
    splits: Splits,
}

impl Dataset {
    /// Puts the parts of a data set together after checking that they fit.
    ///
    /// ```
    /// use approx_experiment::data::{Augmentation, Dataset, Images, Splits};
    ///
    /// let images = |count: usize| Images::new([1, 2, 2], vec![0; 4 * count], vec![1; count]);
    /// let splits = Splits::train_and_test(images(10), images(3));
    /// let classes = vec!["black".into(), "white".into()];
    /// let dataset = Dataset::new("two", classes, splits, Augmentation::NONE)?;
    /// assert_eq!(dataset.shape(), [1, 2, 2]);
    /// # Ok::<(), approx_experiment::data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No images at all, images of different shapes or without pixels, fewer than two to train on, none in another
    /// part, or labels beyond the classes.
    pub fn new(
        name: &str,
        classes: Vec<String>,
        splits: Splits,
        augmentation: Augmentation,
    ) -> Result<Self, DataError> {
        let mut known = None;
        for (split, images) in splits.each() {
            let &mut (first, shape) = known.get_or_insert((split, images.shape()));
            if images.shape() != shape {
                return Err(DataError::Shapes {
                    first,
                    shape,
                    second: split,
                    found: images.shape(),
                });
            }
            if shape.contains(&0) {
                return Err(DataError::NoPixels { split, shape });
            }
            let needed = if split == Split::Train { 2 } else { 1 };
            if images.len() < needed {
                return Err(DataError::TooFew {
                    split,
                    found: images.len(),
                    needed,
                });
            }
            let mut labels = images.labels().iter();
            if let Some(index) = labels.position(|&label| label >= classes.len()) {
                return Err(DataError::LabelRange {
                    split,
                    index,
                    label: images.labels()[index],
                    classes: classes.len(),
                });
            }
        }
        if known.is_none() {
            return Err(DataError::TooFew {
                split: Split::Test,
                found: 0,
                needed: 1,
            });
        }
        Ok(Self {
            name: name.into(),
            classes,
            augmentation,
            splits,
        })
    }

    /// `[channels, height, width]` of all images.
    pub fn shape(&self) -> [usize; 3] {
        self.any_images().shape()
    }

    /// The images of a part, whichever there is.
    pub(super) fn any_images(&self) -> &Images {
        let mut each = self.splits.each().map(|(_, images)| images);
        each.next().expect("a data set has images")
    }

    /// The images of a part, all of them.
    ///
    /// # Errors
    ///
    /// A part that the data set does not have.
    pub fn images(&self, split: Split) -> Result<&Images, DataError> {
        self.splits.get(split).ok_or_else(|| {
            let known = self.splits.each().map(|(split, _)| split.to_string());
            DataError::NoSplit {
                dataset: self.name.clone(),
                split,
                known: known.collect::<Vec<_>>().join(" and "),
            }
        })
    }

    /// The images of a part that a selection leaves: training images without those that are held back for validation,
    /// at most as many as the limit says. They keep the data set's order.
    ///
    /// ```
    /// use approx_experiment::data::{Selection, Split, digits};
    ///
    /// let digits = digits::read()?;
    /// let selection = Selection { validation: 200, limit: None, seed: 1 };
    /// assert_eq!(digits.select(Split::Train, &selection)?.len(), 1237);
    /// assert_eq!(digits.select(Split::Validation, &selection)?.len(), 200);
    /// let few = Selection { limit: Some(64), ..selection };
    /// assert_eq!(digits.select(Split::Test, &few)?.len(), 64);
    /// # Ok::<(), approx_experiment::data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A part that the data set does not have, or more images to be held back than training can do without.
    pub fn select(&self, split: Split, selection: &Selection) -> Result<Images, DataError> {
        let Selection {
            validation,
            limit,
            seed,
        } = *selection;
        let images = match split {
            Split::Train | Split::Validation if validation > 0 => {
                let [train, held_back] = self.held_back(validation, seed)?;
                if split == Split::Train {
                    train
                } else {
                    held_back
                }
            }
            _ => self.images(split)?.clone(),
        };
        Ok(match limit {
            Some(limit) => images.drawn(limit, seed),
            None => images,
        })
    }

    /// The training images that are left, and those that are held back.
    fn held_back(&self, wanted: usize, seed: u64) -> Result<[Images; 2], DataError> {
        let train = self.images(Split::Train)?;
        if wanted + 2 > train.len() {
            return Err(DataError::HeldBack {
                wanted,
                found: train.len(),
            });
        }
        let held_back = draw(wanted, train.len(), seed, Purpose::Validation);
        let left: Vec<usize> = (0..train.len())
            .filter(|number| held_back.binary_search(number).is_err())
            .collect();
        Ok([left, held_back].map(|numbers| train.choose(&numbers)))
    }

    /// The same data set with every part's images changed in the same way.
    pub(super) fn map(
        mut self,
        change: impl Fn(&Images) -> Result<Images, DataError>,
    ) -> Result<Self, DataError> {
        let Splits {
            train,
            validation,
            test,
        } = &mut self.splits;
        for images in [train, validation, test].into_iter().flatten() {
            *images = change(images)?;
        }
        Ok(self)
    }
}

/// The names of classes that have none: their numbers.
pub fn numbered_classes(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(size: usize, labels: Vec<usize>) -> Images {
        Images::new([1, size, size], vec![0; labels.len() * size * size], labels)
    }

    fn dataset(train: Images, test: Images) -> Result<Dataset, DataError> {
        let splits = Splits::train_and_test(train, test);
        Dataset::new("test", numbered_classes(2), splits, Augmentation::NONE)
    }

    #[test]
    fn splits_that_do_not_fit_are_refused() {
        let error = dataset(images(8, vec![0, 1]), images(4, vec![0])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "training images are [1, 8, 8] (channels, height, width) but test images [1, 4, 4]"
        );
        let error = dataset(images(8, vec![0]), images(8, vec![0])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "1 training images; at least 2 are needed"
        );
        let error = dataset(images(8, vec![0, 1]), images(8, vec![1, 2])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "test image 1 has the label 2; there are 2 classes, 0 to 1"
        );
        let error = dataset(images(0, vec![0, 1]), images(0, vec![0])).unwrap_err();
        assert!(matches!(error, DataError::NoPixels { .. }));
        let nothing = Dataset::new("none", Vec::new(), Splits::default(), Augmentation::NONE);
        assert!(matches!(nothing, Err(DataError::TooFew { .. })));
    }

    /// Held back images and those left make up all, whatever else is asked for.
    #[test]
    fn held_back_images_are_not_trained_on() {
        let pixels = (0..40).collect();
        let numbered = Images::new([1, 1, 1], pixels, vec![0; 40]);
        let dataset = dataset(numbered, images(1, vec![0])).unwrap();
        let select = |split, validation, limit, seed| {
            let selection = Selection {
                validation,
                limit,
                seed,
            };
            let images = dataset.select(split, &selection).unwrap();
            let numbers =
                (0..images.len()).map(|index| images.values(index).unwrap().to_bytes()[0]);
            numbers.collect::<Vec<u8>>()
        };
        let (train, validation) = (
            select(Split::Train, 10, None, 1),
            select(Split::Validation, 10, None, 1),
        );
        assert_eq!((train.len(), validation.len()), (30, 10));
        let mut all = [train.clone(), validation.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<u8>>());
        assert_ne!(select(Split::Validation, 10, None, 2), validation);
        let limited = select(Split::Train, 10, Some(7), 1);
        assert_eq!(limited.len(), 7);
        assert!(limited.iter().all(|number| train.contains(number)));
        assert_eq!(select(Split::Train, 0, Some(99), 1).len(), 40);
    }

    #[test]
    fn what_is_not_there_cannot_be_selected() {
        let dataset = dataset(images(1, vec![0; 5]), images(1, vec![0])).unwrap();
        let error = dataset
            .select(Split::Validation, &Selection::default())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "test has no validation images, only training and test; some can be held back from training"
        );
        let selection = Selection {
            validation: 4,
            ..Selection::default()
        };
        let error = dataset.select(Split::Train, &selection).unwrap_err();
        assert_eq!(
            error.to_string(),
            "4 of 5 training images cannot be held back for validation; at most 3 can"
        );
    }
}
