//! Makes the networks trainable by burn-train: cross-entropy on batches of labelled images.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Int, Tensor};
use burn::train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};

use crate::classifier::Classifier;
use crate::lenet::LeNet5;
use crate::mobilenet::MobileNetV2;
use crate::resnet::ResNet;

/// Labelled images, on one device.
#[derive(Debug, Clone)]
pub struct ImageBatch {
    /// `[batch, channels, height, width]`.
    pub images: Tensor<4>,
    /// The class of every image, `[batch]`.
    pub labels: Tensor<1, Int>,
}

fn classify<M: Module>(
    model: &M,
    batch: ImageBatch,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) -> ClassificationOutput {
    let logits = forward(model, batch.images);
    let loss = CrossEntropyLossConfig::new()
        .init(&logits.device())
        .forward(logits.clone(), batch.labels.clone());
    ClassificationOutput::new(loss, logits, batch.labels)
}

macro_rules! trainable {
    ($($network:ty),+) => {$(
        impl TrainStep for $network {
            type Input = ImageBatch;
            type Output = ClassificationOutput;

            fn step(&self, batch: ImageBatch) -> TrainOutput<ClassificationOutput> {
                let output = classify(self, batch, Self::forward);
                TrainOutput::new(self, output.loss.backward(), output)
            }
        }

        impl InferenceStep for $network {
            type Input = ImageBatch;
            type Output = ClassificationOutput;

            fn step(&self, batch: ImageBatch) -> ClassificationOutput {
                classify(self, batch, Self::forward)
            }
        }
    )+};
}

trainable!(LeNet5, ResNet, MobileNetV2, Classifier);
