//! How exact products of integer factors are in float32, which holds integers up to 2^24.

use super::bounds::{FLOAT32_EXACT, TWO_TO_31, corrected_sum};
use super::execution::Exactness;
use super::target::Target;
use crate::codes::CodeGrid;
use crate::geometry::Geometry;
use crate::multiplier::{Factors, largest};

/// The most partial sums that a sum is cut into to keep each exact: each is a pass over the result.
const MOST_PARTS: usize = 16;

/// The largest magnitude of a digit that values are split into for matrix units that round to TF32.
const LARGEST_DIGIT: f64 = 1024.0;
/// The largest integer up to which TF32 holds all.
const TF32_EXACT: f64 = 2048.0;

/// Whether a device's matrix units round to TF32.
fn rounds_to_tf32(target: Target) -> bool {
    target
        == Target::Gpu {
            tensor_float32: true,
        }
}

/// How exact the float32 product of factors is on some device.
pub(super) fn exactness(
    factors: &Factors,
    grids: [CodeGrid; 2],
    geometry: &Geometry,
    target: Target,
) -> Exactness {
    match target {
        Target::Host => on_host(factors, grids, geometry),
        Target::Gpu { .. } => match exact_depth(factors, grids, geometry, target) {
            Some(_) => Exactness::Integer,
            None => {
                let product = geometry.inner() as f64 * largest_term(factors, grids, target);
                let corrected = corrected_sum(factors.largest_product(), grids, geometry);
                rounded(factors, geometry, product + corrected)
            }
        },
    }
}

/// How many products, taken one after the other, a float32 sum holds exactly on a GPU, where sums are cut into parts of
/// so many input channels and the parts added as integers; `None` where that does not make all of a sum exact.
///
/// Constants per output channel are added as integers too, made from float32 sums of the weight's factors.
pub(super) fn exact_depth(
    factors: &Factors,
    grids: [CodeGrid; 2],
    geometry: &Geometry,
    target: Target,
) -> Option<usize> {
    let inner = geometry.inner();
    let corrected = corrected_sum(factors.largest_product(), grids, geometry);
    let weights = factors.terms.iter().zip(&factors.extremes);
    let largest_weight = weights
        .map(|(term, [_, weight])| term.scale.unsigned_abs() as f64 * largest(*weight))
        .chain([largest(ends(grids[1]))])
        .fold(0.0, f64::max);
    if corrected >= TWO_TO_31 || inner as f64 * largest_weight > FLOAT32_EXACT {
        return None;
    }
    let activations = factors
        .extremes
        .iter()
        .map(|[activation, _]| largest(*activation));
    if activations.fold(0.0, f64::max) > FLOAT32_EXACT {
        return None;
    }
    // The correction for the weight's zero point is not split into digits.
    let [activation, weight] = grids;
    let correction = f64::from(activation.high - activation.low).max(largest(ends(weight)));
    if rounds_to_tf32(target) && !weight.symmetric && correction > TF32_EXACT {
        return None;
    }
    let depth = FLOAT32_EXACT / largest_term(factors, grids, target);
    if depth >= inner as f64 {
        return Some(inner.max(1));
    }
    // Whole input channels, of one group.
    if !geometry.can_be_joined() {
        return None;
    }
    let taps = geometry.taps();
    let channels = depth as usize / taps;
    let parts = (inner / taps).div_ceil(channels.max(1));
    let fits = ((parts * geometry.outputs()) as f64) < TWO_TO_31;
    (channels > 0 && parts <= MOST_PARTS && fits).then_some(channels * taps)
}

/// The most one-operand products that a GPU's float32 product makes of the terms: of a term in digits, one for each
/// pair of them.
pub(super) fn products(factors: &Factors, target: Target) -> usize {
    let digits = |mut largest: f64| {
        let mut count = 1;
        while rounds_to_tf32(target) && largest > LARGEST_DIGIT {
            // What is left when the lowest digit, at most half of the base, is taken off.
            largest = (largest + LARGEST_DIGIT / 2.0) / LARGEST_DIGIT;
            count += 1;
        }
        count
    };
    let terms = factors.terms.iter().zip(&factors.extremes);
    let products = terms.map(|(term, [activation, weight])| {
        let scaled = term.scale.unsigned_abs() as f64 * largest(*weight);
        digits(largest(*activation)) * digits(scaled)
    });
    products.sum::<usize>().max(1)
}

