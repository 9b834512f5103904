//! Launches [`encode`](crate::kernels::encode).

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::ChannelQuantization;
use super::element_wise::{buffer, empty, grid};
use crate::codes::{PackedCodes, codes_per_word};
use crate::error::DeviceKernelError;
use crate::kernels;

/// Codes of real values.
#[derive(Debug, Clone)]
pub struct EncodedCodes {
    /// The codes.
    pub codes: PackedCodes,
    /// A word that is not 0 if any value was a NaN, whose code means nothing.
    pub poison: Handle,
}

/// The packed codes of `length` float32 values.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{ChannelQuantization, QuantizerBuffer, encode};
///
/// let client = cubecl::Device::default().client();
/// let values = client.create_from_slice(f32::as_bytes(&[0.75, 100.0]));
/// let quantizer = QuantizerBuffer::from_parameters(&client, &[0.5], &[3.0])?;
/// let quantization = ChannelQuantization { quantizer: &quantizer, inner: 1, low: -8, high: 7 };
/// let encoded = encode(&client, &values, 2, quantization, 4, true)?;
/// assert_eq!(encoded.codes.length(), 2); // codes 5 and 7, in one word
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If a buffer is too short, the layout of channels does not fit the length, or the range of codes is not one of the
/// format's.
pub fn encode(
    client: &Client,
    values: &Handle,
    length: usize,
    quantization: ChannelQuantization,
    bits: u32,
    signed: bool,
) -> Result<EncodedCodes, DeviceKernelError> {
    quantization.check_format(bits, signed)?;
    let quantizers = quantization.argument(length)?;
    let values = buffer::<f32>("values", values, length)?;
    let poison = client.create_from_slice(u32::as_bytes(&[0]));
    let words = length.div_ceil(codes_per_word(bits));
    let handle = empty::<u32>(client, words);
    if words > 0 {
        let (count, dim) = grid(client, words);
        kernels::encode::encode::launch(
            client,
            count,
            dim,
            values,
            quantizers,
            buffer::<u32>("packed codes", &handle, words)?,
            buffer::<u32>("poison", &poison, 1)?,
            bits,
            codes_per_word(bits),
        );
    }
    Ok(EncodedCodes {
        codes: PackedCodes::new(handle, length, bits, signed)?,
        poison,
    })
}
