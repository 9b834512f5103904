//! The gradients of a two-dimensional convolution.
//!
//! An activation gets something from every output whose window it lies in. Activations whose padded positions leave the
//! same remainder modulo the stride meet the same taps: such a phase is a product of the weight's taps with what windows
//! see of the outputs' gradient. The weight's gradient is a product of what the windows see of the activations with the
//! outputs' gradient, over all positions.

use std::collections::BTreeMap;

use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length};
use crate::shapes::Conv2dShape;

use super::depthwise;
use super::images::{Images, Phase};
use super::lines::{Lines, Planes};
use super::operand::{Coded, FloatOperand};
use super::product::{Left, Right};
use super::turned::turned;
use super::weights::Weight;
use super::windows::{WindowAxis, Windows};

/// The gradient of a convolution's activations.
///
/// `weight` is `[out_channels, in_channels / groups, height, width]`, `gradient`, that of the outputs,
/// `[batch, out_channels, height, width]`; the result has the activations' shape
/// `[batch, in_channels, height, width]`. All are row-major. Activations that no window reaches get 0,
/// and if `coded` has the activations and their quantiser, so do those that were clipped; others get a factor
/// where a function of their codes is given.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape, and what [`Conv2dShape::validate`] finds.
///
/// ```
/// use approx_cpu::{Conv2dShape, Padding2d, conv2d_activation_gradient};
///
/// let shape = Conv2dShape {
///     batch: 1,
///     in_channels: 1,
///     out_channels: 1,
///     groups: 1,
///     input: [1, 4],
///     kernel: [1, 2],
///     stride: [1, 2],
///     dilation: [1, 1],
///     padding: Padding2d::default(),
/// };
/// let gradient = conv2d_activation_gradient(&shape, &[10.0, 1.0], &[1.0, 2.0], None)?;
/// assert_eq!(gradient, [10.0, 1.0, 20.0, 2.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv2d_activation_gradient(
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: &[f32],
    coded: Option<Coded<'_>>,
) -> Result<Vec<f32>, KernelError> {
    conv2d_activation_gradient_with(InstructionSet::best(), shape, weight, gradient, coded)
}

/// [`conv2d_activation_gradient`] with a given instruction set.
pub(crate) fn conv2d_activation_gradient_with(
    set: InstructionSet,
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: &[f32],
    coded: Option<Coded<'_>>,
) -> Result<Vec<f32>, KernelError> {
    shape.validate()?;
    check_length("weights", weight_length(shape), weight.len())?;
    check_length("gradients", output_length(shape), gradient.len())?;
    let length = shape.input_length();
    coded.map_or(Ok(()), |coded| coded.check(length))?;
    if length == 0 || gradient.is_empty() {
        return Ok(vec![0.0; length]);
    }
    if is_depthwise(shape) {
        let mut to = vec![0.0; length];
        depthwise::activation_gradient(set, shape, weight, gradient, &mut to);
        if let Some(coded) = coded {
            coded.apply_to_all(set, &mut to);
        }
        return Ok(to);
    }
    let Conv2dShape { groups, kernel, .. } = *shape;
    let [inputs, outputs] = group_channels(shape);
    let axes = [0, 1].map(|axis| Axis::new(shape, axis));
    let mut images = Images {
        images: shape.batch,
        groups,
        channels: inputs,
        sides: shape.input,
        stride: shape.stride,
        phases: Vec::new(),
    };
    let (mut offsets, mut taps) = (Vec::new(), Vec::new());
    let mut depth = 0;
    for (&row, rows) in &axes[0].phases {
        for (&column, columns) in &axes[1].phases {
            let both = rows
                .iter()
                .flat_map(|row| columns.iter().map(move |column| (row, column)));
            let of_phase: Vec<[i128; 2]> = both
                .clone()
                .map(|(row, column)| [row.1, column.1])
                .collect();
            let end = depth + outputs * of_phase.len();
            images.phases.push(Phase {
                first: [row, column],
                depth: depth..end,
            });
            depth = end;
            offsets.push(of_phase);
            taps.push(
                both.map(|(row, column)| row.0 * kernel[1] + column.0)
                    .collect(),
            );
        }
    }
    let windows = |group: usize| Windows {
        values: gradient.into(),
        channels: shape.out_channels,
        group: group * outputs..(group + 1) * outputs,
        axes: axes.each_ref().map(|axis| axis.window.clone()),
        sets: offsets.clone(),
    };
    let windows: Vec<Windows<'_>> = (0..groups).map(windows).collect();
    let is_single = kernel == [1, 1];
    let turned = match is_single {
        true => Vec::new(),
        false => turned(
            weight,
            [groups, outputs, inputs],
            kernel[0] * kernel[1],
            &taps,
        ),
    };
    let operands = |group: usize| {
        let left = match is_single {
            true => Left::Columns(Lines::Planes(Planes {
                values: weight.into(),
                channels: shape.out_channels,
                plane: inputs,
                first_channel: group * outputs,
            })),
            false => Left::Rows(Lines::Planes(Planes {
                values: turned[..].into(),
                channels: shape.in_channels,
                plane: depth.max(1),
                first_channel: group * inputs,
            })),
        };
        (left, Right::Rows(Lines::of(&windows[group])))
    };
    Ok(images.compute(set, operands, coded))
}

