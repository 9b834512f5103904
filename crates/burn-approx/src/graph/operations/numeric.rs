//! Operations that float and integer tensors have: arithmetic, comparison, reduction, sorting.

use burn::backend::ir::{NumericOperationIr, ReduceDimOpIr, ReduceDimWithIndicesOpIr};
use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchDevice, Scalar};
use burn::tensor::ops::PadMode;
use burn::tensor::{BoolDType, DType, IntDType, Shape};

use super::{
    T, along, binary, comparison, map, reduce, reduce_dim, scalar, scalar_comparison, step,
    step_of_two, to_int, unary,
};
use crate::graph::batch::Sizes;
use crate::graph::program::{Kernel, Operand};

type Binary = fn(T, T) -> T;
type WithScalar = fn(T, Scalar) -> T;
type Comparison = fn(T, T, BoolDType) -> T;
type ScalarComparison = fn(T, Scalar, BoolDType) -> T;
type Along = fn(T, usize) -> T;
/// Indices of floats are of the type asked for, those of integers of the integers' own.
type Indices = fn(T, usize, IntDType) -> T;
type WithIndices = fn(T, usize, IntDType) -> (T, T);

/// The operations of one kind of tensor.
pub(super) struct Numeric {
    add: Binary,
    add_scalar: WithScalar,
    sub: Binary,
    sub_scalar: WithScalar,
    mul: Binary,
    mul_scalar: WithScalar,
    div: Binary,
    div_scalar: WithScalar,
    remainder: Binary,
    remainder_scalar: WithScalar,
    powi: Binary,
    powi_scalar: WithScalar,
    abs: fn(T) -> T,
    neg: fn(T) -> T,
    sign: fn(T) -> T,
    full: fn(Shape, Scalar, &DispatchDevice, DType) -> T,
    sum: fn(T) -> T,
    sum_dim: Along,
    mean: fn(T) -> T,
    mean_dim: Along,
    prod: fn(T) -> T,
    prod_dim: Along,
    max: fn(T) -> T,
    max_dim: Along,
    min: fn(T) -> T,
    min_dim: Along,
    max_abs: fn(T) -> T,
    max_abs_dim: Along,
    greater: Comparison,
    greater_scalar: ScalarComparison,
    greater_equal: Comparison,
    greater_equal_scalar: ScalarComparison,
    lower: Comparison,
    lower_scalar: ScalarComparison,
    lower_equal: Comparison,
    lower_equal_scalar: ScalarComparison,
    argmax: Indices,
    argmin: Indices,
    max_dim_with_indices: WithIndices,
    min_dim_with_indices: WithIndices,
    topk: fn(T, usize, usize) -> T,
    argtopk: fn(T, usize, usize, IntDType) -> T,
    topk_with_indices: fn(T, usize, usize, IntDType) -> (T, T),
    sort: fn(T, usize, bool) -> T,
    argsort: fn(T, usize, bool, IntDType) -> T,
    sort_with_indices: fn(T, usize, bool, IntDType) -> (T, T),
    clamp: fn(T, Scalar, Scalar) -> T,
    clamp_min: WithScalar,
    clamp_max: WithScalar,
    cumsum: Along,
    cumprod: Along,
    cummin: Along,
    cummax: Along,
    pad: fn(T, &[(usize, usize)], PadMode) -> T,
}

