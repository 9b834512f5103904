//! Bit patterns of operand codes in memory of their own.

use std::ops::Range;

use approx_cpu::quantize::ChannelLayout;
use approx_cpu::{Activations, ConvTranspose2dShape, Weights};
use approx_multiplier::OperandFormat;

/// Bit patterns of codes: bytes for operands of at most 8 bits, words for wider ones.
pub(super) enum Patterns {
    Narrow(Vec<u8>),
    Wide(Vec<u16>),
}

impl Patterns {
    /// The codes of values; `None` if there is a NaN.
    pub(super) fn of(
        layout: &ChannelLayout,
        values: &[f32],
        format: OperandFormat,
    ) -> Option<Self> {
        Some(match format.bits() {
            ..=8 => Self::Narrow(layout.patterns(values, format.mask() as u8)?),
            _ => Self::Wide(layout.wide_patterns(values, format.mask() as u16)?),
        })
    }

    /// The weight of a transposed convolution, `[out, in / groups, ..]`, as the kernels take it,
    /// `[in, out / groups, ..]`.
    pub(super) fn turned(&self, shape: &ConvTranspose2dShape) -> Self {
        match self {
            Self::Narrow(patterns) => Self::Narrow(turned(patterns, shape)),
            Self::Wide(patterns) => Self::Wide(turned(patterns, shape)),
        }
    }

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

fn turned<T: Copy>(weight: &[T], shape: &ConvTranspose2dShape) -> Vec<T> {
    let (inputs, outputs) = (
        shape.in_channels / shape.groups,
        shape.out_channels / shape.groups,
    );
    let taps = shape.kernel[0] * shape.kernel[1];
    let mut turned = Vec::with_capacity(weight.len());
    for group in 0..shape.groups {
        for input in 0..inputs {
            for output in 0..outputs {
                let first = ((group * outputs + output) * inputs + input) * taps;
                turned.extend_from_slice(&weight[first..first + taps]);
            }
        }
    }
    turned
}
