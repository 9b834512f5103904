//! Loads torchvision's pretrained weights: a `state_dict` in a `.pth` or a `.safetensors` file.
//!
//! The file's names are translated to the network's (`features.1.conv.0.0.weight` is `blocks.0.depthwise.conv.weight`),
//! fully connected weights are transposed, and the normalisations' `weight` and `bias` become `gamma` and `beta`. The
//! prefix `module.`, which `torch.nn.DataParallel` gives to all names, is left out.
//! Loading is strict: a tensor that is missing, left over or of another shape is an error that names it. Only the
//! counters `num_batches_tracked`, for which Burn has no use, are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{
    ApplyError, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter,
    PytorchStore, SafetensorsStore,
};
use burn::tensor::DType;

use crate::classifier::Classifier;
use crate::lenet::LeNet5;
use crate::mobilenet::MobileNetV2;
use crate::resnet::ResNet;

/// A network whose parameters have names in torchvision.
pub trait TorchvisionNames {
    /// The path, in this network, of the tensor that torchvision calls `key`; `None` for a name that torchvision does
    /// not give. Normalisations keep torchvision's `weight` and `bias` at the end.
    fn path_of(&self, key: &str) -> Option<String>;

    /// The fully connected layer to the logits, in torchvision's names (`classifier.1.`).
    fn classifier_prefix(&self) -> &'static str;
}

/// What stands before every name of a model that was wrapped for several devices.
const WRAPPER: &str = "module.";

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The network's tensors that were set, by path, in order.
    pub loaded: Vec<String>,
    /// The file's tensors that were left out on purpose: batch counters, and the classifier where it was asked for.
    pub left_out: Vec<String>,
}

