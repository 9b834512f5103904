//! Launches [`encode_factors`](crate::kernels::encode_factors).

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::ChannelQuantization;
use super::element_wise::{buffer, empty, grid};
use super::quantization::check_layout;
use crate::checks::check_count;
use crate::error::DeviceKernelError;
use crate::kernels;

/// The functions of a code that values are mapped to.
#[derive(Debug, Clone, Copy)]
pub struct FactorTables<'a> {
    /// Float32 `[terms, 2^bits]`: the value of every function by bit pattern.
    pub tables: &'a Handle,
    /// The number of functions, at least 1.
    pub terms: usize,
    /// The bits of a pattern, 1 to 16.
    pub bits: u32,
    /// Whether the patterns are those of signed codes.
    pub signed: bool,
}

/// What the values of functions are, and where they stand.
#[derive(Debug, Clone, Copy)]
pub struct FactorLayout {
    /// The channels of the values, `[outer, channels, inner]`.
    pub channels: usize,
    /// The neighbouring values of one channel.
    pub inner: usize,
    /// The groups of channels; each holds its channels once per function.
    pub groups: usize,
    /// Whether each function's value at the code of 0 is taken away.
    pub less_zero: bool,
}

/// Values of functions of codes.
#[derive(Debug, Clone)]
pub struct EncodedFactors {
    /// Float32 `[outer, groups, terms, channels / groups, inner]`.
    pub values: Handle,
    /// Float32 `[quantisers, terms]`: the values at the code of 0. NaNs where there were no values to encode.
    pub at_zero: Handle,
}

/// The values of functions of the codes of `length` float32 values, in one pass.
///
/// A NaN becomes one in every function.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{
///     ChannelQuantization, FactorLayout, FactorTables, QuantizerBuffer, encode_factors,
/// };
///
/// let client = cubecl::Device::default().client();
/// let values = client.create_from_slice(f32::as_bytes(&[0.75, 100.0]));
/// let quantizer = QuantizerBuffer::from_parameters(&client, &[0.5], &[3.0])?;
/// let quantization = ChannelQuantization { quantizer: &quantizer, inner: 1, low: -8, high: 7 };
/// let tables: Vec<f32> = (0..32).map(|entry| (entry % 16 * (entry / 16 + 1)) as f32).collect();
/// let tables = client.create_from_slice(f32::as_bytes(&tables)); // the pattern, and twice the pattern
/// let factors = FactorTables { tables: &tables, terms: 2, bits: 4, signed: true };
/// let layout = FactorLayout {
///     channels: 2,
///     inner: 1,
///     groups: 1,
///     less_zero: true,
/// };
/// let encoded = encode_factors(&client, &values, 2, quantization, factors, layout)?;
/// // Codes 5 and 7 less the code of 0: values 2, 4, 4, 8; at zero 3, 6.
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If a buffer is too short, a layout does not fit the length, the range of codes is not one of the format's, or the
/// device lacks the element type.
pub fn encode_factors(
    client: &Client,
    values: &Handle,
    length: usize,
    quantization: ChannelQuantization,
    factors: FactorTables,
    layout: FactorLayout,
) -> Result<EncodedFactors, DeviceKernelError> {
    let FactorTables {
        tables,
        terms,
        bits,
        signed,
    } = factors;
    let FactorLayout {
        channels,
        inner,
        groups,
        less_zero,
    } = layout;
    quantization.check_format(bits, signed)?;
    let quantizers = quantization.argument(length)?;
    check_layout(length, channels, inner)?;
    for (parameter, count) in [("number of terms", terms), ("number of groups", groups)] {
        if count == 0 {
            return Err(DeviceKernelError::Zero { parameter });
        }
    }
    if !channels.is_multiple_of(groups) {
        return Err(DeviceKernelError::Groups {
            groups,
            channels,
            side: "input",
        });
    }
    let values = buffer::<f32>("values", values, length)?;
    let tables = buffer::<f32>("tables of factors", tables, terms.saturating_mul(1 << bits))?;
    let encoded = length.saturating_mul(terms);
    let zeros = quantization.quantizer.channels().saturating_mul(terms);
    check_count("values of factors", encoded.max(zeros) as u128)?;
    let output = empty::<f32>(client, encoded);
    if encoded == 0 {
        return Ok(EncodedFactors {
            values: output,
            at_zero: client.create_from_slice(f32::as_bytes(&vec![f32::NAN; zeros])),
        });
    }
    let written = buffer::<f32>("values of factors", &output, encoded)?;
    let at_zero = empty::<f32>(client, zeros);
    let (count, dim) = grid(client, length.max(zeros));
    kernels::encode_factors::encode_factors::launch(
        client,
        count,
        dim,
        values,
        quantizers,
        tables,
        written,
        buffer::<f32>("values at 0", &at_zero, zeros)?,
        terms,
        channels / groups * inner,
        bits,
        less_zero,
    );
    Ok(EncodedFactors {
        values: output,
        at_zero,
    })
}
