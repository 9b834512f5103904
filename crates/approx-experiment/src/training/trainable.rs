//! Any network that classifies images, as burn-train trains it.

use approx_models::training::{ImageBatch, classify};
use approx_models::{Classifier, LeNet5, MobileNetV2, ResNet};
use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use burn::train::{ClassificationOutput, InferenceStep, LearnerModel, TrainOutput, TrainStep};
use burn_approx::GraphModel;

/// A model that burn-train can train on images and their classes: what [`fit`](super::fit) takes.
///
/// The networks of `approx-models` are such, and [`Trainable`] makes one of any network.
pub trait TrainableClassifier:
    LearnerModel
    + TrainStep<Input = ImageBatch, Output = ClassificationOutput>
    + InferenceStep<Input = ImageBatch, Output = ClassificationOutput>
{
}

impl<M> TrainableClassifier for M where
    M: LearnerModel
        + TrainStep<Input = ImageBatch, Output = ClassificationOutput>
        + InferenceStep<Input = ImageBatch, Output = ClassificationOutput>
{
}

/// A network that tells classes of images apart.
pub trait ImageClassifier: Module {
    /// Logits `[batch, classes]` for images `[batch, channels, height, width]`.
    fn logits(&self, images: Tensor<4>) -> Tensor<2>;
}

/// A network as burn-train trains it, with cross-entropy. The paths of its parameters begin with `network`.
///
/// ```
/// use approx_experiment::training::{ImageClassifier, Trainable};
/// use burn::nn::{Linear, LinearConfig};
/// use burn::prelude::*;
///
/// #[derive(Module, Debug)]
/// struct Mine {
///     output: Linear,
/// }
///
/// impl ImageClassifier for Mine {
///     fn logits(&self, images: Tensor<4>) -> Tensor<2> {
///         self.output.forward(images.flatten(1, 3))
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let model = Trainable::new(Mine { output: LinearConfig::new(256, 10).init(&device) });
/// // `fit(model, ..)` gives it back, and this the network that was trained:
/// let mine = model.network;
/// ```
#[derive(Module, Debug)]
pub struct Trainable<M> {
    /// The network.
    pub network: M,
}

impl<M: Module> Trainable<M> {
    /// A network, to be trained.
    pub fn new(network: M) -> Self {
        Self { network }
    }
}

impl<M: ImageClassifier + ModuleDisplay> TrainStep for Trainable<M> {
    type Input = ImageBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ImageBatch) -> TrainOutput<ClassificationOutput> {
        let output = classify(self.network.logits(batch.images), batch.labels);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl<M: ImageClassifier + ModuleDisplay> InferenceStep for Trainable<M> {
    type Input = ImageBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: ImageBatch) -> ClassificationOutput {
        classify(self.network.logits(batch.images), batch.labels)
    }
}

macro_rules! classifiers {
    ($($network:ty),+) => {$(
        impl ImageClassifier for $network {
            fn logits(&self, images: Tensor<4>) -> Tensor<2> {
                self.forward(images)
            }
        }
    )+};
}

classifiers!(LeNet5, ResNet, MobileNetV2, Classifier);

/// A captured model of images.
impl<M: Module> ImageClassifier for GraphModel<M, Tensor<4>, Tensor<2>> {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward(images)
    }
}
