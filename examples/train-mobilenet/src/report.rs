//! What a run found: as `report.json`, and as a table.

use std::fmt;
use std::path::Path;

use approx_experiment::data::{DataError, Dataset, Split};
use approx_experiment::device::DeviceKind;
use approx_experiment::files::write_atomically;
use approx_experiment::report::{MultiplierSummary, Stages};
use approx_experiment::training::EpochMetrics;
use approx_multiplier::GradientRule;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// Everything that a run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was asked for.
    pub settings: Settings,
    /// Where it was computed.
    pub device: DeviceKind,
    /// How many devices of that kind trained together.
    pub devices: usize,
    /// The images.
    pub dataset: DatasetSummary,
    /// The multiplier.
    pub multiplier: MultiplierSummary,
    /// The paths of the layers that became approximate.
    pub layers: Vec<String>,
    /// Accuracy on the test images.
    pub accuracy: Accuracy,
    /// Every epoch of training in floating point.
    pub training: Vec<EpochMetrics>,
    /// Every epoch of retraining.
    pub retraining: Vec<EpochMetrics>,
    /// Whether the run was stopped and resumed at least once.
    pub resumed: bool,
    /// Wall-clock seconds of the process that finished the run.
    pub seconds: f64,
}

/// How many images there are, and of what shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// What the data set is called.
    pub name: String,
    /// The classes' names, by class number.
    pub classes: Vec<String>,
    /// Training images.
    pub train: usize,
    /// Test images.
    pub test: usize,
    /// Channels, height and width.
    pub shape: [usize; 3],
}

impl DatasetSummary {
    /// Describes a data set.
    ///
    /// # Errors
    ///
    /// A data set without images to train on, or none to test on.
    pub fn of(dataset: &Dataset) -> Result<Self, DataError> {
        Ok(Self {
            name: dataset.name.clone(),
            classes: dataset.classes.clone(),
            train: dataset.images(Split::Train)?.len(),
            test: dataset.images(Split::Test)?.len(),
            shape: dataset.shape(),
        })
    }
}

/// Accuracy on the test images, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Of the network trained in floating point.
    pub float: f64,
    /// Of the same network with quantised operands and exact products.
    pub quantized: f64,
    /// Of the same network on the approximate multiplier.
    pub approximate: f64,
    /// After retraining on the approximate multiplier; none if there was no retraining.
    pub retrained: Option<f64>,
}

impl Report {
    /// Writes the report to a file, as JSON.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write_atomically(path, text.as_bytes())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Accuracy {
            float,
            quantized,
            approximate,
            retrained,
        } = self.accuracy;
        let name = &self.multiplier.name;
        let mut stages = Stages::new("float", float)
            .with("quantised, exact products", quantized)
            .with(format!("approximate ({name})"), approximate);
        if let Some(retrained) = retrained {
            let label = match self.settings.gradient {
                GradientRule::StraightThrough => "retrained".to_string(),
                gradient => format!("retrained by {gradient}"),
            };
            stages = stages.with(format!("approximate ({name}), {label}"), retrained);
        }
        writeln!(
            formatter,
            "MobileNetV2 (width {}) on {}: {} training and {} test images, {} approximate layers",
            self.settings.width,
            self.dataset.name,
            self.dataset.train,
            self.dataset.test,
            self.layers.len()
        )?;
        write!(formatter, "{stages}")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::args::Args;

    /// A report of two epochs and one.
    pub(crate) fn example() -> Report {
        let epoch = |epoch: usize, accuracy: f64| EpochMetrics {
            epoch,
            train_loss: 1.0 / epoch as f64,
            train_accuracy: accuracy - 2.0,
            test_loss: 0.9 / epoch as f64,
            test_accuracy: accuracy,
        };
        let settings = Settings::resolve(&Args::default()).unwrap();
        Report {
            device: DeviceKind::Cpu,
            devices: 1,
            dataset: DatasetSummary {
                name: "digits".into(),
                classes: vec!["0".into(), "1".into()],
                train: 1437,
                test: 360,
                shape: [1, 16, 16],
            },
            multiplier: MultiplierSummary::of(&settings.multiplier.resolve().unwrap()),
            settings,
            layers: vec!["stem.conv".into()],
            accuracy: Accuracy {
                float: 98.0,
                quantized: 97.5,
                approximate: 61.25,
                retrained: Some(96.0),
            },
            training: vec![epoch(1, 60.0), epoch(2, 98.0)],
            retraining: vec![epoch(1, 96.0)],
            resumed: false,
            seconds: 1.5,
        }
    }

    #[test]
    fn json_round_trips() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        let report = example();
        report.save(&path).unwrap();
        let read: Report = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(read, report);
    }

    #[test]
    fn the_table_says_what_was_lost_and_won_back() {
        let text = example().to_string();
        for part in ["98.00 %", "61.25 %", "-36.75", "mul8s_1L2L", "retrained"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let mut without = example();
        without.accuracy.retrained = None;
        assert!(!without.to_string().contains("retrained"));
    }
}
