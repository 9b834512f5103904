//! ResNet (He et al., 2015, arXiv:1512.03385): torchvision's ResNet-18 and -34 of basic blocks and ResNet-50 of
//! bottlenecks, and the small ones for CIFAR-10, of which ResNet-8 is the usual subject of papers on approximate
//! multipliers.

use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor, s};

use crate::error::{ModelError, at_least_one, check_images};
use crate::layers::{
    Activation, ConvNorm, ConvNormConfig, Linear, LinearConfig, global_average_pool,
};
use crate::mobilenet::Stem;

const NETWORK: &str = "ResNet";

/// What the residual blocks of a [`ResNet`] are made of.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3 x 3 convolutions.
    Basic,
    /// A 3 x 3 convolution between pointwise ones, of which the last widens to four times the stage's width. The 3 x 3
    /// one has the stride, as in torchvision (the paper strides in the first).
    Bottleneck,
}

impl BlockKind {
    /// Output channels of a block in a stage of the given width.
    fn channels_out(self, width: usize) -> usize {
        match self {
            Self::Basic => width,
            Self::Bottleneck => 4 * width,
        }
    }
}

/// What goes around a block whose outputs have another shape than its inputs.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum ShortcutKind {
    /// A pointwise convolution with the block's stride and a normalisation: the paper's option B, and torchvision's.
    Projection,
    /// Every second pixel, as the stride says, between channels of zeros, half of them before and half after: the paper's
    /// option A, without parameters, as usual in the small networks for CIFAR-10. The new channels must be an even number.
    ZeroPadding,
}

/// What a [`ResNet`] is built from.
///
/// ```
/// use approx_models::ResNetConfig;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let model = ResNetConfig::resnet8(10).init(&device);
/// assert_eq!(model.forward(Tensor::zeros([2, 3, 32, 32], &device)).dims(), [2, 10]);
/// ```
#[derive(Config, Debug)]
pub struct ResNetConfig {
    /// How many classes the logits tell apart.
    pub classes: usize,
    /// Channels of every stage's 3 x 3 convolutions; from the second on, a stage halves the image.
    pub widths: Vec<usize>,
    /// Blocks of every stage, as many entries as `widths`.
    pub blocks: Vec<usize>,
    /// What all blocks are made of.
    #[config(default = "BlockKind::Basic")]
    pub block: BlockKind,
    /// What goes around a block whose outputs have another shape than its inputs.
    #[config(default = "ShortcutKind::Projection")]
    pub shortcut: ShortcutKind,
    /// Channels of the images.
    #[config(default = 3)]
    pub in_channels: usize,
    /// `Small`: a 3 x 3 convolution at stride 1. `ImageNet`: 7 x 7 at stride 2, then pooling at stride 2.
    #[config(default = "Stem::ImageNet")]
    pub stem: Stem,
}

impl ResNetConfig {
    /// ResNet-8 for small images: one block in each of three stages of 16, 32 and 64 channels.
    pub fn resnet8(classes: usize) -> Self {
        Self::new(classes, vec![16, 32, 64], vec![1; 3]).with_stem(Stem::Small)
    }

    /// The network of depth `6 n + 2` for small images (8, 14, 20, 32, 44, 56, 110).
    ///
    /// # Errors
    ///
    /// A depth that is not of this form.
    pub fn small(depth: usize, classes: usize) -> Result<Self, ModelError> {
        if depth < 8 || !(depth - 2).is_multiple_of(6) {
            return Err(ModelError::Depth {
                network: NETWORK,
                depth,
                known: "small ones have 6 n + 2 layers: 8, 14, 20, 32, 44, 56, 110, ...",
            });
        }
        let mut config = Self::resnet8(classes);
        config.blocks = vec![(depth - 2) / 6; 3];
        Ok(config)
    }

    /// torchvision's ResNet-18.
    pub fn resnet18(classes: usize) -> Self {
        Self::new(classes, vec![64, 128, 256, 512], vec![2; 4])
    }

    /// torchvision's ResNet-34.
    pub fn resnet34(classes: usize) -> Self {
        Self::new(classes, vec![64, 128, 256, 512], vec![3, 4, 6, 3])
    }

    /// torchvision's ResNet-50.
    pub fn resnet50(classes: usize) -> Self {
        Self::resnet34(classes).with_block(BlockKind::Bottleneck)
    }

