//! Plans that look products up: both operands as bit patterns, the table-gather kernels, and rescaling.

use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
use approx_cpu::rescale::{rescale_planes, rescale_rows};
use approx_cpu::{Conv2dShape, ConvTranspose2dShape, KernelError, MatmulShape, ProductQuantizers};
use approx_multiplier::OperandFormat;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;

use super::patterns::Patterns;
use super::weight::{Channels, needs_activation_sums, rescale};
use super::{HostBackend, float_tensor, layout, lookup_table, poisoned, quantizer_of};
use crate::backends::checked;
use crate::geometry::Geometry;
use crate::geometry::matmul::BatchedMatmul;
use crate::plan::ProductOperation;

/// A weight's patterns, its quantisers, and the sums of the codes of each output channel; `None` if it cannot be
/// quantised.
type Weight = Option<(Vec<u8>, Vec<ChannelQuantizer>, Vec<i64>)>;

/// An activation's patterns; `None` if it holds a NaN.
fn activation_patterns<B: HostBackend>(
    activation: FloatTensor<B>,
    quantizer: ChannelQuantizer,
    format: OperandFormat,
) -> Option<Vec<u8>> {
    let layout = ChannelLayout {
        channels: vec![quantizer],
        inner: 1,
    };
    B::read(activation, |values| {
        layout.patterns(values, format.mask() as u8)
    })
}

/// A weight's patterns and quantisers; `None` if it holds a NaN or a scale is not finite.
fn weight_patterns<B: HostBackend>(
    weight: FloatTensor<B>,
    quantizer: FloatTensor<B>,
    operation: &ProductOperation,
) -> Option<(Vec<u8>, Vec<ChannelQuantizer>)> {
    let layout = layout::<B>(quantizer, operation.weight(), &weight.shape())?;
    let mask = operation.multiplier().formats().1.mask() as u8;
    let patterns = B::read(weight, |values| layout.patterns(values, mask))?;
    Some((patterns, layout.channels))
}

/// An operation's product by lookups.
pub(super) fn product<B: HostBackend>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    quantizers: [FloatTensor<B>; 2],
    operation: &ProductOperation,
) -> FloatTensor<B> {
    match *operation.geometry() {
        Geometry::Matmul(_) => matmul::<B>(activation, weight, quantizers, operation),
        Geometry::Conv2d(shape) => conv2d::<B>(activation, weight, quantizers, operation, shape),
        Geometry::ConvTranspose2d(shape) => {
            conv_transpose2d::<B>(activation, weight, quantizers, operation, shape)
        }
    }
}

fn matmul<B: HostBackend>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    [activation_quantizer, weight_quantizer]: [FloatTensor<B>; 2],
    operation: &ProductOperation,
) -> FloatTensor<B> {
    let device = activation.device();
    let product = BatchedMatmul::new(&activation.shape(), &weight.shape());
    let (format, weight_format) = operation.multiplier().formats();
    let shape: MatmulShape = product.shape;
    let weight = operation.kept_weight(|| {
        let (patterns, channels) = weight_patterns::<B>(weight, weight_quantizer, operation)?;
        let sums = (0..product.weight_count())
            .flat_map(|matrix| {
                let matrix = &patterns[product.weight_matrix(matrix)];
                Channels::Columns(shape.columns)
                    .sums(matrix, |_, pattern| weight_format.code((*pattern).into()))
            })
            .collect();
        Some((patterns, channels, sums))
    });
    let weight: &Weight = &weight;
    let quantizer = quantizer_of::<B>(activation_quantizer, operation.activation());
    let (Some((weight, channels, sums)), Some(quantizer)) = (weight, quantizer) else {
        return poisoned::<B>(product.output, &device);
    };
    let Some(activation) = activation_patterns::<B>(activation, quantizer, format) else {
        return poisoned::<B>(product.output, &device);
    };
    let table = lookup_table(operation);
    let values = product.try_for_each(&activation, |activation, matrix| {
        let weight = &weight[product.weight_matrix(matrix)];
        let sums = &sums[matrix * shape.columns..(matrix + 1) * shape.columns];
        let accumulators = approx_cpu::matmul(table, activation, weight, shape)?;
        let channels = rescale(quantizer, channels, sums, shape.inner);
        let decode = |pattern: u8| format.code(pattern.into());
        let activation_sums = needs_activation_sums(&channels)
            .then(|| approx_cpu::row_sums(activation, decode, shape))
            .transpose()?;
        let values = rescale_rows(&accumulators, &channels, activation_sums.as_deref());
        Ok::<_, KernelError>(values)
    });
    float_tensor::<B>(checked(values), product.output, &device)
}

