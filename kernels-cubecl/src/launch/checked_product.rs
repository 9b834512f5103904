//! What the launches of products have in common: the operands checked against each other, and the kernel that suits a
//! shape.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::checks::{check_buffer, check_count, check_length};
use crate::codes::{CodesLaunch, PackedCodes};
use crate::device::Limits;
use crate::error::DeviceKernelError;
use crate::kernels::direct::multiply_elements;
use crate::kernels::epilogue::{EpilogueArgs, FLAG_BYTES, RawSumsLaunch, RescaleLaunch};
use crate::kernels::geometry::Geometry;
use crate::kernels::sums::SumKind;
use crate::kernels::tile::{TileSize, UNITS, multiply_tiles};
use crate::product::{Operand, Output, ScalarProduct};

/// Convolutions of fewer output channels per group than this are computed without tiles, most of whose columns would be
/// empty.
const TILED_CHANNELS: usize = 8;

/// A product whose parts fit together.
pub(super) struct CheckedProduct<'a> {
    activation: Operand<'a>,
    weight: Operand<'a>,
    product: ScalarProduct<'a>,
    output: Output<'a>,
    results: usize,
    limits: Limits,
}

/// The lengths that follow from a product's shape.
pub(super) struct Lengths {
    pub(super) activation: usize,
    pub(super) weight: usize,
    /// The number of products in a sum.
    pub(super) depth: usize,
    /// The number of output channels.
    pub(super) channels: usize,
    pub(super) results: usize,
}

