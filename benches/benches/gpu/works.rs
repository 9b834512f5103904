//! The work that is measured, full-sized and small.

use std::time::Duration;

use approx_cpu::{Conv2dShape, MatmulShape, Padding2d};
use approx_models::{Classifier, MobileNetV2Config, ResNetConfig};
use burn::tensor::Device;
use burn_approx::plan::Geometry;
use clap::ValueEnum;

const CLASSES: usize = 1000;

/// How large the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    /// As on a data-centre GPU.
    Full,
    /// As a software driver runs through in a few minutes.
    Small,
}

/// The networks.
#[derive(Clone, Copy, Debug)]
enum Network {
    ResNet18,
    ResNet50,
    MobileNetV2,
}

/// A network and its images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetworkWork {
    network: Network,
    size: Size,
    pub(crate) batch: usize,
    /// Height and width of an image.
    pub(crate) side: usize,
}

impl Size {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Small => "small",
        }
    }

    /// As long as one case is measured, beyond the samples that are taken at least.
    pub(crate) fn budget(self) -> Duration {
        match self {
            Self::Full => Duration::from_secs(2),
            Self::Small => Duration::ZERO,
        }
    }

    /// Products to look up.
    pub(crate) fn lookups(self) -> [Geometry; 3] {
        match self {
            Self::Full => [
                convolution(32, 64, 56),
                convolution(32, 128, 28),
                self.product(),
            ],
            Self::Small => [
                convolution(2, 16, 14),
                convolution(2, 32, 7),
                self.product(),
            ],
        }
    }

    /// A square product of matrices.
    pub(crate) fn product(self) -> Geometry {
        let side = match self {
            Self::Full => 4096,
            Self::Small => 128,
        };
        Geometry::Matmul(MatmulShape {
            rows: side,
            inner: side,
            columns: side,
        })
    }

    /// The network that factors are measured on.
    pub(crate) fn inference(self) -> NetworkWork {
        self.network(Network::ResNet18, 128)
    }

    /// The networks that every way to multiply is measured on.
    pub(crate) fn networks(self) -> [NetworkWork; 2] {
        [Network::ResNet50, Network::MobileNetV2].map(|network| self.network(network, 16))
    }

    fn network(self, network: Network, batch: usize) -> NetworkWork {
        let (batch, side) = match self {
            Self::Full => (batch, 224),
            Self::Small => (2, 40),
        };
        NetworkWork {
            network,
            size: self,
            batch,
            side,
        }
    }
}

/// A convolution with a kernel of 3 x 3 that keeps the image's size.
fn convolution(batch: usize, channels: usize, side: usize) -> Geometry {
    Geometry::Conv2d(Conv2dShape {
        batch,
        in_channels: channels,
        out_channels: channels,
        groups: 1,
        input: [side, side],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding2d::symmetric(1, 1),
    })
}

/// The name of a layer's work.
pub(crate) fn describe(geometry: &Geometry) -> String {
    match geometry {
        Geometry::Matmul(shape) => {
            format!("matmul {}x{}x{}", shape.rows, shape.inner, shape.columns)
        }
        Geometry::Conv2d(shape) => {
            let [height, width] = shape.input;
            format!(
                "conv {}x{} {}->{}, {}x{height}x{width}",
                shape.kernel[0],
                shape.kernel[1],
                shape.in_channels,
                shape.out_channels,
                shape.batch
            )
        }
        Geometry::ConvTranspose2d(shape) => {
            let [height, width] = shape.input;
            format!(
                "transposed conv {}x{} {}->{}, {}x{height}x{width}",
                shape.kernel[0],
                shape.kernel[1],
                shape.in_channels,
                shape.out_channels,
                shape.batch
            )
        }
    }
}

impl NetworkWork {
    /// The network in float, with random weights: as torchvision has it, or an eighth of its width and, of ResNet, one
    /// block of each stage.
    pub(crate) fn init(&self, device: &Device) -> Classifier {
        let small = self.size == Size::Small;
        let resnet = |mut config: ResNetConfig| {
            if small {
                config.widths.iter_mut().for_each(|width| *width /= 8);
                config.blocks.fill(1);
            }
            Classifier::ResNet(config.init(device))
        };
        match self.network {
            Network::ResNet18 => resnet(ResNetConfig::resnet18(CLASSES)),
            Network::ResNet50 => resnet(ResNetConfig::resnet50(CLASSES)),
            Network::MobileNetV2 => {
                let width = if small { 0.125 } else { 1.0 };
                let config = MobileNetV2Config::new(CLASSES).with_width(width);
                Classifier::MobileNetV2(config.init(device))
            }
        }
    }

    /// The name of the work of a pass.
    pub(crate) fn describe(&self, pass: &str) -> String {
        let Self { batch, side, .. } = self;
        let small = if self.size == Size::Small {
            "small "
        } else {
            ""
        };
        let network = match self.network {
            Network::ResNet18 => "ResNet-18",
            Network::ResNet50 => "ResNet-50",
            Network::MobileNetV2 => "MobileNetV2",
        };
        format!("{small}{network} {side}x{side} batch {batch}, {pass}")
    }
}
