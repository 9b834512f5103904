//! The operators over Burn's tensors: shapes are checked here, so that bad input is an error and no kernel sees it.

use approx_cpu::{Conv2dShape, MatmulShape, Padding2d};
use approx_multiplier::{Definition, OperandFormat};
use burn::backend::Dispatch;
use burn::prelude::*;
use burn::tensor::DType;
use burn::tensor::ops::ConvOptions;

use super::backend::{ApproxOps, CodeGrid, ProductOperation};
use super::kept::KeptWeight;
use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::plan::{Target, Workload};
use crate::quantization::{CodeRange, Quantizer, ZERO_POINT};

/// The kernels compute in float32; other float types pass through it.
fn in_float32<const D: usize, const R: usize>(
    values: Tensor<D>,
    operation: impl FnOnce(Tensor<D>) -> Tensor<R>,
) -> Tensor<R> {
    match values.dtype() {
        DType::F32 => operation(values),
        other => operation(values.cast(DType::F32)).cast(other),
    }
}

/// The codes as integer-valued floats.
pub(crate) fn operand_codes<const D: usize>(values: Tensor<D>, quantizer: &Quantizer) -> Tensor<D> {
    let grid = quantizer.grid();
    let zero_point = quantizer.parameters().slice(s![ZERO_POINT, ..]);
    let mut along = [1; D];
    if let Some(axis) = grid.channel_axis {
        along[axis] = zero_point.dims()[1];
    }
    in_float32(values, |values| {
        Tensor::from_dispatch(<Dispatch as ApproxOps>::shifted_codes(
            values.into_dispatch(),
            quantizer.parameters().into_dispatch(),
            grid,
        )) + zero_point.reshape(along)
    })
}

/// Checks that a device's backend has the approximate operators.
///
/// # Errors
/// [`ApproxError::UnsupportedDevice`].
///
/// ```
/// use burn::tensor::Device;
///
/// assert!(burn_approx::ops::check_device(&Device::default()).is_ok());
/// ```
pub fn check_device(device: &Device) -> Result<(), ApproxError> {
    Target::of(device).map(|_| ())
}

pub(crate) fn fake_quantize<const D: usize>(values: Tensor<D>, quantizer: &Quantizer) -> Tensor<D> {
    in_float32(values, |values| {
        Tensor::from_dispatch(<Dispatch as ApproxOps>::fake_quantize(
            values.into_dispatch(),
            quantizer.parameters().into_dispatch(),
            quantizer.grid(),
        ))
    })
}

/// The smallest and largest value per channel, `[2, channels]`.
pub(crate) fn observe_ranges<const D: usize>(
    values: Tensor<D>,
    channel_axis: Option<usize>,
) -> Tensor<2> {
    let values = values.without_autodiff().cast(DType::F32);
    Tensor::from_dispatch(<Dispatch as ApproxOps>::observe_ranges(
        values.into_dispatch(),
        channel_axis,
    ))
}

/// The counts per histogram bin, `[bins]`.
pub(crate) fn observe_histogram<const D: usize>(values: Tensor<D>) -> Tensor<1> {
    let values = values.without_autodiff().cast(DType::F32);
    Tensor::from_dispatch(<Dispatch as ApproxOps>::observe_histogram(
        values.into_dispatch(),
    ))
}

/// The kind of device that all operands lie on.
fn common_target(
    operator: &'static str,
    activation: &Device,
    others: impl IntoIterator<Item = (&'static str, Device)>,
) -> Result<Target, ApproxError> {
    let target = Target::of(activation)?;
    let activation = activation.clone().inner();
    for (operand, device) in others {
        let device = device.inner();
        if device != activation {
            return Err(ApproxError::DifferentDevices {
                operator,
                operand,
                devices: [format!("{activation:?}"), format!("{device:?}")],
            });
        }
    }
    Ok(target)
}

fn shape_error(operator: &'static str, problem: String) -> ApproxError {
    ApproxError::Shape { operator, problem }
}

/// The quantisers of both operands of a product.
#[derive(Clone, Copy)]
pub(crate) struct Quantizers<'a> {
    pub(crate) activation: &'a Quantizer,
    pub(crate) weight: &'a Quantizer,
}

