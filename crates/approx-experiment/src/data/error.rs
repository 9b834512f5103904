//! Why a data set could not be read, or does not have what is asked of it.

use std::path::PathBuf;

use super::preparation::PreparationError;
use super::split::Split;

/// Why a data set could not be read, or does not have what is asked of it.
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
    /// A path at which there is nothing.
    #[error("there is no {path}; a data set is {known}")]
    Nowhere {
        /// The path.
        path: PathBuf,
        /// What a data set may be.
        known: &'static str,
    },
    /// A path at which no data set can be made out.
    #[error("{path} is no data set that can be made out; looked for {known}")]
    Unrecognised {
        /// The path.
        path: PathBuf,
        /// What was looked for.
        known: &'static str,
    },
    /// A path at which there are several data sets.
    #[error("{path} holds more than one data set, {first} and {second}; name one of them")]
    Ambiguous {
        /// The path.
        path: PathBuf,
        /// One of them.
        first: PathBuf,
        /// Another.
        second: PathBuf,
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
    /// A file of pickled Python objects that is damaged, or holds something else than a batch of CIFAR.
    #[error(
        "{path} is no batch of CIFAR as pickled by Python: {problem}; expected a dictionary with \"data\" and \"{labels}\""
    )]
    Pickle {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What the labels are called in it.
        labels: &'static str,
    },
    /// An archive of arrays lacks one.
    #[error("{path} has no array {expected}; it has {found}")]
    MissingArray {
        /// The archive.
        path: PathBuf,
        /// The array's name, or what it may be called.
        expected: &'static str,
        /// The names of the arrays that there are.
        found: String,
    },
    /// An array that does not hold what it should.
    #[error("{path}: the array {array} {problem}; {expected} would be right")]
    Array {
        /// The archive.
        path: PathBuf,
        /// The array's name.
        array: String,
        /// What is wrong with it.
        problem: String,
        /// What it should be.
        expected: &'static str,
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
    #[error("{split} image {index} has the label {label}; there are {classes} classes, 0 to {}", .classes.saturating_sub(1))]
    LabelRange {
        /// The split.
        split: Split,
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
    /// The images of two splits have different shapes.
    #[error("{first} images are {shape:?} (channels, height, width) but {second} images {found:?}")]
    Shapes {
        /// One split.
        first: Split,
        /// The shape of its images.
        shape: [usize; 3],
        /// The other split.
        second: Split,
        /// The shape of its images.
        found: [usize; 3],
    },
    /// Images without pixels.
    #[error("{split} images are {shape:?} (channels, height, width); each must be 1 at least")]
    NoPixels {
        /// The split.
        split: Split,
        /// The shape of its images.
        shape: [usize; 3],
    },
    /// There are too few images.
    #[error("{found} {split} images; at least {needed} are needed")]
    TooFew {
        /// The split.
        split: Split,
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The data set lacks the images that are asked for.
    #[error("{dataset} has no {split} images, only {known}{}", if *.split == Split::Validation { "; some can be held back from training" } else { "" })]
    NoSplit {
        /// The data set.
        dataset: String,
        /// What is asked for.
        split: Split,
        /// What there is.
        known: String,
    },
    /// More images are to be held back for validation than training can do without.
    #[error("{wanted} of {found} training images cannot be held back for validation; at most {} can", .found.saturating_sub(2))]
    HeldBack {
        /// How many are to be held back.
        wanted: usize,
        /// How many training images there are.
        found: usize,
    },
    /// Real numbers that were to be scaled as an image.
    #[error(
        "the images are arrays of real numbers, which are taken as they are; only those of grey levels (uint8) can be scaled \
         or cut"
    )]
    NotScalable,
    /// A preparation that does not fit the images.
    #[error(transparent)]
    Preparation(#[from] PreparationError),
}
