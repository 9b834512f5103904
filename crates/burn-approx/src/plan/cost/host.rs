//! What a product is expected to cost on one thread of this machine's CPU.

use approx_cpu::cost::{self, Workload};

use super::Product;
use crate::geometry::Geometry;
use crate::multiplier::Route;

/// The expected seconds of a product by a route.
pub(super) fn seconds(route: Route, product: &Product<'_>) -> f64 {
    let symmetric_weight = product.grids[1].symmetric;
    let workload = &match *product.geometry {
        Geometry::Matmul(shape) => Workload::Matmul(shape),
        Geometry::Conv2d(shape) => Workload::Conv2d(shape),
    };
    match (route, product.factors) {
        (Route::Exact | Route::Factored, Some(factors)) => {
            cost::factored(&factors.integer, symmetric_weight, workload)
        }
        (Route::Exact | Route::Factored, None) => f64::INFINITY,
        (Route::Gather, _) => cost::lookup(product.narrow_table, symmetric_weight, workload),
        _ => cost::float32(product.terms, workload),
    }
}
