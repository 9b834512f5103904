//! Operations that tensors of every kind have: making, reshaping, moving and comparing elements.

use burn::backend::ir::{BaseOperationIr, TensorIr};
use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchDevice, Scalar};
use burn::tensor::{BoolDType, DType, IndexingUpdateOp, Shape, Slice};

use super::{T, comparison, map, scalar_comparison, step, to_bool};
use crate::graph::batch::Sizes;
use crate::graph::program::{Kernel, Operand};

type Make = fn(Shape, &DispatchDevice, DType) -> T;
type Scatter = fn(usize, T, T, T, IndexingUpdateOp) -> T;
type ScatterNd = fn(T, T, T, IndexingUpdateOp) -> T;
type SelectAssign = fn(T, usize, T, T, IndexingUpdateOp) -> T;

/// The operations of one kind of tensor.
pub(super) struct Base {
    reshape: fn(T, Shape) -> T,
    swap_dims: fn(T, usize, usize) -> T,
    permute: fn(T, &[usize]) -> T,
    flip: fn(T, &[usize]) -> T,
    expand: fn(T, Shape) -> T,
    unfold: fn(T, usize, usize, usize) -> T,
    slice: fn(T, &[Slice]) -> T,
    slice_assign: fn(T, &[Slice], T) -> T,
    select: fn(T, usize, T) -> T,
    /// Absent where only one way of updating exists.
    select_assign: Option<SelectAssign>,
    mask_where: fn(T, T, T) -> T,
    mask_fill: fn(T, T, Scalar) -> T,
    gather: fn(usize, T, T) -> T,
    scatter: Option<Scatter>,
    gather_nd: Option<fn(T, T) -> T>,
    scatter_nd: Option<ScatterNd>,
    equal: fn(T, T, BoolDType) -> T,
    equal_scalar: fn(T, Scalar, BoolDType) -> T,
    not_equal: fn(T, T, BoolDType) -> T,
    not_equal_scalar: fn(T, Scalar, BoolDType) -> T,
    repeat_dim: fn(T, usize, usize) -> T,
    cat: fn(Vec<T>, usize) -> T,
    cast: Option<fn(T, DType) -> T>,
    empty: Make,
    ones: Make,
    zeros: Make,
    all: fn(T, BoolDType) -> T,
    any: fn(T, BoolDType) -> T,
    all_dim: fn(T, usize, BoolDType) -> T,
    any_dim: fn(T, usize, BoolDType) -> T,
}

pub(super) const FLOAT: Base = Base {
    reshape: Dispatch::float_reshape,
    swap_dims: Dispatch::float_swap_dims,
    permute: Dispatch::float_permute,
    flip: Dispatch::float_flip,
    expand: Dispatch::float_expand,
    unfold: Dispatch::float_unfold,
    slice: Dispatch::float_slice,
    slice_assign: Dispatch::float_slice_assign,
    select: Dispatch::float_select,
    select_assign: Some(Dispatch::float_select_assign),
    mask_where: Dispatch::float_mask_where,
    mask_fill: Dispatch::float_mask_fill,
    gather: Dispatch::float_gather,
    scatter: Some(Dispatch::float_scatter),
    gather_nd: Some(Dispatch::float_gather_nd),
    scatter_nd: Some(Dispatch::float_scatter_nd),
    equal: Dispatch::float_equal,
    equal_scalar: Dispatch::float_equal_elem,
    not_equal: Dispatch::float_not_equal,
    not_equal_scalar: Dispatch::float_not_equal_elem,
    repeat_dim: Dispatch::float_repeat_dim,
    cat: Dispatch::float_cat,
    cast: Some(|tensor, dtype| Dispatch::float_cast(tensor, dtype.into())),
    empty: |shape, device, dtype| Dispatch::float_empty(shape, device, dtype.into()),
    ones: |shape, device, dtype| Dispatch::float_ones(shape, device, dtype.into()),
    zeros: |shape, device, dtype| Dispatch::float_zeros(shape, device, dtype.into()),
    all: Dispatch::float_all,
    any: Dispatch::float_any,
    all_dim: Dispatch::float_all_dim,
    any_dim: Dispatch::float_any_dim,
};