/// Why a file's weights could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file's name ends in neither `.pth` nor `.safetensors`.
    #[error(
        "{path}: the file's kind is not known by its name; it should end in .pth, .pt, .th or .safetensors"
    )]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened.
    #[error("{path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is not a state dict, or is damaged.
    #[error("{path}: not a readable state dict: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        reason: String,
    },
    /// The network has tensors that the file lacks.
    #[error("{path}: {} missing: {}", count(.names, "tensor is", "tensors are"), list(.names))]
    Missing {
        /// The file.
        path: PathBuf,
        /// The network's tensors that got no value, by path.
        names: Vec<String>,
    },
    /// The file has tensors that the network lacks.
    #[error("{path}: {} not in this network: {}", count(.names, "tensor is", "tensors are"), list(.names))]
    Unused {
        /// The file.
        path: PathBuf,
        /// The file's names of them.
        names: Vec<String>,
    },
    /// A tensor has another shape in the file than in the network.
    #[error("{path}: {name} has shape {found:?}; the network's {target} needs {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// The tensor's path in the network.
        target: String,
        /// The shape that the network needs, in Burn's layout.
        expected: Vec<usize>,
        /// The shape that the file's tensor has, in Burn's layout.
        found: Vec<usize>,
    },
    /// A tensor's values cannot be read, or are not numbers of the kind that the network needs.
    #[error("{path}: {name} cannot be loaded: {reason}")]
    Values {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn count(names: &[String], one: &str, many: &str) -> String {
    format!(
        "{} {}",
        names.len(),
        if names.len() == 1 { one } else { many }
    )
}

/// The first names; a network of another width has hundreds.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A tensor of a file, and what the file calls it.
struct StoredUnder {
    key: String,
    tensor: StoredTensor,
}

/// How a state dict is loaded. [`load_torchvision`] is this with everything left at its default.
#[derive(Debug, Clone, Default)]
pub struct TorchvisionLoader {
    top_level_key: Option<String>,
    keep_classifier: bool,
}

impl TorchvisionLoader {
    /// A loader that takes every tensor of a plain state dict.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the state dict from under a key of the `.pth` file: `model` in the checkpoints of torchvision's own
    /// training script. A `.safetensors` file has no such keys, and none is looked for.
    pub fn with_top_level_key(mut self, key: impl Into<String>) -> Self {
        self.top_level_key = Some(key.into());
        self
    }

    /// Keeps the network's own last layer and leaves the file's out, to go on training for other classes.
    pub fn keep_classifier(mut self) -> Self {
        self.keep_classifier = true;
        self
    }

    /// Loads the file at `path` into `model`.
    ///
    /// # Errors
    ///
    /// See [`LoadError`]; the model given is then lost.
    pub fn load<M: Module + TorchvisionNames>(
        &self,
        mut model: M,
        path: impl AsRef<Path>,
    ) -> Result<(M, Report), LoadError> {
        let path = path.as_ref();
        let mut left_out = Vec::new();
        let mut unused = Vec::new();
        // Where in the file each of the network's tensors comes from, under the name that the adapter looks for.
        let mut sources = BTreeMap::new();
        let mut tensors = Vec::new();
        let classifier = classifier_paths(&model);
        for (name, StoredUnder { key, mut tensor }) in self.read_unwrapped(path)? {
            let target = model.path_of(&name);
            // Whatever stands in the classifier's place, a head of several layers for instance.
            let of_classifier = name.starts_with(model.classifier_prefix())
                || target
                    .as_ref()
                    .is_some_and(|path| classifier.contains(path));
            if name.ends_with(".num_batches_tracked") || (self.keep_classifier && of_classifier) {
                left_out.push(key);
            } else if let Some(target) = target {
                tensor.name.clone_from(&target);
                tensors.push(tensor);
                sources.insert(target, key);
            } else {
                unused.push(key);
            }
        }

        let dtype = float_dtype(&model);
        let result = model.apply(
            tensors,
            None,
            Some(Box::new(
                PyTorchToBurnAdapter.chain(FloatCastAdapter::to(dtype)),
            )),
            true,
        );
        let source_of = |target: &str| -> String {
            let renamed = target
                .strip_suffix(".gamma")
                .map(|norm| format!("{norm}.weight"))
                .or_else(|| {
                    target
                        .strip_suffix(".beta")
                        .map(|norm| format!("{norm}.bias"))
                });
            [Some(target), renamed.as_deref()]
                .into_iter()
                .flatten()
                .find_map(|name| sources.get(name))
                .cloned()
                .unwrap_or_else(|| target.into())
        };

        if let Some(error) = result.errors.into_iter().next() {
            return Err(match error {
                ApplyError::ShapeMismatch {
                    path: target,
                    expected,
                    found,
                } => LoadError::Shape {
                    path: path.into(),
                    name: source_of(&target),
                    target,
                    expected: expected.to_vec(),
                    found: found.to_vec(),
                },
                ApplyError::DTypeMismatch {
                    path: target,
                    expected,
                    found,
                } => LoadError::Values {
                    path: path.into(),
                    name: source_of(&target),
                    reason: format!("its elements are {found:?}; {expected:?} is needed"),
                },
                ApplyError::AdapterError {
                    path: target,
                    message,
                }
                | ApplyError::LoadError {
                    path: target,
                    message,
                } => LoadError::Values {
                    path: path.into(),
                    name: source_of(&target),
                    reason: message,
                },
            });
        }
        unused.extend(result.unused.iter().map(|target| source_of(target)));
        if !unused.is_empty() {
            unused.sort_unstable();
            return Err(LoadError::Unused {
                path: path.into(),
                names: unused,
            });
        }
        let kept = |target: &str| self.keep_classifier && classifier.contains(target);
        let missing: Vec<String> = result
            .missing
            .into_iter()
            .map(|(target, _)| target)
            .filter(|target| !kept(target))
            .collect();
        if !missing.is_empty() {
            return Err(LoadError::Missing {
                path: path.into(),
                names: missing,
            });
        }
        Ok((
            model,
            Report {
                loaded: result.applied,
                left_out,
            },
        ))
    }

    /// The shapes of the file's tensors, as PyTorch has them, by the names of the network's own tensors.
    pub(crate) fn shapes(&self, path: &Path) -> Result<BTreeMap<String, Vec<usize>>, LoadError> {
        let stored = self.read_unwrapped(path)?.into_iter();
        let shapes = stored.map(|(name, stored)| (name, stored.tensor.shape.to_vec()));
        Ok(shapes.collect())
    }

    /// The file's tensors by the names that a network has which was not wrapped for several devices.
    fn read_unwrapped(&self, path: &Path) -> Result<BTreeMap<String, StoredUnder>, LoadError> {
        let stored = self.read(path)?;
        // So `torch.nn.DataParallel` names everything that it wraps.
        let is_wrapped = stored.keys().all(|key| key.starts_with(WRAPPER));
        let named = stored.into_iter().map(|(key, tensor)| {
            let name = match is_wrapped {
                true => key[WRAPPER.len()..].to_owned(),
                false => key.clone(),
            };
            (name, StoredUnder { key, tensor })
        });
        Ok(named.collect())
    }

    /// The file's tensors by their names in it, their values still unread.
    fn read(&self, path: &Path) -> Result<BTreeMap<String, StoredTensor>, LoadError> {
        // The stores report a missing file each in its own way; this says it once and plainly.
        std::fs::File::open(path).map_err(|source| LoadError::Open {
            path: path.into(),
            source,
        })?;
        let unreadable = |reason: String| LoadError::Unreadable {
            path: path.into(),
            reason,
        };
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some("pth" | "pt" | "th") => {
                let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
                if let Some(key) = &self.top_level_key {
                    store = store.with_top_level_key(key);
                }
                let tensors = store
                    .get_all_tensors()
                    .map_err(|error| unreadable(error.to_string()))?;
                Ok(tensors.clone())
            }
            Some("safetensors") => {
                let mut store = SafetensorsStore::from_file(path);
                let tensors = store
                    .get_all_tensors()
                    .map_err(|error| unreadable(error.to_string()))?;
                Ok(tensors.clone())
            }
            _ => Err(LoadError::UnknownKind { path: path.into() }),
        }
    }
}

