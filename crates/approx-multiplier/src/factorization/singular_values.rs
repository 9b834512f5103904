//! The largest terms of a matrix's singular value decomposition.
//!
//! They are computed by Jacobi rotations; of a large matrix only the few largest ones, after a subspace that holds them
//! was found by repeated multiplication. Everything runs in a fixed order from fixed numbers, so that a matrix always
//! gives the same terms.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

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

/// The terms of the largest singular values, up to `rank` of those that are not negligible: factors of the rows and of
/// the columns.
pub(crate) fn largest_terms(matrix: Vec<Vec<f64>>, rank: usize) -> Vec<(Vec<f64>, Vec<f64>)> {
    if rank == 0 {
        return Vec::new();
    }
    let (row_count, column_count) = (matrix.len(), matrix[0].len());
    if row_count > column_count {
        // The smaller side has fewer rows to rotate.
        return largest_terms(transposed(&matrix), rank)
            .into_iter()
            .map(|(column, row)| (row, column))
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
            (
                origins[index].iter().map(|value| value * share).collect(),
                rows[index].iter().map(|value| value / share).collect(),
            )
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
