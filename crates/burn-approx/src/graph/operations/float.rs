//! Operations that only float tensors have.

use burn::backend::ir::FloatOperationIr;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchAutodiffContext, DispatchTensor};
use burn::tensor::ops::GridSampleOptions;

use super::{binary, scalar, step, to_bool, to_int, unary};
use crate::graph::program::{Kernel, Operand};

/// `x + (round(x) - x)` with the difference out of the gradients' sight: the difference of two such neighbours is exact, and
/// so is the sum.
pub(super) fn straight_through_round(x: DispatchTensor) -> DispatchTensor {
    let rounded = Dispatch::float_round(x.clone());
    if x.autodiff == DispatchAutodiffContext::Disabled {
        return rounded;
    }
    let step = Dispatch::float_detach(Dispatch::float_sub(rounded, x.clone()));
    Dispatch::float_add(x, step)
}

pub(super) fn kernel(operation: &FloatOperationIr) -> Option<Kernel> {
    use FloatOperationIr::*;
    Some(match operation {
        Exp(op) => unary(op, Dispatch::float_exp),
        Log(op) => unary(op, Dispatch::float_log),
        Log1p(op) => unary(op, Dispatch::float_log1p),
        Erf(op) => unary(op, Dispatch::float_erf),
        PowfScalar(op) => scalar(op, Dispatch::float_powf_scalar),
        Powf(op) => binary(op, Dispatch::float_powf),
        Sqrt(op) => unary(op, Dispatch::float_sqrt),
        Cos(op) => unary(op, Dispatch::float_cos),
        Cosh(op) => unary(op, Dispatch::float_cosh),
        Sin(op) => unary(op, Dispatch::float_sin),
        Sinh(op) => unary(op, Dispatch::float_sinh),
        Tan(op) => unary(op, Dispatch::float_tan),
        Tanh(op) => unary(op, Dispatch::float_tanh),
        ArcCos(op) => unary(op, Dispatch::float_acos),
        ArcCosh(op) => unary(op, Dispatch::float_acosh),
        ArcSin(op) => unary(op, Dispatch::float_asin),
        ArcSinh(op) => unary(op, Dispatch::float_asinh),
        ArcTan(op) => unary(op, Dispatch::float_atan),
        ArcTanh(op) => unary(op, Dispatch::float_atanh),
        ArcTan2(op) => binary(op, Dispatch::float_atan2),
        Hypot(op) => binary(op, Dispatch::float_hypot),
        Round(op) => unary(op, Dispatch::float_round),
        Floor(op) => unary(op, Dispatch::float_floor),
        Ceil(op) => unary(op, Dispatch::float_ceil),
        Trunc(op) => unary(op, Dispatch::float_trunc),
        Recip(op) => unary(op, Dispatch::float_recip),
        IntoInt(op) => to_int(&op.input, &op.out, Dispatch::float_into_int),
        IsNan(op) => to_bool(&op.input, &op.out, Dispatch::float_is_nan),
        IsInf(op) => to_bool(&op.input, &op.out, Dispatch::float_is_inf),
        Matmul(op) => {
            let operands = [&op.lhs, &op.rhs].map(Operand::from);
            step(&op.out, move |frame| {
                let [left, right] = operands.map(|operand| frame.take(operand));
                Dispatch::float_matmul(left, right)
            })
        }
        Cross(op) => {
            let (operands, dim) = ([&op.lhs, &op.rhs].map(Operand::from), op.dim);
            step(&op.out, move |frame| {
                let [left, right] = operands.map(|operand| frame.take(operand));
                Dispatch::float_cross(left, right, dim)
            })
        }
        GridSample2d(op) => {
            let operands = [&op.tensor, &op.grid].map(Operand::from);
            let options = op.options.clone();
            step(&op.out, move |frame| {
                let [tensor, grid] = operands.map(|operand| frame.take(operand));
                Dispatch::float_grid_sample_2d(
                    tensor,
                    grid,
                    GridSampleOptions::from(options.clone()),
                )
            })
        }
        // Another pass would draw other numbers; quantised tensors are not recorded.
        Random(_) | Quantize(_) | Dequantize(_) => return None,
    })
}