impl Quantizers<'_> {
    /// The kind of device that the operands of a product and their quantisers lie on.
    fn target(
        self,
        operator: &'static str,
        activation: &Device,
        weight: Device,
        bias: Option<&Tensor<1>>,
    ) -> Result<Target, ApproxError> {
        let own = [
            ("weight", weight),
            (
                "activation's quantiser",
                self.activation.parameters().device(),
            ),
            ("weight's quantiser", self.weight.parameters().device()),
        ];
        let bias = bias.map(|bias| ("bias", bias.device()));
        common_target(operator, activation, own.into_iter().chain(bias))
    }

    /// Checks that the activation has one scale, and that the weight's channels, if it has any, are the `channels` output
    /// channels of `operator`, which lie along `axis` of the weight.
    fn check(
        self,
        operator: &'static str,
        axis: usize,
        channels: usize,
    ) -> Result<(), ApproxError> {
        if let Some(axis) = self.activation.grid().channel_axis {
            return Err(shape_error(
                operator,
                format!(
                    "the activation's quantiser has channels along axis {axis}; activations take one scale per tensor"
                ),
            ));
        }
        let [_, count] = self.weight.parameters().dims();
        match self.weight.grid().channel_axis {
            None if count == 1 => Ok(()),
            Some(found) if found == axis && count == channels => Ok(()),
            found => Err(shape_error(
                operator,
                format!(
                    "the weight's quantiser has {count} scales along axis {found:?}; one per tensor, or {channels} along \
                     axis {axis} (the output channels) would be right"
                ),
            )),
        }
    }

    fn operation(
        self,
        multiplier: &PreparedMultiplier,
        workload: Workload,
        target: Target,
    ) -> Result<ProductOperation, ApproxError> {
        let (activation, weight) = (self.activation.grid(), self.weight.grid());
        ProductOperation::new(multiplier.clone(), activation, weight, workload, target)
    }
}

/// The work of a matrix product whose leading dimensions broadcast.
pub(crate) fn matmul_workload(activation: &[usize], weight: &[usize]) -> Workload {
    let rank = activation.len();
    let leading = activation[..rank - 2].iter().zip(&weight[..rank - 2]);
    let batch: usize = leading.map(|(left, right)| left.max(right)).product();
    Workload::Matmul(MatmulShape {
        rows: batch * activation[rank - 2],
        inner: activation[rank - 1],
        columns: weight[rank - 1],
    })
}

/// The work of a linear layer on an input whose last size is the layer's.
pub(crate) fn linear_workload(input: &[usize], [inner, columns]: [usize; 2]) -> Workload {
    Workload::Matmul(MatmulShape {
        rows: input[..input.len() - 1].iter().product(),
        inner,
        columns,
    })
}

/// Checks the operands of a matrix product, leading dimensions broadcasting.
fn check_matmul(
    operator: &'static str,
    activation: &[usize],
    weight: &[usize],
) -> Result<(), ApproxError> {
    let rank = activation.len();
    if rank < 2 {
        return Err(shape_error(
            operator,
            format!("a product needs rank 2 or more, not {activation:?}"),
        ));
    }
    let inner = (activation[rank - 1], weight[rank - 2]);
    if inner.0 != inner.1 {
        return Err(shape_error(
            operator,
            format!(
                "{activation:?} times {weight:?}: the inner sizes {} and {} differ",
                inner.0, inner.1
            ),
        ));
    }
    for (left, right) in activation[..rank - 2].iter().zip(&weight[..rank - 2]) {
        if left != right && *left != 1 && *right != 1 {
            return Err(shape_error(
                operator,
                format!(
                    "{activation:?} times {weight:?}: the leading sizes {left} and {right} do not broadcast"
                ),
            ));
        }
    }
    Ok(())
}

