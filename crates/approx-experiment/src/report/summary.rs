//! What a report says of a multiplier and of images, so that whoever reads it can tell whether theirs are the same.

use approx_multiplier::{HardwareFigures, Multiplier};
use serde::{Deserialize, Serialize};

use crate::data::{
    Assumption, DataError, DataSource, Images, Preparation, PreparedData, Selection, Split,
};

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
