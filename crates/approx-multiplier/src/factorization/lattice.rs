//! Exact linear algebra over the integers: what the factoriser needs of ranks, lattices and linear systems.
//!
//! Nothing here rounds. Ranks are found modulo a prime, so they can be too small (never too large) for a matrix made
//! for it; the factoriser notices because it compares products, and takes the next prime.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// Primes modulo which ranks are found. The first one, a Mersenne prime, is quick to divide by; a random matrix's rank
/// falls modulo one of them with a probability of about `2^-61`.
pub(super) const PRIMES: [u64; 3] = [MERSENNE, (1 << 61) - 31, (1 << 61) - 45];

const MERSENNE: u64 = (1 << 61) - 1;

/// Lovász's constant, 0.99 as a fraction: close to 1 for short vectors, below it for a polynomial number of steps.
const LOVASZ: (u32, u32) = (99, 100);

fn residue(value: i64, prime: u64) -> u64 {
    i128::from(value).rem_euclid(prime.into()) as u64
}

fn multiply(a: u64, b: u64, prime: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    if prime != MERSENNE {
        return (product % u128::from(prime)) as u64;
    }
    // 2^61 is 1 modulo this prime: the bits above count like those below.
    let folded = (product as u64 & MERSENNE) + (product >> 61) as u64;
    if folded >= MERSENNE {
        folded - MERSENNE
    } else {
        folded
    }
}

fn inverse(value: u64, prime: u64) -> u64 {
    // Fermat's little theorem.
    let (mut result, mut power, mut exponent) = (1, value, prime - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, power, prime);
        }
        power = multiply(power, power, prime);
        exponent >>= 1;
    }
    result
}

/// Independent rows and columns of a matrix: the submatrix of these rows and columns is invertible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pivots {
    pub(super) rows: Vec<usize>,
    pub(super) columns: Vec<usize>,
}

impl Pivots {
    /// As many independent rows and columns as there are modulo a prime, one of [`PRIMES`]; `None` as soon as there are
    /// more than `limit`.
    pub(super) fn find(
        rows: usize,
        columns: usize,
        limit: usize,
        prime: u64,
        entry: impl Fn(usize, usize) -> i64,
    ) -> Option<Self> {
        let mut pivots = Self::default();
        // Every row holds a 1 in its own pivot column and zeros in those of the earlier ones.
        let mut echelon: Vec<Vec<u64>> = Vec::new();
        let mut row = vec![0; columns];
        for index in 0..rows {
            for (column, value) in row.iter_mut().enumerate() {
                *value = residue(entry(index, column), prime);
            }
            for (earlier, &pivot) in echelon.iter().zip(&pivots.columns) {
                let factor = row[pivot];
                if factor != 0 {
                    let negated = prime - factor;
                    for (value, &other) in row.iter_mut().zip(earlier) {
                        let sum = *value + multiply(negated, other, prime);
                        *value = if sum >= prime { sum - prime } else { sum };
                    }
                }
            }
            let Some(pivot) = row.iter().position(|&value| value != 0) else {
                continue;
            };
            if pivots.rows.len() == limit {
                return None;
            }
            let scale = inverse(row[pivot], prime);
            echelon.push(
                row.iter()
                    .map(|&value| multiply(value, scale, prime))
                    .collect(),
            );
            pivots.rows.push(index);
            pivots.columns.push(pivot);
        }
        Some(pivots)
    }
}

/// Reduces independent vectors in place to a basis of the same lattice with short vectors (Lenstra, Lenstra and
/// Lovász, in integers throughout). Lengths are measured in the components `measured`, in which the vectors must be
/// independent.
///
/// `None` if numbers leave 128 bits, or if the vectors are not independent.
pub(super) fn reduce(basis: &mut [Vec<i128>], measured: &[usize]) -> Option<()> {
    let rank = basis.len();
    // determinants[i] is the Gram determinant of the first i vectors; lambda[i][j] = determinants[j + 1] * mu[i][j]
    // with the coefficients mu of the Gram-Schmidt process.
    let mut determinants = vec![BigInt::one(); rank + 1];
    let mut lambda = vec![vec![BigInt::zero(); rank]; rank];
    for k in 0..rank {
        for j in 0..=k {
            let mut product = 0i128;
            for &component in measured {
                product =
                    product.checked_add(basis[k][component].checked_mul(basis[j][component])?)?;
            }
            let mut value = BigInt::from(product);
            for i in 0..j {
                value = (&determinants[i + 1] * value - &lambda[k][i] * &lambda[j][i])
                    / &determinants[i];
            }
            if j < k {
                lambda[k][j] = value;
            } else if value.is_positive() {
                determinants[k + 1] = value;
            } else {
                return None;
            }
        }
    }
    let mut k = 1;
    while k < rank {
        subtract_multiple(basis, &determinants, &mut lambda, k, k - 1)?;
        let square = &determinants[k] * &determinants[k];
        let next =
            &determinants[k + 1] * &determinants[k - 1] + &lambda[k][k - 1] * &lambda[k][k - 1];
        if &next * LOVASZ.1 < square * LOVASZ.0 {
            exchange(basis, &mut determinants, &mut lambda, k, next);
            k = (k - 1).max(1);
        } else {
            for l in (0..k - 1).rev() {
                subtract_multiple(basis, &determinants, &mut lambda, k, l)?;
            }
            k += 1;
        }
    }
    Some(())
}

