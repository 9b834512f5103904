//! The drop-in for Burn's two-dimensional convolution.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay, Param};
use burn::nn::PaddingConfig2d;
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;

use super::padding;
use crate::error::{ApproxError, or_panic};
use crate::geometry;
use crate::nn::drop_in::drop_in;
use crate::nn::layer::{Approximation, LayerKind, LayerShape, Operands};
use crate::ops;

/// Configuration of a [`Conv2d`] layer, as [`burn::nn::conv::Conv2dConfig`].
///
/// ```
/// use burn::nn::PaddingConfig2d;
/// use burn::prelude::*;
/// use burn_approx::nn::conv::Conv2dConfig;
///
/// let config = Conv2dConfig::new([3, 8], [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
/// let layer = config.init(&Device::default());
/// assert_eq!(layer.forward(Tensor::<4>::zeros([2, 3, 5, 5], &Device::default())).dims(), [2, 8, 5, 5]);
/// ```
#[derive(Config, Debug)]
pub struct Conv2dConfig {
    /// The number of input and output channels.
    pub channels: [usize; 2],
    /// The size of the kernel.
    pub kernel_size: [usize; 2],
    /// The stride of the convolution.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
    /// The spacing between kernel elements.
    #[config(default = "[1, 1]")]
    pub dilation: [usize; 2],
    /// The number of groups that both channel counts are divided into.
    #[config(default = "1")]
    pub groups: usize,
    /// The padding.
    #[config(default = "PaddingConfig2d::Valid")]
    pub padding: PaddingConfig2d,
    /// If a bias should be added to the output.
    #[config(default = true)]
    pub bias: bool,
    /// How the parameters are initialised.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(),fan_out_only:false}")]
    pub initializer: Initializer,
}

impl Conv2dConfig {
    /// Initialises a layer, with the parameters that Burn's own would have.
    ///
    /// # Panics
    /// As Burn's: if the groups do not divide both channel counts, or a stride or dilation is 0.
    pub fn init(&self, device: &Device) -> Conv2d {
        burn::nn::conv::Conv2dConfig::new(self.channels, self.kernel_size)
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
    /// use burn_approx::nn::conv::Conv2dConfig;
    ///
    /// let error = Conv2dConfig::new([6, 8], [3, 3]).with_groups(4).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("4 groups"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<Conv2d, ApproxError> {
        let sizes = [self.kernel_size, self.stride, self.dilation];
        geometry::conv2d::check_config("conv2d", self.channels, sizes, self.groups)?;
        Ok(self.init(device))
    }
}

/// Convolves images, with the multiplier of its approximation once converted; drop-in for [`burn::nn::conv::Conv2d`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Conv2d {
    /// The weight, `[channels_out, channels_in / groups, kernel height, kernel width]`.
    pub weight: Param<Tensor<4>>,
    /// The bias, `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The stride of the convolution.
    pub stride: [usize; 2],
    /// The size of the kernel.
    pub kernel_size: [usize; 2],
    /// The spacing between kernel elements.
    pub dilation: [usize; 2],
    /// The number of groups.
    pub groups: usize,
    /// The padding.
    #[module(skip)]
    pub padding: PaddingConfig2d,
    /// The layer's approximation, empty until conversion.
    pub approximation: Approximation,
}

drop_in! {
    Conv2d for burn::nn::conv::Conv2d {
        weight, bias, stride, kernel_size, dilation, groups, padding,
    }
    added {
        approximation: |layer| Approximation::new(LayerShape::convolution(
            LayerKind::Conv2d,
            &layer.weight.lazy_shape(),
            layer.groups,
        )),
    }
}

impl Conv2d {
    /// Applies the layer to `[batch, channels_in, height, width]`.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        or_panic(self.try_forward(input))
    }

    /// Applies the layer to `[batch, channels_in, height, width]`.
    ///
    /// # Errors
    /// An input that the geometry does not take, fields that are none of a convolution, or a converted layer that is
    /// not calibrated for its mode.
    pub fn try_forward(&self, input: Tensor<4>) -> Result<Tensor<4>, ApproxError> {
        let [out, own, ..] = self.weight.dims();
        let channels = [own.saturating_mul(self.groups), out];
        let sizes = [self.kernel_size, self.stride, self.dilation];
        geometry::conv2d::check_config("conv2d", channels, sizes, self.groups)?;
        let bias = self.bias.as_ref().map(Param::val);
        let options = self.options(&input);
        apply(&self.approximation, input, self.weight.val(), bias, options)
    }

    fn options(&self, input: &Tensor<4>) -> ConvOptions<2> {
        let [_, _, height, width] = input.dims();
        let same = |axis: usize, size: usize| {
            padding::same(size, self.kernel_size[axis], self.stride[axis])
        };
        let padding = match &self.padding {
            PaddingConfig2d::Valid => [(0, 0); 2],
            PaddingConfig2d::Same => [same(0, height), same(1, width)],
            PaddingConfig2d::Explicit(top, left, bottom, right) => {
                [(*top, *bottom), (*left, *right)]
            }
        };
        ConvOptions::new_with_padding(self.stride, padding, self.dilation, self.groups)
    }
}

/// The layer's function: in float, or simulated as its approximation says.
pub(crate) fn apply(
    approximation: &Approximation,
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Result<Tensor<4>, ApproxError> {
    let geometry = geometry::conv2d::conv2d(input.dims(), weight.dims(), &options)?;
    let operands = Operands {
        operator: "conv2d",
        activation: &input,
        parameter: &weight,
        weight: &weight,
        bias: bias.as_ref(),
    };
    Ok(match approximation.begin(operands, geometry)? {
        None => match ops::float_product(&input, &weight, bias.as_ref(), geometry) {
            Some(product) => product,
            None => burn::tensor::module::conv2d(input, weight, bias, options),
        },
        Some(simulation) => simulation.product(input, weight, bias),
    })
}

impl ModuleDisplay for Conv2d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [channels_out, group_channels_in, _, _] = self.weight.dims();
        content
            .add("ch_in", &(group_channels_in * self.groups))
            .add("ch_out", &channels_out)
            .add("stride", &format!("{:?}", self.stride))
            .add("kernel_size", &format!("{:?}", self.kernel_size))
            .add("dilation", &format!("{:?}", self.dilation))
            .add("groups", &self.groups)
            .add_debug_attribute("padding", &self.padding)
            .add("approximation", &self.approximation)
            .optional()
    }
}
