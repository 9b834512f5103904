//! Bounds of sums: which accumulators can hold them.

use crate::codes::CodeGrid;
use crate::geometry::Geometry;
use crate::multiplier::{Factors, largest};

/// Above this, 32 bits do not hold a magnitude.
pub(crate) const TWO_TO_31: f64 = 2_147_483_648.0;

/// The largest sum of magnitudes below which every partial sum of integers is exact in float32.
pub(crate) const FLOAT32_EXACT: f64 = 16_777_216.0;

/// A bound of the magnitude of a sum of products less its zero-point corrections, which is
/// `sum of m(a, w) - a * w + (a - z) * (w - y)`; a single product `m(a, w)` is at most `product` in magnitude.
pub(crate) fn corrected_sum(product: f64, grids: [CodeGrid; 2], geometry: &Geometry) -> f64 {
    let [activation, weight] = grids;
    let code = |grid: CodeGrid| f64::from(grid.high.max(-grid.low));
    let span = |grid: CodeGrid| f64::from(grid.high - grid.low);
    let corrections = match (activation.symmetric, weight.symmetric) {
        (true, true) => 0.0,
        _ => code(activation) * code(weight) + span(activation) * span(weight),
    };
    geometry.inner() as f64 * (product + corrections)
}

/// Whether products of factors are exact in two 32-bit words: every factor, the weight's with its scale, has 32 bits.
pub(crate) fn factors_fit_in_32_bits(factors: &Factors) -> bool {
    factors
        .terms
        .iter()
        .zip(&factors.extremes)
        .all(|(term, [activation, weight])| {
            let scale = term.scale.unsigned_abs() as f64;
            largest(*activation) < TWO_TO_31 && scale * largest(*weight) < TWO_TO_31
        })
}
