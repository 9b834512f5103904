//! Points of the front that are looked at further: on images that the search never saw, with means put right, and
//! retrained. What was found is kept beside each network, so that a run which was stopped goes on.

use std::path::{Path, PathBuf};

use approx_experiment::data::{Augmentation, Images};
use approx_experiment::exploration::AssignableNetwork;
use approx_experiment::exploration::report::{ExplorationReport, ReportedPoint, Worth};
use approx_experiment::loader::ImageLoader;
use approx_experiment::training::{Optimizer, Phase, Trainable, TrainingData, fit};
use approx_explore::space::Space;
use approx_multiplier::{GradientRule, Multiplier};
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::classification::{Classification, Classifier, at_least_one};
use crate::commands::retrain::learning_rate;
use crate::error::CliError;
use crate::files::{read_json_if_there, write_json};
use crate::network::set_gradient;
use crate::run_folder::TRAINING;

/// Which points are chosen, and how they are retrained.
#[derive(Debug, clap::Args)]
pub struct ChosenArgs {
    /// Choose the point of least energy that loses at most so many points of accuracy; may be given several times [default:
    /// 0.6 and 1]
    #[arg(long, value_name = "POINTS", value_parser = not_negative, allow_negative_numbers = true, help_heading = CHOSEN)]
    pub drop: Vec<f64>,

    /// Choose the most accurate point that takes at most this share of the baseline's energy; may be given several times
    #[arg(long, value_name = "SHARE", value_parser = not_negative, allow_negative_numbers = true, help_heading = CHOSEN)]
    pub energy: Vec<f64>,

    /// Choose all points
    #[arg(long, help_heading = CHOSEN)]
    pub all: bool,

    /// Retrain the chosen points for so many epochs
    #[arg(long, value_name = "EPOCHS", value_parser = at_least_one, help_heading = CHOSEN)]
    pub retrain: Option<usize>,

    /// The learning rate to begin with; it falls to zero along a cosine
    #[arg(long, value_name = "RATE", default_value_t = 1e-4, value_parser = learning_rate, help_heading = CHOSEN)]
    pub learning_rate: f64,

    /// How weights follow from gradients
    #[arg(long, value_enum, default_value_t, help_heading = CHOSEN)]
    pub optimizer: Optimizer,

    /// The derivative of the multipliers: straight_through, difference, difference:half_window=NUMBER, linear_regression, or
    /// custom for multipliers that bring tables of their own [default: as each multiplier says, else straight_through]
    #[arg(long, value_name = "RULE", help_heading = CHOSEN)]
    pub gradient: Option<GradientRule>,

    /// Do not vary training images; by default photographs are shifted and mirrored, drawings shifted
    #[arg(long, help_heading = CHOSEN)]
    pub no_augmentation: bool,
}

const CHOSEN: &str = "Which points are tested, and retrained";
/// The file beside a network that says what it is worth.
const WORTH: &str = "worth.json";
/// The folder of the networks of chosen points.
pub const NETWORKS: &str = "networks";

/// A number that is not below 0.
pub fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err(format!("`{text}` is no number of at least 0")),
    }
}

impl ChosenArgs {
    /// Whether what is asked for can be had, before anything is measured: an assignment of so little energy, and the
    /// derivatives of all multipliers.
    pub fn check(&self, space: &Space, multipliers: &[Multiplier]) -> Result<(), CliError> {
        if let Some(gradient) = self.gradient {
            let mut checks = multipliers
                .iter()
                .map(|multiplier| gradient.check(multiplier));
            checks
                .try_for_each(|check| check)
                .map_err(|error| CliError::Usage(error.to_string()))?;
        }
        let least = space.energy(&space.cheapest());
        match self.energy.iter().find(|energy| **energy < least) {
            Some(energy) => Err(CliError::Usage(format!(
                "no assignment takes at most {energy} of the baseline's energy; the least is {least:.4}: name cheaper \
                 multipliers, or allow more with --energy"
            ))),
            None => Ok(()),
        }
    }

