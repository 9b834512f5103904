//! One type over all networks, and their names, for programs that choose the network at run time.

use std::str::FromStr;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::lenet::{LeNet5, LeNet5Config};
use crate::mobilenet::{MobileNetV2, MobileNetV2Config, Stem};
use crate::resnet::{ResNet, ResNetConfig};

/// The networks that can be chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// LeNet-5, `lenet5`.
    #[serde(rename = "lenet5")]
    LeNet5,
    /// ResNet-8 for small images, `resnet8`.
    #[serde(rename = "resnet8")]
    ResNet8,
    /// ResNet-18, `resnet18`.
    #[serde(rename = "resnet18")]
    ResNet18,
    /// ResNet-50, `resnet50`.
    #[serde(rename = "resnet50")]
    ResNet50,
    /// MobileNetV2, `mobilenet_v2`.
    #[serde(rename = "mobilenet_v2")]
    MobileNetV2,
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 5] = [
        Self::LeNet5,
        Self::ResNet8,
        Self::ResNet18,
        Self::ResNet50,
        Self::MobileNetV2,
    ];

    /// The name by which [`from_str`](Self::from_str) knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeNet5 => "lenet5",
            Self::ResNet8 => "resnet8",
            Self::ResNet18 => "resnet18",
            Self::ResNet50 => "resnet50",
            Self::MobileNetV2 => "mobilenet_v2",
        }
    }

    /// Builds the network with random weights, with the stem that fits the image size (`Stem::Small` up to 32 pixels).
    ///
    /// # Errors
    ///
    /// As the `try_init` of the network's configuration.
    pub fn init(
        self,
        in_channels: usize,
        classes: usize,
        image_size: [usize; 2],
        device: &Device,
    ) -> Result<Classifier, ModelError> {
        let stem = if image_size.iter().all(|&size| size <= 32) {
            Stem::Small
        } else {
            Stem::ImageNet
        };
        Ok(match self {
            Self::LeNet5 => Classifier::LeNet5(
                LeNet5Config::new(classes)
                    .with_in_channels(in_channels)
                    .with_image_size(image_size)
                    .try_init(device)?,
            ),
            Self::ResNet8 => Classifier::ResNet(
                ResNetConfig::resnet8(classes)
                    .with_in_channels(in_channels)
                    .try_init(device)?,
            ),
            Self::ResNet18 => Classifier::ResNet(
                ResNetConfig::resnet18(classes)
                    .with_in_channels(in_channels)
                    .with_stem(stem)
                    .try_init(device)?,
            ),
            Self::ResNet50 => Classifier::ResNet(
                ResNetConfig::resnet50(classes)
                    .with_in_channels(in_channels)
                    .with_stem(stem)
                    .try_init(device)?,
            ),
            Self::MobileNetV2 => Classifier::MobileNetV2(
                MobileNetV2Config::new(classes)
                    .with_in_channels(in_channels)
                    .with_stem(stem)
                    .try_init(device)?,
            ),
        })
    }
}

impl FromStr for Architecture {
    type Err = ModelError;

    /// Reads `lenet5`, `resnet8`, `resnet18`, `resnet50` or `mobilenet_v2`.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.name() == name)
            .ok_or_else(|| ModelError::UnknownName {
                name: name.into(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

/// Any of the networks. A parameter's path begins with the variant's name:
/// `MobileNetV2.blocks.3.depthwise.conv.weight`.
///
/// ```
/// use approx_models::Architecture;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let model = "resnet8".parse::<Architecture>()?.init(3, 10, [32, 32], &device)?;
/// assert_eq!(model.forward(Tensor::zeros([1, 3, 32, 32], &device)).dims(), [1, 10]);
/// # Ok::<(), approx_models::ModelError>(())
/// ```
#[derive(Module, Debug)]
pub enum Classifier {
    /// A LeNet-5.
    LeNet5(LeNet5),
    /// A residual network.
    ResNet(ResNet),
    /// A MobileNetV2.
    MobileNetV2(MobileNetV2),
}

impl Classifier {
    /// Logits `[batch, classes]` for images `[batch, channels, height, width]`.
    ///
    /// # Panics
    ///
    /// With the error's text, where [`try_forward`](Self::try_forward) returns one.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.try_forward(images)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`forward`](Self::forward).
    ///
    /// # Errors
    ///
    /// Images that the network was not built for.
    pub fn try_forward(&self, images: Tensor<4>) -> Result<Tensor<2>, ModelError> {
        match self {
            Self::LeNet5(model) => model.try_forward(images),
            Self::ResNet(model) => model.try_forward(images),
            Self::MobileNetV2(model) => model.try_forward(images),
        }
    }

    /// What the last layer reads: `[batch, features]`.
    ///
    /// # Errors
    ///
    /// As [`try_forward`](Self::try_forward).
    pub fn features(&self, images: Tensor<4>) -> Result<Tensor<2>, ModelError> {
        match self {
            Self::LeNet5(model) => model.features(images),
            Self::ResNet(model) => model.features(images),
            Self::MobileNetV2(model) => model.features(images),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_builds_its_network() {
        let device = Device::flex();
        for architecture in Architecture::ALL {
            let found: Architecture = architecture.name().parse().unwrap();
            assert_eq!(found, architecture);
            let model = found.init(1, 3, [28, 28], &device).unwrap();
            let logits = model.forward(Tensor::zeros([2, 1, 28, 28], &device));
            assert_eq!(logits.dims(), [2, 3], "{}", architecture.name());
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(
            "alexnet".parse::<Architecture>().unwrap_err().to_string(),
            "no network is called \"alexnet\"; there are lenet5, resnet8, resnet18, resnet50, mobilenet_v2"
        );
    }
}
