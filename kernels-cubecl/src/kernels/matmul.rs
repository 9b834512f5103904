//! The product of matrices of codes:
//!
//! ```text
//! acc[i, o] = sum over k of p(x[k of row i], w[k, o])         x: [matrices, rows, depth]    w: [matrices, depth, columns]
//! ```
//!
//! For every output matrix a pair of indices says which activation matrix and which weight matrix it is made of.

use cubecl::prelude::*;

use crate::codes::Codes;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::geometry::{Bases, Geometry};
use crate::kernels::scalar_product::ScalarProduct;
use crate::kernels::sums::SumKind;
use crate::kernels::tile::{TileSize, multiply_tiles};

/// The shape of a product of matrices.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct MatmulGeometry {
    pub(crate) matrices: u32,
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) depth: u32,
    /// `[matrices, 2]`: the indices of an output matrix's activation and weight. Without it there is one matrix of each.
    pub(crate) pairs: ComptimeOption<Box<[u32]>>,
}

#[cube]
impl MatmulGeometry {
    /// Where a matrix's operands begin.
    pub(crate) fn bases(&self, matrix: u32) -> Bases {
        if comptime!(self.pairs.is_some()) {
            let pairs = self.pairs.as_ref().unwrap();
            Bases {
                activation: pairs[(2u32 * matrix) as usize] * (self.rows * self.depth),
                weight: pairs[(2u32 * matrix + 1u32) as usize] * (self.depth * self.columns),
            }
        } else {
            Bases {
                activation: 0u32.runtime(),
                weight: 0u32.runtime(),
            }
        }
    }
}

/// The kernel: cubes of 256 units, any number of them.
#[cube(launch_unchecked)]
pub(crate) fn matmul(
    activation: &Codes,
    weight: &Codes,
    product: &ScalarProduct,
    geometry: MatmulGeometry,
    epilogue: &Epilogue,
    output: &mut [u32],
    #[comptime] size: TileSize,
    #[comptime] sums: SumKind,
) {
    let geometry = Geometry::new_Matmul(geometry);
    multiply_tiles(
        activation, weight, product, &geometry, epilogue, output, size, sums,
    );
}
