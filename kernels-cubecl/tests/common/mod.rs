//! What all tests of kernels share: a device and its buffers.

use std::sync::LazyLock;

use cubecl::Device;
use cubecl::prelude::*;
use cubecl::server::Handle;

/// The machine's device: CUDA's with that feature, else any, a software one if need be.
pub fn client() -> Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| open().client());
    CLIENT.clone()
}

#[cfg(feature = "cuda")]
fn open() -> Device {
    Device::cuda(0)
        .expect("with the feature `cuda` the kernels' tests need an NVIDIA GPU with its driver")
}

#[cfg(not(feature = "cuda"))]
fn open() -> Device {
    Device::wgpu(Default::default()).expect(
        "the kernels' tests need a Vulkan driver; one in software will do (Debian: mesa-vulkan-drivers)",
    )
}

/// Values in a buffer.
#[allow(dead_code, reason = "not every test binary brings values of its own")]
pub fn upload<T: CubeElement>(client: &Client, values: &[T]) -> Handle {
    client.create_from_slice(T::as_bytes(values))
}

/// The first elements of a buffer, which may be larger.
pub fn download<T: CubeElement>(client: &Client, handle: Handle, length: usize) -> Vec<T> {
    if length == 0 {
        return Vec::new();
    }
    let bytes = client.read_one(handle).expect("the buffer was written");
    T::from_bytes(&bytes)[..length].to_vec()
}
