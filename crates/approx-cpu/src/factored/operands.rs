//! What factored products are given: the terms of a multiplier, weights and activations.

use crate::quantize::{ChannelLayout, ChannelQuantizer};

/// One term `scale * activation[a] * weight[b]` of a multiplier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactorTerm {
    /// What the product of the factors is multiplied with.
    pub scale: i64,
    /// The activation's factor by its bit pattern, `1 << bits` entries.
    pub activation: Vec<i64>,
    /// The weight's factor by its bit pattern, `1 << bits` entries.
    pub weight: Vec<i64>,
}

/// Weights as bit patterns of their codes, or as values that become codes while they are packed.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    /// Bit patterns of an operand of at most 8 bits; bits above its width are ignored.
    Narrow(&'a [u8]),
    /// Bit patterns of an operand of any width; bits above it are ignored.
    Wide(&'a [u16]),
    /// Real values.
    Values {
        /// The values; none may be a NaN.
        values: &'a [f32],
        /// How they become codes.
        layout: &'a ChannelLayout,
    },
}

impl Weights<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Weights::Narrow(patterns) => patterns.len(),
            Weights::Wide(patterns) => patterns.len(),
            Weights::Values { values, .. } => values.len(),
        }
    }
}

/// Activations as bit patterns of their codes, or as values that become codes on the fly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activations<'a> {
    /// Bit patterns of an operand of at most 8 bits; bits above its width are ignored.
    Narrow(&'a [u8]),
    /// Bit patterns of an operand of any width; bits above it are ignored.
    Wide(&'a [u16]),
    /// Real values, all of them quantised alike.
    Values {
        /// The values; none may be a NaN.
        values: &'a [f32],
        /// How they become codes.
        quantizer: ChannelQuantizer,
    },
}

impl Activations<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Activations::Narrow(patterns) => patterns.len(),
            Activations::Wide(patterns) => patterns.len(),
            Activations::Values { values, .. } => values.len(),
        }
    }
}
