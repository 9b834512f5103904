//! Launches [`mask_clipped`](crate::kernels::mask_clipped).

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::ChannelQuantization;
use super::element_wise::{buffer, empty, grid};
use crate::error::DeviceKernelError;
use crate::kernels;

/// The gradients of `length` float32 values, with 0 where a value's code was clamped or the value is a NaN.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{ChannelQuantization, QuantizerBuffer, mask_clipped};
///
/// let client = cubecl::Device::default().client();
/// let values = client.create_from_slice(f32::as_bytes(&[0.75, 100.0]));
/// let gradients = client.create_from_slice(f32::as_bytes(&[5.0, 6.0]));
/// let quantizer = QuantizerBuffer::from_parameters(&client, &[0.5], &[3.0])?;
/// let quantization = ChannelQuantization { quantizer: &quantizer, inner: 1, low: -8, high: 7 };
/// let masked = mask_clipped(&client, &values, &gradients, 2, quantization)?; // 5, 0
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If a buffer is too short, the layout of channels does not fit the length, or the range of codes is none of 16 bits.
pub fn mask_clipped(
    client: &Client,
    values: &Handle,
    gradients: &Handle,
    length: usize,
    quantization: ChannelQuantization,
) -> Result<Handle, DeviceKernelError> {
    let quantizers = quantization.argument(length)?;
    let values = buffer::<f32>("values", values, length)?;
    let gradients = buffer::<f32>("gradients", gradients, length)?;
    let output = empty::<f32>(client, length);
    if length > 0 {
        let (count, dim) = grid(client, length);
        let written = buffer::<f32>("masked gradients", &output, length)?;
        kernels::mask_clipped::mask_clipped::launch(
            client, count, dim, values, gradients, quantizers, written,
        );
    }
    Ok(output)
}
