//! The drop-in for Burn's one-dimensional transposed convolution: one of lines, computed as one of images of height 1.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay, Param};
use burn::prelude::*;
use burn::tensor::ops::ConvTransposeOptions;

use super::lines::{as_images, as_lines};
use crate::error::{ApproxError, or_panic};
use crate::geometry::{conv_transpose2d, conv2d};
use crate::nn::drop_in::drop_in;
use crate::nn::layer::{Approximation, LayerKind, LayerShape, Operands};
use crate::ops;

/// Configuration of a [`ConvTranspose1d`] layer, as [`burn::nn::conv::ConvTranspose1dConfig`].
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::nn::conv::ConvTranspose1dConfig;
///
/// let config = ConvTranspose1dConfig::new([3, 8], 4).with_stride(2).with_padding(1);
/// let layer = config.init(&Device::default());
/// assert_eq!(layer.forward(Tensor::<3>::zeros([2, 3, 5], &Device::default())).dims(), [2, 8, 10]);
/// ```
#[derive(Config, Debug)]
pub struct ConvTranspose1dConfig {
    /// The number of input and output channels.
    pub channels: [usize; 2],
    /// The size of the kernel.
    pub kernel_size: usize,
    /// The distance in the output between what neighbouring inputs contribute to.
    #[config(default = "1")]
    pub stride: usize,
    /// The spacing between kernel elements.
    #[config(default = "1")]
    pub dilation: usize,
    /// The number of groups that both channel counts are divided into.
    #[config(default = "1")]
    pub groups: usize,
    /// What is cropped off the output on either side.
    #[config(default = "0")]
    pub padding: usize,
    /// What is added to the output at the end of an axis, and was cropped or never reached.
    #[config(default = "0")]
    pub padding_out: usize,
    /// If a bias should be added to the output.
    #[config(default = true)]
    pub bias: bool,
    /// How the parameters are initialised.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(),fan_out_only:false}")]
    pub initializer: Initializer,
}

impl ConvTranspose1dConfig {
    /// Initialises a layer, with the parameters that Burn's own would have.
    ///
    /// # Panics
    /// As Burn's: if the groups do not divide both channel counts.
    pub fn init(&self, device: &Device) -> ConvTranspose1d {
        burn::nn::conv::ConvTranspose1dConfig::new(self.channels, self.kernel_size)
            .with_stride(self.stride)
            .with_dilation(self.dilation)
            .with_groups(self.groups)
            .with_padding(self.padding)
            .with_padding_out(self.padding_out)
            .with_bias(self.bias)
            .with_initializer(self.initializer.clone())
            .init(device)
            .into()
    }

    /// Initialises a layer.
    ///
    /// # Errors
    /// If the groups do not divide both channel counts, or a channel count, kernel size, stride, dilation or the groups
    /// are 0.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::nn::conv::ConvTranspose1dConfig;
    ///
    /// let error = ConvTranspose1dConfig::new([6, 8], 3).with_groups(4).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("4 groups"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<ConvTranspose1d, ApproxError> {
        let sizes = [[self.kernel_size], [self.stride], [self.dilation]];
        conv2d::check_config("conv_transpose1d", self.channels, sizes, self.groups)?;
        Ok(self.init(device))
    }
}

/// Convolves lines transposed, with the multiplier of its approximation once converted; drop-in for
/// [`burn::nn::conv::ConvTranspose1d`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct ConvTranspose1d {
    /// The weight, `[channels_in, channels_out / groups, kernel size]`.
    pub weight: Param<Tensor<3>>,
    /// The bias, `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The distance in the output between what neighbouring inputs contribute to.
    pub stride: usize,
    /// The size of the kernel.
    pub kernel_size: usize,
    /// The spacing between kernel elements.
    pub dilation: usize,
    /// The number of groups.
    pub groups: usize,
    /// What is cropped off the output on either side.
    pub padding: usize,
    /// What is added to the output at the end of an axis.
    pub padding_out: usize,
    /// The number of input and output channels.
    pub channels: [usize; 2],
    /// The layer's approximation, empty until conversion.
    pub approximation: Approximation,
}

drop_in! {
    ConvTranspose1d for burn::nn::conv::ConvTranspose1d {
        weight, bias, stride, kernel_size, dilation, groups, padding, padding_out, channels,
    }
    added {
        approximation: |layer| Approximation::new(LayerShape::transposed_convolution(
            LayerKind::ConvTranspose1d,
            &layer.weight.lazy_shape(),
            layer.groups,
            [layer.stride, layer.dilation].map(|size| vec![size]),
        )),
    }
}

impl ConvTranspose1d {
    /// Applies the layer to `[batch, channels_in, length]`.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        or_panic(self.try_forward(input))
    }

    /// Applies the layer to `[batch, channels_in, length]`.
    ///
    /// # Errors
    /// An input that the geometry does not take, fields that are none of a convolution, or a converted layer that is
    /// not calibrated for its mode.
    pub fn try_forward(&self, input: Tensor<3>) -> Result<Tensor<3>, ApproxError> {
        let [inputs, own, _] = self.weight.dims();
        let channels = [inputs, own.saturating_mul(self.groups)];
        let sizes = [[self.kernel_size], [self.stride], [self.dilation]];
        conv2d::check_config("conv_transpose1d", channels, sizes, self.groups)?;
        let bias = self.bias.as_ref().map(Param::val);
        let options = ConvTransposeOptions::new(
            [self.stride],
            [self.padding],
            [self.padding_out],
            [self.dilation],
            self.groups,
        );
        apply(&self.approximation, input, self.weight.val(), bias, options)
    }
}

/// The layer's function: in float, or simulated as its approximation says.
pub(crate) fn apply(
    approximation: &Approximation,
    input: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: ConvTransposeOptions<1>,
) -> Result<Tensor<3>, ApproxError> {
    let images = as_images(input.clone());
    let over_images = as_images(weight.clone());
    let image_options = conv_transpose2d::over_lines(&options);
    let geometry =
        conv_transpose2d::conv_transpose2d(images.dims(), over_images.dims(), &image_options)?;
    let kernels = ops::turned_weight(over_images, options.groups);
    let operands = Operands {
        operator: "conv_transpose1d",
        activation: &input,
        parameter: &weight,
        weight: &kernels,
        bias: bias.as_ref(),
    };
    Ok(match approximation.begin(operands, geometry)? {
        None => match ops::float_product(&images, &kernels, bias.as_ref(), geometry) {
            Some(product) => as_lines(product),
            None => burn::tensor::module::conv_transpose1d(input, weight, bias, options),
        },
        Some(simulation) => as_lines(simulation.product(images, kernels, bias)),
    })
}

impl ModuleDisplay for ConvTranspose1d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("channels", &format!("{:?}", self.channels))
            .add("stride", &format!("{:?}", self.stride))
            .add("kernel_size", &format!("{:?}", self.kernel_size))
            .add("dilation", &format!("{:?}", self.dilation))
            .add("groups", &self.groups)
            .add("padding", &format!("{:?}", self.padding))
            .add("padding_out", &format!("{:?}", self.padding_out))
            .add("approximation", &self.approximation)
            .optional()
    }
}
