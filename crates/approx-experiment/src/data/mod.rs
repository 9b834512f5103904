//! Data sets: from what a command line names ([`DataSource`]) to images of one size with their labels ([`Images`]).
//!
//! [`Images`] and [`Dataset`] are what all data sets become, [`DataError`] is why one could not be read. Every format
//! has a file of its own: [`digits`], [`idx`], [`cifar`], [`image_folder`], [`npz`], which read theirs from
//! `directory`. `source` makes out which it is. [`Split`] and [`Selection`] choose images by `draw`ing; `scaling` and
//! [`Preparation`] make network inputs of them.

pub mod cifar;
mod dataset;
pub mod digits;
mod directory;
mod draw;
mod error;
pub mod idx;
pub mod image_folder;
mod images;
mod normalisation;
pub mod npz;
mod preparation;
mod scaling;
mod source;
mod split;

pub use dataset::{Augmentation, Dataset, Splits};
pub use error::DataError;
pub use images::{Images, Values};
pub use normalisation::Normalisation;
pub use preparation::{
    Assumption, DEFAULT_MEMORY, Preparation, PreparationError, ReadOptions, parse_channels,
};
pub use scaling::{Crop, Resize, Scaling, SizeError};
pub use source::{DataKind, DataSource, PreparedData};
pub use split::{Selection, Split};
