//! What was measured: kept as JSON after every run, and written as tables.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use approx_multiplier::GradientRule;
use serde::{Deserialize, Serialize};
use train_mobilenet::files::write_atomically;
use train_mobilenet::report::MultiplierSummary;

use crate::args::Args;
use crate::error::StudyError;

const FILE: &str = "results.json";

/// Settings that all runs share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the images are.
    pub data: PathBuf,
    /// Height and width of the images.
    pub image_size: usize,
    /// How many images there are to train on and to test on.
    pub images: [usize; 2],
    /// The weights to begin with.
    pub weights: Option<PathBuf>,
    /// Epochs of training in floating point.
    pub float_epochs: usize,
    /// Epochs of retraining.
    pub epochs: usize,
    /// Images per batch.
    pub batch_size: usize,
    /// Learning rate at the beginning of every epoch.
    pub learning_rate: f64,
}

/// Accuracies of the network in floating point, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Float {
    /// With the weights given.
    pub before: f64,
    /// After its training.
    pub after: f64,
}

/// One retraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The gradient.
    pub gradient: GradientRule,
    /// The seed.
    pub seed: u64,
    /// Accuracy after every epoch, in per cent.
    pub accuracy: Vec<f64>,
    /// How long it took, with measuring.
    pub seconds: f64,
}

/// A multiplier and its retrainings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The multiplier.
    pub multiplier: MultiplierSummary,
    /// Accuracy before retraining, in per cent.
    pub before: f64,
    /// The retrainings.
    pub runs: Vec<Run>,
}

impl Subject {
    /// The run with a gradient and a seed, if it was made.
    pub fn run(&self, gradient: GradientRule, seed: u64) -> Option<&Run> {
        let is_it = |run: &&Run| run.gradient == gradient && run.seed == seed;
        self.runs.iter().find(is_it)
    }

    /// The accuracies of all seeds after an epoch, counted from 1, with every gradient.
    pub fn after(&self, epoch: usize) -> BTreeMap<GradientRule, Vec<f64>> {
        let mut found: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for run in &self.runs {
            found
                .entry(run.gradient)
                .or_default()
                .push(run.accuracy[epoch - 1]);
        }
        found
    }
}

/// Everything that a study has measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The settings.
    pub settings: Settings,
    /// The network in floating point.
    pub float: Option<Float>,
    /// The same with quantised operands and exact products, in per cent.
    pub quantized: Option<f64>,
    /// The multipliers.
    pub subjects: Vec<Subject>,
}

impl Results {
    /// The results in a study's output directory, or empty ones.
    ///
    /// # Errors
    /// Results that cannot be read, or that were measured with other settings.
    pub fn in_directory(args: &Args, images: [usize; 2]) -> Result<Self, StudyError> {
        let settings = Settings {
            data: args.data.clone(),
            image_size: args.image_size,
            images,
            weights: args.weights.clone(),
            float_epochs: args.float_epochs,
            epochs: args.epochs,
            batch_size: args.batch_size,
            learning_rate: args.learning_rate,
        };
        let path = args.output.join(FILE);
        if !path.exists() {
            return Ok(Self {
                settings,
                float: None,
                quantized: None,
                subjects: Vec::new(),
            });
        }
        let text = std::fs::read_to_string(&path);
        let results: Self = text
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
            .map_err(|reason| StudyError::Unreadable {
                path: path.clone(),
                reason,
            })?;
        match results.settings.difference(&settings) {
            None => Ok(results),
            Some(difference) => Err(StudyError::OtherSettings { path, difference }),
        }
    }

    /// Writes the results and their tables.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), StudyError> {
        let json = serde_json::to_string_pretty(self).expect("numbers and names");
        for (name, content) in [
            (FILE, json),
            ("accuracy.csv", self.csv()),
            ("accuracy.md", self.to_string()),
        ] {
            let path = directory.join(name);
            write_atomically(&path, content.as_bytes())
                .map_err(|error| StudyError::output(&path, error))?;
        }
        Ok(())
    }

    /// One line for every accuracy measured.
    fn csv(&self) -> String {
        let mut lines = vec!["multiplier,gradient,seed,epoch,accuracy".to_owned()];
        for subject in &self.subjects {
            let name = &subject.multiplier.name;
            lines.push(format!("{name},,,0,{}", subject.before));
            for run in &subject.runs {
                for (epoch, accuracy) in run.accuracy.iter().enumerate() {
                    let (gradient, seed) = (run.gradient, run.seed);
                    lines.push(format!("{name},{gradient},{seed},{},{accuracy}", epoch + 1));
                }
            }
        }
        lines.join("\n") + "\n"
    }

    /// The epochs that tables and plots show: the first and the last.
    pub fn epochs_shown(&self) -> Vec<usize> {
        let mut epochs = vec![1, self.settings.epochs];
        epochs.dedup();
        epochs
    }

    /// The gradients of all runs, in order.
    pub fn gradients(&self) -> Vec<GradientRule> {
        let runs = self.subjects.iter().flat_map(|subject| &subject.runs);
        let mut gradients: Vec<GradientRule> = runs.map(|run| run.gradient).collect();
        gradients.sort();
        gradients.dedup();
        gradients
    }
}

