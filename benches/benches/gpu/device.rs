//! The device that is measured.

use clap::ValueEnum;
use cubecl::Device;
use cubecl::device::{DeviceUnavailable, WgpuDeviceKind};

/// What runs kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    Wgpu,
    Cuda,
}

/// Why there is no device.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error(
        "this benchmark was built without {runtime:?}; build it with --features burn-approx-benches/{feature}"
    )]
    NotBuilt {
        runtime: Runtime,
        feature: &'static str,
    },
    #[error("there is no {runtime:?} device on this machine; {needed}")]
    Missing {
        runtime: Runtime,
        needed: &'static str,
    },
}

impl Runtime {
    /// The name, as in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// The first device of the runtime; of wgpu, the most capable.
    pub(crate) fn open(self) -> Result<Device, DeviceError> {
        let device = match self {
            Self::Wgpu => Device::wgpu(WgpuDeviceKind::DefaultDevice),
            Self::Cuda => Device::cuda(0),
        };
        device.map_err(|error| match error {
            DeviceUnavailable::NotLinked(_) => DeviceError::NotBuilt {
                runtime: self,
                feature: self.name(),
            },
            DeviceUnavailable::NoSuchDevice { .. } => DeviceError::Missing {
                runtime: self,
                needed: match self {
                    Self::Wgpu => {
                        "it takes a Vulkan driver, if only a software one (Debian: mesa-vulkan-drivers)"
                    }
                    Self::Cuda => "it takes an NVIDIA GPU and its driver",
                },
            },
        })
    }
}
