//! A layer through the library's public operators, on any device and by any plan.

use approx_cpu::{Conv2dShape, MatmulShape, Padding2d};
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;
use burn_approx::ops::{self, CodeGrid};
use burn_approx::plan::{Geometry, PlanChoice, ProductOperation, Target};
use burn_approx::quantization::{CodeQuantizer, CodeRange};
use burn_approx::{ApproxError, PreparedMultiplier};

use super::operand::Operand;
use super::sizes::{Convolution, Sizes};
use super::{Computed, Layer, Wanted};
use crate::error::CliError;

/// Computes a layer.
pub fn compute(
    layer: &Layer,
    wanted: &Wanted,
    plan: PlanChoice,
    device: &Device,
) -> Result<Computed, CliError> {
    let multiplier = PreparedMultiplier::new(layer.multiplier.clone()).with_plan(plan);
    let mut computed = Computed {
        plan: explanation(layer, &multiplier, device)?,
        ..Computed::default()
    };
    if wanted.accumulators {
        computed.accumulators = Some(accumulators(layer, &multiplier, device)?);
    }
    match &wanted.gradient {
        Some(gradient) => {
            let (outputs, gradients) = with_gradients(layer, &multiplier, gradient, device)?;
            computed.outputs = Some(outputs);
            computed.gradients = gradients;
        }
        None if wanted.outputs => {
            let output = outputs(layer, &multiplier, reals(layer, device), device)?;
            computed.outputs = Some(values(output)?);
        }
        None => {}
    }
    Ok(computed)
}

/// The plan, in words.
fn explanation(
    layer: &Layer,
    multiplier: &PreparedMultiplier,
    device: &Device,
) -> Result<String, ApproxError> {
    let grid = |operand: &Operand, axis: usize| CodeGrid {
        low: operand.format.min_code(),
        high: operand.format.max_code(),
        symmetric: operand.zero_points.iter().all(|zero| *zero == 0),
        channel_axis: (operand.scales.len() > 1).then_some(axis),
    };
    let weight_axis = layer.sizes.weight_axis();
    let operation = ProductOperation::new(
        multiplier.clone(),
        [grid(&layer.input, 0), grid(&layer.weight, weight_axis)],
        layer.sizes.geometry(),
        Target::of(device)?,
    )?;
    Ok(operation.plan().explain())
}

impl Sizes {
    fn geometry(&self) -> Geometry {
        match self {
            Self::Linear(linear) => Geometry::Matmul(MatmulShape {
                rows: linear.rows(),
                inner: linear.inputs,
                columns: linear.outputs,
            }),
            Self::Conv1d(convolution) | Self::Conv2d(convolution) => {
                Geometry::Conv2d(convolution.shape())
            }
        }
    }

    /// The axis of the output channels in the weight that the operator takes.
    fn weight_axis(&self) -> usize {
        match self {
            Self::Linear(_) => 1,
            Self::Conv1d(_) | Self::Conv2d(_) => 0,
        }
    }
}

impl Convolution {
    fn shape(&self) -> Conv2dShape {
        let [batch, in_channels, height, width] = self.input;
        let [out_channels, _, kernel_height, kernel_width] = self.weight;
        let [vertical, horizontal] = self.window.padding;
        Conv2dShape {
            batch,
            in_channels,
            out_channels,
            groups: self.window.groups,
            input: [height, width],
            kernel: [kernel_height, kernel_width],
            stride: self.window.stride,
            dilation: self.window.dilation,
            padding: Padding2d {
                top: vertical,
                bottom: vertical,
                left: horizontal,
                right: horizontal,
            },
        }
    }

    fn options(&self) -> ConvOptions<2> {
        let window = self.window;
        ConvOptions::new(
            window.stride,
            window.padding,
            window.dilation,
            window.groups,
        )
    }
}

/// The values of activation and weight, row by row.
fn reals(layer: &Layer, device: &Device) -> [Tensor<1>; 2] {
    [&layer.input, &layer.weight]
        .map(|operand| Tensor::from_data(TensorData::from(&operand.reals[..]), device))
}

