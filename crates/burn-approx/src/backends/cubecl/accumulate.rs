//! The integer accumulators of codes, as hardware has them.

use approx_multiplier::OperandFormat;
use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn::tensor::ops::ConvOptions;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use kernels_cubecl::{Operand, Output, PackedCodes, Words};

use super::buffers::{contiguous, length, tensor};
use super::product::{Multiplication, conv2d_problem, launch_matmul};
use crate::backends::batched::BatchedMatmul;
use crate::backends::checked;
use crate::ops::ProductOperation;
use crate::ops::shapes::{conv2d_geometry, conv2d_output};

/// Codes in 32 bits, as patterns of a format.
fn packed(codes: CubeTensor, format: OperandFormat) -> PackedCodes {
    let codes = contiguous(cast(codes, DType::I32));
    let (bits, signed) = (format.bits().into(), format.is_signed());
    checked(kernels_cubecl::pack(
        &codes.client,
        &codes.handle,
        length(&codes),
        bits,
        signed,
    ))
}

/// The codes of both operands of a product.
fn packed_operands(
    activation: CubeTensor,
    weight: CubeTensor,
    operation: &ProductOperation,
) -> [PackedCodes; 2] {
    let (activation_format, weight_format) = operation.multiplier.formats();
    [
        packed(activation, activation_format),
        packed(weight, weight_format),
    ]
}

pub(super) fn matmul(
    activation: CubeTensor,
    weight: CubeTensor,
    operation: &ProductOperation,
) -> CubeTensor {
    let batched = BatchedMatmul::new(&activation.shape(), &weight.shape());
    let beside = activation.clone();
    let codes = packed_operands(activation, weight, operation);
    let sums = launch_matmul(
        &beside,
        &batched,
        codes.each_ref().map(Operand::new),
        Multiplication::of(operation, &beside.device).product(Words::One),
        Output::Accumulators { padding_code: 0 },
    );
    tensor(&beside, sums, batched.output, DType::I32)
}

pub(super) fn conv2d(
    activation: CubeTensor,
    weight: CubeTensor,
    padding_code: i32,
    operation: &ProductOperation,
    options: &ConvOptions<2>,
) -> CubeTensor {
    let shape = conv2d_geometry(&activation.shape(), &weight.shape(), options);
    let beside = activation.clone();
    let codes = packed_operands(activation, weight, operation);
    let sums = kernels_cubecl::conv2d(
        &beside.client,
        conv2d_problem(shape),
        codes.each_ref().map(Operand::new),
        Multiplication::of(operation, &beside.device).product(Words::One),
        Output::Accumulators { padding_code },
    );
    tensor(&beside, checked(sums), conv2d_output(shape), DType::I32)
}
