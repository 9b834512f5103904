//! Where the operands and results of a product lie: every product here is one or more products of an activation matrix
//! `[rows, depth]` and a weight matrix `[depth, columns]`, whose elements are found in tensors by the rules of a
//! geometry. Each kind of layer has one, in a file of its own; kernels are written for any.

pub(crate) mod conv2d;
pub(crate) mod conv_transpose2d;
pub(crate) mod matmul;

use cubecl::prelude::*;

use crate::codes::Codes;

/// The position of an element that is not in the tensor.
pub(crate) const OUTSIDE: u32 = u32::MAX;

/// The rules of a product. Its matrices have the same numbers of rows and columns.
#[cube]
pub(crate) trait Geometry: Send + Sync + 'static {
    /// What is the same for all elements of one of the matrices.
    type Matrix: CubeType;

    /// The number of products of matrices.
    fn matrices(&self) -> u32;

    /// The rows of the activation and of the result.
    fn rows(&self) -> u32;

    /// The columns of the weight and of the result.
    fn columns(&self) -> u32;

    /// One of the matrices.
    fn matrix(&self, index: u32) -> Self::Matrix;

    /// The columns of the activation and rows of the weight.
    fn depth(&self, matrix: &Self::Matrix) -> u32;

    /// The number of products in the sums of a row: the depth, less what is skipped.
    fn products(&self, matrix: &Self::Matrix, row: u32) -> u32;

    /// The position of an activation, or [`OUTSIDE`].
    fn activation(&self, matrix: &Self::Matrix, row: u32, inner: u32) -> u32;

    /// The position of a weight.
    fn weight(&self, matrix: &Self::Matrix, inner: u32, column: u32) -> u32;

    /// The position of a result; [`OUTSIDE`] only where the geometry [skips](Geometry::skips).
    fn output(&self, matrix: &Self::Matrix, row: u32, column: u32) -> u32;

    /// The output channel of a result.
    fn channel(&self, matrix: &Self::Matrix, column: u32) -> u32;

    /// Whether what is outside is skipped: such an activation adds nothing, and such a result is not stored. Otherwise
    /// an activation outside is one of padding, and multiplied like any other.
    fn skips(&self) -> comptime_type!(bool);

    /// Whether activations that follow one another in memory belong to one row, not to one position in it: units then
    /// load along the row.
    fn activation_along_rows(&self) -> comptime_type!(bool);

    /// Whether weights that follow one another in memory belong to one column: units then load along the column.
    fn weight_along_columns(&self) -> comptime_type!(bool);
}

/// The pattern of an activation; that of padding outside the tensor.
#[cube]
pub(crate) fn pattern_or_padding(codes: &Codes, position: u32, padding: u32) -> u32 {
    let mut pattern = padding;
    if position != OUTSIDE {
        pattern = codes.pattern(position);
    }
    pattern
}

/// Stores a result, unless it is one that a geometry that skips does not have.
#[cube]
pub(crate) fn store(output: &mut [u32], position: u32, result: u32, #[comptime] skips: bool) {
    if comptime!(skips) {
        if position != OUTSIDE {
            output[position as usize] = result;
        }
    } else {
        output[position as usize] = result;
    }
}
