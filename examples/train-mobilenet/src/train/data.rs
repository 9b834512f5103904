//! What training and measuring read.

use std::sync::Arc;

use burn::tensor::Device;

use crate::data::{Augmentation, Dataset, Images};
use crate::loader::{ImageLoader, Normalisation};

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
    /// Prepares a data set: batches of `batch_size` images, shuffled by `seed` for training. Each of the `devices`
    /// takes its share of every batch in training, and the first one measures; there must be one.
    pub fn new(dataset: &Dataset, batch_size: usize, seed: u64, devices: &[Device]) -> Self {
        let normalisation = Arc::new(Normalisation::of(&dataset.train));
        let loader = |images: &Arc<Images>| {
            ImageLoader::in_order(
                images.clone(),
                normalisation.clone(),
                batch_size,
                &devices[0],
            )
        };
        Self {
            train: loader(&dataset.train),
            test: loader(&dataset.test),
            augmentation: dataset.augmentation,
            seed,
            devices: devices.to_vec(),
        }
    }

    /// The training images in order and unvaried, as calibration wants them.
    pub fn train_in_order(&self) -> &ImageLoader {
        &self.train
    }

    /// The test images.
    pub fn test(&self) -> &ImageLoader {
        &self.test
    }
}
