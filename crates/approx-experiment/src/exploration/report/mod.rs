//! What an exploration found: as JSON, as a table, as pictures and as a page that can be pointed at.

mod front;
mod map;
mod page;
mod table;

use std::path::Path;

use burn_approx::ApproxConfig;
use serde::{Deserialize, Serialize};

use crate::files::write_atomically;
use crate::plot::{self, PlotError};
use crate::report::{DataSummary, NetworkSummary, RangeSummary};

/// The layout of the JSON, for whoever reads it.
pub const FORMAT: u32 = 1;

/// What an exploration found. Energies are relative to the exact multiplier of the baseline, accuracies in per cent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplorationReport {
    /// The layout of this report.
    pub format: u32,
    /// The version of the program.
    pub version: String,
    /// The network.
    pub network: NetworkSummary,
    /// The images.
    pub data: ExploredData,
    /// Where the ranges of codes come from.
    pub ranges: RangeSummary,
    /// How assignments were searched for.
    pub method: String,
    /// Everything else that determines the result.
    pub settings: serde_json::Value,
    /// What multiplications take.
    pub energy: EnergySummary,
    /// The layers that were assigned multipliers, in the order of the network.
    pub layers: Vec<ReportedLayer>,
    /// The multipliers, the exact one first.
    pub multipliers: Vec<ReportedMultiplier>,
    /// The network in floating point.
    pub float: Worth,
    /// The network with the exact multiplier in every layer.
    pub baseline: ReportedPoint,
    /// The front: assignments that no other found beats on the validation images, by increasing energy.
    pub points: Vec<ReportedPoint>,
    /// One multiplier in every layer that may have it.
    pub uniform: Vec<UniformPoint>,
    /// What each change of a single layer costs.
    pub sensitivities: Vec<ReportedSensitivity>,
    /// How well what was predicted orders those changes.
    pub correlation: Correlation,
    /// How many images were measured in all, one assignment each.
    pub measured_images: u64,
    /// How long it took, in seconds; what an earlier run had measured is not counted.
    pub seconds: f64,
}

/// The images of an exploration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExploredData {
    /// The data set.
    pub name: String,
    /// How many images the search was held on.
    pub validation_images: usize,
    /// How many images the search never saw, if there were any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test_images: Option<usize>,
    /// The images of the search.
    pub validation: DataSummary,
}

/// What energies rest on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergySummary {
    /// The multiplier whose energy is 1.
    pub baseline: String,
    /// What was assumed, in sentences.
    pub assumptions: Vec<String>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportedLayer {
    /// Its path in the network.
    pub path: String,
    /// Its kind.
    pub kind: String,
    /// How many products it computes for one image.
    pub multiplications: u64,
    /// Its share in all multiplications.
    pub share: f64,
}

/// A multiplier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportedMultiplier {
    /// Its name.
    pub name: String,
    /// The hash of what it computes.
    pub hash: String,
    /// What a multiplication takes.
    pub energy: f64,
}

/// What a network is worth, as far as it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Worth {
    /// On the images of the search.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_accuracy: Option<f64>,
    /// The mean cross-entropy on the images of the search; none if an output was not finite.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_loss: Option<f64>,
    /// On images that the search never saw.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test_accuracy: Option<f64>,
    /// On those, once the means of outputs are put right without training.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrected_accuracy: Option<f64>,
    /// On those, after retraining.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retrained_accuracy: Option<f64>,
}

/// An assignment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportedPoint {
    /// What all multiplications take.
    pub energy: f64,
    /// What the network is worth.
    #[serde(flatten)]
    pub worth: Worth,
    /// The multiplier of every layer, by name.
    pub multipliers: Vec<String>,
    /// The assignment as a configuration.
    pub config: ApproxConfig,
    /// The folder of the network with its means put right, or retrained, beside the report.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub network: Option<String>,
}

/// One multiplier in every layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UniformPoint {
    /// The multiplier.
    pub multiplier: String,
    /// What all multiplications take.
    pub energy: f64,
    /// On the images of the search.
    pub validation_accuracy: f64,
}

/// The cost of a change of a single layer, or of layers that are bound together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportedSensitivity {
    /// The layer.
    pub layer: String,
    /// The multiplier.
    pub multiplier: String,
    /// The increase of the mean loss, measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measured_loss: Option<f64>,
    /// The change of accuracy in points, measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub measured_accuracy: Option<f64>,
    /// The increase of the mean loss, predicted from gradients and exact errors.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub predicted_loss: Option<f64>,
    /// The increase of the mean loss, predicted from gradients and the distribution of codes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub population_loss: Option<f64>,
}

/// Spearman's rank correlation of predicted with measured losses.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Correlation {
    /// Of those from exact errors.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub predicted: Option<f64>,
    /// Of those from the distribution of codes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub population: Option<f64>,
}

impl ExplorationReport {
    /// Writes everything as JSON.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn save_json(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write_atomically(path, text.as_bytes())
    }

    /// Draws accuracy over energy: the front before and after retraining, and single multipliers in all layers.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn save_front(&self, path: &Path) -> Result<(), PlotError> {
        plot::save(&front::FrontPicture(self), path)
    }

    /// Draws what each layer loses on each multiplier, with the cells of one assignment marked.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn save_map(&self, chosen: Option<&ReportedPoint>, path: &Path) -> Result<(), PlotError> {
        plot::save(&map::SensitivityMap::new(self, chosen), path)
    }

    /// Writes a page that needs no network: whoever points at a dot of the front sees its layers.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn save_page(&self, path: &Path) -> std::io::Result<()> {
        write_atomically(path, page::page(self)?.as_bytes())
    }

    /// The point of the front that takes least energy and loses at most `drop` points of accuracy on the validation images
    /// against the exact multiplier.
    pub fn within(&self, drop: f64) -> Option<&ReportedPoint> {
        let least = self.baseline.worth.validation_accuracy? - drop;
        let accurate = |point: &&ReportedPoint| {
            let accuracy = point.worth.validation_accuracy;
            accuracy.is_some_and(|accuracy| accuracy >= least - 1e-9)
        };
        let points = self.points.iter().filter(accurate);
        points.min_by(|one, other| one.energy.total_cmp(&other.energy))
    }
}