pub(super) const FLOAT: Numeric = Numeric {
    add: Dispatch::float_add,
    add_scalar: Dispatch::float_add_scalar,
    sub: Dispatch::float_sub,
    sub_scalar: Dispatch::float_sub_scalar,
    mul: Dispatch::float_mul,
    mul_scalar: Dispatch::float_mul_scalar,
    div: Dispatch::float_div,
    div_scalar: Dispatch::float_div_scalar,
    remainder: Dispatch::float_remainder,
    remainder_scalar: Dispatch::float_remainder_scalar,
    powi: Dispatch::float_powi,
    powi_scalar: Dispatch::float_powi_scalar,
    abs: Dispatch::float_abs,
    neg: Dispatch::float_neg,
    sign: Dispatch::float_sign,
    full: |shape, value, device, dtype| Dispatch::float_full(shape, value, device, dtype.into()),
    sum: Dispatch::float_sum,
    sum_dim: Dispatch::float_sum_dim,
    mean: Dispatch::float_mean,
    mean_dim: Dispatch::float_mean_dim,
    prod: Dispatch::float_prod,
    prod_dim: Dispatch::float_prod_dim,
    max: Dispatch::float_max,
    max_dim: Dispatch::float_max_dim,
    min: Dispatch::float_min,
    min_dim: Dispatch::float_min_dim,
    max_abs: Dispatch::float_max_abs,
    max_abs_dim: Dispatch::float_max_abs_dim,
    greater: Dispatch::float_greater,
    greater_scalar: Dispatch::float_greater_elem,
    greater_equal: Dispatch::float_greater_equal,
    greater_equal_scalar: Dispatch::float_greater_equal_elem,
    lower: Dispatch::float_lower,
    lower_scalar: Dispatch::float_lower_elem,
    lower_equal: Dispatch::float_lower_equal,
    lower_equal_scalar: Dispatch::float_lower_equal_elem,
    argmax: Dispatch::float_argmax,
    argmin: Dispatch::float_argmin,
    max_dim_with_indices: Dispatch::float_max_dim_with_indices,
    min_dim_with_indices: Dispatch::float_min_dim_with_indices,
    topk: Dispatch::float_topk,
    argtopk: Dispatch::float_argtopk,
    topk_with_indices: Dispatch::float_topk_with_indices,
    sort: Dispatch::float_sort,
    argsort: Dispatch::float_argsort,
    sort_with_indices: Dispatch::float_sort_with_indices,
    clamp: Dispatch::float_clamp,
    clamp_min: Dispatch::float_clamp_min,
    clamp_max: Dispatch::float_clamp_max,
    cumsum: Dispatch::float_cumsum,
    cumprod: Dispatch::float_cumprod,
    cummin: Dispatch::float_cummin,
    cummax: Dispatch::float_cummax,
    pad: Dispatch::float_pad,
};

pub(super) const INT: Numeric = Numeric {
    add: Dispatch::int_add,
    add_scalar: Dispatch::int_add_scalar,
    sub: Dispatch::int_sub,
    sub_scalar: Dispatch::int_sub_scalar,
    mul: Dispatch::int_mul,
    mul_scalar: Dispatch::int_mul_scalar,
    div: Dispatch::int_div,
    div_scalar: Dispatch::int_div_scalar,
    remainder: Dispatch::int_remainder,
    remainder_scalar: Dispatch::int_remainder_scalar,
    powi: Dispatch::int_powi,
    powi_scalar: Dispatch::int_powi_scalar,
    abs: Dispatch::int_abs,
    neg: Dispatch::int_neg,
    sign: Dispatch::int_sign,
    full: |shape, value, device, dtype| Dispatch::int_full(shape, value, device, dtype.into()),
    sum: Dispatch::int_sum,
    sum_dim: Dispatch::int_sum_dim,
    mean: Dispatch::int_mean,
    mean_dim: Dispatch::int_mean_dim,
    prod: Dispatch::int_prod,
    prod_dim: Dispatch::int_prod_dim,
    max: Dispatch::int_max,
    max_dim: Dispatch::int_max_dim,
    min: Dispatch::int_min,
    min_dim: Dispatch::int_min_dim,
    max_abs: Dispatch::int_max_abs,
    max_abs_dim: Dispatch::int_max_abs_dim,
    greater: Dispatch::int_greater,
    greater_scalar: Dispatch::int_greater_elem,
    greater_equal: Dispatch::int_greater_equal,
    greater_equal_scalar: Dispatch::int_greater_equal_elem,
    lower: Dispatch::int_lower,
    lower_scalar: Dispatch::int_lower_elem,
    lower_equal: Dispatch::int_lower_equal,
    lower_equal_scalar: Dispatch::int_lower_equal_elem,
    argmax: |input, dim, _| Dispatch::int_argmax(input, dim),
    argmin: |input, dim, _| Dispatch::int_argmin(input, dim),
    max_dim_with_indices: |input, dim, _| Dispatch::int_max_dim_with_indices(input, dim),
    min_dim_with_indices: |input, dim, _| Dispatch::int_min_dim_with_indices(input, dim),
    topk: Dispatch::int_topk,
    argtopk: |input, dim, k, _| Dispatch::int_argtopk(input, dim, k),
    topk_with_indices: |input, dim, k, _| Dispatch::int_topk_with_indices(input, dim, k),
    sort: Dispatch::int_sort,
    argsort: |input, dim, descending, _| Dispatch::int_argsort(input, dim, descending),
    sort_with_indices: |input, dim, descending, _| {
        Dispatch::int_sort_with_indices(input, dim, descending)
    },
    clamp: Dispatch::int_clamp,
    clamp_min: Dispatch::int_clamp_min,
    clamp_max: Dispatch::int_clamp_max,
    cumsum: Dispatch::int_cumsum,
    cumprod: Dispatch::int_cumprod,
    cummin: Dispatch::int_cummin,
    cummax: Dispatch::int_cummax,
    pad: Dispatch::int_pad,
};

