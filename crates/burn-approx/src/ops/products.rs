//! Approximate products of real operands, in real values.

use burn::backend::Dispatch;
use burn::backend::ops::FloatTensorOps;
use burn::prelude::*;
use burn::tensor::DType;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use super::arguments::{Quantizers, is_on_host};
use super::precision::in_float32;
use crate::backends::ApproxOps;
use crate::error::ApproxError;
use crate::geometry::{
    Geometry, conv_transpose2d as transposed, conv2d as convolution, matmul as matrices,
};
use crate::multiplier::PreparedMultiplier;
use crate::plan::{ProductOperation, Target};
use crate::quantization::CodeQuantizer;

/// The approximate matrix product of `[.., m, k]` and `[.., k, n]` to `[.., m, n]`; leading dimensions broadcast.
///
/// Both operands are quantised, every scalar product is the multiplier's (activation code first), sums are exact
/// integers (unless a float32 plan is forced or the multiplier is an HTP model), and the result is scaled back to real
/// values. Gradients are straight-through.
///
/// # Errors
/// Shapes that do not fit, quantiser channels elsewhere than along the weight's last axis, codes that the multiplier
/// does not have, or a plan that cannot compute it.
///
/// ```
/// use approx_multiplier::evoapprox;
/// use burn::prelude::*;
/// use burn_approx::{PreparedMultiplier, ops, quantization::{CodeRange, CodeQuantizer}};
///
/// let device = Device::default();
/// let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J")?);
/// let quantizer = CodeQuantizer::per_tensor(0.5, 0, CodeRange::new(-127, 127)?, &device)?;
/// let a = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
/// let w = Tensor::<2>::from_floats([[4.0], [3.0]], &device);
/// let y = ops::matmul(a, w, &quantizer, &quantizer, &multiplier)?;
/// assert_eq!(y.dims(), [1, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn matmul<const D: usize>(
    activation: Tensor<D>,
    weight: Tensor<D>,
    activation_quantizer: &CodeQuantizer,
    weight_quantizer: &CodeQuantizer,
    multiplier: &PreparedMultiplier,
) -> Result<Tensor<D>, ApproxError> {
    let geometry = matrices::matmul(&activation.dims(), &weight.dims())?;
    let quantizers = Quantizers {
        activation: activation_quantizer,
        weight: weight_quantizer,
    };
    let operation =
        quantizers.operation("matmul", (&activation, &weight, None), multiplier, geometry)?;
    Ok(product(activation, weight, quantizers, operation))
}

/// The approximate linear layer: `[.., in]` times a weight `[in, out]`, plus an exact bias `[out]`.
///
/// # Errors
/// As [`matmul`]; a bias of another length than `out`.
///
/// ```
/// use approx_multiplier::{Multiplier, OperandFormat};
/// use burn::prelude::*;
/// use burn_approx::{PreparedMultiplier, ops, quantization::{CodeRange, CodeQuantizer}};
///
/// let device = Device::default();
/// let exact = PreparedMultiplier::new(Multiplier::exact(OperandFormat::INT8, OperandFormat::INT8));
/// let quantizer = CodeQuantizer::per_tensor(1.0, 0, CodeRange::new(-128, 127)?, &device)?;
/// let x = Tensor::<3>::from_floats([[[1.0, 2.0]]], &device);
/// let w = Tensor::<2>::from_floats([[4.0], [3.0]], &device);
/// let b = Tensor::<1>::from_floats([0.5], &device);
/// let y = ops::linear(x, w, Some(b), &quantizer, &quantizer, &exact)?;
/// y.to_data().assert_eq(&TensorData::from([[[10.5]]]), false);
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn linear<const D: usize>(
    activation: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation_quantizer: &CodeQuantizer,
    weight_quantizer: &CodeQuantizer,
    multiplier: &PreparedMultiplier,
) -> Result<Tensor<D>, ApproxError> {
    let geometry = matrices::linear(&activation.dims(), weight.dims())?;
    let quantizers = Quantizers {
        activation: activation_quantizer,
        weight: weight_quantizer,
    };
    let operands = (&activation, &weight, bias.as_ref());
    let operation = quantizers.operation("linear", operands, multiplier, geometry)?;
    Ok(linear_product(
        activation, weight, bias, quantizers, operation,
    ))
}

