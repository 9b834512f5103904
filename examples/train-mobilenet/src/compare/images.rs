//! The images, ready to be put in batches.

use std::sync::Arc;

use approx_experiment::data::image_folder::{self, FolderOptions};
use approx_experiment::data::{Augmentation, Normalisation, Scaling, Split};
use approx_experiment::loader::ImageLoader;
use approx_experiment::progress::Display;
use burn::tensor::Device;

use super::args::Args;
use super::digest::digest;
use super::error::StudyError;

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
        let options = FolderOptions {
            scaling: Scaling::square(args.image_size),
            memory: usize::MAX,
        };
        let dataset = image_folder::read_directory(&args.data, options)?;
        let [train, test] = [Split::Train, Split::Test].map(|split| dataset.images(split).cloned());
        let (train, test) = (train?, test?);
        for images in [&train, &test] {
            images.load(display)?;
        }
        let [mean, deviation] = NORMALISATION;
        let normalisation = Arc::new(Normalisation::new(&mean, &deviation));
        let device = Device::flex();
        let loader =
            |images| ImageLoader::in_order(images, normalisation.clone(), args.batch_size, &device);
        let train = match args.train_images {
            None => train,
            Some(count) => train.spread(count),
        };
        let names = dataset
            .classes
            .iter()
            .flat_map(|name| name.bytes().chain([0]));
        let mut parts = Vec::new();
        for images in [&train, &test] {
            let values = (0..images.len()).map(|index| images.values(index));
            parts.push((images.labels(), values.collect::<Result<Vec<_>, _>>()?));
        }
        let parts = parts.iter().flat_map(|(labels, values)| {
            let labels = labels.iter().map(|label| *label as u8);
            labels.chain(
                values
                    .iter()
                    .flat_map(|values| values.to_bytes().into_owned()),
            )
        });
        let digest = digest(names.chain(parts));
        Ok(Self {
            digest,
            train: loader(train),
            test: loader(test),
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
