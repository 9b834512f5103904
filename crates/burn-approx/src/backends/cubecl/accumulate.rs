//! The integer accumulators of codes, as hardware has them.

use approx_multiplier::OperandFormat;
use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use kernels_cubecl::{Operand, Output, PackedCodes, Words};

use super::buffers::{contiguous, length, tensor};
use super::product::{Multiplication, launch};
use crate::backends::checked;
use crate::plan::ProductOperation;

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
    let (activation_format, weight_format) = operation.multiplier().formats();
    [
        packed(activation, activation_format),
        packed(weight, weight_format),
    ]
}

pub(super) fn accumulate(
    activation: CubeTensor,
    weight: CubeTensor,
    padding_code: i32,
    operation: &ProductOperation,
) -> CubeTensor {
    let shapes = [activation.shape(), weight.shape()];
    let beside = activation.clone();
    let codes = packed_operands(activation, weight, operation);
    let sums = launch(
        &beside,
        operation,
        &shapes,
        codes.each_ref().map(Operand::new),
        Multiplication::of(operation, &beside.device).product(Words::One),
        Output::Accumulators { padding_code },
    );
    let output = (operation.geometry()).output_shape(&shapes[0], &shapes[1]);
    tensor(&beside, sums, output, DType::I32)
}
