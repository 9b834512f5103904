//! The product of two matrices, tile by tile: what the kernels of matrix products and of convolutions have in common.
//!
//! ```text
//! acc[i, o] = sum over chunks C of the depth, over terms t, over k in C of f_t(x[i, k]) . g_t(w[k, o])
//! sum a [i] = sum over chunks C, over k in C of code(x[i, k])            sum b [o] likewise
//! ```
//!
//! with `f_t`, `g_t` what the scalar product maps operands to, and `.` what it makes of two mapped operands.
//!
//! A cube of 16 x 16 units computes a square tile of the result; each unit computes the sums of 1, 4 or 16 of its elements. It
//! steps through the depth: 16 positions of the operands are mapped into shared memory, then multiplied out, once for every
//! term of the scalar product and once more for the sums of the codes themselves where those are needed. Cubes are
//! persistent: each takes tile after tile, so that a table copied to shared memory serves many, and no grid is too large.

use cubecl::prelude::*;

use crate::codes::Codes;
use crate::kernels::epilogue::{CodeSums, Epilogue};
use crate::kernels::geometry::{Bases, Geometry, pattern_or_padding};
use crate::kernels::scalar_product::ScalarProduct;
use crate::kernels::sums::{SumKind, Sums};

/// The units of a cube along either side of a tile.
pub(crate) const UNITS: usize = 16;
/// The positions of the depth that are in shared memory at a time.
pub(crate) const DEPTH: usize = 16;

/// The sizes of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TileSize {
    /// 16 x 16, one element per unit.
    Small,
    /// 32 x 32, 2 x 2 elements per unit.
    Medium,
    /// 64 x 64, 4 x 4 elements per unit.
    Large,
}

impl TileSize {
    /// The elements of a unit along either side.
    pub(crate) fn per_unit(self) -> usize {
        match self {
            TileSize::Small => 1,
            TileSize::Medium => 2,
            TileSize::Large => 4,
        }
    }

    /// The elements of the tile along either side.
    pub(crate) fn side(self) -> usize {
        UNITS * self.per_unit()
    }

    /// The distance of two depths in shared memory: one more than a side, so that neighbours lie in different banks.
    fn stride(self) -> usize {
        self.side() + 1
    }

    /// The words of an operand's tile in shared memory.
    fn words(self) -> usize {
        DEPTH * self.stride()
    }

    /// The bytes of both operands' tiles in shared memory.
    pub(crate) fn bytes(self) -> usize {
        2 * 4 * self.words()
    }

    /// The number of tiles along a side of the result.
    pub(crate) fn count(self, length: usize) -> usize {
        length.div_ceil(self.side())
    }

    /// The size for a result: larger ones need fewer loads per product, as long as most of a tile's elements are there.
    pub(crate) fn of(rows: usize, columns: usize) -> Self {
        match rows.min(columns) {
            ..=16 => TileSize::Small,
            17..=32 => TileSize::Medium,
            33.. => TileSize::Large,
        }
    }
}

/// What an operand becomes on its way into shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mapping {
    /// What the scalar product makes of it in a term.
    Term,
    /// The value of its code.
    Code,
}

/// The part of the operands that is in shared memory.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
struct Window {
    bases: Bases,
    first_row: u32,
    first_column: u32,
    first_inner: u32,
    /// The positions of the depth that there are.
    count: u32,
}

