//! The integer accumulators of codes, as hardware has them.

use approx_multiplier::OperandFormat;
use burn::backend::TensorMetadata;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;
use kernels_cubecl::{Operand, Output, Words};

use super::buffers::{contiguous, length};
use super::checked;
use super::product::{Multiplication, conv2d_problem, geometry, launch_matmul, output_shape};
use crate::backends::batched::BatchedMatmul;
use crate::ops::ProductOperation;

/// Codes in 32 bits, as patterns of a format.
fn packed(codes: CubeTensor, format: OperandFormat) -> kernels_cubecl::PackedCodes {
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

fn int_tensor(beside: &CubeTensor, handle: cubecl::server::Handle, shape: Shape) -> CubeTensor {
    let (client, device) = (beside.client.clone(), beside.device.clone());
    CubeTensor::new_contiguous(client, device, shape, handle, DType::I32)
}

pub(super) fn matmul(
    activation: CubeTensor,
    weight: CubeTensor,
    operation: &ProductOperation,
) -> CubeTensor {
    let batched = BatchedMatmul::new(&activation.shape(), &weight.shape());
    let beside = activation.clone();
    let (activation_format, weight_format) = operation.multiplier.formats();
    let codes = [
        packed(activation, activation_format),
        packed(weight, weight_format),
    ];
    let sums = launch_matmul(
        &beside,
        &batched,
        codes.each_ref().map(Operand::new),
        Multiplication::of(operation, &beside.device).product(Words::One),
        Output::Accumulators { padding_code: 0 },
    );
    int_tensor(&beside, sums, batched.output)
}

pub(super) fn conv2d(
    activation: CubeTensor,
    weight: CubeTensor,
    padding_code: i32,
    operation: &ProductOperation,
    options: &ConvOptions<2>,
) -> CubeTensor {
    let shape = geometry(&activation, &weight, options);
    let beside = activation.clone();
    let (activation_format, weight_format) = operation.multiplier.formats();
    let codes = [
        packed(activation, activation_format),
        packed(weight, weight_format),
    ];
    let sums = kernels_cubecl::conv2d(
        &beside.client,
        conv2d_problem(shape),
        codes.each_ref().map(Operand::new),
        Multiplication::of(operation, &beside.device).product(Words::One),
        Output::Accumulators { padding_code },
    );
    int_tensor(&beside, checked(sums), output_shape(shape))
}
