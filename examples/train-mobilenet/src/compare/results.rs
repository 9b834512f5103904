//! What was measured: kept as JSON after every run, and written as tables.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use approx_experiment::files::write_atomically;
use approx_experiment::report::{MultiplierSummary, quoted};
use approx_multiplier::{GradientRule, Multiplier, MultiplierSource};
use burn::data::dataloader::DataLoader;
use serde::{Deserialize, Serialize};

use super::args::Args;
use super::digest::digest;
use super::error::StudyError;
use super::images::Images;

const FILE: &str = "results.json";

/// Settings that all runs share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The digest of the images.
    pub data: String,
    /// Height and width of the images.
    pub image_size: usize,
    /// How many images there are to train on and to test on.
    pub images: [usize; 2],
    /// The digest of the file of weights to begin with.
    pub weights: Option<String>,
    /// Where in their file the weights are.
    pub weights_key: Option<String>,
    /// Epochs of training in floating point.
    pub float_epochs: usize,
    /// Epochs of retraining.
    pub epochs: usize,
    /// Images per batch.
    pub batch_size: usize,
    /// Learning rate at the beginning of every epoch.
    pub learning_rate: f64,
}

/// The network in floating point, and its accuracies in per cent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Float {
    /// With the weights given.
    pub before: f64,
    /// After its training.
    pub after: f64,
    /// The digest of its file.
    pub digest: String,
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
    /// What the multiplier was called on the command line.
    pub name: String,
    /// The multiplier.
    pub multiplier: MultiplierSummary,
    /// The digest of its gradient tables, which the summary leaves out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_tables: Option<String>,
    /// Accuracy with exact products of the multiplier's operands, in per cent.
    pub quantized: f64,
    /// Accuracy before retraining, in per cent.
    pub before: f64,
    /// The retrainings.
    pub runs: Vec<Run>,
}

impl Subject {
    /// A multiplier without retrainings, with its accuracies with exact products and its own.
    pub fn new(
        source: &MultiplierSource,
        multiplier: &Multiplier,
        [quantized, before]: [f64; 2],
    ) -> Self {
        Self {
            name: source.to_string(),
            quantized,
            multiplier: MultiplierSummary::of(multiplier),
            gradient_tables: digest_of_gradient(multiplier),
            before,
            runs: Vec::new(),
        }
    }

    /// Whether it is about this multiplier.
    pub fn is_of(&self, source: &MultiplierSource, multiplier: &Multiplier) -> bool {
        self.name == source.to_string()
            && self.multiplier == MultiplierSummary::of(multiplier)
            && self.gradient_tables == digest_of_gradient(multiplier)
    }

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

/// A digest of a multiplier's gradient tables, if it has some.
fn digest_of_gradient(multiplier: &Multiplier) -> Option<String> {
    let tables = multiplier.gradient_tables()?;
    let entries = tables.by_activation().iter().chain(tables.by_weight());
    Some(digest(entries.flat_map(|entry| entry.to_le_bytes())))
}

/// Everything that a study has measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// The settings.
    pub settings: Settings,
    /// The network in floating point.
    pub float: Option<Float>,
    /// The multipliers.
    pub subjects: Vec<Subject>,
}

