//! Quantisers as they lie in device memory.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::checks::check_buffer;
use crate::error::DeviceKernelError;
use crate::float_bits::is_finite;

/// The quantisers of a tensor: float32 `[3, channels]`, the scales, their reciprocals and the zero points (integers).
///
/// ```no_run
/// use kernels_cubecl::QuantizerBuffer;
///
/// let client = cubecl::Device::default().client();
/// let quantizer = QuantizerBuffer::from_parameters(&client, &[0.5, 0.25], &[0.0, 3.0])?;
/// assert_eq!((quantizer.channels(), quantizer.is_symmetric()), (2, false));
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct QuantizerBuffer {
    parameters: Handle,
    channels: usize,
    symmetric: bool,
}

impl QuantizerBuffer {
    /// Quantisers in a buffer. `symmetric` says that every zero point is known to be 0, which saves the sums of codes.
    ///
    /// # Errors
    /// If there are no channels, or the buffer is too short.
    pub fn new(
        parameters: Handle,
        channels: usize,
        symmetric: bool,
    ) -> Result<Self, DeviceKernelError> {
        if channels == 0 {
            return Err(DeviceKernelError::Zero {
                parameter: "number of quantisers",
            });
        }
        check_buffer::<f32>("quantisers", 3 * channels, &parameters)?;
        Ok(Self {
            parameters,
            channels,
            symmetric,
        })
    }

    /// Quantisers from the host.
    ///
    /// # Errors
    /// If there are no channels, or not one zero point per scale.
    pub fn from_parameters(
        client: &Client,
        scales: &[f32],
        zero_points: &[f32],
    ) -> Result<Self, DeviceKernelError> {
        if scales.len() != zero_points.len() {
            return Err(DeviceKernelError::Length {
                operand: "zero points",
                expected: scales.len(),
                actual: zero_points.len(),
            });
        }
        let reciprocals = scales.iter().map(|scale| 1.0 / scale);
        let parameters: Vec<f32> = scales
            .iter()
            .copied()
            .chain(reciprocals)
            .chain(zero_points.iter().copied())
            .collect();
        let symmetric = zero_points.iter().all(|zero_point| *zero_point == 0.0);
        if scales.is_empty() {
            return Err(DeviceKernelError::Zero {
                parameter: "number of quantisers",
            });
        }
        Self::new(
            client.create_from_slice(f32::as_bytes(&parameters)),
            scales.len(),
            symmetric,
        )
    }

    /// The buffer, float32 `[3, channels]`.
    pub fn parameters(&self) -> &Handle {
        &self.parameters
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Whether every zero point is known to be 0.
    pub fn is_symmetric(&self) -> bool {
        self.symmetric
    }

    /// The quantisers as an argument of a kernel.
    pub(crate) fn argument(&self) -> QuantizersLaunch {
        QuantizersLaunch::new(
            // SAFETY: the constructor checked that the buffer holds three values per channel.
            unsafe { BufferArg::from_raw_parts(self.parameters.clone(), 3 * self.channels) },
            self.channels as u32,
            self.symmetric,
        )
    }
}

/// Quantisers inside a kernel.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Quantizers {
    parameters: Box<[f32]>,
    channels: u32,
    /// Whether every zero point is known to be 0.
    #[cube(comptime)]
    pub(crate) symmetric: bool,
}

#[cube]
impl Quantizers {
    /// The number of quantisers.
    pub(crate) fn channels(&self) -> u32 {
        self.channels
    }

    /// The scale of a channel; a single quantiser serves all.
    pub(crate) fn scale(&self, channel: u32) -> f32 {
        self.parameters[min(channel, self.channels - 1) as usize]
    }

    /// The reciprocal of the scale of a channel; a single quantiser serves all.
    pub(crate) fn reciprocal(&self, channel: u32) -> f32 {
        self.parameters[(self.channels + min(channel, self.channels - 1)) as usize]
    }

    /// The zero point of a channel; a single quantiser serves all.
    pub(crate) fn zero_point(&self, channel: u32) -> i32 {
        let channel = min(channel, self.channels - 1);
        i32::cast_from(self.parameters[(2u32 * self.channels + channel) as usize])
    }

    /// Whether the scale and the zero point of a channel are finite.
    pub(crate) fn is_finite(&self, channel: u32) -> bool {
        let zero_point = self.parameters[(2u32 * self.channels + channel) as usize];
        is_finite(u32::reinterpret(self.parameters[channel as usize]))
            && is_finite(u32::reinterpret(zero_point))
    }
}
