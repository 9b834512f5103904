//! The operator trait: what a backend must bring for approximate layers to run on it.
//!
//! Every method takes float (or integer code) tensors and plain owned values, returns tensors whose shapes follow from
//! those of its inputs, and reads nothing back from the device, so that lazy and fused backends can join. Operands are
//! always in the order activation, weight.

use std::sync::Arc;

#[cfg(feature = "gpu")]
use approx_cpu::observe::histogram;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata, backend_extension};
#[cfg(feature = "gpu")]
use burn::tensor::{DType, Shape};

use super::batch_norm::{self, BatchNormSettings, Shortcut};
use super::coded::{self, CodeFunction, Codes};
use super::float;
use super::function::Function;
use crate::codes::CodeGrid;
#[cfg(feature = "gpu")]
use crate::codes::channels_along;
use crate::geometry::Geometry;
use crate::plan::ProductOperation;

/// The approximate operators of a backend.
///
/// Users call the functions of [`ops`](crate::ops) or the layers of [`nn`](crate::nn); this trait is for who adds a
/// backend. Quantiser tensors have shape `[3, channels]`: scales, reciprocals, zero points. Operand shapes are checked
/// by the callers, when they make a [`Geometry`](crate::plan::Geometry); an implementation may panic on shapes that do
/// not fit it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "gpu"),
    Fusion: cfg(feature = "gpu"),
    Autodiff: cfg(feature = "autodiff"),
)]
pub trait ApproxOps: Backend {
    /// The codes of `values` minus their zero point, as integer-valued floats of the same shape.
    #[fusion(dtype = values, shape = values)]
    fn shifted_codes(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// `scale * (code - zero_point)` of every value. Differentiable straight through, clipped values masked.
    #[fusion(dtype = values, shape = values)]
    fn fake_quantize(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// `gradient` where the code of the value was not clamped, 0 elsewhere.
    #[fusion(dtype = values, shape = values)]
    fn mask_clipped(
        values: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
    ) -> FloatTensor<Self>;

    /// The smallest and largest value per channel, `[2, channels]`; NaN where a value is not finite.
    #[fusion(dtype = values, shape = Shape::from(vec![2, channels_along(values, *channel_axis).0]))]
    fn observe_ranges(values: FloatTensor<Self>, channel_axis: Option<usize>) -> FloatTensor<Self>;

    /// The counts of `values` in the bins of [`approx_cpu::observe::histogram`], `[bins]`; NaN if any is not finite.
    #[fusion(dtype = values, shape = Shape::from(vec![histogram::BINS]))]
    fn observe_histogram(values: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The operation's product in real values: `scale_a * scale_w[n] * (sum over k of m(a, w) - corrections)`, with
    /// operands as its geometry says. A padded tap holds the code of the real value 0 and is multiplied like any other.
    #[fusion(dtype = activation, shape = operation.geometry().output_shape(activation, weight))]
    fn product(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight_quantizer: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self>;

    /// The product of float operands. Differentiable, by the gradients below.
    #[fusion(default)]
    fn float_product(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        float::product::<Self>(&geometry, activation, weight)
    }

    /// The gradient of the activation of a float product, of the activation's shape.
    #[fusion(default)]
    fn activation_gradient(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        float::activation_gradient::<Self>(&geometry, activation, weight, gradient)
    }

    /// The gradient of the weight of a float product, of the weight's shape. Padded taps count as 0.
    #[fusion(default)]
    fn weight_gradient(
        activation: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        float::weight_gradient::<Self>(&geometry, activation, weight, gradient)
    }

    /// The gradient of an activation that is quantised: that of the activation of a float product, times the factor of its
    /// code (of all codes, the lowest first) if there are factors; 0 where its code was clamped.
    #[fusion(default)]
    fn coded_activation_gradient(
        activation: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        operation: ProductOperation,
        factors: Option<Arc<[f32]>>,
    ) -> FloatTensor<Self> {
        let (quantizer, factors) = (activation_quantizer, factors.as_deref());
        coded_activation_gradient::<Self>(
            activation, quantizer, weight, gradient, &operation, factors,
        )
    }

    /// The gradient of a weight that was multiplied with a function of an activation's codes, or with their real values. A
    /// padded tap has the code of 0.
    #[fusion(default)]
    fn coded_weight_gradient(
        activation: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        operation: ProductOperation,
        function: Option<CodeFunction>,
    ) -> FloatTensor<Self> {
        let (quantizer, function) = (activation_quantizer, function.as_ref());
        coded_weight_gradient::<Self>(
            activation, quantizer, weight, gradient, &operation, function,
        )
    }

    /// A function of the codes of `values`.
    #[fusion(default)]
    fn function_of_codes(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
        function: CodeFunction,
    ) -> FloatTensor<Self> {
        let codes = codes_of::<Self>(values, &quantizer, grid);
        codes.function(&function, codes.codes.clone())
    }

    /// A batch normalisation by the statistics of the batch, of values `[batch, channels, ..]`, with what follows it: the
    /// outputs, and the mean and biased variance of every channel, through which no gradient flows.
    #[fusion(default)]
    fn fused_batch_norm(
        values: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        #[extension_type] shortcut: Shortcut<Self>,
        settings: BatchNormSettings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        batch_norm::by_batch::<Self>(values, gamma, beta, shortcut, settings)
    }

    /// The gradients of the values, gamma, beta and the shortcut of a batch normalisation by the statistics of the batch,
    /// which come first; the last has no meaning where there is no shortcut.
    #[fusion(default)]
    #[allow(clippy::too_many_arguments)]
    fn fused_batch_norm_gradient(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        values: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        #[extension_type] shortcut: Shortcut<Self>,
        gradient: FloatTensor<Self>,
        settings: BatchNormSettings,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let (of, by) = ([gamma, beta], [mean, variance]);
        batch_norm::gradients::<Self>(values, of, by, shortcut, gradient, settings)
    }

    /// A batch normalisation by given statistics, with what follows it.
    #[fusion(default)]
    #[allow(clippy::too_many_arguments)]
    fn fused_normalize(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        values: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        #[extension_type] shortcut: Shortcut<Self>,
        settings: BatchNormSettings,
    ) -> FloatTensor<Self> {
        let (of, by) = ([gamma, beta], [mean, variance]);
        batch_norm::by_statistics::<Self>(values, of, by, shortcut, settings)
    }

    /// `sum over k of m(a, w)` of integer codes: the accumulators as hardware has them, before any correction. Padded
    /// taps hold the code `padding_code`.
    #[fusion(dtype = DType::I32, shape = operation.geometry().output_shape(activation, weight))]
    fn accumulate(
        activation: IntTensor<Self>,
        weight: IntTensor<Self>,
        padding_code: i32,
        operation: ProductOperation,
    ) -> IntTensor<Self>;
}

/// The codes of real values.
fn codes_of<B: ApproxOps>(
    values: FloatTensor<B>,
    quantizer: &FloatTensor<B>,
    grid: CodeGrid,
) -> Codes<B> {
    let shifted = B::shifted_codes(values, quantizer.clone(), grid);
    Codes::new(shifted, quantizer, grid)
}

/// [`ApproxOps::coded_activation_gradient`], put together from other operators.
pub(super) fn coded_activation_gradient<B: ApproxOps>(
    activation: FloatTensor<B>,
    quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
    factors: Option<&[f32]>,
) -> FloatTensor<B> {
    let (grid, geometry) = (operation.activation(), *operation.geometry());
    let product = B::activation_gradient(activation.clone(), weight, gradient, geometry);
    let scaled = match factors {
        Some(factors) if activation.shape().num_elements() > 0 => {
            let codes = codes_of::<B>(activation.clone(), &quantizer, grid);
            codes.times(&Function::of_codes(factors.to_vec(), grid), product)
        }
        _ => product,
    };
    B::mask_clipped(activation, scaled, quantizer, grid)
}

/// [`ApproxOps::coded_weight_gradient`], put together from other operators.
pub(super) fn coded_weight_gradient<B: ApproxOps>(
    activation: FloatTensor<B>,
    quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
    function: Option<&CodeFunction>,
) -> FloatTensor<B> {
    let (grid, geometry) = (operation.activation(), *operation.geometry());
    let is_empty = [&activation, &weight].map(|tensor| tensor.shape().num_elements() == 0);
    let function = match function {
        Some(function) if is_empty == [false; 2] => function,
        _ => {
            let activation = B::fake_quantize(activation, quantizer, grid);
            return B::weight_gradient(activation, weight, gradient, geometry);
        }
    };
    let codes = codes_of::<B>(activation, &quantizer, grid);
    let factor = codes.function(function, codes.codes.clone());
    if !coded::is_padded(&geometry) {
        return B::weight_gradient(factor, weight, gradient, geometry);
    }
    let padded = codes.function(function, codes.zero_point.clone());
    let sums = coded::sums_by_channel::<B>(gradient.clone());
    let factor = B::float_sub(factor, padded.clone());
    let inside = B::weight_gradient(factor, weight, gradient, geometry);
    B::float_add(inside, B::float_mul(sums, padded))
}
