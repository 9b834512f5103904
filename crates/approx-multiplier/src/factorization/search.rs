//! Finds exact integer factorisations.
//!
//! The rows of a table span a lattice whose rank is the table's. A basis of it is one side of a factorisation, and the
//! rows' coordinates in that basis are the other:
//!
//! 1. Independent rows and columns ("pivots") are found by elimination modulo a prime. Restricted to the pivot columns,
//!    rows live in a space of as many dimensions as the rank, where everything below happens.
//! 2. The pivot rows are reduced to short vectors. All other rows' coordinates in them are fractions with a common
//!    denominator; a Hermite normal form modulo the denominator makes a basis of them. Because these coordinates are
//!    taken modulo whole short vectors, the new basis vectors are short as well, whatever the determinant.
//! 3. They are reduced once more, and the coordinates of all rows in them solved for.
//! 4. The same with rows and columns exchanged; the sizes of both sides are balanced, and the better result is kept.
//! 5. Every product is compared.
//!
//! Steps 2 and 3 are in `basis`.

use std::ops::RangeInclusive;

use num_bigint::BigInt;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::balance::Cost;
use super::basis::{Obstacle, lattice_terms};
use super::certificate::Coverage;
use super::codes::{checked_codes, count};
use super::exact::Factorization;
use super::factor_term::FactorTerm;
use super::lattice::{Inverse, PRIMES, Pivots};
use super::term::FactorizationForm;
use crate::{MultiplierError, OperandFormat, ProductTable};

/// Rows and columns of a function that are searched for pivots before any others.
const SAMPLED: usize = 192;

/// How many random products are compared at a time.
const COMPARED_TOGETHER: u64 = 1 << 18;

/// What to look for in [`Factorization::of`] and [`Multiplier::factorization`](crate::Multiplier::factorization).
///
/// ```
/// use approx_multiplier::{Factorization, FactorizationOptions, FactorizationForm, evoapprox};
///
/// let table = evoapprox::multiplier("mul8s_1KVP")?.to_table()?;
/// let options = FactorizationOptions {
///     form: Some(FactorizationForm::Error),
///     weight_codes: Some(-127..=127),
///     ..FactorizationOptions::default()
/// };
/// let factorization = Factorization::of(&table, &options)?;
/// assert_eq!((factorization.form(), factorization.rank()), (FactorizationForm::Error, 3));
/// assert_eq!(factorization.evaluate(5, -128), None);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorizationOptions {
    /// The largest rank to accept, 32 by default: a table lookup is faster than more products.
    pub max_rank: usize,
    /// The form; the one with fewer products, then the one with smaller factors, if none is given.
    pub form: Option<FactorizationForm>,
    /// The activation codes that occur: all of the format if none are given. A narrower range can lower the rank.
    pub activation_codes: Option<RangeInclusive<i32>>,
    /// The weight codes that occur: all of the format if none are given.
    pub weight_codes: Option<RangeInclusive<i32>>,
}

impl Default for FactorizationOptions {
    fn default() -> Self {
        Self {
            max_rank: 32,
            form: None,
            activation_codes: None,
            weight_codes: None,
        }
    }
}

impl Factorization {
    /// Factorises a table of up to 12 x 12 bits and compares every product. The same table gives the same factors.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::RankTooHigh`] if the rank of each form asked for is above the options' limit,
    /// [`MultiplierError::CodesOutOfFormat`] if a range of codes is empty or not of the operand's format, and
    /// [`MultiplierError::FactorsOutOfRange`] if factors do not fit in 64 bits, which ranks far above the default limit
    /// could lead to.
    pub fn of(
        table: &ProductTable,
        options: &FactorizationOptions,
    ) -> Result<Self, MultiplierError> {
        let problem = Problem::new(
            (table.activation(), table.weight()),
            |a, b| table.get(a, b).into(),
            options,
        )?;
        let (rows, columns) = problem.size();
        problem.solve(
            &(0..rows).collect::<Vec<_>>(),
            &(0..columns).collect::<Vec<_>>(),
            Check::Exhaustive,
        )
    }

