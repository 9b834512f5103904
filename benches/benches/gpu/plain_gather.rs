//! A product of matrices of codes as a first kernel would look it up, to compare with:
//!
//! ```text
//! sums[i, o] = sum over k of table[x[i, k]][w[k, o]]
//! ```
//!
//! Cubes of 16 x 16 units compute one sum per unit. Tiles of the operands go through shared memory; the table of 32-bit
//! entries stays in global memory.

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

/// The units along either side of a cube.
const SIDE: usize = 16;

/// 8-bit patterns of activations `[rows, inner]` and weights `[inner, columns]`, each in a word of its own, and the
/// 2^16 entries of the table.
pub(crate) struct PlainGather {
    client: Client,
    rows: usize,
    inner: usize,
    columns: usize,
    activation: Handle,
    weight: Handle,
    table: Handle,
}

impl PlainGather {
    pub(crate) fn new(
        client: &Client,
        [rows, inner, columns]: [usize; 3],
        activation: &[u32],
        weight: &[u32],
        table: &[i32],
    ) -> Self {
        assert!(rows * inner * columns > 0, "there is something to multiply");
        assert_eq!(activation.len(), rows * inner, "activations [rows, inner]");
        assert_eq!(weight.len(), inner * columns, "weights [inner, columns]");
        assert_eq!(
            table.len(),
            1 << 16,
            "one entry for each pair of 8-bit codes"
        );
        assert!(
            activation
                .iter()
                .chain(weight)
                .all(|pattern| *pattern < 1 << 8),
            "patterns have 8 bits"
        );
        Self {
            client: client.clone(),
            rows,
            inner,
            columns,
            activation: client.create_from_slice(u32::as_bytes(activation)),
            weight: client.create_from_slice(u32::as_bytes(weight)),
            table: client.create_from_slice(i32::as_bytes(table)),
        }
    }

    /// Queues the product; the result is `[rows, columns]`.
    pub(crate) fn launch(&self) -> Handle {
        let results = self.rows * self.columns;
        let sums = self.client.empty(size_of::<i32>() * results);
        let cubes = |count: usize| count.div_ceil(SIDE) as u32;
        // SAFETY: the buffers have the lengths given, as `new` checked and as allocated here; indices stay within the
        // shape, and in the table as patterns have 8 bits.
        unsafe {
            plain_gather::launch_unchecked(
                &self.client,
                CubeCount::Static(cubes(self.columns), cubes(self.rows), 1),
                CubeDim::new_2d(SIDE as u32, SIDE as u32),
                BufferArg::from_raw_parts(self.activation.clone(), self.rows * self.inner),
                BufferArg::from_raw_parts(self.weight.clone(), self.inner * self.columns),
                BufferArg::from_raw_parts(self.table.clone(), 1 << 16),
                BufferArg::from_raw_parts(sums.clone(), results),
                self.rows as u32,
                self.inner as u32,
                self.columns as u32,
            );
        }
        sums
    }

    /// The sums of a launch, once they are computed.
    pub(crate) fn read(&self, sums: Handle) -> Vec<i32> {
        i32::from_bytes(&self.client.read_one_unchecked(sums)).to_vec()
    }
}

#[cube(launch_unchecked)]
fn plain_gather(
    activation: &[u32],
    weight: &[u32],
    table: &[i32],
    sums: &mut [i32],
    rows: u32,
    inner: u32,
    columns: u32,
) {
    let mut activations = Shared::<[u32]>::new_slice(comptime!(SIDE * SIDE));
    let mut weights = Shared::<[u32]>::new_slice(comptime!(SIDE * SIDE));
    let side = comptime!(SIDE as u32);
    let row = CUBE_POS_Y * side + UNIT_POS_Y;
    let column = CUBE_POS_X * side + UNIT_POS_X;
    let place = UNIT_POS_Y * side + UNIT_POS_X;
    let mut sum = 0i32;
    let mut first = 0u32;
    while first < inner {
        if row < rows && first + UNIT_POS_X < inner {
            activations[place as usize] = activation[(row * inner + first + UNIT_POS_X) as usize];
        }
        if first + UNIT_POS_Y < inner && column < columns {
            weights[place as usize] = weight[((first + UNIT_POS_Y) * columns + column) as usize];
        }
        sync_cube();
        if row < rows && column < columns {
            for k in 0..min(side, inner - first) {
                let activation = activations[(UNIT_POS_Y * side + k) as usize];
                let weight = weights[(k * side + UNIT_POS_X) as usize];
                sum += table[(activation << 8 | weight) as usize];
            }
        }
        sync_cube();
        first += side;
    }
    if row < rows && column < columns {
        sums[(row * columns + column) as usize] = sum;
    }
}
