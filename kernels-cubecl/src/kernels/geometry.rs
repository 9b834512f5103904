//! Where the operands and results of a product lie: every product here is one or more products of an activation matrix
//! `[rows, depth]` and a weight matrix `[depth, columns]`, whose elements are found in tensors by these rules.

use cubecl::prelude::*;

use crate::codes::Codes;
use crate::kernels::conv2d::Conv2dGeometry;
use crate::kernels::matmul::MatmulGeometry;

/// The position of an element that is not in the tensor: a padded tap.
pub(crate) const OUTSIDE: u32 = u32::MAX;

/// The first elements of an activation matrix and a weight matrix.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(crate) struct Bases {
    pub(crate) activation: u32,
    pub(crate) weight: u32,
}

/// The rules of a product.
#[derive(CubeType)]
#[expect(dead_code, reason = "kernels construct what the macro makes of it")]
pub(crate) enum Geometry {
    Matmul(MatmulGeometry),
    Conv2d(Conv2dGeometry),
}

#[cube]
impl Geometry {
    /// The number of products.
    pub(crate) fn matrices(&self) -> u32 {
        match self {
            Geometry::Matmul(matmul) => matmul.matrices,
            Geometry::Conv2d(conv2d) => conv2d.groups,
        }
    }

    /// The rows of the activation and of the result.
    pub(crate) fn rows(&self) -> u32 {
        match self {
            Geometry::Matmul(matmul) => matmul.rows,
            Geometry::Conv2d(conv2d) => conv2d.pixels(),
        }
    }

    /// The columns of the weight and of the result.
    pub(crate) fn columns(&self) -> u32 {
        match self {
            Geometry::Matmul(matmul) => matmul.columns,
            Geometry::Conv2d(conv2d) => conv2d.out_per_group,
        }
    }

    /// The number of products in a sum.
    pub(crate) fn depth(&self) -> u32 {
        match self {
            Geometry::Matmul(matmul) => matmul.depth,
            Geometry::Conv2d(conv2d) => conv2d.depth,
        }
    }

    /// Where a matrix's operands begin.
    pub(crate) fn bases(&self, matrix: u32) -> Bases {
        match self {
            Geometry::Matmul(matmul) => matmul.bases(matrix),
            Geometry::Conv2d(conv2d) => conv2d.bases(matrix),
        }
    }

    /// The position of an activation, or [`OUTSIDE`].
    pub(crate) fn activation(&self, base: u32, row: u32, inner: u32) -> u32 {
        match self {
            Geometry::Matmul(matmul) => base + row * matmul.depth + inner,
            Geometry::Conv2d(conv2d) => conv2d.activation(base, row, inner),
        }
    }

    /// The position of a weight.
    pub(crate) fn weight(&self, base: u32, inner: u32, column: u32) -> u32 {
        match self {
            Geometry::Matmul(matmul) => base + inner * matmul.columns + column,
            Geometry::Conv2d(conv2d) => base + column * conv2d.depth + inner,
        }
    }

    /// The position of a result.
    pub(crate) fn output(&self, matrix: u32, row: u32, column: u32) -> u32 {
        match self {
            Geometry::Matmul(matmul) => (matrix * matmul.rows + row) * matmul.columns + column,
            Geometry::Conv2d(conv2d) => conv2d.output(matrix, row, column),
        }
    }

    /// The output channel of a result.
    pub(crate) fn channel(&self, matrix: u32, column: u32) -> u32 {
        match self {
            Geometry::Matmul(_) => column,
            Geometry::Conv2d(conv2d) => matrix * conv2d.out_per_group + column,
        }
    }

    /// Whether activations that follow one another in memory belong to one row, not to one position in it: units then load
    /// along the row.
    pub(crate) fn activation_along_rows(&self) -> comptime_type!(bool) {
        match self {
            Geometry::Matmul(_) => true,
            Geometry::Conv2d(_) => false,
        }
    }

    /// Whether weights that follow one another in memory belong to one column: units then load along the column.
    pub(crate) fn weight_along_columns(&self) -> comptime_type!(bool) {
        match self {
            Geometry::Matmul(_) => false,
            Geometry::Conv2d(_) => true,
        }
    }
}

/// The pattern of an activation; a padded tap's outside the tensor.
#[cube]
pub(crate) fn pattern_or_padding(codes: &Codes, position: u32, padding: u32) -> u32 {
    let mut pattern = padding;
    if position != OUTSIDE {
        pattern = codes.pattern(position);
    }
    pattern
}
