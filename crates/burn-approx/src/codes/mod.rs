//! Codes: what operands of a multiplier are, and the vocabulary in which their quantisation is described.
//!
//! The lowest room of the crate: nothing here computes on tensors.

mod grid;
mod operand;
mod range;
mod scheme;

pub use grid::CodeGrid;
pub(crate) use grid::channels_along;
pub use operand::Operand;
pub use range::CodeRange;
pub use scheme::{
    Granularity, LayerQuantization, Observation, Observer, OperandQuantization, Symmetry,
};
