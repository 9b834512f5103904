//! Launches [`fake_quantize`](crate::kernels::fake_quantize).

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::Quantization;
use super::element_wise::{buffer, empty, grid};
use crate::error::KernelError;
use crate::kernels;

/// The real values of the codes of `length` float32 values, `scale * (code - zero_point)`, as float32. A NaN stays one, and
/// a scale that is not finite gives NaNs.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{Quantization, QuantizerBuffer, fake_quantize};
///
/// let client = cubecl::Device::default().client();
/// let values = client.create_from_slice(f32::as_bytes(&[0.75, 100.0]));
/// let quantizer = QuantizerBuffer::from_parameters(&client, &[0.5], &[3.0])?;
/// let quantization = Quantization { quantizer: &quantizer, inner: 1, low: -8, high: 7 };
/// let fake = fake_quantize(&client, &values, 2, quantization)?; // 1, 2
/// # Ok::<(), kernels_cubecl::KernelError>(())
/// ```
///
/// # Errors
/// If a buffer is too short, the layout of channels does not fit the length, or the range of codes is none of 16 bits.
pub fn fake_quantize(
    client: &Client,
    values: &Handle,
    length: usize,
    quantization: Quantization,
) -> Result<Handle, KernelError> {
    let quantizers = quantization.argument(length)?;
    let values = buffer::<f32>("values", values, length)?;
    let output = empty::<f32>(client, length);
    if length > 0 {
        let (count, dim) = grid(client, length);
        let written = buffer::<f32>("real values of codes", &output, length)?;
        kernels::fake_quantize::fake_quantize::launch(
            client, count, dim, values, quantizers, written,
        );
    }
    Ok(output)
}
