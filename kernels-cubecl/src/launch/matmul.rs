//! The launch of products of matrices.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::checked_product::{CheckedProduct, Lengths, Matrices};
use crate::checks::{check_count, elements};
use crate::error::DeviceKernelError;
use crate::kernels::geometry::matmul::{MatmulGeometry, MatmulGeometryLaunch};
use crate::product::{Operand, Output, ScalarProduct};

/// For every output matrix, which activation matrix and which weight matrix it is the product of.
///
/// ```no_run
/// use kernels_cubecl::{MatmulProblem, MatrixPairs};
///
/// let client = cubecl::Device::default().client();
/// // Three activation matrices, all multiplied with the only weight matrix.
/// let pairs = MatrixPairs::new(&client, &[[0, 0], [1, 0], [2, 0]]);
/// let problem = MatmulProblem {
///     activation_matrices: 3,
///     pairs: Some(&pairs),
///     ..MatmulProblem::single(8, 16, 4)
/// };
/// ```
#[derive(Clone, Debug)]
pub struct MatrixPairs {
    handle: Handle,
    count: usize,
    largest: [u32; 2],
}

impl MatrixPairs {
    /// Pairs `[activation, weight]` from the host.
    pub fn new(client: &Client, pairs: &[[u32; 2]]) -> Self {
        let largest = pairs.iter().fold([0; 2], |largest, pair| {
            [largest[0].max(pair[0]), largest[1].max(pair[1])]
        });
        let mut words = pairs.concat();
        // A buffer of no bytes cannot be bound.
        words.resize(words.len().max(1), 0);
        Self {
            handle: client.create_from_slice(u32::as_bytes(&words)),
            count: pairs.len(),
            largest,
        }
    }

    /// The number of output matrices.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// The shape of products of matrices: activations `[activation_matrices, rows, depth]`, weights
/// `[weight_matrices, depth, columns]`, results `[output matrices, rows, columns]`.
#[derive(Clone, Copy, Debug)]
pub struct MatmulProblem<'a> {
    /// The number of activation matrices.
    pub activation_matrices: usize,
    /// The number of weight matrices.
    pub weight_matrices: usize,
    /// The rows of an activation matrix.
    pub rows: usize,
    /// The columns of an activation matrix, the rows of a weight matrix.
    pub depth: usize,
    /// The columns of a weight matrix, the output channels.
    pub columns: usize,
    /// The output matrices; without it there is one, the product of the first matrices.
    pub pairs: Option<&'a MatrixPairs>,
}

impl MatmulProblem<'_> {
    /// One product, `[rows, depth]` by `[depth, columns]`.
    pub fn single(rows: usize, depth: usize, columns: usize) -> Self {
        Self {
            activation_matrices: 1,
            weight_matrices: 1,
            rows,
            depth,
            columns,
            pairs: None,
        }
    }
}

/// Products of matrices of codes: see [`Output`] for what is returned, row-major `[output matrices, rows, columns]`.
///
/// # Errors
/// If a length does not follow from the shape, codes have another width than the product takes, a tensor has 2^31
/// elements or more, a pair names a matrix that is not there, or the device has too few units or buffers.
///
/// ```no_run
/// use kernels_cubecl::{
///     DeviceTable, MatmulProblem, Operand, Output, PackedCodes, ScalarProduct, Words, matmul,
/// };
///
/// let client = cubecl::Device::default().client();
/// let products: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |b| a * b)).collect();
/// let table = DeviceTable::new(&client, &products, 4, 4)?;
/// let activation = PackedCodes::from_codes(&client, &[1, 2, 3, 4], 4, false)?;
/// let weight = PackedCodes::from_codes(&client, &[5, 6], 4, false)?;
/// let sums = matmul(
///     &client,
///     MatmulProblem::single(2, 2, 1),
///     [Operand::new(&activation), Operand::new(&weight)],
///     ScalarProduct::Lookup { table: &table, words: Words::One },
///     Output::Accumulators { padding_code: 0 },
/// )?; // i32 [2, 1]: 17, 39
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
pub fn matmul(
    client: &Client,
    problem: MatmulProblem,
    operands: [Operand; 2],
    product: ScalarProduct,
    output: Output,
) -> Result<Handle, DeviceKernelError> {
    let MatmulProblem {
        activation_matrices,
        weight_matrices,
        rows,
        depth,
        columns,
        pairs,
    } = problem;
    let activation = elements("activations", &[activation_matrices, rows, depth])?;
    let weight = elements("weights", &[weight_matrices, depth, columns])?;
    let matrices = pairs.map_or(1, MatrixPairs::count);
    let results = elements("results", &[matrices, rows, columns])?;
    check_count("the depth of a product", depth as u128)?;
    let lengths = Lengths {
        activation,
        weight,
        depth,
        channels: columns,
        results,
    };
    let checked = CheckedProduct::new(client, operands, product, output, lengths)?;
    let largest = pairs.map_or([0; 2], |pairs| pairs.largest);
    let there = [
        (activation_matrices, "activations"),
        (weight_matrices, "weights"),
    ];
    for (index, (count, operand)) in largest.into_iter().zip(there) {
        if matrices > 0 && index as usize >= count {
            return Err(DeviceKernelError::Pair {
                operand,
                index,
                count,
            });
        }
    }
    if results == 0 {
        return Ok(client.empty(4));
    }
    // SAFETY: pairs were made with two words each.
    let argument = |pairs: &MatrixPairs| unsafe {
        BufferArg::from_raw_parts(pairs.handle.clone(), 2 * pairs.count)
    };
    let geometry = MatmulGeometryLaunch::new(
        matrices as u32,
        rows as u32,
        columns as u32,
        depth as u32,
        ComptimeOptionArgs::from(pairs.map(argument)),
    );
    let matrices = Matrices {
        count: matrices,
        rows,
        columns,
    };
    // SAFETY: positions follow from the shape, against which all lengths were checked, and from pairs of matrices that
    // are there.
    unsafe { checked.multiply::<MatmulGeometry>(client, matrices, geometry) }
}
