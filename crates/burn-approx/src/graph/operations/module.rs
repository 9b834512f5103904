//! Operations of whole layers: convolutions, pooling, normalisation, attention.

use burn::backend::ir::{ModuleOperationIr, TensorIr};
use burn::backend::ops::{AttentionModuleOptions, ModuleOps, UnfoldOptions};
use burn::backend::{Dispatch, DispatchTensor};

use super::{map, step, step_of_two};
use crate::graph::program::{Frame, Kernel, Operand};

/// The tensor of an operand that need not be there.
fn optional(frame: &mut Frame<'_>, operand: Option<Operand>) -> Option<DispatchTensor> {
    operand.map(|operand| frame.take(operand))
}

/// A convolution of any kind, whose options may be had as often as it runs.
fn convolution<O>(
    [input, weight]: [&TensorIr; 2],
    bias: Option<&TensorIr>,
    out: &TensorIr,
    options: impl Fn() -> O + Send + Sync + 'static,
    compute: fn(DispatchTensor, DispatchTensor, Option<DispatchTensor>, O) -> DispatchTensor,
) -> Kernel
where
    O: 'static,
{
    let (operands, bias) = ([input, weight].map(Operand::from), bias.map(Operand::from));
    step(out, move |frame| {
        let [input, weight] = operands.map(|operand| frame.take(operand));
        let bias = optional(frame, bias);
        compute(input, weight, bias, options())
    })
}

