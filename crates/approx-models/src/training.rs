//! Makes the networks trainable by burn-train: cross-entropy on batches of labelled images.

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

/// Logits `[batch, classes]` with their cross-entropy, as burn-train takes them: what a model's steps give.
///
/// ```
/// use approx_models::training::classify;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let logits = Tensor::zeros([3, 2], &device);
/// let output = classify(logits, Tensor::from_data([0, 1, 1], &device));
/// assert!((output.loss.into_scalar::<f32>() - 2f32.ln()).abs() < 1e-6);
/// ```
pub fn classify(logits: Tensor<2>, labels: Tensor<1, Int>) -> ClassificationOutput {
    let loss = CrossEntropyLossConfig::new()
        .init(&logits.device())
        .forward(logits.clone(), labels.clone());
    ClassificationOutput::new(loss, logits, labels)
}

macro_rules! trainable {
    ($($network:ty),+) => {$(
        impl TrainStep for $network {
            type Input = ImageBatch;
            type Output = ClassificationOutput;

            fn step(&self, batch: ImageBatch) -> TrainOutput<ClassificationOutput> {
                let output = classify(self.forward(batch.images), batch.labels);
                TrainOutput::new(self, output.loss.backward(), output)
            }
        }

        impl InferenceStep for $network {
            type Input = ImageBatch;
            type Output = ClassificationOutput;

            fn step(&self, batch: ImageBatch) -> ClassificationOutput {
                classify(self.forward(batch.images), batch.labels)
            }
        }
    )+};
}

trainable!(LeNet5, ResNet, MobileNetV2, Classifier);