/// Loads torchvision's weights from a `.pth` or `.safetensors` file into `model`.
///
/// ```no_run
/// use approx_models::{MobileNetV2Config, load_torchvision};
/// use burn::tensor::Device;
///
/// let model = MobileNetV2Config::new(1000).init(&Device::flex());
/// let (model, report) = load_torchvision(model, "mobilenet_v2-7ebf99e0.pth")?;
/// println!("{} tensors", report.loaded.len());
/// # Ok::<(), approx_models::LoadError>(())
/// ```
///
/// # Errors
///
/// See [`LoadError`]; the model given is then lost.
pub fn load_torchvision<M: Module + TorchvisionNames>(
    model: M,
    path: impl AsRef<Path>,
) -> Result<(M, Report), LoadError> {
    TorchvisionLoader::new().load(model, path)
}

/// The element type of the model's float tensors, which the file's are cast to.
fn float_dtype<M: Module>(model: &M) -> DType {
    match model.devices().first() {
        Some(device) => device.settings().float_dtype.into(),
        None => DType::F32,
    }
}

/// The paths of the network's last layer, without names of enum variants.
fn classifier_paths<M: Module + TorchvisionNames>(model: &M) -> BTreeSet<String> {
    ["weight", "bias"]
        .into_iter()
        .filter_map(|parameter| model.path_of(&format!("{}{parameter}", model.classifier_prefix())))
        .collect()
}

/// A convolution with its normalisation: what torchvision calls `{convolution}.weight` and
/// `{normalisation}.running_mean`.
fn conv_norm(prefix: &str, is_convolution: bool, parameter: &str) -> String {
    let layer = if is_convolution { "conv" } else { "norm" };
    format!("{prefix}.{layer}.{parameter}")
}