/// Subtracts the multiple of vector `l` from vector `k` that leaves a Gram-Schmidt coefficient of at most a half.
fn subtract_multiple(
    basis: &mut [Vec<i128>],
    determinants: &[BigInt],
    lambda: &mut [Vec<BigInt>],
    k: usize,
    l: usize,
) -> Option<()> {
    let determinant = &determinants[l + 1];
    let doubled: BigInt = &lambda[k][l] * 2;
    if doubled.abs() <= *determinant {
        return Some(());
    }
    let multiple = (doubled + determinant).div_floor(&(determinant * 2));
    let factor = multiple.to_i128()?;
    let (before, after) = basis.split_at_mut(k);
    for (component, other) in after[0].iter_mut().zip(&before[l]) {
        *component = component.checked_sub(factor.checked_mul(*other)?)?;
    }
    let (before, after) = lambda.split_at_mut(k);
    after[0][l] -= &multiple * determinant;
    for (value, other) in after[0][..l].iter_mut().zip(&before[l]) {
        *value -= &multiple * other;
    }
    Some(())
}

/// Exchanges vectors `k - 1` and `k`. `next` is what `determinants[k]` becomes, times its present value.
fn exchange(
    basis: &mut [Vec<i128>],
    determinants: &mut [BigInt],
    lambda: &mut [Vec<BigInt>],
    k: usize,
    next: BigInt,
) {
    basis.swap(k - 1, k);
    let (before, after) = lambda.split_at_mut(k);
    before[k - 1][..k - 1].swap_with_slice(&mut after[0][..k - 1]);
    let coefficient = after[0][k - 1].clone();
    let determinant = next / &determinants[k];
    for row in &mut after[1..] {
        let old = row[k].clone();
        row[k] = (&determinants[k + 1] * &row[k - 1] - &coefficient * &old) / &determinants[k];
        row[k - 1] = (&determinant * old + &coefficient * &row[k]) / &determinants[k + 1];
    }
    determinants[k] = determinant;
}

/// A square matrix's inverse as integers over a common denominator.
pub(super) struct Inverse {
    /// The matrix times `numerator` is `determinant` times the identity.
    numerator: Vec<Vec<BigInt>>,
    /// The determinant, made positive.
    pub(super) determinant: BigInt,
}

impl Inverse {
    /// Inverts by fraction-free elimination; `None` for a singular matrix.
    pub(super) fn of(matrix: Vec<Vec<BigInt>>) -> Option<Self> {
        let size = matrix.len();
        let mut rows = matrix;
        for (index, row) in rows.iter_mut().enumerate() {
            row.extend((0..size).map(|column| BigInt::from(u8::from(column == index))));
        }
        let mut previous = BigInt::one();
        for step in 0..size {
            let pivot = (step..size).find(|&row| !rows[row][step].is_zero())?;
            // The sign that an exchange changes is that of the numerator and the determinant alike.
            rows.swap(step, pivot);
            let pivot_row = rows[step].clone();
            for (index, row) in rows.iter_mut().enumerate() {
                if index == step {
                    continue;
                }
                let factor = row[step].clone();
                for (value, other) in row.iter_mut().zip(&pivot_row) {
                    // Exact: every intermediate value is a minor of the matrix.
                    *value = (&*value * &pivot_row[step] - &factor * other) / &previous;
                }
            }
            previous = pivot_row[step].clone();
        }
        let negative = previous.is_negative();
        let numerator = rows
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .skip(size)
                    .map(|value| if negative { -value } else { value })
                    .collect()
            })
            .collect();
        Some(Self {
            numerator,
            determinant: previous.abs(),
        })
    }

    /// The row vector `vector` times the matrix's inverse, times the determinant.
    pub(super) fn apply(&self, vector: &[i64]) -> Vec<BigInt> {
        let mut result = vec![BigInt::zero(); vector.len()];
        for (&component, row) in vector.iter().zip(&self.numerator) {
            if component != 0 {
                for (sum, value) in result.iter_mut().zip(row) {
                    *sum += value * component;
                }
            }
        }
        result
    }
}

