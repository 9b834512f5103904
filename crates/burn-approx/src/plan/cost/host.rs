//! What a product is expected to cost on one thread of this machine's CPU.

use approx_cpu::cost::{self, Workload};
use approx_cpu::{Conv2dShape, ConvTranspose2dShape, Padding2d};

use super::Product;
use crate::geometry::Geometry;
use crate::multiplier::Route;

/// The convolution of stride 1 that has as many outputs, and about as many products, as a transposed one, whose phases are such
/// convolutions.
fn like(shape: &ConvTranspose2dShape) -> Conv2dShape {
    let output = shape.output();
    let taps = [0, 1].map(|axis| shape.kernel[axis].div_ceil(shape.stride[axis]));
    Conv2dShape {
        batch: shape.batch,
        in_channels: shape.in_channels,
        out_channels: shape.out_channels,
        groups: shape.groups,
        input: [0, 1].map(|axis| output[axis] + taps[axis] - 1),
        kernel: taps,
        stride: [1; 2],
        dilation: [1; 2],
        padding: Padding2d::default(),
    }
}

/// The expected seconds of a product by a route.
pub(super) fn seconds(route: Route, product: &Product<'_>) -> f64 {
    let symmetric_weight = product.grids[1].symmetric;
    let workload = &match *product.geometry {
        Geometry::Matmul(shape) => Workload::Matmul(shape),
        Geometry::Conv2d(shape) => Workload::Conv2d(shape),
        Geometry::ConvTranspose2d(shape) => Workload::Conv2d(like(&shape)),
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
