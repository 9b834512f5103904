//! Terms from a basis of the lattice that a matrix's rows span: the second and third step of the search.

use std::collections::HashMap;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, ToPrimitive, Zero};

use super::balance::balance;
use super::factor_term::FactorTerm;
use super::lattice::{Inverse, ModularLattice, Pivots, reduce};

/// Components in which lengths are measured, at most: a sample of them will do to tell short from long.
const MEASURED: usize = 1024;

/// Why terms could not be found with some pivots.
pub(super) enum Obstacle {
    /// In this column the pivot rows' lattice is not made of integers: the matrix has a higher rank.
    Column(usize),
    /// A number became too large.
    Range,
}

/// Balanced terms from a basis of the lattice of rows: the weights' factors are the basis vectors.
pub(super) fn lattice_terms(
    rows: usize,
    columns: usize,
    pivots: &Pivots,
    entry: impl Fn(usize, usize) -> i64,
) -> Result<Vec<FactorTerm>, Obstacle> {
    let rank = pivots.rows.len();
    if rank == 0 {
        return Ok(Vec::new());
    }
    let projected = |row: usize| -> Vec<i64> {
        pivots
            .columns
            .iter()
            .map(|&column| entry(row, column))
            .collect()
    };
    // Rows that agree in the pivot columns agree everywhere, and so do their coordinates.
    let (row_classes, distinct_rows) = classes((0..rows).map(projected));

    let mut basis: Vec<Vec<i128>> = pivots
        .rows
        .iter()
        .map(|&row| {
            (0..columns)
                .map(|column| entry(row, column).into())
                .collect()
        })
        .collect();
    let measured = measured_columns(columns, pivots);
    reduce(&mut basis, &measured).ok_or(Obstacle::Range)?;
    extend_to_all_rows(&mut basis, pivots, &distinct_rows)?;
    reduce(&mut basis, &measured).ok_or(Obstacle::Range)?;

    let inverse = projected_inverse(&basis, pivots)?;
    let mut coordinates = vec![Vec::with_capacity(distinct_rows.len()); rank];
    for row in &distinct_rows {
        for (values, scaled) in coordinates.iter_mut().zip(inverse.apply(row)) {
            // Exact: the basis generates every row.
            values.push(
                (scaled / &inverse.determinant)
                    .to_i64()
                    .ok_or(Obstacle::Range)?,
            );
        }
    }
    let (column_classes, distinct_columns) = classes((0..columns).map(|column| {
        basis
            .iter()
            .map(|vector| vector[column])
            .collect::<Vec<_>>()
    }));
    let mut terms = coordinates
        .into_iter()
        .enumerate()
        .map(|(index, activation)| {
            let weight = distinct_columns
                .iter()
                .map(|column| i64::try_from(column[index]).ok())
                .collect::<Option<_>>()?;
            let mut term = FactorTerm {
                scale: 1,
                activation,
                weight,
            };
            term.normalise()?;
            Some(term)
        })
        .collect::<Option<Vec<_>>>()
        .ok_or(Obstacle::Range)?;
    balance(&mut terms);
    for term in &mut terms {
        term.activation = row_classes
            .iter()
            .map(|&row| term.activation[row])
            .collect();
        term.weight = column_classes
            .iter()
            .map(|&column| term.weight[column])
            .collect();
    }
    Ok(terms)
}

/// For each vector the index of its class, and the classes' vectors in the order in which they first occur.
fn classes<T: Clone + Eq + std::hash::Hash>(
    vectors: impl Iterator<Item = Vec<T>>,
) -> (Vec<usize>, Vec<Vec<T>>) {
    let mut known = HashMap::new();
    let mut distinct = Vec::new();
    let indices = vectors
        .map(|vector| {
            *known.entry(vector).or_insert_with_key(|vector| {
                distinct.push(vector.clone());
                distinct.len() - 1
            })
        })
        .collect();
    (indices, distinct)
}

/// The columns in which lengths are measured: evenly spread ones, and the pivots, which keep the vectors independent.
fn measured_columns(columns: usize, pivots: &Pivots) -> Vec<usize> {
    let mut measured: Vec<usize> = (0..columns)
        .step_by(columns.div_ceil(MEASURED))
        .chain(pivots.columns.iter().copied())
        .collect();
    measured.sort_unstable();
    measured.dedup();
    measured
}

fn projected_inverse(basis: &[Vec<i128>], pivots: &Pivots) -> Result<Inverse, Obstacle> {
    Inverse::of(
        basis
            .iter()
            .map(|vector| {
                pivots
                    .columns
                    .iter()
                    .map(|&column| vector[column].into())
                    .collect()
            })
            .collect(),
    )
    .ok_or(Obstacle::Range)
}

/// Turns a basis of the pivot rows' lattice into one of all rows', given in the pivot columns.
fn extend_to_all_rows(
    basis: &mut [Vec<i128>],
    pivots: &Pivots,
    rows: &[Vec<i64>],
) -> Result<(), Obstacle> {
    let inverse = projected_inverse(basis, pivots)?;
    let denominator = &inverse.determinant;
    if denominator.is_one() {
        return Ok(());
    }
    let mut lattice = ModularLattice::new(basis.len(), denominator.clone());
    for row in rows {
        lattice.insert(inverse.apply(row));
    }
    let old: Vec<Vec<i128>> = basis.to_vec();
    for (vector, coordinates) in basis.iter_mut().zip(lattice.into_basis()) {
        let used: Vec<(&BigInt, &Vec<i128>)> = coordinates
            .iter()
            .zip(&old)
            .filter(|(coordinate, _)| !coordinate.is_zero())
            .collect();
        for (column, value) in vector.iter_mut().enumerate() {
            let sum: BigInt = used
                .iter()
                .map(|(coordinate, old)| *coordinate * old[column])
                .sum();
            let (quotient, rest) = sum.div_rem(denominator);
            if !rest.is_zero() {
                return Err(Obstacle::Column(column));
            }
            *value = quotient.to_i128().ok_or(Obstacle::Range)?;
        }
    }
    Ok(())
}
