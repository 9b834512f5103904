//! Truncated factorisations: a table by fewer terms than its rank, in floating point, with how wrong that is.
//!
//! The best approximation of a matrix by few terms, in the mean square, are the largest terms of its singular value
//! decomposition (SVD), which `singular_values` computes. The same table gives the same factors.

use std::ops::RangeInclusive;

use super::codes::{all_codes, by_pattern, checked_codes, count};
use super::singular_values::largest_terms;
use crate::{FactorizationForm, MultiplierError, OperandFormat, ProductTable};

/// One term of a [`TruncatedFactorization`]: `activation[a] * weight[b]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TruncatedTerm {
    activation: Vec<f64>,
    weight: Vec<f64>,
}

impl TruncatedTerm {
    /// The activation's factor by its bit pattern; 0 for codes that were left out.
    pub fn activation(&self) -> &[f64] {
        &self.activation
    }

    /// The weight's factor by its bit pattern; 0 for codes that were left out.
    pub fn weight(&self) -> &[f64] {
        &self.weight
    }
}

/// A multiplier approximated by fewer terms than a [`Factorization`](crate::Factorization) needs, with real factors:
/// `m(a, b) ~ sum over r of u_r(a) * v_r(b)`, plus `a * b` in the [error form](FactorizationForm::Error).
///
/// ```
/// use approx_multiplier::{FactorizationForm, TruncatedFactorization, evoapprox};
///
/// // Its error has rank 9: three terms leave some of it.
/// let table = evoapprox::multiplier("mul8u_R92")?.to_table()?;
/// let truncated = TruncatedFactorization::of(&table, FactorizationForm::Error, 3)?;
/// assert_eq!(truncated.terms().len(), 3);
/// assert!(truncated.mean_error() <= truncated.rms_error());
/// assert!(truncated.rms_error() <= truncated.largest_error());
/// let difference = truncated.evaluate(200, 100).unwrap() - f64::from(table.get(200, 100));
/// assert!(difference.abs() <= truncated.largest_error());
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TruncatedFactorization {
    activation: OperandFormat,
    weight: OperandFormat,
    activation_codes: RangeInclusive<i32>,
    weight_codes: RangeInclusive<i32>,
    form: FactorizationForm,
    terms: Vec<TruncatedTerm>,
    largest_error: f64,
    mean_error: f64,
    rms_error: f64,
}

impl TruncatedFactorization {
    /// Approximates a table, or its error, by `rank` terms, or by fewer if that many are as good as exact.
    ///
    /// The terms are the ones with the least mean square error over all operand pairs; of tables with more than 512
    /// codes of both operands they come close to it.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::RankOutOfRange`] if `rank` is above the number of codes of an operand.
    pub fn of(
        table: &ProductTable,
        form: FactorizationForm,
        rank: usize,
    ) -> Result<Self, MultiplierError> {
        let (activation, weight) = (all_codes(table.activation()), all_codes(table.weight()));
        Self::of_codes(table, form, rank, activation, weight)
    }

