//! A data set as a command line names it: `digits`, or a path whose kind is made out from what lies there. `recognise`
//! does that.

mod recognise;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dataset::Dataset;
use super::error::DataError;
use super::image_folder::FolderOptions;
use super::images::Images;
use super::normalisation::{Normalisation, moments};
use super::preparation::{Assumption, DefaultNormalisation, Preparation, ReadOptions};
use super::split::Split;
use super::{cifar, digits, idx, image_folder, npz};

/// The kinds of data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// The handwritten digits that come with this library.
    Digits,
    /// MNIST, or another data set with its file names and format.
    Idx,
    /// CIFAR-10, binary version.
    Cifar10,
    /// CIFAR-10 as Python has pickled it.
    Cifar10Python,
    /// CIFAR-100, binary version.
    Cifar100,
    /// CIFAR-100 as Python has pickled it.
    Cifar100Python,
    /// A folder of images in `train`, `val` or `test`.
    ImageFolder,
    /// A folder of images whose subfolders are classes.
    ClassFolder,
    /// NumPy's arrays in one file.
    Npz,
    /// NumPy's arrays in `train.npz`, `val.npz` or `test.npz`.
    NpzFolder,
}

/// A data set: where it is, and of what kind.
///
/// ```
/// use approx_experiment::data::{DataKind, DataSource};
///
/// let source: DataSource = "digits".parse()?;
/// assert_eq!(source.kind(), DataKind::Digits);
/// let error = "nowhere".parse::<DataSource>().unwrap_err();
/// assert!(error.to_string().starts_with("there is no nowhere; a data set is digits, "));
/// # Ok::<(), approx_experiment::data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    kind: DataKind,
    /// Where it is, if it does not come with the library.
    path: Option<PathBuf>,
}

/// A data set whose images are as a network takes them.
#[derive(Debug, Clone)]
pub struct PreparedData {
    /// The images, scaled.
    pub dataset: Dataset,
    /// What is done to them, normalisation included.
    pub preparation: Preparation,
    /// What was assumed of the preparation.
    pub assumptions: Vec<Assumption>,
}

impl PreparedData {
    /// What a loader normalises the images by.
    pub fn normalisation(&self) -> Arc<Normalisation> {
        self.preparation.normalisation()
    }
}

impl DataSource {
    /// The data set that comes with the library.
    pub const DIGITS: Self = Self {
        kind: DataKind::Digits,
        path: None,
    };

    /// The data set at a path, whose kind is made out from the names of what lies there.
    ///
    /// # Errors
    ///
    /// A path at which nothing is, or nothing that can be made out; the error says what was looked for.
    pub fn at(path: &Path) -> Result<Self, DataError> {
        recognise::recognise(path)
    }

    /// The kind that was made out.
    pub fn kind(&self) -> DataKind {
        self.kind
    }

    /// Where the data set is, if it does not come with the library: the folder that holds its files, which may lie
    /// below the one that was named.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Reads the data set, and prepares its images for a network. Images in files are listed now, and decoded when they
    /// are asked for.
    ///
    /// What the options leave open is assumed: images of another size than the network takes are scaled and cut to it;
    /// those in files are normalised as ImageNet's, arrays not at all, others by what is measured on the training
    /// images.
    ///
    /// # Errors
    ///
    /// Files that are missing or damaged, or options that do not fit the images.
    pub fn read(&self, options: &ReadOptions) -> Result<PreparedData, DataError> {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        let in_folder = |read: fn(&Path, FolderOptions) -> Result<Dataset, DataError>| {
            let (scaling, assumption) = options.scaling(None)?;
            let options = FolderOptions {
                scaling,
                memory: options.memory,
            };
            Ok::<_, DataError>((read(path, options)?, scaling, assumption))
        };
        let in_memory = |dataset: Dataset| {
            let [_, height, width] = dataset.shape();
            let any = dataset.any_images();
            let default = ReadOptions {
                // Arrays of features are no images.
                network_size: options
                    .network_size
                    .filter(|_| !any.are_reals() && [height, width] != [1, 1]),
                ..options.clone()
            };
            let (scaling, assumption) = default.scaling(Some([height, width]))?;
            Ok::<_, DataError>((dataset, scaling, assumption))
        };
        let (dataset, scaling, of_size) = match self.kind {
            DataKind::Digits => in_memory(digits::read()?)?,
            DataKind::Idx => in_memory(idx::read_directory(path)?)?,
            DataKind::Cifar10 => in_memory(cifar::binary::read_cifar10(path)?)?,
            DataKind::Cifar10Python => in_memory(cifar::python::read_cifar10(path)?)?,
            DataKind::Cifar100 => in_memory(cifar::binary::read_cifar100(path)?)?,
            DataKind::Cifar100Python => in_memory(cifar::python::read_cifar100(path)?)?,
            DataKind::ImageFolder => in_folder(image_folder::read_available)?,
            DataKind::ClassFolder => in_folder(image_folder::read_classes)?,
            DataKind::Npz => in_memory(npz::read_file(path)?)?,
            DataKind::NpzFolder => in_memory(npz::read_directory(path)?)?,
        };
        let [channels, ..] = dataset.shape();
        let any = dataset.any_images();
        let (preparation, of_values) =
            options.complete(scaling, channels, any.are_reals(), || match self.kind {
                DataKind::ImageFolder | DataKind::ClassFolder => Ok(DefaultNormalisation::ImageNet),
                DataKind::Npz | DataKind::NpzFolder => Ok(DefaultNormalisation::None),
                _ => measured(dataset.images(Split::Train)?),
            })?;
        let is_folder = matches!(self.kind, DataKind::ImageFolder | DataKind::ClassFolder);
        let dataset = match is_folder {
            // Its images are scaled as they are decoded.
            true => dataset,
            false => dataset.map(|images| images.scaled(scaling, options.memory))?,
        };
        Ok(PreparedData {
            dataset,
            preparation,
            assumptions: of_size.into_iter().chain(of_values).collect(),
        })
    }
}