fn conv2d<B: HostBackend>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    [activation_quantizer, weight_quantizer]: [FloatTensor<B>; 2],
    operation: &ProductOperation,
    shape: Conv2dShape,
) -> FloatTensor<B> {
    let device = activation.device();
    let output = operation
        .geometry()
        .output_shape(&activation.shape(), &weight.shape());
    let (format, weight_format) = operation.multiplier().formats();
    let weight = operation.kept_weight(|| {
        let (patterns, channels) = weight_patterns::<B>(weight, weight_quantizer, operation)?;
        let sums = Channels::Rows(shape.inner()).sums(&patterns, |_, pattern| {
            weight_format.code((*pattern).into())
        });
        Some((patterns, channels, sums))
    });
    let weight: &Weight = &weight;
    let quantizer = quantizer_of::<B>(activation_quantizer, operation.activation());
    let (Some((weight, channels, sums)), Some(quantizer)) = (weight, quantizer) else {
        return poisoned::<B>(output, &device);
    };
    let Some(activation) = activation_patterns::<B>(activation, quantizer, format) else {
        return poisoned::<B>(output, &device);
    };
    let padding = format.pattern(quantizer.zero_point as i32) as u8;
    let table = lookup_table(operation);
    let accumulators = checked(approx_cpu::conv2d(
        table,
        &activation,
        weight,
        padding,
        shape,
    ));
    let channels = rescale(quantizer, channels, sums, shape.inner());
    let activation_sums = needs_activation_sums(&channels).then(|| {
        let decode = |pattern: u8| format.code(pattern.into());
        checked(approx_cpu::window_sums(&activation, decode, padding, shape))
    });
    let values = rescale_planes(&accumulators, &channels, activation_sums.as_deref(), shape);
    float_tensor::<B>(values, output, &device)
}

fn conv_transpose2d<B: HostBackend>(
    activation: FloatTensor<B>,
    weight: FloatTensor<B>,
    [activation_quantizer, weight_quantizer]: [FloatTensor<B>; 2],
    operation: &ProductOperation,
    shape: ConvTranspose2dShape,
) -> FloatTensor<B> {
    let device = activation.device();
    let output = (operation.geometry()).output_shape(&activation.shape(), &weight.shape());
    let (format, _) = operation.multiplier().formats();
    let weight = operation.kept_weight(|| {
        let (patterns, channels) = weight_patterns::<B>(weight, weight_quantizer, operation)?;
        Some((Patterns::Narrow(patterns).turned(&shape), channels))
    });
    let weight: &Option<(Patterns, Vec<ChannelQuantizer>)> = &weight;
    let quantizer = quantizer_of::<B>(activation_quantizer, operation.activation());
    let (Some((weight, channels)), Some(quantizer)) = (weight, quantizer) else {
        return poisoned::<B>(output, &device);
    };
    let Some(activation) = activation_patterns::<B>(activation, quantizer, format) else {
        return poisoned::<B>(output, &device);
    };
    let quantizers = ProductQuantizers {
        activation: quantizer,
        weights: channels,
    };
    let values = approx_cpu::conv_transpose2d_rescaled(
        lookup_table(operation),
        &activation,
        weight.bytes(weight.all()),
        quantizers,
        shape,
    );
    float_tensor::<B>(checked(values), output, &device)
}
