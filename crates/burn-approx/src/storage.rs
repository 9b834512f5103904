//! Saving and loading converted models, and moving records between converted and plain ones.
//!
//! A model directory holds `approximation.json` (the configuration, with every multiplier by name and content hash or
//! with its table inline) and the weights with the quantisation state in Burn's own format, in a file that the JSON
//! names. Saving writes the weights under a new name first and then replaces the JSON in one step, so that the
//! directory is the old model or the new one at every moment.

use std::fs;
use std::path::{Path, PathBuf};

use approx_multiplier::MultiplierSource;
use burn::module::Module;
use burn::store::{ModuleRecord, RecordError};
use serde::{Deserialize, Serialize};

use crate::convert::{ApproxConfig, ApproxLayer, LayerRule, approx_layers, convert};
use crate::error::ApproxError;

/// The file that makes a directory a model.
const MANIFEST: &str = "approximation.json";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    weights: String,
    config: ApproxConfig,
}

/// The configuration that gives an unconverted model of the same type the settings of this one.
///
/// # Errors
/// [`ApproxError::NothingToConvert`] if no layer is converted.
pub fn configuration<M: Module>(model: &M) -> Result<ApproxConfig, ApproxError> {
    let layers = approx_layers(model);
    let converted = layers.iter().find_map(ApproxLayer::settings);
    let Some(first) = converted else {
        return Err(ApproxError::NothingToConvert { plain: Vec::new() });
    };
    let mut config = ApproxConfig::for_multiplier(first.multiplier());
    for layer in &layers {
        let rule = LayerRule::path(layer.path());
        config.rules.push(match layer.settings() {
            None => rule.with_exclude(true),
            Some(settings) => {
                let multiplier = MultiplierSource::describe(settings.multiplier());
                LayerRule {
                    multiplier: (multiplier != config.multiplier).then_some(multiplier),
                    htp_model: settings
                        .htp_model
                        .as_ref()
                        .map(|model| MultiplierSource::describe(model.multiplier())),
                    mode: Some(settings.mode),
                    noise: Some(settings.noise),
                    plan: Some(settings.plan),
                    gradient: Some(settings.gradient),
                    quantization: Some(settings.quantization),
                    ..rule
                }
            }
        });
    }
    Ok(config)
}

/// Saves a converted model into a directory: weights, quantisation state, and the configuration.
///
/// # Errors
/// If no layer is converted or a file cannot be written; a model saved there before is then still whole.
pub fn save<M: Module>(model: &M, directory: impl AsRef<Path>) -> Result<(), ApproxError> {
    let directory = directory.as_ref();
    let config = configuration(model)?;
    fs::create_dir_all(directory).map_err(file_error("writing", directory))?;
    let generation = weight_files(directory)?
        .into_iter()
        .map(|(generation, _)| generation)
        .max()
        .map_or(1, |g| g + 1);
    let weights = format!("weights-{generation}.bpk");
    let path = directory.join(&weights);
    let record = model.clone().into_record();
    record.save(&path).map_err(|source| ApproxError::Record {
        path: path.clone(),
        source,
    })?;
    let manifest = Manifest {
        format: FORMAT,
        weights,
        config,
    };
    let text = serde_json::to_string_pretty(&manifest).map_err(|error| ApproxError::Format {
        path: directory.join(MANIFEST),
        problem: error.to_string(),
    })?;
    let (temporary, target) = (
        directory.join(format!("{MANIFEST}.tmp")),
        directory.join(MANIFEST),
    );
    fs::write(&temporary, text).map_err(file_error("writing", &temporary))?;
    fs::rename(&temporary, &target).map_err(file_error("writing", &target))?;
    for (other, file) in weight_files(directory)? {
        if other != generation {
            fs::remove_file(&file).map_err(file_error("removing", &file))?;
        }
    }
    Ok(())
}

/// Loads a model that [`save`] wrote into a freshly made model of the same type, converted or not.
///
/// # Errors
/// Missing or damaged files, a multiplier whose content is not what it was when saved, or weights that do not fit.
pub fn load<M: Module>(model: M, directory: impl AsRef<Path>) -> Result<M, ApproxError> {
    let directory = directory.as_ref();
    let path = directory.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(file_error("reading", &path))?;
    let format = |problem: String| ApproxError::Format {
        path: path.clone(),
        problem,
    };
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| format(error.to_string()))?;
    if manifest.format != FORMAT {
        return Err(format(format!(
            "format {} is not known; this version reads format {FORMAT}",
            manifest.format
        )));
    }
    if Path::new(&manifest.weights)
        .file_name()
        .is_none_or(|name| name != manifest.weights.as_str())
    {
        return Err(format(format!(
            "weights `{}` must be a file name",
            manifest.weights
        )));
    }
    let (model, _) = convert(model, &manifest.config)?;
    let weights = directory.join(&manifest.weights);
    let mismatch = |source: RecordError| match source {
        RecordError::Validation(problem) => ApproxError::ModelMismatch {
            path: weights.clone(),
            problem,
        },
        source => ApproxError::Record {
            path: weights.clone(),
            source,
        },
    };
    ModuleRecord::load(&weights)
        .and_then(|record| model.try_load_record(record))
        .map_err(mismatch)
}

/// The weight files of a directory with their numbers.
fn weight_files(directory: &Path) -> Result<Vec<(u64, PathBuf)>, ApproxError> {
    let entries = fs::read_dir(directory).map_err(file_error("reading", directory))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(file_error("reading", directory))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let number = name
            .strip_prefix("weights-")
            .and_then(|name| name.strip_suffix(".bpk"));
        if let Some(generation) = number.and_then(|number| number.parse().ok()) {
            files.push((generation, path));
        }
    }
    Ok(files)
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ApproxError {
    let path = path.to_path_buf();
    move |source| ApproxError::File {
        action,
        path,
        source,
    }
}

/// The record of a model without its quantisation state: what Burn's own layers save, and load.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::convert::{ApproxConfig, convert};
/// use burn_approx::{nn::LinearConfig, plain_record};
///
/// let device = Device::default();
/// let (layer, _) = convert(LinearConfig::new(8, 4).init(&device), &ApproxConfig::bundled("mul8s_1L2J"))?;
/// let burns_own = burn::nn::LinearConfig::new(8, 4).init(&device).load_record(plain_record(&layer));
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn plain_record<M: Module>(model: &M) -> ModuleRecord {
    let plain = model.clone();
    for layer in &approx_layers(&plain) {
        layer.take_state();
    }
    plain.into_record()
}

/// Loads a record of Burn's own layers (or of [`plain_record`]) into a model, converted or not.
///
/// Settings stay. The quantisation state is forgotten, since it was observed with other weights: converted layers
/// refuse to run quantised until they are calibrated.
///
/// # Errors
/// Missing, unused or differently shaped tensors.
pub fn load_plain_record<M: Module>(model: M, record: ModuleRecord) -> Result<M, ApproxError> {
    let states: Vec<_> = approx_layers(&model)
        .iter()
        .map(ApproxLayer::take_state)
        .collect();
    let loaded = model
        .try_load_record(record)
        .map_err(|error| ApproxError::ModelMismatch {
            path: PathBuf::from("record"),
            problem: error.to_string(),
        })?;
    for (layer, state) in approx_layers(&loaded).iter().zip(states) {
        layer.put_state(state);
    }
    Ok(loaded)
}