/// The mean and the deviation of images, as parts of 255.
fn measured(images: &Images) -> Result<DefaultNormalisation, DataError> {
    let part = |values: Vec<f64>| values.iter().map(|value| (value / 255.0) as f32).collect();
    Ok(DefaultNormalisation::Measured(moments(images)?.map(part)))
}

impl FromStr for DataSource {
    type Err = DataError;

    /// Reads `digits`, or a path. A folder that is called `digits` is `./digits`.
    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "digits" => Ok(Self::DIGITS),
            path => Self::at(Path::new(path)),
        }
    }
}

/// As it is named: `digits`, or the path.
impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            None => f.write_str("digits"),
            Some(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::image_folder::tests::write;
    use super::*;
    use crate::data::{Crop, Resize};

    #[test]
    fn digits_are_measured_and_scaled_for_the_network() {
        let data = DataSource::DIGITS.read(&ReadOptions::default()).unwrap();
        assert_eq!(data.dataset.shape(), [1, 16, 16]);
        assert_eq!(data.assumptions, [Assumption::MeasuredNormalisation]);
        let exact = Normalisation::of(data.dataset.images(Split::Train).unwrap()).unwrap();
        let (found, expected) = (data.normalisation().channel(0), exact.channel(0));
        assert!(
            (found.0 - expected.0).abs() < 1e-3,
            "{found:?} {expected:?}"
        );
        assert!(
            (found.1 / expected.1 - 1.0).abs() < 1e-5,
            "{found:?} {expected:?}"
        );

        let options = ReadOptions {
            network_size: Some([28, 28]),
            ..ReadOptions::default()
        };
        let larger = DataSource::DIGITS.read(&options).unwrap();
        assert_eq!(larger.dataset.shape(), [1, 28, 28]);
        assert_eq!(larger.preparation.resize, Some(Resize::Shorter(28)));
        // What was measured does not depend on the network.
        assert_eq!(larger.preparation.mean, data.preparation.mean);
    }

    #[test]
    fn folders_are_as_imagenet_unless_said_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "cat/1.png", [100, 0, 0]);
        let source = DataSource::at(folder.path()).unwrap();
        assert_eq!(source.kind(), DataKind::ClassFolder);
        let nothing = source.read(&ReadOptions::default());
        assert!(
            nothing
                .unwrap_err()
                .to_string()
                .contains("224 for instance")
        );
        let options = ReadOptions {
            network_size: Some([6, 6]),
            ..ReadOptions::default()
        };
        let data = source.read(&options).unwrap();
        assert_eq!(data.dataset.shape(), [3, 6, 6]);
        let six = Crop {
            height: 6,
            width: 6,
        };
        assert_eq!(
            data.assumptions,
            [
                Assumption::NetworkSize(six),
                Assumption::ImageNetNormalisation
            ]
        );
        let said = ReadOptions {
            resize: Some(Resize::Shorter(5)),
            mean: Some(vec![0.5]),
            std: Some(vec![0.5]),
            network_size: None,
            ..options
        };
        let data = source.read(&said).unwrap();
        assert_eq!(data.dataset.shape(), [3, 5, 5]);
        assert_eq!(data.preparation.mean, [0.5; 3]);
    }

    #[test]
    fn a_source_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "test/cat/1.png", [1; 3]);
        for source in [DataSource::DIGITS, DataSource::at(folder.path()).unwrap()] {
            let json = serde_json::to_string(&source).unwrap();
            assert_eq!(serde_json::from_str::<DataSource>(&json).unwrap(), source);
            assert_eq!(source.to_string().parse::<DataSource>().unwrap(), source);
        }
    }
}
