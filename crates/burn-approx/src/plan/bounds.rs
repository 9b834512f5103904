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

#[cfg(test)]
mod tests {
    use approx_cpu::MatmulShape;
    use approx_multiplier::{Multiplier, OperandFormat};

    use super::*;
    use crate::codes::CodeRange;
    use crate::multiplier::RankLimit;

    fn grid(low: i32, high: i32, symmetric: bool) -> CodeGrid {
        CodeGrid {
            low,
            high,
            symmetric,
            channel_axis: None,
        }
    }

    fn depth(inner: usize) -> Geometry {
        Geometry::Matmul(MatmulShape {
            rows: 2,
            inner,
            columns: 3,
        })
    }

    /// The largest magnitude of a product less its corrections, over all codes and zero points, by a plain loop.
    fn largest_corrected(product: i64, [activation, weight]: [CodeGrid; 2]) -> i64 {
        let codes = |grid: CodeGrid| i64::from(grid.low)..=i64::from(grid.high);
        let zeros = |grid: CodeGrid| match grid.symmetric {
            true => 0..=0,
            false => codes(grid),
        };
        let mut largest = 0;
        for a in codes(activation) {
            for w in codes(weight) {
                for z in zeros(activation) {
                    for y in zeros(weight) {
                        let corrections = (a - z) * (w - y) - a * w;
                        for product in [-product, product] {
                            largest = largest.max((product + corrections).abs());
                        }
                    }
                }
            }
        }
        largest
    }

    /// No sum exceeds the bound, and the bound is no more than twice the largest sum.
    #[test]
    fn corrected_sums_are_bounded_closely() {
        for (activation, weight) in [
            (grid(-8, 7, true), grid(-7, 7, true)),
            (grid(-8, 7, false), grid(-8, 7, false)),
            (grid(-7, 7, true), grid(0, 15, false)),
            (grid(0, 15, false), grid(-7, 7, true)),
            (grid(0, 15, false), grid(0, 15, false)),
            (grid(-2, 9, false), grid(-1, 3, false)),
        ] {
            for inner in [1, 17] {
                let grids = [activation, weight];
                let product = 15 * 15;
                let found = inner as i64 * largest_corrected(product, grids);
                let bound = corrected_sum(product as f64, grids, &depth(inner));
                assert!(found as f64 <= bound, "{grids:?}: {found} > {bound}");
                assert!(bound <= 2.0 * found as f64, "{grids:?}: {found}, {bound}");
            }
        }
    }

    #[test]
    fn sums_without_zero_points_have_no_corrections() {
        let symmetric = grid(-8, 7, true);
        let bound = corrected_sum(100.0, [symmetric; 2], &depth(17));
        assert_eq!(bound, 1700.0);
        let affine = grid(-8, 7, false);
        assert!(corrected_sum(100.0, [symmetric, affine], &depth(17)) > bound);
        assert!(corrected_sum(100.0, [affine, symmetric], &depth(17)) > bound);
    }

    #[test]
    fn factors_beyond_32_bits_are_found() {
        let wide = OperandFormat::signed(16).unwrap();
        let codes = CodeRange::full(wide);
        for (shift, fits) in [(0, true), (14, true), (17, false), (28, false)] {
            let multiplier =
                Multiplier::from_fn_factored("shifted", wide, wide, move |a, b| (a * b) << shift);
            let factors = Factors::of(&multiplier.unwrap(), [codes; 2], RankLimit::Wide).unwrap();
            assert_eq!(factors_fit_in_32_bits(&factors), fits, "shifted by {shift}");
        }
    }
}