/// Checks the input of a linear layer.
pub(crate) fn check_linear(activation: &[usize], inputs: usize) -> Result<(), ApproxError> {
    match activation.last() {
        Some(last) if *last == inputs => Ok(()),
        _ => Err(shape_error(
            "linear",
            format!(
                "the weight takes {inputs} inputs, but the activation's shape is {activation:?}: its last size differs"
            ),
        )),
    }
}

/// Checks what a convolution layer is made from.
pub(crate) fn check_conv2d_config(
    channels: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
) -> Result<(), ApproxError> {
    let sizes = [channels, kernel, stride, dilation];
    if groups == 0 || sizes.iter().flatten().any(|size| *size == 0) {
        return Err(shape_error(
            "conv2d",
            format!(
                "channels {channels:?}, kernel {kernel:?}, stride {stride:?}, dilation {dilation:?} and {groups} groups \
                 must all be above 0"
            ),
        ));
    }
    if channels.iter().any(|count| count % groups != 0) {
        return Err(shape_error(
            "conv2d",
            format!("{groups} groups do not divide both channel counts {channels:?}"),
        ));
    }
    Ok(())
}

/// The geometry of a convolution, checked.
pub(crate) fn conv2d_shape(
    activation: [usize; 4],
    weight: [usize; 4],
    options: &ConvOptions<2>,
) -> Result<Conv2dShape, ApproxError> {
    let [batch, in_channels, height, width] = activation;
    let [out_channels, group_channels, kernel_height, kernel_width] = weight;
    if group_channels.checked_mul(options.groups) != Some(in_channels) {
        return Err(shape_error(
            "conv2d",
            format!(
                "weight {weight:?} in {} groups takes {} input channels, the activation {activation:?} has {in_channels}",
                options.groups,
                group_channels * options.groups
            ),
        ));
    }
    let shape = Conv2dShape {
        batch,
        in_channels,
        out_channels,
        groups: options.groups,
        input: [height, width],
        kernel: [kernel_height, kernel_width],
        stride: options.stride,
        dilation: options.dilation,
        padding: Padding2d {
            top: options.padding[0].0,
            bottom: options.padding[0].1,
            left: options.padding[1].0,
            right: options.padding[1].1,
        },
    };
    shape.validate()?;
    Ok(shape)
}

/// The approximate matrix product of `[.., m, k]` and `[.., k, n]` to `[.., m, n]`; leading dimensions broadcast.
///
/// Both operands are quantised, every scalar product is the multiplier's (activation code first), sums are exact
/// integers (unless a float32 plan is forced or the multiplier is an HTP model), and the result is scaled back to real values. Gradients are straight-through.
///
/// # Errors
/// Shapes that do not fit, quantiser channels elsewhere than along the weight's last axis, codes that the multiplier
/// does not have, or a plan that cannot compute it.
///
/// ```
/// use approx_multiplier::evoapprox;
/// use burn::prelude::*;
/// use burn_approx::{PreparedMultiplier, ops, quantization::{CodeRange, Quantizer}};
///
/// let device = Device::default();
/// let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J")?);
/// let quantizer = Quantizer::per_tensor(0.5, 0, CodeRange::new(-127, 127)?, &device)?;
/// let a = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
/// let w = Tensor::<2>::from_floats([[4.0], [3.0]], &device);
/// let y = ops::matmul(a, w, &quantizer, &quantizer, &multiplier)?;
/// assert_eq!(y.dims(), [1, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn matmul<const D: usize>(
    activation: Tensor<D>,
    weight: Tensor<D>,
    activation_quantizer: &Quantizer,
    weight_quantizer: &Quantizer,
    multiplier: &PreparedMultiplier,
) -> Result<Tensor<D>, ApproxError> {
    check_matmul("matmul", &activation.dims(), &weight.dims())?;
    let workload = matmul_workload(&activation.dims(), &weight.dims());
    let quantizers = Quantizers {
        activation: activation_quantizer,
        weight: weight_quantizer,
    };
    let target = quantizers.target("matmul", &activation.device(), weight.device(), None)?;
    quantizers.check("matmul", D - 1, weight.dims()[D - 1])?;
    let operation = quantizers.operation(multiplier, workload, target)?;
    Ok(matmul_operation(activation, weight, quantizers, operation))
}

