//! MobileNetV2: inverted residual blocks around depthwise convolutions (Sandler et al., 2018, arXiv:1801.04381).
//!
//! At `Stem::ImageNet` the network is torchvision's, tensor for tensor. `Stem::Small` leaves out the first halvings,
//! which small images cannot afford: 32 x 32 (CIFAR-10) and below.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Initializer};
use burn::tensor::{Device, Tensor};

use crate::error::{ModelError, at_least_one, check_images};
use crate::layers::{
    Activation, ConvNorm, ConvNormConfig, Linear, LinearConfig, global_average_pool,
};

const NETWORK: &str = "MobileNetV2";

/// How far a network shrinks its images before and between its first stages.
#[derive(Config, Debug, PartialEq, Eq, Copy)]
pub enum Stem {
    /// For 32 x 32 pixels and less: no halving in the stem, and one fewer among the stages.
    Small,
    /// For 224 x 224 pixels, as published.
    ImageNet,
}

/// What a [`MobileNetV2`] is built from.
///
/// ```
/// use approx_models::{MobileNetV2Config, Stem};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let model = MobileNetV2Config::new(10)
///     .with_in_channels(1)
///     .with_width(0.25)
///     .with_stem(Stem::Small)
///     .init(&device);
/// let logits = model.forward(Tensor::zeros([2, 1, 16, 16], &device));
/// assert_eq!(logits.dims(), [2, 10]);
/// ```
#[derive(Config, Debug)]
pub struct MobileNetV2Config {
    /// How many classes the logits tell apart.
    pub classes: usize,
    /// Channels of the images.
    #[config(default = 3)]
    pub in_channels: usize,
    /// The width multiplier: every channel count is scaled by it and rounded to a multiple of 8.
    #[config(default = 1.0)]
    pub width: f64,
    /// The image size the network is for.
    #[config(default = "Stem::ImageNet")]
    pub stem: Stem,
    /// The probability with which a feature is dropped before the classifier, in training.
    #[config(default = 0.2)]
    pub dropout: f64,
}

/// A stage of the network: `repeats` blocks, of which the first has the stride.
struct Stage {
    expansion: usize,
    channels: usize,
    repeats: usize,
    stride: usize,
}

const fn stage(expansion: usize, channels: usize, repeats: usize, stride: usize) -> Stage {
    Stage {
        expansion,
        channels,
        repeats,
        stride,
    }
}

/// Table 2 of the paper.
const STAGES: [Stage; 7] = [
    stage(1, 16, 1, 1),
    stage(6, 24, 2, 2),
    stage(6, 32, 3, 2),
    stage(6, 64, 4, 2),
    stage(6, 96, 3, 1),
    stage(6, 160, 3, 2),
    stage(6, 320, 1, 1),
];

/// Channels after the stem, and features before the classifier, at width 1.
const STEM_CHANNELS: usize = 32;
const HEAD_CHANNELS: usize = 1280;

/// Rounds a channel count to a multiple of 8, and up where rounding down would lose more than a tenth (torchvision's
/// `_make_divisible`).
fn make_divisible(channels: f64) -> usize {
    const DIVISOR: usize = 8;
    let rounded = ((channels + DIVISOR as f64 / 2.0) as usize / DIVISOR * DIVISOR).max(DIVISOR);
    if (rounded as f64) < 0.9 * channels {
        rounded + DIVISOR
    } else {
        rounded
    }
}

impl MobileNetV2Config {
    /// Builds the network with random weights.
    ///
    /// # Errors
    ///
    /// A count of zero, or a width or dropout probability out of range.
    pub fn try_init(&self, device: &Device) -> Result<MobileNetV2, ModelError> {
        at_least_one(NETWORK, "the number of classes", self.classes)?;
        at_least_one(NETWORK, "the number of input channels", self.in_channels)?;
        if !(self.width.is_finite() && self.width > 0.0) {
            return Err(ModelError::Width {
                network: NETWORK,
                value: self.width,
            });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ModelError::Dropout {
                network: NETWORK,
                value: self.dropout,
            });
        }

        let scaled = |channels: usize| make_divisible(channels as f64 * self.width);
        let mut channels = scaled(STEM_CHANNELS);
        let stem = ConvNormConfig::new(self.in_channels, channels, 3, Activation::Relu6)
            .with_stride(match self.stem {
                Stem::Small => 1,
                Stem::ImageNet => 2,
            })
            .init(device);

        let mut blocks = Vec::new();
        for (index, stage) in STAGES.iter().enumerate() {
            let channels_out = scaled(stage.channels);
            for repeat in 0..stage.repeats {
                let stride = match (self.stem, index, repeat) {
                    (Stem::Small, 1, _) => 1,
                    (_, _, 0) => stage.stride,
                    _ => 1,
                };
                blocks.push(InvertedResidual::new(
                    channels,
                    channels_out,
                    stage.expansion,
                    stride,
                    device,
                ));
                channels = channels_out;
            }
        }