/// Computes all elements of all products.
#[cube]
pub(crate) fn multiply_tiles(
    activation: &Codes,
    weight: &Codes,
    product: &ScalarProduct,
    geometry: &Geometry,
    epilogue: &Epilogue,
    output: &mut [u32],
    #[comptime] size: TileSize,
    #[comptime] kind: SumKind,
) {
    let per_unit = comptime!(size.per_unit());
    let side = comptime!(size.side() as u32);
    let stride = comptime!(size.stride() as u32);
    let needs_activation_sums = epilogue.needs_activation_sums();
    let needs_weight_sums = epilogue.needs_weight_sums();

    let table = product.table();
    let poison = epilogue.poison();
    let padding = epilogue.padding(activation);
    let mut activation_tile = Shared::<[u32]>::new_slice(comptime!(size.words()));
    let mut weight_tile = Shared::<[u32]>::new_slice(comptime!(size.words()));

    let mut sums = Sums::new(kind, comptime!(per_unit * per_unit));
    let mut activation_sums = Array::<i32>::new(per_unit);
    let mut weight_sums = Array::<i32>::new(per_unit);

    let unit_row = UNIT_POS / 16;
    let unit_column = UNIT_POS % 16;
    let (rows, columns, depth) = (geometry.rows(), geometry.columns(), geometry.depth());
    let row_tiles = rows.div_ceil(side);
    let column_tiles = columns.div_ceil(side);

    let mut tile = CUBE_POS as u32;
    while tile < geometry.matrices() * row_tiles * column_tiles {
        let matrix = tile / column_tiles / row_tiles;
        let mut window = Window {
            bases: geometry.bases(matrix),
            first_row: (tile / column_tiles % row_tiles) * side,
            first_column: (tile % column_tiles) * side,
            first_inner: 0u32.runtime(),
            count: 0u32.runtime(),
        };
        sums.clear();
        #[unroll]
        for index in 0..per_unit {
            activation_sums[index] = 0i32;
            weight_sums[index] = 0i32;
        }

        while window.first_inner < depth {
            window.count = min(depth - window.first_inner, 16u32);
            for term in 0..product.terms() {
                load_activations(
                    activation,
                    product,
                    geometry,
                    padding,
                    &mut activation_tile,
                    window,
                    term,
                    size,
                    comptime!(Mapping::Term),
                );
                load_weights(
                    weight,
                    product,
                    geometry,
                    &mut weight_tile,
                    window,
                    term,
                    size,
                    comptime!(Mapping::Term),
                );
                sync_cube();
                // No further than the depth: beyond it there is nothing to add, whatever the product of two zeros is.
                for inner in 0..window.count {
                    let mut activations = Sequence::<u32>::new();
                    let mut weights = Sequence::<u32>::new();
                    #[unroll]
                    for index in 0..per_unit {
                        let offset = comptime!((index * UNITS) as u32);
                        activations
                            .push(activation_tile[(inner * stride + unit_row + offset) as usize]);
                        weights.push(weight_tile[(inner * stride + unit_column + offset) as usize]);
                    }
                    #[unroll]
                    for i in 0..per_unit {
                        #[unroll]
                        for j in 0..per_unit {
                            let index = comptime!(i * per_unit + j);
                            product.accumulate(
                                &table,
                                &mut sums,
                                index,
                                activations[i],
                                weights[j],
                            );
                        }
                    }
                }
                sync_cube();
            }
            if comptime!(needs_activation_sums || needs_weight_sums) {
                if comptime!(needs_activation_sums) {
                    load_activations(
                        activation,
                        product,
                        geometry,
                        padding,
                        &mut activation_tile,
                        window,
                        0u32,
                        size,
                        comptime!(Mapping::Code),
                    );
                }
                if comptime!(needs_weight_sums) {
                    load_weights(
                        weight,
                        product,
                        geometry,
                        &mut weight_tile,
                        window,
                        0u32,
                        size,
                        comptime!(Mapping::Code),
                    );
                }
                sync_cube();
                for inner in 0..window.count {
                    #[unroll]
                    for index in 0..per_unit {
                        let position = inner * stride + comptime!((index * UNITS) as u32);
                        if comptime!(needs_activation_sums) {
                            let code = activation_tile[(position + unit_row) as usize];
                            activation_sums[index] += i32::reinterpret(code);
                        }
                        if comptime!(needs_weight_sums) {
                            let code = weight_tile[(position + unit_column) as usize];
                            weight_sums[index] += i32::reinterpret(code);
                        }
                    }
                }
                sync_cube();
            }
            window.first_inner += 16u32;
        }

        #[unroll]
        for i in 0..per_unit {
            #[unroll]
            for j in 0..per_unit {
                let row = window.first_row + unit_row + comptime!((i * UNITS) as u32);
                let column = window.first_column + unit_column + comptime!((j * UNITS) as u32);
                let index = comptime!(i * per_unit + j);
                if row < rows && column < columns {
                    product.complete(&mut sums, index, depth);
                    let codes = CodeSums {
                        activation: activation_sums[i],
                        weight: weight_sums[j],
                        depth,
                    };
                    output[geometry.output(matrix, row, column) as usize] = epilogue.finish(
                        &sums,
                        index,
                        codes,
                        geometry.channel(matrix, column),
                        poison,
                    );
                }
            }
        }
        tile += CUBE_COUNT as u32;
    }
}

