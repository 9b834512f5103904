//! Recorded operations as steps: each becomes a call of the same backend operation that Burn's tensors call, so that
//! the same numbers come out on every device, with and without autodiff.
//!
//! One file per family. What an operation needs is read out of its record once, at conversion; an operation that is not
//! here is found there too.

mod activation;
mod base;
mod float;
mod int;
mod module;
mod numeric;

use burn::backend::ir::{
    BinaryOpIr, BoolOperationIr, DimOpIr, FloatOperationIr, OperationIr, ReduceDimOpIr, ReduceOpIr,
    ScalarOpIr, TensorIr, UnaryOpIr,
};
use burn::backend::ops::BoolTensorOps;
use burn::backend::{Dispatch, DispatchTensor, Scalar};
use burn::tensor::{BoolDType, IntDType};

use super::batch::Sizes;
use super::program::{Frame, Kernel, Operand};
use super::slots::slot;

type T = DispatchTensor;

/// The step that computes an operation, if it is known.
pub(super) fn kernel(operation: &OperationIr, sizes: &Sizes) -> Option<Kernel> {
    match operation {
        OperationIr::BaseFloat(operation) => base::kernel(operation, &base::FLOAT, sizes),
        OperationIr::BaseInt(operation) => base::kernel(operation, &base::INT, sizes),
        OperationIr::BaseBool(operation) => base::kernel(operation, &base::BOOL, sizes),
        OperationIr::NumericFloat(_, operation) => {
            numeric::kernel(operation, &numeric::FLOAT, sizes)
        }
        OperationIr::NumericInt(_, operation) => numeric::kernel(operation, &numeric::INT, sizes),
        OperationIr::Float(_, operation) => float::kernel(operation),
        OperationIr::Int(operation) => int::kernel(operation),
        OperationIr::Bool(operation) => bool_kernel(operation),
        OperationIr::Module(operation) => module::kernel(operation),
        OperationIr::Activation(operation) => activation::kernel(operation),
        // Values come with the recording; memory is the program's business.
        OperationIr::Init(_) | OperationIr::Drop(_) => None,
        OperationIr::Custom(_) | OperationIr::Distributed(_) => None,
    }
}

/// Whether an operation rounds to whole numbers.
pub(super) fn is_rounding(operation: &OperationIr) -> bool {
    matches!(operation, OperationIr::Float(_, FloatOperationIr::Round(_)))
}

/// The step that rounds to whole numbers, and through which gradients pass as if it did not.
///
/// # Panics
/// If the operation does anything else.
pub(super) fn straight_through_rounding(operation: &OperationIr) -> Kernel {
    match operation {
        OperationIr::Float(_, FloatOperationIr::Round(operation)) => {
            unary(operation, float::straight_through_round)
        }
        other => unreachable!("{other:?} does not round"),
    }
}

/// A step with one output.
fn step(out: &TensorIr, compute: impl Fn(&mut Frame<'_>) -> T + Send + Sync + 'static) -> Kernel {
    let out = slot(out);
    Box::new(move |frame| {
        let tensor = compute(frame);
        frame.put(out, tensor);
        Ok(())
    })
}

/// A step with two outputs.
fn step_of_two(
    outs: [&TensorIr; 2],
    compute: impl Fn(&mut Frame<'_>) -> (T, T) + Send + Sync + 'static,
) -> Kernel {
    let [first, second] = outs.map(slot);
    Box::new(move |frame| {
        let tensors = compute(frame);
        frame.put(first, tensors.0);
        frame.put(second, tensors.1);
        Ok(())
    })
}

fn map(
    input: &TensorIr,
    out: &TensorIr,
    compute: impl Fn(T) -> T + Send + Sync + 'static,
) -> Kernel {
    let input = Operand::from(input);
    step(out, move |frame| compute(frame.take(input)))
}

fn unary(operation: &UnaryOpIr, compute: fn(T) -> T) -> Kernel {
    map(&operation.input, &operation.out, compute)
}

fn binary(operation: &BinaryOpIr, compute: fn(T, T) -> T) -> Kernel {
    let operands = [&operation.lhs, &operation.rhs].map(Operand::from);
    step(&operation.out, move |frame| {
        let [left, right] = operands.map(|operand| frame.take(operand));
        compute(left, right)
    })
}

fn scalar(operation: &ScalarOpIr, compute: fn(T, Scalar) -> T) -> Kernel {
    let value = Scalar::from(operation.rhs);
    map(&operation.lhs, &operation.out, move |input| {
        compute(input, value)
    })
}

fn reduce(operation: &ReduceOpIr, compute: fn(T) -> T) -> Kernel {
    map(&operation.input, &operation.out, compute)
}

fn reduce_dim(operation: &ReduceDimOpIr, compute: fn(T, usize) -> T) -> Kernel {
    let axis = operation.axis;
    map(&operation.input, &operation.out, move |input| {
        compute(input, axis)
    })
}

fn along(operation: &DimOpIr, compute: fn(T, usize) -> T) -> Kernel {
    let axis = operation.axis;
    map(&operation.input, &operation.out, move |input| {
        compute(input, axis)
    })
}

/// A step whose output is of the device's kind of bool.
fn to_bool(
    input: &TensorIr,
    out: &TensorIr,
    compute: impl Fn(T, BoolDType) -> T + Send + Sync + 'static,
) -> Kernel {
    let (input, dtype) = (Operand::from(input), out.dtype);
    step(out, move |frame| {
        let dtype = frame.dtype(dtype).into();
        compute(frame.take(input), dtype)
    })
}

/// A step whose output is of the device's kind of integer.
fn to_int(
    input: &TensorIr,
    out: &TensorIr,
    compute: impl Fn(T, IntDType) -> T + Send + Sync + 'static,
) -> Kernel {
    let (input, dtype) = (Operand::from(input), out.dtype);
    step(out, move |frame| {
        let dtype = frame.dtype(dtype).into();
        compute(frame.take(input), dtype)
    })
}

fn comparison(operation: &BinaryOpIr, compute: fn(T, T, BoolDType) -> T) -> Kernel {
    let operands = [&operation.lhs, &operation.rhs].map(Operand::from);
    let dtype = operation.out.dtype;
    step(&operation.out, move |frame| {
        let dtype = frame.dtype(dtype).into();
        let [left, right] = operands.map(|operand| frame.take(operand));
        compute(left, right, dtype)
    })
}

fn scalar_comparison(operation: &ScalarOpIr, compute: fn(T, Scalar, BoolDType) -> T) -> Kernel {
    let value = Scalar::from(operation.rhs);
    to_bool(&operation.lhs, &operation.out, move |input, dtype| {
        compute(input, value, dtype)
    })
}

fn bool_kernel(operation: &BoolOperationIr) -> Option<Kernel> {
    Some(match operation {
        BoolOperationIr::IntoFloat(op) => {
            let (input, dtype) = (Operand::from(&op.input), op.out.dtype);
            step(&op.out, move |frame| {
                let dtype = frame.dtype(dtype).into();
                Dispatch::bool_into_float(frame.take(input), dtype)
            })
        }
        BoolOperationIr::IntoInt(op) => to_int(&op.input, &op.out, Dispatch::bool_into_int),
        BoolOperationIr::Not(op) => unary(op, Dispatch::bool_not),
        BoolOperationIr::And(op) => binary(op, Dispatch::bool_and),
        BoolOperationIr::Or(op) => binary(op, Dispatch::bool_or),
        BoolOperationIr::Xor(op) => binary(op, Dispatch::bool_xor),
    })
}
