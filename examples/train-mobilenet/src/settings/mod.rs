//! What determines a run's result, and the file that keeps it for a resumption. `choose` decides between the command
//! line and that file.

mod choose;
mod error;

use std::path::{Path, PathBuf};

use approx_experiment::files::write_atomically;
use approx_multiplier::{ContentHash, GradientRule, MultiplierSource};
use serde::{Deserialize, Serialize};

use self::choose::Chooser;
pub use self::error::SettingsError;
use crate::args::{Args, DatasetKind};

/// The file in a run's directory that says what the run is.
const FILE: &str = "run.json";

const IMAGE_SIZE: usize = 64;
const MULTIPLIER: &str = "mul8s_1L2L";
const WIDTH: f64 = 0.25;
const BATCH_SIZE: usize = 64;
const LEARNING_RATE: f64 = 0.006;
const RETRAIN_LEARNING_RATE: f64 = 0.001;
const SEED: u64 = 1;

impl DatasetKind {
    /// Epochs of training and of retraining, if none are asked for.
    fn epochs(self) -> [usize; 2] {
        match self {
            Self::Digits => [10, 4],
            Self::Mnist => [3, 1],
            Self::Cifar10 | Self::Folder => [30, 3],
        }
    }
}

/// What determines a run's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The data set.
    pub dataset: DatasetKind,
    /// Where it is, if it does not come with the program. May differ in a resumption: data can move.
    pub data: Option<PathBuf>,
    /// Height and width that a folder's images are scaled to.
    pub image_size: usize,
    /// The multiplier.
    pub multiplier: MultiplierSource,
    /// What the multiplier computes, so that a table that changed on the way is noticed.
    pub multiplier_hash: ContentHash,
    /// The derivative of the multiplier that retraining uses.
    #[serde(default)]
    pub gradient: GradientRule,
    /// The layers that become approximate; all if there is no pattern.
    pub layers: Vec<String>,
    /// MobileNetV2's width multiplier.
    pub width: f64,
    /// Epochs of training in floating point.
    pub epochs: usize,
    /// Epochs of retraining.
    pub retrain_epochs: usize,
    /// Images per batch.
    pub batch_size: usize,
    /// Learning rate at the beginning of training.
    pub learning_rate: f64,
    /// Learning rate at the beginning of retraining.
    pub retrain_learning_rate: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Settings {
    /// Works out a run's settings: from the command line, or, to resume, from the run's directory.
    ///
    /// # Errors
    ///
    /// Values out of range, options that contradict the run to be resumed, or no such run.
    pub fn resolve(args: &Args) -> Result<Self, SettingsError> {
        let stored = if args.resume {
            Some(Self::load(&args.output)?)
        } else {
            None
        };
        let chooser = Chooser {
            directory: &args.output,
            stored: stored.as_ref(),
        };
        let dataset = chooser.choose(
            "--dataset",
            args.dataset,
            |s| &s.dataset,
            args.dataset.unwrap_or_default(),
        )?;
        let data = match &args.data {
            Some(path) => {
                Some(std::path::absolute(path).map_err(|_| SettingsError::DataNeeded { dataset })?)
            }
            None => stored.as_ref().and_then(|stored| stored.data.clone()),
        };
        match (dataset, &data) {
            (DatasetKind::Digits, Some(path)) => {
                return Err(SettingsError::DataNotUsed { path: path.clone() });
            }
            (DatasetKind::Digits, None) | (_, Some(_)) => {}
            (dataset, None) => return Err(SettingsError::DataNeeded { dataset }),
        }
        let multiplier = chooser.choose(
            "--multiplier",
            args.multiplier.clone(),
            |s| &s.multiplier,
            MULTIPLIER.parse()?,
        )?;
        let multiplier_hash = multiplier.resolve()?.hash();
        if let Some(stored) = &stored
            && stored.multiplier_hash != multiplier_hash
        {
            return Err(SettingsError::MultiplierChanged {
                directory: args.output.clone(),
                was: stored.multiplier_hash,
                is: multiplier_hash,
            });
        }
        let layers = Some(args.layers.clone()).filter(|layers| !layers.is_empty());
        let [epochs, retrain_epochs] = dataset.epochs();
        let settings = Self {
            dataset,
            data,
            image_size: chooser.choose(
                "--image-size",
                args.image_size,
                |s| &s.image_size,
                IMAGE_SIZE,
            )?,
            multiplier,
            multiplier_hash,
            gradient: chooser.choose(
                "--gradient",
                args.gradient,
                |s| &s.gradient,
                GradientRule::default(),
            )?,
            layers: chooser.choose("--layers", layers, |s| &s.layers, Vec::new())?,
            width: chooser.choose("--width", args.width, |s| &s.width, WIDTH)?,
            epochs: chooser.choose("--epochs", args.epochs, |s| &s.epochs, epochs)?,
            retrain_epochs: chooser.choose(
                "--retrain-epochs",
                args.retrain_epochs,
                |s| &s.retrain_epochs,
                retrain_epochs,
            )?,
            batch_size: chooser.choose(
                "--batch-size",
                args.batch_size,
                |s| &s.batch_size,
                BATCH_SIZE,
            )?,
            learning_rate: chooser.choose(
                "--learning-rate",
                args.learning_rate,
                |s| &s.learning_rate,
                LEARNING_RATE,
            )?,
            retrain_learning_rate: chooser.choose(
                "--retrain-learning-rate",
                args.retrain_learning_rate,
                |s| &s.retrain_learning_rate,
                RETRAIN_LEARNING_RATE,
            )?,
            seed: chooser.choose("--seed", args.seed, |s| &s.seed, SEED)?,
        };
        settings.check(args.devices.unwrap_or(1))?;
        Ok(settings)
    }

    fn check(&self, devices: usize) -> Result<(), SettingsError> {
        let check = |option, fine: bool, value: String, expected| {
            if fine {
                Ok(())
            } else {
                Err(SettingsError::Range {
                    option,
                    value,
                    expected,
                })
            }
        };
        let whole = |option, value: usize, least: usize, expected| {
            check(option, value >= least, value.to_string(), expected)
        };
        whole("--epochs", self.epochs, 1, "at least 1")?;
        whole("--devices", devices, 1, "at least 1")?;
        whole(
            "--batch-size",
            self.batch_size,
            devices.saturating_mul(2),
            "at least 2 for every device, for batch normalisation",
        )?;
        whole("--image-size", self.image_size, 8, "at least 8")?;
        let fine = self.width.is_finite() && self.width > 0.0;
        check(
            "--width",
            fine,
            self.width.to_string(),
            "a finite number above 0",
        )?;
        for (option, rate) in [
            ("--learning-rate", self.learning_rate),
            ("--retrain-learning-rate", self.retrain_learning_rate),
        ] {
            let fine = rate > 0.0 && rate <= 1.0;
            check(option, fine, rate.to_string(), "above 0 and at most 1")?;
        }
        Ok(())
    }

    /// Whether a run was begun in a directory.
    pub fn exist_in(directory: &Path) -> bool {
        directory.join(FILE).exists()
    }

    /// Writes the settings into a run's directory, which must exist.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), SettingsError> {
        let path = directory.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::from);
        text.and_then(|text| write_atomically(&path, text.as_bytes()))
            .map_err(|source| SettingsError::Write { path, source })
    }

    fn load(directory: &Path) -> Result<Self, SettingsError> {
        let path = directory.join(FILE);
        let error = |reason: String| SettingsError::NothingToResume {
            directory: directory.into(),
            reason: format!("{}: {reason}", path.display()),
        };
        let text = std::fs::read_to_string(&path).map_err(|source| error(source.to_string()))?;
        serde_json::from_str(&text).map_err(|source| error(source.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_directory(directory: &Path) -> Args {
        Args {
            output: directory.into(),
            ..Args::default()
        }
    }

    #[test]
    fn a_resumed_run_keeps_its_settings() {
        let directory = tempfile::tempdir().unwrap();
        let fresh = Args {
            epochs: Some(7),
            multiplier: Some("mul8s_1KVP".parse().unwrap()),
            layers: vec!["head.**".into()],
            ..in_directory(directory.path())
        };
        let settings = Settings::resolve(&fresh).unwrap();
        assert!(!Settings::exist_in(directory.path()));
        settings.save(directory.path()).unwrap();
        assert!(Settings::exist_in(directory.path()));

        let resumed = Args {
            resume: true,
            ..in_directory(directory.path())
        };
        assert_eq!(Settings::resolve(&resumed).unwrap(), settings);
        let same = Args {
            epochs: Some(7),
            ..resumed.clone()
        };
        assert_eq!(Settings::resolve(&same).unwrap(), settings);
        let other = Args {
            epochs: Some(8),
            ..resumed
        };
        assert!(matches!(
            Settings::resolve(&other),
            Err(SettingsError::Conflict {
                option: "--epochs",
                ..
            })
        ));
    }

    #[test]
    fn the_data_may_have_moved() {
        let directory = tempfile::tempdir().unwrap();
        let fresh = Args {
            dataset: Some(DatasetKind::Mnist),
            data: Some("/data/old".into()),
            ..in_directory(directory.path())
        };
        let settings = Settings::resolve(&fresh).unwrap();
        settings.save(directory.path()).unwrap();
        let resumed = Args {
            resume: true,
            ..in_directory(directory.path())
        };
        assert_eq!(Settings::resolve(&resumed).unwrap(), settings);
        let moved = Args {
            data: Some("/data/new".into()),
            ..resumed
        };
        let moved = Settings::resolve(&moved).unwrap();
        assert_eq!(moved.data.as_deref(), Some(Path::new("/data/new")));
    }

    #[test]
    fn resuming_needs_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let resumed = Args {
            resume: true,
            ..in_directory(directory.path())
        };
        assert!(matches!(
            Settings::resolve(&resumed),
            Err(SettingsError::NothingToResume { .. })
        ));
        std::fs::write(directory.path().join(FILE), "{\"dataset\": \"dig").unwrap();
        assert!(matches!(
            Settings::resolve(&resumed),
            Err(SettingsError::NothingToResume { .. })
        ));
    }

    #[test]
    fn values_out_of_range_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let wrong = |change: fn(&mut Args)| {
            let mut args = in_directory(directory.path());
            change(&mut args);
            Settings::resolve(&args).unwrap_err().to_string()
        };
        assert_eq!(
            wrong(|args| args.batch_size = Some(1)),
            "--batch-size is 1; it must be at least 2 for every device, for batch normalisation"
        );
        assert!(wrong(|args| args.devices = Some(0)).starts_with("--devices is 0"));
        assert!(wrong(|args| args.devices = Some(33)).starts_with("--batch-size is 64"));
        assert!(wrong(|args| args.epochs = Some(0)).contains("--epochs"));
        assert!(wrong(|args| args.width = Some(f64::NAN)).contains("--width"));
        assert!(wrong(|args| args.learning_rate = Some(1.5)).contains("--learning-rate"));
        assert!(wrong(|args| args.retrain_learning_rate = Some(0.0)).contains("--retrain"));
        assert!(wrong(|args| args.dataset = Some(DatasetKind::Mnist)).contains("--data DIR"));
        let error = wrong(|args| args.data = Some("here".into()));
        assert!(
            error.starts_with("--data") && error.contains("here"),
            "{error}"
        );
    }
}
