//! Layers to measure: a shape of work as a drop-in layer with random weights, an input for it, and both ready to run.

use burn::nn::PaddingConfig2d;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use burn_approx::convert::{ApproxConfig, ApproxLayer, approx_layers, calibrate, convert};
use burn_approx::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn_approx::nn::{Linear, LinearConfig};
use burn_approx::plan::Geometry;

const VALUES: Distribution = Distribution::Normal(0.0, 1.0);

/// A layer without a bias, and an input.
#[derive(Debug)]
pub enum Layer {
    /// A matrix product.
    Linear(Linear, Tensor<2>),
    /// A convolution.
    Conv2d(Conv2d, Tensor<4>),
    /// A transposed convolution.
    ConvTranspose2d(ConvTranspose2d, Tensor<4>),
}

/// What a layer computes.
#[derive(Debug)]
pub enum Output {
    /// `[rows, columns]`.
    Matrix(Tensor<2>),
    /// `[batch, channels, height, width]`.
    Images(Tensor<4>),
}

impl Output {
    /// The values, once they are computed.
    ///
    /// # Panics
    /// If they could not be.
    pub fn into_data(self) -> TensorData {
        match self {
            Self::Matrix(values) => values.into_data(),
            Self::Images(values) => values.into_data(),
        }
    }
}

impl Layer {
    /// A layer in float.
    pub fn float(geometry: &Geometry, device: &Device) -> Self {
        match geometry {
            Geometry::Matmul(shape) => {
                let config = LinearConfig::new(shape.inner, shape.columns).with_bias(false);
                let input = Tensor::random([shape.rows, shape.inner], VALUES, device);
                Self::Linear(config.init(device), input)
            }
            Geometry::Conv2d(shape) => {
                let [height, width] = shape.input;
                let padding = shape.padding;
                let channels = [shape.in_channels, shape.out_channels];
                let config = Conv2dConfig::new(channels, shape.kernel)
                    .with_stride(shape.stride)
                    .with_dilation(shape.dilation)
                    .with_groups(shape.groups)
                    .with_padding(PaddingConfig2d::Explicit(
                        padding.top,
                        padding.left,
                        padding.bottom,
                        padding.right,
                    ))
                    .with_bias(false);
                let sizes = [shape.batch, shape.in_channels, height, width];
                Self::Conv2d(config.init(device), Tensor::random(sizes, VALUES, device))
            }
            Geometry::ConvTranspose2d(shape) => {
                let [height, width] = shape.input;
                let channels = [shape.in_channels, shape.out_channels];
                let config = ConvTranspose2dConfig::new(channels, shape.kernel)
                    .with_stride(shape.stride)
                    .with_dilation(shape.dilation)
                    .with_groups(shape.groups)
                    .with_padding(shape.padding)
                    .with_padding_out(shape.output_padding)
                    .with_bias(false);
                let sizes = [shape.batch, shape.in_channels, height, width];
                Self::ConvTranspose2d(config.init(device), Tensor::random(sizes, VALUES, device))
            }
        }
    }

    /// A layer that is converted and calibrated on its input.
    ///
    /// # Panics
    /// If the configuration cannot be applied.
    pub fn converted(geometry: &Geometry, config: &ApproxConfig, device: &Device) -> Self {
        let finished = "random values are finite, and drop-in layers can be converted";
        match Self::float(geometry, device) {
            Self::Linear(layer, input) => {
                let (layer, _) = convert(layer, config).expect(finished);
                calibrate(&layer, |layer| drop(layer.forward(input.clone()))).expect(finished);
                Self::Linear(layer, input)
            }
            Self::Conv2d(layer, input) => {
                let (layer, _) = convert(layer, config).expect(finished);
                calibrate(&layer, |layer| drop(layer.forward(input.clone()))).expect(finished);
                Self::Conv2d(layer, input)
            }
            Self::ConvTranspose2d(layer, input) => {
                let (layer, _) = convert(layer, config).expect(finished);
                calibrate(&layer, |layer| drop(layer.forward(input.clone()))).expect(finished);
                Self::ConvTranspose2d(layer, input)
            }
        }
    }

    /// One forward pass.
    pub fn run(&self) -> Output {
        std::hint::black_box(match self {
            Self::Linear(layer, input) => Output::Matrix(layer.forward(input.clone())),
            Self::Conv2d(layer, input) => Output::Images(layer.forward(input.clone())),
            Self::ConvTranspose2d(layer, input) => Output::Images(layer.forward(input.clone())),
        })
    }

    /// The handle to the layer's approximation.
    pub fn handle(&self) -> ApproxLayer {
        let layers = match self {
            Self::Linear(layer, _) => approx_layers(layer),
            Self::Conv2d(layer, _) => approx_layers(layer),
            Self::ConvTranspose2d(layer, _) => approx_layers(layer),
        };
        layers[0].clone()
    }
}
