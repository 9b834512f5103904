//! Plans of the integer engine: activations are quantised and mapped on the way into the kernels, weights are packed
//! once and kept.

use approx_cpu::quantize::{ChannelLayout, ChannelQuantizer};
use approx_cpu::{
    Activations, Conv2dShape, Conv2dWeights, ConvTranspose2dShape, ConvTranspose2dWeights,
    KernelError, MatmulWeights, ProductQuantizers,
};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;

use super::patterns::Patterns;
use super::weight::{Channels, Codes, rescale};
use super::{HostBackend, float_tensor, layout, poisoned, quantizer_of};
use crate::backends::checked;
use crate::geometry::Geometry;
use crate::geometry::matmul::BatchedMatmul;
use crate::plan::ProductOperation;

/// A weight in the kernels' layout.
struct Packed<W> {
    weights: W,
    /// The sums of the codes of each output channel.
    sums: Vec<i64>,
}

/// The matrices of a weight, and its quantisers; `None` if it cannot be quantised.
type Matrices = Option<(Vec<Packed<MatmulWeights>>, Vec<ChannelQuantizer>)>;
/// A convolution's weight, and its quantisers; `None` if it cannot be quantised.
type Kernels = Option<(Packed<Conv2dWeights>, Vec<ChannelQuantizer>)>;

/// An operation's product in integers.
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
    let factors = operation.factors();
    let matrices = operation.kept_weight(|| {
        let layout = layout::<B>(weight_quantizer, operation.weight(), &weight.shape())?;
        let shape = product.shape;
        let packed = B::read(weight, |values| {
            let codes = codes(values, &layout, operation)?;
            let pack = |matrix: usize| {
                let part = product.weight_matrix(matrix);
                let weights = codes.part(part.clone());
                let integer = &factors.integer;
                Packed {
                    weights: checked(integer.pack_matmul(weights, shape.inner, shape.columns)),
                    sums: codes.sums(part, Channels::Columns(shape.columns)),
                }
            };
            Some((0..product.weight_count()).map(pack).collect())
        });
        Some((packed?, layout.channels))
    });
    let matrices: &Matrices = &matrices;
    let quantizer = quantizer_of::<B>(activation_quantizer, operation.activation());
    let (Some((matrices, channels)), Some(quantizer)) = (matrices, quantizer) else {
        return poisoned::<B>(product.output, &device);
    };
    let values = B::read(activation, |values| {
        product.try_for_each(values, |values, matrix| {
            let Packed { weights, sums } = &matrices[matrix];
            let channels = rescale(quantizer, channels, sums, product.shape.inner);
            let activations = Activations::Values { values, quantizer };
            let rows = product.shape.rows;
            factors
                .integer
                .matmul_rescaled(activations, rows, weights, &channels)
        })
    });
    finish::<B>(values, product.output, &device)
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
    let factors = operation.factors();
    let kernels = operation.kept_weight(|| {
        let layout = layout::<B>(weight_quantizer, operation.weight(), &weight.shape())?;
        let packed = B::read(weight, |values| {
            let codes = codes(values, &layout, operation)?;
            let weights = checked(factors.integer.pack_conv2d(
                codes.part(0..values.len()),
                shape.out_channels,
                shape.in_channels / shape.groups,
                shape.groups,
                shape.kernel,
            ));
            Some(Packed {
                weights,
                sums: codes.sums(0..values.len(), Channels::Rows(shape.inner())),
            })
        });
        Some((packed?, layout.channels))
    });
    let kernels: &Kernels = &kernels;
    let quantizer = quantizer_of::<B>(activation_quantizer, operation.activation());
    let (Some((Packed { weights, sums }, channels)), Some(quantizer)) = (kernels, quantizer) else {
        return poisoned::<B>(output, &device);
    };
    let channels = rescale(quantizer, channels, sums, shape.inner());
    let format = operation.multiplier().formats().0;
    let padding = format.pattern(quantizer.zero_point as i32) as u16;
    let values = B::read(activation, |values| {
        let activations = Activations::Values { values, quantizer };
        factors
            .integer
            .conv2d_rescaled(activations, padding, weights, shape, &channels)
    });
    finish::<B>(values, output, &device)
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
    let integer = &operation.factors().integer;
    let format = operation.multiplier().formats().1;
    let packed = operation.kept_weight(|| {
        let layout = layout::<B>(weight_quantizer, operation.weight(), &weight.shape())?;
        let patterns = B::read(weight, |values| Patterns::of(&layout, values, format))?;
        let patterns = patterns.turned(&shape);
        let weights = integer.pack_conv_transpose2d(patterns.weights(patterns.all()), shape);
        Some((checked(weights), layout.channels))
    });
    let packed: &Option<(ConvTranspose2dWeights, Vec<ChannelQuantizer>)> = &packed;
    let quantizer = quantizer_of::<B>(activation_quantizer, operation.activation());
    let (Some((weights, channels)), Some(quantizer)) = (packed, quantizer) else {
        return poisoned::<B>(output, &device);
    };
    let quantizers = ProductQuantizers {
        activation: quantizer,
        weights: channels,
    };
    let values = B::read(activation, |values| {
        let activations = Activations::Values { values, quantizer };
        integer.conv_transpose2d_rescaled(activations, weights, quantizers, shape)
    });
    finish::<B>(values, output, &device)
}

/// A weight's codes; `None` if it holds a NaN.
fn codes<'a>(
    values: &'a [f32],
    layout: &'a ChannelLayout,
    operation: &ProductOperation,
) -> Option<Codes<'a>> {
    let format = operation.multiplier().formats().1;
    match operation.keeps_weight() {
        true => Codes::lazy(values, layout, format),
        false => Codes::eager(values, layout, format),
    }
}

/// The result as a tensor; a NaN among the activations spoils all of it.
fn finish<B: HostBackend>(
    values: Result<Vec<f32>, KernelError>,
    shape: burn::tensor::Shape,
    device: &burn::backend::tensor::Device<B>,
) -> FloatTensor<B> {
    match values {
        Err(KernelError::NotANumber { .. }) => poisoned::<B>(shape, device),
        values => float_tensor::<B>(checked(values), shape, device),
    }
}
