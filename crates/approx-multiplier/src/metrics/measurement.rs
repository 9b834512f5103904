//! How error metrics are measured: over all operand pairs, over all pairs weighted by how often a network meets them,
//! or over a random sample where there are too many.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::distribution::OperandDistribution;
use super::error_metrics::ErrorMetrics;
use super::rows::Rows;
use super::sums::Sums;
use crate::table::index_bits;
use crate::{Coverage, Definition, MAX_INDEX_BITS, Multiplier, MultiplierError};

impl ErrorMetrics {
    /// Measures a multiplier over all operand pairs, each as likely as every other. Those of 16 x 16 bits take about a
    /// quarter of a minute.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::TooManyPairs`] for an HTP model of more than [`MAX_INDEX_BITS`] index bits, which
    /// [`measure_sampled`](Self::measure_sampled) takes.
    pub fn measure(multiplier: &Multiplier) -> Result<Self, MultiplierError> {
        Self::measure_against(multiplier, &exact_of(multiplier))
    }

    /// Measures how far a multiplier is from another one, over all operand pairs: the error is then
    /// `e = m(a, b) - reference(a, b)`, and relative errors are relative to the reference's products.
    ///
    /// ```
    /// use approx_multiplier::{ErrorMetrics, Multiplier, evoapprox};
    ///
    /// // How well a High-Throughput model stands in for its circuit.
    /// let circuit = evoapprox::multiplier("mul8s_1KV9")?;
    /// let model = Multiplier::from_htp(evoapprox::htp("mul8s_1KV9")?);
    /// let deviation = ErrorMetrics::measure_against(&model, &circuit)?;
    /// assert!((deviation.wce - 7.2).abs() < 1e-9);
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MultiplierError::DifferentFormats`] if the two have other operand formats, and
    /// [`MultiplierError::TooManyPairs`] if one is an HTP model of more than [`MAX_INDEX_BITS`] index bits.
    pub fn measure_against(
        multiplier: &Multiplier,
        reference: &Multiplier,
    ) -> Result<Self, MultiplierError> {
        Self::exhaustive(multiplier, reference, |_, _| 1.0)
    }

    /// Measures a multiplier over all operand pairs, weighted by how likely they are: a neural network's codes are far
    /// from uniformly distributed. Maxima are over the pairs whose probability is not 0.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::DistributionFormats`] if the distribution is for other operand formats, and
    /// [`MultiplierError::TooManyPairs`].
    pub fn measure_weighted(
        multiplier: &Multiplier,
        distribution: &OperandDistribution,
    ) -> Result<Self, MultiplierError> {
        if (distribution.activation(), distribution.weight())
            != (multiplier.activation(), multiplier.weight())
        {
            return Err(MultiplierError::DistributionFormats {
                name: multiplier.name().into(),
                activation: multiplier.activation(),
                weight: multiplier.weight(),
                found_activation: distribution.activation(),
                found_weight: distribution.weight(),
            });
        }
        Self::exhaustive(multiplier, &exact_of(multiplier), |a, b| {
            distribution.probability_of_patterns(a, b)
        })
    }

    /// Measures a multiplier over `pairs` operand pairs drawn at random with replacement, each as likely as every
    /// other. The same seed draws the same pairs.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::NoPairs`] if `pairs` is 0.
    pub fn measure_sampled(
        multiplier: &Multiplier,
        pairs: u64,
        seed: u64,
    ) -> Result<Self, MultiplierError> {
        Self::measure_sampled_against(multiplier, &exact_of(multiplier), pairs, seed)
    }

    /// Measures how far a multiplier is from another one, as [`measure_against`](Self::measure_against) does, over a
    /// random sample, as [`measure_sampled`](Self::measure_sampled) draws it.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::DifferentFormats`] and [`MultiplierError::NoPairs`].
    pub fn measure_sampled_against(
        multiplier: &Multiplier,
        reference: &Multiplier,
        pairs: u64,
        seed: u64,
    ) -> Result<Self, MultiplierError> {
        check_formats(multiplier, reference)?;
        if pairs == 0 {
            return Err(MultiplierError::NoPairs);
        }
        let (activation, weight) = (multiplier.activation(), multiplier.weight());
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut sums = Sums::default();
        for _ in 0..pairs {
            let bits = random.next_u64() as usize;
            let (a, b) = (
                activation.code(bits),
                weight.code(bits >> activation.bits()),
            );
            sums.add(reference.evaluate(a, b), multiplier.evaluate(a, b), 1.0);
        }
        Ok(sums.finish(multiplier, Coverage::Sampled { pairs, seed }))
    }

    /// Measures over all pairs, with the probability of a pair of patterns up to a common factor.
    fn exhaustive(
        multiplier: &Multiplier,
        reference: &Multiplier,
        probability: impl Fn(usize, usize) -> f64,
    ) -> Result<Self, MultiplierError> {
        check_formats(multiplier, reference)?;
        let (activation, weight) = (multiplier.activation(), multiplier.weight());
        let index_bits = index_bits(activation, weight);
        let coverage = Coverage::Exhaustive {
            pairs: 1 << index_bits,
        };
        let both = [multiplier, reference];
        if both.map(Multiplier::definition) == [&Definition::Exact; 2] {
            // Nothing to add up, however many pairs there are.
            return Ok(Sums::default().finish(multiplier, coverage));
        }
        let model = both
            .into_iter()
            .find(|multiplier| matches!(multiplier.definition(), Definition::Htp(_)));
        if let Some(model) = model
            && index_bits > MAX_INDEX_BITS
        {
            return Err(MultiplierError::TooManyPairs {
                name: model.name().into(),
                index_bits,
            });
        }
        let [rows, reference_rows] = both.map(Rows::of);
        let mut products = vec![0.0; weight.cardinality()];
        let mut references = products.clone();
        let mut sums = Sums::default();
        for i in 0..activation.cardinality() {
            rows.read(i, &mut products);
            reference_rows.read(i, &mut references);
            // Summed row by row, so that small addends are not lost beside a large sum.
            sums.merge(Sums::of_row(&references, &products, |j| probability(i, j)));
        }
        Ok(sums.finish(multiplier, coverage))
    }
}

/// The exact multiplier of the same formats.
fn exact_of(multiplier: &Multiplier) -> Multiplier {
    Multiplier::exact(multiplier.activation(), multiplier.weight())
}

pub(super) fn check_formats(
    multiplier: &Multiplier,
    reference: &Multiplier,
) -> Result<(), MultiplierError> {
    let formats = |multiplier: &Multiplier| (multiplier.activation(), multiplier.weight());
    if formats(multiplier) == formats(reference) {
        return Ok(());
    }
    Err(MultiplierError::DifferentFormats {
        name: multiplier.name().into(),
        activation: multiplier.activation(),
        weight: multiplier.weight(),
        other_name: reference.name().into(),
        other_activation: reference.activation(),
        other_weight: reference.weight(),
    })
}
