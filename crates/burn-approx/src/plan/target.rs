//! Where a product is computed, as far as plans depend on it: what routes cost there, and which numbers its float32 products
//! round.

use approx_cpu::cost;
use burn::backend::DispatchDevice;
use burn::tensor::Device;

use super::{Engine, Factors, Workload, float32};
use crate::error::ApproxError;
use crate::ops::CodeGrid;

/// The kind of device that computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A CPU, through [`approx_cpu`].
    Host,
    /// A GPU, through the CubeCL kernels and the matrix products of Burn's CubeCL backend.
    Gpu {
        /// Whether float32 products may run on matrix units that round their operands to TF32, which has 11 significant bits.
        /// Factors with more are then split into digits.
        tensor_float32: bool,
    },
}

/// Multiplications per second on a data-centre GPU, per engine: orders of magnitude from published figures, which serve to
/// compare routes. `cargo bench --workspace --bench gpu` measures them on the device at hand.
mod gpu_rates {
    pub(super) const FLOAT32: f64 = 40e12;
    pub(super) const INTEGER: f64 = 6e12;
    pub(super) const LOOKUP: f64 = 1.5e12;
    /// Bytes moved per second.
    pub(super) const MEMORY: f64 = 2e12;
    /// Seconds per kernel started.
    pub(super) const LAUNCH: f64 = 5e-6;
}

impl Target {
    /// The kind of a device of Burn's.
    ///
    /// # Errors
    /// [`ApproxError::UnsupportedDevice`] where its backend has no approximate operators, [`ApproxError::DeviceLimits`] where a GPU is too
    /// small for their kernels.
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

    /// What an engine is expected to take, in seconds: on one thread of a CPU, or on a GPU.
    ///
    /// `terms` is the number of one-operand products that make one product.
    pub(super) fn seconds(
        self,
        engine: Engine,
        factors: Option<&Factors>,
        terms: usize,
        narrow_table: bool,
        grids: [CodeGrid; 2],
        workload: &Workload,
    ) -> f64 {
        let symmetric_weight = grids[1].symmetric;
        match self {
            Self::Host => match (engine, factors) {
                (Engine::Integer, Some(factors)) => {
                    cost::factored(&factors.integer, symmetric_weight, workload)
                }
                (Engine::Integer, None) => f64::INFINITY,
                (Engine::Lookup, _) => cost::lookup(narrow_table, symmetric_weight, workload),
                (Engine::Float32, _) => cost::float32(terms, workload),
            },
            Self::Gpu { .. } => match (engine, factors) {
                (Engine::Float32, Some(factors)) => {
                    let products = float32::products(factors, self);
                    let parts = float32::parts(factors, grids, workload, self);
                    gpu_seconds(engine, products, parts, workload)
                }
                _ => gpu_seconds(engine, terms, 1, workload),
            },
        }
    }
}

/// The seconds of `terms` one-operand products per product, whose sums are computed in `parts`.
fn gpu_seconds(engine: Engine, terms: usize, parts: usize, workload: &Workload) -> f64 {
    let products = workload.products() as f64;
    let [terms, parts] = [terms, parts].map(|count| count.max(1) as f64);
    let (inputs, outputs) = (workload.inputs() as f64, workload.outputs() as f64);
    let (arithmetic, bytes, launches) = match engine {
        // Factors are written to memory and read again, and so is the product of each part.
        Engine::Float32 => (
            terms * products / gpu_rates::FLOAT32,
            4.0 * ((1.0 + 2.0 * terms) * inputs + (2.0 * parts + 1.0) * outputs),
            2.0 * parts + 1.0,
        ),
        Engine::Integer => (
            terms * products / gpu_rates::INTEGER,
            6.0 * inputs + 4.0 * outputs,
            2.0,
        ),
        Engine::Lookup => (
            products / gpu_rates::LOOKUP,
            6.0 * inputs + 4.0 * outputs,
            2.0,
        ),
    };
    arithmetic.max(bytes / gpu_rates::MEMORY) + launches * gpu_rates::LAUNCH
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx_cpu::MatmulShape;

    #[test]
    fn a_gpu_multiplies_few_factors_faster_than_it_looks_up_and_many_slower() {
        let workload = Workload::Matmul(MatmulShape {
            rows: 4096,
            inner: 4096,
            columns: 4096,
        });
        let lookup = gpu_seconds(Engine::Lookup, 1, 1, &workload);
        assert!(gpu_seconds(Engine::Float32, 4, 1, &workload) < lookup);
        assert!(gpu_seconds(Engine::Integer, 2, 1, &workload) < lookup);
        assert!(gpu_seconds(Engine::Integer, 16, 1, &workload) > lookup);
        assert!(gpu_seconds(Engine::Float32, 64, 1, &workload) > lookup);
    }
    #[test]
    fn parts_of_a_sum_cost_passes_over_the_result() {
        let workload = Workload::Matmul(MatmulShape {
            rows: 64,
            inner: 4096,
            columns: 4096,
        });
        let seconds = |parts| gpu_seconds(Engine::Float32, 1, parts, &workload);
        assert!(seconds(8) > seconds(1));
    }
}
