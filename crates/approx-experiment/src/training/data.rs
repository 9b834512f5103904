//! What training and measuring read.

use std::sync::Arc;

use burn::tensor::Device;

use crate::data::{Augmentation, DataError, Dataset, Images, Normalisation, Split};
use crate::loader::ImageLoader;

/// What training and measuring read: the images, ready to be put in batches.
#[derive(Debug, Clone)]
pub struct TrainingData {
    pub(super) train: ImageLoader,
    pub(super) test: ImageLoader,
    pub(super) augmentation: Augmentation,
    pub(super) seed: u64,
    /// Where training happens; the first also measures.
    pub(super) devices: Vec<Device>,
}

impl TrainingData {
    /// Images to train on and images to measure on, in batches of `batch_size`, shuffled by `seed` for training. Each
    /// of the `devices` takes its share of every batch in training, and the first one measures; there must be one.
    pub fn new(
        [train, test]: [&Images; 2],
        normalisation: &Arc<Normalisation>,
        augmentation: Augmentation,
        batch_size: usize,
        seed: u64,
        devices: &[Device],
    ) -> Self {
        let loader = |images: &Images| {
            ImageLoader::in_order(
                images.clone(),
                normalisation.clone(),
                batch_size,
                &devices[0],
            )
        };
        Self {
            train: loader(train),
            test: loader(test),
            augmentation,
            seed,
            devices: devices.to_vec(),
        }
    }

    /// A data set's training and test images, normalised by what is measured on the former, and varied as the data set
    /// says; see [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// A data set without such images, or images that cannot be read or decoded.
    pub fn of(
        dataset: &Dataset,
        batch_size: usize,
        seed: u64,
        devices: &[Device],
    ) -> Result<Self, DataError> {
        let [train, test] = [Split::Train, Split::Test].map(|split| dataset.images(split));
        let (train, test) = (train?, test?);
        let normalisation = Arc::new(Normalisation::of(train)?);
        let augmentation = dataset.augmentation;
        Ok(Self::new(
            [train, test],
            &normalisation,
            augmentation,
            batch_size,
            seed,
            devices,
        ))
    }

    /// The training images in order and unvaried, as calibration wants them.
    pub fn train_in_order(&self) -> &ImageLoader {
        &self.train
    }

    /// The images to measure on.
    pub fn test(&self) -> &ImageLoader {
        &self.test
    }
}
