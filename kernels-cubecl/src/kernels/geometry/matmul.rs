//! The geometry of products of matrices of codes:
//!
//! ```text
//! acc[i, o] = sum over k of p(x[k of row i], w[k, o])     x: [matrices, rows, depth]  w: [matrices, depth, columns]
//! ```
//!
//! For every output matrix a pair of indices says which activation matrix and which weight matrix it is made of.

use cubecl::prelude::*;

use crate::kernels::geometry::{Geometry, GeometryExpand};

/// The shape of a product of matrices.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct MatmulGeometry {
    matrices: u32,
    rows: u32,
    columns: u32,
    depth: u32,
    /// `[matrices, 2]`: the indices of an output matrix's activation and weight. Without it there is one matrix of
    /// each.
    pairs: ComptimeOption<Box<[u32]>>,
}

/// An output matrix.
#[derive(CubeType)]
pub(crate) struct MatmulMatrix {
    index: u32,
    /// The first elements of its operands.
    activation: u32,
    weight: u32,
}

#[cube]
impl Geometry for MatmulGeometry {
    type Matrix = MatmulMatrix;

    fn matrices(&self) -> u32 {
        self.matrices
    }

    fn rows(&self) -> u32 {
        self.rows
    }

    fn columns(&self) -> u32 {
        self.columns
    }

    fn matrix(&self, index: u32) -> MatmulMatrix {
        if comptime!(self.pairs.is_some()) {
            let pairs = self.pairs.as_ref().unwrap();
            MatmulMatrix {
                index,
                activation: pairs[(2u32 * index) as usize] * (self.rows * self.depth),
                weight: pairs[(2u32 * index + 1u32) as usize] * (self.depth * self.columns),
            }
        } else {
            MatmulMatrix {
                index,
                activation: 0u32.runtime(),
                weight: 0u32.runtime(),
            }
        }
    }

    fn depth(&self, _matrix: &MatmulMatrix) -> u32 {
        self.depth
    }

    fn products(&self, _matrix: &MatmulMatrix, _row: u32) -> u32 {
        self.depth
    }

    fn activation(&self, matrix: &MatmulMatrix, row: u32, inner: u32) -> u32 {
        matrix.activation + row * self.depth + inner
    }

    fn weight(&self, matrix: &MatmulMatrix, inner: u32, column: u32) -> u32 {
        matrix.weight + inner * self.columns + column
    }

    fn output(&self, matrix: &MatmulMatrix, row: u32, column: u32) -> u32 {
        (matrix.index * self.rows + row) * self.columns + column
    }

    fn channel(&self, _matrix: &MatmulMatrix, column: u32) -> u32 {
        column
    }

    fn skips(&self) -> comptime_type!(bool) {
        false
    }

    fn activation_along_rows(&self) -> comptime_type!(bool) {
        true
    }

    fn weight_along_columns(&self) -> comptime_type!(bool) {
        false
    }
}
