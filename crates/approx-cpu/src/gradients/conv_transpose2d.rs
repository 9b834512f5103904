//! The gradients of a two-dimensional transposed convolution.
//!
//! The gradient of the activations is an ordinary convolution of the outputs' gradient. That of the weight is what an
//! ordinary convolution's is, with activations and outputs exchanged.

use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length};
use crate::shapes::ConvTranspose2dShape;

use super::conv2d::offsets;
use super::images::{Images, Phase};
use super::lines::{Lines, Planes};
use super::operand::{Coded, FloatOperand};
use super::product::{Left, Right};
use super::turned::turned;
use super::weights::Weight;
use super::windows::Windows;

/// The gradient of a transposed convolution's activations.
///
/// `weight` is `[out_channels, in_channels / groups, height, width]`, as the products of transposed convolutions take
/// it; `gradient`, that of the outputs, is `[batch, out_channels, height, width]`. The result has the activations' shape
/// `[batch, in_channels, height, width]`. All are row-major. If `coded` has the activations and their
/// quantiser, those that were clipped get 0, others a factor where a function of their codes is given.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape, and what [`ConvTranspose2dShape::validate`] finds.
///
/// ```
/// use approx_cpu::{ConvTranspose2dShape, conv_transpose2d_activation_gradient};
///
/// let shape = ConvTranspose2dShape {
///     batch: 1,
///     in_channels: 1,
///     out_channels: 1,
///     groups: 1,
///     input: [1, 2],
///     kernel: [1, 2],
///     stride: [1, 2],
///     dilation: [1, 1],
///     padding: [0, 0],
///     output_padding: [0, 0],
/// };
/// let gradient = conv_transpose2d_activation_gradient(&shape, &[10.0, 1.0], &[1.0, 2.0, 3.0, 4.0], None)?;
/// assert_eq!(gradient, [12.0, 34.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv_transpose2d_activation_gradient(
    shape: &ConvTranspose2dShape,
    weight: &[f32],
    gradient: &[f32],
    coded: Option<Coded<'_>>,
) -> Result<Vec<f32>, KernelError> {
    let set = InstructionSet::best();
    conv_transpose2d_activation_gradient_with(set, shape, weight, gradient, coded)
}

/// [`conv_transpose2d_activation_gradient`] with a given instruction set.
pub(crate) fn conv_transpose2d_activation_gradient_with(
    set: InstructionSet,
    shape: &ConvTranspose2dShape,
    weight: &[f32],
    gradient: &[f32],
    coded: Option<Coded<'_>>,
) -> Result<Vec<f32>, KernelError> {
    shape.validate()?;
    check_length("weights", shape.weight_length(), weight.len())?;
    check_length("gradients", output_length(shape), gradient.len())?;
    let length = shape.input_length();
    coded.map_or(Ok(()), |coded| coded.check(length))?;
    if length == 0 || gradient.is_empty() {
        return Ok(vec![0.0; length]);
    }
    let [inputs, outputs] = group_channels(shape);
    let windows = windows(shape, gradient);
    let taps = shape.kernel[0] * shape.kernel[1];
    let depth = outputs * taps;
    let turned = match taps {
        1 => Vec::new(),
        _ => turned(
            weight,
            [shape.groups, outputs, inputs],
            taps,
            &[(0..taps).collect()],
        ),
    };
    let operands = |group: usize| {
        let left = match taps {
            1 => Left::Columns(Lines::Planes(Planes {
                values: weight.into(),
                channels: shape.out_channels,
                plane: inputs,
                first_channel: group * outputs,
            })),
            _ => Left::Rows(Lines::Planes(Planes {
                values: turned[..].into(),
                channels: shape.in_channels,
                plane: depth,
                first_channel: group * inputs,
            })),
        };
        (left, Right::Rows(Lines::of(&windows[group])))
    };
    let images = Images {
        images: shape.batch,
        groups: shape.groups,
        channels: inputs,
        sides: shape.input,
        stride: [1, 1],
        phases: vec![Phase {
            first: [0, 0],
            depth: 0..depth,
        }],
    };
    Ok(images.compute(set, operands, coded))
}