    /// Factorises a function of operands of up to 16 x 16 bits, of which no table could be made.
    ///
    /// The rank is found from a sample of its rows and columns; wherever one of the compared products differs, it
    /// grows. Compared are `pairs` operand pairs drawn at random from `seed`, and besides all products of some tens to
    /// hundreds of codes with each other, the extreme ones, powers of two and their neighbours among them. The function
    /// is called for all codes with as many others as the rank, and for the pairs compared.
    ///
    /// ```
    /// use approx_multiplier::{Coverage, Factorization, FactorizationOptions, OperandFormat};
    ///
    /// let format = OperandFormat::signed(16)?;
    /// let factorization = Factorization::of_function(
    ///     format,
    ///     format,
    ///     |a, b| a * (b & !7) + (a & 3),
    ///     &FactorizationOptions::default(),
    ///     100_000,
    ///     42,
    /// )?;
    /// assert_eq!(factorization.products(), 2);
    /// assert_eq!(factorization.evaluate(-32767, 32767), Some(-32767 * 32760 + 1));
    /// assert_eq!(
    ///     factorization.certificate().coverage,
    ///     Coverage::Sampled { pairs: 100_000, seed: 42 }
    /// );
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`of`](Self::of), and [`MultiplierError::NoPairs`] if `pairs` is 0.
    pub fn of_function(
        activation: OperandFormat,
        weight: OperandFormat,
        product: impl Fn(i64, i64) -> i64,
        options: &FactorizationOptions,
        pairs: u64,
        seed: u64,
    ) -> Result<Self, MultiplierError> {
        let product = |a: i32, b: i32| product(a.into(), b.into());
        Self::of_products(activation, weight, product, options, pairs, seed)
    }

    /// The same of a function of which several products are to be had as fast as one.
    pub(crate) fn of_products(
        activation: OperandFormat,
        weight: OperandFormat,
        products: impl Products,
        options: &FactorizationOptions,
        pairs: u64,
        seed: u64,
    ) -> Result<Self, MultiplierError> {
        if pairs == 0 {
            return Err(MultiplierError::NoPairs);
        }
        let problem = Problem::new((activation, weight), products, options)?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let rows = sample(&problem.codes.0, &mut random);
        let columns = sample(&problem.codes.1, &mut random);
        problem.solve(&rows, &columns, Check::Sampled { pairs, seed })
    }
}

/// A function of two codes.
pub(crate) trait Products {
    /// The product of two codes.
    fn product(&self, a: i32, b: i32) -> i64;

    /// What will be asked for next, most of it several times: for functions that have many products as fast as one.
    fn expect(&self, _pairs: impl FnOnce() -> Vec<(i32, i32)>) {}
}

impl<F: Fn(i32, i32) -> i64> Products for F {
    fn product(&self, a: i32, b: i32) -> i64 {
        self(a, b)
    }
}

/// Terms of a form of a function, from independent rows and columns as many as its rank, which are known to determine
/// all others.
pub(super) fn from_independent(
    formats: (OperandFormat, OperandFormat),
    product: impl Fn(i32, i32) -> i64,
    codes: (RangeInclusive<i32>, RangeInclusive<i32>),
    form: FactorizationForm,
    (rows, columns): (&[i32], &[i32]),
) -> Result<Vec<FactorTerm>, MultiplierError> {
    let positions = |codes: &RangeInclusive<i32>, chosen: &[i32]| -> Vec<usize> {
        chosen
            .iter()
            .map(|code| (code - codes.start()) as usize)
            .collect()
    };
    let (rows, columns) = (positions(&codes.0, rows), positions(&codes.1, columns));
    let problem = Problem {
        formats,
        codes,
        max_rank: rows.len(),
        form: Some(form),
        product,
    };
    let terms = problem.terms(form, &rows, &columns, Check::Exhaustive)?;
    Ok(terms.expect("as many pivots as independent rows are allowed"))
}

