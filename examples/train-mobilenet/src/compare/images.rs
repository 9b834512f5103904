//! The images, ready to be put in batches.

use std::sync::Arc;

use burn::tensor::Device;

use super::args::Args;
use super::digest::digest;
use super::error::StudyError;
use crate::data::{Augmentation, image_folder};
use crate::loader::{ImageLoader, Normalisation};
use crate::progress::Display;

/// Mean and deviation of ImageNet's channels, by which most published weights expect images to be normalised.
const NORMALISATION: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

/// The images, ready to be put in batches.
pub struct Images {
    /// The training images in order.
    pub train: ImageLoader,
    /// The test images.
    pub test: ImageLoader,
    /// How the training images may be varied.
    pub augmentation: Augmentation,
    /// How many classes there are.
    pub classes: usize,
    /// What tells whether the images, their labels and the classes' names are what they were.
    pub digest: String,
    /// Where everything is computed.
    pub device: Device,
}

impl Images {
    /// Reads the folder that the command line names.
    ///
    /// # Errors
    /// Images that are missing or damaged.
    pub fn read(args: &Args, display: Display) -> Result<Self, StudyError> {
        let dataset = image_folder::read_directory(&args.data, args.image_size, display)?;
        let [mean, deviation] = NORMALISATION;
        let normalisation = Arc::new(Normalisation::new(&mean, &deviation));
        let device = Device::flex();
        let loader =
            |images| ImageLoader::in_order(images, normalisation.clone(), args.batch_size, &device);
        let train = match args.train_images {
            None => dataset.train,
            Some(count) => Arc::new(dataset.train.spread(count)),
        };
        let names = dataset
            .classes
            .iter()
            .flat_map(|name| name.bytes().chain([0]));
        let parts = [&train, &dataset.test].into_iter().flat_map(|images| {
            let labels = images.labels().iter().map(|label| *label as u8);
            let pixels = (0..images.len()).flat_map(|index| images.pixels(index).iter().copied());
            labels.chain(pixels)
        });
        let digest = digest(names.chain(parts));
        Ok(Self {
            digest,
            train: loader(train),
            test: loader(dataset.test),
            augmentation: dataset.augmentation,
            classes: dataset.classes.len(),
            device: device.clone(),
        })
    }

    /// The training images of an epoch, counted from 1, shuffled and varied.
    pub fn shuffled(&self, seed: u64, epoch: usize) -> ImageLoader {
        let loader = self.train.clone();
        let device = self.device.clone().autodiff();
        loader
            .shuffled(seed, self.augmentation, epoch)
            .on_device(&device)
    }
}
