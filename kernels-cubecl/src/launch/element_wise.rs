//! What launches with one unit per element have in common: a grid, and buffers that have been checked.

use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::checks::{check_buffer, check_count};
use crate::error::DeviceKernelError;

/// The units of a cube: what every device has.
pub(super) const UNITS: usize = 256;

/// A grid of at least as many units as there are elements.
pub(super) fn grid(client: &Client, elements: usize) -> (CubeCount, CubeDim) {
    let cube = CubeDim::new_1d(UNITS as u32);
    (calculate_cube_count_elemwise(client, elements, cube), cube)
}

/// The argument of a kernel that reads or writes `length` elements of type `T` in a buffer.
pub(super) fn buffer<T>(
    operand: &'static str,
    handle: &Handle,
    length: usize,
) -> Result<BufferArg, DeviceKernelError> {
    check_count(operand, length as u128)?;
    check_buffer::<T>(operand, length, handle)?;
    // SAFETY: the buffer holds the elements.
    Ok(unsafe { BufferArg::from_raw_parts(handle.clone(), length) })
}

/// A new buffer of `length` elements of type `T`. One of no bytes could not be bound.
pub(super) fn empty<T>(client: &Client, length: usize) -> Handle {
    client.empty(length.max(1) * size_of::<T>())
}
