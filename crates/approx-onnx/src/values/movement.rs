//! Operations that move elements about and do not ask what they are.

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::tensor::{Shape, Slice};

use super::Kind;

macro_rules! movement {
    ($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*), $float:ident, $int:ident, $bool:ident) => {
        $(#[$doc])*
        pub(crate) fn $name(tensor: DispatchTensor, $($argument: $type),*) -> DispatchTensor {
            match Kind::of(tensor.dtype()) {
                Kind::Float => Dispatch::$float(tensor, $($argument),*),
                Kind::Int => Dispatch::$int(tensor, $($argument),*),
                Kind::Bool => Dispatch::$bool(tensor, $($argument),*),
            }
        }
    };
}

movement!(
    /// The elements in other axes.
    reshape(shape: Shape), float_reshape, int_reshape, bool_reshape
);
movement!(
    /// The axes in another order.
    permute(axes: &[usize]), float_permute, int_permute, bool_permute
);
movement!(
    /// Axes of size 1 repeated.
    expand(shape: Shape), float_expand, int_expand, bool_expand
);
movement!(
    /// A part along each axis.
    slice(slices: &[Slice]), float_slice, int_slice, bool_slice
);
movement!(
    /// An axis as often again.
    repeat(axis: usize, times: usize), float_repeat_dim, int_repeat_dim, bool_repeat_dim
);
movement!(
    /// Whole rows along an axis.
    select(axis: usize, indices: DispatchTensor), float_select, int_select, bool_select
);
movement!(
    /// The elements where the mask is not, those of `value` where it is.
    mask_where(mask: DispatchTensor, value: DispatchTensor), float_mask_where, int_mask_where, bool_mask_where
);

/// Single elements along an axis, one for each index.
pub(crate) fn gather(
    tensor: DispatchTensor,
    axis: usize,
    indices: DispatchTensor,
) -> DispatchTensor {
    match Kind::of(tensor.dtype()) {
        Kind::Float => Dispatch::float_gather(axis, tensor, indices),
        Kind::Int => Dispatch::int_gather(axis, tensor, indices),
        Kind::Bool => Dispatch::bool_gather(axis, tensor, indices),
    }
}

/// Several tensors of one kind behind each other.
pub(crate) fn cat(tensors: Vec<DispatchTensor>, axis: usize) -> DispatchTensor {
    match Kind::of(tensors[0].dtype()) {
        Kind::Float => Dispatch::float_cat(tensors, axis),
        Kind::Int => Dispatch::int_cat(tensors, axis),
        Kind::Bool => Dispatch::bool_cat(tensors, axis),
    }
}
