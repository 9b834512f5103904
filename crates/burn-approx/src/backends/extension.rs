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
use super::coded::{self, Codes};
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

    /// The gradient of an activation whose fake-quantised values were multiplied with a weight; 0 where its code was
    /// clamped.
    #[fusion(default)]
    fn straight_through_activation_gradient(
        activation: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self> {
        by_quantized_activation::<Self>(
            activation,
            activation_quantizer,
            weight,
            gradient,
            &operation,
        )
    }

    /// The gradient of a weight that was multiplied with the fake-quantised values of an activation.
    #[fusion(default)]
    fn straight_through_weight_gradient(
        activation: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        operation: ProductOperation,
    ) -> FloatTensor<Self> {
        by_weight_of_quantized::<Self>(
            activation,
            activation_quantizer,
            weight,
            gradient,
            &operation,
        )
    }

    /// A function of the codes of `values` (of all codes, the lowest first), less their zero point and times their scale, if
    /// that is to be.
    #[fusion(default)]
    fn function_of_codes(
        values: FloatTensor<Self>,
        quantizer: FloatTensor<Self>,
        grid: CodeGrid,
        function: Arc<[f32]>,
        less_zero_point: bool,
        scaled: bool,
    ) -> FloatTensor<Self> {
        let shifted = Self::shifted_codes(values, quantizer.clone(), grid);
        let codes = Codes::<Self>::new(shifted, &quantizer, grid);
        let function = Function::of_codes(function.to_vec(), grid);
        codes.function(&function, codes.codes.clone(), less_zero_point, scaled)
    }

    /// The gradient of an activation whose codes' contribution is a product of a function of the code and something else,
    /// with which the weight was made: the function (of all codes, the lowest first) times the gradient of the activation
    /// of a float product; 0 where the code was clamped.
    #[fusion(default)]
    fn scaled_activation_gradient(
        activation: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        operation: ProductOperation,
        function: Arc<[f32]>,
    ) -> FloatTensor<Self> {
        let quantizer = activation_quantizer;
        scaled_by_codes::<Self>(
            activation, quantizer, weight, gradient, &operation, &function,
        )
    }

    /// The gradient of a weight that was multiplied with a function of an activation's codes (of all codes, the lowest
    /// first), less their zero point if that is to be, times their scale. A padded tap has the code of 0.
    #[fusion(default)]
    fn mapped_weight_gradient(
        activation: FloatTensor<Self>,
        activation_quantizer: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        operation: ProductOperation,
        function: Arc<[f32]>,
        less_zero_point: bool,
    ) -> FloatTensor<Self> {
        let quantizer = activation_quantizer;
        let function = (&function[..], less_zero_point);
        of_mapped::<Self>(
            activation, quantizer, weight, gradient, &operation, function,
        )
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

/// [`ApproxOps::straight_through_activation_gradient`], put together from other operators.
pub(super) fn by_quantized_activation<B: ApproxOps>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
) -> FloatTensor<B> {
    let geometry = *operation.geometry();
    let gradient = B::activation_gradient(activation.clone(), weight, gradient, geometry);
    B::mask_clipped(
        activation,
        gradient,
        activation_quantizer,
        operation.activation(),
    )
}

/// [`ApproxOps::straight_through_weight_gradient`], put together from other operators.
pub(super) fn by_weight_of_quantized<B: ApproxOps>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
) -> FloatTensor<B> {
    let activation = B::fake_quantize(activation, activation_quantizer, operation.activation());
    B::weight_gradient(activation, weight, gradient, *operation.geometry())
}

/// [`ApproxOps::scaled_activation_gradient`], put together from other operators.
pub(super) fn scaled_by_codes<B: ApproxOps>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
    function: &[f32],
) -> FloatTensor<B> {
    let grid = operation.activation();
    let shifted = B::shifted_codes(activation.clone(), activation_quantizer.clone(), grid);
    let codes = Codes::<B>::new(shifted, &activation_quantizer, grid);
    let geometry = *operation.geometry();
    let product = B::activation_gradient(activation.clone(), weight, gradient, geometry);
    let scaled = match activation.shape().num_elements() {
        0 => product,
        _ => codes.times(&Function::of_codes(function.to_vec(), grid), product),
    };
    B::mask_clipped(activation, scaled, activation_quantizer, grid)
}

/// [`ApproxOps::mapped_weight_gradient`], put together from other operators.
pub(super) fn of_mapped<B: ApproxOps>(
    activation: FloatTensor<B>,
    activation_quantizer: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    operation: &ProductOperation,
    (function, less_zero_point): (&[f32], bool),
) -> FloatTensor<B> {
    let (grid, geometry) = (operation.activation(), *operation.geometry());
    let is_empty = |tensor: &FloatTensor<B>| tensor.shape().num_elements() == 0;
    if is_empty(&activation) || is_empty(&weight) {
        return B::weight_gradient(activation, weight, gradient, geometry);
    }
    let shifted = B::shifted_codes(activation, activation_quantizer.clone(), grid);
    let codes = Codes::<B>::new(shifted, &activation_quantizer, grid);
    let function = Function::of_codes(function.to_vec(), grid);
    let factor = codes.function(&function, codes.codes.clone(), less_zero_point, true);
    if !coded::is_padded(&geometry) {
        return B::weight_gradient(factor, weight, gradient, geometry);
    }
    let padded = codes.function(&function, codes.zero_point.clone(), less_zero_point, true);
    let sums = coded::sums_by_channel::<B>(gradient.clone());
    let factor = B::float_sub(factor, padded.clone());
    let inside = B::weight_gradient(factor, weight, gradient, geometry);
    B::float_add(inside, B::float_mul(sums, padded))
}
