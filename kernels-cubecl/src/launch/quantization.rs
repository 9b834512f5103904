//! How the elements of a tensor become codes, as callers say it and as kernels take it.

use crate::checks::{check_count, check_width};
use crate::error::DeviceKernelError;
use crate::kernels::quantization::ChannelQuantizersLaunch;
use crate::quantizer::QuantizerBuffer;

/// The quantisation of a row-major tensor: the code of its element `i` is
/// `clamp(round_half_even(x[i] * reciprocal) + zero_point, low, high)` with the quantiser of channel
/// `(i / inner) % channels`.
#[derive(Debug, Clone, Copy)]
pub struct ChannelQuantization<'a> {
    /// One quantiser per channel, or one for all of the tensor.
    pub quantizer: &'a QuantizerBuffer,
    /// The neighbouring elements that share a channel; without meaning where there is one quantiser.
    pub inner: usize,
    /// The lowest code, at least -32768.
    pub low: i32,
    /// The highest code, at most 65535.
    pub high: i32,
}

impl ChannelQuantization<'_> {
    /// Checks that the codes are some of a format's.
    pub(super) fn check_format(&self, bits: u32, signed: bool) -> Result<(), DeviceKernelError> {
        check_width(bits)?;
        let (lowest, highest) = if signed {
            (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        } else {
            (0, (1 << bits) - 1)
        };
        self.check_range(lowest, highest)
    }

    fn check_range(&self, lowest: i32, highest: i32) -> Result<(), DeviceKernelError> {
        let ChannelQuantization { low, high, .. } = *self;
        if lowest <= low && low <= high && high <= highest {
            return Ok(());
        }
        Err(DeviceKernelError::CodeRange {
            low,
            high,
            lowest,
            highest,
        })
    }

    /// The kernels' argument for a tensor of so many elements.
    pub(super) fn argument(
        &self,
        length: usize,
    ) -> Result<ChannelQuantizersLaunch, DeviceKernelError> {
        self.check_range(i16::MIN.into(), u16::MAX.into())?;
        check_count("values", length as u128)?;
        let channels = self.quantizer.channels();
        let inner = if channels == 1 { 1 } else { self.inner };
        check_layout(length, channels, inner)?;
        check_count("channels", channels as u128)?;
        check_count("elements of a channel", inner as u128)?;
        Ok(ChannelQuantizersLaunch::new(
            self.quantizer.argument(),
            inner as u32,
            self.low,
            self.high,
            channels != 1,
        ))
    }
}

/// Checks that a tensor is a number of blocks of channels of `inner` elements.
pub(super) fn check_layout(
    length: usize,
    channels: usize,
    inner: usize,
) -> Result<(), DeviceKernelError> {
    match channels.checked_mul(inner) {
        Some(block) if block > 0 && length.is_multiple_of(block) => Ok(()),
        _ => Err(DeviceKernelError::Layout {
            length,
            channels,
            inner,
        }),
    }
}