pub(super) const INT: Base = Base {
    reshape: Dispatch::int_reshape,
    swap_dims: Dispatch::int_swap_dims,
    permute: Dispatch::int_permute,
    flip: Dispatch::int_flip,
    expand: Dispatch::int_expand,
    unfold: Dispatch::int_unfold,
    slice: Dispatch::int_slice,
    slice_assign: Dispatch::int_slice_assign,
    select: Dispatch::int_select,
    select_assign: Some(Dispatch::int_select_assign),
    mask_where: Dispatch::int_mask_where,
    mask_fill: Dispatch::int_mask_fill,
    gather: Dispatch::int_gather,
    scatter: Some(Dispatch::int_scatter),
    gather_nd: Some(Dispatch::int_gather_nd),
    scatter_nd: Some(Dispatch::int_scatter_nd),
    equal: Dispatch::int_equal,
    equal_scalar: Dispatch::int_equal_elem,
    not_equal: Dispatch::int_not_equal,
    not_equal_scalar: Dispatch::int_not_equal_elem,
    repeat_dim: Dispatch::int_repeat_dim,
    cat: Dispatch::int_cat,
    cast: Some(|tensor, dtype| Dispatch::int_cast(tensor, dtype.into())),
    empty: |shape, device, dtype| Dispatch::int_empty(shape, device, dtype.into()),
    ones: |shape, device, dtype| Dispatch::int_ones(shape, device, dtype.into()),
    zeros: |shape, device, dtype| Dispatch::int_zeros(shape, device, dtype.into()),
    all: Dispatch::int_all,
    any: Dispatch::int_any,
    all_dim: Dispatch::int_all_dim,
    any_dim: Dispatch::int_any_dim,
};

pub(super) const BOOL: Base = Base {
    reshape: Dispatch::bool_reshape,
    swap_dims: Dispatch::bool_swap_dims,
    permute: Dispatch::bool_permute,
    flip: Dispatch::bool_flip,
    expand: Dispatch::bool_expand,
    unfold: Dispatch::bool_unfold,
    slice: Dispatch::bool_slice,
    slice_assign: Dispatch::bool_slice_assign,
    select: Dispatch::bool_select,
    select_assign: None,
    mask_where: Dispatch::bool_mask_where,
    mask_fill: Dispatch::bool_mask_fill,
    gather: Dispatch::bool_gather,
    scatter: None,
    gather_nd: None,
    scatter_nd: None,
    equal: |left, right, _| Dispatch::bool_equal(left, right),
    equal_scalar: |input, value, _| Dispatch::bool_equal_elem(input, value),
    not_equal: |left, right, _| Dispatch::bool_not_equal(left, right),
    not_equal_scalar: |input, value, _| Dispatch::bool_not_equal_elem(input, value),
    repeat_dim: Dispatch::bool_repeat_dim,
    cat: Dispatch::bool_cat,
    cast: None,
    empty: |shape, device, dtype| Dispatch::bool_empty(shape, device, dtype.into()),
    ones: |shape, device, dtype| Dispatch::bool_ones(shape, device, dtype.into()),
    zeros: |shape, device, dtype| Dispatch::bool_zeros(shape, device, dtype.into()),
    all: |input, _| Dispatch::bool_all(input),
    any: |input, _| Dispatch::bool_any(input),
    all_dim: |input, axis, _| Dispatch::bool_all_dim(input, axis),
    any_dim: |input, axis, _| Dispatch::bool_any_dim(input, axis),
};

