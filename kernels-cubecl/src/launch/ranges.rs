//! Launches [`ranges`](crate::kernels::ranges).

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::element_wise::{UNITS, buffer, empty};
use super::quantization::check_layout;
use crate::checks::check_count;
use crate::error::DeviceKernelError;
use crate::kernels;
use crate::kernels::ranges::SlicesLaunch;

/// Cubes that keep a large device busy.
const CUBES: usize = 1024;
/// The fewest values of a unit that are worth another slice.
const VALUES_PER_UNIT: usize = 16;

/// The smallest and the largest value of every channel of `length` float32 values, of which value `i` belongs to
/// channel `(i / inner) % channels`: float32 `[2, channels]`. Both are NaN if any value of the channel is not finite;
/// of no values they are `+inf` and `-inf`.
///
/// ```no_run
/// use cubecl::prelude::*;
/// use kernels_cubecl::{ranges};
///
/// let client = cubecl::Device::default().client();
/// let values = client.create_from_slice(f32::as_bytes(&[1.0, -2.0, 5.0, 7.0]));
/// let found = ranges(&client, &values, 4, 2, 2)?; // -2, 5; 1, 7
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// If the buffer is too short, or the layout of channels does not fit the length.
pub fn ranges(
    client: &Client,
    values: &Handle,
    length: usize,
    channels: usize,
    inner: usize,
) -> Result<Handle, DeviceKernelError> {
    check_layout(length, channels, inner)?;
    check_count("ranges", 2 * channels as u128)?;
    let values = buffer::<f32>("values", values, length)?;
    if length == 0 {
        let ends = [f32::INFINITY, f32::NEG_INFINITY].map(|end| vec![end; channels]);
        return Ok(client.create_from_slice(f32::as_bytes(&ends.concat())));
    }
    let first = Plan::new(length / channels, channels, inner, CUBES);
    let partial = first.launch(client, values, false)?;
    if first.slices == 1 {
        return Ok(partial);
    }
    let last = Plan::new(first.slices, channels, 1, 1);
    let ends = buffer::<f32>("ranges of slices", &partial, 2 * first.slices * channels)?;
    last.launch(client, ends, true)
}

/// How the values of channels are shared among units.
struct Plan {
    /// The values of a channel.
    values: usize,
    channels: usize,
    inner: usize,
    /// Units of a slice of a channel.
    lanes: usize,
    /// Slices of a channel.
    slices: usize,
    /// Values of a slice.
    length: usize,
}

impl Plan {
    /// At most about as many cubes as given, unless channels ask for more.
    fn new(values: usize, channels: usize, inner: usize, cubes: usize) -> Self {
        // Neighbouring units read neighbouring values: of a channel, or of as many channels as a cube has units left.
        let neighbours = inner.max(UNITS / channels);
        let lanes = neighbours.min(values).min(UNITS).next_power_of_two();
        let of_channels = channels.div_ceil(UNITS / lanes);
        let most = values.div_ceil(lanes * VALUES_PER_UNIT);
        let slices = (cubes / of_channels).clamp(1, most);
        let length = values.div_ceil(slices);
        Plan {
            values,
            channels,
            inner,
            lanes,
            slices: values.div_ceil(length),
            length,
        }
    }

    /// The ranges of all slices, `[2, slices, channels]`.
    fn launch(
        &self,
        client: &Client,
        input: BufferArg,
        ends: bool,
    ) -> Result<Handle, DeviceKernelError> {
        let elements = 2 * self.slices * self.channels;
        let output = empty::<f32>(client, elements);
        let cubes = self.channels.div_ceil(UNITS / self.lanes) * self.slices;
        kernels::ranges::ranges::launch(
            client,
            cubecl::calculate_cube_count_elemwise(client, cubes, CubeDim::new_single()),
            CubeDim::new_1d(UNITS as u32),
            input,
            buffer::<f32>("ranges", &output, elements)?,
            SlicesLaunch::new(
                self.channels,
                self.inner,
                self.values,
                self.slices,
                self.length,
            ),
            ends,
            self.lanes,
            UNITS,
        );
        Ok(output)
    }
}