    /// The best approximation of a table, or of its error, for the codes that occur: those are approximated at least as
    /// well, in the mean square, as by terms that have to do for all codes.
    ///
    /// ```
    /// use approx_multiplier::{FactorizationForm, TruncatedFactorization, evoapprox};
    ///
    /// let table = evoapprox::multiplier("mul8u_R92")?.to_table()?;
    /// let truncated = TruncatedFactorization::of_codes(&table, FactorizationForm::Error, 3, 0..=127, 0..=255)?;
    /// let difference = truncated.evaluate(127, 255).unwrap() - f64::from(table.get(127, 255));
    /// assert!(difference.abs() <= truncated.largest_error());
    /// assert_eq!(truncated.evaluate(128, 0), None);
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`of`](Self::of), and [`MultiplierError::CodesOutOfFormat`] if a range of codes is empty or not of the
    /// operand's format.
    pub fn of_codes(
        table: &ProductTable,
        form: FactorizationForm,
        rank: usize,
        activation_codes: RangeInclusive<i32>,
        weight_codes: RangeInclusive<i32>,
    ) -> Result<Self, MultiplierError> {
        let (activation, weight) = (table.activation(), table.weight());
        let activation_codes = checked_codes(Some(&activation_codes), activation)?;
        let weight_codes = checked_codes(Some(&weight_codes), weight)?;
        let codes = count(&activation_codes).min(count(&weight_codes));
        if rank > codes {
            return Err(MultiplierError::RankOutOfRange { rank, codes });
        }
        let matrix: Vec<Vec<f64>> = activation_codes
            .clone()
            .map(|a| {
                weight_codes
                    .clone()
                    .map(|b| f64::from(table.get(a, b)) - plain(form, a, b))
                    .collect()
            })
            .collect();
        let terms = largest_terms(matrix, rank)
            .into_iter()
            .map(|(rows, columns)| TruncatedTerm {
                activation: by_pattern(activation, &activation_codes, rows),
                weight: by_pattern(weight, &weight_codes, columns),
            })
            .collect();
        let mut truncated = Self {
            activation,
            weight,
            activation_codes: activation_codes.clone(),
            weight_codes: weight_codes.clone(),
            form,
            terms,
            largest_error: 0.0,
            mean_error: 0.0,
            rms_error: 0.0,
        };
        let (mut sum, mut squares) = (0.0, 0.0);
        for a in activation_codes.clone() {
            for b in weight_codes.clone() {
                let error = (truncated.product_of(a, b) - f64::from(table.get(a, b))).abs();
                truncated.largest_error = truncated.largest_error.max(error);
                sum += error;
                squares += error * error;
            }
        }
        let pairs = (count(&activation_codes) * count(&weight_codes)) as f64;
        truncated.mean_error = sum / pairs;
        truncated.rms_error = (squares / pairs).sqrt();
        Ok(truncated)
    }
    /// Format of the activation.
    pub fn activation(&self) -> OperandFormat {
        self.activation
    }

    /// Format of the weight.
    pub fn weight(&self) -> OperandFormat {
        self.weight
    }

    /// The activation codes that are approximated: those of the format unless a range was asked for.
    pub fn activation_codes(&self) -> RangeInclusive<i32> {
        self.activation_codes.clone()
    }

    /// The weight codes that are approximated: those of the format unless a range was asked for.
    pub fn weight_codes(&self) -> RangeInclusive<i32> {
        self.weight_codes.clone()
    }

    /// What the terms approximate.
    pub fn form(&self) -> FactorizationForm {
        self.form
    }

    /// The terms, the largest one first.
    pub fn terms(&self) -> &[TruncatedTerm] {
        &self.terms
    }

    /// The largest deviation of a product from the table's.
    pub fn largest_error(&self) -> f64 {
        self.largest_error
    }

    /// The mean of the products' absolute deviations from the table's.
    pub fn mean_error(&self) -> f64 {
        self.mean_error
    }

    /// The root of the mean square deviation of the products from the table's.
    pub fn rms_error(&self) -> f64 {
        self.rms_error
    }

    /// The approximated product of an activation code and a weight code; `None` outside of the
    /// [ranges](Self::activation_codes) that it was made for.
    pub fn evaluate(&self, a: i32, b: i32) -> Option<f64> {
        (self.activation_codes.contains(&a) && self.weight_codes.contains(&b))
            .then(|| self.product_of(a, b))
    }

    fn product_of(&self, a: i32, b: i32) -> f64 {
        let (row, column) = (self.activation.pattern(a), self.weight.pattern(b));
        self.terms.iter().fold(plain(self.form, a, b), |sum, term| {
            sum + term.activation[row] * term.weight[column]
        })
    }
}

