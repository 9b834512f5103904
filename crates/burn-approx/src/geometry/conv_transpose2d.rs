//! Two-dimensional transposed convolutions; those over lines are transposed convolutions of height 1.
//!
//! A product takes the weight as an ordinary convolution would, `[out, in / groups, height, width]`, so that output
//! channels lie along one axis. Burn's weights, `[in, out / groups, height, width]`, are turned on the way in and out
//! ([`turn`]).

use approx_cpu::ConvTranspose2dShape;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use burn::tensor::ops::ConvTransposeOptions;

use super::{Geometry, Rules, shape_error};
use crate::error::ApproxError;

impl Rules for ConvTranspose2dShape {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn inner(&self) -> usize {
        Self::inner(self)
    }

    fn inputs(&self) -> usize {
        self.batch * self.in_channels * self.input[0] * self.input[1]
    }

    fn weights(&self) -> usize {
        self.out_channels * (self.in_channels / self.groups) * self.kernel[0] * self.kernel[1]
    }

    fn outputs(&self) -> usize {
        let [height, width] = self.output();
        self.batch * self.out_channels * height * width
    }

    fn products(&self) -> usize {
        Self::products(self)
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

    /// How many taps contribute to an output, and so the weight's sums, depend on the size of the input.
    fn of_weight(&self) -> Geometry {
        Geometry::ConvTranspose2d(Self { batch: 0, ..*self })
    }
}

/// The transposed convolution of `[batch, in, height, width]` with a weight of Burn's,
/// `[in, out / groups, height, width]`.
///
/// # Errors
/// [`ApproxError::Shape`] or [`ApproxError::Kernel`] if the shapes and options do not fit each other.
pub(crate) fn conv_transpose2d(
    activation: [usize; 4],
    weight: [usize; 4],
    options: &ConvTransposeOptions<2>,
) -> Result<Geometry, ApproxError> {
    let [batch, in_channels, height, width] = activation;
    let [weight_channels, group_channels, kernel_height, kernel_width] = weight;
    let out_channels = group_channels.checked_mul(options.groups);
    let Some(out_channels) = out_channels.filter(|_| weight_channels == in_channels) else {
        return Err(shape_error(
            "conv_transpose2d",
            format!(
                "weight {weight:?} takes {weight_channels} input channels, the activation {activation:?} has {in_channels}"
            ),
        ));
    };
    let shape = ConvTranspose2dShape {
        batch,
        in_channels,
        out_channels,
        groups: options.groups,
        input: [height, width],
        kernel: [kernel_height, kernel_width],
        stride: options.stride,
        dilation: options.dilation,
        padding: options.padding,
        output_padding: options.padding_out,
    };
    shape.validate()?;
    Ok(Geometry::ConvTranspose2d(shape))
}

/// The options as Burn's own transposed convolution takes them.
pub(crate) fn options(shape: &ConvTranspose2dShape) -> ConvTransposeOptions<2> {
    ConvTransposeOptions::new(
        shape.stride,
        shape.padding,
        shape.output_padding,
        shape.dilation,
        shape.groups,
    )
}

/// A one-dimensional transposed convolution's options as one over images of height 1.
pub(crate) fn over_lines(options: &ConvTransposeOptions<1>) -> ConvTransposeOptions<2> {
    ConvTransposeOptions::new(
        [1, options.stride[0]],
        [0, options.padding[0]],
        [0, options.padding_out[0]],
        [1, options.dilation[0]],
        options.groups,
    )
}

/// The shapes that a weight `[a, b / groups, ..]` goes through on its way to `[b, a / groups, ..]`.
fn turned(shape: &Shape, groups: usize) -> [Shape; 2] {
    let [first, second, height, width] = shape.dims();
    let own = first / groups.max(1);
    [
        Shape::from(vec![groups, own, second, height, width]),
        Shape::from(vec![groups * second, own, height, width]),
    ]
}

/// A weight `[a, b / groups, height, width]` as `[b, a / groups, height, width]`: from Burn's layout to a product's, or
/// back.
pub(crate) fn turn<B: Backend>(weight: FloatTensor<B>, groups: usize) -> FloatTensor<B> {
    if groups == 1 {
        return B::float_swap_dims(weight, 0, 1);
    }
    let [in_groups, turned] = turned(&weight.shape(), groups);
    let grouped = B::float_reshape(weight, in_groups);
    B::float_reshape(B::float_swap_dims(grouped, 1, 2), turned)
}
