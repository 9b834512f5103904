//! Which of some integer vectors are independent of those before them, without rounding.
//!
//! Elimination without fractions: the remainder of a vector is made of minors of the matrix, so that each division goes
//! without a rest (Bareiss). Minors usually fit in 128 bits, and are computed again with unlimited integers where they
//! do not.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{CheckedMul, CheckedSub};

/// The positions of the vectors that are independent of all vectors before them: a basis of what the vectors span.
///
/// The vectors have `dimension` components. Once as many are found, no other one is looked at.
pub(super) fn independent(
    vectors: impl Iterator<Item = Vec<i64>> + Clone,
    dimension: usize,
) -> Vec<usize> {
    independent_in::<i128>(vectors.clone(), dimension)
        .or_else(|| independent_in::<BigInt>(vectors, dimension))
        .expect("unlimited integers hold all minors")
}

/// [`independent`] with minors in `T`; `None` if one does not fit.
fn independent_in<T: Integer + CheckedMul + CheckedSub + Clone + From<i64>>(
    vectors: impl Iterator<Item = Vec<i64>>,
    dimension: usize,
) -> Option<Vec<usize>> {
    let mut positions = Vec::new();
    // What is left of the vectors found, each with the component in which its pivot is.
    let mut echelon: Vec<(usize, Vec<T>)> = Vec::new();
    for (position, vector) in vectors.enumerate() {
        if echelon.len() == dimension {
            break;
        }
        if vector.iter().all(|&value| value == 0) {
            continue;
        }
        let mut remainder: Vec<T> = vector.into_iter().map(T::from).collect();
        let mut divisor = T::one();
        for (pivot, row) in &echelon {
            let factor = remainder[*pivot].clone();
            for (value, other) in remainder.iter_mut().zip(row) {
                let minor = value
                    .checked_mul(&row[*pivot])?
                    .checked_sub(&factor.checked_mul(other)?)?;
                *value = minor / divisor.clone();
            }
            divisor = row[*pivot].clone();
        }
        if let Some(pivot) = remainder.iter().position(|value| !value.is_zero()) {
            positions.push(position);
            echelon.push((pivot, remainder));
        }
    }
    Some(positions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rank by floating-point elimination, reliable for small numbers.
    fn rank(vectors: &[Vec<i64>]) -> usize {
        let mut rows: Vec<Vec<f64>> = vectors
            .iter()
            .map(|vector| vector.iter().map(|&value| value as f64).collect())
            .collect();
        let columns = rows.first().map_or(0, Vec::len);
        let mut rank = 0;
        for column in 0..columns {
            let Some(pivot) = (rank..rows.len())
                .max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))
                .filter(|&row| rows[row][column].abs() > 1e-6)
            else {
                continue;
            };
            rows.swap(rank, pivot);
            let (done, rest) = rows.split_at_mut(rank + 1);
            let pivot = &done[rank];
            for row in rest {
                let factor = row[column] / pivot[column];
                for (value, other) in row.iter_mut().zip(pivot) {
                    *value -= factor * other;
                }
            }
            rank += 1;
        }
        rank
    }

    #[test]
    fn zeros_repetitions_and_combinations_are_passed_over() {
        let vectors = [
            [0, 0, 0],
            [2, 4, 0],
            [3, 6, 0],
            [0, 1, 1],
            [2, 5, 1],
            [0, 0, 7],
        ];
        let vectors = vectors.iter().map(|vector| vector.to_vec());
        assert_eq!(independent(vectors, 3), [1, 3, 5]);
        assert_eq!(independent(std::iter::empty(), 3), [0; 0]);
        assert_eq!(independent([vec![]].into_iter(), 0), [0; 0]);
    }

    #[test]
    fn minors_beyond_128_bits_are_exact() {
        let big = i64::MAX;
        let vectors = [
            vec![big, 1, 0, 1],
            vec![1, big, 1, 0],
            vec![0, 1, big, 1],
            vec![big, 2, big, 2],
            vec![big, 2, big, 3],
        ];
        assert!(independent_in::<i128>(vectors.iter().cloned(), 4).is_none());
        // The fourth is the sum of the first and the third.
        assert_eq!(independent(vectors.into_iter(), 4), [0, 1, 2, 4]);
    }

    proptest! {
        #[test]
        fn each_is_found_where_the_rank_of_the_vectors_up_to_it_rises(
            left in proptest::collection::vec(-3i64..=3, 12 * 3),
            right in proptest::collection::vec(-3i64..=3, 3 * 5),
        ) {
            let vectors: Vec<Vec<i64>> = left
                .chunks(3)
                .map(|row| (0..5).map(|column| (0..3).map(|k| row[k] * right[k * 5 + column]).sum()).collect())
                .collect();
            let expected: Vec<usize> = (0..vectors.len())
                .filter(|&position| rank(&vectors[..=position]) > rank(&vectors[..position]))
                .collect();
            prop_assert_eq!(independent(vectors.iter().cloned(), 5), expected.clone());
            prop_assert_eq!(independent_in::<BigInt>(vectors.into_iter(), 5).unwrap(), expected);
        }
    }
}