    /// Builds the network with random weights.
    ///
    /// # Errors
    ///
    /// A count of zero, or lists of different lengths.
    pub fn try_init(&self, device: &Device) -> Result<ResNet, ModelError> {
        at_least_one(NETWORK, "the number of classes", self.classes)?;
        at_least_one(NETWORK, "the number of input channels", self.in_channels)?;
        at_least_one(NETWORK, "the number of stages", self.widths.len())?;
        if self.widths.len() != self.blocks.len() {
            return Err(ModelError::Stages {
                network: NETWORK,
                widths: self.widths.len(),
                blocks: self.blocks.len(),
            });
        }
        let mut channels = self.widths[0];
        let mut stages = Vec::new();
        for (index, (&width, &repeats)) in self.widths.iter().zip(&self.blocks).enumerate() {
            at_least_one(NETWORK, "a stage's width", width)?;
            at_least_one(NETWORK, "a stage's number of blocks", repeats)?;
            let mut stage = Vec::new();
            for repeat in 0..repeats {
                let stride = if index > 0 && repeat == 0 { 2 } else { 1 };
                let block = BlockConfig {
                    kind: self.block,
                    shortcut: self.shortcut,
                    channels_in: channels,
                    width,
                    stride,
                };
                stage.push(block.init(device)?);
                channels = self.block.channels_out(width);
            }
            stages.push(stage);
        }

        let (stem, pool) = match self.stem {
            Stem::Small => (
                ConvNormConfig::new(self.in_channels, self.widths[0], 3, Activation::Relu),
                None,
            ),
            Stem::ImageNet => (
                ConvNormConfig::new(self.in_channels, self.widths[0], 7, Activation::Relu)
                    .with_stride(2),
                Some(
                    MaxPool2dConfig::new([3, 3])
                        .with_strides([2, 2])
                        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                        .init(),
                ),
            ),
        };
        Ok(ResNet {
            stem: stem.init(device),
            pool,
            stages,
            classifier: LinearConfig::new(channels, self.classes).init(device),
        })
    }

    /// As [`try_init`](Self::try_init).
    ///
    /// # Panics
    ///
    /// With the error's text, where `try_init` returns one.
    pub fn init(&self, device: &Device) -> ResNet {
        self.try_init(device)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A residual network, made by [`ResNetConfig`].
#[derive(Module, Debug)]
pub struct ResNet {
    /// The first convolution, on the image itself.
    pub stem: ConvNorm,
    /// The pooling after it, for large images.
    pub pool: Option<MaxPool2d>,
    /// The stages, each a list of blocks.
    pub stages: Vec<Vec<ResidualBlock>>,
    /// The fully connected layer from features to logits.
    pub classifier: Linear,
}

impl ResNet {
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
        Ok(self.classifier.forward(self.features(images)?))
    }

    /// What the classifier reads: `[batch, features]`, averaged over the image.
    ///
    /// # Errors
    ///
    /// As [`try_forward`](Self::try_forward).
    pub fn features(&self, images: Tensor<4>) -> Result<Tensor<2>, ModelError> {
        check_images(NETWORK, self.stem.channels_in(), images.dims())?;
        let mut x = self.stem.forward(images);
        if let Some(pool) = &self.pool {
            x = pool.forward(x);
        }
        for block in self.stages.iter().flatten() {
            x = block.forward(x);
        }
        Ok(global_average_pool(x))
    }
}

/// What a [`ResidualBlock`] is built from.
struct BlockConfig {
    kind: BlockKind,
    shortcut: ShortcutKind,
    channels_in: usize,
    width: usize,
    stride: usize,
}

impl BlockConfig {
    fn init(&self, device: &Device) -> Result<ResidualBlock, ModelError> {
        let Self {
            channels_in,
            width,
            stride,
            ..
        } = *self;
        let relu = Activation::Relu;
        let channels_out = self.kind.channels_out(width);
        let conv = |channels_in, channels_out, kernel_size, stride, activation| {
            ConvNormConfig::new(channels_in, channels_out, kernel_size, activation)
                .with_stride(stride)
                .init(device)
        };
        let (first, second, third) = match self.kind {
            BlockKind::Basic => (
                conv(channels_in, width, 3, stride, relu),
                conv(width, width, 3, 1, Activation::None),
                None,
            ),
            BlockKind::Bottleneck => (
                conv(channels_in, width, 1, 1, relu),
                conv(width, width, 3, stride, relu),
                Some(conv(width, channels_out, 1, 1, Activation::None)),
            ),
        };
        let (mut shortcut, mut padded) = (None, None);
        if stride != 1 || channels_in != channels_out {
            match self.shortcut {
                ShortcutKind::Projection => {
                    let none = Activation::None;
                    shortcut = Some(conv(channels_in, channels_out, 1, stride, none));
                }
                ShortcutKind::ZeroPadding => {
                    padded = Some(PaddedShortcut::new(channels_in, channels_out, stride)?);
                }
            }
        }
        Ok(ResidualBlock {
            first,
            second,
            third,
            shortcut,
            padded,
        })
    }
}

/// A shortcut without parameters: every so many pixels, between channels of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaddedShortcut {
    stride: usize,
    /// Before the input's channels, and as many after.
    zeros: usize,
}

