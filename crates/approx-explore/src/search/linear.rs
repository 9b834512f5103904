//! Linear equations with a symmetric, positive matrix.

/// A lower triangular matrix `L`, row by row, with `L L' = A`.
#[derive(Debug, Clone)]
pub(super) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Factorises a matrix of which the lower triangle is given, row by row; `None` if it is not positive.
    pub fn new(matrix: &[Vec<f64>]) -> Option<Self> {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
        for (index, given) in matrix.iter().enumerate() {
            let mut row = given.clone();
            row.truncate(index + 1);
            for column in 0..index {
                row[column] =
                    (row[column] - dot(&row[..column], &rows[column])) / rows[column][column];
            }
            let left = row[index] - dot(&row[..index], &row);
            if left.is_nan() || left <= 0.0 {
                return None;
            }
            row[index] = left.sqrt();
            rows.push(row);
        }
        Some(Self { rows })
    }

    /// Solves `L x = b`.
    pub fn forward(&self, right: &[f64]) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(right.len());
        for (row, value) in self.rows.iter().zip(right) {
            let index = solved.len();
            solved.push((value - dot(&solved, row)) / row[index]);
        }
        solved
    }

    /// Solves `A x = b`.
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut solved = self.forward(right);
        for index in (0..solved.len()).rev() {
            solved[index] /= self.rows[index][index];
            let value = solved[index];
            let (before, _) = solved.split_at_mut(index);
            before
                .iter_mut()
                .zip(&self.rows[index])
                .for_each(|(left, factor)| *left -= factor * value);
        }
        solved
    }

    /// The logarithm of the determinant of `A`.
    pub fn log_determinant(&self) -> f64 {
        2.0 * self
            .rows
            .iter()
            .enumerate()
            .map(|(index, row)| row[index].ln())
            .sum::<f64>()
    }
}

/// The sum of products, over as many as the shorter one has.
pub(super) fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_it_was_made_of() {
        let matrix = vec![
            vec![4.0, 2.0, 1.0],
            vec![2.0, 5.0, 3.0],
            vec![1.0, 3.0, 6.0],
        ];
        let wanted = [1.0, -2.0, 0.5];
        let right: Vec<f64> = matrix.iter().map(|row| dot(row, &wanted)).collect();
        let factor = Cholesky::new(&matrix).unwrap();
        let solved = factor.solve(&right);
        assert!(
            solved
                .iter()
                .zip(wanted)
                .all(|(one, other)| (one - other).abs() < 1e-12)
        );
        assert!((factor.log_determinant() - 67.0_f64.ln()).abs() < 1e-12);
        assert!(Cholesky::new(&[vec![1.0], vec![2.0, 1.0]]).is_none());
    }
}
