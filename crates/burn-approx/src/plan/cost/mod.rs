//! What a product is expected to cost by each route, so that the planner can compare them before any has run.

mod gpu;
mod host;

use super::Target;
use crate::codes::CodeGrid;
use crate::geometry::Geometry;
use crate::multiplier::{Factors, Route};

/// A product, as far as its cost depends on it.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) factors: Option<&'a Factors>,
    /// The number of one-operand products that make one product.
    pub(super) terms: usize,
    /// Whether the entries of the multiplier's table span at most 16 bits.
    pub(super) narrow_table: bool,
    pub(super) grids: [CodeGrid; 2],
    pub(super) geometry: &'a Geometry,
}

/// The expected seconds of a product by a route: on one thread of a CPU, or on a GPU.
pub(super) fn seconds(target: Target, route: Route, product: &Product<'_>) -> f64 {
    match target {
        Target::Host => host::seconds(route, product),
        Target::Gpu { .. } => gpu::seconds(target, route, product),
    }
}