impl PaddedShortcut {
    fn new(channels_in: usize, channels_out: usize, stride: usize) -> Result<Self, ModelError> {
        match channels_out.checked_sub(channels_in) {
            Some(more) if more.is_multiple_of(2) => Ok(Self {
                stride,
                zeros: more / 2,
            }),
            _ => Err(ModelError::PaddedShortcut {
                network: NETWORK,
                channels_in,
                channels_out,
            }),
        }
    }

    fn forward(self, input: Tensor<4>) -> Tensor<4> {
        let step = self.stride as isize;
        let pixels = input.slice(s![.., .., ..;step, ..;step]);
        if self.zeros == 0 {
            return pixels;
        }
        let [batch, _, height, width] = pixels.dims();
        let options = (&pixels.device(), pixels.dtype());
        let zeros = Tensor::zeros([batch, self.zeros, height, width], options);
        Tensor::cat(vec![zeros.clone(), pixels, zeros], 1)
    }
}

/// Two or three convolutions and a shortcut around them, as [`BlockKind`] and [`ShortcutKind`] say.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// The first convolution: 3 x 3 with the block's stride in a basic block, pointwise in a bottleneck.
    pub first: ConvNorm,
    /// The second convolution, 3 x 3; it has the stride in a bottleneck.
    pub second: ConvNorm,
    /// The pointwise convolution that ends a bottleneck. A block's last activation comes after the addition.
    pub third: Option<ConvNorm>,
    /// The pointwise convolution on the shortcut, where the shapes differ and it is a projection.
    pub shortcut: Option<ConvNorm>,
    /// The shortcut without parameters, where the shapes differ and it is one.
    #[module(skip)]
    pub padded: Option<PaddedShortcut>,
}

