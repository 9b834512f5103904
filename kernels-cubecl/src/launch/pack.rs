//! Launches [`pack`](crate::kernels::pack).

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::element_wise::{buffer, empty, grid};
use crate::codes::{PackedCodes, codes_per_word};
use crate::error::DeviceKernelError;
use crate::kernels;

/// `length` codes of a format, given as 32-bit integers, packed. Of a code outside the format the low bits count.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{pack};
///
/// let client = cubecl::Device::default().client();
/// let codes = client.create_from_slice(i32::as_bytes(&[-1, 2]));
/// let packed = pack(&client, &codes, 2, 4, true)?;
/// assert_eq!(packed.words(), 1); // 0x02_0f
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If the buffer is too short, or codes have no such width.
pub fn pack(
    client: &Client,
    codes: &Handle,
    length: usize,
    bits: u32,
    signed: bool,
) -> Result<PackedCodes, DeviceKernelError> {
    let codes = buffer::<i32>("codes", codes, length)?;
    let words = length.div_ceil(codes_per_word(bits));
    let handle = empty::<u32>(client, words);
    let packed = PackedCodes::new(handle, length, bits, signed)?;
    if words > 0 {
        let (count, dim) = grid(client, words);
        let written = buffer::<u32>("packed codes", packed.handle(), words)?;
        kernels::pack::pack::launch(
            client,
            count,
            dim,
            codes,
            written,
            bits,
            codes_per_word(bits),
        );
    }
    Ok(packed)
}
