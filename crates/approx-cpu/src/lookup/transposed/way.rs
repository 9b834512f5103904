//! Which way to compute a transposed convolution is expected to be the fastest.

use super::{by_phases, by_positions};
use crate::arch::InstructionSet;
use crate::lookup::gather::Strategy;
use crate::shapes::ConvTranspose2dShape;

/// How a transposed convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ByPhases(Strategy),
    ByPositions(Strategy),
}

impl Way {
    /// The cheapest way for a valid shape, and its clock cycles on one thread. `narrow` says whether the table's
    /// entries span 16 bits, `wide_sums` whether its sums need 64.
    pub(crate) fn cheapest(
        shape: &ConvTranspose2dShape,
        set: InstructionSet,
        narrow: bool,
        wide_sums: bool,
    ) -> (Self, f64) {
        let (of_phases, phases) = by_phases::cheapest_strategy(shape, set, narrow, wide_sums);
        let (of_positions, positions) =
            by_positions::cheapest_strategy(shape, set, narrow, wide_sums);
        if phases <= positions {
            (Way::ByPhases(of_phases), phases)
        } else {
            (Way::ByPositions(of_positions), positions)
        }
    }
}
