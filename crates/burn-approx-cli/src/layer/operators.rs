//! A layer through the library's public operators, on any device and by any plan.

use approx_cpu::{Conv2dShape, MatmulShape, Padding2d};
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;
use burn_approx::ops::{self, CodeGrid};
use burn_approx::plan::{Geometry, PlanChoice, ProductOperation, Target};
use burn_approx::quantization::{CodeRange, Quantizer};
use burn_approx::{ApproxError, PreparedMultiplier};

use super::{Computed, Layer, Operand, Sizes, Wanted};
use crate::commands::layer::Plan;
use crate::error::CliError;

/// Computes a layer.
pub fn compute(
    layer: &Layer,
    wanted: &Wanted,
    plan: Plan,
    device: &Device,
) -> Result<Computed, CliError> {
    let multiplier = PreparedMultiplier::new(layer.multiplier.clone()).with_plan(match plan {
        Plan::Gather => PlanChoice::Gather,
        Plan::Factored => PlanChoice::Factored,
        Plan::Htp => PlanChoice::Htp,
        Plan::Auto | Plan::Loop => PlanChoice::Auto,
    });
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
            let [input, weight] = layer.reals(device);
            computed.outputs = Some(values(outputs(layer, &multiplier, input, weight, device)?)?);
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
    let weight_axis = if layer.sizes.linear { 1 } else { 0 };
    let grid = |operand: &Operand, axis: usize| CodeGrid {
        low: operand.format.min_code(),
        high: operand.format.max_code(),
        symmetric: operand.zero_points.iter().all(|zero| *zero == 0),
        channel_axis: (operand.scales.len() > 1).then_some(axis),
    };
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
        let [height, width] = self.padding;
        match self.linear {
            true => Geometry::Matmul(MatmulShape {
                rows: self.batch,
                inner: self.group_inputs,
                columns: self.group_outputs,
            }),
            false => Geometry::Conv2d(Conv2dShape {
                batch: self.batch,
                in_channels: self.groups * self.group_inputs,
                out_channels: self.outputs(),
                groups: self.groups,
                input: self.input,
                kernel: self.kernel,
                stride: self.stride,
                dilation: self.dilation,
                padding: Padding2d {
                    top: height,
                    bottom: height,
                    left: width,
                    right: width,
                },
            }),
        }
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new(self.stride, self.padding, self.dilation, self.groups)
    }
}

impl Layer {
    /// The shapes of activation and weight, those of a linear layer as of one on images of one pixel.
    fn shapes(&self) -> [[usize; 4]; 2] {
        let Sizes {
            batch,
            groups,
            group_inputs,
            input: [height, width],
            kernel: [kernel_height, kernel_width],
            ..
        } = self.sizes;
        [
            [batch, groups * group_inputs, height, width],
            [
                self.sizes.outputs(),
                group_inputs,
                kernel_height,
                kernel_width,
            ],
        ]
    }

    /// The shapes of a linear layer's activation and weight as matrices.
    fn matrices(&self) -> [[usize; 2]; 2] {
        self.shapes().map(|[rows, columns, ..]| [rows, columns])
    }

    /// The real values of activation and weight.
    fn reals(&self, device: &Device) -> [Tensor<4>; 2] {
        let [input, weight] = self.shapes();
        [(&self.input, input), (&self.weight, weight)].map(|(operand, shape)| {
            Tensor::from_data(TensorData::new(operand.reals.clone(), shape), device)
        })
    }

    /// The codes of activation and weight.
    fn codes(&self, device: &Device) -> [Tensor<4, Int>; 2] {
        let [input, weight] = self.shapes();
        [(&self.input, input), (&self.weight, weight)].map(|(operand, shape)| {
            Tensor::from_data(TensorData::new(operand.codes.clone(), shape), device)
        })
    }
}

fn quantizer(operand: &Operand, axis: usize, device: &Device) -> Result<Quantizer, ApproxError> {
    let range = CodeRange::full(operand.format);
    match (&operand.scales[..], &operand.zero_points[..]) {
        ([scale], [zero]) => Quantizer::per_tensor(*scale, *zero, range, device),
        (scales, zeros) => Quantizer::per_channel(scales, zeros, range, axis, device),
    }
}

fn accumulators(
    layer: &Layer,
    multiplier: &PreparedMultiplier,
    device: &Device,
) -> Result<Vec<i64>, CliError> {
    let [input, weight] = layer.codes(device);
    let data = match layer.sizes.linear {
        true => {
            let [input_shape, weight_shape] = layer.matrices();
            let (input, weight) = (input.reshape(input_shape), weight.reshape(weight_shape));
            ops::matmul_accumulators(input, weight.transpose(), multiplier)?.into_data()
        }
        false => {
            let padding = layer.input.zero_points[0];
            ops::conv2d_accumulators(input, weight, padding, multiplier, layer.sizes.options())?
                .into_data()
        }
    };
    data.convert::<i64>()
        .try_into_vec::<i64>()
        .map_err(|error| CliError::Usage(format!("the accumulators cannot be read: {error:?}")))
}

fn outputs(
    layer: &Layer,
    multiplier: &PreparedMultiplier,
    input: Tensor<4>,
    weight: Tensor<4>,
    device: &Device,
) -> Result<Tensor<4>, CliError> {
    let bias = layer
        .bias
        .as_ref()
        .map(|bias| Tensor::<1>::from_data(TensorData::from(&bias[..]), device));
    let weight_axis = if layer.sizes.linear { 1 } else { 0 };
    let input_quantizer = quantizer(&layer.input, 0, device)?;
    let weight_quantizer = quantizer(&layer.weight, weight_axis, device)?;
    Ok(match layer.sizes.linear {
        true => {
            let [input_shape, weight_shape] = layer.matrices();
            let (input, weight) = (
                input.reshape(input_shape),
                weight.reshape(weight_shape).transpose(),
            );
            let output = ops::linear(
                input,
                weight,
                bias,
                &input_quantizer,
                &weight_quantizer,
                multiplier,
            )?;
            let [rows, columns] = output.dims();
            output.reshape([rows, columns, 1, 1])
        }
        false => ops::conv2d(
            input,
            weight,
            bias,
            &input_quantizer,
            &weight_quantizer,
            multiplier,
            layer.sizes.options(),
        )?,
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
    let [input, weight] = layer.reals(&device).map(Tensor::require_grad);
    let output = outputs(layer, multiplier, input.clone(), weight.clone(), &device)?;
    let arriving =
        Tensor::<4>::from_data(TensorData::new(gradient.to_vec(), output.dims()), &device);
    let gradients = (output.clone() * arriving).sum().backward();
    let of_input = input.grad(&gradients).map(values).transpose()?;
    let of_weight = weight.grad(&gradients).map(values).transpose()?;
    Ok((values(output)?, [of_input, of_weight]))
}

fn values(tensor: Tensor<4>) -> Result<Vec<f32>, CliError> {
    let data = tensor.into_data().convert::<f32>();
    data.try_into_vec::<f32>()
        .map_err(|error| CliError::Usage(format!("the values cannot be read: {error:?}")))
}
