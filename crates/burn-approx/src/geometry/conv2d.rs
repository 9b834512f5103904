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

    fn groups(&self) -> usize {
        self.groups
    }

    fn joining_axes(&self, _rank: usize) -> [usize; 2] {
        [1, 1]
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
    check_channels("conv2d", &activation, &weight, options.groups)?;
    let [batch, in_channels, height, width] = activation;
    let [out_channels, _, kernel_height, kernel_width] = weight;
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

/// Checks that an activation `[batch, in, ..]` has the channels that a weight `[out, in / groups, ..]` takes.
///
/// # Errors
/// [`ApproxError::Shape`] if it has not.
pub(crate) fn check_channels(
    operator: &'static str,
    activation: &[usize],
    weight: &[usize],
    groups: usize,
) -> Result<(), ApproxError> {
    let (channels, taken) = (activation[1], weight[1].saturating_mul(groups));
    if channels == taken {
        return Ok(());
    }
    Err(shape_error(
        operator,
        format!(
            "weight {weight:?} in {groups} groups takes {taken} input channels, the activation {activation:?} has {channels}"
        ),
    ))
}

/// The number of windows along one axis of a convolution: what the output has of the `parts` that the axis is made of.
///
/// # Errors
/// [`ApproxError::Shape`] if the kernel, stride or dilation is 0, or the kernel reaches over more than the padded
/// input.
pub(crate) fn windows(
    (operator, parts): (&'static str, &str),
    (input, padding): (usize, (usize, usize)),
    [kernel, stride, dilation]: [usize; 3],
) -> Result<usize, ApproxError> {
    let padded = input.saturating_add(padding.0).saturating_add(padding.1);
    let reach = kernel
        .saturating_sub(1)
        .saturating_mul(dilation)
        .saturating_add(1);
    let steps = padded.checked_sub(reach);
    let windows = steps.and_then(|steps| steps.checked_div(stride));
    match windows.filter(|_| kernel > 0 && dilation > 0) {
        Some(windows) => Ok(windows + 1),
        None => Err(shape_error(
            operator,
            format!(
                "a kernel of {kernel} {parts}, {dilation} apart, in steps of {stride}, does not fit a padded input of {padded} {parts}"
            ),
        )),
    }
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
