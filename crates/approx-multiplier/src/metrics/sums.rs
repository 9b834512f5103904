//! Sums over operand pairs, from which error metrics are made.

use super::error_metrics::ErrorMetrics;
use crate::table::index_bits;
use crate::{Coverage, Multiplier};

/// Sums that are added to side by side, which the compiler can turn into vector instructions.
const LANES: usize = 4;

/// Sums over operand pairs, each weighted with its probability.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    probability: f64,
    probability_of_nonzero: f64,
    probability_of_error: f64,
    error: f64,
    absolute: f64,
    relative: f64,
    squared: f64,
    largest_absolute: f64,
    largest_relative: f64,
}

impl Sums {
    /// The sums over one activation and all weights.
    pub(super) fn of_row(
        references: &[f64],
        products: &[f64],
        probability: impl Fn(usize) -> f64,
    ) -> Self {
        let mut lanes = [Self::default(); LANES];
        let (references, products) = (
            references.as_chunks::<LANES>(),
            products.as_chunks::<LANES>(),
        );
        debug_assert!(products.1.is_empty(), "operands have at least four codes");
        for (chunk, (references, products)) in references.0.iter().zip(products.0).enumerate() {
            for (lane, sums) in lanes.iter_mut().enumerate() {
                sums.add(
                    references[lane],
                    products[lane],
                    probability(chunk * LANES + lane),
                );
            }
        }
        let mut sums = Self::default();
        for lane in lanes {
            sums.merge(lane);
        }
        sums
    }

    /// Adds a pair without branches, so that several can be added side by side.
    #[inline(always)]
    pub(super) fn add(&mut self, exact: f64, product: f64, probability: f64) {
        let counts = probability != 0.0;
        let error = if counts { product - exact } else { 0.0 };
        let absolute = error.abs();
        let (nonzero, relative) = if counts && exact != 0.0 {
            (probability, absolute / exact.abs())
        } else {
            (0.0, 0.0)
        };
        self.probability += probability;
        self.probability_of_nonzero += nonzero;
        self.probability_of_error += if error != 0.0 { probability } else { 0.0 };
        self.error += probability * error;
        self.absolute += probability * absolute;
        self.relative += probability * relative;
        self.squared += probability * (error * error);
        self.largest_absolute = larger(self.largest_absolute, absolute);
        self.largest_relative = larger(self.largest_relative, relative);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.probability += other.probability;
        self.probability_of_nonzero += other.probability_of_nonzero;
        self.probability_of_error += other.probability_of_error;
        self.error += other.error;
        self.absolute += other.absolute;
        self.relative += other.relative;
        self.squared += other.squared;
        self.largest_absolute = larger(self.largest_absolute, other.largest_absolute);
        self.largest_relative = larger(self.largest_relative, other.largest_relative);
    }

    pub(super) fn finish(self, multiplier: &Multiplier, coverage: Coverage) -> ErrorMetrics {
        let mean = |sum: f64, probability: f64| {
            if probability == 0.0 {
                0.0
            } else {
                sum / probability
            }
        };
        let range = f64::from(index_bits(multiplier.activation(), multiplier.weight())).exp2();
        let percent_of_range = |error: f64| 100.0 * error / range;
        let mae = mean(self.absolute, self.probability);
        let bias = mean(self.error, self.probability);
        ErrorMetrics {
            mae,
            mae_percent: percent_of_range(mae),
            wce: self.largest_absolute,
            wce_percent: percent_of_range(self.largest_absolute),
            wcre_percent: 100.0 * self.largest_relative,
            ep_percent: 100.0 * mean(self.probability_of_error, self.probability),
            mre_percent: 100.0 * mean(self.relative, self.probability_of_nonzero),
            mse: mean(self.squared, self.probability),
            bias,
            bias_percent: percent_of_range(bias),
            coverage,
        }
    }
}

/// The larger one of two numbers. `f64::max` would ask each of them whether it is a NaN.
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}