/// Positions in a range of codes: the extremes, powers of two and their neighbours, and random ones.
fn sample(codes: &RangeInclusive<i32>, random: &mut Xoshiro256PlusPlus) -> Vec<usize> {
    let count = count(codes);
    let mut positions: Vec<usize> = (0..=16)
        .flat_map(|bit| [1 << bit, -(1 << bit)])
        .flat_map(|power| [power - 1, power, power + 1])
        .chain([*codes.start(), *codes.end()])
        .filter(|code| codes.contains(code))
        .map(|code| (code - codes.start()) as usize)
        .collect();
    positions.extend((0..SAMPLED).map(|_| below(random, count)));
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// A random number below `count`, which is far below 2^32: the rest of the division hardly favours any.
fn below(random: &mut Xoshiro256PlusPlus, count: usize) -> usize {
    (random.next_u64() % count as u64) as usize
}

/// How products are compared.
#[derive(Clone, Copy)]
enum Check {
    /// Those in the rows and columns that are searched for pivots, which are all of them or determine all others.
    Exhaustive,
    /// Those, and random ones.
    Sampled { pairs: u64, seed: u64 },
}

/// A function to factorise, with the codes it is factorised for.
struct Problem<F> {
    formats: (OperandFormat, OperandFormat),
    codes: (RangeInclusive<i32>, RangeInclusive<i32>),
    max_rank: usize,
    form: Option<FactorizationForm>,
    product: F,
}

impl<F: Products> Problem<F> {
    fn new(
        formats: (OperandFormat, OperandFormat),
        product: F,
        options: &FactorizationOptions,
    ) -> Result<Self, MultiplierError> {
        Ok(Self {
            formats,
            codes: (
                checked_codes(options.activation_codes.as_ref(), formats.0)?,
                checked_codes(options.weight_codes.as_ref(), formats.1)?,
            ),
            max_rank: options.max_rank,
            form: options.form,
            product,
        })
    }

    /// How many codes each operand has.
    fn size(&self) -> (usize, usize) {
        (count(&self.codes.0), count(&self.codes.1))
    }

    /// The codes of a row and a column.
    fn pair(&self, row: usize, column: usize) -> (i32, i32) {
        let a = self.codes.0.start() + row as i32;
        (a, self.codes.1.start() + column as i32)
    }

    /// Announces that these rows will be looked at in these columns.
    fn expect(
        &self,
        rows: impl IntoIterator<Item = usize>,
        columns: impl Iterator<Item = usize> + Clone,
    ) {
        self.product.expect(|| {
            let pairs = rows.into_iter().flat_map(|row| {
                let columns = columns.clone();
                columns.map(move |column| self.pair(row, column))
            });
            pairs.collect()
        });
    }

    /// The value that a form's terms have to add up to.
    fn entry(&self, form: FactorizationForm, row: usize, column: usize) -> i64 {
        let (a, b) = self.pair(row, column);
        let product = self.product.product(a, b);
        match form {
            FactorizationForm::Table => product,
            FactorizationForm::Error => product.wrapping_sub(i64::from(a) * i64::from(b)),
        }
    }

    /// The best factorisation of the forms asked for. Pivots are first looked for in the given rows and columns.
    fn solve(
        &self,
        rows: &[usize],
        columns: &[usize],
        check: Check,
    ) -> Result<Factorization, MultiplierError> {
        let forms = match self.form {
            Some(form) => vec![form],
            None => vec![FactorizationForm::Table, FactorizationForm::Error],
        };
        let products = |form: FactorizationForm, rank: usize| {
            rank + usize::from(form == FactorizationForm::Error)
        };
        let mut ranks: Vec<(usize, FactorizationForm)> = forms
            .iter()
            .filter_map(|&form| {
                let pivots = self.pivots(form, rows, columns, PRIMES[0])?;
                Some((products(form, pivots.rows.len()), form))
            })
            .collect();
        // A sample's rank is a lower bound: what looks cheapest comes first, and the rest is skipped if it cannot win.
        ranks.sort_by_key(|&(products, _)| products);
        let mut best: Option<(usize, u128, FactorizationForm, Vec<FactorTerm>)> = None;
        let mut failure = MultiplierError::RankTooHigh {
            at_least: self.max_rank.saturating_add(1),
        };
        for (least_products, form) in ranks {
            if best
                .as_ref()
                .is_some_and(|&(products, ..)| products < least_products)
            {
                continue;
            }
            let terms = match self.terms(form, rows, columns, check) {
                Ok(Some(terms)) => terms,
                Ok(None) => continue,
                // The other form may still do.
                Err(error) => {
                    failure = error;
                    continue;
                }
            };
            // In the error form the exact product's operands are factors, too.
            let plain = match form {
                FactorizationForm::Table => 0,
                FactorizationForm::Error => [&self.codes.0, &self.codes.1]
                    .iter()
                    .flat_map(|codes| [codes.start(), codes.end()])
                    .map(|code| u128::from(code.unsigned_abs()))
                    .max()
                    .unwrap_or(0),
            };
            let size = Cost::of(&terms).largest.max(plain);
            let products = products(form, terms.len());
            if best
                .as_ref()
                .is_none_or(|best| (products, size) < (best.0, best.1))
            {
                best = Some((products, size, form, terms));
            }
        }
        let (_, _, form, terms) = best.ok_or(failure)?;
        let coverage = match check {
            Check::Exhaustive => {
                let (rows, columns) = self.size();
                Coverage::Exhaustive {
                    pairs: rows as u64 * columns as u64,
                }
            }
            Check::Sampled { pairs, seed } => Coverage::Sampled { pairs, seed },
        };
        Factorization::from_verified(self.formats, self.codes.clone(), form, terms, coverage)
    }

    /// Pivots among the given rows and columns; `None` if there are more than the limit.
    fn pivots(
        &self,
        form: FactorizationForm,
        rows: &[usize],
        columns: &[usize],
        prime: u64,
    ) -> Option<Pivots> {
        self.expect(rows.iter().copied(), columns.iter().copied());
        let found = Pivots::find(
            rows.len(),
            columns.len(),
            self.max_rank,
            prime,
            |row, column| self.entry(form, rows[row], columns[column]),
        )?;
        Some(Pivots {
            rows: found.rows.into_iter().map(|row| rows[row]).collect(),
            columns: found
                .columns
                .into_iter()
                .map(|column| columns[column])
                .collect(),
        })
    }

    /// Terms that add up to all compared values of a form; `None` if there are more than the limit.
    fn terms(
        &self,
        form: FactorizationForm,
        rows: &[usize],
        columns: &[usize],
        check: Check,
    ) -> Result<Option<Vec<FactorTerm>>, MultiplierError> {
        let (mut rows, mut columns) = (rows.to_vec(), columns.to_vec());
        let mut rank = None;
        let mut primes = PRIMES.into_iter();
        let mut prime = primes.next();
        while let Some(modulus) = prime {
            let Some(pivots) = self.pivots(form, &rows, &columns, modulus) else {
                return Ok(None);
            };
            if rank.is_some_and(|rank| pivots.rows.len() <= rank) {
                // It should have grown with a row and a column that are independent, and did not modulo this prime.
                prime = primes.next();
                continue;
            }
            rank = Some(pivots.rows.len());
            let (row, column) = match self.integer_terms(form, &pivots) {
                Ok(terms) => match self.mismatch(form, &terms, &rows, &columns, check) {
                    None => return Ok(Some(terms)),
                    Some(pair) => pair,
                },
                Err(Obstacle::Column(column)) => (
                    self.independent_row(form, &pivots, column)
                        .ok_or(MultiplierError::FactorsOutOfRange)?,
                    column,
                ),
                Err(Obstacle::Range) => return Err(MultiplierError::FactorsOutOfRange),
            };
            rows.push(row);
            columns.push(column);
        }
        // A determinant of independent rows that is divisible by all of the primes does not fit, either.
        Err(MultiplierError::FactorsOutOfRange)
    }

    /// The better one of the terms by rows and by columns.
    fn integer_terms(
        &self,
        form: FactorizationForm,
        pivots: &Pivots,
    ) -> Result<Vec<FactorTerm>, Obstacle> {
        let (rows, columns) = self.size();
        self.expect(pivots.rows.iter().copied(), 0..columns);
        self.expect(0..rows, pivots.columns.iter().copied());
        let by_rows = lattice_terms(rows, columns, pivots, |row, column| {
            self.entry(form, row, column)
        })?;
        let transposed = Pivots {
            rows: pivots.columns.clone(),
            columns: pivots.rows.clone(),
        };
        let by_columns = lattice_terms(columns, rows, &transposed, |column, row| {
            self.entry(form, row, column)
        });
        // Exchanging the sides can only fail where the rows go through for a rank that is too low, which the comparison
        // of products finds.
        let Ok(mut by_columns) = by_columns else {
            return Ok(by_rows);
        };
        for term in &mut by_columns {
            std::mem::swap(&mut term.activation, &mut term.weight);
            term.normalise().ok_or(Obstacle::Range)?;
        }
        Ok(if Cost::of(&by_columns) < Cost::of(&by_rows) {
            by_columns
        } else {
            by_rows
        })
    }

    /// A row that in this column is not the combination of the pivot rows that it is in the pivot columns.
    fn independent_row(
        &self,
        form: FactorizationForm,
        pivots: &Pivots,
        column: usize,
    ) -> Option<usize> {
        let at = |row: usize, columns: &[usize]| -> Vec<i64> {
            columns
                .iter()
                .map(|&column| self.entry(form, row, column))
                .collect()
        };
        let inverse = Inverse::of(
            pivots
                .rows
                .iter()
                .map(|&row| {
                    at(row, &pivots.columns)
                        .into_iter()
                        .map(BigInt::from)
                        .collect()
                })
                .collect(),
        )?;
        let rows = 0..self.size().0;
        let columns = pivots.columns.iter().copied().chain([column]);
        self.expect(rows.clone(), columns);
        rows.into_iter().find(|&row| {
            let coordinates = inverse.apply(&at(row, &pivots.columns));
            let combined: BigInt = coordinates
                .iter()
                .zip(&pivots.rows)
                .map(|(coordinate, &pivot)| coordinate * self.entry(form, pivot, column))
                .sum();
            combined != &inverse.determinant * self.entry(form, row, column)
        })
    }

    /// A compared pair whose value is not the terms' sum.
    fn mismatch(
        &self,
        form: FactorizationForm,
        terms: &[FactorTerm],
        rows: &[usize],
        columns: &[usize],
        check: Check,
    ) -> Option<(usize, usize)> {
        let differs = |row: usize, column: usize| {
            // 128 bits: scale, factors and sum might together exceed 64 even though each of them fits.
            let sum = terms.iter().fold(0i128, |sum, term| {
                sum.wrapping_add(
                    i128::from(term.scale)
                        .wrapping_mul(term.activation[row].into())
                        .wrapping_mul(term.weight[column].into()),
                )
            });
            sum != self.entry(form, row, column).into()
        };
        self.expect(rows.iter().copied(), columns.iter().copied());
        let among_given = rows
            .iter()
            .flat_map(|&row| columns.iter().map(move |&column| (row, column)))
            .find(|&(row, column)| differs(row, column));
        match check {
            Check::Exhaustive => among_given,
            Check::Sampled { pairs, seed } => among_given.or_else(|| {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
                let (row_count, column_count) = self.size();
                let mut left = pairs;
                while left > 0 {
                    let together = left.min(COMPARED_TOGETHER);
                    left -= together;
                    let drawn: Vec<(usize, usize)> = (0..together)
                        .map(|_| {
                            let row = below(&mut random, row_count);
                            (row, below(&mut random, column_count))
                        })
                        .collect();
                    self.product.expect(|| {
                        let codes = drawn.iter().map(|&(row, column)| self.pair(row, column));
                        codes.collect()
                    });
                    let mismatch = drawn
                        .into_iter()
                        .find(|&(row, column)| differs(row, column));
                    if mismatch.is_some() {
                        return mismatch;
                    }
                }
                None
            }),
        }
    }
}
