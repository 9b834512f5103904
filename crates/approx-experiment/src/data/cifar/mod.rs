//! CIFAR-10 and CIFAR-100, in the two forms in which they are distributed: [`binary`] records, and the batches that
//! Python has [pickled](python), which is what torchvision downloads.

pub mod binary;
mod pickle;
pub mod python;

use super::dataset::{Augmentation, Dataset, Splits, numbered_classes};
use super::error::DataError;
use super::images::Images;

/// Channels, height and width of every image.
const SHAPE: [usize; 3] = [3, 32, 32];
/// The bytes of an image.
const PIXELS: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// The classes of CIFAR-10, in their order.
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// CIFAR-10, however its images were read.
fn cifar10(train: Images, test: Images) -> Result<Dataset, DataError> {
    whole("cifar10", CLASSES.map(Into::into).into(), train, test)
}

/// CIFAR-100 with its 100 fine classes; where their names are not there, numbers stand for them.
fn cifar100(names: Option<Vec<String>>, train: Images, test: Images) -> Result<Dataset, DataError> {
    let classes = names.filter(|names| names.len() == 100);
    let classes = classes.unwrap_or_else(|| numbered_classes(100));
    whole("cifar100", classes, train, test)
}

fn whole(
    name: &str,
    classes: Vec<String>,
    train: Images,
    test: Images,
) -> Result<Dataset, DataError> {
    let augmentation = Augmentation {
        shift: 4,
        mirror: true,
    };
    let splits = Splits::train_and_test(train, test);
    Dataset::new(name, classes, splits, augmentation)
}
