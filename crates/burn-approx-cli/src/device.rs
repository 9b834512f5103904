//! Where a layer is computed.

use burn::tensor::{Device, Tensor};
use clap::ValueEnum;

use crate::error::CliError;
use crate::panics::silenced;

/// The devices that this build knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DeviceKind {
    /// The processor
    #[default]
    Cpu,
    /// The processor, by Burn's older backend
    #[cfg(feature = "ndarray")]
    Ndarray,
    /// A GPU, by Vulkan, Metal or DirectX
    #[cfg(feature = "wgpu")]
    Wgpu,
    /// An NVIDIA GPU
    #[cfg(feature = "cuda")]
    Cuda,
}

impl DeviceKind {
    /// Opens the device and tries it.
    pub fn open(self) -> Result<Device, CliError> {
        // A backend without its hardware or driver panics at the latest at the first tensor; its message says no more
        // than ours.
        let tried = silenced(|| {
            std::panic::catch_unwind(|| {
                let device = self.device();
                let first = Tensor::<1>::zeros([1], &device).try_into_scalar::<f32>();
                first.map(|_| device).map_err(|error| error.to_string())
            })
        });
        let reason = match tried {
            Ok(Ok(device)) => return Ok(device),
            Ok(Err(reason)) => reason,
            Err(panic) => panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or(panic.downcast_ref::<&str>().copied())
                .unwrap_or("it does not start")
                .to_string(),
        };
        Err(CliError::Device {
            device: format!("{self:?}").to_lowercase(),
            reason,
        })
    }

    fn device(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            #[cfg(feature = "ndarray")]
            #[allow(
                deprecated,
                reason = "Burn deprecates its NdArray backend, which is supported behind a feature"
            )]
            Self::Ndarray => Device::ndarray(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
        }
    }
}
