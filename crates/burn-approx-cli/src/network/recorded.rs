//! A network whose layers can be converted: the recorded graph of a file, or an architecture, which is made of such layers
//! and needs no recording.

use approx_experiment::exploration::{AssignableNetwork, each_by_itself};
use approx_experiment::training::ImageClassifier;
use approx_models::{Classifier, LeNet5, MobileNetV2, ResNet};
use approx_onnx::OnnxModel;
use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};
use burn_approx::{AnyTensor, ApproxError, GraphModel, GraphTensors};

/// A network whose layers can be converted, of any inputs and outputs. Paths are those of the network itself, without the
/// name of its kind.
#[derive(Clone)]
pub enum Recorded<I, O> {
    /// The graph of a file.
    Graph(Box<GraphModel<OnnxModel, I, O>>),
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
            Recorded::Graph($inner) => $body,
            Recorded::LeNet5($inner) => $body,
            Recorded::ResNet($inner) => $body,
            Recorded::MobileNetV2($inner) => $body,
        }
    };
}

macro_rules! map {
    ($model:expr, $inner:ident => $body:expr) => {
        match $model {
            Recorded::Graph(graph) => {
                let $inner = *graph;
                Recorded::Graph(Box::new($body))
            }
            Recorded::LeNet5($inner) => Recorded::LeNet5($body),
            Recorded::ResNet($inner) => Recorded::ResNet($body),
            Recorded::MobileNetV2($inner) => Recorded::MobileNetV2($body),
        }
    };
}

impl<I, O> std::fmt::Debug for Recorded<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        each!(self, model => model.fmt(f))
    }
}

impl<I, O> From<Classifier> for Recorded<I, O> {
    fn from(model: Classifier) -> Self {
        match model {
            Classifier::LeNet5(model) => Self::LeNet5(model),
            Classifier::ResNet(model) => Self::ResNet(model),
            Classifier::MobileNetV2(model) => Self::MobileNetV2(model),
        }
    }
}

impl<I: GraphTensors, O: GraphTensors> Recorded<I, O> {
    /// The forward pass.
    pub fn try_forward(&self, inputs: I) -> Result<O, ApproxError> {
        let images = |inputs: I| Tensor::<4>::from_tensors(inputs.into_tensors());
        let logits = match self {
            Self::Graph(graph) => return graph.try_forward(inputs),
            Self::LeNet5(model) => model.try_forward(images(inputs)?),
            Self::ResNet(model) => model.try_forward(images(inputs)?),
            Self::MobileNetV2(model) => model.try_forward(images(inputs)?),
        };
        let logits = logits.map_err(|error| ApproxError::GraphInput {
            problem: error.to_string(),
        })?;
        O::from_tensors(vec![AnyTensor::from(logits)])
    }
}

impl ImageClassifier for Recorded<Tensor<4>, Tensor<2>> {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.try_forward(images)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The graph of a file computes once what several assignments share.
impl AssignableNetwork for Recorded<Tensor<4>, Tensor<2>> {
    fn logits_under(
        copies: &[&Self],
        layers: &[String],
        assignments: &[&[usize]],
        images: &Tensor<4>,
    ) -> Result<Vec<Tensor<2>>, ApproxError> {
        match graphs(copies) {
            Some(graphs) => ImageGraph::logits_under(&graphs, layers, assignments, images),
            None => each_by_itself(copies, layers, assignments, images),
        }
    }

    fn with_means_of(&self, exact: &Self, images: &[Tensor<4>]) -> Result<Self, ApproxError> {
        Ok(match (self, exact) {
            (Self::Graph(own), Self::Graph(exact)) => {
                Self::Graph(Box::new(own.with_means_of(exact, images)?))
            }
            (Self::LeNet5(own), Self::LeNet5(exact)) => {
                Self::LeNet5(own.with_means_of(exact, images)?)
            }
            (Self::ResNet(own), Self::ResNet(exact)) => {
                Self::ResNet(own.with_means_of(exact, images)?)
            }
            (Self::MobileNetV2(own), Self::MobileNetV2(exact)) => {
                Self::MobileNetV2(own.with_means_of(exact, images)?)
            }
            _ => unreachable!("both are copies of one network"),
        })
    }
}

/// A recorded graph that classifies images.
pub type ImageGraph = GraphModel<OnnxModel, Tensor<4>, Tensor<2>>;

/// The graphs that copies of a network are, if they are such.
pub fn graphs<'a>(copies: &[&'a Recorded<Tensor<4>, Tensor<2>>]) -> Option<Vec<&'a ImageGraph>> {
    let graphs = copies.iter().map(|copy| match copy {
        Recorded::Graph(graph) => Some(&**graph),
        _ => None,
    });
    graphs.collect()
}

impl<I: GraphTensors, O: GraphTensors> Module for Recorded<I, O> {
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
        map!(self.clone(), model => model.valid())
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

impl<I: GraphTensors, O: GraphTensors> ModuleDisplayDefault for Recorded<I, O> {
    fn content(&self, content: Content) -> Option<Content> {
        content.set_top_level_type("Network").optional()
    }
}

impl<I: GraphTensors, O: GraphTensors> ModuleDisplay for Recorded<I, O> {}