impl Results {
    /// The results in a study's output directory, or empty ones.
    ///
    /// # Errors
    /// Results or weights that cannot be read, or results of other settings.
    pub fn in_directory(args: &Args, images: &Images) -> Result<Self, StudyError> {
        let weights = args.weights.as_ref().map(|path| {
            let bytes = std::fs::read(path).map_err(|error| StudyError::Unreadable {
                path: path.clone(),
                reason: error.to_string(),
            });
            bytes.map(digest)
        });
        let settings = Settings {
            data: images.digest.clone(),
            image_size: args.image_size,
            images: [images.train.num_items(), images.test.num_items()],
            weights: weights.transpose()?,
            weights_key: args.weights_key.clone(),
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
        if let Some(difference) = results.settings.difference(&settings) {
            return Err(StudyError::OtherSettings { path, difference });
        }
        let mut runs = results.subjects.iter().flat_map(|subject| &subject.runs);
        match runs.find(|run| run.accuracy.len() != args.epochs) {
            None => Ok(results),
            Some(run) => Err(StudyError::Unreadable {
                path,
                reason: format!(
                    "the run with {} and seed {} has {} accuracies; there must be {}, one for each epoch",
                    run.gradient,
                    run.seed,
                    run.accuracy.len(),
                    args.epochs
                ),
            }),
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
            let name = quoted(&subject.name);
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

/// A table in Markdown, of all runs in the directory: a line for every multiplier; for every gradient and epoch shown,
/// the mean of the seeds and, after `±`, half the distance between the best and the worst.
impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Float { before, after, .. }) = &self.float {
            write!(f, "Float: {before:.2} % as given, {after:.2} % trained.")?;
        }
        let gradients = self.gradients();
        let mut head = "| multiplier | exact products | before |".to_owned();
        let mut rule = "|---|---|---|".to_owned();
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
            let name = subject.name.replace('|', "\\|");
            let (quantized, before) = (subject.quantized, subject.before);
            write!(f, "\n| {name} | {quantized:.2} | {before:.2} |")?;
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
    use approx_multiplier::{GradientTables, OperandFormat};

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
                data: "00".into(),
                image_size: 32,
                images: [100, 20],
                weights: None,
                weights_key: None,
                float_epochs: 1,
                epochs: 2,
                batch_size: 16,
                learning_rate: 0.01,
            },
            float: Some(Float {
                before: 80.0,
                after: 85.5,
                digest: "00".into(),
            }),
            subjects: vec![
                Subject {
                    name: "mild".into(),
                    multiplier: summary("mild"),
                    quantized: 85.25,
                    gradient_tables: None,
                    before: 70.0,
                    runs: vec![
                        run(straight, 1, [80.0, 82.0]),
                        run(straight, 2, [81.0, 83.0]),
                        run(line, 1, [80.5, 84.0]),
                    ],
                },
                Subject {
                    name: "wild".into(),
                    multiplier: summary("wild"),
                    quantized: 85.25,
                    gradient_tables: None,
                    before: 10.0,
                    runs: vec![run(line, 1, [30.0, 50.0])],
                },
            ],
        }
    }

    #[test]
    fn a_table_has_means_and_spreads() {
        let expected = "\
Float: 80.00 % as given, 85.50 % trained.

| multiplier | exact products | before | 1 epoch, `straight_through` | 1 epoch, `linear_regression` | 2 epochs, `straight_through` | 2 epochs, `linear_regression` |
|---|---|---|---|---|---|---|
| mild | 85.25 | 70.00 | 80.50 ± 0.50 | 80.50 | 82.50 ± 0.50 | 84.00 |
| wild | 85.25 | 10.00 | | 30.00 | | 50.00 |
";
        assert_eq!(example().to_string(), expected);
        assert_eq!(example().csv().lines().count(), 1 + 2 + 4 * 2);
        assert!(
            example()
                .csv()
                .contains("\n\"mild\",linear_regression,1,2,84\n")
        );
    }

    /// Two multipliers that compute the same and are trained otherwise are two.
    #[test]
    fn gradient_tables_are_part_of_a_subject() {
        let format = OperandFormat::INT8;
        let exact = Multiplier::exact(format, format);
        let with_slope = |slope: f64| {
            let by = |_: i32, b: i32| slope * f64::from(b);
            let tables = GradientTables::from_fn(format, format, by, |a, _| f64::from(a));
            exact.with_gradient_tables(tables.unwrap()).unwrap()
        };
        let [one, two] = [1.0, 2.0].map(with_slope);
        let source = MultiplierSource::Inline(one.clone());
        let subject = Subject::new(&source, &one, [60.0, 50.0]);
        let is_of = |multiplier| subject.is_of(&source, multiplier);
        assert!(is_of(&one) && !is_of(&two) && !is_of(&exact));
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
