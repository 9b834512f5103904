//! A ResNet-20 of Burn's own layers, as a user of Burn alone has it: what training costs without this project.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

/// A convolution and a batch normalisation.
#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let padding = kernel / 2;
        let conv = Conv2dConfig::new(channels, [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(
                padding, padding, padding, padding,
            ))
            .with_bias(false);
        Self {
            conv: conv.init(device),
            norm: BatchNormConfig::new(channels[1]).init(device),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(input))
    }
}

/// Two convolutions and a shortcut.
#[derive(Module, Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl Block {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let output = self.second.forward(relu(self.first.forward(input.clone())));
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(input),
            None => input,
        };
        relu(output + shortcut)
    }
}

/// A ResNet-20 for images of 32 x 32 pixels: the layers and shapes of `approx_models::ResNetConfig::small(20, ..)`.
#[derive(Module, Debug)]
pub struct ResNet20 {
    stem: ConvNorm,
    blocks: Vec<Block>,
    classifier: Linear,
}

impl ResNet20 {
    /// A network with random weights.
    pub fn new(classes: usize, device: &Device) -> Self {
        let mut blocks = Vec::new();
        let mut channels = 16;
        for (stage, width) in [16, 32, 64].into_iter().enumerate() {
            for repeat in 0..3 {
                let stride = if stage > 0 && repeat == 0 { 2 } else { 1 };
                let is_same = stride == 1 && channels == width;
                blocks.push(Block {
                    first: ConvNorm::new([channels, width], 3, stride, device),
                    second: ConvNorm::new([width, width], 3, 1, device),
                    shortcut: (!is_same)
                        .then(|| ConvNorm::new([channels, width], 1, stride, device)),
                });
                channels = width;
            }
        }
        Self {
            stem: ConvNorm::new([3, 16], 3, 1, device),
            blocks,
            classifier: LinearConfig::new(channels, classes).init(device),
        }
    }

    /// Logits `[batch, classes]` for images `[batch, 3, 32, 32]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut features = relu(self.stem.forward(images));
        for block in &self.blocks {
            features = block.forward(features);
        }
        let [batch, channels, height, width] = features.dims();
        let pixels = features.reshape([batch, channels, height * width]);
        let features = pixels.mean_dim(2).reshape([batch, channels]);
        self.classifier.forward(features)
    }
}