    /// The numbers of the chosen points, in order: those asked for and the knee of the front.
    pub fn choose(&self, report: &ExplorationReport) -> Result<Vec<usize>, CliError> {
        let points = &report.points;
        if self.all {
            return Ok((0..points.len()).collect());
        }
        let number =
            |point: &ReportedPoint| points.iter().position(|other| std::ptr::eq(other, point));
        let mut chosen = Vec::new();
        let drops = match (self.drop.is_empty(), self.energy.is_empty()) {
            (true, true) => &[0.6, 1.0][..],
            _ => &self.drop,
        };
        for drop in drops {
            let point = report.within(*drop).ok_or_else(|| {
                CliError::Usage(format!(
                    "no point of the front loses at most {drop} points of accuracy: allow more with --drop"
                ))
            })?;
            chosen.extend(number(point));
        }
        for energy in &self.energy {
            let affordable = points.iter().filter(|point| point.energy <= *energy);
            let accuracy = |point: &&ReportedPoint| point.worth.validation_accuracy.unwrap_or(0.0);
            let best = affordable.max_by(|one, other| accuracy(one).total_cmp(&accuracy(other)));
            let best = best.ok_or_else(|| {
                let least = points.iter().map(|point| point.energy).fold(f64::INFINITY, f64::min);
                CliError::Usage(format!(
                    "no point of the front takes at most {energy} of the baseline's energy; the least is {least:.4}: allow \
                     more with --energy, or less accurate points with --depth"
                ))
            })?;
            chosen.extend(number(best));
        }
        chosen.extend(knee(points));
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }
}

/// The point that lies farthest from the line between the ends of the front: where less energy begins to cost more.
fn knee(points: &[ReportedPoint]) -> Option<usize> {
    let place =
        |point: &ReportedPoint| Some((point.energy, point.worth.validation_accuracy? / 100.0));
    let (first, last) = (place(points.first()?)?, place(points.last()?)?);
    let above = |point: &ReportedPoint| {
        let (energy, accuracy) = place(point)?;
        Some((last.0 - first.0) * (accuracy - first.1) - (last.1 - first.1) * (energy - first.0))
    };
    let heights = points.iter().enumerate();
    let heights = heights.filter_map(|(number, point)| Some((number, above(point)?)));
    heights
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(number, _)| number)
}

/// What is known of a chosen network, and what it rests on.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    /// Everything that determines the network before it is retrained.
    search: serde_json::Value,
    /// How it is retrained, or was.
    retraining: Option<serde_json::Value>,
    #[serde(flatten)]
    worth: Worth,
}

impl Known {
    /// Says it of the point whose network has this name.
    fn tell(&self, name: &str, point: &mut ReportedPoint) {
        let Worth {
            test_accuracy,
            corrected_accuracy,
            retrained_accuracy,
            ..
        } = self.worth;
        point.worth = Worth {
            test_accuracy,
            corrected_accuracy,
            retrained_accuracy,
            ..point.worth
        };
        point.network = Some(format!("{NETWORKS}/{name}"));
    }
}

/// Looks at chosen points.
pub struct Trial<'a> {
    pub args: &'a ChosenArgs,
    pub classification: &'a Classification<'a>,
    /// The network on the exact multiplier.
    pub exact: &'a Classifier,
    /// Images that the search never saw, and those that the network is retrained on and watched with.
    pub test: &'a ImageLoader,
    pub train: &'a Images,
    pub validation: &'a Images,
    /// Training images to put means right on.
    pub calibration: ImageLoader,
    pub batch_size: usize,
    pub seed: u64,
    /// What decides the network before it is retrained.
    pub settings: serde_json::Value,
    pub folder: PathBuf,
}