/// A lattice of integer vectors that contains every vector divisible by its modulus, by its triangular basis (Hermite
/// normal form). All numbers stay below the modulus.
pub(super) struct ModularLattice {
    modulus: BigInt,
    basis: Vec<Vec<BigInt>>,
}

impl ModularLattice {
    /// The lattice of the vectors divisible by `modulus`, which is at least 1.
    pub(super) fn new(dimension: usize, modulus: BigInt) -> Self {
        let basis = (0..dimension)
            .map(|row| {
                let mut vector = vec![BigInt::zero(); dimension];
                vector[row] = modulus.clone();
                vector
            })
            .collect();
        Self { modulus, basis }
    }

    /// Adds a vector and all its multiples.
    pub(super) fn insert(&mut self, mut vector: Vec<BigInt>) {
        for value in &mut vector {
            *value = value.mod_floor(&self.modulus);
        }
        for column in 0..vector.len() {
            if vector[column].is_zero() {
                continue;
            }
            let row = &mut self.basis[column];
            let (quotient, rest) = vector[column].div_rem(&row[column]);
            if rest.is_zero() {
                for (value, other) in vector[column..].iter_mut().zip(&row[column..]) {
                    *value = (&*value - &quotient * other).mod_floor(&self.modulus);
                }
                continue;
            }
            let common = row[column].extended_gcd(&vector[column]);
            let row_cofactor = &vector[column] / &common.gcd;
            let vector_cofactor = &row[column] / &common.gcd;
            for (value, other) in vector[column..].iter_mut().zip(&mut row[column..]) {
                let combined = &*other * &common.x + &*value * &common.y;
                *value =
                    (&*other * &row_cofactor - &*value * &vector_cofactor).mod_floor(&self.modulus);
                *other = combined.mod_floor(&self.modulus);
            }
            // The modulus itself is a residue of 0.
            row[column] = common.gcd;
        }
    }

    /// The basis, every entry above the diagonal reduced to at most half the diagonal entry below it.
    pub(super) fn into_basis(mut self) -> Vec<Vec<BigInt>> {
        for row in (0..self.basis.len()).rev() {
            for column in row + 1..self.basis.len() {
                let (before, after) = self.basis.split_at_mut(column);
                let (target, pivot) = (&mut before[row], &after[0]);
                let diagonal = &pivot[column];
                let doubled: BigInt = &target[column] * 2;
                let quotient = (doubled + diagonal).div_floor(&(diagonal * 2));
                if !quotient.is_zero() {
                    for (value, other) in target[column..].iter_mut().zip(&pivot[column..]) {
                        *value -= &quotient * other;
                    }
                }
            }
        }
        self.basis
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn big(matrix: &[Vec<i64>]) -> Vec<Vec<BigInt>> {
        matrix
            .iter()
            .map(|row| row.iter().map(|&value| value.into()).collect())
            .collect()
    }

    #[test]
    fn residues_and_inverses() {
        for prime in PRIMES {
            for value in [1, 2, 3, prime - 1, 1 << 60] {
                assert_eq!(multiply(value, inverse(value, prime), prime), 1);
            }
            assert_eq!(multiply(prime - 1, prime - 1, prime), 1);
            assert_eq!(residue(-1, prime), prime - 1);
            assert_eq!(residue(prime as i64, prime), 0);
        }
        assert_eq!(residue(i64::MIN, MERSENNE), MERSENNE - 4);
    }

    #[test]
    fn pivots_stop_at_the_limit() {
        let identity = |row, column| i64::from(row == column);
        assert_eq!(Pivots::find(5, 7, 4, MERSENNE, identity), None);
        assert_eq!(
            Pivots::find(5, 7, 5, MERSENNE, identity)
                .unwrap()
                .rows
                .len(),
            5
        );
        assert_eq!(
            Pivots::find(3, 3, 0, MERSENNE, |_, _| 0),
            Some(Pivots::default())
        );
        let two =
            Pivots::find(4, 4, 9, PRIMES[1], |row, column| (row * column) as i64 + 1).unwrap();
        assert_eq!((two.rows, two.columns), (vec![0, 1], vec![0, 1]));
    }

    #[test]
    fn a_known_basis_is_reduced() {
        let mut basis = vec![vec![1, 1, 1], vec![-1, 0, 2], vec![3, 5, 6]];
        reduce(&mut basis, &[0, 1, 2]).unwrap();
        let mut lengths: Vec<i128> = basis
            .iter()
            .map(|vector| vector.iter().map(|value| value * value).sum())
            .collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [1, 2, 5]);
    }