/// Brings the window's activations into shared memory, `[depth, row]`; what is not there becomes 0.
#[cube]
fn load_activations(
    activation: &Codes,
    product: &ScalarProduct,
    geometry: &Geometry,
    padding: u32,
    tile: &mut Shared<[u32]>,
    window: Window,
    term: u32,
    #[comptime] size: TileSize,
    #[comptime] mapping: Mapping,
) {
    let along_rows = geometry.activation_along_rows();
    // As many loads as a unit has elements along a side, since the depth is as many positions as a side has units.
    #[unroll]
    for load in 0..comptime!(size.per_unit()) {
        let (inner, row) = loaded_position(load, size, along_rows);
        let mut value = 0u32;
        if window.first_row + row < geometry.rows() && inner < window.count {
            let row = window.first_row + row;
            let position =
                geometry.activation(window.bases.activation, row, window.first_inner + inner);
            let pattern = pattern_or_padding(activation, position, padding);
            value = match mapping {
                Mapping::Term => product.map_activation(pattern, term),
                Mapping::Code => u32::reinterpret(activation.code(pattern)),
            };
        }
        tile[(inner * comptime!(size.stride() as u32) + row) as usize] = value;
    }
}

/// Brings the window's weights into shared memory, `[depth, column]`; what is not there becomes 0.
#[cube]
fn load_weights(
    weight: &Codes,
    product: &ScalarProduct,
    geometry: &Geometry,
    tile: &mut Shared<[u32]>,
    window: Window,
    term: u32,
    #[comptime] size: TileSize,
    #[comptime] mapping: Mapping,
) {
    let along_columns = geometry.weight_along_columns();
    #[unroll]
    for load in 0..comptime!(size.per_unit()) {
        let (inner, column) = loaded_position(load, size, along_columns);
        let mut value = 0u32;
        if window.first_column + column < geometry.columns() && inner < window.count {
            let column = window.first_column + column;
            let position = geometry.weight(window.bases.weight, window.first_inner + inner, column);
            let pattern = weight.pattern(position);
            value = match mapping {
                Mapping::Term => product.map_weight(pattern, term),
                Mapping::Code => u32::reinterpret(weight.code(pattern)),
            };
        }
        tile[(inner * comptime!(size.stride() as u32) + column) as usize] = value;
    }
}

/// The depth and the row or column of one of a unit's loads: neighbours go along the depth or across it.
#[cube]
fn loaded_position(
    #[comptime] load: usize,
    #[comptime] size: TileSize,
    #[comptime] along_depth: bool,
) -> (u32, u32) {
    let position = UNIT_POS + comptime!((load * UNITS * UNITS) as u32);
    let side = comptime!((if along_depth { DEPTH } else { size.side() }) as u32);
    let (slow, fast) = (position / side, position % side);
    if comptime!(along_depth) {
        (fast, slow)
    } else {
        (slow, fast)
    }
}
