//! Image classifiers built from `burn-approx`'s drop-in layers, and loaders for torchvision's weights.
//!
//! | network | for | parameters of |
//! |---|---|---|
//! | [`LeNet5`] | 28 x 28 | LeCun et al., 1998 |
//! | [`ResNet`] | 32 x 32 ([`ResNetConfig::resnet8`]) or 224 x 224 ([`ResNetConfig::resnet18`], [`resnet50`](ResNetConfig::resnet50)) | torchvision |
//! | [`MobileNetV2`] | either ([`Stem`]), at any width | torchvision |
//!
//! Each is made by its configuration, and [`Classifier`] is any of them. The feature `train` makes them trainable by
//! burn-train.

mod classifier;
mod error;
mod layers;
mod lenet;
mod mobilenet;
mod pretrained;
mod resnet;
pub mod torchvision;
#[cfg(feature = "train")]
pub mod training;

pub use classifier::{Architecture, Classifier};
pub use error::ModelError;
pub use layers::{Activation, ConvNorm};
pub use lenet::{LeNet5, LeNet5Config};
pub use mobilenet::{InvertedResidual, MobileNetV2, MobileNetV2Config, Stem};
pub use pretrained::{ClassifierConfig, Pretrained};
pub use resnet::{BlockKind, PaddedShortcut, ResNet, ResNetConfig, ResidualBlock, ShortcutKind};
pub use torchvision::{LoadError, load_torchvision};
