//! Two-dimensional convolutions; those over lines are convolutions of height 1.

use approx_cpu::{Conv2dShape, Padding2d};
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;

use super::{Geometry, Rules, shape_error};
use crate::error::ApproxError;

impl Rules for Conv2dShape {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn inner(&self) -> usize {
        Self::inner(self)
    }

    fn inputs(&self) -> usize {
        self.batch * self.in_channels * self.input[0] * self.input[1]
    }

    fn weights(&self) -> usize {
        self.out_channels * Self::inner(self)
    }

    fn outputs(&self) -> usize {
        let [height, width] = self.output();
        self.batch * self.out_channels * height * width
    }

    fn products(&self) -> usize {
        self.outputs() * Self::inner(self)
    }

    fn output_shape(&self, _activation: &Shape, _weight: &Shape) -> Shape {
        let [height, width] = self.output();
        Shape::from(vec![self.batch, self.out_channels, height, width])
    }

    fn weight_channel_axis(&self, _rank: usize) -> usize {
        0
    }

    fn output_channel_axis(&self, _rank: usize) -> usize {
        1
    }

    fn joining_axes(&self, _rank: usize) -> Option<[usize; 2]> {
        (self.groups == 1).then_some([1, 1])
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn of_weight(&self) -> Geometry {
        Geometry::Conv2d(Self {
            batch: 0,
            input: [0; 2],
            stride: [1; 2],
            dilation: [1; 2],
            padding: Padding2d::default(),
            ..*self
        })
    }
}

/// The convolution of `[batch, in, height, width]` with `[out, in / groups, height, width]`.
///
/// # Errors
/// [`ApproxError::Shape`] or [`ApproxError::Kernel`] if the shapes and options do not fit each other.
pub(crate) fn conv2d(
    activation: [usize; 4],
    weight: [usize; 4],
    options: &ConvOptions<2>,
) -> Result<Geometry, ApproxError> {
    let [batch, in_channels, height, width] = activation;
    let [out_channels, group_channels, kernel_height, kernel_width] = weight;
    if group_channels.checked_mul(options.groups) != Some(in_channels) {
        return Err(shape_error(
            "conv2d",
            format!(
                "weight {weight:?} in {} groups takes {} input channels, the activation {activation:?} has {in_channels}",
                options.groups,
                group_channels * options.groups
            ),
        ));
    }
    let shape = Conv2dShape {
        batch,
        in_channels,
        out_channels,
        groups: options.groups,
        input: [height, width],
        kernel: [kernel_height, kernel_width],
        stride: options.stride,
        dilation: options.dilation,
        padding: Padding2d {
            top: options.padding[0].0,
            bottom: options.padding[0].1,
            left: options.padding[1].0,
            right: options.padding[1].1,
        },
    };
    shape.validate()?;
    Ok(Geometry::Conv2d(shape))
}

/// A convolution's options as Burn's own convolution takes them.
pub(crate) fn options(shape: &Conv2dShape) -> ConvOptions<2> {
    let Padding2d {
        top,
        bottom,
        left,
        right,
    } = shape.padding;
    let padding = [(top, bottom), (left, right)];
    ConvOptions::new_with_padding(shape.stride, padding, shape.dilation, shape.groups)
}

/// A one-dimensional convolution's options as one over images of height 1.
pub(crate) fn over_lines(options: &ConvOptions<1>) -> ConvOptions<2> {
    ConvOptions::new_with_padding(
        [1, options.stride[0]],
        [(0, 0), options.padding[0]],
        [1, options.dilation[0]],
        options.groups,
    )
}

/// A three-dimensional convolution's options within its slices.
pub(crate) fn over_images(options: &ConvOptions<3>) -> ConvOptions<2> {
    let last = |sizes: [usize; 3]| [sizes[1], sizes[2]];
    let [_, height, width] = options.padding;
    ConvOptions::new_with_padding(
        last(options.stride),
        [height, width],
        last(options.dilation),
        options.groups,
    )
}

/// Checks what a convolution layer over `N` axes is made from.
///
/// # Errors
/// [`ApproxError::Shape`] if a size is 0, or the groups do not divide the channels.
pub(crate) fn check_config<const N: usize>(
    operator: &'static str,
    channels: [usize; 2],
    [kernel, stride, dilation]: [[usize; N]; 3],
    groups: usize,
) -> Result<(), ApproxError> {
    let sizes = [&channels[..], &kernel, &stride, &dilation];
    if groups == 0 || sizes.into_iter().flatten().any(|size| *size == 0) {
        return Err(shape_error(
            operator,
            format!(
                "channels {channels:?}, kernel {kernel:?}, stride {stride:?}, dilation {dilation:?} and {groups} groups \
                 must all be above 0"
            ),
        ));
    }
    if channels.iter().any(|count| count % groups != 0) {
        return Err(shape_error(
            operator,
            format!("{groups} groups do not divide both channel counts {channels:?}"),
        ));
    }
    Ok(())
}