/// A planned product of `[.., in]` with `[in, out]`, plus a bias.
pub(crate) fn linear_product<const D: usize>(
    activation: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    quantizers: Quantizers<'_>,
    operation: ProductOperation,
) -> Tensor<D> {
    let mut dims = activation.dims();
    let [inputs, outputs] = weight.dims();
    let rows = dims[..D - 1].iter().product::<usize>();
    let activation = reshaped(activation, [rows, inputs]);
    let product = product(activation, weight, quantizers, operation);
    let product = match bias {
        Some(bias) => {
            let bias = typed(bias, &product);
            product + bias.unsqueeze()
        }
        None => product,
    };
    dims[D - 1] = outputs;
    reshaped(product, dims)
}

/// A tensor in another shape, sizes of 0 included, which `Tensor::reshape` takes for "as it was".
///
/// One that has that shape already, as a linear layer's operands often do, is returned as it is: an operation of a
/// backend's costs more than the arithmetic of a small layer.
pub(crate) fn reshaped<const D: usize, const R: usize>(
    tensor: Tensor<D>,
    dims: [usize; R],
) -> Tensor<R> {
    let has_shape = tensor.dims()[..] == dims[..];
    let tensor = tensor.into_dispatch();
    Tensor::from_dispatch(match has_shape {
        true => tensor,
        false => Dispatch::float_reshape(tensor, Shape::from(dims.to_vec())),
    })
}

/// A bias in the type of what it is added to.
fn typed<const D: usize>(bias: Tensor<1>, product: &Tensor<D>) -> Tensor<1> {
    match bias.dtype() == product.dtype() {
        true => bias,
        false => bias.cast(product.dtype()),
    }
}

/// The approximate convolution of `[batch, in, height, width]` with `[out, in / groups, height, width]`, plus an exact
/// bias `[out]`.
///
/// A padded tap holds the code of the real value 0, which the multiplier multiplies like any other.
///
/// # Errors
/// A geometry that does not fit, quantiser channels elsewhere than along the weight's axis 0, codes that the multiplier
/// does not have, a plan that cannot compute it, or a bias of another length than `out`.
///
/// ```
/// use approx_multiplier::evoapprox;
/// use burn::{prelude::*, tensor::ops::ConvOptions};
/// use burn_approx::{PreparedMultiplier, ops, quantization::{CodeRange, CodeQuantizer}};
///
/// let device = Device::default();
/// let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J")?);
/// let quantizer = CodeQuantizer::per_tensor(0.1, 0, CodeRange::new(-127, 127)?, &device)?;
/// let x = Tensor::<4>::ones([1, 2, 5, 5], &device);
/// let w = Tensor::<4>::ones([3, 2, 3, 3], &device);
/// let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
/// let y = ops::conv2d(x, w, None, &quantizer, &quantizer, &multiplier, options)?;
/// assert_eq!(y.dims(), [1, 3, 5, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn conv2d(
    activation: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    activation_quantizer: &CodeQuantizer,
    weight_quantizer: &CodeQuantizer,
    multiplier: &PreparedMultiplier,
    options: ConvOptions<2>,
) -> Result<Tensor<4>, ApproxError> {
    let geometry = convolution::conv2d(activation.dims(), weight.dims(), &options)?;
    let quantizers = Quantizers {
        activation: activation_quantizer,
        weight: weight_quantizer,
    };
    let operands = (&activation, &weight, bias.as_ref());
    let operation = quantizers.operation("conv2d", operands, multiplier, geometry)?;
    let product = product(activation, weight, quantizers, operation);
    Ok(with_channel_bias(product, bias))
}

