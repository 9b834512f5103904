//! A network by its architecture's name, with weights from a file that says how many channels and classes it has.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;

use crate::classifier::{Architecture, Classifier};
use crate::lenet::LeNet5Config;
use crate::mobilenet::{MobileNetV2Config, Stem};
use crate::resnet::{ResNetConfig, ShortcutKind};
use crate::torchvision::{LoadError, TorchvisionLoader};

/// A network with the weights of a file.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// The network.
    pub model: Classifier,
    /// Channels of its images.
    pub in_channels: usize,
    /// How many classes its logits tell apart.
    pub classes: usize,
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
    /// assert_eq!((network.in_channels, network.classes), (3, 1000));
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
        let (model, in_channels, classes, image_size) = match self {
            Self::LeNet5 => {
                let (channels, classes) = (sizes.channels("conv1")?, sizes.classes(&["fc3"])?);
                let config = LeNet5Config::new(classes).with_in_channels(channels);
                let (size, model) = (config.image_size, config.try_init(device));
                (model.map(Classifier::LeNet5), channels, classes, size)
            }
            Self::ResNet8 | Self::ResNet18 | Self::ResNet50 => {
                let classes = sizes.classes(&["fc", "linear"])?;
                let (first, channels) = (sizes.of("conv1.weight")?, sizes.channels("conv1")?);
                let (stem, size) = match first.last() {
                    Some(3) => (Stem::Small, [32, 32]),
                    _ => (Stem::ImageNet, [224, 224]),
                };
                let config = match self {
                    Self::ResNet8 => ResNetConfig::resnet8(classes),
                    Self::ResNet18 => ResNetConfig::resnet18(classes),
                    _ => ResNetConfig::resnet50(classes),
                };
                // The small networks for CIFAR-10 often have shortcuts without parameters.
                let has_projections = sizes.shapes.contains_key("layer2.0.downsample.0.weight");
                let shortcut = match has_projections {
                    true => ShortcutKind::Projection,
                    false => ShortcutKind::ZeroPadding,
                };
                let config = config.with_in_channels(channels).with_stem(stem);
                let model = config.with_shortcut(shortcut).try_init(device);
                (model.map(Classifier::ResNet), channels, classes, size)
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
                let model = config.with_width(width).try_init(device);
                (
                    model.map(Classifier::MobileNetV2),
                    channels,
                    classes,
                    [224; 2],
                )
            }
        };
        let model = model.map_err(|error| sizes.unfit(error.to_string()))?;
        let (model, _) = TorchvisionLoader::new().load(model, path)?;
        Ok(Pretrained {
            model,
            in_channels,
            classes,
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
