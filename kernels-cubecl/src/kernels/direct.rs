//! Products of matrices with few columns, of any geometry, such as those of depthwise convolutions: most of a tile's
//! columns would be empty, so each unit computes whole elements of the result on its own,
//!
//! ```text
//! acc[i, o] = sum over k, over terms t of f_t(x[i, k]) . g_t(w[k, o])
//! ```
//!
//! with `f_t`, `g_t` what the scalar product maps operands to, and `.` what it makes of two mapped operands.

use cubecl::prelude::*;

use crate::codes::Codes;
use crate::kernels::code_sums::CodeSums;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::geometry::{Geometry, GeometryExpand, OUTSIDE, pattern_or_padding, store};
use crate::kernels::scalar_product::ScalarProduct;
use crate::kernels::sums::{SumKind, Sums};

/// The kernel: cubes of any size, any number of them.
#[cube(launch_unchecked)]
pub(crate) fn multiply_elements<G: Geometry + LaunchArg>(
    activation: &Codes,
    weight: &Codes,
    product: &ScalarProduct,
    geometry: &G,
    epilogue: &Epilogue,
    output: &mut [u32],
    #[comptime] kind: SumKind,
) {
    let skips = geometry.skips();
    let table = product.table();
    let poison = epilogue.poison();
    let padding = epilogue.padding(activation);
    let (rows, columns) = (geometry.rows(), geometry.columns());
    let mut sums = Sums::new(kind, 1usize);

    // Rows first: neighbouring units read neighbouring inputs.
    let mut element = ABSOLUTE_POS as u32;
    while element < rows * columns * geometry.matrices() {
        let row = element % rows;
        let column = element / rows % columns;
        let matrix = geometry.matrix(element / rows / columns);
        let depth = geometry.depth(&matrix);
        let mut codes = CodeSums {
            activation: 0i32.runtime(),
            weight: 0i32.runtime(),
            products: depth,
        };
        sums.clear();
        for inner in 0..depth {
            let place = geometry.activation(&matrix, row, inner);
            let weight_place = geometry.weight(&matrix, inner, column);
            if comptime!(skips) {
                if place != OUTSIDE {
                    let a = activation.pattern(place);
                    let b = weight.pattern(weight_place);
                    add(
                        activation, weight, product, epilogue, &table, &mut sums, &mut codes, a, b,
                    );
                } else {
                    codes.products -= 1u32;
                }
            } else {
                let a = pattern_or_padding(activation, place, padding);
                let b = weight.pattern(weight_place);
                add(
                    activation, weight, product, epilogue, &table, &mut sums, &mut codes, a, b,
                );
            }
        }
        product.complete(&mut sums, 0usize, codes.products);
        let channel = geometry.channel(&matrix, column);
        let result = epilogue.finish(&sums, 0usize, codes, channel, poison);
        let position = geometry.output(&matrix, row, column);
        store(output, position, result, skips);
        element += CUBE_COUNT as u32 * CUBE_DIM;
    }
}

/// Adds the product of two patterns, and their codes where their sums are needed.
#[cube]
fn add(
    activation: &Codes,
    weight: &Codes,
    product: &ScalarProduct,
    epilogue: &Epilogue,
    table: &[u32],
    sums: &mut Sums,
    codes: &mut CodeSums,
    a: u32,
    b: u32,
) {
    let needs_activation_sums = epilogue.needs_activation_sums();
    let needs_weight_sums = epilogue.needs_weight_sums();
    if comptime!(needs_activation_sums) {
        codes.activation += activation.code(a);
    }
    if comptime!(needs_weight_sums) {
        codes.weight += weight.code(b);
    }
    for term in 0..product.terms() {
        let a = product.map_activation(a, term);
        let b = product.map_weight(b, term);
        product.accumulate(table, sums, 0usize, a, b, false);
    }
}