/// What a form leaves to the plain product.
fn plain(form: FactorizationForm, a: i32, b: i32) -> f64 {
    match form {
        FactorizationForm::Table => 0.0,
        FactorizationForm::Error => f64::from(a) * f64::from(b),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{Factorization, FactorizationOptions, evoapprox};

    /// `12 u1 v1 + u2 v2` with orthogonal vectors of ones: these are the singular vectors.
    fn orthogonal(bits: u8) -> ProductTable {
        let format = OperandFormat::unsigned(bits).unwrap();
        let sign = |code: i64, bit: i64| if code & bit == 0 { 1 } else { -1 };
        ProductTable::from_fn(format, format, |a, b| {
            12 * sign(a, 1) * sign(b, 2) + sign(a, 2) * sign(b, 1)
        })
        .unwrap()
    }

    #[rstest]
    #[case(3)]
    #[case(8)]
    #[case(10)]
    fn the_largest_terms_are_kept(#[case] bits: u8) {
        let table = orthogonal(bits);
        let one = TruncatedFactorization::of(&table, FactorizationForm::Table, 1).unwrap();
        for error in [one.largest_error(), one.mean_error(), one.rms_error()] {
            assert!((error - 1.0).abs() < 1e-9, "{error}");
        }
        // A third term would be 0.
        let all = TruncatedFactorization::of(&table, FactorizationForm::Table, 3).unwrap();
        assert_eq!(all.terms().len(), 2);
        assert!(all.largest_error() < 1e-9);
        let none = TruncatedFactorization::of(&table, FactorizationForm::Table, 0).unwrap();
        assert_eq!((none.terms().len(), none.largest_error()), (0, 13.0));
    }

    #[test]
    fn errors_fall_with_the_rank_until_it_is_exact() {
        let table = evoapprox::multiplier("mul8u_R92")
            .unwrap()
            .to_table()
            .unwrap();
        let options = FactorizationOptions {
            form: Some(FactorizationForm::Error),
            ..FactorizationOptions::default()
        };
        let rank = Factorization::of(&table, &options).unwrap().rank();
        let mut before = f64::INFINITY;
        for terms in 0..=rank {
            let truncated =
                TruncatedFactorization::of(&table, FactorizationForm::Error, terms).unwrap();
            assert!(truncated.rms_error() < before);
            before = truncated.rms_error();
        }
        assert!(before < 1e-6, "{before}");
    }

    #[test]
    fn operands_of_different_widths() {
        let wide = OperandFormat::signed(6).unwrap();
        let narrow = OperandFormat::unsigned(3).unwrap();
        for (activation, weight) in [(wide, narrow), (narrow, wide)] {
            let table = ProductTable::from_fn(activation, weight, |a, b| (a * b) & !3).unwrap();
            let truncated =
                TruncatedFactorization::of(&table, FactorizationForm::Table, 8).unwrap();
            assert!(truncated.largest_error() < 1e-9);
            let error =
                TruncatedFactorization::of(&table, FactorizationForm::Table, 9).unwrap_err();
            assert!(matches!(
                error,
                MultiplierError::RankOutOfRange { rank: 9, codes: 8 }
            ));
        }
    }

    /// What lies in other codes does not count, not even the error's largest values.
    #[test]
    fn codes_can_be_left_out() {
        let format = OperandFormat::signed(4).unwrap();
        let table = ProductTable::from_fn(format, format, |a, b| {
            if a < -5 || b > 3 {
                1000 * (a ^ b)
            } else {
                a * b + 3 * (a & 1) * (b & 2)
            }
        })
        .unwrap();
        let few = |rank| {
            TruncatedFactorization::of_codes(&table, FactorizationForm::Error, rank, -5..=7, -8..=3)
        };
        let exact = few(1).unwrap();
        assert_eq!(
            (exact.activation_codes(), exact.weight_codes()),
            (-5..=7, -8..=3)
        );
        assert!(exact.largest_error() < 1e-12);
        assert!((exact.evaluate(-5, 3).unwrap() - f64::from(table.get(-5, 3))).abs() < 1e-12);
        assert_eq!((exact.evaluate(-6, 0), exact.evaluate(0, 4)), (None, None));
        let none = few(0).unwrap();
        assert_eq!(none.largest_error(), 6.0);
        assert!((none.mean_error() - 6.0 * 7.0 * 6.0 / (13.0 * 12.0)).abs() < 1e-12);
        for term in exact.terms() {
            assert_eq!(term.activation()[format.pattern(-6)], 0.0);
            assert_eq!(term.weight()[format.pattern(4)], 0.0);
        }
        assert!(matches!(
            few(13),
            Err(MultiplierError::RankOutOfRange {
                rank: 13,
                codes: 12
            })
        ));
        assert!(matches!(
            TruncatedFactorization::of_codes(&table, FactorizationForm::Table, 1, 0..=8, 0..=3),
            Err(MultiplierError::CodesOutOfFormat {
                low: 0,
                high: 8,
                ..
            })
        ));
    }

    #[test]
    fn fewer_codes_are_approximated_at_least_as_well() {
        let circuit = evoapprox::multiplier("mul8u_R92").unwrap();
        let table = circuit.to_table().unwrap();
        for (form, rank) in [
            (FactorizationForm::Table, 2),
            (FactorizationForm::Error, 3),
            (FactorizationForm::Error, 5),
        ] {
            let all = TruncatedFactorization::of(&table, form, rank).unwrap();
            let few =
                TruncatedFactorization::of_codes(&table, form, rank, 20..=127, 0..=99).unwrap();
            let squares = |truncated: &TruncatedFactorization| -> f64 {
                (20..=127)
                    .flat_map(|a| (0..=99).map(move |b| (a, b)))
                    .map(|(a, b)| {
                        let error = truncated.evaluate(a, b).unwrap() - f64::from(table.get(a, b));
                        error * error
                    })
                    .sum()
            };
            let mean = squares(&few) / (108.0 * 100.0);
            assert!((few.rms_error() - mean.sqrt()).abs() <= 1e-9 * mean.sqrt());
            assert!(squares(&few) <= squares(&all), "{form} {rank}");
        }
    }

    #[test]
    fn the_same_table_gives_the_same_factors() {
        let table = evoapprox::multiplier("mul8u_2NDH")
            .unwrap()
            .to_table()
            .unwrap();
        let first = TruncatedFactorization::of(&table, FactorizationForm::Error, 4).unwrap();
        assert_eq!(
            TruncatedFactorization::of(&table, FactorizationForm::Error, 4).unwrap(),
            first
        );
    }
}