pub(super) fn kernel(
    operation: &BaseOperationIr,
    base: &'static Base,
    sizes: &Sizes,
) -> Option<Kernel> {
    let out_shape = || sizes.outputs[0].clone();
    let make = |out: &TensorIr, make: Make| {
        let (shape, dtype) = (out_shape(), out.dtype);
        step(out, move |frame| {
            make(shape.at(frame.batch), frame.device(), frame.dtype(dtype))
        })
    };
    Some(match operation {
        BaseOperationIr::Reshape(op) => {
            let (input, shape) = (Operand::from(&op.input), out_shape());
            step(&op.out, move |frame| {
                let shape = shape.at(frame.batch);
                (base.reshape)(frame.take(input), shape)
            })
        }
        BaseOperationIr::Expand(op) => {
            let (input, shape) = (Operand::from(&op.input), out_shape());
            step(&op.out, move |frame| {
                let shape = shape.at(frame.batch);
                (base.expand)(frame.take(input), shape)
            })
        }
        BaseOperationIr::SwapDims(op) => {
            let (first, second) = (op.dim1, op.dim2);
            map(&op.input, &op.out, move |input| {
                (base.swap_dims)(input, first, second)
            })
        }
        BaseOperationIr::Permute(op) => {
            let axes = op.axes.clone();
            map(&op.input, &op.out, move |input| {
                (base.permute)(input, &axes)
            })
        }
        BaseOperationIr::Flip(op) => {
            let axes = op.axes.clone();
            map(&op.input, &op.out, move |input| (base.flip)(input, &axes))
        }
        BaseOperationIr::Unfold(op) => {
            let (dim, size, step) = (op.dim, op.size, op.step);
            map(&op.input, &op.out, move |input| {
                (base.unfold)(input, dim, size, step)
            })
        }
        BaseOperationIr::Slice(op) => {
            let (input, ranges) = (Operand::from(&op.tensor), Ranges::new(&op.ranges, sizes));
            step(&op.out, move |frame| {
                let ranges = ranges.at(frame.batch);
                (base.slice)(frame.take(input), &ranges)
            })
        }
        BaseOperationIr::SliceAssign(op) => {
            let operands = [&op.tensor, &op.value].map(Operand::from);
            let ranges = Ranges::new(&op.ranges, sizes);
            step(&op.out, move |frame| {
                let [tensor, value] = operands.map(|operand| frame.take(operand));
                (base.slice_assign)(tensor, &ranges.at(frame.batch), value)
            })
        }
        BaseOperationIr::Select(op) => {
            let (operands, dim) = ([&op.tensor, &op.indices].map(Operand::from), op.dim);
            step(&op.out, move |frame| {
                let [tensor, indices] = operands.map(|operand| frame.take(operand));
                (base.select)(tensor, dim, indices)
            })
        }
        BaseOperationIr::SelectAssign(op) => {
            let assign = base.select_assign?;
            let operands = [&op.tensor, &op.indices, &op.value].map(Operand::from);
            let (dim, update) = (op.dim, op.update);
            step(&op.out, move |frame| {
                let [tensor, indices, value] = operands.map(|operand| frame.take(operand));
                assign(tensor, dim, indices, value, update)
            })
        }
        BaseOperationIr::MaskWhere(op) => {
            let operands = [&op.tensor, &op.mask, &op.value].map(Operand::from);
            step(&op.out, move |frame| {
                let [tensor, mask, value] = operands.map(|operand| frame.take(operand));
                (base.mask_where)(tensor, mask, value)
            })
        }
        BaseOperationIr::MaskFill(op) => {
            let operands = [&op.tensor, &op.mask].map(Operand::from);
            let value = Scalar::from(op.value);
            step(&op.out, move |frame| {
                let [tensor, mask] = operands.map(|operand| frame.take(operand));
                (base.mask_fill)(tensor, mask, value)
            })
        }
        BaseOperationIr::Gather(op) => {
            let (operands, dim) = ([&op.tensor, &op.indices].map(Operand::from), op.dim);
            step(&op.out, move |frame| {
                let [tensor, indices] = operands.map(|operand| frame.take(operand));
                (base.gather)(dim, tensor, indices)
            })
        }
        BaseOperationIr::Scatter(op) => {
            let scatter = base.scatter?;
            let operands = [&op.tensor, &op.indices, &op.value].map(Operand::from);
            let (dim, update) = (op.dim, op.update);
            step(&op.out, move |frame| {
                let [tensor, indices, value] = operands.map(|operand| frame.take(operand));
                scatter(dim, tensor, indices, value, update)
            })
        }
        BaseOperationIr::ScatterNd(op) => {
            let scatter = base.scatter_nd?;
            let operands = [&op.data, &op.indices, &op.values].map(Operand::from);
            let reduction = op.reduction;
            step(&op.out, move |frame| {
                let [data, indices, values] = operands.map(|operand| frame.take(operand));
                scatter(data, indices, values, reduction)
            })
        }
        BaseOperationIr::GatherNd(op) => {
            let gather = base.gather_nd?;
            let operands = [&op.data, &op.indices].map(Operand::from);
            step(&op.out, move |frame| {
                let [data, indices] = operands.map(|operand| frame.take(operand));
                gather(data, indices)
            })
        }
        BaseOperationIr::RepeatDim(op) => {
            let (input, dim, times) = (Operand::from(&op.tensor), op.dim, sizes.times);
            step(&op.out, move |frame| {
                let times = times.at(frame.batch) as usize;
                (base.repeat_dim)(frame.take(input), dim, times)
            })
        }
        BaseOperationIr::Cat(op) => {
            let operands: Vec<_> = op.tensors.iter().map(Operand::from).collect();
            let dim = op.dim;
            step(&op.out, move |frame| {
                let tensors = operands.iter().map(|operand| frame.take(*operand));
                (base.cat)(tensors.collect(), dim)
            })
        }
        BaseOperationIr::Cast(op) => {
            let (cast, input, dtype) = (base.cast?, Operand::from(&op.input), op.out.dtype);
            step(&op.out, move |frame| {
                let dtype = frame.dtype(dtype);
                cast(frame.take(input), dtype)
            })
        }
        BaseOperationIr::Empty(op) => make(&op.out, base.empty),
        BaseOperationIr::Ones(op) => make(&op.out, base.ones),
        BaseOperationIr::Zeros(op) => make(&op.out, base.zeros),
        BaseOperationIr::Equal(op) => comparison(op, base.equal),
        BaseOperationIr::EqualElem(op) => scalar_comparison(op, base.equal_scalar),
        BaseOperationIr::NotEqual(op) => comparison(op, base.not_equal),
        BaseOperationIr::NotEqualElem(op) => scalar_comparison(op, base.not_equal_scalar),
        BaseOperationIr::All(op) => to_bool(&op.input, &op.out, base.all),
        BaseOperationIr::Any(op) => to_bool(&op.input, &op.out, base.any),
        BaseOperationIr::AllDim(op) => {
            let axis = op.axis;
            to_bool(&op.input, &op.out, move |input, dtype| {
                (base.all_dim)(input, axis, dtype)
            })
        }
        BaseOperationIr::AnyDim(op) => {
            let axis = op.axis;
            to_bool(&op.input, &op.out, move |input, dtype| {
                (base.any_dim)(input, axis, dtype)
            })
        }
    })
}

/// Slices that may follow the batch.
struct Ranges {
    recorded: Vec<Slice>,
    sizes: Sizes,
}

impl Ranges {
    fn new(recorded: &[Slice], sizes: &Sizes) -> Self {
        Self {
            recorded: recorded.to_vec(),
            sizes: sizes.clone(),
        }
    }

    fn at(&self, batch: usize) -> Vec<Slice> {
        let ranges = self.recorded.iter().zip(&self.sizes.ranges);
        ranges
            .map(|(slice, (start, end))| {
                Slice::new(start.at(batch), end.map(|end| end.at(batch)), slice.step)
            })
            .collect()
    }
}