    #[test]
    fn dependent_or_huge_vectors_are_refused() {
        assert!(reduce(&mut [vec![1, 2], vec![2, 4]], &[0, 1]).is_none());
        assert!(reduce(&mut [vec![i128::MAX], vec![1]], &[0]).is_none());
        assert!(reduce(&mut [vec![1, 0], vec![0, 1]], &[0]).is_none());
    }

    #[test]
    fn a_singular_matrix_has_no_inverse() {
        assert!(Inverse::of(big(&[vec![1, 2], vec![2, 4]])).is_none());
        let exchanged = Inverse::of(big(&[vec![0, 2], vec![3, 0]])).unwrap();
        assert_eq!(exchanged.determinant, BigInt::from(6));
        assert_eq!(exchanged.apply(&[2, 3]), [BigInt::from(9), BigInt::from(4)]);
    }

    #[test]
    fn a_lattice_holds_what_was_inserted() {
        let mut lattice = ModularLattice::new(2, 12.into());
        lattice.insert(vec![4.into(), 2.into()]);
        lattice.insert(vec![(-6).into(), 3.into()]);
        // Determinant 12 = the gcd of all 2 x 2 minors of (4 2), (-6 3), (12 0), (0 12).
        let basis = lattice.into_basis();
        let determinant = &basis[0][0] * &basis[1][1];
        assert_eq!(determinant, BigInt::from(12));
        assert!(basis[1][0].is_zero());
    }

    fn square() -> impl Strategy<Value = Vec<Vec<i64>>> {
        (1usize..6).prop_flat_map(|size| {
            proptest::collection::vec(proptest::collection::vec(-99i64..=99, size), size)
        })
    }

    proptest! {
        #[test]
        fn inverses_invert(matrix in square()) {
            let size = matrix.len();
            let pivots = Pivots::find(size, size, size, MERSENNE, |row, column| matrix[row][column]).unwrap();
            match Inverse::of(big(&matrix)) {
                None => prop_assert!(pivots.rows.len() < size),
                Some(inverse) => {
                    prop_assert_eq!(pivots.rows.len(), size);
                    for (index, row) in matrix.iter().enumerate() {
                        for (column, value) in inverse.apply(row).into_iter().enumerate() {
                            let expected = if index == column {
                                inverse.determinant.clone()
                            } else {
                                BigInt::zero()
                            };
                            prop_assert_eq!(value, expected);
                        }
                    }
                }
            }
        }

        #[test]
        fn reduction_keeps_the_lattice_and_shortens(matrix in square()) {
            let Some(before) = Inverse::of(big(&matrix)) else {
                return Ok(());
            };
            let size = matrix.len();
            let mut basis: Vec<Vec<i128>> = matrix
                .iter()
                .map(|row| row.iter().map(|&value| value.into()).collect())
                .collect();
            reduce(&mut basis, &(0..size).collect::<Vec<_>>()).unwrap();
            let reduced: Vec<Vec<i64>> = basis
                .iter()
                .map(|row| row.iter().map(|&value| value as i64).collect())
                .collect();
            // Combinations of the old vectors with integers, and as dense: the same lattice.
            for row in &reduced {
                for coordinate in before.apply(row) {
                    prop_assert!(coordinate.is_multiple_of(&before.determinant));
                }
            }
            let after = Inverse::of(big(&reduced)).unwrap();
            prop_assert_eq!(&after.determinant, &before.determinant);
            // A reduced basis's first vector: at most (1 / (0.99 - 0.25))^((n - 1) / 4) det^(1 / n).
            let first: f64 = reduced[0].iter().map(|&value| (value * value) as f64).sum::<f64>().sqrt();
            let n = size as f64;
            let bound = (1.0f64 / 0.74).powf((n - 1.0) / 4.0)
                * before.determinant.to_f64().unwrap().powf(1.0 / n);
            prop_assert!(first <= bound * 1.000_001, "{first} > {bound}");
        }
    }
}
