//! Observation: what is seen of a layer's operands, the quantisers that follow from it, and counts of codes.

mod counts;
mod histogram;
mod state;

pub(crate) use counts::{CodeCounts, PassCounts};
pub(crate) use state::{OperandRole, OperandState};
