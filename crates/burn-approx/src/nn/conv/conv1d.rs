//! The drop-in for Burn's one-dimensional convolution: a convolution of lines, computed as one of images of height 1.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay, Param};
use burn::nn::PaddingConfig1d;
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;

use super::lines::{as_images, as_lines};
use super::padding;
use crate::error::{ApproxError, or_panic};
use crate::geometry;
use crate::nn::drop_in::drop_in;
use crate::nn::layer::{Approximation, LayerKind, LayerShape, Operands};
use crate::ops;

/// Configuration of a [`Conv1d`] layer, as [`burn::nn::conv::Conv1dConfig`].
///
/// ```
/// use burn::nn::PaddingConfig1d;
/// use burn::prelude::*;
/// use burn_approx::nn::conv::Conv1dConfig;
///
/// let config = Conv1dConfig::new(3, 8, 5).with_padding(PaddingConfig1d::Explicit(2, 2));
/// let layer = config.init(&Device::default());
/// assert_eq!(layer.forward(Tensor::<3>::zeros([2, 3, 16], &Device::default())).dims(), [2, 8, 16]);
/// ```
#[derive(Config, Debug)]
pub struct Conv1dConfig {
    /// The number of input channels.
    pub channels_in: usize,
    /// The number of output channels.
    pub channels_out: usize,
    /// The size of the kernel.
    pub kernel_size: usize,
    /// The stride of the convolution.
    #[config(default = "1")]
    pub stride: usize,
    /// The spacing between kernel elements.
    #[config(default = "1")]
    pub dilation: usize,
    /// The number of groups that both channel counts are divided into.
    #[config(default = "1")]
    pub groups: usize,
    /// The padding.
    #[config(default = "PaddingConfig1d::Valid")]
    pub padding: PaddingConfig1d,
    /// If a bias should be added to the output.
    #[config(default = true)]
    pub bias: bool,
    /// How the parameters are initialised.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(),fan_out_only:false}")]
    pub initializer: Initializer,
}

impl Conv1dConfig {
    /// Initialises a layer, with the parameters that Burn's own would have.
    ///
    /// # Panics
    /// As Burn's: if the groups do not divide both channel counts, or a stride or dilation is 0.
    pub fn init(&self, device: &Device) -> Conv1d {
        burn::nn::conv::Conv1dConfig::new(self.channels_in, self.channels_out, self.kernel_size)
            .with_stride(self.stride)
            .with_dilation(self.dilation)
            .with_groups(self.groups)
            .with_padding(self.padding.clone())
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
    /// use burn_approx::nn::conv::Conv1dConfig;
    ///
    /// let error = Conv1dConfig::new(6, 8, 3).with_groups(4).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("4 groups"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<Conv1d, ApproxError> {
        let channels = [self.channels_in, self.channels_out];
        let sizes = [[self.kernel_size], [self.stride], [self.dilation]];
        geometry::conv2d::check_config("conv1d", channels, sizes, self.groups)?;
        Ok(self.init(device))
    }
}

/// Convolves lines, with the multiplier of its approximation once converted; drop-in for [`burn::nn::conv::Conv1d`].
///
/// In float it computes by Burn's operator, whose weight gradient in Burn 0.22.1 is another with groups and a stride that
/// leaves values at the end unread. In float32 on CPUs, and wherever it is simulated, that gradient is right.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Conv1d {
    /// The weight, `[channels_out, channels_in / groups, kernel size]`.
    pub weight: Param<Tensor<3>>,
    /// The bias, `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The stride of the convolution.
    pub stride: usize,
    /// The size of the kernel.
    pub kernel_size: usize,
    /// The spacing between kernel elements.
    pub dilation: usize,
    /// The number of groups.
    pub groups: usize,
    /// The padding.
    #[module(skip)]
    pub padding: PaddingConfig1d,
    /// The layer's approximation, empty until conversion.
    pub approximation: Approximation,
}

drop_in! {
    Conv1d for burn::nn::conv::Conv1d {
        weight, bias, stride, kernel_size, dilation, groups, padding,
    }
    added {
        approximation: |layer| Approximation::new(LayerShape::convolution(
            LayerKind::Conv1d,
            &layer.weight.lazy_shape(),
            layer.groups,
        )),
    }
}

impl Conv1d {
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
        let [out, own, _] = self.weight.dims();
        let channels = [own.saturating_mul(self.groups), out];
        let sizes = [[self.kernel_size], [self.stride], [self.dilation]];
        geometry::conv2d::check_config("conv1d", channels, sizes, self.groups)?;
        let bias = self.bias.as_ref().map(Param::val);
        let padding = match &self.padding {
            PaddingConfig1d::Valid => (0, 0),
            PaddingConfig1d::Same => padding::same(input.dims()[2], self.kernel_size, self.stride),
            PaddingConfig1d::Explicit(left, right) => (*left, *right),
        };
        let options =
            ConvOptions::new_with_padding([self.stride], [padding], [self.dilation], self.groups);
        apply(&self.approximation, input, self.weight.val(), bias, options)
    }
}

/// The layer's function: in float, or simulated as its approximation says.
pub(crate) fn apply(
    approximation: &Approximation,
    input: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<1>,
) -> Result<Tensor<3>, ApproxError> {
    let (dims, kernel) = (input.dims(), weight.dims());
    geometry::conv2d::check_channels("conv1d", &dims, &kernel, options.groups)?;
    geometry::conv2d::windows(
        ("conv1d", "values"),
        (dims[2], options.padding[0]),
        [kernel[2], options.stride[0], options.dilation[0]],
    )?;
    let images = as_images(input.clone());
    let kernels = as_images(weight.clone());
    let over_images = geometry::conv2d::over_lines(&options);
    let geometry = geometry::conv2d::conv2d(images.dims(), kernels.dims(), &over_images)?;
    let operands = Operands {
        operator: "conv1d",
        activation: &input,
        parameter: &weight,
        weight: &kernels,
        bias: bias.as_ref(),
    };
    Ok(match approximation.begin(operands, geometry)? {
        None => match ops::float_product(&images, &kernels, bias.as_ref(), geometry) {
            Some(product) => as_lines(product),
            None => burn::tensor::module::conv1d(input, weight, bias, options),
        },
        Some(simulation) => as_lines(simulation.product(images, kernels, bias)),
    })
}

impl ModuleDisplay for Conv1d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [channels_out, group_channels_in, _] = self.weight.dims();
        content
            .add("ch_in", &(group_channels_in * self.groups))
            .add("ch_out", &channels_out)
            .add("stride", &self.stride)
            .add("kernel_size", &self.kernel_size)
            .add("dilation", &self.dilation)
            .add("groups", &self.groups)
            .add_debug_attribute("padding", &self.padding)
            .add("approximation", &self.approximation)
            .optional()
    }
}
