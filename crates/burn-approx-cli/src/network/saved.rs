//! A network that is kept in a folder: what it is (`network.json`, and `network.onnx` for the graph of a file), and its
//! weights, multipliers and quantisers as [`burn_approx::save`] writes them.
//!
//! The weights in `network.onnx` are those that the network was first saved with; those that count are the others.

use std::path::{Path, PathBuf};

use approx_experiment::data::Preparation;
use approx_experiment::files::write_atomically;
use approx_models::ClassifierConfig;
use approx_onnx::OnnxModel;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::Declared;
use super::any_model::AnyModel;
use super::source::ModelSource;
use crate::error::CliError;

const MANIFEST: &str = "network.json";
const GRAPH: &str = "network.onnx";
const GRAPH_DATA: &str = "network.onnx.data";
/// What makes a folder a model for [`burn_approx::load`]; it is written last.
const APPROXIMATION: &str = "approximation.json";
const FORMAT: u32 = 1;

/// What a folder holds.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    network: Kind,
    /// The sizes of the inputs that it was recorded with, each without its batch.
    sizes: Vec<Vec<usize>>,
    /// How the images were prepared that its ranges were found on.
    preparation: Preparation,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The graph of a file beside this one.
    Onnx,
    /// One of the architectures that come with the program.
    Architecture {
        config: ClassifierConfig,
        in_channels: usize,
        image_size: [usize; 2],
    },
}

/// Writes what a network is, so that a folder can hold it; its weights are to follow.
pub fn begin(
    folder: &Path,
    model: &AnyModel,
    kind: &Kind,
    sizes: Vec<Vec<usize>>,
    preparation: &Preparation,
) -> Result<(), CliError> {
    std::fs::create_dir_all(folder).map_err(|error| CliError::file(folder, error))?;
    if let AnyModel::Onnx(model) = model {
        model.save(folder.join(GRAPH))?;
    }
    let manifest = Manifest {
        format: FORMAT,
        network: kind.clone(),
        sizes,
        preparation: preparation.clone(),
    };
    let path = folder.join(MANIFEST);
    let text =
        serde_json::to_string_pretty(&manifest).map_err(|error| CliError::file(&path, error))?;
    write_atomically(&path, text.as_bytes()).map_err(|error| CliError::file(&path, error))
}

/// Reads what a folder's network is. Its weights are not what it was saved with yet: [`burn_approx::load`] reads them into
/// the recorded network.
pub fn read(folder: &Path, device: &Device) -> Result<(AnyModel, Kind, Declared), CliError> {
    let path = folder.join(MANIFEST);
    let text = std::fs::read_to_string(&path).map_err(|error| CliError::file(&path, error))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| CliError::file(&path, error))?;
    if manifest.format != FORMAT {
        return Err(CliError::file(
            &path,
            format!(
                "format {} is not known; this version reads format {FORMAT}",
                manifest.format
            ),
        ));
    }
    let (model, mut declared) = match &manifest.network {
        Kind::Onnx => {
            let model = OnnxModel::load(folder.join(GRAPH), device)?;
            let declared = Declared::of_file(&model);
            (AnyModel::Onnx(model), declared)
        }
        Kind::Architecture {
            config,
            in_channels,
            image_size,
        } => {
            let model = config.try_init(device);
            let model = model.map_err(|error| CliError::file(&path, error))?;
            let declared = Declared::of_images(*in_channels, config.classes(), *image_size);
            (model.into(), declared)
        }
    };
    if declared.inputs.len() != manifest.sizes.len() {
        return Err(CliError::file(
            &path,
            format!(
                "it has sizes of {} inputs, and the network {}",
                manifest.sizes.len(),
                declared.inputs.len()
            ),
        ));
    }
    for (input, sizes) in declared.inputs.iter_mut().zip(&manifest.sizes) {
        let sizes = sizes.iter().map(|size| Some(*size));
        input.shape = Some([None].into_iter().chain(sizes).collect());
    }
    declared.preparation = Some(manifest.preparation);
    Ok((model, manifest.network, declared))
}

impl ModelSource {
    /// Whether a folder holds a network that this program has saved.
    pub fn is_saved(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file() && folder.join(APPROXIMATION).is_file()
    }

    /// The files of a folder that a network is kept in.
    pub fn saved_files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                let is_weights = name.starts_with("weights-") && name.ends_with(".bpk");
                is_weights || matches!(name, MANIFEST | GRAPH | GRAPH_DATA | APPROXIMATION)
            })
            .collect();
        files.sort();
        files
    }

    /// The folder that holds the network's weights and multipliers, if it was saved by this program.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Saved(folder) => Some(folder),
            _ => None,
        }
    }
}
