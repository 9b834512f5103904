//! From a function to a multiplier: every product in a table, or factors where no table would fit, compared with the
//! function on many operand pairs.

use std::cell::RefCell;
use std::collections::HashMap;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::interpretation::{Interpretation, codes};
use super::subject::{Function, Indices};
use crate::factorization::Products;
use crate::import::{ImportError, Note};
use crate::table::checked_entry;
use crate::{
    Factorization, FactorizationOptions, MAX_INDEX_BITS, Multiplier, MultiplierError,
    OperandFormat, ProductTable,
};

/// How many products are evaluated at a time: 32 MiB of outputs.
const BLOCK: usize = 1 << 22;

/// How many random operand pairs are compared with the function while factors are looked for, from which seed.
const SEARCHED_PAIRS: u64 = 1 << 16;
const SEARCH_SEED: u64 = 0;

/// How many are compared with the factors found, from which seed.
const VERIFIED_PAIRS: usize = 1 << 24;
const VERIFICATION_SEED: u64 = 1;

/// How many are evaluated a second time where a table may be of something that is no function, from which seed.
const REPEATED_PAIRS: usize = 1 << 12;
const REPETITION_SEED: u64 = 2;

impl<F: Function> Interpretation<F> {
    /// The multiplier that it is.
    pub fn multiplier(&self, name: &str, notes: &mut Vec<Note>) -> Result<Multiplier, ImportError> {
        if self.index_bits() <= MAX_INDEX_BITS {
            let table = self.table()?;
            self.check_again(&table)?;
            return Ok(Multiplier::from_table(name, table));
        }
        let (factorization, verified) = self.factorization()?;
        notes.push(Note::information(format!(
            "It is too large for a table: it was factorised, into a sum of {} of one-operand functions, and compared with \
             that on {verified} operand pairs: {VERIFIED_PAIRS} random ones, and all pairs of codes at the ends of the \
             ranges and around powers of two.",
            match factorization.products() {
                1 => "1 product".into(),
                products => format!("{products} products"),
            }
        )));
        Ok(Multiplier::from_factorization(name, factorization)?)
    }

    /// All products.
    fn table(&self) -> Result<ProductTable, ImportError> {
        let mut entries = vec![0i32; 1 << self.index_bits()];
        let mut outputs = vec![0; entries.len().min(BLOCK)];
        let (first, second, product) = (self.first, self.second, self.product);
        for (block, entries) in entries.chunks_mut(BLOCK).enumerate() {
            let start = block * BLOCK;
            let outputs = &mut outputs[..entries.len()];
            self.function
                .evaluate(Indices::From(start as u64), outputs)?;
            entries
                .par_iter_mut()
                .zip(outputs)
                .enumerate()
                .try_for_each(|(place, (entry, &mut bits))| {
                    let product = product.value(bits).into();
                    *entry = checked_entry(first, second, start + place, product)?;
                    Ok::<_, MultiplierError>(())
                })?;
        }
        Ok(ProductTable::from_checked(first, second, entries.into()))
    }

    /// Evaluates some products once more, in another order, where what was evaluated might be no function.
    fn check_again(&self, table: &ProductTable) -> Result<(), ImportError> {
        let Some(contradiction) = self.function.contradiction() else {
            return Ok(());
        };
        let indices = random_indices(self.index_bits(), REPEATED_PAIRS, REPETITION_SEED);
        let mut outputs = vec![0; indices.len()];
        self.function
            .evaluate(Indices::At(&indices), &mut outputs)?;
        for (&index, bits) in indices.iter().zip(outputs) {
            let (a, b) = self.codes(index);
            let once: i64 = table.get(a as i32, b as i32).into();
            let again = self.product.value(bits);
            if once != again {
                return Err(contradiction([a, b], [once, again]));
            }
        }
        Ok(())
    }

    /// Its factors, and how many operand pairs they were compared on.
    fn factorization(&self) -> Result<(Factorization, u64), ImportError> {
        let products = KnownProducts::new(self);
        let mut searched = SEARCHED_PAIRS;
        loop {
            let found = Factorization::of_products(
                self.first,
                self.second,
                &products,
                &FactorizationOptions::default(),
                searched,
                SEARCH_SEED,
            );
            // What was made of products that were not to be had is nothing.
            products.check()?;
            let factorization = found.map_err(|error| self.function.without_factors(error))?;
            match self.verified(&factorization)? {
                Some(pairs) => return Ok((factorization, pairs)),
                // A rare difference is found with more pairs, if it can be: the rank then grows.
                None if searched < VERIFIED_PAIRS as u64 => searched = VERIFIED_PAIRS as u64,
                None => {
                    return Err(self.function.without_factors(MultiplierError::RankTooHigh {
                        at_least: factorization.rank() + 1,
                    }));
                }
            }
        }
    }

