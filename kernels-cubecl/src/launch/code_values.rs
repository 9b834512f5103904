//! Launches [`code_values`](crate::kernels::code_values): what the codes of a tensor stand for.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::ChannelQuantization;
use super::element_wise::{buffer, empty, grid};
use crate::error::DeviceKernelError;
use crate::kernels;
use crate::kernels::code_values::CodeUnit;

/// The real values of the codes of `length` float32 values, `scale * (code - zero_point)`, as float32. A NaN stays one,
/// and a scale that is not finite gives NaNs.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{ChannelQuantization, QuantizerBuffer, fake_quantize};
///
/// let client = cubecl::Device::default().client();
/// let values = client.create_from_slice(f32::as_bytes(&[0.75, 100.0]));
/// let quantizer = QuantizerBuffer::from_parameters(&client, &[0.5], &[3.0])?;
/// let quantization = ChannelQuantization { quantizer: &quantizer, inner: 1, low: -8, high: 7 };
/// let fake = fake_quantize(&client, &values, 2, quantization)?; // 1, 2
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If a buffer is too short, the layout of channels does not fit the length, or the range of codes is none of 16 bits.
pub fn fake_quantize(
    client: &Client,
    values: &Handle,
    length: usize,
    quantization: ChannelQuantization,
) -> Result<Handle, DeviceKernelError> {
    code_values(client, values, length, quantization, CodeUnit::One)
}

/// The codes of `length` float32 values minus their zero points, as float32: the values in units of their scale. A NaN
/// stays one.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{ChannelQuantization, QuantizerBuffer, shifted_codes};
///
/// let client = cubecl::Device::default().client();
/// let values = client.create_from_slice(f32::as_bytes(&[0.75, 100.0]));
/// let quantizer = QuantizerBuffer::from_parameters(&client, &[0.5], &[3.0])?;
/// let quantization = ChannelQuantization { quantizer: &quantizer, inner: 1, low: -8, high: 7 };
/// let shifted = shifted_codes(&client, &values, 2, quantization)?; // 2, for 1.5 is rounded to the even integer; 4, of code 7
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If a buffer is too short, the layout of channels does not fit the length, or the range of codes is none of 16 bits.
pub fn shifted_codes(
    client: &Client,
    values: &Handle,
    length: usize,
    quantization: ChannelQuantization,
) -> Result<Handle, DeviceKernelError> {
    code_values(client, values, length, quantization, CodeUnit::Scale)
}

fn code_values(
    client: &Client,
    values: &Handle,
    length: usize,
    quantization: ChannelQuantization,
    unit: CodeUnit,
) -> Result<Handle, DeviceKernelError> {
    let quantizers = quantization.argument(length)?;
    let values = buffer::<f32>("values", values, length)?;
    let output = empty::<f32>(client, length);
    if length > 0 {
        let (count, dim) = grid(client, length);
        let written = buffer::<f32>("values of codes", &output, length)?;
        kernels::code_values::code_values::launch(
            client, count, dim, values, quantizers, written, unit,
        );
    }
    Ok(output)
}
