//! One type over the kinds of networks that MODEL can name, which shows the parameters of each under their own paths.

use approx_models::{Classifier, LeNet5, MobileNetV2, ResNet};
use approx_onnx::OnnxModel;
use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::Device;

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

macro_rules! each {
    ($model:expr, $inner:ident => $body:expr) => {
        match $model {
            AnyModel::Onnx($inner) => $body,
            AnyModel::LeNet5($inner) => $body,
            AnyModel::ResNet($inner) => $body,
            AnyModel::MobileNetV2($inner) => $body,
        }
    };
}

macro_rules! map {
    ($model:expr, $inner:ident => $body:expr) => {
        match $model {
            AnyModel::Onnx($inner) => AnyModel::Onnx($body),
            AnyModel::LeNet5($inner) => AnyModel::LeNet5($body),
            AnyModel::ResNet($inner) => AnyModel::ResNet($body),
            AnyModel::MobileNetV2($inner) => AnyModel::MobileNetV2($body),
        }
    };
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

impl Module for AnyModel {
    fn collect_devices(&self, devices: Devices) -> Devices {
        each!(self, model => model.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        map!(self, model => model.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        map!(self, model => model.to_device(device))
    }

    fn train(self) -> Self {
        map!(self, model => model.train())
    }

    fn valid(&self) -> Self {
        map!(self, model => model.valid())
    }

    fn materialize(self) -> Self {
        map!(self, model => model.materialize())
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        each!(self, model => model.visit(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        map!(self, model => model.map(mapper))
    }
}