/// The codes of activation and weight, row by row.
fn codes(layer: &Layer, device: &Device) -> [Tensor<1, Int>; 2] {
    [&layer.input, &layer.weight]
        .map(|operand| Tensor::from_data(TensorData::from(&operand.codes[..]), device))
}

fn quantizer(
    operand: &Operand,
    axis: usize,
    device: &Device,
) -> Result<CodeQuantizer, ApproxError> {
    let range = CodeRange::full(operand.format);
    match (&operand.scales[..], &operand.zero_points[..]) {
        ([scale], [zero]) => CodeQuantizer::per_tensor(*scale, *zero, range, device),
        (scales, zeros) => CodeQuantizer::per_channel(scales, zeros, range, axis, device),
    }
}

fn accumulators(
    layer: &Layer,
    multiplier: &PreparedMultiplier,
    device: &Device,
) -> Result<Vec<i64>, CliError> {
    let [input, weight] = codes(layer, device);
    let sums = match &layer.sizes {
        Sizes::Linear(linear) => {
            let input = input.reshape([linear.rows(), linear.inputs]);
            let weight = weight.reshape([linear.outputs, linear.inputs]);
            ops::matmul_accumulators(input, weight.transpose(), multiplier)?.into_data()
        }
        Sizes::Conv1d(convolution) | Sizes::Conv2d(convolution) => ops::conv2d_accumulators(
            input.reshape(convolution.input),
            weight.reshape(convolution.weight),
            layer.input.zero_points[0],
            multiplier,
            convolution.options(),
        )?
        .into_data(),
    };
    sums.convert::<i64>()
        .try_into_vec::<i64>()
        .map_err(|error| CliError::Usage(format!("the accumulators cannot be read: {error:?}")))
}

/// The outputs, row by row, of operands that are given so.
fn outputs(
    layer: &Layer,
    multiplier: &PreparedMultiplier,
    [input, weight]: [Tensor<1>; 2],
    device: &Device,
) -> Result<Tensor<1>, CliError> {
    let bias = layer
        .bias
        .as_ref()
        .map(|bias| Tensor::<1>::from_data(TensorData::from(&bias[..]), device));
    let input_quantizer = quantizer(&layer.input, 0, device)?;
    let weight_quantizer = quantizer(&layer.weight, layer.sizes.weight_axis(), device)?;
    Ok(match &layer.sizes {
        Sizes::Linear(linear) => ops::linear(
            input.reshape([linear.rows(), linear.inputs]),
            weight.reshape([linear.outputs, linear.inputs]).transpose(),
            bias,
            &input_quantizer,
            &weight_quantizer,
            multiplier,
        )?
        .flatten(0, 1),
        Sizes::Conv1d(convolution) | Sizes::Conv2d(convolution) => ops::conv2d(
            input.reshape(convolution.input),
            weight.reshape(convolution.weight),
            bias,
            &input_quantizer,
            &weight_quantizer,
            multiplier,
            convolution.options(),
        )?
        .flatten(0, 3),
    })
}

type Gradients = [Option<Vec<f32>>; 2];

/// The outputs, and the gradients of both operands.
fn with_gradients(
    layer: &Layer,
    multiplier: &PreparedMultiplier,
    gradient: &[f32],
    device: &Device,
) -> Result<(Vec<f32>, Gradients), CliError> {
    let device = device.clone().autodiff();
    let [input, weight] = reals(layer, &device).map(Tensor::require_grad);
    let output = outputs(layer, multiplier, [input.clone(), weight.clone()], &device)?;
    let arriving = Tensor::<1>::from_data(TensorData::from(gradient), &device);
    let gradients = (output.clone() * arriving).sum().backward();
    let of_input = input.grad(&gradients).map(values).transpose()?;
    let of_weight = weight.grad(&gradients).map(values).transpose()?;
    Ok((values(output)?, [of_input, of_weight]))
}

fn values(tensor: Tensor<1>) -> Result<Vec<f32>, CliError> {
    let data = tensor.into_data().convert::<f32>();
    data.try_into_vec::<f32>()
        .map_err(|error| CliError::Usage(format!("the values cannot be read: {error:?}")))
}
