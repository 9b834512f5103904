//! What gradients read of an activation: its floats, or what these are after fake quantisation, which then takes place
//! while they are copied.

use crate::arch::{InstructionSet, compiled_for_every_set};
use crate::error::{KernelError, check_length};
use crate::parallel::CHUNK;
use crate::quantize::{ChannelLayout, ChannelQuantizer};

use rayon::prelude::*;

/// Values that are quantised by one quantiser for all.
#[derive(Debug, Clone, Copy)]
pub struct FakeQuantized<'a> {
    /// The values before quantisation.
    pub values: &'a [f32],
    /// Their quantiser.
    pub quantizer: ChannelQuantizer,
}

/// Floats as a gradient reads them.
#[derive(Debug, Clone, Copy)]
pub enum FloatOperand<'a> {
    /// As they are.
    Floats(&'a [f32]),
    /// The real values of their codes.
    FakeQuantized(FakeQuantized<'a>),
}

impl<'a> From<&'a [f32]> for FloatOperand<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::Floats(values)
    }
}

impl<'a, const LENGTH: usize> From<&'a [f32; LENGTH]> for FloatOperand<'a> {
    fn from(values: &'a [f32; LENGTH]) -> Self {
        Self::Floats(values)
    }
}

impl<'a> From<FakeQuantized<'a>> for FloatOperand<'a> {
    fn from(values: FakeQuantized<'a>) -> Self {
        Self::FakeQuantized(values)
    }
}

impl<'a> FloatOperand<'a> {
    /// The values before quantisation.
    pub(super) fn values(&self) -> &'a [f32] {
        match self {
            Self::Floats(values) => values,
            Self::FakeQuantized(quantized) => quantized.values,
        }
    }

    /// The quantiser, if there is one.
    pub(super) fn quantizer(&self) -> Option<ChannelQuantizer> {
        match self {
            Self::Floats(_) => None,
            Self::FakeQuantized(quantized) => Some(quantized.quantizer),
        }
    }

    /// Hands the values as they are read to a function.
    pub(super) fn read<R>(&self, read: impl FnOnce(&[f32]) -> R) -> R {
        match self {
            Self::Floats(values) => read(values),
            Self::FakeQuantized(quantized) => {
                let layout = ChannelLayout {
                    channels: vec![quantized.quantizer],
                    inner: 1,
                };
                read(&layout.fake_quantize(quantized.values))
            }
        }
    }
}

impl FakeQuantized<'_> {
    /// Checks that there are as many values as gradients.
    pub(super) fn check(&self, length: usize) -> Result<(), KernelError> {
        check_length("activations", length, self.values.len())
    }

    /// Sets to 0 those gradients whose value was clipped; they are of the values from a place on.
    pub(super) fn mask(&self, set: InstructionSet, first: usize, gradients: &mut [f32]) {
        let values = &self.values[first..first + gradients.len()];
        mask(set, self.quantizer, values, gradients);
    }

    /// Sets to 0 those of all gradients whose value was clipped.
    pub(super) fn mask_all(&self, set: InstructionSet, gradients: &mut [f32]) {
        let parts = gradients.par_chunks_mut(CHUNK).enumerate();
        parts.for_each(|(part, gradients)| self.mask(set, part * CHUNK, gradients));
    }
}

compiled_for_every_set! {
    fn mask(set, quantizer: ChannelQuantizer, values: &[f32]; gradients: &mut [f32]) {
        for (gradient, &value) in gradients.iter_mut().zip(values) {
            *gradient = if quantizer.in_range(value) { *gradient } else { 0.0 };
        }
    }
}
