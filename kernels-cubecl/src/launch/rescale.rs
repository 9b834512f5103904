//! Launches [`rescale`](crate::kernels::rescale).

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::element_wise::{buffer, empty, grid};
use super::quantization::check_layout;
use crate::error::DeviceKernelError;
use crate::kernels;
use crate::quantizer::QuantizerBuffer;

pub use crate::kernels::rescale::PartialSums;

/// How sums of products of codes become real values; sum `i` is one of output channel `(i / inner) % channels`.
#[derive(Clone, Copy, Debug)]
pub struct Rescaling<'a> {
    /// The quantiser of the activations.
    pub activation: &'a QuantizerBuffer,
    /// The quantisers of the weights: one per output channel, or one for all.
    pub weight: &'a QuantizerBuffer,
    /// What the sums of each channel lack, `[channels]`, if anything: `i32` or `f32`, as [`PartialSums`] says.
    pub constants: Option<&'a Handle>,
    /// What the sums are.
    pub kind: PartialSums,
    /// The parts that a sum comes in.
    pub parts: usize,
    /// The output channels.
    pub channels: usize,
    /// The neighbouring sums of one channel.
    pub inner: usize,
}

/// Real values, float32, of `length` sums of products of codes that were computed in float32, in parts
/// `[parts, length]`: `(s_x * s_w[channel]) * (sum of parts + constant[channel])`.
///
/// A NaN stays one, and a scale that is not finite gives NaNs.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{PartialSums, QuantizerBuffer, Rescaling, rescale};
///
/// let client = cubecl::Device::default().client();
/// let sums = client.create_from_slice(f32::as_bytes(&[4.0, 6.0]));
/// let constants = client.create_from_slice(i32::as_bytes(&[1, -1]));
/// let rescaling = Rescaling {
///     activation: &QuantizerBuffer::from_parameters(&client, &[0.5], &[0.0])?,
///     weight: &QuantizerBuffer::from_parameters(&client, &[1.0, 2.0], &[0.0, 0.0])?,
///     constants: Some(&constants),
///     kind: PartialSums::Integers,
///     parts: 1,
///     channels: 2,
///     inner: 1,
/// };
/// let real = rescale(&client, &sums, 2, rescaling)?; // 2.5, 5
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If a buffer is too short, the layout of channels does not fit the length, or there is more than one quantiser of
/// activations or neither one nor `channels` of weights.
pub fn rescale(
    client: &Client,
    sums: &Handle,
    length: usize,
    rescaling: Rescaling,
) -> Result<Handle, DeviceKernelError> {
    let Rescaling {
        activation,
        weight,
        constants,
        kind,
        parts,
        channels,
        inner,
    } = rescaling;
    if parts == 0 {
        return Err(DeviceKernelError::Zero {
            parameter: "number of parts",
        });
    }
    check_layout(length, channels, inner)?;
    check_quantizers("activations", activation, 1)?;
    check_quantizers("weights", weight, channels)?;
    let sums = buffer::<f32>("sums", sums, length.saturating_mul(parts))?;
    let constants = constants
        .map(|constants| buffer::<u32>("constants", constants, channels))
        .transpose()?;
    let output = empty::<f32>(client, length);
    if length > 0 {
        let (count, dim) = grid(client, length);
        kernels::rescale::rescale::launch(
            client,
            count,
            dim,
            sums,
            constants.into(),
            activation.argument(),
            weight.argument(),
            buffer::<f32>("real values", &output, length)?,
            parts,
            channels,
            inner,
            kind,
        );
    }
    Ok(output)
}

fn check_quantizers(
    operand: &'static str,
    quantizers: &QuantizerBuffer,
    channels: usize,
) -> Result<(), DeviceKernelError> {
    let actual = quantizers.channels();
    if actual == 1 || actual == channels {
        return Ok(());
    }
    Err(DeviceKernelError::Quantizers {
        operand,
        channels,
        actual,
    })
}