pub(super) fn kernel(
    operation: &NumericOperationIr,
    numeric: &'static Numeric,
    sizes: &Sizes,
) -> Option<Kernel> {
    use NumericOperationIr::*;
    Some(match operation {
        Add(op) => binary(op, numeric.add),
        AddScalar(op) => scalar(op, numeric.add_scalar),
        Sub(op) => binary(op, numeric.sub),
        SubScalar(op) => scalar(op, numeric.sub_scalar),
        Mul(op) => binary(op, numeric.mul),
        MulScalar(op) => scalar(op, numeric.mul_scalar),
        Div(op) => binary(op, numeric.div),
        DivScalar(op) => scalar(op, numeric.div_scalar),
        Rem(op) => binary(op, numeric.remainder),
        RemScalar(op) => scalar(op, numeric.remainder_scalar),
        Powi(op) => binary(op, numeric.powi),
        PowiScalar(op) => scalar(op, numeric.powi_scalar),
        Abs(op) => unary(op, numeric.abs),
        Neg(op) => unary(op, numeric.neg),
        Sign(op) => unary(op, numeric.sign),
        Full(op) => {
            let (shape, dtype) = (sizes.outputs[0].clone(), op.out.dtype);
            let (full, value) = (numeric.full, Scalar::from(op.value));
            step(&op.out, move |frame| {
                let dtype = frame.dtype(dtype);
                full(shape.at(frame.batch), value, frame.device(), dtype)
            })
        }
        Sum(op) => reduce(op, numeric.sum),
        SumDim(op) => reduce_dim(op, numeric.sum_dim),
        SumDims(op) if op.out.dtype.is_float() => {
            let axes = op.axes.clone();
            map(&op.input, &op.out, move |input| {
                Dispatch::float_sum_dims(input, &axes)
            })
        }
        SumDims(_) => return None,
        Mean(op) => reduce(op, numeric.mean),
        MeanDim(op) => reduce_dim(op, numeric.mean_dim),
        Prod(op) => reduce(op, numeric.prod),
        ProdDim(op) => reduce_dim(op, numeric.prod_dim),
        Max(op) => reduce(op, numeric.max),
        MaxDim(op) => reduce_dim(op, numeric.max_dim),
        Min(op) => reduce(op, numeric.min),
        MinDim(op) => reduce_dim(op, numeric.min_dim),
        MaxAbs(op) => reduce(op, numeric.max_abs),
        MaxAbsDim(op) => reduce_dim(op, numeric.max_abs_dim),
        Greater(op) => comparison(op, numeric.greater),
        GreaterElem(op) => scalar_comparison(op, numeric.greater_scalar),
        GreaterEqual(op) => comparison(op, numeric.greater_equal),
        GreaterEqualElem(op) => scalar_comparison(op, numeric.greater_equal_scalar),
        Lower(op) => comparison(op, numeric.lower),
        LowerElem(op) => scalar_comparison(op, numeric.lower_scalar),
        LowerEqual(op) => comparison(op, numeric.lower_equal),
        LowerEqualElem(op) => scalar_comparison(op, numeric.lower_equal_scalar),
        ArgMax(op) => indices(op, numeric.argmax),
        ArgMin(op) => indices(op, numeric.argmin),
        MaxDimWithIndices(op) => with_indices(op, numeric.max_dim_with_indices),
        MinDimWithIndices(op) => with_indices(op, numeric.min_dim_with_indices),
        TopK(op) => {
            let (axis, k, topk) = (op.axis, op.out.shape[op.axis], numeric.topk);
            map(&op.input, &op.out, move |input| topk(input, axis, k))
        }
        ArgTopK(op) => {
            let (axis, k, argtopk) = (op.axis, op.out.shape[op.axis], numeric.argtopk);
            to_int(&op.input, &op.out, move |input, dtype| {
                argtopk(input, axis, k, dtype)
            })
        }
        TopKWithIndices(op) => {
            let (input, dim, k) = (Operand::from(&op.tensor), op.dim, op.k);
            let (topk, dtype) = (numeric.topk_with_indices, op.out_indices.dtype);
            step_of_two([&op.out, &op.out_indices], move |frame| {
                let dtype = frame.dtype(dtype).into();
                topk(frame.take(input), dim, k, dtype)
            })
        }
        Sort(op) => {
            let (dim, descending, sort) = (op.dim, op.descending, numeric.sort);
            map(&op.input, &op.out, move |input| {
                sort(input, dim, descending)
            })
        }
        ArgSort(op) => {
            let (dim, descending, argsort) = (op.dim, op.descending, numeric.argsort);
            to_int(&op.input, &op.out, move |input, dtype| {
                argsort(input, dim, descending, dtype)
            })
        }
        SortWithIndices(op) => {
            let (input, dim, descending) = (Operand::from(&op.input), op.dim, op.descending);
            let (sort, dtype) = (numeric.sort_with_indices, op.out_indices.dtype);
            step_of_two([&op.out, &op.out_indices], move |frame| {
                let dtype = frame.dtype(dtype).into();
                sort(frame.take(input), dim, descending, dtype)
            })
        }
        Clamp(op) => {
            let (low, high) = (Scalar::from(op.min), Scalar::from(op.max));
            let clamp = numeric.clamp;
            map(&op.tensor, &op.out, move |input| clamp(input, low, high))
        }
        ClampMin(op) => scalar(op, numeric.clamp_min),
        ClampMax(op) => scalar(op, numeric.clamp_max),
        CumSum(op) => along(op, numeric.cumsum),
        CumProd(op) => along(op, numeric.cumprod),
        CumMin(op) => along(op, numeric.cummin),
        CumMax(op) => along(op, numeric.cummax),
        Pad(op) => {
            let (padding, mode) = (op.padding.clone(), op.mode);
            let pad = numeric.pad;
            map(&op.input, &op.out, move |input| {
                pad(input, &padding, mode.into())
            })
        }
        // Another pass would draw other numbers.
        IntRandom(_) => return None,
    })
}

fn indices(operation: &ReduceDimOpIr, compute: Indices) -> Kernel {
    let axis = operation.axis;
    to_int(&operation.input, &operation.out, move |input, dtype| {
        compute(input, axis, dtype)
    })
}

fn with_indices(operation: &ReduceDimWithIndicesOpIr, compute: WithIndices) -> Kernel {
    let (input, dim) = (Operand::from(&operation.tensor), operation.dim);
    let dtype = operation.out_indices.dtype;
    step_of_two([&operation.out, &operation.out_indices], move |frame| {
        let dtype = frame.dtype(dtype).into();
        compute(frame.take(input), dim, dtype)
    })
}