fn matmul_operation<const D: usize>(
    activation: Tensor<D>,
    weight: Tensor<D>,
    quantizers: Quantizers<'_>,
    operation: ProductOperation,
) -> Tensor<D> {
    in_float32(activation, |activation| {
        Tensor::from_dispatch(<Dispatch as ApproxOps>::approx_matmul(
            activation.into_dispatch(),
            weight.cast(DType::F32).into_dispatch(),
            quantizers.activation.parameters().into_dispatch(),
            quantizers.weight.parameters().into_dispatch(),
            operation,
        ))
    })
}

/// The approximate linear layer: `[.., in]` times a weight `[in, out]`, plus an exact bias `[out]`.
///
/// # Errors
/// As [`matmul`]; a bias of another length than `out`.
///
/// ```
/// use approx_multiplier::{Multiplier, OperandFormat};
/// use burn::prelude::*;
/// use burn_approx::{PreparedMultiplier, ops, quantization::{CodeRange, Quantizer}};
///
/// let device = Device::default();
/// let exact = PreparedMultiplier::new(Multiplier::exact(OperandFormat::INT8, OperandFormat::INT8));
/// let quantizer = Quantizer::per_tensor(1.0, 0, CodeRange::new(-128, 127)?, &device)?;
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
    activation_quantizer: &Quantizer,
    weight_quantizer: &Quantizer,
    multiplier: &PreparedMultiplier,
) -> Result<Tensor<D>, ApproxError> {
    let quantizers = Quantizers {
        activation: activation_quantizer,
        weight: weight_quantizer,
    };
    linear_keeping(activation, weight, bias, quantizers, multiplier, None)
}

/// [`linear`] on a weight of which something may have been kept.
pub(crate) fn linear_keeping<const D: usize>(
    activation: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    quantizers: Quantizers<'_>,
    multiplier: &PreparedMultiplier,
    kept: Option<KeptWeight>,
) -> Result<Tensor<D>, ApproxError> {
    let target = quantizers.target(
        "linear",
        &activation.device(),
        weight.device(),
        bias.as_ref(),
    )?;
    let mut dims = activation.dims();
    let [inputs, outputs] = weight.dims();
    check_linear(&dims, inputs)?;
    check_bias("linear", bias.as_ref(), outputs)?;
    quantizers.check("linear", 1, outputs)?;
    let workload = linear_workload(&dims, [inputs, outputs]);
    let operation = quantizers
        .operation(multiplier, workload, target)?
        .keeping(kept);
    let rows = dims[..D - 1].iter().product::<usize>();
    let activation = activation.reshape([rows, inputs]);
    let product = matmul_operation(activation, weight, quantizers, operation);
    let product = match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    };
    dims[D - 1] = outputs;
    Ok(product.reshape(dims))
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
/// use burn_approx::{PreparedMultiplier, ops, quantization::{CodeRange, Quantizer}};
///
/// let device = Device::default();
/// let multiplier = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J")?);
/// let quantizer = Quantizer::per_tensor(0.1, 0, CodeRange::new(-127, 127)?, &device)?;
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
    activation_quantizer: &Quantizer,
    weight_quantizer: &Quantizer,
    multiplier: &PreparedMultiplier,
    options: ConvOptions<2>,
) -> Result<Tensor<4>, ApproxError> {
    let quantizers = Quantizers {
        activation: activation_quantizer,
        weight: weight_quantizer,
    };
    conv2d_keeping(
        activation, weight, bias, quantizers, multiplier, options, None,
    )
}

