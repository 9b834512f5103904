//! What determines a retraining's result: kept in its folder, so that a resumed run is the same one.

use std::path::Path;

use approx_experiment::data::Augmentation;
use approx_experiment::report::{DataSummary, NetworkSummary};
use serde_json::{Map, Value, json};

use super::Args;
use crate::error::CliError;
use crate::files::{read_json, write_json};
use crate::network::Chosen;

/// The settings by their names.
pub struct Settings(Map<String, Value>);

impl Settings {
    /// The settings of the command line, with the hashes of what it names.
    pub fn new(
        args: &Args,
        network: &NetworkSummary,
        chosen: &Chosen,
        training_data: &DataSummary,
        augmentation: Augmentation,
    ) -> Result<Self, CliError> {
        let hashes: Vec<_> = network.files.iter().map(|file| &file.sha256).collect();
        let images = &args.images;
        // A configuration or a saved network may have gradients of its own.
        let gradient = match chosen {
            Chosen::Multiplier(_) => Some(args.gradient.unwrap_or_default()),
            _ => args.gradient,
        };
        let value = json!({
            "network": hashes,
            "multiplier": chosen.content()?,
            "data": training_data.hash,
            "preparation": training_data.preparation,
            "validation": images.validation,
            "limit": args.limit,
            "calibration": images.calibration,
            "shift_codes": images.quantizers.shift_codes,
            "recalibrate": images.quantizers.recalibrate,
            "epochs": args.epochs,
            "batch_size": images.batch_size,
            "learning_rate": args.learning_rate,
            "optimizer": args.optimizer,
            "gradient": gradient,
            "augmentation": { "shift": augmentation.shift, "mirror": augmentation.mirror },
            "seed": images.seed,
        });
        match value {
            Value::Object(settings) => Ok(Self(settings)),
            _ => unreachable!("an object was written"),
        }
    }

    /// Refuses to go on with a run of other settings.
    pub fn check(&self, path: &Path) -> Result<(), CliError> {
        let stored: Map<String, Value> = read_json(path)?;
        let others = self.0.iter().filter_map(|(name, now)| {
            let before = stored.get(name).unwrap_or(&Value::Null);
            (before != now).then(|| match (before, now) {
                (Value::Object(_) | Value::Array(_), _)
                | (_, Value::Object(_) | Value::Array(_)) => {
                    format!("{name} is another")
                }
                _ => format!("{name} was {before} and is {now}"),
            })
        });
        let others: Vec<String> = others.collect();
        match others.is_empty() {
            true => Ok(()),
            false => Err(CliError::Usage(format!(
                "the run in `{}` has other settings: {}",
                path.parent().unwrap_or(path).display(),
                others.join(", ")
            ))),
        }
    }

    /// Writes them.
    pub fn save(&self, path: &Path) -> Result<(), CliError> {
        let folder = path.parent().unwrap_or(path);
        std::fs::create_dir_all(folder).map_err(|error| CliError::file(folder, error))?;
        write_json(path, &self.0)
    }

    /// As a report has them.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}
