//! The drop-in for Burn's three-dimensional convolution, computed as a two-dimensional one.
//!
//! For every output slice, the input slices that its kernel meets become further input channels, so that each product
//! of codes is still computed once, by the kernels of images. That copies the input as often as the kernel is deep;
//! padding in depth holds the real value 0, whose code is the zero point.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay, Param};
use burn::nn::PaddingConfig3d;
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;

use super::padding;
use crate::error::{ApproxError, or_panic};
use crate::geometry;
use crate::nn::drop_in::drop_in;
use crate::nn::layer::{Approximation, LayerKind, LayerShape, Operands};
use crate::ops;

/// Configuration of a [`Conv3d`] layer, as [`burn::nn::conv::Conv3dConfig`].
///
/// ```
/// use burn::nn::PaddingConfig3d;
/// use burn::prelude::*;
/// use burn_approx::nn::conv::Conv3dConfig;
///
/// let config = Conv3dConfig::new([3, 8], [3, 3, 3]).with_padding(PaddingConfig3d::Explicit(1, 1, 1));
/// let layer = config.init(&Device::default());
/// assert_eq!(layer.forward(Tensor::<5>::zeros([2, 3, 4, 5, 5], &Device::default())).dims(), [2, 8, 4, 5, 5]);
/// ```
#[derive(Config, Debug)]
pub struct Conv3dConfig {
    /// The number of input and output channels.
    pub channels: [usize; 2],
    /// The size of the kernel: depth, height, width.
    pub kernel_size: [usize; 3],
    /// The stride of the convolution.
    #[config(default = "[1, 1, 1]")]
    pub stride: [usize; 3],
    /// The spacing between kernel elements.
    #[config(default = "[1, 1, 1]")]
    pub dilation: [usize; 3],
    /// The number of groups that both channel counts are divided into.
    #[config(default = "1")]
    pub groups: usize,
    /// The padding.
    #[config(default = "PaddingConfig3d::Valid")]
    pub padding: PaddingConfig3d,
    /// If a bias should be added to the output.
    #[config(default = true)]
    pub bias: bool,
    /// How the parameters are initialised.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(),fan_out_only:false}")]
    pub initializer: Initializer,
}

impl Conv3dConfig {
    /// Initialises a layer, with the parameters that Burn's own would have.
    ///
    /// # Panics
    /// As Burn's: if the groups do not divide both channel counts, a stride or dilation is 0, or padding is to keep the
    /// size of the input under a kernel of even size.
    pub fn init(&self, device: &Device) -> Conv3d {
        burn::nn::conv::Conv3dConfig::new(self.channels, self.kernel_size)
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
    /// If the groups do not divide both channel counts, a channel count, kernel size, stride, dilation or the groups
    /// are 0, or padding is to keep the size of the input under a kernel of even size.
    ///
    /// ```
    /// use burn::nn::PaddingConfig3d;
    /// use burn::prelude::*;
    /// use burn_approx::nn::conv::Conv3dConfig;
    ///
    /// let config = Conv3dConfig::new([6, 8], [3, 3, 2]);
    /// let error = config.clone().with_groups(4).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("4 groups"));
    /// let error = config.with_padding(PaddingConfig3d::Same).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("PaddingConfig3d::Explicit"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<Conv3d, ApproxError> {
        let sizes = [self.kernel_size, self.stride, self.dilation];
        geometry::conv2d::check_config("conv3d", self.channels, sizes, self.groups)?;
        let is_even = |size: &usize| size.is_multiple_of(2);
        if self.padding == PaddingConfig3d::Same && self.kernel_size.iter().any(is_even) {
            return Err(uneven(format!("a kernel of {:?}", self.kernel_size)));
        }
        Ok(self.init(device))
    }
}

/// Convolves volumes, with the multiplier of its approximation once converted; drop-in for [`burn::nn::conv::Conv3d`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Conv3d {
    /// The weight, `[channels_out, channels_in / groups, kernel depth, height, width]`.
    pub weight: Param<Tensor<5>>,
    /// The bias, `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The stride of the convolution.
    pub stride: [usize; 3],
    /// The size of the kernel: depth, height, width.
    pub kernel_size: [usize; 3],
    /// The spacing between kernel elements.
    pub dilation: [usize; 3],
    /// The number of groups.
    pub groups: usize,
    /// The padding.
    #[module(skip)]
    pub padding: PaddingConfig3d,
    /// The layer's approximation, empty until conversion.
    pub approximation: Approximation,
}

drop_in! {
    Conv3d for burn::nn::conv::Conv3d {
        weight, bias, stride, kernel_size, dilation, groups, padding,
    }
    added {
        approximation: |layer| Approximation::new(LayerShape::convolution(
            LayerKind::Conv3d,
            &layer.weight.lazy_shape(),
            layer.groups,
        )),
    }
}

