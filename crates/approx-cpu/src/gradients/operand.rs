//! What gradients read of an activation: its floats, or what stands for their codes, which is found while they are copied;
//! and what becomes of an activation's gradient because of its codes.

use crate::arch::{InstructionSet, compiled_for_every_set};
use crate::error::{KernelError, check_length};
use crate::parallel::CHUNK;
use crate::quantize::{ChannelLayout, ChannelQuantizer};

use rayon::prelude::*;

/// Values that are quantised by one quantiser for all, and a function of their codes.
#[derive(Debug, Clone, Copy)]
pub struct Coded<'a> {
    /// The values before quantisation.
    pub values: &'a [f32],
    /// Their quantiser.
    pub quantizer: ChannelQuantizer,
    /// The function, the value of the lowest code first. Without it, operands are the real values of their codes, and
    /// gradients get no factor.
    pub function: Option<&'a [f32]>,
}

/// Floats as a gradient reads them.
#[derive(Debug, Clone, Copy)]
pub enum FloatOperand<'a> {
    /// As they are.
    Floats(&'a [f32]),
    /// The function of their codes, or the real values of these.
    Coded(Coded<'a>),
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

impl<'a> From<Coded<'a>> for FloatOperand<'a> {
    fn from(values: Coded<'a>) -> Self {
        Self::Coded(values)
    }
}

impl<'a> FloatOperand<'a> {
    /// The values before quantisation.
    pub(super) fn values(&self) -> &'a [f32] {
        match self {
            Self::Floats(values) => values,
            Self::Coded(quantized) => quantized.values,
        }
    }

    /// Checks that a function of the codes has a value for every one.
    pub(super) fn check(&self) -> Result<(), KernelError> {
        match self {
            Self::Floats(_) => Ok(()),
            Self::Coded(coded) => check_function(coded.quantizer, coded.function),
        }
    }

    /// What becomes of the values.
    pub(super) fn map(&self) -> Map<'a> {
        match self {
            Self::Floats(_) => Map::None,
            Self::Coded(coded) => match coded.function {
                None => Map::Real(coded.quantizer),
                Some(function) => Map::Function(coded.quantizer, function),
            },
        }
    }

    /// Hands the values as they are read to a function.
    pub(super) fn read<R>(&self, read: impl FnOnce(&[f32]) -> R) -> R {
        let (quantizer, function) = match self.map() {
            Map::None => return read(self.values()),
            Map::Real(quantizer) => (quantizer, None),
            Map::Function(quantizer, function) => (quantizer, Some(function)),
        };
        let layout = ChannelLayout {
            channels: vec![quantizer],
            inner: 1,
        };
        read(&match function {
            None => layout.fake_quantize(self.values()),
            Some(function) => layout.map_codes(self.values(), function, |_, value| value),
        })
    }
}

/// What becomes of values on the way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Map<'a> {
    /// Nothing.
    None,
    /// The real values of their codes.
    Real(ChannelQuantizer),
    /// A function of their codes.
    Function(ChannelQuantizer, &'a [f32]),
}

impl Coded<'_> {
    /// Checks that there are as many values as gradients, and as many values of the function as codes.
    pub(super) fn check(&self, length: usize) -> Result<(), KernelError> {
        check_length("activations", length, self.values.len())?;
        check_function(self.quantizer, self.function)
    }

    /// Multiplies gradients by the function, or sets them to 0 where their value was clipped; they are of the values from a
    /// place on.
    pub(super) fn apply(&self, set: InstructionSet, first: usize, gradients: &mut [f32]) {
        let values = &self.values[first..first + gradients.len()];
        apply(set, self.quantizer, self.function, values, gradients);
    }

    /// [`apply`](Self::apply) to all gradients.
    pub(super) fn apply_to_all(&self, set: InstructionSet, gradients: &mut [f32]) {
        let parts = gradients.par_chunks_mut(CHUNK).enumerate();
        parts.for_each(|(part, gradients)| self.apply(set, part * CHUNK, gradients));
    }
}

/// Checks that a function has a value for every code.
fn check_function(
    quantizer: ChannelQuantizer,
    function: Option<&[f32]>,
) -> Result<(), KernelError> {
    match function {
        None => Ok(()),
        Some(function) => check_length("function", quantizer.count(), function.len()),
    }
}

compiled_for_every_set! {
    fn apply(
        set,
        quantizer: ChannelQuantizer,
        function: Option<&[f32]>,
        values: &[f32];
        gradients: &mut [f32],
    ) {
        let pairs = gradients.iter_mut().zip(values);
        match function {
            None => {
                for (gradient, &value) in pairs {
                    *gradient = if quantizer.in_range(value) { *gradient } else { 0.0 };
                }
            }
            Some(function) => {
                for (gradient, &value) in pairs {
                    let factor = quantizer.function(value, function);
                    *gradient = if quantizer.in_range(value) { factor * *gradient } else { 0.0 };
                }
            }
        }
    }
}
