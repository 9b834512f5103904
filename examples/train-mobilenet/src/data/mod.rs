//! Data sets: `images` and `dataset` are what all of them become, `error` is why one could not be read; every source
//! has a file of its own, which reads its format from `directory`.

pub mod cifar10;
mod dataset;
pub mod digits;
mod directory;
mod error;
pub mod idx;
pub mod image_folder;
mod images;

pub use dataset::{Augmentation, Dataset};
pub use error::DataError;
pub use images::Images;