/// [`conv2d`] on a weight of which something may have been kept.
pub(crate) fn conv2d_keeping(
    activation: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    quantizers: Quantizers<'_>,
    multiplier: &PreparedMultiplier,
    options: ConvOptions<2>,
    kept: Option<KeptWeight>,
) -> Result<Tensor<4>, ApproxError> {
    let target = quantizers.target(
        "conv2d",
        &activation.device(),
        weight.device(),
        bias.as_ref(),
    )?;
    let shape = conv2d_shape(activation.dims(), weight.dims(), &options)?;
    quantizers.check("conv2d", 0, shape.out_channels)?;
    check_bias("conv2d", bias.as_ref(), shape.out_channels)?;
    let workload = Workload::Conv2d(shape);
    let operation = quantizers
        .operation(multiplier, workload, target)?
        .keeping(kept);
    let product = in_float32(activation, |activation| {
        Tensor::from_dispatch(<Dispatch as ApproxOps>::approx_conv2d(
            activation.into_dispatch(),
            weight.cast(DType::F32).into_dispatch(),
            quantizers.activation.parameters().into_dispatch(),
            quantizers.weight.parameters().into_dispatch(),
            operation,
            options,
        ))
    });
    Ok(match bias {
        Some(bias) => product + bias.reshape([1, shape.out_channels, 1, 1]),
        None => product,
    })
}

fn check_bias(
    operator: &'static str,
    bias: Option<&Tensor<1>>,
    outputs: usize,
) -> Result<(), ApproxError> {
    match bias.map(|bias| bias.dims()[0]) {
        Some(length) if length != outputs => Err(shape_error(
            operator,
            format!("the bias has {length} values for {outputs} outputs"),
        )),
        _ => Ok(()),
    }
}

/// The operation on every code of a multiplier, which has integer accumulators.
fn integer_operation(
    multiplier: &PreparedMultiplier,
    workload: Workload,
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
    let grid = |format| {
        let codes = CodeRange::full(format);
        CodeGrid {
            low: codes.low(),
            high: codes.high(),
            symmetric: false,
            channel_axis: None,
        }
    };
    let grids = [grid(activation), grid(weight)];
    ProductOperation::integer(multiplier.clone(), grids, workload, target)
}

/// Checks that a tensor of codes holds no others than a format's; waits for the device.
fn check_codes<const D: usize>(
    operand: &'static str,
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
    check_codes("activation", activation, activation_format)?;
    check_codes("weight", weight, weight_format)
}

/// The integer accumulators of a matrix product of codes, `sum over k of m(a, w)`, before any correction.
///
/// The result is 64 bits wide on a CPU, 32 on a GPU. The codes are checked first, which waits for the device.
///
/// # Errors
/// Shapes that do not fit, an HTP model, whose sums are not integers, a plan that cannot compute integers, codes that the multiplier
/// does not have, or on a GPU sums that might not fit in 32 bits.
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
    check_matmul("matmul", &activation.dims(), &weight.dims())?;
    let workload = matmul_workload(&activation.dims(), &weight.dims());
    let others = [("weight", weight.device())];
    let target = common_target("matmul", &activation.device(), others)?;
    let operation = integer_operation(multiplier, workload, target)?;
    check_operand_codes(&activation, &weight, multiplier)?;
    Ok(Tensor::from_dispatch(
        <Dispatch as ApproxOps>::accumulate_matmul(
            activation.into_dispatch(),
            weight.into_dispatch(),
            operation,
        ),
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
    let shape = conv2d_shape(activation.dims(), weight.dims(), &options)?;
    let workload = Workload::Conv2d(shape);
    let others = [("weight", weight.device())];
    let target = common_target("conv2d", &activation.device(), others)?;
    let operation = integer_operation(multiplier, workload, target)?;
    if padding_code < operation.activation.low || padding_code > operation.activation.high {
        return Err(ApproxError::InvalidQuantizer {
            what: "padding".into(),
            problem: format!(
                "code {padding_code} is not among the activation codes {}..={}",
                operation.activation.low, operation.activation.high
            ),
        });
    }
    check_operand_codes(&activation, &weight, multiplier)?;
    Ok(Tensor::from_dispatch(
        <Dispatch as ApproxOps>::accumulate_conv2d(
            activation.into_dispatch(),
            weight.into_dispatch(),
            padding_code,
            operation,
            options,
        ),
    ))
}
