//! Bit patterns of operand codes in memory of their own.

use std::ops::Range;

use approx_cpu::{Activations, Weights};

/// Bit patterns of codes: bytes for operands of at most 8 bits, words for wider ones.
pub(super) enum Patterns {
    Narrow(Vec<u8>),
    Wide(Vec<u16>),
}

impl Patterns {
    pub(super) fn activations(&self, part: Range<usize>) -> Activations<'_> {
        match self {
            Self::Narrow(patterns) => Activations::Narrow(&patterns[part]),
            Self::Wide(patterns) => Activations::Wide(&patterns[part]),
        }
    }

    pub(super) fn weights(&self, part: Range<usize>) -> Weights<'_> {
        match self {
            Self::Narrow(patterns) => Weights::Narrow(&patterns[part]),
            Self::Wide(patterns) => Weights::Wide(&patterns[part]),
        }
    }

    /// Bytes, which operands of lookup plans are known to have.
    pub(super) fn bytes(&self, part: Range<usize>) -> &[u8] {
        match self {
            Self::Narrow(patterns) => &patterns[part],
            Self::Wide(_) => unreachable!("lookup plans are for operands of at most 8 bits"),
        }
    }

    pub(super) fn all(&self) -> Range<usize> {
        match self {
            Self::Narrow(patterns) => 0..patterns.len(),
            Self::Wide(patterns) => 0..patterns.len(),
        }
    }
}
