//! What a report says of a network, a multiplier and images, so that whoever reads it can tell whether theirs are the
//! same.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use approx_multiplier::{HardwareFigures, Multiplier};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::{
    Assumption, DataError, DataSource, Images, Preparation, PreparedData, Selection, Split,
};

/// A network, by name and content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkSummary {
    /// What it is called.
    pub name: String,
    /// The files that it was read from.
    pub files: Vec<FileSummary>,
}

/// A file, by path and content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileSummary {
    /// Where it is.
    pub path: PathBuf,
    /// The hash of its content, as `sha256sum` gives it.
    pub sha256: String,
}

impl NetworkSummary {
    /// Describes a network by the files that it was read from.
    ///
    /// ```
    /// use approx_experiment::report::NetworkSummary;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("net.onnx");
    /// std::fs::write(&path, "abc")?;
    /// let network = NetworkSummary::of_files("net.onnx".into(), &[path])?;
    /// assert!(network.files[0].sha256.starts_with("ba7816bf"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn of_files(name: String, paths: &[PathBuf]) -> std::io::Result<Self> {
        let files = paths.iter().map(|path| {
            Ok(FileSummary {
                path: path.clone(),
                sha256: sha256(path)?,
            })
        });
        Ok(Self {
            name,
            files: files.collect::<std::io::Result<_>>()?,
        })
    }
}

/// The hash of a file's content, read piece by piece: weights can be large.
fn sha256(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(&piece[..length]),
        }
    }
}

/// Where the ranges of a network's codes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeSummary {
    /// What was made of the quantisers that the network's file has.
    pub file_codes: FileCodesUse,
    /// On how many training images at most the ranges of all other layers were found, drawn by the seed: on all if there
    /// are fewer.
    pub images: usize,
    /// The seed.
    pub seed: u64,
}

/// What was made of the quantisers of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileCodesUse {
    /// Nothing, or it has none.
    None,
    /// Codes are as in the file.
    AsTheyAre,
    /// Unsigned codes were shifted to signed ones.
    Shifted,
}

/// A multiplier, by name and content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiplierSummary {
    /// Its name.
    pub name: String,
    /// The hash of what it computes.
    pub hash: String,
    /// Power, area and delay, where they are known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hardware: Option<HardwareFigures>,
}

impl MultiplierSummary {
    /// Describes a multiplier.
    pub fn of(multiplier: &Multiplier) -> Self {
        Self {
            name: multiplier.name().into(),
            hash: multiplier.hash().to_string(),
            hardware: multiplier.hardware().cloned(),
        }
    }

    /// Its power in milliwatts, if it is known.
    pub fn power_mw(&self) -> Option<f64> {
        self.hardware.as_ref()?.power_mw
    }
}

/// Images: which ones, and how they were prepared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    /// The data set.
    pub source: DataSource,
    /// Which part of it.
    pub split: Split,
    /// Which images of that part.
    pub selection: Selection,
    /// How many they are.
    pub images: usize,
    /// Channels, height and width, as the network gets them.
    pub shape: [usize; 3],
    /// How many classes the data set has.
    pub classes: usize,
    /// The hash of the images and their labels, as they are before they are prepared.
    pub hash: String,
    /// How they were prepared.
    pub preparation: Preparation,
    /// What of that was assumed.
    pub assumptions: Vec<Assumption>,
}

impl DataSummary {
    /// Describes images that a selection leaves of a split; see [`Dataset::select`](crate::data::Dataset::select).
    ///
    /// # Errors
    ///
    /// A file that cannot be read: the hash is that of its content.
    pub fn of(
        source: &DataSource,
        data: &PreparedData,
        split: Split,
        selection: &Selection,
        images: &Images,
    ) -> Result<Self, DataError> {
        Ok(Self {
            source: source.clone(),
            split,
            selection: *selection,
            images: images.len(),
            shape: images.shape(),
            classes: data.dataset.classes.len(),
            hash: images.hash()?,
            preparation: data.preparation.clone(),
            assumptions: data.assumptions.clone(),
        })
    }
}
