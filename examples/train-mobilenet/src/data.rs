//! Labelled images in memory, and why a data set could not be read. Each source has a file of its own.

pub mod cifar10;
pub mod digits;
pub mod idx;
pub mod image_folder;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

    /// Every image enlarged by a whole factor, with pixels in between interpolated linearly.
    #[must_use]
    pub fn enlarged(&self, factor: usize) -> Self {
        let (height, width) = (self.height * factor, self.width * factor);
        // Where output pixel `position` lies between the input's pixel centres: the lower pixel and the upper one's weight.
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

/// Why a data set could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The directory given is not there, or is none.
    #[error("{path} is not a directory that can be read: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// There is nothing in the directory given.
    #[error("{path} is empty; expected {expected}")]
    EmptyDirectory {
        /// The directory.
        path: PathBuf,
        /// What should be there.
        expected: String,
    },
    /// A file of the data set is missing.
    #[error("{directory} has no {file}; expected {expected}")]
    MissingFile {
        /// The directory.
        directory: PathBuf,
        /// The file that is looked for.
        file: String,
        /// All that should be there.
        expected: String,
    },
    /// A file cannot be read, or its compression is damaged.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system or the decompressor says.
        source: std::io::Error,
    },
    /// A file does not begin as its format asks.
    #[error("{path} is not {format}: it begins with {found:02x?} where {expected:02x?} is needed")]
    Magic {
        /// The file.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// The first bytes.
        found: Vec<u8>,
        /// The first bytes of that format.
        expected: Vec<u8>,
    },
    /// A file's length is not what its header or its format asks for.
    #[error("{path} is {}: it has {found} bytes where {expected} are needed", if .found < .expected { "truncated" } else { "too long" })]
    Length {
        /// The file.
        path: PathBuf,
        /// How many bytes it should have, uncompressed.
        expected: usize,
        /// How many it has, uncompressed.
        found: usize,
    },
    /// There are not as many labels as images.
    #[error(
        "{images_path} has {images} images but {labels_path} has {labels} labels; there must be one label per image"
    )]
    LabelCount {
        /// The file of images.
        images_path: PathBuf,
        /// How many images it has.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// How many labels it has.
        labels: usize,
    },
    /// A label stands for no class.
    #[error("{split} image {index} has the label {label}; there are {classes} classes, 0 to {}", .classes - 1)]
    LabelRange {
        /// The split.
        split: &'static str,
        /// The image's number.
        index: usize,
        /// Its label.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// An image cannot be decoded.
    #[error("{path} is not an image that can be decoded: {source}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: image::ImageError,
    },
    /// A class has test images but no training images.
    #[error("{path} has no counterpart in {train}: a class to test on must be one to train on")]
    UnknownClass {
        /// The test images' directory.
        path: PathBuf,
        /// Where the training images' directory would be.
        train: PathBuf,
    },
    /// Training and test images have different shapes.
    #[error("training images are {train:?} (channels, height, width) but test images {test:?}")]
    Shapes {
        /// Of the training images.
        train: [usize; 3],
        /// Of the test images.
        test: [usize; 3],
    },
    /// There are too few images.
    #[error("{found} {split} images; at least {needed} are needed")]
    TooFew {
        /// The split.
        split: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
}

/// The sorted entries of a directory.
fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let error = |source| DataError::Directory {
        path: path.into(),
        source,
    };
    let mut found = std::fs::read_dir(path)
        .map_err(error)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(error)?;
    found.sort();
    Ok(found)
}

/// As [`entries`], where an empty directory is an error that says what was expected.
fn entries_expecting(path: &Path, expected: &str) -> Result<Vec<PathBuf>, DataError> {
    let found = entries(path)?;
    if found.is_empty() {
        return Err(DataError::EmptyDirectory {
            path: path.into(),
            expected: expected.into(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(classes: usize) -> Vec<String> {
        (0..classes).map(|class| class.to_string()).collect()
    }

    #[test]
    fn enlarging_keeps_flat_images_and_interpolates_edges() {
        let flat = Images::new([1, 2, 2], vec![7; 4], vec![0]).enlarged(3);
        assert_eq!(flat.shape(), [1, 6, 6]);
        assert!(flat.pixels(0).iter().all(|&pixel| pixel == 7));

        let edge = Images::new([1, 1, 2], vec![0, 100], vec![0]).enlarged(2);
        assert_eq!(edge.pixels(0), [0, 25, 75, 100, 0, 25, 75, 100]);
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
