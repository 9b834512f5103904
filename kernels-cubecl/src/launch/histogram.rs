//! Launches [`histogram`](crate::kernels::histogram).

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::element_wise::{UNITS, buffer, empty, grid};
use crate::error::DeviceKernelError;
use crate::kernels;
use crate::kernels::histogram::BINS;

/// The number of bins of a [`histogram`].
pub const HISTOGRAM_BINS: usize = BINS;

/// Cubes that keep a large device busy; each one ends with adding its counts to all others'.
const CUBES: usize = 512;
/// The fewest values of a unit that are worth another cube.
const VALUES_PER_UNIT: usize = 64;

/// Counts `length` float32 values per bin, as float32 `[HISTOGRAM_BINS]`; counts below 2^24 are exact. All are NaN if
/// any value is not finite.
///
/// A bin is a sign, a power of two from 2^-32 to 2^31 and the five highest bits of the mantissa; from the most negative
/// to the largest values, with one bin for magnitudes below 2^-32 in the middle. Larger magnitudes than the last bin's
/// count into it.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{histogram};
///
/// let client = cubecl::Device::default().client();
/// let values = client.create_from_slice(f32::as_bytes(&[0.0, 1.0, 1.001, -3.0]));
/// let counts = histogram(&client, &values, 4)?; // 2 in the bin of 1, 1 in those of 0 and -3
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If the buffer is too short.
pub fn histogram(
    client: &Client,
    values: &Handle,
    length: usize,
) -> Result<Handle, DeviceKernelError> {
    let values = buffer::<f32>("values", values, length)?;
    if length == 0 {
        return Ok(client.create_from_slice(f32::as_bytes(&[0.0; BINS])));
    }
    let counts = client.create_from_slice(u32::as_bytes(&[0; BINS + 1]));
    let counted = || buffer::<u32>("counts", &counts, BINS + 1);
    let cubes = length.div_ceil(UNITS * VALUES_PER_UNIT).min(CUBES);
    kernels::histogram::histogram::launch(
        client,
        CubeCount::new_1d(cubes as u32),
        CubeDim::new_1d(UNITS as u32),
        values,
        counted()?,
    );
    let output = empty::<f32>(client, BINS);
    let (count, dim) = grid(client, BINS);
    kernels::finish_counts::finish_counts::launch(
        client,
        count,
        dim,
        counted()?,
        buffer::<f32>("counts", &output, BINS)?,
    );
    Ok(output)
}
