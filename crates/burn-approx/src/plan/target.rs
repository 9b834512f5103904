//! Where a product is computed, as far as plans depend on it.

use burn::backend::DispatchDevice;
use burn::tensor::Device;

use super::bounds::TWO_TO_31;
use crate::error::ApproxError;

/// The kind of device that computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A CPU, through [`approx_cpu`].
    Host,
    /// A GPU, through the CubeCL kernels and the matrix products of Burn's CubeCL backend.
    Gpu {
        /// Whether float32 products may run on matrix units that round their operands to TF32, which has 11 significant
        /// bits. Factors with more are then split into digits.
        tensor_float32: bool,
    },
}

impl Target {
    /// The kind of a device of Burn's.
    ///
    /// # Errors
    /// [`ApproxError::UnsupportedDevice`] where its backend has no approximate operators, [`ApproxError::DeviceLimits`]
    /// where a GPU is too small for their kernels.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use burn_approx::plan::Target;
    ///
    /// assert_eq!(Target::of(&Device::flex())?, Target::Host);
    /// # Ok::<(), burn_approx::ApproxError>(())
    /// ```
    pub fn of(device: &Device) -> Result<Self, ApproxError> {
        let device = device.clone().inner();
        match device.as_dispatch() {
            #[cfg(feature = "flex")]
            DispatchDevice::Flex(_) => Ok(Self::Host),
            #[cfg(feature = "ndarray")]
            DispatchDevice::NdArray(_) => Ok(Self::Host),
            #[cfg(feature = "gpu")]
            DispatchDevice::Cube(device) => {
                let client = device.client();
                kernels_cubecl::check_device(&client).map_err(|problem| {
                    ApproxError::DeviceLimits {
                        device: format!("{device:?}"),
                        problem: problem.to_string(),
                    }
                })?;
                Ok(Self::Gpu {
                    tensor_float32: kernels_cubecl::has_tensor_float32(&client),
                })
            }
            #[allow(
                unreachable_patterns,
                reason = "which backends Burn has depends on features"
            )]
            _ => Err(ApproxError::UnsupportedDevice {
                device: format!("{device:?}"),
            }),
        }
    }

    /// Refuses a tensor that a GPU's kernels cannot index.
    pub(crate) fn check_elements(
        self,
        tensor: &'static str,
        elements: usize,
    ) -> Result<(), ApproxError> {
        match self {
            Self::Gpu { .. } if elements as f64 >= TWO_TO_31 => {
                Err(ApproxError::TooManyElements { tensor, elements })
            }
            _ => Ok(()),
        }
    }

    /// Whether it is a GPU.
    pub(crate) fn is_gpu(self) -> bool {
        self != Self::Host
    }
}
