//! The integer accumulators of codes, by whatever integer plan.

use approx_cpu::{Accumulators, Conv2dShape, ConvTranspose2dShape, MatmulWeights};
use approx_multiplier::OperandFormat;
use burn::backend::tensor::IntTensor;
use burn::backend::{Backend, TensorMetadata, read_sync};
use burn::tensor::TensorData;

use super::lookup_table;
use super::patterns::Patterns;
use crate::backends::checked;
use crate::codes::Operand;
use crate::geometry::Geometry;
use crate::geometry::matmul::BatchedMatmul;
use crate::multiplier::Route;
use crate::plan::ProductOperation;

fn integers(sums: Accumulators) -> Vec<i64> {
    match sums {
        Accumulators::I32(sums) => sums.into_iter().map(i64::from).collect(),
        Accumulators::I64(sums) => sums,
    }
}

/// The bit patterns of a tensor of codes.
///
/// # Panics
/// If a code is not in the multiplier's format.
fn patterns<B: Backend>(codes: IntTensor<B>, operand: Operand, format: OperandFormat) -> Patterns {
    let data = read_sync(B::int_into_data(codes))
        .expect("host tensors can be read")
        .convert::<i64>();
    let codes = data.as_slice::<i64>().expect("converted to i64");
    let codes = codes.iter().map(|code| {
        let code = i32::try_from(*code)
            .ok()
            .filter(|code| format.contains(*code));
        code.unwrap_or_else(|| {
            panic!("a code of the {operand} is outside the multiplier's {format} operand")
        })
    });
    match format.bits() {
        ..=8 => Patterns::Narrow(codes.map(|code| format.pattern(code) as u8).collect()),
        _ => Patterns::Wide(codes.map(|code| format.pattern(code) as u16).collect()),
    }
}

/// The accumulators of an operation.
pub(super) fn accumulate<B: Backend>(
    activation: IntTensor<B>,
    weight: IntTensor<B>,
    padding_code: i32,
    operation: &ProductOperation,
) -> IntTensor<B> {
    match *operation.geometry() {
        Geometry::Matmul(_) => matmul::<B>(activation, weight, operation),
        Geometry::Conv2d(shape) => conv2d::<B>(activation, weight, padding_code, operation, shape),
        Geometry::ConvTranspose2d(shape) => {
            conv_transpose2d::<B>(activation, weight, operation, shape)
        }
    }
}

fn matmul<B: Backend>(
    activation: IntTensor<B>,
    weight: IntTensor<B>,
    operation: &ProductOperation,
) -> IntTensor<B> {
    let device = activation.device();
    let product = BatchedMatmul::new(&activation.shape(), &weight.shape());
    let (format, weight_format) = operation.multiplier().formats();
    let activation = patterns::<B>(activation, Operand::Activation, format);
    let weight = patterns::<B>(weight, Operand::Weight, weight_format);
    let shape = product.shape;
    let rows = shape.rows * shape.inner;
    let packed: Vec<MatmulWeights> = match operation.route() {
        Route::Gather => Vec::new(),
        _ => (0..product.weight_count())
            .map(|matrix| {
                let weights = weight.weights(product.weight_matrix(matrix));
                let product = &operation.factors().integer;
                checked(product.pack_matmul(weights, shape.inner, shape.columns))
            })
            .collect(),
    };
    let sums: Vec<i64> = product
        .pairs()
        .flat_map(|(left, right)| {
            let part = left * rows..(left + 1) * rows;
            integers(checked(match packed.get(right) {
                None => approx_cpu::matmul(
                    lookup_table(operation),
                    activation.bytes(part),
                    weight.bytes(product.weight_matrix(right)),
                    shape,
                ),
                Some(weight) => {
                    let product = &operation.factors().integer;
                    product.matmul(activation.activations(part), shape.rows, weight)
                }
            }))
        })
        .collect();
    B::int_from_data(TensorData::new(sums, product.output), &device)
}

fn conv2d<B: Backend>(
    activation: IntTensor<B>,
    weight: IntTensor<B>,
    padding_code: i32,
    operation: &ProductOperation,
    shape: Conv2dShape,
) -> IntTensor<B> {
    let device = activation.device();
    let output = (operation.geometry()).output_shape(&activation.shape(), &weight.shape());
    let (format, weight_format) = operation.multiplier().formats();
    let activation = patterns::<B>(activation, Operand::Activation, format);
    let weight = patterns::<B>(weight, Operand::Weight, weight_format);
    let padding = format.pattern(padding_code);
    let sums = checked(match operation.route() {
        Route::Gather => approx_cpu::conv2d(
            lookup_table(operation),
            activation.bytes(activation.all()),
            weight.bytes(weight.all()),
            padding as u8,
            shape,
        ),
        _ => {
            let product = &operation.factors().integer;
            let weight = checked(product.pack_conv2d(
                weight.weights(weight.all()),
                shape.out_channels,
                shape.in_channels / shape.groups,
                shape.groups,
                shape.kernel,
            ));
            let activation = activation.activations(activation.all());
            product.conv2d(activation, padding as u16, &weight, shape)
        }
    });
    B::int_from_data(TensorData::new(integers(sums), output), &device)
}

fn conv_transpose2d<B: Backend>(
    activation: IntTensor<B>,
    weight: IntTensor<B>,
    operation: &ProductOperation,
    shape: ConvTranspose2dShape,
) -> IntTensor<B> {
    let device = activation.device();
    let output = (operation.geometry()).output_shape(&activation.shape(), &weight.shape());
    let (format, weight_format) = operation.multiplier().formats();
    let activation = patterns::<B>(activation, Operand::Activation, format);
    let weight = patterns::<B>(weight, Operand::Weight, weight_format).turned(&shape);
    let sums = checked(match operation.route() {
        Route::Gather => approx_cpu::conv_transpose2d(
            lookup_table(operation),
            activation.bytes(activation.all()),
            weight.bytes(weight.all()),
            shape,
        ),
        _ => {
            let product = &operation.factors().integer;
            let weight =
                checked(product.pack_conv_transpose2d(weight.weights(weight.all()), shape));
            product.conv_transpose2d(activation.activations(activation.all()), &weight, shape)
        }
    });
    B::int_from_data(TensorData::new(integers(sums), output), &device)
}
