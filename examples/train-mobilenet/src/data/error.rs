//! Why a data set could not be read.

use std::path::PathBuf;

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
