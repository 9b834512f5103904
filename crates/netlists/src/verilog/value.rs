//! What an expression has: bits and a sign.

use crate::circuit::signal::Signal;

/// The most bits of a vector.
pub const MAX_WIDTH: usize = 1 << 16;

/// Signals that are a number together, lowest bit first.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub bits: Vec<Signal>,
    pub signed: bool,
}