impl Conv3d {
    /// Applies the layer to `[batch, channels_in, depth, height, width]`.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        or_panic(self.try_forward(input))
    }

    /// Applies the layer to `[batch, channels_in, depth, height, width]`.
    ///
    /// # Errors
    /// An input that the geometry does not take, fields that are none of a convolution, or a converted layer that is
    /// not calibrated for its mode.
    pub fn try_forward(&self, input: Tensor<5>) -> Result<Tensor<5>, ApproxError> {
        let [out, own, ..] = self.weight.dims();
        let channels = [own.saturating_mul(self.groups), out];
        let sizes = [self.kernel_size, self.stride, self.dilation];
        geometry::conv2d::check_config("conv3d", channels, sizes, self.groups)?;
        let bias = self.bias.as_ref().map(Param::val);
        let [_, _, sizes @ ..] = input.dims();
        let padding = match &self.padding {
            PaddingConfig3d::Valid => [(0, 0); 3],
            PaddingConfig3d::Same => std::array::from_fn(|axis| {
                padding::same(sizes[axis], self.kernel_size[axis], self.stride[axis])
            }),
            PaddingConfig3d::Explicit(depth, height, width) => {
                [*depth, *height, *width].map(|size| (size, size))
            }
        };
        if let Some((before, after)) = padding.into_iter().find(|(before, after)| before != after) {
            let (kernel, stride) = (self.kernel_size, self.stride);
            return Err(uneven(format!(
                "a kernel of {kernel:?} and a stride of {stride:?} on an input of {sizes:?}, where it would be {before} before and {after} \
                 after an axis"
            )));
        }
        let padding = padding.map(|(before, _)| before);
        let options = ConvOptions::new(self.stride, padding, self.dilation, self.groups);
        apply(&self.approximation, input, self.weight.val(), bias, options)
    }
}

/// Padding that keeps the size of the input, where it would differ on the two sides of an axis.
fn uneven(case: String) -> ApproxError {
    geometry::shape_error(
        "conv3d",
        format!(
            "`PaddingConfig3d::Same` does not do for {case}: Burn pads volumes alike on both sides. Use kernels of odd sizes and \
             strides that divide one less than the input's sizes, or `PaddingConfig3d::Explicit`"
        ),
    )
}

/// The layer's function: in float, or simulated as its approximation says.
pub(crate) fn apply(
    approximation: &Approximation,
    input: Tensor<5>,
    weight: Tensor<5>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<3>,
) -> Result<Tensor<5>, ApproxError> {
    let slices = Slices::new(input.dims(), weight.dims(), &options)?;
    let kernels = slices.kernels(weight.clone());
    let over_images = geometry::conv2d::over_images(&options);
    let geometry = geometry::conv2d::conv2d(slices.image_dims(), kernels.dims(), &over_images)?;
    let operands = Operands {
        operator: "conv3d",
        activation: &input,
        parameter: &weight,
        weight: &kernels,
        bias: bias.as_ref(),
    };
    Ok(match approximation.begin(operands, geometry)? {
        None => burn::tensor::module::conv3d(input, weight, bias, options),
        Some(simulation) => {
            let product = simulation.product(slices.images(input), kernels, bias);
            slices.volumes(product)
        }
    })
}

/// How volumes become images: every output slice is an image, whose channels are the input slices that its kernel
/// meets.
struct Slices {
    input: [usize; 5],
    /// The slices of the kernel.
    kernel: usize,
    padding: (usize, usize),
    stride: usize,
    dilation: usize,
    /// The slices of the output.
    outputs: usize,
}

impl Slices {
    fn new(
        input: [usize; 5],
        weight: [usize; 5],
        options: &ConvOptions<3>,
    ) -> Result<Self, ApproxError> {
        geometry::conv2d::check_channels("conv3d", &input, &weight, options.groups)?;
        let (padding, stride, dilation) =
            (options.padding[0], options.stride[0], options.dilation[0]);
        let kernel = weight[2];
        let outputs = geometry::conv2d::windows(
            ("conv3d", "slices"),
            (input[2], padding),
            [kernel, stride, dilation],
        )?;
        Ok(Self {
            input,
            kernel,
            padding,
            stride,
            dilation,
            outputs,
        })
    }

    /// The shape of all output slices' images.
    fn image_dims(&self) -> [usize; 4] {
        let [batch, channels, _, height, width] = self.input;
        let images = batch.saturating_mul(self.outputs);
        [images, channels.saturating_mul(self.kernel), height, width]
    }

    /// The input as images, `[batch x output slice, channel x kernel slice, height, width]`.
    fn images(&self, input: Tensor<5>) -> Tensor<4> {
        let images = self.image_dims();
        // Nothing becomes nothing. (Burn's joining of tensors forgets where those without values came from.)
        if images.contains(&0) && self.input.contains(&0) {
            return ops::reshaped(input, images);
        }
        let padded = input.pad(
            [self.padding, (0, 0), (0, 0)],
            burn::tensor::ops::PadMode::Constant(0.0),
        );
        let taps = (0..self.kernel).map(|tap| {
            let first = tap * self.dilation;
            let last = first + (self.outputs - 1) * self.stride;
            padded
                .clone()
                .slice(s![.., .., first..=last;self.stride, .., ..])
        });
        // [batch, channel, kernel slice, output slice, height, width]
        let met = Tensor::stack::<6>(taps.collect(), 2);
        ops::reshaped(met.permute([0, 3, 1, 2, 4, 5]), images)
    }

    /// The weight as kernels of images; its values lie as they lay.
    fn kernels(&self, weight: Tensor<5>) -> Tensor<4> {
        let [outputs, channels, depth, height, width] = weight.dims();
        ops::reshaped(weight, [outputs, channels * depth, height, width])
    }

    /// The output from its slices.
    fn volumes(&self, images: Tensor<4>) -> Tensor<5> {
        let [_, channels, height, width] = images.dims();
        let [batch, ..] = self.input;
        ops::reshaped(images, [batch, self.outputs, channels, height, width]).swap_dims(1, 2)
    }
}

impl ModuleDisplay for Conv3d {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [channels_out, group_channels_in, ..] = self.weight.dims();
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
