//! One type over the kinds of networks that MODEL can name.

use approx_models::{Classifier, LeNet5, MobileNetV2, ResNet};
use approx_onnx::OnnxModel;
use burn::module::Module;

/// A network of any kind.
#[derive(Clone, Debug)]
pub enum AnyModel {
    /// The graph of a file.
    Onnx(OnnxModel),
    /// A LeNet-5.
    LeNet5(LeNet5),
    /// A residual network.
    ResNet(ResNet),
    /// A MobileNetV2.
    MobileNetV2(MobileNetV2),
}

impl From<Classifier> for AnyModel {
    fn from(model: Classifier) -> Self {
        match model {
            Classifier::LeNet5(model) => Self::LeNet5(model),
            Classifier::ResNet(model) => Self::ResNet(model),
            Classifier::MobileNetV2(model) => Self::MobileNetV2(model),
        }
    }
}

impl AnyModel {
    /// The number of its parameters.
    pub fn num_params(&self) -> usize {
        match self {
            Self::Onnx(model) => model.num_params(),
            Self::LeNet5(model) => model.num_params(),
            Self::ResNet(model) => model.num_params(),
            Self::MobileNetV2(model) => model.num_params(),
        }
    }
}