/// The gradient of a convolution's weight.
///
/// `activation` is `[batch, in_channels, height, width]`, `gradient`, that of the outputs,
/// `[batch, out_channels, height, width]`; the result has the weight's shape
/// `[out_channels, in_channels / groups, height, width]`. All are row-major. Padding counts as 0.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape, and what [`Conv2dShape::validate`] finds.
///
/// ```
/// use approx_cpu::{Conv2dShape, Padding2d, conv2d_weight_gradient};
///
/// let shape = Conv2dShape {
///     batch: 1,
///     in_channels: 1,
///     out_channels: 1,
///     groups: 1,
///     input: [1, 4],
///     kernel: [1, 2],
///     stride: [1, 2],
///     dilation: [1, 1],
///     padding: Padding2d::default(),
/// };
/// let gradient = conv2d_weight_gradient(&shape, &[1.0, 2.0, 3.0, 4.0], &[10.0, 1.0])?;
/// assert_eq!(gradient, [13.0, 24.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv2d_weight_gradient<'a>(
    shape: &Conv2dShape,
    activation: impl Into<FloatOperand<'a>>,
    gradient: &[f32],
) -> Result<Vec<f32>, KernelError> {
    let (set, activation) = (InstructionSet::best(), activation.into());
    conv2d_weight_gradient_with(set, shape, activation, gradient)
}

/// [`conv2d_weight_gradient`] with a given instruction set.
pub(crate) fn conv2d_weight_gradient_with(
    set: InstructionSet,
    shape: &Conv2dShape,
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
    let length = weight_length(shape);
    if length == 0 || activation.values().is_empty() || gradient.is_empty() {
        return Ok(vec![0.0; length]);
    }
    if is_depthwise(shape) {
        let mut to = vec![0.0; length];
        activation.read(|activation| {
            depthwise::weight_gradient(set, shape, activation, gradient, &mut to);
        });
        return Ok(to);
    }
    let [inputs, outputs] = group_channels(shape);
    let output = shape.output();
    let padding = [shape.padding.top, shape.padding.left];
    let offsets =
        [0, 1].map(|axis| offsets(shape.kernel[axis], shape.dilation[axis], padding[axis]));
    let windows: Vec<Windows<'_>> = Windows::with_all_taps(
        activation,
        [shape.groups, inputs],
        shape.input,
        output,
        shape.stride,
        offsets,
    );
    let rows = inputs * shape.kernel[0] * shape.kernel[1];
    let product = Weight {
        groups: shape.groups,
        rows,
        columns: outputs,
        depth: shape.batch * output[0] * output[1],
        run: rows,
    };
    let operands = |group: usize| {
        let right = Right::Columns(Lines::Planes(Planes {
            values: gradient.into(),
            channels: shape.out_channels,
            plane: output[0] * output[1],
            first_channel: group * outputs,
        }));
        (Left::Rows(Lines::of(&windows[group])), right)
    };
    Ok(product.compute(set, operands))
}

/// Whether every output channel sees one input channel of several.
fn is_depthwise(shape: &Conv2dShape) -> bool {
    shape.groups > 1 && shape.groups == shape.in_channels
}

/// Input and output channels of a group.
fn group_channels(shape: &Conv2dShape) -> [usize; 2] {
    [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups)
}

fn weight_length(shape: &Conv2dShape) -> usize {
    shape.out_channels * shape.inner()
}

fn output_length(shape: &Conv2dShape) -> usize {
    let [height, width] = shape.output();
    shape.batch * shape.out_channels * height * width
}

/// How far from the first position of their window's place taps look, in a padded input.
pub(super) fn offsets(kernel: usize, dilation: usize, padding: usize) -> Vec<i128> {
    let taps = 0..kernel as i128;
    taps.map(|tap| tap * dilation as i128 - padding as i128)
        .collect()
}

/// One axis of the activations' gradient.
struct Axis {
    /// What taps see of the outputs.
    window: WindowAxis,
    /// By the first activation of a phase, its taps: which they are, and how much further than the place they look.
    phases: BTreeMap<usize, Vec<(usize, i128)>>,
}

impl Axis {
    fn new(shape: &Conv2dShape, axis: usize) -> Self {
        let padding = [shape.padding.top, shape.padding.left][axis];
        let stride = shape.stride[axis] as i128;
        let offsets = offsets(shape.kernel[axis], shape.dilation[axis], padding);
        // A window at place q has its tap at q * stride + offset: the first such activation is in the window before.
        let taps = offsets.into_iter().enumerate().map(|(tap, offset)| {
            let first = offset.rem_euclid(stride);
            (first as usize, tap, (first - offset) / stride)
        });
        let side = shape.input[axis];
        let taps: Vec<_> = taps.filter(|&(first, ..)| first < side).collect();
        let window = WindowAxis::new(
            shape.output()[axis],
            side.div_ceil(shape.stride[axis]),
            1,
            taps.iter().map(|&(.., further)| further),
        );
        let mut phases = BTreeMap::<_, Vec<_>>::new();
        for (first, tap, further) in taps {
            if window.sees(further) {
                phases.entry(first).or_default().push((tap, further));
            }
        }
        Axis { window, phases }
    }
}
