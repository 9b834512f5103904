//! The integer accumulators of products of codes, as hardware has them.

use approx_multiplier::{Definition, OperandFormat};
use burn::backend::Dispatch;
use burn::prelude::*;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use super::arguments::{Quantizers, check_devices, check_weight_size};
use super::products::reshaped;
use crate::backends::ApproxOps;
use crate::codes::{CodeGrid, CodeRange, Operand};
use crate::error::ApproxError;
use crate::geometry::{Geometry, conv_transpose2d, conv2d, matmul, shape_error};
use crate::multiplier::PreparedMultiplier;
use crate::plan::{ProductOperation, Target};

/// The operation on every code of a multiplier, which has integer accumulators.
fn integer_operation(
    multiplier: &PreparedMultiplier,
    geometry: Geometry,
    target: Target,
) -> Result<ProductOperation, ApproxError> {
    if matches!(multiplier.definition(), Definition::Htp(_)) {
        return Err(shape_error(
            "accumulators",
            format!(
                "`{}` is an HTP model: its sums are not integers",
                multiplier.multiplier().name()
            ),
        ));
    }
    let (activation, weight) = multiplier.formats();
    let grids =
        [activation, weight].map(|format| CodeGrid::of_any_zero_point(CodeRange::full(format)));
    ProductOperation::of_accumulators(multiplier.clone(), grids, geometry, target)
}

/// Checks that a tensor of codes holds no others than a format's; waits for the device.
fn check_codes<const D: usize>(
    operand: Operand,
    codes: &Tensor<D, Int>,
    format: OperandFormat,
) -> Result<(), ApproxError> {
    if codes.shape().num_elements() == 0 {
        return Ok(());
    }
    let extremes = [codes.clone().min(), codes.clone().max()];
    for code in extremes.map(|code| code.into_scalar::<i64>()) {
        let known = i32::try_from(code).is_ok_and(|code| format.contains(code));
        if !known {
            return Err(ApproxError::CodeOutsideFormat {
                operand,
                code,
                format,
            });
        }
    }
    Ok(())
}

/// Checks the codes of both operands of a product.
fn check_operand_codes<const D: usize>(
    activation: &Tensor<D, Int>,
    weight: &Tensor<D, Int>,
    multiplier: &PreparedMultiplier,
) -> Result<(), ApproxError> {
    let (activation_format, weight_format) = multiplier.formats();
    check_codes(Operand::Activation, activation, activation_format)?;
    check_codes(Operand::Weight, weight, weight_format)
}

/// The integer accumulators of a matrix product of codes, `sum over k of m(a, w)`, before any correction.
///
/// The result is 64 bits wide on a CPU, 32 on a GPU. The codes are checked first, which waits for the device.
///
/// # Errors
/// Shapes that do not fit, an HTP model, whose sums are not integers, a plan that cannot compute integers, codes that
/// the multiplier does not have, or on a GPU sums that might not fit in 32 bits.
///
/// ```
/// use approx_multiplier::{Multiplier, OperandFormat};
/// use burn::prelude::*;
/// use burn_approx::{PreparedMultiplier, ops};
///
/// let device = Device::default();
/// let minus_one = Multiplier::from_fn("a*b-1", OperandFormat::INT8, OperandFormat::INT8, |a, b| a * b - 1)?;
/// let a = Tensor::<2, Int>::from_ints([[2, -3]], &device);
/// let w = Tensor::<2, Int>::from_ints([[5], [7]], &device);
/// let sums = ops::matmul_accumulators(a, w, &PreparedMultiplier::new(minus_one))?;
/// sums.to_data().assert_eq(&TensorData::from([[-13i64]]), false);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn matmul_accumulators<const D: usize>(
    activation: Tensor<D, Int>,
    weight: Tensor<D, Int>,
    multiplier: &PreparedMultiplier,
) -> Result<Tensor<D, Int>, ApproxError> {
    let geometry = matmul::matmul(&activation.dims(), &weight.dims())?;
    accumulators(activation, weight, 0, multiplier, geometry)
}

/// The accumulators of a product of any geometry.
fn accumulators<const D: usize>(
    activation: Tensor<D, Int>,
    weight: Tensor<D, Int>,
    padding_code: i32,
    multiplier: &PreparedMultiplier,
    geometry: Geometry,
) -> Result<Tensor<D, Int>, ApproxError> {
    let others = [(Operand::Weight.name(), weight.device())];
    let target = Target::of(&activation.device())?;
    check_devices(geometry.name(), &activation.device(), others)?;
    check_weight_size(&weight.device(), &weight.shape())?;
    let operation = integer_operation(multiplier, geometry, target)?;
    let range = operation.activation().codes()?;
    if padding_code < range.low() || padding_code > range.high() {
        return Err(ApproxError::InvalidPaddingCode {
            code: padding_code,
            range,
        });
    }
    check_operand_codes(&activation, &weight, multiplier)?;
    Ok(Tensor::from_dispatch(<Dispatch as ApproxOps>::accumulate(
        activation.into_dispatch(),
        weight.into_dispatch(),
        padding_code,
        operation,
    )))
}