        let features = make_divisible(HEAD_CHANNELS as f64 * self.width.max(1.0));
        Ok(MobileNetV2 {
            stem,
            blocks,
            head: ConvNormConfig::new(channels, features, 1, Activation::Relu6).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            classifier: LinearConfig::new(features, self.classes)
                .with_initializer(Initializer::Normal {
                    mean: 0.0,
                    std: 0.01,
                })
                .init(device),
        })
    }

    /// As [`try_init`](Self::try_init).
    ///
    /// # Panics
    ///
    /// With the error's text, where `try_init` returns one.
    pub fn init(&self, device: &Device) -> MobileNetV2 {
        self.try_init(device)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// MobileNetV2, made by [`MobileNetV2Config`].
#[derive(Module, Debug)]
pub struct MobileNetV2 {
    /// The first convolution, on the image itself.
    pub stem: ConvNorm,
    /// The inverted residual blocks, 17 of them.
    pub blocks: Vec<InvertedResidual>,
    /// The pointwise convolution to the features that the classifier reads.
    pub head: ConvNorm,
    /// Drops features in training.
    pub dropout: Dropout,
    /// The fully connected layer from features to logits.
    pub classifier: Linear,
}

impl MobileNetV2 {
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
    /// Images with other channels than the network was built for, or without pixels.
    pub fn try_forward(&self, images: Tensor<4>) -> Result<Tensor<2>, ModelError> {
        let features = self.features(images)?;
        Ok(self.classifier.forward(self.dropout.forward(features)))
    }

    /// What the classifier reads: `[batch, features]`, averaged over the image.
    ///
    /// # Errors
    ///
    /// As [`try_forward`](Self::try_forward).
    pub fn features(&self, images: Tensor<4>) -> Result<Tensor<2>, ModelError> {
        check_images(NETWORK, self.stem.channels_in(), images.dims())?;
        let mut x = self.stem.forward(images);
        for block in &self.blocks {
            x = block.forward(x);
        }
        Ok(global_average_pool(self.head.forward(x)))
    }
}

/// A block that widens its input, filters every channel on its own, and narrows again; with a shortcut where shapes
/// allow.
#[derive(Module, Debug)]
pub struct InvertedResidual {
    /// The pointwise convolution to more channels; the first block has none.
    pub expand: Option<ConvNorm>,
    /// The 3 x 3 convolution of every channel with a kernel of its own.
    pub depthwise: ConvNorm,
    /// The pointwise convolution to fewer channels, without activation.
    pub project: ConvNorm,
    /// Whether the input is added to the output.
    pub shortcut: bool,
}

impl InvertedResidual {
    fn new(
        channels_in: usize,
        channels_out: usize,
        expansion: usize,
        stride: usize,
        device: &Device,
    ) -> Self {
        let hidden = channels_in * expansion;
        let expand = (expansion != 1)
            .then(|| ConvNormConfig::new(channels_in, hidden, 1, Activation::Relu6).init(device));
        Self {
            expand,
            depthwise: ConvNormConfig::new(hidden, hidden, 3, Activation::Relu6)
                .with_stride(stride)
                .with_groups(hidden)
                .init(device),
            project: ConvNormConfig::new(hidden, channels_out, 1, Activation::None).init(device),
            shortcut: stride == 1 && channels_in == channels_out,
        }
    }

    /// Input `[batch, channels_in, height, width]`, output `[batch, channels_out, height / stride, width / stride]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let expanded = match &self.expand {
            Some(expand) => expand.forward(input.clone()),
            None => input.clone(),
        };
        let depthwise = self.depthwise.forward(expanded);
        if self.shortcut {
            self.project
                .forward_with_shortcut(depthwise, input, Activation::None)
        } else {
            self.project.forward(depthwise)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_round_as_torchvision_rounds_them() {
        for (channels, expected) in [
            (8.0, 8),
            (4.0, 8),
            (6.0, 8),
            (16.0 * 0.75, 16),
            (24.0 * 0.75, 24),
            (32.0 * 1.4, 48),
            (96.0 * 0.35, 32),
            (320.0 * 0.25, 80),
            (1280.0 * 1.4, 1792),
        ] {
            assert_eq!(make_divisible(channels), expected, "{channels}");
        }
    }

    #[test]
    fn parameters_at_width_one_are_as_many_as_torchvision_has() {
        let model = MobileNetV2Config::new(1000).init(&Device::flex());
        // 3,504,872 trainable ones in torchvision's mobilenet_v2, and two running statistics per normalised channel.
        let statistics: usize = model
            .blocks
            .iter()
            .flat_map(|block| {
                [
                    block.expand.as_ref(),
                    Some(&block.depthwise),
                    Some(&block.project),
                ]
            })
            .flatten()
            .chain([&model.stem, &model.head])
            .map(|layer| 2 * layer.conv.weight.dims()[0])
            .sum();
        assert_eq!(model.num_params(), 3_504_872 + statistics);
    }

    #[test]
    fn small_stem_halves_three_times_and_the_published_one_five() {
        let device = Device::flex();
        for (stem, size, expected) in [(Stem::Small, 16, 2), (Stem::ImageNet, 64, 2)] {
            let model = MobileNetV2Config::new(2)
                .with_width(0.25)
                .with_stem(stem)
                .init(&device);
            let mut x = model
                .stem
                .forward(Tensor::zeros([1, 3, size, size], &device));
            for block in &model.blocks {
                x = block.forward(x);
            }
            assert_eq!(x.dims(), [1, 80, expected, expected]);
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let device = Device::flex();
        let error = |config: MobileNetV2Config| config.try_init(&device).unwrap_err().to_string();
        assert_eq!(
            error(MobileNetV2Config::new(0)),
            "MobileNetV2: the number of classes is 0; at least 1 is needed"
        );
        assert!(error(MobileNetV2Config::new(2).with_width(f64::NAN)).contains("width"));
        assert!(error(MobileNetV2Config::new(2).with_width(-0.5)).contains("-0.5"));
        assert!(error(MobileNetV2Config::new(2).with_dropout(1.0)).contains("dropout"));
    }

    #[test]
    fn images_with_other_channels_are_refused() {
        let device = Device::flex();
        let model = MobileNetV2Config::new(2).with_width(0.25).init(&device);
        let error = model
            .try_forward(Tensor::zeros([1, 1, 32, 32], &device))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "MobileNetV2: the images have 1 channels; this network was built for 3"
        );
    }
}