/// The gradient of a transposed convolution's weight.
///
/// `activation` is `[batch, in_channels, height, width]`, `gradient`, that of the outputs,
/// `[batch, out_channels, height, width]`. The result has the weight's shape
/// `[out_channels, in_channels / groups, height, width]`, as the products of transposed convolutions take it. All are
/// row-major.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape, and what [`ConvTranspose2dShape::validate`] finds.
///
/// ```
/// use approx_cpu::{ConvTranspose2dShape, conv_transpose2d_weight_gradient};
///
/// let shape = ConvTranspose2dShape {
///     batch: 1,
///     in_channels: 1,
///     out_channels: 1,
///     groups: 1,
///     input: [1, 2],
///     kernel: [1, 2],
///     stride: [1, 2],
///     dilation: [1, 1],
///     padding: [0, 0],
///     output_padding: [0, 0],
/// };
/// let gradient = conv_transpose2d_weight_gradient(&shape, &[10.0, 1.0], &[1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!(gradient, [13.0, 24.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv_transpose2d_weight_gradient<'a>(
    shape: &ConvTranspose2dShape,
    activation: impl Into<FloatOperand<'a>>,
    gradient: &[f32],
) -> Result<Vec<f32>, KernelError> {
    let (set, activation) = (InstructionSet::best(), activation.into());
    conv_transpose2d_weight_gradient_with(set, shape, activation, gradient)
}

/// [`conv_transpose2d_weight_gradient`] with a given instruction set.
pub(crate) fn conv_transpose2d_weight_gradient_with(
    set: InstructionSet,
    shape: &ConvTranspose2dShape,
    activation: FloatOperand<'_>,
    gradient: &[f32],
) -> Result<Vec<f32>, KernelError> {
    shape.validate()?;
    check_length(
        "activations",
        shape.input_length(),
        activation.values().len(),
    )?;
    activation.check()?;
    check_length("gradients", output_length(shape), gradient.len())?;
    let length = shape.weight_length();
    if length == 0 || activation.values().is_empty() || gradient.is_empty() {
        return Ok(vec![0.0; length]);
    }
    let [inputs, outputs] = group_channels(shape);
    let windows = windows(shape, gradient);
    let plane = shape.input[0] * shape.input[1];
    let taps = shape.kernel[0] * shape.kernel[1];
    let product = Weight {
        groups: shape.groups,
        rows: outputs * taps,
        columns: inputs,
        depth: shape.batch * plane,
        run: taps,
    };
    let operands = |group: usize| {
        let right = Right::Columns(Lines::Planes(Planes {
            values: activation,
            channels: shape.in_channels,
            plane,
            first_channel: group * inputs,
        }));
        (Left::Rows(Lines::of(&windows[group])), right)
    };
    Ok(product.compute(set, operands))
}

/// What the taps see of the outputs' gradient at every position of the input, by group.
fn windows<'a>(shape: &ConvTranspose2dShape, gradient: &'a [f32]) -> Vec<Windows<'a>> {
    let offsets = [0, 1].map(|axis| {
        offsets(
            shape.kernel[axis],
            shape.dilation[axis],
            shape.padding[axis],
        )
    });
    let [_, outputs] = group_channels(shape);
    Windows::with_all_taps(
        gradient.into(),
        [shape.groups, outputs],
        shape.output(),
        shape.input,
        shape.stride,
        offsets,
    )
}

/// Input and output channels of a group.
fn group_channels(shape: &ConvTranspose2dShape) -> [usize; 2] {
    [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups)
}

fn output_length(shape: &ConvTranspose2dShape) -> usize {
    let [height, width] = shape.output();
    shape.batch * shape.out_channels * height * width
}
