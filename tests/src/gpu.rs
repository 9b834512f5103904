//! The GPU that tests run on: CUDA's first with the feature `cuda`, else whatever Vulkan, Metal or DirectX offers,
//! software drivers included.

use std::sync::OnceLock;

use burn::tensor::{Device, DeviceType};

/// The GPU.
///
/// # Panics
/// Where there is none, saying what to install.
pub fn gpu() -> Device {
    static GPU: OnceLock<Device> = OnceLock::new();
    GPU.get_or_init(open).clone()
}

#[cfg(feature = "cuda")]
fn open() -> Device {
    assert!(
        !Device::enumerate(DeviceType::Cuda).is_empty(),
        "these tests need an NVIDIA GPU with its driver, and there is none; without the feature `cuda` they need a Vulkan driver"
    );
    Device::cuda(0)
}

#[cfg(not(feature = "cuda"))]
fn open() -> Device {
    // Asked first: a device without an adapter panics later on, deep inside, and in words of its own.
    assert!(
        !Device::enumerate(DeviceType::Wgpu).is_empty(),
        "these tests need a GPU or a software driver, and there is none: install a Vulkan driver (on Debian: apt-get install \
         libvulkan1 mesa-vulkan-drivers)"
    );
    Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
}
