//! The layers that every network here is built from, and the block "convolution, batch normalisation, activation".
//!
//! `Conv2d`, `Linear` and `BatchNorm` come in through this file alone, so that a line decides which ones the networks use.

pub use burn_approx::nn::FusedActivation as Activation;
pub(crate) use burn_approx::nn::{BatchNorm, BatchNormConfig};
pub(crate) use burn_approx::nn::{Conv2d, Conv2dConfig, Linear, LinearConfig};

use burn::module::Module;
use burn::nn::{Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

/// A convolution without bias, a batch normalisation and an activation, in this order.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution; the normalisation that follows makes a bias of its own needless.
    pub conv: Conv2d,
    /// The batch normalisation over the convolution's output channels.
    pub norm: BatchNorm,
    #[module(skip)]
    activation: Activation,
}

impl ConvNorm {
    /// Input `[batch, channels_in, height, width]`, output `[batch, channels_out, height_out, width_out]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.norm
            .forward_fused(self.conv.forward(input), None, self.activation)
    }

    /// The output with a shortcut of its shape added before the activation.
    pub(crate) fn forward_with_shortcut(
        &self,
        input: Tensor<4>,
        shortcut: Tensor<4>,
        activation: Activation,
    ) -> Tensor<4> {
        self.norm
            .forward_fused(self.conv.forward(input), Some(shortcut), activation)
    }

    /// How many channels the convolution reads.
    pub fn channels_in(&self) -> usize {
        self.conv.weight.dims()[1] * self.conv.groups
    }
}

/// What is needed to build a [`ConvNorm`]: a square, odd kernel with the padding that keeps the size at stride 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConvNormConfig {
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    pub(crate) kernel_size: usize,
    pub(crate) stride: usize,
    pub(crate) groups: usize,
    pub(crate) activation: Activation,
}

impl ConvNormConfig {
    /// A dense convolution at stride 1.
    pub(crate) fn new(
        channels_in: usize,
        channels_out: usize,
        kernel_size: usize,
        activation: Activation,
    ) -> Self {
        Self {
            channels_in,
            channels_out,
            kernel_size,
            stride: 1,
            groups: 1,
            activation,
        }
    }

    pub(crate) fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    pub(crate) fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Weights as torchvision draws them: normal, with a variance of 2 over the kernel's area times all output
    /// channels, also where the channels are in groups (Burn's Kaiming initialisation divides by the group's channels).
    /// A normalisation follows, so that the weights' size does not matter to the output, but it does to how fast an
    /// optimiser changes them.
    pub(crate) fn init(self, device: &Device) -> ConvNorm {
        let padding = (self.kernel_size - 1) / 2;
        let fan_out = self.kernel_size.pow(2) * self.channels_out;
        let conv = Conv2dConfig::new(
            [self.channels_in, self.channels_out],
            [self.kernel_size, self.kernel_size],
        )
        .with_stride([self.stride, self.stride])
        .with_groups(self.groups)
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(false)
        .with_initializer(Initializer::Normal {
            mean: 0.0,
            std: (2.0 / fan_out as f64).sqrt(),
        })
        .init(device);
        ConvNorm {
            conv,
            norm: BatchNormConfig::new(self.channels_out).init(device),
            activation: self.activation,
        }
    }
}

/// The mean over height and width: `[batch, channels, height, width]` becomes `[batch, channels]`.
pub(crate) fn global_average_pool(features: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = features.dims();
    features
        .reshape([batch, channels, height * width])
        .mean_dim(2)
        .reshape([batch, channels])
}
