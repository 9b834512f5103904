//! The two ways to look the products of a transposed convolution up: phase by phase, and from the input's positions.

mod by_phases;
mod by_positions;
mod operands;
mod pieces;
mod way;

pub(crate) use by_phases::ByPhases;
pub(crate) use by_positions::ByPositions;
pub(crate) use operands::{Operands, ZeroPoints};
pub(crate) use way::Way;
