//! What a device offers, and grids that it can run.

use cubecl::prelude::*;

use crate::error::DeviceKernelError;
use crate::kernels::epilogue::FLAG_BYTES;
use crate::kernels::tile::{TileSize, UNITS};

/// Whether a device has matrix units for TF32, which CubeCL's products of float32 matrices then use: they round
/// operands to 11 significant bits.
///
/// ```no_run
/// let client = cubecl::Device::default().client();
/// println!("{}", kernels_cubecl::has_tensor_float32(&client));
/// ```
pub fn has_tensor_float32(client: &Client) -> bool {
    client.properties().supports_type(tf32::elem_type_native())
}

/// The most buffers that a kernel here is given: two operands, a table, two quantisers, two flags, pairs or phases, a
/// result and the scalars.
pub(crate) const MOST_BUFFERS: usize = 10;

/// Checks that every kernel here runs on a device. (What WebGPU promises, 8 buffers, is too little; most adapters have
/// more.)
///
/// ```no_run
/// let client = cubecl::Device::default().client();
/// kernels_cubecl::check_device(&client)?;
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
///
/// # Errors
/// [`DeviceKernelError::Device`] with what there is too little of.
pub fn check_device(client: &Client) -> Result<(), DeviceKernelError> {
    let largest_tiles = TileSize::Large.bytes() + FLAG_BYTES;
    Limits::of(client).check(UNITS * UNITS, largest_tiles, MOST_BUFFERS)
}

/// The limits of a device that kernels are fitted to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of shared memory of a cube.
    pub(crate) shared_memory: usize,
    /// Multiprocessors, where the device says how many there are.
    multiprocessors: Option<usize>,
    cubes: usize,
    units: usize,
    buffers: usize,
}

/// Cubes for a device that does not say how many multiprocessors it has.
const ASSUMED_MULTIPROCESSORS: usize = 128;

impl Limits {
    /// The limits of a client's device.
    pub(crate) fn of(client: &Client) -> Self {
        let hardware = &client.properties().hardware;
        Self {
            shared_memory: hardware.max_shared_memory_size,
            multiprocessors: hardware
                .num_streaming_multiprocessors
                .map(|count| count as usize),
            cubes: hardware.max_cube_count.0 as usize,
            units: hardware.max_units_per_cube as usize,
            buffers: hardware.max_bindings as usize,
        }
    }

    /// Checks that a kernel can be run with so many units in a cube, bytes of shared memory and buffers.
    pub(crate) fn check(
        &self,
        units: usize,
        shared_memory: usize,
        buffers: usize,
    ) -> Result<(), DeviceKernelError> {
        for (resource, needed, available) in [
            ("units per cube", units, self.units),
            ("bytes of shared memory", shared_memory, self.shared_memory),
            ("buffers per kernel", buffers, self.buffers),
        ] {
            if needed > available {
                return Err(DeviceKernelError::Device {
                    resource,
                    needed,
                    available,
                });
            }
        }
        Ok(())
    }

    /// A grid for `count` independent pieces of work that cubes take in turn.
    pub(crate) fn grid(&self, count: usize) -> CubeCount {
        CubeCount::Static(count.min(self.cubes) as u32, 1, 1)
    }

    /// A grid as above for cubes that each hold `shared_memory` bytes, as many as run at the same time: what each of
    /// them prepares in its memory is then prepared as seldom as can be.
    pub(crate) fn resident_grid(&self, count: usize, shared_memory: usize) -> CubeCount {
        let per_multiprocessor = (self.shared_memory / shared_memory.max(1)).clamp(1, 8);
        let multiprocessors = self.multiprocessors.unwrap_or(ASSUMED_MULTIPROCESSORS);
        self.grid(count.min(multiprocessors * per_multiprocessor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_lacks_is_named() {
        let webgpu = Limits {
            shared_memory: 16 << 10,
            multiprocessors: None,
            cubes: 65_535,
            units: 256,
            buffers: 8,
        };
        let needed = TileSize::Large.bytes() + FLAG_BYTES;
        assert_eq!(webgpu.check(UNITS * UNITS, needed, 8), Ok(()));
        assert_eq!(
            webgpu.check(UNITS * UNITS, needed, MOST_BUFFERS),
            Err(DeviceKernelError::Device {
                resource: "buffers per kernel",
                needed: MOST_BUFFERS,
                available: 8,
            })
        );
    }
}