/// The most values that a GPU's float32 product makes of one value of an operand: one for each product, and one for the
/// zero points.
pub(super) fn rows(factors: &Factors, target: Target) -> usize {
    products(factors, target) + 1
}

/// The parts that a GPU's float32 sums are cut into.
pub(super) fn parts(
    factors: &Factors,
    grids: [CodeGrid; 2],
    geometry: &Geometry,
    target: Target,
) -> usize {
    exact_depth(factors, grids, geometry, target)
        .map_or(1, |depth| geometry.inner().div_ceil(depth))
}

fn ends(grid: CodeGrid) -> (i64, i64) {
    (i64::from(grid.low), i64::from(grid.high))
}

/// A bound of what one product adds to a float32 sum on a GPU: all terms, the activation's factor less its value at the
/// zero point.
fn largest_term(factors: &Factors, [activation, weight]: [CodeGrid; 2], target: Target) -> f64 {
    // Of a value in digits, the digits' magnitudes add up to at most three times the largest value's, and those of a
    // difference to so much more than itself: two neighbours can have quite different digits.
    let in_digits = |largest: f64| match rounds_to_tf32(target) && largest > LARGEST_DIGIT {
        true => 3.0 * largest,
        false => 0.0,
    };
    let mut sum = 0.0;
    for (term, [values, weights]) in factors.terms.iter().zip(&factors.extremes) {
        let varying = match activation.symmetric {
            true => {
                let at_zero = term.activation[0];
                largest((values.0 - at_zero, values.1 - at_zero))
            }
            false => (values.1 - values.0).max(0) as f64,
        };
        let scaled = term.scale.unsigned_abs() as f64 * largest(*weights);
        sum += (varying + in_digits(largest(*values))) * scaled.max(in_digits(scaled));
    }
    if !weight.symmetric {
        // The correction for the weight's zero point.
        sum += f64::from(activation.high - activation.low) * largest(ends(weight));
    }
    sum.max(1.0)
}

/// What float32 makes of sums beyond 2^24.
fn rounded(factors: &Factors, geometry: &Geometry, bound: f64) -> Exactness {
    // Every product and sum, and what the factors and their constants go through before and after.
    let roundings = (2 * geometry.inner() * factors.terms.len().max(1) + 16) as f64;
    Exactness::Float32 {
        error_bound: roundings * bound / FLOAT32_EXACT,
    }
}

/// How exact the float32 product of factors is in one sum, by the largest values that they can have.
///
/// Integers and their partial sums are exact below 2^24; beyond it every one of n additions rounds by at most 2^-24 of
/// the largest partial sum.
fn on_host(
    factors: &Factors,
    [activation, weight]: [CodeGrid; 2],
    geometry: &Geometry,
) -> Exactness {
    let mut sum = 0.0;
    for (term, [values, weights]) in factors.terms.iter().zip(&factors.extremes) {
        // The activation's factor enters less its value at the zero point, which counts in a product of its own.
        let varying = (values.1 - values.0).max(0) as f64;
        let parts = varying + largest(*values);
        sum += term.scale.unsigned_abs() as f64 * parts * largest(*weights);
    }
    // The zero-point corrections.
    if !activation.symmetric {
        sum += largest(ends(activation)) * largest(ends(weight));
    }
    if !weight.symmetric {
        sum += f64::from(activation.high - activation.low) * largest(ends(weight));
    }
    let bound = geometry.inner() as f64 * sum;
    if bound < FLOAT32_EXACT {
        Exactness::Integer
    } else {
        rounded(factors, geometry, bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::CodeRange;
    use crate::multiplier::RankLimit;
    use approx_multiplier::{Multiplier, OperandFormat};

    #[test]
    fn digits_multiply_the_products_where_matrix_units_round() {
        for (bits, in_digits) in [(8, 1), (12, 4)] {
            let format = OperandFormat::signed(bits).unwrap();
            let multiplier = Multiplier::exact(format, format);
            let codes = CodeRange::new(format.min_code(), format.max_code()).unwrap();
            let factors = Factors::of(&multiplier, [codes; 2], RankLimit::Worthwhile).unwrap();
            for (tensor_float32, expected) in [(false, 1), (true, in_digits)] {
                let target = Target::Gpu { tensor_float32 };
                assert_eq!(products(&factors, target), expected, "{bits} bits");
            }
        }
    }
}
