//! Products of matrices, tile by tile, of any geometry:
//!
//! ```text
//! acc[i, o] = sum over chunks C of the depth, over terms t, over k in C of f_t(x[i, k]) . g_t(w[k, o])
//! ```
//!
//! with `f_t`, `g_t` what the scalar product maps operands to, and `.` what it makes of two mapped operands.
//!
//! A cube of 16 x 16 units computes a square tile of the result; each unit computes the sums of 1, 4 or 16 of its
//! elements. It steps through the depth: 16 positions of the operands are mapped into shared memory, then multiplied
//! out, once for every term of the scalar product and once more for the sums of the codes themselves where those are
//! needed. Cubes are persistent: each takes tile after tile, so that a table copied to shared memory serves many, and
//! no grid is too large.

use cubecl::prelude::*;

use crate::codes::Codes;
use crate::kernels::code_sums::{NeededCodes, SquareCodeSums};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::geometry::{Geometry, GeometryExpand, OUTSIDE, pattern_or_padding, store};
use crate::kernels::scalar_product::{SKIPPED, ScalarProduct};
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

/// An operand of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Activation,
    Weight,
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
    first_row: u32,
    first_column: u32,
    first_inner: u32,
    /// The positions of the depth that there are.
    count: u32,
}

/// The kernel, which computes all elements of all products: cubes of 256 units, any number of them.
#[cube(launch_unchecked)]
pub(crate) fn multiply_tiles<G: Geometry + LaunchArg>(
    activation: &Codes,
    weight: &Codes,
    product: &ScalarProduct,
    geometry: &G,
    epilogue: &Epilogue,
    output: &mut [u32],
    #[comptime] size: TileSize,
    #[comptime] kind: SumKind,
) {
    let per_unit = comptime!(size.per_unit());
    let side = comptime!(size.side() as u32);
    let skips = geometry.skips();
    let needs_activation_sums = epilogue.needs_activation_sums();
    let needs_weight_sums = epilogue.needs_weight_sums();
    let needed = comptime!(NeededCodes {
        activation: needs_activation_sums,
        weight: needs_weight_sums,
        skips,
    });

    let table = product.table();
    let poison = epilogue.poison();
    let padding = epilogue.padding(activation);
    let mut activation_tile = Shared::<[u32]>::new_slice(comptime!(size.words()));
    let mut weight_tile = Shared::<[u32]>::new_slice(comptime!(size.words()));

    let mut sums = Sums::new(kind, comptime!(per_unit * per_unit));
    let mut codes = SquareCodeSums::new(per_unit, needed);

    let unit_row = UNIT_POS / 16;
    let unit_column = UNIT_POS % 16;
    let (rows, columns) = (geometry.rows(), geometry.columns());
    let row_tiles = rows.div_ceil(side);
    let column_tiles = columns.div_ceil(side);

    let mut tile = CUBE_POS as u32;
    while tile < geometry.matrices() * row_tiles * column_tiles {
        let matrix = geometry.matrix(tile / column_tiles / row_tiles);
        let depth = geometry.depth(&matrix);
        let mut window = Window {
            first_row: (tile / column_tiles % row_tiles) * side,
            first_column: (tile % column_tiles) * side,
            first_inner: 0u32.runtime(),
            count: 0u32.runtime(),
        };
        sums.clear();
        codes.clear();

        while window.first_inner < depth {
            window.count = min(depth - window.first_inner, 16u32);
            for term in 0..product.terms() {
                load::<G>(
                    activation,
                    product,
                    geometry,
                    &matrix,
                    padding,
                    &mut activation_tile,
                    window,
                    term,
                    size,
                    comptime!(Side::Activation),
                    comptime!(Mapping::Term),
                );
                load::<G>(
                    weight,
                    product,
                    geometry,
                    &matrix,
                    padding,
                    &mut weight_tile,
                    window,
                    term,
                    size,
                    comptime!(Side::Weight),
                    comptime!(Mapping::Term),
                );
                sync_cube();
                // No further than the depth: beyond it there is nothing to add, whatever the product of two zeros is.
                for inner in 0..window.count {
                    let activations = of_unit(&activation_tile, inner, unit_row, size);
                    let weights = of_unit(&weight_tile, inner, unit_column, size);
                    #[unroll]
                    for i in 0..per_unit {
                        #[unroll]
                        for j in 0..per_unit {
                            product.accumulate(
                                &table,
                                &mut sums,
                                comptime!(i * per_unit + j),
                                activations[i],
                                weights[j],
                                skips,
                            );
                        }
                    }
                }
                sync_cube();
            }
            if comptime!(needed.any()) {
                if comptime!(needed.reads_activations()) {
                    load::<G>(
                        activation,
                        product,
                        geometry,
                        &matrix,
                        padding,
                        &mut activation_tile,
                        window,
                        0u32,
                        size,
                        comptime!(Side::Activation),
                        comptime!(Mapping::Code),
                    );
                }
                if comptime!(needed.weight) {
                    load::<G>(
                        weight,
                        product,
                        geometry,
                        &matrix,
                        padding,
                        &mut weight_tile,
                        window,
                        0u32,
                        size,
                        comptime!(Side::Weight),
                        comptime!(Mapping::Code),
                    );
                }
                sync_cube();
                for inner in 0..window.count {
                    let activations = of_unit(&activation_tile, inner, unit_row, size);
                    let weights = of_unit(&weight_tile, inner, unit_column, size);
                    codes.add(&activations, &weights);
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
                    let products = geometry.products(&matrix, row);
                    product.complete(&mut sums, index, products);
                    let result = epilogue.finish(
                        &sums,
                        index,
                        codes.of(i, j, products),
                        geometry.channel(&matrix, column),
                        poison,
                    );
                    let position = geometry.output(&matrix, row, column);
                    store(output, position, result, skips);
                }
            }
        }
        tile += CUBE_COUNT as u32;
    }
}