    /// How many operand pairs the products of a factorisation were compared on; `None` if one of them differs.
    fn verified(&self, factorization: &Factorization) -> Result<Option<u64>, ImportError> {
        let (rows, columns) = (corners(self.first), corners(self.second));
        let mut indices: Vec<u64> = Vec::with_capacity(rows.len() * columns.len());
        for &a in &rows {
            indices.extend(columns.iter().map(|&b| self.index(a, b)));
        }
        let compared = indices.len() + VERIFIED_PAIRS;
        if !self.is_equal(factorization, &indices)? {
            return Ok(None);
        }
        for block in 0..VERIFIED_PAIRS / BLOCK {
            let seed = VERIFICATION_SEED + block as u64;
            let indices = random_indices(self.index_bits(), BLOCK, seed);
            if !self.is_equal(factorization, &indices)? {
                return Ok(None);
            }
        }
        Ok(Some(compared as u64))
    }

    fn is_equal(
        &self,
        factorization: &Factorization,
        indices: &[u64],
    ) -> Result<bool, ImportError> {
        let mut outputs = vec![0; indices.len()];
        self.function.evaluate(Indices::At(indices), &mut outputs)?;
        let (first, second, product) = (self.first, self.second, self.product);
        Ok(indices.par_iter().zip(outputs).all(|(&index, bits)| {
            let (a, b) = codes(first, second, index);
            factorization.product_of(a, b) == product.value(bits)
        }))
    }
}

fn random_indices(index_bits: u32, count: usize, seed: u64) -> Vec<u64> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mask = (1u64 << index_bits) - 1;
    (0..count).map(|_| random.next_u64() & mask).collect()
}

/// The codes at the ends of a format's range, and powers of two with their neighbours.
fn corners(format: OperandFormat) -> Vec<i32> {
    let mut codes: Vec<i32> = (0..=format.bits())
        .flat_map(|bit| [1 << bit, -(1 << bit)])
        .flat_map(|power| [power - 1, power, power + 1])
        .chain([format.min_code(), format.max_code()])
        .filter(|&code| format.contains(code))
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// The most products that are remembered: some 100 MiB.
const MOST_KNOWN: usize = 1 << 22;

/// A function one product at a time, as the factoriser asks for it. Evaluating one takes as long as evaluating many, so
/// those that will be asked for are evaluated together.
struct KnownProducts<'a, F> {
    interpretation: &'a Interpretation<F>,
    known: RefCell<HashMap<(i32, i32), i64>>,
    /// Why products could not be evaluated.
    failure: RefCell<Option<ImportError>>,
}

impl<'a, F: Function> KnownProducts<'a, F> {
    fn new(interpretation: &'a Interpretation<F>) -> Self {
        Self {
            interpretation,
            known: RefCell::default(),
            failure: RefCell::default(),
        }
    }

    /// The error if products could not be evaluated.
    fn check(&self) -> Result<(), ImportError> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn learn(&self, mut pairs: Vec<(i32, i32)>) {
        if self.failure.borrow().is_some() {
            return;
        }
        let mut known = self.known.borrow_mut();
        if known.len() + pairs.len() > MOST_KNOWN {
            known.clear();
        }
        pairs.retain(|pair| !known.contains_key(pair));
        if pairs.is_empty() {
            return;
        }
        let indices: Vec<u64> = (pairs.iter())
            .map(|&(a, b)| self.interpretation.index(a, b))
            .collect();
        let mut outputs = vec![0; indices.len()];
        let function = &self.interpretation.function;
        match function.evaluate(Indices::At(&indices), &mut outputs) {
            Ok(()) => {
                let values = outputs
                    .into_iter()
                    .map(|bits| self.interpretation.product.value(bits));
                known.extend(pairs.into_iter().zip(values));
            }
            Err(error) => *self.failure.borrow_mut() = Some(error),
        }
    }
}

impl<F: Function> Products for &KnownProducts<'_, F> {
    fn product(&self, a: i32, b: i32) -> i64 {
        let known = |pair| self.known.borrow().get(&pair).copied();
        known((a, b))
            .or_else(|| {
                self.learn(vec![(a, b)]);
                known((a, b))
            })
            // After a failure nothing that is found is taken.
            .unwrap_or(0)
    }

    fn expect(&self, pairs: impl FnOnce() -> Vec<(i32, i32)>) {
        self.learn(pairs());
    }
}