impl TorchvisionNames for MobileNetV2 {
    fn path_of(&self, key: &str) -> Option<String> {
        let parts: Vec<&str> = key.split('.').collect();
        match parts[..] {
            ["classifier", "1", parameter] => Some(format!("classifier.{parameter}")),
            ["features", index, layer @ ("0" | "1"), parameter] => {
                let index: usize = index.parse().ok()?;
                let prefix = if index == 0 {
                    "stem"
                } else if index == self.blocks.len() + 1 {
                    "head"
                } else {
                    return None;
                };
                Some(conv_norm(prefix, layer == "0", parameter))
            }
            ["features", index, "conv", ref rest @ ..] => {
                let block = index.parse::<usize>().ok()?.checked_sub(1)?;
                // The block's layers in order; the last one's convolution and normalisation are numbered one after the
                // other.
                let layers: &[&str] = if self.blocks.get(block)?.expand.is_some() {
                    &["expand", "depthwise"]
                } else {
                    &["depthwise"]
                };
                let (layer, is_convolution, parameter) = match *rest {
                    [layer, within @ ("0" | "1"), parameter] => (
                        *layers.get(layer.parse::<usize>().ok()?)?,
                        within == "0",
                        parameter,
                    ),
                    [layer, parameter] => {
                        match layer.parse::<usize>().ok()?.checked_sub(layers.len())? {
                            0 => ("project", true, parameter),
                            1 => ("project", false, parameter),
                            _ => return None,
                        }
                    }
                    _ => return None,
                };
                Some(conv_norm(
                    &format!("blocks.{block}.{layer}"),
                    is_convolution,
                    parameter,
                ))
            }
            _ => None,
        }
    }

    fn classifier_prefix(&self) -> &'static str {
        "classifier.1."
    }
}

impl TorchvisionNames for ResNet {
    fn path_of(&self, key: &str) -> Option<String> {
        let parts: Vec<&str> = key.split('.').collect();
        match parts[..] {
            // The small networks for CIFAR-10 call it `linear`.
            ["fc" | "linear", parameter] => Some(format!("classifier.{parameter}")),
            ["conv1", parameter] => Some(conv_norm("stem", true, parameter)),
            ["bn1", parameter] => Some(conv_norm("stem", false, parameter)),
            [layer, block, ref rest @ ..] => {
                let stage = layer
                    .strip_prefix("layer")?
                    .parse::<usize>()
                    .ok()?
                    .checked_sub(1)?;
                let block = block.parse::<usize>().ok()?;
                let has_third = self.stages.get(stage)?.get(block)?.third.is_some();
                let (layer, is_convolution, parameter) = match *rest {
                    ["conv1", parameter] => ("first", true, parameter),
                    ["bn1", parameter] => ("first", false, parameter),
                    ["conv2", parameter] => ("second", true, parameter),
                    ["bn2", parameter] => ("second", false, parameter),
                    ["conv3", parameter] if has_third => ("third", true, parameter),
                    ["bn3", parameter] if has_third => ("third", false, parameter),
                    ["downsample", "0", parameter] => ("shortcut", true, parameter),
                    ["downsample", "1", parameter] => ("shortcut", false, parameter),
                    _ => return None,
                };
                Some(conv_norm(
                    &format!("stages.{stage}.{block}.{layer}"),
                    is_convolution,
                    parameter,
                ))
            }
            _ => None,
        }
    }

    fn classifier_prefix(&self) -> &'static str {
        "fc."
    }
}

/// torchvision has no LeNet-5; these are the names of PyTorch's tutorials, `conv1`, `conv2`, `fc1`, `fc2` and `fc3`.
impl TorchvisionNames for LeNet5 {
    fn path_of(&self, key: &str) -> Option<String> {
        let (layer, parameter) = key.split_once('.')?;
        (matches!(layer, "conv1" | "conv2" | "fc1" | "fc2" | "fc3")
            && matches!(parameter, "weight" | "bias"))
        .then(|| key.into())
    }

    fn classifier_prefix(&self) -> &'static str {
        "fc3."
    }
}

impl TorchvisionNames for Classifier {
    fn path_of(&self, key: &str) -> Option<String> {
        match self {
            Self::LeNet5(model) => model.path_of(key),
            Self::ResNet(model) => model.path_of(key),
            Self::MobileNetV2(model) => model.path_of(key),
        }
    }

    fn classifier_prefix(&self) -> &'static str {
        match self {
            Self::LeNet5(model) => model.classifier_prefix(),
            Self::ResNet(model) => model.classifier_prefix(),
            Self::MobileNetV2(model) => model.classifier_prefix(),
        }
    }
}