/// What a unit needs of an operand's tile at one position of the depth.
#[cube]
fn of_unit(
    tile: &Shared<[u32]>,
    inner: u32,
    unit: u32,
    #[comptime] size: TileSize,
) -> Sequence<u32> {
    let mut values = Sequence::<u32>::new();
    #[unroll]
    for index in 0..comptime!(size.per_unit()) {
        let offset = comptime!((index * UNITS) as u32);
        let position = inner * comptime!(size.stride() as u32) + unit + offset;
        values.push(tile[position as usize]);
    }
    values
}

/// Brings the window's part of an operand into shared memory, `[depth, row]` or `[depth, column]`; what is not there
/// becomes 0.
#[cube]
fn load<G: Geometry>(
    operand: &Codes,
    product: &ScalarProduct,
    geometry: &G,
    matrix: &G::Matrix,
    padding: u32,
    tile: &mut Shared<[u32]>,
    window: Window,
    term: u32,
    #[comptime] size: TileSize,
    #[comptime] side: Side,
    #[comptime] mapping: Mapping,
) {
    let activation_along_rows = geometry.activation_along_rows();
    let weight_along_columns = geometry.weight_along_columns();
    let along_depth = comptime!(match side {
        Side::Activation => activation_along_rows,
        Side::Weight => weight_along_columns,
    });
    let first = match side {
        Side::Activation => window.first_row,
        Side::Weight => window.first_column,
    };
    let length = match side {
        Side::Activation => geometry.rows(),
        Side::Weight => geometry.columns(),
    };
    // As many loads as a unit has elements along a side, since the depth is as many positions as a side has units.
    #[unroll]
    for load in 0..comptime!(size.per_unit()) {
        let (inner, across) = loaded_position(load, size, along_depth);
        let mut value = 0u32;
        if first + across < length && inner < window.count {
            value = match side {
                Side::Activation => mapped_activation::<G>(
                    operand,
                    product,
                    geometry,
                    geometry.activation(matrix, first + across, window.first_inner + inner),
                    padding,
                    term,
                    mapping,
                ),
                Side::Weight => {
                    let position =
                        geometry.weight(matrix, window.first_inner + inner, first + across);
                    let pattern = operand.pattern(position);
                    match mapping {
                        Mapping::Term => product.map_weight(pattern, term),
                        Mapping::Code => u32::reinterpret(operand.code(pattern)),
                    }
                }
            };
        }
        tile[(inner * comptime!(size.stride() as u32) + across) as usize] = value;
    }
}

/// What stands in shared memory for the activation at a position.
#[cube]
fn mapped_activation<G: Geometry>(
    activation: &Codes,
    product: &ScalarProduct,
    geometry: &G,
    position: u32,
    padding: u32,
    term: u32,
    #[comptime] mapping: Mapping,
) -> u32 {
    let pattern = pattern_or_padding(activation, position, padding);
    let value = match mapping {
        Mapping::Term => product.map_activation(pattern, term),
        Mapping::Code => u32::reinterpret(activation.code(pattern)),
    };
    let skips = geometry.skips();
    if comptime!(skips) {
        let skipped = match mapping {
            Mapping::Term => product.skipped_activation(),
            Mapping::Code => SKIPPED.runtime(),
        };
        select(position == OUTSIDE, skipped, value)
    } else {
        value
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
