//! What a network was worth before it was retrained on multipliers, and after.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{AccuracyCurve, Curve, DataSummary, NetworkSummary, RangeSummary, Stages, Subject};
use crate::device::DeviceKind;
use crate::evaluation::Evaluation;
use crate::files::write_atomically;
use crate::plot::{self, PlotError};
use crate::training::EpochMetrics;

/// What a network was worth before it was retrained, and after, on the same images. As text it is a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrainingReport {
    /// The version of the program that trained.
    pub version: String,
    /// The network as it was given.
    pub network: NetworkSummary,
    /// What its layers multiply with.
    pub subject: Subject,
    /// The images that accuracy was measured on.
    pub data: DataSummary,
    /// The images that it was trained on.
    pub training_data: DataSummary,
    /// Where the ranges of codes come from.
    pub ranges: RangeSummary,
    /// Where it was computed.
    pub device: DeviceKind,
    /// How it was trained, as asked for.
    pub settings: serde_json::Value,
    /// The network as it was given, in floating point.
    pub float: Evaluation,
    /// With quantised operands and exact products.
    pub quantized: Evaluation,
    /// On its multipliers, before retraining.
    pub approximate: Evaluation,
    /// On its multipliers, after retraining.
    pub retrained: Evaluation,
    /// Every epoch.
    pub epochs: Vec<EpochMetrics>,
    /// Whether the training was stopped and resumed at least once.
    pub resumed: bool,
    /// Wall-clock seconds of the process that finished it.
    pub seconds: f64,
}

impl RetrainingReport {
    /// Writes the report to a file, as JSON.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn save_json(&self, path: &Path) -> std::io::Result<()> {
        write_atomically(path, serde_json::to_string_pretty(self)?.as_bytes())
    }

    /// Draws accuracy over epochs into an SVG file.
    ///
    /// # Errors
    ///
    /// What cannot be drawn, or a file that cannot be written.
    pub fn save_plot(&self, path: &Path) -> Result<(), PlotError> {
        plot::save(&self.curve(), path)
    }

    /// Accuracy over epochs.
    pub fn curve(&self) -> AccuracyCurve {
        let levels = [
            ("float", self.float),
            ("quantised", self.quantized),
            ("approximate, before retraining", self.approximate),
        ];
        let epochs = self.epochs.iter();
        let after = epochs.map(|epoch| (epoch.epoch as f64, epoch.test_accuracy));
        AccuracyCurve {
            caption: format!(
                "{} on {}, {}",
                self.network.name,
                self.data.source,
                self.subject.label()
            ),
            epochs: self.epochs.last().map_or(0.0, |epoch| epoch.epoch as f64),
            levels: levels
                .map(|(label, evaluation)| (label.to_string(), evaluation.top1))
                .to_vec(),
            curves: vec![Curve {
                label: "retraining".into(),
                points: [(0.0, self.approximate.top1)]
                    .into_iter()
                    .chain(after)
                    .collect(),
            }],
        }
    }
}

impl fmt::Display for RetrainingReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.subject.label();
        let stages = Stages::new("float", self.float.top1)
            .with("quantised, exact products", self.quantized.top1)
            .with(format!("approximate ({name})"), self.approximate.top1)
            .with(
                format!("approximate ({name}), retrained"),
                self.retrained.top1,
            );
        let [channels, height, width] = self.data.shape;
        writeln!(
            f,
            "{} on {}: {} training and {} {} images of {channels} x {height} x {width}, {}",
            self.network.name,
            self.data.source,
            self.training_data.images,
            self.data.images,
            self.data.split,
            self.data.preparation
        )?;
        write!(f, "{stages}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example as evaluation;
    use super::*;

    /// A network that was retrained for one epoch.
    fn example() -> RetrainingReport {
        let report = evaluation();
        let of = |top1| Evaluation {
            top1,
            ..report.results[0].evaluation
        };
        RetrainingReport {
            version: report.version.clone(),
            network: report.network.clone(),
            subject: Subject::Configuration("mixed.json".into()),
            data: report.data.clone(),
            training_data: report.data.clone(),
            ranges: report.ranges,
            device: report.device,
            settings: serde_json::json!({ "epochs": 1 }),
            float: of(98.0),
            quantized: of(97.5),
            approximate: of(61.25),
            retrained: of(96.0),
            epochs: vec![EpochMetrics {
                epoch: 1,
                train_loss: 0.5,
                train_accuracy: 90.0,
                test_loss: 0.4,
                test_accuracy: 96.0,
            }],
            resumed: false,
            seconds: 1.5,
        }
    }

    #[test]
    fn it_is_shown_as_a_table_a_picture_and_json() {
        let report = example();
        let text = report.to_string();
        for part in ["98.00 %", "-36.75", "mixed.json), retrained", "-2.00"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let picture = plot::svg(&report.curve()).unwrap();
        // Before and after.
        assert_eq!(picture.matches("<circle").count(), 2);
        assert!(picture.contains("before retraining: 61.25 %"));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        report.save_json(&path).unwrap();
        let read: RetrainingReport = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(read, report);
    }
}
