//! Matrix product through a product table.

use crate::accumulators::Accumulators;
use crate::arch::InstructionSet;
use crate::error::{KernelError, check_length, checked_product};
use crate::lookup::accumulate::Segment;
use crate::lookup::bounds::{add_bound, fit_in_32_bits};
use crate::lookup::gather::{Problem, Strategy, masked};
use crate::lookup::table::LookupTable;
use crate::shapes::MatmulShape;

/// `acc[row, column] = sum over k of table[activations[row, k]][weights[k, column]]`.
///
/// `activations` holds bit patterns `[rows, inner]`, `weights` bit patterns `[inner, columns]`, both row-major; bits
/// above the operands' widths are ignored. The result is `[rows, columns]`, row-major. Any side may be 0.
///
/// # Errors
///
/// [`KernelError::Length`] where a slice does not fit the shape, [`KernelError::Overflow`] where a number of
/// elements does not fit in `usize`.
///
/// ```
/// use approx_cpu::{Accumulators, LookupTable, MatmulShape, matmul};
///
/// let exact: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |w| a * w)).collect();
/// let table = LookupTable::new(4, 4, &exact)?;
/// let shape = MatmulShape { rows: 1, inner: 3, columns: 2 };
/// let sums = matmul(&table, &[1, 2, 3], &[1, 4, 2, 5, 3, 6], shape)?;
/// assert_eq!(sums, Accumulators::I32(vec![14, 32]));
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn matmul(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: MatmulShape,
) -> Result<Accumulators, KernelError> {
    matmul_with(
        InstructionSet::best(),
        None,
        table,
        activations,
        weights,
        shape,
    )
}

/// [`matmul`] with a given instruction set and, if any, strategy.
pub(crate) fn matmul_with(
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: MatmulShape,
) -> Result<Accumulators, KernelError> {
    let MatmulShape {
        rows,
        inner,
        columns,
    } = shape;
    let size = |quantity, sides: [usize; 2]| checked_product(quantity, &sides);
    check_length(
        "activations",
        size("the activations", [rows, inner])?,
        activations.len(),
    )?;
    check_length(
        "weights",
        size("the weights", [inner, columns])?,
        weights.len(),
    )?;
    size("the result", [rows, columns])?;

    let activations = masked(activations, table.activation_mask());
    let weights = masked(weights, table.weight_mask());
    let offsets: Vec<usize> = (0..inner).map(|tap| tap * columns).collect();
    let problem = Problem {
        images: 1,
        groups: 1,
        planes: rows,
        inner,
        plane_codes: &activations,
        plane_stride: inner,
        tap_stride: 1,
        position_codes: &weights,
        image_stride: 0,
        group_stride: 0,
        offsets: &offsets,
        segments: &[Segment {
            start: 0,
            length: columns,
        }],
        lines_by_plane: table.by_activation(),
        lines_by_position: table.by_weight(),
    };
    /// Columns whose bounds are computed together, along the rows of the weights.
    const BLOCK: usize = 64;
    let largest_sums = (0..columns).step_by(BLOCK).flat_map(|first| {
        let mut bounds = [0u32; BLOCK];
        for row in weights.chunks_exact(columns) {
            for (bound, &weight) in bounds.iter_mut().zip(&row[first..]) {
                *bound = add_bound(*bound, table, weight);
            }
        }
        bounds
    });
    Ok(if fit_in_32_bits(table, inner, largest_sums) {
        Accumulators::I32(problem.solve(table, set, strategy))
    } else {
        Accumulators::I64(problem.solve(table, set, strategy))
    })
}