impl Settings {
    /// What is not as in others, in words.
    fn difference(&self, other: &Self) -> Option<String> {
        let value = |settings: &Self| serde_json::to_value(settings).expect("numbers and names");
        let (own, others) = (value(self), value(other));
        let pairs = own.as_object()?.iter();
        let other = |name: &str| others[name].clone();
        let mut different = pairs.filter(|(name, value)| **value != other(name));
        different
            .next()
            .map(|(name, value)| format!("{name} was {value}, is {}", other(name)))
    }
}

/// A table in Markdown: a line for every multiplier; for every gradient and epoch shown, the mean of the seeds and, after
/// `±`, half the distance between the best and the worst.
impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Float { before, after }) = self.float {
            write!(f, "Float: {before:.2} % as given, {after:.2} % trained.")?;
        }
        if let Some(quantized) = self.quantized {
            write!(f, " Quantised, exact products: {quantized:.2} %.")?;
        }
        let gradients = self.gradients();
        let (mut head, mut rule) = ("| multiplier | before |".to_owned(), "|---|---|".to_owned());
        for epoch in self.epochs_shown() {
            for gradient in &gradients {
                head += &format!(
                    " {epoch} epoch{}, `{gradient}` |",
                    if epoch == 1 { "" } else { "s" }
                );
                rule += "---|";
            }
        }
        write!(f, "\n\n{head}\n{rule}")?;
        for subject in &self.subjects {
            write!(
                f,
                "\n| {} | {:.2} |",
                subject.multiplier.name, subject.before
            )?;
            for epoch in self.epochs_shown() {
                let after = subject.after(epoch);
                for gradient in &gradients {
                    match after.get(gradient) {
                        Some(accuracies) => write!(f, " {} |", spread(accuracies))?,
                        None => write!(f, " |")?,
                    }
                }
            }
        }
        writeln!(f)
    }
}

/// The mean, with half the distance between the extremes.
fn spread(accuracies: &[f64]) -> String {
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    let [low, high] = extremes(accuracies);
    match accuracies.len() {
        1 => format!("{mean:.2}"),
        _ => format!("{mean:.2} ± {:.2}", (high - low) / 2.0),
    }
}

/// The smallest and the largest of some accuracies.
pub fn extremes(accuracies: &[f64]) -> [f64; 2] {
    let low = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
    let high = accuracies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [low, high]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Two multipliers, of which the second has one run.
    pub(crate) fn example() -> Results {
        let summary = |name: &str| MultiplierSummary {
            name: name.into(),
            hash: "00".into(),
            hardware: None,
        };
        let run = |gradient, seed, accuracy: [f64; 2]| Run {
            gradient,
            seed,
            accuracy: accuracy.to_vec(),
            seconds: 1.0,
        };
        let (straight, line) = (
            GradientRule::StraightThrough,
            GradientRule::LinearRegression,
        );
        Results {
            settings: Settings {
                data: "images".into(),
                image_size: 32,
                images: [100, 20],
                weights: None,
                float_epochs: 1,
                epochs: 2,
                batch_size: 16,
                learning_rate: 0.01,
            },
            float: Some(Float {
                before: 80.0,
                after: 85.5,
            }),
            quantized: Some(85.25),
            subjects: vec![
                Subject {
                    multiplier: summary("mild"),
                    before: 70.0,
                    runs: vec![
                        run(straight, 1, [80.0, 82.0]),
                        run(straight, 2, [81.0, 83.0]),
                        run(line, 1, [80.5, 84.0]),
                    ],
                },
                Subject {
                    multiplier: summary("wild"),
                    before: 10.0,
                    runs: vec![run(line, 1, [30.0, 50.0])],
                },
            ],
        }
    }

    #[test]
    fn a_table_has_means_and_spreads() {
        let expected = "\
Float: 80.00 % as given, 85.50 % trained. Quantised, exact products: 85.25 %.

| multiplier | before | 1 epoch, `straight_through` | 1 epoch, `linear_regression` | 2 epochs, `straight_through` | 2 epochs, `linear_regression` |
|---|---|---|---|---|---|
| mild | 70.00 | 80.50 ± 0.50 | 80.50 | 82.50 ± 0.50 | 84.00 |
| wild | 10.00 | | 30.00 | | 50.00 |
";
        assert_eq!(example().to_string(), expected);
        assert_eq!(example().csv().lines().count(), 1 + 2 + 4 * 2);
        assert!(
            example()
                .csv()
                .contains("\nmild,linear_regression,1,2,84\n")
        );
    }

    #[test]
    fn other_settings_are_named() {
        let settings = example().settings;
        let mut other = settings.clone();
        assert_eq!(settings.difference(&other), None);
        other.epochs = 7;
        assert_eq!(settings.difference(&other).unwrap(), "epochs was 2, is 7");
    }
}