/// The approximate transposed convolution of `[batch, in, height, width]` with `[in, out / groups, height, width]`,
/// plus an exact bias `[out]`.
///
/// Only inputs are multiplied: neither the zeros that a stride puts between them nor anything outside. So padding crops
/// the result, and the zero point's products never enter. The weight's quantiser has one scale, or one for each of the
/// `out` output channels, along axis 1.
///
/// # Errors
/// A geometry that does not fit, quantiser channels elsewhere than along the weight's axis 1, codes that the multiplier
/// does not have, a plan that cannot compute it, or a bias of another length than `out`.
///
/// ```
/// use approx_multiplier::evoapprox;
/// use burn::{prelude::*, tensor::ops::ConvTransposeOptions};
/// use burn_approx::{PreparedMultiplier, ops, quantization::{CodeRange, CodeQuantizer}};
///
/// let device = Device::default();
/// let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J")?);
/// let quantizer = CodeQuantizer::per_tensor(0.1, 0, CodeRange::new(-127, 127)?, &device)?;
/// let x = Tensor::<4>::ones([1, 2, 5, 5], &device);
/// let w = Tensor::<4>::ones([2, 3, 4, 4], &device);
/// let options = ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], 1);
/// let y = ops::conv_transpose2d(x, w, None, &quantizer, &quantizer, &multiplier, options)?;
/// assert_eq!(y.dims(), [1, 3, 10, 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn conv_transpose2d(
    activation: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    activation_quantizer: &CodeQuantizer,
    weight_quantizer: &CodeQuantizer,
    multiplier: &PreparedMultiplier,
    options: ConvTransposeOptions<2>,
) -> Result<Tensor<4>, ApproxError> {
    let geometry = transposed::conv_transpose2d(activation.dims(), weight.dims(), &options)?;
    let weight_quantizer = weight_quantizer.along_axis(1, 0)?;
    let quantizers = Quantizers {
        activation: activation_quantizer,
        weight: &weight_quantizer,
    };
    let weight = turned_weight(weight, options.groups);
    let operands = (&activation, &weight, bias.as_ref());
    let operation = quantizers.operation("conv_transpose2d", operands, multiplier, geometry)?;
    let product = product(activation, weight, quantizers, operation);
    Ok(with_channel_bias(product, bias))
}

/// A transposed convolution's weight of Burn's, `[in, out / groups, height, width]`, as its product takes it,
/// `[out, in / groups, ..]`.
pub(crate) fn turned_weight(weight: Tensor<4>, groups: usize) -> Tensor<4> {
    let weight = transposed::turn::<Dispatch>(weight.into_dispatch(), groups);
    Tensor::from_dispatch(weight)
}

/// Adds a bias to every output channel, which lie along axis 1.
pub(crate) fn with_channel_bias<const D: usize>(
    product: Tensor<D>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    match bias {
        Some(bias) => {
            let mut along = [1; D];
            along[1] = bias.dims()[0];
            let bias = typed(bias, &product);
            product + bias.reshape(along)
        }
        None => product,
    }
}

/// A layer's product of floats, plus a bias: as Burn computes it, with gradients by the CPU's own kernels, which take a
/// fraction of the time of Burn's. `None` where there is no gradient or there are no such kernels: then Burn's operator does.
pub(crate) fn float_product(
    activation: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    geometry: Geometry,
) -> Option<Tensor<4>> {
    let serves = |tensor: &Tensor<4>| {
        tensor.dtype() == DType::F32 && tensor.is_autodiff() && is_on_host(tensor)
    };
    (serves(activation) && serves(weight)).then(|| {
        let [activation, weight] =
            [activation, weight].map(|tensor| tensor.clone().into_dispatch());
        let product = <Dispatch as ApproxOps>::float_product(activation, weight, geometry);
        with_channel_bias(Tensor::from_dispatch(product), bias.cloned())
    })
}

/// A planned product of any geometry, as its kernels compute it.
pub(crate) fn product<const D: usize>(
    activation: Tensor<D>,
    weight: Tensor<D>,
    quantizers: Quantizers<'_>,
    operation: ProductOperation,
) -> Tensor<D> {
    in_float32(activation, |activation| {
        let weight = match weight.dtype() {
            DType::F32 => weight,
            _ => weight.cast(DType::F32),
        };
        Tensor::from_dispatch(<Dispatch as ApproxOps>::product(
            activation.into_dispatch(),
            weight.into_dispatch(),
            quantizers.activation.parameters().into_dispatch(),
            quantizers.weight.parameters().into_dispatch(),
            operation,
        ))
    })
}

impl Quantizers<'_> {
    /// Checks the operands of a product and plans it.
    fn operation<const A: usize, const W: usize>(
        self,
        operator: &'static str,
        operands: (&Tensor<A>, &Tensor<W>, Option<&Tensor<1>>),
        multiplier: &PreparedMultiplier,
        geometry: Geometry,
    ) -> Result<ProductOperation, ApproxError> {
        let target = Target::of(&operands.0.device())?;
        self.check_operands(operator, operands, &geometry)?;
        let grids = [self.activation.grid(), self.weight.grid()];
        ProductOperation::new(multiplier.clone(), grids, geometry, target)
    }
}
