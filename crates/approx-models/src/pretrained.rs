//! A network by its architecture's name, with weights from a file that says how many channels and classes it has.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::classifier::{Architecture, Classifier};
use crate::error::ModelError;
use crate::lenet::LeNet5Config;
use crate::mobilenet::{MobileNetV2Config, Stem};
use crate::resnet::{ResNetConfig, ShortcutKind};
use crate::torchvision::{LoadError, TorchvisionLoader};

/// What a [`Classifier`] is made by.
///
/// ```
/// use approx_models::{ClassifierConfig, LeNet5Config};
/// use burn::tensor::Device;
///
/// let config = ClassifierConfig::LeNet5(LeNet5Config::new(10));
/// let stored = serde_json::to_string(&config)?;
/// let config: ClassifierConfig = serde_json::from_str(&stored)?;
/// assert_eq!(config.classes(), 10);
/// let model = config.try_init(&Device::flex())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassifierConfig {
    /// A LeNet-5.
    #[serde(rename = "lenet5")]
    LeNet5(LeNet5Config),
    /// A residual network.
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    /// A MobileNetV2.
    #[serde(rename = "mobilenet_v2")]
    MobileNetV2(MobileNetV2Config),
}

impl ClassifierConfig {
    /// Builds the network with random weights.
    ///
    /// # Errors
    ///
    /// As the `try_init` of the network's configuration.
    pub fn try_init(&self, device: &Device) -> Result<Classifier, ModelError> {
        Ok(match self {
            Self::LeNet5(config) => Classifier::LeNet5(config.try_init(device)?),
            Self::ResNet(config) => Classifier::ResNet(config.try_init(device)?),
            Self::MobileNetV2(config) => Classifier::MobileNetV2(config.try_init(device)?),
        })
    }

    /// How many classes its logits tell apart.
    pub fn classes(&self) -> usize {
        match self {
            Self::LeNet5(config) => config.classes,
            Self::ResNet(config) => config.classes,
            Self::MobileNetV2(config) => config.classes,
        }
    }
}

/// A network with the weights of a file.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// The network.
    pub model: Classifier,
    /// What it is made by.
    pub config: ClassifierConfig,
    /// Channels of its images.
    pub in_channels: usize,
    /// Height and width of the images that networks of its kind are trained on.
    pub image_size: [usize; 2],
}

impl Architecture {
    /// Builds the network that a file's weights are for, and loads them: a state dict of PyTorch, by torchvision's names.
    ///
    /// Channels, classes and, for residual networks, the stem (a first kernel of 3 x 3 is that for small images) and shortcuts follow
    /// from the shapes of the tensors, and so does the width of a MobileNetV2, which has the stem for ImageNet.
    ///
    /// ```no_run
    /// use approx_models::Architecture;
    /// use burn::tensor::Device;
    ///
    /// let architecture: Architecture = "resnet18".parse()?;
    /// let network = architecture.load("resnet18-f37072fd.pth", &Device::flex())?;
    /// assert_eq!((network.in_channels, network.config.classes()), (3, 1000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn load(self, path: impl AsRef<Path>, device: &Device) -> Result<Pretrained, LoadError> {
        let path = path.as_ref();
        let shapes = TorchvisionLoader::new().shapes(path)?;
        let sizes = Sizes { path, shapes };
        let (config, in_channels, image_size) = match self {
            Self::LeNet5 => {
                let (channels, classes) = (sizes.channels("conv1")?, sizes.classes(&["fc3"])?);
                let config = LeNet5Config::new(classes).with_in_channels(channels);
                let size = config.image_size;
                (ClassifierConfig::LeNet5(config), channels, size)
            }
            Self::ResNet8 | Self::ResNet18 | Self::ResNet50 => {
                let classes = sizes.classes(&["fc", "linear"])?;
                let (first, channels) = (sizes.of("conv1.weight")?, sizes.channels("conv1")?);
                let (stem, size) = match first.last() {
                    Some(3) => (Stem::Small, [32, 32]),
                    _ => (Stem::ImageNet, [224, 224]),
                };
                // The small networks for CIFAR-10 often have shortcuts without parameters.
                let has_projections = sizes.shapes.contains_key("layer2.0.downsample.0.weight");
                let shortcut = match has_projections {
                    true => ShortcutKind::Projection,
                    false => ShortcutKind::ZeroPadding,
                };
                let config = match self {
                    Self::ResNet8 => ResNetConfig::resnet8(classes),
                    Self::ResNet18 => ResNetConfig::resnet18(classes),
                    _ => ResNetConfig::resnet50(classes),
                };
                let config = config.with_in_channels(channels).with_stem(stem);
                let config = config.with_shortcut(shortcut);
                (ClassifierConfig::ResNet(config), channels, size)
            }
            Self::MobileNetV2 => {
                let channels = sizes.channels("features.0.0")?;
                let classes = sizes.classes(&["classifier.1"])?;
                // What the last block gives is 320 channels at width 1.
                let last = sizes.of("features.17.conv.2.weight")?;
                let width = last
                    .first()
                    .map_or(1.0, |channels| *channels as f64 / 320.0);
                let config = MobileNetV2Config::new(classes).with_in_channels(channels);
                let config = config.with_width(width);
                (ClassifierConfig::MobileNetV2(config), channels, [224; 2])
            }
        };
        let model = config
            .try_init(device)
            .map_err(|error| sizes.unfit(error.to_string()))?;
        let (model, _) = TorchvisionLoader::new().load(model, path)?;
        Ok(Pretrained {
            model,
            config,
            in_channels,
            image_size,
        })
    }
}

/// The shapes of a file's tensors.
struct Sizes<'a> {
    path: &'a Path,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl Sizes<'_> {
    fn of(&self, name: &str) -> Result<&[usize], LoadError> {
        let shape = self.shapes.get(name).ok_or_else(|| LoadError::Missing {
            path: self.path.into(),
            names: vec![name.into()],
        });
        shape.map(Vec::as_slice)
    }

    /// The channels that a convolution reads.
    fn channels(&self, convolution: &str) -> Result<usize, LoadError> {
        let name = format!("{convolution}.weight");
        match self.of(&name)? {
            [_, channels, _, _] => Ok(*channels),
            shape => Err(self.unfit(format!(
                "{name} has shape {shape:?}, and a convolution's weight four sizes"
            ))),
        }
    }

    /// The outputs of the last layer, whichever of these names it has.
    fn classes(&self, layers: &[&str]) -> Result<usize, LoadError> {
        let names: Vec<String> = layers
            .iter()
            .map(|layer| format!("{layer}.weight"))
            .collect();
        let known = names.iter().find(|name| self.shapes.contains_key(*name));
        let name = known.unwrap_or(&names[0]);
        match self.of(name)? {
            [classes, _] => Ok(*classes),
            shape => Err(self.unfit(format!(
                "{name} has shape {shape:?}, and a linear layer's weight two sizes"
            ))),
        }
    }

    fn unfit(&self, reason: String) -> LoadError {
        LoadError::Unreadable {
            path: self.path.into(),
            reason,
        }
    }
}
