//! Where to compute: the kinds of device that this build knows, and opening one or several of a kind.

use burn::tensor::{Device, DeviceType, Tensor};
use serde::{Deserialize, Serialize};

/// The devices that this build knows.
///
/// ```
/// use approx_experiment::device::DeviceKind;
///
/// let devices = DeviceKind::Cpu.open(1)?;
/// assert_eq!(devices.len(), 1);
/// # Ok::<(), approx_experiment::device::DeviceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
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

/// Devices that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A device that does not start.
    #[error("the device {device:?} cannot be used here: {reason}")]
    Unusable {
        /// The device.
        device: DeviceKind,
        /// What its driver says.
        reason: String,
    },
    /// Fewer devices than asked for.
    #[error(
        "--devices is {wanted}, and {found} of the kind {device:?} can be used here; ask for that many, or for another kind \
         with --device"
    )]
    TooFew {
        /// The kind of device.
        device: DeviceKind,
        /// How many were asked for.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
}

impl DeviceKind {
    /// Opens `count` different devices of the kind, at least one, and tries each.
    ///
    /// # Errors
    ///
    /// If this machine has no such device, or fewer of them.
    pub fn open(self, count: usize) -> Result<Vec<Device>, DeviceError> {
        // A backend without its hardware or driver panics at the latest at the first tensor.
        let tried = std::panic::catch_unwind(|| {
            let mut devices = match count {
                1 => vec![self.default_device()],
                _ => self.all(),
            };
            devices.truncate(count);
            let failure = devices.iter().find_map(|device| {
                let first = Tensor::<1>::zeros([1], device).try_into_scalar::<f32>();
                first.err().map(|error| error.to_string())
            });
            (devices, failure)
        });
        let unusable = |reason| DeviceError::Unusable {
            device: self,
            reason,
        };
        match tried {
            Ok((_, Some(reason))) => Err(unusable(reason)),
            Ok((devices, None)) if devices.len() < count => Err(DeviceError::TooFew {
                device: self,
                wanted: count,
                found: devices.len(),
            }),
            Ok((devices, None)) => Ok(devices),
            Err(panic) => Err(unusable(
                panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or(panic.downcast_ref::<&str>().copied())
                    .unwrap_or("it does not start")
                    .into(),
            )),
        }
    }

    /// The one that its backend prefers.
    fn default_device(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)]
            Self::Ndarray => Device::ndarray(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
        }
    }

    /// All that there are.
    fn all(self) -> Vec<Device> {
        match self {
            Self::Cpu => Device::enumerate(DeviceType::Flex).into_vec(),
            #[cfg(feature = "ndarray")]
            Self::Ndarray => Device::enumerate(DeviceType::NdArray).into_vec(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => without_software(Device::enumerate(DeviceType::Wgpu).into_vec()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::enumerate(DeviceType::Cuda).into_vec(),
        }
    }
}

/// Leaves out drivers that compute on the processor, unless there is nothing else: beside a GPU they would only hold it
/// up.
#[cfg(feature = "wgpu")]
fn without_software(devices: Vec<Device>) -> Vec<Device> {
    use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};

    let is_software = |device: &Device| matches!(device.as_dispatch(), DispatchDevice::Cube(CubeDevice::Wgpu(device)) if device.kind == WgpuDeviceKind::Cpu);
    let (software, hardware): (Vec<_>, Vec<_>) = devices.into_iter().partition(is_software);
    if hardware.is_empty() {
        software
    } else {
        hardware
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_can_be_opened() {
        assert_eq!(DeviceKind::Cpu.open(1).unwrap(), [Device::flex()]);
    }

    #[test]
    fn there_is_one_processor() {
        let error = DeviceKind::Cpu.open(3).unwrap_err();
        assert!(matches!(
            error,
            DeviceError::TooFew {
                wanted: 3,
                found: 1,
                ..
            }
        ));
        assert!(error.to_string().contains("--devices is 3, and 1"));
    }
}
