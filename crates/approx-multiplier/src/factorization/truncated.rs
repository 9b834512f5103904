//! Truncated factorisations: a table by fewer terms than its rank, in floating point, with how wrong that is.
//!
//! The best approximation of a matrix by few terms, in the mean square, are the largest terms of its singular value
//! decomposition (SVD). It is computed by Jacobi rotations; of a large table only the few largest terms, after a subspace
//! that holds them was found by repeated multiplication. Everything runs in a fixed order from fixed numbers, so the same
//! table gives the same factors.

use std::ops::RangeInclusive;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::codes::{all_codes, by_pattern, checked_codes, count};
use crate::{FactorizationForm, MultiplierError, OperandFormat, ProductTable};

/// Up to this many codes of the operand with fewer of them, all singular values are computed.
const COMPLETE: usize = 512;

/// Dimensions of the subspace beyond the number of terms: they speed its convergence up.
const SPARE_DIMENSIONS: usize = 16;

/// Multiplications with the table and its transpose.
const SUBSPACE_STEPS: usize = 12;

/// Rounds over all pairs of rows, after which Jacobi rotations have long converged.
const MAX_SWEEPS: usize = 60;

/// The cosine below which two vectors count as orthogonal, which is about as precise as it can be computed.
const ORTHOGONAL: f64 = 1e-13;

/// The share of a matrix's norm below which a row counts as 0: it holds rounding errors, which no rotation makes
/// orthogonal.
const NEGLIGIBLE: f64 = 1e-14;

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
    /// The terms are the ones with the least mean square error over all operand pairs; of tables with more than 512 codes
    /// of both operands they come close to it.
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

    /// The same for the codes that occur: those are approximated at least as well, in the mean square, as by terms that have
    /// to do for all codes.
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
            .map(|term| TruncatedTerm {
                activation: by_pattern(activation, &activation_codes, term.activation),
                weight: by_pattern(weight, &weight_codes, term.weight),
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

/// The terms of the largest singular values, up to `rank` of those that are not negligible.
fn largest_terms(matrix: Vec<Vec<f64>>, rank: usize) -> Vec<TruncatedTerm> {
    if rank == 0 {
        return Vec::new();
    }
    let (row_count, column_count) = (matrix.len(), matrix[0].len());
    if row_count > column_count {
        // The smaller side has fewer rows to rotate.
        return largest_terms(transposed(&matrix), rank)
            .into_iter()
            .map(|term| TruncatedTerm {
                activation: term.weight,
                weight: term.activation,
            })
            .collect();
    }
    let subspace = (row_count > COMPLETE && rank + SPARE_DIMENSIONS < row_count)
        .then(|| dominant_subspace(&matrix, rank + SPARE_DIMENSIONS));
    // The rows to be made orthogonal, and what each of them is made of.
    let mut rows = match &subspace {
        Some(vectors) => left_multiplied(vectors, &matrix),
        None => matrix,
    };
    let mut origins: Vec<Vec<f64>> = match subspace {
        Some(vectors) => vectors,
        None => (0..row_count)
            .map(|index| {
                (0..row_count)
                    .map(|other| f64::from(u8::from(index == other)))
                    .collect()
            })
            .collect(),
    };
    rotate(&mut rows, &mut origins);

    let mut order: Vec<(f64, usize)> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| (dot(row, row).sqrt(), index))
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let negligible = order[0].0 * f64::EPSILON * column_count as f64;
    order
        .into_iter()
        .take(rank)
        .filter(|&(singular_value, _)| singular_value > negligible)
        .map(|(singular_value, index)| {
            // Both sides get the same share of the singular value.
            let share = singular_value.sqrt();
            TruncatedTerm {
                activation: origins[index].iter().map(|value| value * share).collect(),
                weight: rows[index].iter().map(|value| value / share).collect(),
            }
        })
        .collect()
}

/// Rotates rows pairwise until they are orthogonal (one-sided Jacobi), and the vectors that they are made of alike.
fn rotate(rows: &mut [Vec<f64>], origins: &mut [Vec<f64>]) {
    let total: f64 = rows.iter().map(|row| dot(row, row)).sum();
    let negligible = total * NEGLIGIBLE * NEGLIGIBLE;
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for i in 0..rows.len() {
            for j in i + 1..rows.len() {
                let (first, second) = (dot(&rows[i], &rows[i]), dot(&rows[j], &rows[j]));
                if first <= negligible || second <= negligible {
                    continue;
                }
                let product = dot(&rows[i], &rows[j]);
                if product.abs() <= ORTHOGONAL * (first * second).sqrt() {
                    continue;
                }
                rotated = true;
                let cotangent = (second - first) / (2.0 * product);
                let tangent =
                    cotangent.signum() / (cotangent.abs() + (1.0 + cotangent * cotangent).sqrt());
                let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
                rotate_pair(rows, i, j, cosine, cosine * tangent);
                rotate_pair(origins, i, j, cosine, cosine * tangent);
            }
        }
        if !rotated {
            return;
        }
    }
}

fn rotate_pair(vectors: &mut [Vec<f64>], i: usize, j: usize, cosine: f64, sine: f64) {
    let (before, after) = vectors.split_at_mut(j);
    for (first, second) in before[i].iter_mut().zip(&mut after[0]) {
        (*first, *second) = (
            cosine * *first - sine * *second,
            sine * *first + cosine * *second,
        );
    }
}

/// Orthonormal vectors that span close to what the largest singular values' left vectors span.
fn dominant_subspace(matrix: &[Vec<f64>], dimension: usize) -> Vec<Vec<f64>> {
    let transposed = transposed(matrix);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut vectors: Vec<Vec<f64>> = (0..dimension)
        .map(|_| {
            matrix
                .iter()
                .map(|_| random.next_u64() as f64 / u64::MAX as f64 - 0.5)
                .collect()
        })
        .collect();
    for _ in 0..SUBSPACE_STEPS {
        orthonormalise(&mut vectors);
        vectors = left_multiplied(&vectors, matrix);
        orthonormalise(&mut vectors);
        vectors = left_multiplied(&vectors, &transposed);
    }
    orthonormalise(&mut vectors);
    vectors
}

/// Makes vectors orthonormal and leaves out those that depend on earlier ones.
fn orthonormalise(vectors: &mut Vec<Vec<f64>>) {
    let mut done: Vec<Vec<f64>> = Vec::new();
    for mut vector in vectors.drain(..) {
        let before = dot(&vector, &vector).sqrt();
        // Twice, because the first time rounds where vectors are nearly dependent.
        for _ in 0..2 {
            for other in &done {
                let share = dot(&vector, other);
                for (value, other) in vector.iter_mut().zip(other) {
                    *value -= share * other;
                }
            }
        }
        let length = dot(&vector, &vector).sqrt();
        if length > before * 1e-13 {
            vector.iter_mut().for_each(|value| *value /= length);
            done.push(vector);
        }
    }
    *vectors = done;
}

/// Every vector times the matrix.
fn left_multiplied(vectors: &[Vec<f64>], matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    vectors
        .iter()
        .map(|vector| {
            let mut result = vec![0.0; matrix[0].len()];
            for (&factor, row) in vector.iter().zip(matrix) {
                for (sum, value) in result.iter_mut().zip(row) {
                    *sum += factor * value;
                }
            }
            result
        })
        .collect()
}

fn transposed(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..matrix[0].len())
        .map(|column| matrix.iter().map(|row| row[column]).collect())
        .collect()
}

/// A dot product in eight partial sums, which the compiler can compute side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
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
