//! What a product is expected to cost on a data-centre GPU.

use super::Product;
use crate::geometry::Geometry;
use crate::multiplier::Route;
use crate::plan::{Target, float32};

/// Multiplications per second on a data-centre GPU, per engine: orders of magnitude from published figures, which serve
/// to compare routes. `cargo bench --workspace --bench gpu` measures them on the device at hand.
mod rates {
    pub(super) const FLOAT32: f64 = 40e12;
    pub(super) const INTEGER: f64 = 6e12;
    pub(super) const LOOKUP: f64 = 1.5e12;
    /// Bytes moved per second.
    pub(super) const MEMORY: f64 = 2e12;
    /// Seconds per kernel started.
    pub(super) const LAUNCH: f64 = 5e-6;
}

/// What computes a route's products.
#[derive(Clone, Copy)]
enum Engine {
    /// Kernels that multiply integers, or the float32 factors of an HTP model.
    Scalar,
    /// Kernels that look products up.
    Lookup,
    /// The backend's own float32 products, on matrix units.
    Float32,
}

/// The expected seconds of a product by a route.
pub(super) fn seconds(target: Target, route: Route, product: &Product<'_>) -> f64 {
    let Product {
        factors,
        terms,
        grids,
        geometry,
        ..
    } = *product;
    match (route, factors) {
        (Route::ExactFloat32 | Route::FactoredFloat32, Some(factors)) => {
            let products = float32::products(factors, target);
            let parts = float32::parts(factors, grids, geometry, target);
            kernel_seconds(Engine::Float32, products, parts, geometry)
        }
        (Route::Gather, _) => kernel_seconds(Engine::Lookup, terms, 1, geometry),
        _ => kernel_seconds(Engine::Scalar, terms, 1, geometry),
    }
}

/// The seconds of `terms` one-operand products per product, whose sums are computed in `parts`.
fn kernel_seconds(engine: Engine, terms: usize, parts: usize, geometry: &Geometry) -> f64 {
    let products = geometry.products() as f64;
    let [terms, parts] = [terms, parts].map(|count| count.max(1) as f64);
    let (inputs, outputs) = (geometry.inputs() as f64, geometry.outputs() as f64);
    let (arithmetic, bytes, launches) = match engine {
        // Factors are written to memory and read again, and so is the product of each part.
        Engine::Float32 => (
            terms * products / rates::FLOAT32,
            4.0 * ((1.0 + 2.0 * terms) * inputs + (2.0 * parts + 1.0) * outputs),
            2.0 * parts + 1.0,
        ),
        Engine::Scalar => (
            terms * products / rates::INTEGER,
            6.0 * inputs + 4.0 * outputs,
            2.0,
        ),
        Engine::Lookup => (products / rates::LOOKUP, 6.0 * inputs + 4.0 * outputs, 2.0),
    };
    arithmetic.max(bytes / rates::MEMORY) + launches * rates::LAUNCH
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx_cpu::MatmulShape;

    #[test]
    fn a_gpu_multiplies_few_factors_faster_than_it_looks_up_and_many_slower() {
        let geometry = Geometry::Matmul(MatmulShape {
            rows: 4096,
            inner: 4096,
            columns: 4096,
        });
        let lookup = kernel_seconds(Engine::Lookup, 1, 1, &geometry);
        assert!(kernel_seconds(Engine::Float32, 4, 1, &geometry) < lookup);
        assert!(kernel_seconds(Engine::Scalar, 2, 1, &geometry) < lookup);
        assert!(kernel_seconds(Engine::Scalar, 16, 1, &geometry) > lookup);
        assert!(kernel_seconds(Engine::Float32, 64, 1, &geometry) > lookup);
    }

    #[test]
    fn parts_of_a_sum_cost_passes_over_the_result() {
        let geometry = Geometry::Matmul(MatmulShape {
            rows: 64,
            inner: 4096,
            columns: 4096,
        });
        let seconds = |parts| kernel_seconds(Engine::Float32, 1, parts, &geometry);
        assert!(seconds(8) > seconds(1));
    }
}