impl ResidualBlock {
    /// Input `[batch, channels_in, height, width]`, output `[batch, channels_out, height / stride, width / stride]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mut output = self.first.forward(input.clone());
        let last = match &self.third {
            Some(third) => {
                output = self.second.forward(output);
                third
            }
            None => &self.second,
        };
        let shortcut = match (&self.shortcut, self.padded) {
            (Some(shortcut), _) => shortcut.forward(input),
            (None, Some(padded)) => padded.forward(input),
            (None, None) => input,
        };
        last.forward_with_shortcut(output, shortcut, Activation::Relu)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Int, TensorData};

    use super::*;

    /// Trainable parameters: all but two running statistics per normalised channel.
    fn trainable(model: &ResNet) -> usize {
        let statistics: usize = model
            .stages
            .iter()
            .flatten()
            .flat_map(|block| {
                [
                    Some(&block.first),
                    Some(&block.second),
                    block.third.as_ref(),
                    block.shortcut.as_ref(),
                ]
            })
            .flatten()
            .chain([&model.stem])
            .map(|layer| 2 * layer.conv.weight.dims()[0])
            .sum();
        model.num_params() - statistics
    }

    #[test]
    fn parameters_are_as_many_as_torchvision_has() {
        let device = Device::flex();
        let resnet18 = ResNetConfig::resnet18(1000).init(&device);
        assert_eq!(trainable(&resnet18), 11_689_512);
        let resnet50 = ResNetConfig::resnet50(1000).init(&device);
        assert_eq!(trainable(&resnet50), 25_557_032);
    }

    #[test]
    fn the_small_network_of_depth_eight_is_resnet8() {
        let device = Device::flex();
        let model = ResNetConfig::small(8, 10).unwrap().init(&device);
        assert_eq!(
            trainable(&model),
            trainable(&ResNetConfig::resnet8(10).init(&device))
        );
        // Stem 432 + 32, stages 4,672 and 14,528 and 57,728, classifier 650.
        assert_eq!(trainable(&model), 464 + 4_672 + 14_528 + 57_728 + 650);
        assert!(ResNetConfig::small(18, 10).is_err());
    }

    #[test]
    fn shapes_follow_the_stem() {
        let device = Device::flex();
        let small = ResNetConfig::resnet8(7).with_in_channels(1).init(&device);
        assert_eq!(
            small.forward(Tensor::zeros([2, 1, 28, 28], &device)).dims(),
            [2, 7]
        );
        let large = ResNetConfig::resnet18(5).init(&device);
        assert_eq!(
            large
                .features(Tensor::zeros([1, 3, 64, 64], &device))
                .unwrap()
                .dims(),
            [1, 512]
        );
    }

    #[test]
    fn bottlenecks_widen_four_times_and_stride_in_the_middle() {
        let device = Device::flex();
        let model = ResNetConfig::resnet8(3)
            .with_block(BlockKind::Bottleneck)
            .init(&device);
        let images = Tensor::zeros([2, 3, 28, 28], &device);
        assert_eq!(model.features(images).unwrap().dims(), [2, 4 * 64]);
        for (stage, stride) in model.stages.iter().zip([1, 2, 2]) {
            let block = &stage[0];
            let third = block.third.as_ref().unwrap();
            let shortcut = block.shortcut.as_ref().unwrap();
            let strides = [&block.first, &block.second, third, shortcut].map(|l| l.conv.stride[0]);
            assert_eq!(strides, [1, stride, 1, stride]);
        }
    }

    /// Values and gradients go through every second pixel and the channels in the middle, and nowhere else.
    #[test]
    fn a_padded_shortcut_is_a_part_of_its_input_between_zeros() {
        let device = Device::flex().autodiff();
        let shortcut = PaddedShortcut::new(2, 6, 2).unwrap();
        let input = Tensor::<1, Int>::arange(0..2 * 5 * 4, &device).float();
        let input = input.reshape([1, 2, 5, 4]).require_grad();
        let output = shortcut.forward(input.clone());
        let mut expected = vec![0.0f32; 6 * 3 * 2];
        let mut passes = vec![0.0f32; 2 * 5 * 4];
        for (channel, row, column) in (0..12).map(|i| (i / 6, i / 2 % 3, i % 2)) {
            let from = channel * 20 + 2 * row * 4 + 2 * column;
            expected[(channel + 2) * 6 + row * 2 + column] = from as f32;
            passes[from] = 1.0;
        }
        let expected = TensorData::new(expected, [1, 6, 3, 2]);
        output.to_data().assert_eq(&expected, true);
        let gradients = output.sum().backward();
        let passes = TensorData::new(passes, [1, 2, 5, 4]);
        input
            .grad(&gradients)
            .unwrap()
            .to_data()
            .assert_eq(&passes, true);
    }

    #[test]
    fn shortcuts_without_parameters_need_an_even_number_of_new_channels() {
        let config = ResNetConfig::resnet8(10).with_shortcut(ShortcutKind::ZeroPadding);
        let device = Device::flex();
        let model = config.init(&device);
        // Without the two pointwise convolutions: 16 x 32 + 64, 32 x 64 + 128.
        let projections = 16 * 32 + 64 + 32 * 64 + 128;
        let projected = ResNetConfig::resnet8(10).init(&device);
        assert_eq!(trainable(&model), trainable(&projected) - projections);
        assert_eq!(
            model.forward(Tensor::zeros([2, 3, 32, 32], &device)).dims(),
            [2, 10]
        );
        for widths in [vec![16, 33], vec![32, 16]] {
            let config = ResNetConfig::new(10, widths, vec![1; 2]);
            let error = config
                .with_shortcut(ShortcutKind::ZeroPadding)
                .try_init(&device);
            assert!(matches!(
                error.unwrap_err(),
                ModelError::PaddedShortcut { .. }
            ));
        }
    }

    #[test]
    fn uneven_lists_are_refused() {
        let error = ResNetConfig::new(10, vec![16, 32], vec![1])
            .try_init(&Device::flex())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "ResNet: 2 stage widths but 1 block counts; give one of each per stage"
        );
    }
}
