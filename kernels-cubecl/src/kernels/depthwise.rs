//! Convolutions with few output channels per group, depthwise ones above all: as a product of matrices, most of a tile's
//! columns would be empty, so each unit computes whole elements of the result on its own,
//!
//! ```text
//! acc[b, o, y, x] = sum over c, i, j of p(input[b, c, s_y y + d_y i - t, s_x x + d_x j - l], weight[o, c, i, j])
//! ```

use cubecl::prelude::*;

use crate::codes::Codes;
use crate::kernels::conv2d::Conv2dGeometry;
use crate::kernels::epilogue::{CodeSums, Epilogue};
use crate::kernels::geometry::{Geometry, pattern_or_padding};
use crate::kernels::scalar_product::ScalarProduct;
use crate::kernels::sums::{SumKind, Sums};

/// The kernel: cubes of any size, any number of them.
#[cube(launch_unchecked)]
pub(crate) fn depthwise(
    activation: &Codes,
    weight: &Codes,
    product: &ScalarProduct,
    geometry: Conv2dGeometry,
    epilogue: &Epilogue,
    output: &mut [u32],
    #[comptime] kind: SumKind,
) {
    let geometry = Geometry::new_Conv2d(geometry);
    let needs_activation_sums = epilogue.needs_activation_sums();
    let needs_weight_sums = epilogue.needs_weight_sums();
    let table = product.table();
    let poison = epilogue.poison();
    let padding = epilogue.padding(activation);
    let (rows, columns, depth) = (geometry.rows(), geometry.columns(), geometry.depth());
    let mut sums = Sums::new(kind, 1usize);

    // Pixels first: neighbouring units read neighbouring inputs.
    let mut element = ABSOLUTE_POS as u32;
    while element < rows * columns * geometry.matrices() {
        let row = element % rows;
        let column = element / rows % columns;
        let group = element / rows / columns;
        let bases = geometry.bases(group);
        sums.clear();
        let mut activation_sum = 0i32;
        let mut weight_sum = 0i32;
        for inner in 0..depth {
            let place = geometry.activation(bases.activation, row, inner);
            let a = pattern_or_padding(activation, place, padding);
            let b = weight.pattern(geometry.weight(bases.weight, inner, column));
            if comptime!(needs_activation_sums) {
                activation_sum += activation.code(a);
            }
            if comptime!(needs_weight_sums) {
                weight_sum += weight.code(b);
            }
            for term in 0..product.terms() {
                let a = product.map_activation(a, term);
                let b = product.map_weight(b, term);
                product.accumulate(&table, &mut sums, 0usize, a, b);
            }
        }
        product.complete(&mut sums, 0usize, depth);
        let codes = CodeSums {
            activation: activation_sum,
            weight: weight_sum,
            depth,
        };
        output[geometry.output(group, row, column) as usize] = epilogue.finish(
            &sums,
            0usize,
            codes,
            geometry.channel(group, column),
            poison,
        );
        element += CUBE_COUNT as u32 * CUBE_DIM;
    }
}
