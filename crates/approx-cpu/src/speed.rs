//! What a planner outside must know of this machine's kernels to price a product: how their speeds relate.

use crate::arch::{Facts, InstructionSet};
use crate::lookup::gather;
use crate::lookup::transposed::Way;
use crate::shapes::ConvTranspose2dShape;

/// How much longer the integer kernels take here than with AVX-512, VNNI and VBMI: by the rates of each instruction
/// set's kernels, measured on one machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RelativeTimes {
    /// Of mapping activations to what the kernels multiply.
    pub encoding: f64,
    /// Of multiplying.
    pub multiplying: f64,
}

/// The relative times of the best instruction set of this machine.
///
/// ```
/// let times = approx_cpu::relative_times();
/// assert!(times.encoding >= 1.0 && times.multiplying >= 1.0);
/// ```
pub fn relative_times() -> RelativeTimes {
    let Facts {
        encoding,
        multiplying,
        ..
    } = InstructionSet::best().facts();
    RelativeTimes {
        encoding,
        multiplying,
    }
}

/// The expected clock cycles, on one thread, of looking one tap's products up: for every one of `channels` output
/// channels at every one of `positions`, in a table whose entries span 16 bits (`narrow`) or more.
///
/// ```
/// assert!(approx_cpu::lookup_cycles(64, 1000, true) < approx_cpu::lookup_cycles(64, 10_000, true));
/// ```
pub fn lookup_cycles(channels: usize, positions: usize, narrow: bool) -> f64 {
    let (_, cycles) = gather::cheapest(channels, positions, InstructionSet::best(), narrow, false);
    cycles
}

/// The expected clock cycles, on one thread, of looking all products of a transposed convolution up, in a table whose
/// entries span 16 bits (`narrow`) or more. The shape has to be one that [`ConvTranspose2dShape::validate`] accepts.
///
/// ```
/// use approx_cpu::{ConvTranspose2dShape, transposed_lookup_cycles};
///
/// let shape = ConvTranspose2dShape {
///     batch: 1, in_channels: 8, out_channels: 8, groups: 1,
///     input: [8, 8], kernel: [4, 4], stride: [2, 2], dilation: [1, 1],
///     padding: [1, 1], output_padding: [0, 0],
/// };
/// let twice = ConvTranspose2dShape { in_channels: 16, ..shape };
/// assert!(transposed_lookup_cycles(&shape, true) < transposed_lookup_cycles(&twice, true));
/// ```
pub fn transposed_lookup_cycles(shape: &ConvTranspose2dShape, narrow: bool) -> f64 {
    let (_, cycles) = Way::cheapest(shape, InstructionSet::best(), narrow, false);
    cycles
}
