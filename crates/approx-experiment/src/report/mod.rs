//! What a network is worth on several multipliers: as JSON, as CSV, as a table, and as a plot of accuracy over power.
//! `summary` says what a report is about, `table` and `picture` show it, `front` finds the multipliers that no other
//! beats. `retraining` is the other report: what a network was before it was retrained on a multiplier, and after.
//! `stages` is the table of a network's accuracies one after the other, and `curve` the picture.

mod curve;
mod front;
mod picture;
mod retraining;
mod stages;
mod summary;
mod table;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::curve::{AccuracyCurve, Curve};
pub use self::retraining::RetrainingReport;
pub use self::stages::Stages;
pub use self::summary::{
    DataSummary, FileCodesUse, FileSummary, MultiplierSummary, NetworkSummary, RangeSummary,
};
use crate::device::DeviceKind;
use crate::evaluation::Evaluation;
use crate::files::write_atomically;
use crate::plot::{self, PlotError};

/// What a network's layers multiplied with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Floating point: the network as it was given.
    Float,
    /// Quantised operands, and exact products.
    Quantized,
    /// A multiplier.
    Multiplier(MultiplierSummary),
    /// What a configuration says, by its name: several multipliers, perhaps.
    Configuration(String),
}

impl Subject {
    /// What it is called in tables and plots.
    pub fn label(&self) -> &str {
        match self {
            Self::Float => "float",
            Self::Quantized => "quantised, exact products",
            Self::Multiplier(multiplier) => &multiplier.name,
            Self::Configuration(name) => name,
        }
    }

    /// The power of one multiplier in milliwatts, if it is known.
    pub fn power_mw(&self) -> Option<f64> {
        match self {
            Self::Multiplier(multiplier) => multiplier.power_mw(),
            Self::Float | Self::Quantized | Self::Configuration(_) => None,
        }
    }
}

/// What a network is worth on one multiplier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationResult {
    /// What its layers multiplied with.
    pub subject: Subject,
    /// What its outputs are worth.
    pub evaluation: Evaluation,
}

/// What a network is worth on several multipliers, on the same images. As text it is a table, sorted by power.
///
/// ```
/// use approx_experiment::data::{DataSource, ReadOptions, Selection, Split};
/// use approx_experiment::evaluation::Evaluation;
/// use approx_experiment::report::{
///     DataSummary, EvaluationReport, EvaluationResult, FileCodesUse, MultiplierSummary, NetworkSummary, RangeSummary, Subject,
/// };
///
/// let data = DataSource::DIGITS.read(&ReadOptions::default())?;
/// let selection = Selection::default();
/// let images = data.dataset.select(Split::Test, &selection)?;
/// let mut report = EvaluationReport {
///     version: env!("CARGO_PKG_VERSION").into(),
///     network: NetworkSummary::of_files("mine".into(), &[])?,
///     data: DataSummary::of(&DataSource::DIGITS, &data, Split::Test, &selection, &images)?,
///     ranges: RangeSummary { file_codes: FileCodesUse::None, images: 512, seed: 1 },
///     device: Default::default(),
///     results: Vec::new(),
/// };
/// let multiplier = approx_multiplier::evoapprox::multiplier("mul8s_1L2J")?;
/// report.results.push(EvaluationResult {
///     subject: Subject::Multiplier(MultiplierSummary::of(&multiplier)),
///     evaluation: Evaluation { images: 360, top1: 97.5, top5: 100.0, loss: Some(0.1), seconds: 0.5 },
/// });
/// assert!(report.to_string().contains("0.301")); // milliwatts
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// The version of the program that measured.
    pub version: String,
    /// The network.
    pub network: NetworkSummary,
    /// The images.
    pub data: DataSummary,
    /// Where the ranges of codes come from.
    pub ranges: RangeSummary,
    /// Where it was computed.
    pub device: DeviceKind,
    /// What was measured, in the order in which it was.
    pub results: Vec<EvaluationResult>,
}

impl EvaluationReport {
    /// The evaluation in floating point, if there is one.
    pub fn float(&self) -> Option<&Evaluation> {
        self.of(&Subject::Float)
    }

    /// The evaluation with exact products of quantised operands, if there is one.
    pub fn quantized(&self) -> Option<&Evaluation> {
        self.of(&Subject::Quantized)
    }

    fn of(&self, subject: &Subject) -> Option<&Evaluation> {
        let mut results = self.results.iter();
        let found = results.find(|result| result.subject == *subject)?;
        Some(&found.evaluation)
    }