/// The products of matrices that a product of tensors is, as its geometry has them.
#[derive(Clone, Copy)]
pub(super) struct Matrices {
    pub(super) count: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl<'a> CheckedProduct<'a> {
    /// Checks the parts of a product.
    pub(super) fn new(
        client: &Client,
        [activation, weight]: [Operand<'a>; 2],
        product: ScalarProduct<'a>,
        output: Output<'a>,
        lengths: Lengths,
    ) -> Result<Self, DeviceKernelError> {
        check_length("activations", lengths.activation, activation.codes.length())?;
        check_length("weights", lengths.weight, weight.codes.length())?;
        for ((operand, name), expected) in [(activation, "activations"), (weight, "weights")]
            .into_iter()
            .zip(product.bits())
        {
            if operand.codes.bits() != expected {
                return Err(DeviceKernelError::OperandWidth {
                    operand: name,
                    expected,
                    actual: operand.codes.bits(),
                });
            }
            if let Some(poison) = operand.poison {
                check_buffer::<u32>("a poison flag", 1, poison)?;
            }
        }
        match output {
            Output::Accumulators { .. } => {
                if product.sum_kind() == SumKind::TwoWords {
                    return Err(DeviceKernelError::WideAccumulators);
                }
            }
            Output::Rescaled {
                activation: quantizer,
                weight: quantizers,
            } => {
                check_length("the activation's quantisers", 1, quantizer.channels())?;
                if quantizers.channels() != 1 {
                    check_length(
                        "the weight's quantisers",
                        lengths.channels,
                        quantizers.channels(),
                    )?;
                }
                // Sums of code values, also of their distances from a zero point, are 32 bits wide.
                let largest = |codes: &PackedCodes| (1u128 << codes.bits()) - 1;
                let code = largest(activation.codes).max(largest(weight.codes));
                if !(quantizer.is_symmetric() && quantizers.is_symmetric()) {
                    check_count("the largest sum of codes", code * lengths.depth as u128)?;
                }
            }
        }
        Ok(Self {
            activation,
            weight,
            product,
            output,
            results: lengths.results,
            limits: Limits::of(client),
        })
    }

    /// Computes a convolution: in tiles, unless its columns are too few.
    ///
    /// # Safety
    /// Every position of the geometry must lie in tensors of the lengths that were checked.
    pub(super) unsafe fn convolve<G: Geometry + LaunchArg>(
        &self,
        client: &Client,
        matrices: Matrices,
        geometry: G::RuntimeArg,
    ) -> Result<Handle, DeviceKernelError> {
        if matrices.columns >= TILED_CHANNELS {
            // SAFETY: as promised to this function.
            return unsafe { self.multiply::<G>(client, matrices, geometry) };
        }
        let (result, argument) = self.result(client);
        let elements = matrices.count * matrices.rows * matrices.columns;
        let (shared, grid) = self.placement(0, elements.div_ceil(UNITS * UNITS))?;
        let [activation, weight] = self.operands();
        // SAFETY: every index follows from the geometry; loops are over its sizes.
        unsafe {
            multiply_elements::launch_unchecked::<G>(
                client,
                grid,
                CubeDim::new_1d((UNITS * UNITS) as u32),
                activation,
                weight,
                self.product.argument(shared),
                geometry,
                self.epilogue(),
                argument,
                self.product.sum_kind(),
            );
        }
        Ok(result)
    }

    /// Computes a product in tiles.
    ///
    /// # Safety
    /// Every position of the geometry must lie in tensors of the lengths that were checked.
    pub(super) unsafe fn multiply<G: Geometry + LaunchArg>(
        &self,
        client: &Client,
        matrices: Matrices,
        geometry: G::RuntimeArg,
    ) -> Result<Handle, DeviceKernelError> {
        let (result, argument) = self.result(client);
        let size = TileSize::of(matrices.rows, matrices.columns);
        let tiles = matrices.count * size.count(matrices.rows) * size.count(matrices.columns);
        let (shared, grid) = self.placement(size.bytes(), tiles)?;
        let [activation, weight] = self.operands();
        // SAFETY: every index follows from the geometry; loops are over its sizes.
        unsafe {
            multiply_tiles::launch_unchecked::<G>(
                client,
                grid,
                CubeDim::new_1d((UNITS * UNITS) as u32),
                activation,
                weight,
                self.product.argument(shared),
                geometry,
                self.epilogue(),
                argument,
                size,
                self.product.sum_kind(),
            );
        }
        Ok(result)
    }

    /// A buffer for the results, which is not empty: one of no bytes could not be bound.
    fn result(&self, client: &Client) -> (Handle, BufferArg) {
        let length = self.results.max(1);
        let result = client.empty(4 * length);
        // SAFETY: the buffer was made for so many results.
        let argument = unsafe { BufferArg::from_raw_parts(result.clone(), length) };
        (result, argument)
    }

    /// The most buffers that a kernel is given: operands, tables, quantisers, flags, pairs or phases, the result and
    /// the scalars.
    fn buffers(&self) -> usize {
        let of_output = match self.output {
            Output::Accumulators { .. } => 0,
            Output::Rescaled { .. } => {
                let flags = [self.activation.poison, self.weight.poison];
                2 + flags.iter().flatten().count()
            }
        };
        6 + of_output
    }

    /// Whether the table, if there is one, is copied to shared memory beside `tiles` bytes, and a grid for `count`
    /// pieces of work; an error if the device cannot run the kernel at all.
    fn placement(
        &self,
        tiles: usize,
        count: usize,
    ) -> Result<(bool, CubeCount), DeviceKernelError> {
        let needed = tiles + FLAG_BYTES;
        self.limits.check(UNITS * UNITS, needed, self.buffers())?;
        let used = self.product.table_bytes().map(|table| table + needed);
        Ok(
            match used.filter(|used| *used <= self.limits.shared_memory) {
                Some(used) => (true, self.limits.resident_grid(count, used)),
                None => (false, self.limits.grid(count)),
            },
        )
    }

    /// The operands as arguments.
    fn operands(&self) -> [CodesLaunch; 2] {
        [
            self.activation.codes.argument(),
            self.weight.codes.argument(),
        ]
    }

    /// What is put out, as an argument.
    fn epilogue(&self) -> EpilogueArgs {
        match self.output {
            Output::Accumulators { padding_code } => EpilogueArgs::Accumulators(
                RawSumsLaunch::new(self.activation.codes.pattern(padding_code)),
            ),
            Output::Rescaled { activation, weight } => {
                let flag = |operand: Operand| {
                    // SAFETY: a flag was checked to have a word.
                    let argument =
                        |poison: &Handle| unsafe { BufferArg::from_raw_parts(poison.clone(), 1) };
                    ComptimeOptionArgs::from(operand.poison.map(argument))
                };
                EpilogueArgs::Rescaled(RescaleLaunch::new(
                    activation.argument(),
                    weight.argument(),
                    flag(self.activation),
                    flag(self.weight),
                ))
            }
        }
    }
}