impl Trial<'_> {
    /// Finds out what the network of a point is worth; `name` is the same whenever the assignment is.
    pub fn run(
        &self,
        name: &str,
        network: Classifier,
        point: &mut ReportedPoint,
    ) -> Result<(), CliError> {
        let folder = self.folder.join(NETWORKS).join(name);
        let path = folder.join(WORTH);
        let mut known = self.known(&folder)?;
        if known.worth.test_accuracy.is_none() {
            known.worth.test_accuracy = Some(self.measure("test", &network)?);
            write_json(&path, &known)?;
        }
        let epochs = self
            .args
            .retrain
            .filter(|_| known.worth.retrained_accuracy.is_none());
        let is_corrected = known.worth.corrected_accuracy.is_some();
        if !is_corrected || epochs.is_some() {
            let corrected = self.with_means_put_right(network)?;
            if !is_corrected {
                self.classification.save(&corrected, &folder)?;
                known.worth.corrected_accuracy = Some(self.measure("means put right", &corrected)?);
                write_json(&path, &known)?;
            }
            if let Some(epochs) = epochs {
                let retrained = self.retrain(corrected, epochs, &folder)?;
                self.classification.save(&retrained, &folder)?;
                known.worth.retrained_accuracy = Some(self.measure("retrained", &retrained)?);
                write_json(&path, &known)?;
            }
        }
        known.tell(name, point);
        Ok(())
    }

    /// What earlier runs have found out of a network, if they have.
    pub fn recall(&self, name: &str, point: &mut ReportedPoint) -> Result<(), CliError> {
        if let Some(known) = self.stored(&self.folder.join(NETWORKS).join(name).join(WORTH))? {
            known.tell(name, point);
        }
        Ok(())
    }

    /// What is known of a network in this search.
    fn stored(&self, path: &Path) -> Result<Option<Known>, CliError> {
        let stored = read_json_if_there::<Known>(path)?;
        Ok(stored.filter(|known| known.search == self.settings))
    }

    /// What an earlier run has found out of a network, as far as it still holds.
    fn known(&self, folder: &Path) -> Result<Known, CliError> {
        std::fs::create_dir_all(folder).map_err(|error| CliError::file(folder, error))?;
        let path = folder.join(WORTH);
        let mut known = self.stored(&path)?.unwrap_or(Known {
            search: self.settings.clone(),
            retraining: None,
            worth: Worth::default(),
        });
        let retraining = self.retraining();
        // Who asks for no training leaves that of an earlier run as it is.
        if retraining.is_some() && known.retraining != retraining {
            // Checkpoints of another training are none of this one.
            let training = folder.join(TRAINING);
            match std::fs::remove_dir_all(&training) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CliError::file(&training, error));
                }
                _ => {}
            }
            known.retraining = retraining;
            known.worth.retrained_accuracy = None;
        }
        write_json(&path, &known)?;
        Ok(known)
    }

    /// A network with the means of the exact one, or as it is where that loses less on the training images which means are
    /// put right on: an error that is in proportion to what it disturbs does less harm than its mean would suggest.
    fn with_means_put_right(&self, network: Classifier) -> Result<Classifier, CliError> {
        let images = self.calibration.batches().map(|batch| Ok(batch?.images));
        let images: Vec<Tensor<4>> = images.collect::<Result<_, CliError>>()?;
        let corrected = network.with_means_of(self.exact, &images)?;
        let loss = |network: &Classifier| -> Result<f64, CliError> {
            let measured = self
                .classification
                .measure("means", network, &self.calibration)?;
            Ok(measured.loss.unwrap_or(f64::INFINITY))
        };
        Ok(match loss(&corrected)? <= loss(&network)? {
            true => corrected,
            false => network,
        })
    }

    fn measure(&self, name: &str, network: &Classifier) -> Result<f64, CliError> {
        Ok(self.classification.measure(name, network, self.test)?.top1)
    }

    fn retrain(
        &self,
        network: Classifier,
        epochs: usize,
        folder: &Path,
    ) -> Result<Classifier, CliError> {
        if let Some(gradient) = self.args.gradient {
            set_gradient(&network, gradient)?;
        }
        let data = &self.classification.data;
        let training = TrainingData::new(
            [self.train, self.validation],
            &data.normalisation(),
            self.augmentation(),
            self.batch_size,
            self.seed,
            std::slice::from_ref(&self.classification.device),
        );
        let phase = Phase {
            name: "retraining",
            directory: folder.join(TRAINING),
            epochs,
            learning_rate: self.args.learning_rate,
            optimizer: self.args.optimizer,
            resume: true,
        };
        let network = Trainable::new(network.train());
        let (network, _) = fit(network, &training, &phase, self.classification.display)?;
        Ok(network.network)
    }

    fn augmentation(&self) -> Augmentation {
        match self.args.no_augmentation {
            true => Augmentation::NONE,
            false => self.classification.data.dataset.augmentation,
        }
    }

    /// Everything that determines how a network is retrained.
    fn retraining(&self) -> Option<serde_json::Value> {
        let args = self.args;
        args.retrain.map(|epochs| {
            serde_json::json!({
                "epochs": epochs,
                "learning_rate": args.learning_rate,
                "optimizer": args.optimizer,
                "gradient": args.gradient.map(|gradient| gradient.to_string()),
                "augmentation": format!("{:?}", self.augmentation()),
                "batch_size": self.batch_size,
            })
        })
    }
}