    /// The results as tables show them: float first, then quantised, then by increasing power, and at the end those
    /// whose power is not known.
    pub fn sorted(&self) -> Vec<&EvaluationResult> {
        let mut sorted: Vec<&EvaluationResult> = self.results.iter().collect();
        let rank = |subject: &Subject| match (subject, subject.power_mw()) {
            (Subject::Float, _) => (0, 0.0),
            (Subject::Quantized, _) => (1, 0.0),
            (_, Some(power)) => (2, power),
            (_, None) => (3, 0.0),
        };
        sorted.sort_by(|left, right| {
            let (left, right) = (rank(&left.subject), rank(&right.subject));
            left.0.cmp(&right.0).then(left.1.total_cmp(&right.1))
        });
        sorted
    }

    /// One line for every result, sorted as in the table, under a line of names.
    pub fn csv(&self) -> String {
        let mut lines = vec!["network,hash,power_mw,images,top1,top5,loss,seconds".to_owned()];
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for EvaluationResult {
            subject,
            evaluation,
        } in self.sorted()
        {
            let hash = match subject {
                Subject::Multiplier(multiplier) => &*multiplier.hash,
                _ => "",
            };
            lines.push(format!(
                "{},{hash},{},{},{},{},{},{}",
                quoted(subject.label()),
                number(subject.power_mw()),
                evaluation.images,
                evaluation.top1,
                evaluation.top5,
                number(evaluation.loss),
                evaluation.seconds
            ));
        }
        lines.join("\n") + "\n"
    }

    /// Writes the report to a file, as JSON.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn save_json(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write_atomically(path, text.as_bytes())
    }

    /// Writes the results to a file, as CSV.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn save_csv(&self, path: &Path) -> std::io::Result<()> {
        write_atomically(path, self.csv().as_bytes())
    }

    /// Writes a plot of accuracy over power to an SVG file, with those that no other beats in both connected by a line.
    /// Results whose power is not known are left out.
    ///
    /// # Errors
    ///
    /// What cannot be drawn, or a file that cannot be written.
    pub fn save_plot(&self, path: &Path) -> Result<(), PlotError> {
        plot::save(self, path)
    }
}

/// A text as a field of a line of CSV: names of families of multipliers have commas.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
pub(crate) mod tests {
    use approx_multiplier::HardwareFigures;

    use super::*;
    use crate::data::{DataSource, Preparation, Selection, Split};

    /// A network in float, quantised, and on three multipliers, of which one's power is not known.
    pub(crate) fn example() -> EvaluationReport {
        let result = |subject, top1| EvaluationResult {
            subject,
            evaluation: Evaluation {
                images: 360,
                top1,
                top5: 99.5,
                loss: (top1 > 10.0).then_some(0.25),
                seconds: 0.125,
            },
        };
        let multiplier = |name: &str, power: Option<f64>| {
            let hardware = HardwareFigures {
                power_mw: power,
                ..HardwareFigures::new("45 nm")
            };
            Subject::Multiplier(MultiplierSummary {
                name: name.into(),
                hash: "00".into(),
                hardware: Some(hardware),
            })
        };
        EvaluationReport {
            version: "0.0.0".into(),
            network: NetworkSummary {
                name: "mine.onnx".into(),
                files: Vec::new(),
            },
            ranges: RangeSummary {
                file_codes: FileCodesUse::None,
                images: 512,
                seed: 1,
            },
            data: DataSummary {
                source: DataSource::DIGITS,
                split: Split::Test,
                selection: Selection::default(),
                images: 360,
                shape: [1, 16, 16],
                classes: 10,
                hash: "00".into(),
                preparation: Preparation {
                    resize: None,
                    crop: None,
                    whole: 255.0,
                    mean: vec![0.25],
                    std: vec![0.5],
                },
                assumptions: vec![crate::data::Assumption::MeasuredNormalisation],
            },
            device: DeviceKind::Cpu,
            results: vec![
                result(multiplier("unknown:a=1,b=2", None), 50.0),
                result(Subject::Float, 98.0),
                result(multiplier("costly", Some(0.4)), 97.0),
                result(multiplier("cheap", Some(0.1)), 9.0),
                result(multiplier("beaten", Some(0.5)), 96.0),
                result(Subject::Quantized, 97.5),
            ],
        }
    }

    #[test]
    fn json_round_trips() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.json");
        let report = example();
        report.save_json(&path).unwrap();
        let read: EvaluationReport = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(read, report);
    }

    #[test]
    fn lines_are_sorted_by_power() {
        let expected = "\
network,hash,power_mw,images,top1,top5,loss,seconds
\"float\",,,360,98,99.5,0.25,0.125
\"quantised, exact products\",,,360,97.5,99.5,0.25,0.125
\"cheap\",00,0.1,360,9,99.5,,0.125
\"costly\",00,0.4,360,97,99.5,0.25,0.125
\"beaten\",00,0.5,360,96,99.5,0.25,0.125
\"unknown:a=1,b=2\",00,,360,50,99.5,0.25,0.125
";
        assert_eq!(example().csv(), expected);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.csv");
        example().save_csv(&path).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
    }
}
