//! A network that is kept in a folder: what it is (`network.json`, and `network.onnx` for the graph of a file), and its
//! weights, multipliers and quantisers as [`burn_approx::save`] writes them.
//!
//! The weights in `network.onnx` are those that the network was first saved with; those that count are the others.

use std::path::{Path, PathBuf};

use approx_experiment::data::Preparation;
use approx_models::{ClassifierConfig, Pretrained};
use approx_onnx::OnnxModel;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::source::ModelSource;
use super::{Body, Declared};
use crate::error::CliError;
use crate::files::{read_json, write_json};

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

/// What kind of network it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
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
pub(super) fn begin(
    folder: &Path,
    body: &Body,
    sizes: Vec<Vec<usize>>,
    preparation: &Preparation,
) -> Result<(), CliError> {
    std::fs::create_dir_all(folder).map_err(|error| CliError::file(folder, error))?;
    let network = match body {
        Body::Graph(model) => {
            model.save(folder.join(GRAPH))?;
            Kind::Onnx
        }
        Body::Architecture(network) => Kind::Architecture {
            config: network.config.clone(),
            in_channels: network.in_channels,
            image_size: network.image_size,
        },
    };
    let manifest = Manifest {
        format: FORMAT,
        network,
        sizes,
        preparation: preparation.clone(),
    };
    write_json(&folder.join(MANIFEST), &manifest)
}

/// Reads what a folder's network is. Its weights are not what it was saved with yet: [`burn_approx::load`] reads them into
/// the recorded network.
pub(super) fn read(folder: &Path, device: &Device) -> Result<(Body, Declared), CliError> {
    let path = folder.join(MANIFEST);
    let manifest: Manifest = read_json(&path)?;
    if manifest.format != FORMAT {
        return Err(CliError::file(
            &path,
            format!(
                "format {} is not known; this version reads format {FORMAT}",
                manifest.format
            ),
        ));
    }
    let body = match manifest.network {
        Kind::Onnx => Body::Graph(OnnxModel::load(folder.join(GRAPH), device)?),
        Kind::Architecture {
            config,
            in_channels,
            image_size,
        } => {
            let model = config.try_init(device);
            Body::Architecture(Box::new(Pretrained {
                model: model.map_err(|error| CliError::file(&path, error))?,
                config,
                in_channels,
                image_size,
            }))
        }
    };
    let mut declared = body.declared();
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
    Ok((body, declared))
}

impl ModelSource {
    /// Whether a folder holds a network that this program has saved.
    pub fn is_saved(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file() && folder.join(APPROXIMATION).is_file()
    }

    /// Whether a file of this name is part of a network that is kept in a folder.
    pub fn is_part(name: &str) -> bool {
        let is_weights = name.starts_with("weights-") && name.ends_with(".bpk");
        is_weights || matches!(name, MANIFEST | GRAPH | GRAPH_DATA | APPROXIMATION)
    }

    /// The files of a folder that a network is kept in.
    pub fn saved_files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(Self::is_part)
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
