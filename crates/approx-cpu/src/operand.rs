//! The operands of a product: how wide their codes are, and how real values become codes.

use crate::error::{KernelError, check_length};
use crate::quantize::ChannelQuantizer;
use crate::rescale::ChannelScale;

/// Width and signedness of an operand's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperandWidth {
    /// Bits of a code, 2 to 16.
    pub bits: u8,
    /// Whether codes are two's complement. Bit patterns mean the same factors either way; quantisers and the sums of
    /// codes that weight zero points ask for depend on it.
    pub signed: bool,
}

impl OperandWidth {
    pub(crate) fn validate(self) -> Result<(), KernelError> {
        if (2..=16).contains(&self.bits) {
            Ok(())
        } else {
            Err(KernelError::FactoredOperandWidth { bits: self.bits })
        }
    }

    /// The number of codes.
    pub(crate) fn patterns(self) -> usize {
        1 << self.bits
    }

    /// The bits of a pattern that count.
    pub(crate) fn mask(self) -> u16 {
        u16::MAX >> (16 - self.bits)
    }

    /// The code that a bit pattern stands for.
    pub(crate) fn code(self, pattern: u16) -> i32 {
        let code = i32::from(pattern & self.mask());
        if self.signed && code >> (self.bits - 1) != 0 {
            code - (1 << self.bits)
        } else {
            code
        }
    }

    /// Checks that a quantiser yields codes of this operand.
    pub(crate) fn check_quantizer(self, quantizer: ChannelQuantizer) -> Result<(), KernelError> {
        let span = self.patterns() as f32;
        let lowest = if self.signed { -span / 2.0 } else { 0.0 };
        let codes = lowest..lowest + span;
        for (parameter, code) in [
            ("lowest code", quantizer.low),
            ("highest code", quantizer.high),
            ("zero point", quantizer.zero_point),
        ] {
            if !codes.contains(&code) || code.fract() != 0.0 {
                return Err(KernelError::Quantizer {
                    parameter,
                    bits: self.bits,
                    signed: self.signed,
                });
            }
        }
        Ok(())
    }
}

/// The quantisers of both operands of a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProductQuantizers<'a> {
    /// That of all activations.
    pub activation: ChannelQuantizer,
    /// That of all weights, or one for every output channel.
    pub weights: &'a [ChannelQuantizer],
}

impl ProductQuantizers<'_> {
    /// The operands of some widths, signed where a lowest code is negative.
    pub(crate) fn operands(&self, [activation, weight]: [u8; 2]) -> [OperandWidth; 2] {
        [
            OperandWidth {
                bits: activation,
                signed: self.activation.low < 0.0,
            },
            OperandWidth {
                bits: weight,
                signed: self.weights.iter().any(|quantizer| quantizer.low < 0.0),
            },
        ]
    }

    /// Checks that they yield codes of the operands, and that there is one for every output channel.
    pub(crate) fn check(
        &self,
        [activation, weight]: [OperandWidth; 2],
        out_channels: usize,
    ) -> Result<(), KernelError> {
        activation.check_quantizer(self.activation)?;
        check_weight_quantizers(self.weights, out_channels)?;
        let mut weights = self.weights.iter();
        weights.try_for_each(|quantizer| weight.check_quantizer(*quantizer))
    }

    /// What rescales the sums of every output channel.
    pub(crate) fn channels(&self, out_channels: usize) -> Vec<ChannelScale> {
        let last = self.weights.len() - 1;
        let channels = (0..out_channels).map(|channel| {
            let weight = self.weights[channel.min(last)];
            ChannelScale {
                scale: self.activation.scale * weight.scale,
                weight_zero_point: weight.zero_point as i64,
            }
        });
        channels.collect()
    }
}

/// Checks that there is one quantiser, or one for every output channel.
pub(crate) fn check_weight_quantizers(
    quantizers: &[ChannelQuantizer],
    out_channels: usize,
) -> Result<(), KernelError> {
    match quantizers {
        [_] => Ok(()),
        quantizers => check_length("channels", out_channels.max(1), quantizers.len()),
    }
}