/// The accumulators of a planned product of real values, whose operands lie as its geometry says.
pub(crate) fn accumulators_of<const D: usize>(
    activation: &Tensor<D>,
    weight: &Tensor<D>,
    quantizers: Quantizers<'_>,
    operation: &ProductOperation,
) -> Result<TensorData, ApproxError> {
    // Sums of nothing.
    if activation.shape().num_elements() == 0 {
        let shape = (operation.geometry()).output_shape(&activation.shape(), &weight.shape());
        return Ok(TensorData::zeros::<i64, _>(shape));
    }
    let codes = quantizers.activation.try_codes(activation.clone())?;
    let weight_codes = quantizers.weight.try_codes(weight.clone())?;
    let padding_code = quantizers.activation.zero_points()[0];
    let (multiplier, geometry) = (operation.multiplier(), *operation.geometry());
    let sums = accumulators(codes, weight_codes, padding_code, multiplier, geometry)?;
    Ok(sums.into_data().convert::<i64>())
}

/// The accumulators of a linear layer's planned product, `[.., in]` with `[in, out]`.
pub(crate) fn linear_accumulators_of<const D: usize>(
    activation: &Tensor<D>,
    weight: &Tensor<2>,
    quantizers: Quantizers<'_>,
    operation: &ProductOperation,
) -> Result<TensorData, ApproxError> {
    let mut dims = activation.dims().to_vec();
    let [inputs, outputs] = weight.dims();
    let rows = dims[..D - 1].iter().product::<usize>();
    let activation = reshaped(activation.clone(), [rows, inputs]);
    let sums = accumulators_of(&activation, weight, quantizers, operation)?;
    dims[D - 1] = outputs;
    Ok(TensorData::new(
        sums.iter::<i64>().collect::<Vec<i64>>(),
        dims,
    ))
}

/// The integer accumulators of a convolution of codes; padded taps hold the code `padding_code`.
///
/// # Errors
/// As [`matmul_accumulators`]; a padding code that the multiplier does not have.
///
/// ```
/// use approx_multiplier::{Multiplier, OperandFormat};
/// use burn::{prelude::*, tensor::ops::ConvOptions};
/// use burn_approx::{PreparedMultiplier, ops};
///
/// let device = Device::default();
/// let exact = PreparedMultiplier::new(Multiplier::exact(OperandFormat::INT8, OperandFormat::INT8));
/// let x = Tensor::<4, Int>::ones([1, 1, 3, 3], &device);
/// let w = Tensor::<4, Int>::ones([1, 1, 3, 3], &device);
/// let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
/// let sums = ops::conv2d_accumulators(x, w, 10, &exact, options)?;
/// assert_eq!(sums.into_data().iter::<i64>().next(), Some(4 + 5 * 10)); // the corner has five padded taps
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn conv2d_accumulators(
    activation: Tensor<4, Int>,
    weight: Tensor<4, Int>,
    padding_code: i32,
    multiplier: &PreparedMultiplier,
    options: ConvOptions<2>,
) -> Result<Tensor<4, Int>, ApproxError> {
    let geometry = conv2d::conv2d(activation.dims(), weight.dims(), &options)?;
    accumulators(activation, weight, padding_code, multiplier, geometry)
}

/// The integer accumulators of a transposed convolution of codes: sums of the products of inputs with the weight
/// `[in, out / groups, height, width]`; nothing between or outside the inputs is multiplied.
///
/// # Errors
/// As [`matmul_accumulators`].
///
/// ```
/// use approx_multiplier::{Multiplier, OperandFormat};
/// use burn::{prelude::*, tensor::ops::ConvTransposeOptions};
/// use burn_approx::{PreparedMultiplier, ops};
///
/// let device = Device::default();
/// let exact = PreparedMultiplier::new(Multiplier::exact(OperandFormat::INT8, OperandFormat::INT8));
/// let x = Tensor::<4, Int>::from_ints([[[[1, 2]]]], &device);
/// let w = Tensor::<4, Int>::from_ints([[[[3, 4, 5]]]], &device);
/// let options = ConvTransposeOptions::new([1, 2], [0, 0], [0, 0], [1, 1], 1);
/// let sums = ops::conv_transpose2d_accumulators(x, w, &exact, options)?;
/// sums.to_data().assert_eq(&TensorData::from([[[[3i64, 4, 5 + 6, 8, 10]]]]), false);
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn conv_transpose2d_accumulators(
    activation: Tensor<4, Int>,
    weight: Tensor<4, Int>,
    multiplier: &PreparedMultiplier,
    options: ConvTransposeOptions<2>,
) -> Result<Tensor<4, Int>, ApproxError> {
    let geometry = conv_transpose2d::conv_transpose2d(activation.dims(), weight.dims(), &options)?;
    let [inputs, outputs, height, width] = weight.dims();
    let groups = options.groups;
    let weight = weight
        .reshape([groups, inputs / groups, outputs, height, width])
        .swap_dims(1, 2)
        .reshape([groups * outputs, inputs / groups, height, width]);
    accumulators(activation, weight, 0, multiplier, geometry)
}
