//! Operations that only integer tensors have.

use burn::backend::Dispatch;
use burn::backend::ir::IntOperationIr;
use burn::backend::ops::IntTensorOps;

use super::{binary, scalar, step, unary};
use crate::graph::program::{Kernel, Operand};

pub(super) fn kernel(operation: &IntOperationIr) -> Option<Kernel> {
    use IntOperationIr::*;
    Some(match operation {
        IntoFloat(op) => {
            let (input, dtype) = (Operand::from(&op.input), op.out.dtype);
            step(&op.out, move |frame| {
                let dtype = frame.dtype(dtype).into();
                Dispatch::int_into_float(frame.take(input), dtype)
            })
        }
        BitwiseAnd(op) => binary(op, Dispatch::bitwise_and),
        BitwiseAndScalar(op) => scalar(op, Dispatch::bitwise_and_scalar),
        BitwiseOr(op) => binary(op, Dispatch::bitwise_or),
        BitwiseOrScalar(op) => scalar(op, Dispatch::bitwise_or_scalar),
        BitwiseXor(op) => binary(op, Dispatch::bitwise_xor),
        BitwiseXorScalar(op) => scalar(op, Dispatch::bitwise_xor_scalar),
        BitwiseNot(op) => unary(op, Dispatch::bitwise_not),
        BitwiseLeftShift(op) => binary(op, Dispatch::bitwise_left_shift),
        BitwiseLeftShiftScalar(op) => scalar(op, Dispatch::bitwise_left_shift_scalar),
        BitwiseRightShift(op) => binary(op, Dispatch::bitwise_right_shift),
        BitwiseRightShiftScalar(op) => scalar(op, Dispatch::bitwise_right_shift_scalar),
        Matmul(op) => {
            let operands = [&op.lhs, &op.rhs].map(Operand::from);
            step(&op.out, move |frame| {
                let [left, right] = operands.map(|operand| frame.take(operand));
                Dispatch::int_matmul(left, right)
            })
        }
    })
}