pub(super) fn kernel(operation: &ModuleOperationIr) -> Option<Kernel> {
    use ModuleOperationIr::*;
    macro_rules! convolution {
        ($op:expr, $compute:expr) => {{
            let options = $op.options.clone();
            convolution(
                [&$op.x, &$op.weight],
                $op.bias.as_ref(),
                &$op.out,
                move || options.clone().into(),
                $compute,
            )
        }};
    }
    Some(match operation {
        BatchNorm(op) => {
            let operands = [&op.x, &op.gamma, &op.beta, &op.mean, &op.variance].map(Operand::from);
            let epsilon: f64 = op.epsilon.elem();
            step(&op.out, move |frame| {
                let [x, gamma, beta, mean, variance] = operands.map(|operand| frame.take(operand));
                Dispatch::batch_norm(x, gamma, beta, mean, variance, epsilon)
            })
        }
        LayerNorm(op) => {
            let operands = [&op.input, &op.gamma].map(Operand::from);
            let beta = op.beta.as_ref().map(Operand::from);
            let epsilon: f64 = op.epsilon.elem();
            step(&op.out, move |frame| {
                let [input, gamma] = operands.map(|operand| frame.take(operand));
                let beta = optional(frame, beta);
                Dispatch::layer_norm(input, gamma, beta, epsilon)
            })
        }
        Embedding(op) => {
            let operands = [&op.weights, &op.indices].map(Operand::from);
            step(&op.out, move |frame| {
                let [weights, indices] = operands.map(|operand| frame.take(operand));
                Dispatch::embedding(weights, indices)
            })
        }
        Linear(op) => {
            let operands = [&op.x, &op.weight].map(Operand::from);
            let bias = op.bias.as_ref().map(Operand::from);
            step(&op.out, move |frame| {
                let [input, weight] = operands.map(|operand| frame.take(operand));
                let bias = optional(frame, bias);
                Dispatch::linear(input, weight, bias)
            })
        }
        Conv1d(op) => convolution!(op, Dispatch::conv1d),
        Conv2d(op) => convolution!(op, Dispatch::conv2d),
        Conv3d(op) => convolution!(op, Dispatch::conv3d),
        ConvTranspose1d(op) => convolution!(op, Dispatch::conv_transpose1d),
        ConvTranspose2d(op) => convolution!(op, Dispatch::conv_transpose2d),
        ConvTranspose3d(op) => convolution!(op, Dispatch::conv_transpose3d),
        DeformableConv2d(op) => {
            let operands = [&op.x, &op.offset, &op.weight].map(Operand::from);
            let [mask, bias] =
                [&op.mask, &op.bias].map(|tensor| tensor.as_ref().map(Operand::from));
            let options = op.options.clone();
            step(&op.out, move |frame| {
                let [x, offset, weight] = operands.map(|operand| frame.take(operand));
                let (mask, bias) = (optional(frame, mask), optional(frame, bias));
                Dispatch::deform_conv2d(x, offset, weight, mask, bias, options.clone().into())
            })
        }
        AvgPool1d(op) => {
            let (size, stride, padding) = (op.kernel_size, op.stride, op.padding);
            let (count_padding, ceil) = (op.count_include_pad, op.ceil_mode);
            map(&op.x, &op.out, move |x| {
                Dispatch::avg_pool1d(x, size, stride, padding, count_padding, ceil)
            })
        }
        AvgPool2d(op) => {
            let (size, stride, padding) = (op.kernel_size, op.stride, op.padding);
            let (count_padding, ceil) = (op.count_include_pad, op.ceil_mode);
            map(&op.x, &op.out, move |x| {
                Dispatch::avg_pool2d(x, size, stride, padding, count_padding, ceil)
            })
        }
        AdaptiveAvgPool1d(op) => {
            let size = op.output_size;
            map(&op.x, &op.out, move |x| {
                Dispatch::adaptive_avg_pool1d(x, size)
            })
        }
        AdaptiveAvgPool2d(op) => {
            let size = op.output_size;
            map(&op.x, &op.out, move |x| {
                Dispatch::adaptive_avg_pool2d(x, size)
            })
        }
        AdaptiveAvgPool3d(op) => {
            let size = op.output_size;
            map(&op.x, &op.out, move |x| {
                Dispatch::adaptive_avg_pool3d(x, size)
            })
        }
        MaxPool1d(op) => {
            let (size, stride, padding) = (op.kernel_size, op.stride, op.padding);
            let (dilation, ceil) = (op.dilation, op.ceil_mode);
            map(&op.x, &op.out, move |x| {
                Dispatch::max_pool1d(x, size, stride, padding, dilation, ceil)
            })
        }
        MaxPool1dWithIndices(op) => {
            let (input, size, stride) = (Operand::from(&op.x), op.kernel_size, op.stride);
            let (padding, dilation, ceil) = (op.padding, op.dilation, op.ceil_mode);
            let dtype = op.out_indices.dtype;
            step_of_two([&op.out, &op.out_indices], move |frame| {
                let (dtype, x) = (frame.dtype(dtype).into(), frame.take(input));
                let pooled = Dispatch::max_pool1d_with_indices(
                    x, size, stride, padding, dilation, ceil, dtype,
                );
                (pooled.output, pooled.indices)
            })
        }
        MaxPool2d(op) => {
            let (size, stride, padding) = (op.kernel_size, op.stride, op.padding);
            let (dilation, ceil) = (op.dilation, op.ceil_mode);
            map(&op.x, &op.out, move |x| {
                Dispatch::max_pool2d(x, size, stride, padding, dilation, ceil)
            })
        }
        MaxPool2dWithIndices(op) => {
            let (input, size, stride) = (Operand::from(&op.x), op.kernel_size, op.stride);
            let (padding, dilation, ceil) = (op.padding, op.dilation, op.ceil_mode);
            let dtype = op.out_indices.dtype;
            step_of_two([&op.out, &op.out_indices], move |frame| {
                let (dtype, x) = (frame.dtype(dtype).into(), frame.take(input));
                let pooled = Dispatch::max_pool2d_with_indices(
                    x, size, stride, padding, dilation, ceil, dtype,
                );
                (pooled.output, pooled.indices)
            })
        }
        Interpolate(op) => {
            let (size, options) = (op.output_size, op.options.clone());
            map(&op.x, &op.out, move |x| {
                Dispatch::interpolate(x, size, options.clone().into())
            })
        }
        Attention(op) => {
            let operands = [&op.query, &op.key, &op.value].map(Operand::from);
            let [mask, bias] =
                [&op.mask, &op.attn_bias].map(|tensor| tensor.as_ref().map(Operand::from));
            let options = op.options.clone();
            step(&op.out, move |frame| {
                let [query, key, value] = operands.map(|operand| frame.take(operand));
                let (mask, bias) = (optional(frame, mask), optional(frame, bias));
                let options = AttentionModuleOptions::from(options.clone());
                Dispatch::attention(query, key, value, mask, bias, options)
            })
        }
        Unfold4d(op) => {
            let (size, options) = (op.kernel_size, op.options.clone());
            map(&op.x, &op.out, move |x| {
                let options = UnfoldOptions::new(options.stride, options.padding, options.dilation);
                Dispatch::unfold4d(x, size, options)
            })
        }
        // Losses and backward passes are no part of a model's forward pass.
        _ => return None,
    })
}
