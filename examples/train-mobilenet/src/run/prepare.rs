//! What a run begins with: the data set, and the network.

use approx_experiment::data::image_folder::{self, FolderOptions};
use approx_experiment::data::{Dataset, Scaling, Split, cifar, digits, idx};
use approx_experiment::progress::Display;
use approx_models::{MobileNetV2, MobileNetV2Config, ModelError, Stem};
use burn::tensor::Device;

use super::RunError;
use crate::args::DatasetKind;
use crate::settings::{Settings, SettingsError};

/// The data set that the settings name.
pub fn dataset(settings: &Settings, display: Display) -> Result<Dataset, RunError> {
    let directory = || {
        settings.data.as_deref().ok_or(SettingsError::DataNeeded {
            dataset: settings.dataset,
        })
    };
    Ok(match settings.dataset {
        DatasetKind::Digits => digits::read()?,
        DatasetKind::Mnist => idx::read_directory(directory()?)?,
        DatasetKind::Cifar10 => cifar::binary::read_cifar10(directory()?)?,
        DatasetKind::Folder => {
            let options = FolderOptions {
                scaling: Scaling::square(settings.image_size),
                memory: usize::MAX,
            };
            let dataset = image_folder::read_directory(directory()?, options)?;
            // A damaged image should not be found out after an hour of training.
            for split in [Split::Train, Split::Test] {
                dataset.images(split)?.load(display)?;
            }
            dataset
        }
    })
}

/// A network with random weights for the data set's images, on the device and ready to be trained.
pub fn model(
    settings: &Settings,
    dataset: &Dataset,
    device: &Device,
) -> Result<MobileNetV2, ModelError> {
    let [channels, height, width] = dataset.shape();
    let stem = if height.max(width) <= 32 {
        Stem::Small
    } else {
        Stem::ImageNet
    };
    let device = device.clone().autodiff();
    device.seed(settings.seed);
    MobileNetV2Config::new(dataset.classes.len())
        .with_in_channels(channels)
        .with_width(settings.width)
        .with_stem(stem)
        .try_init(&device)
}
