//! From a circuit to a multiplier: every product in a table, or factors where no table would fit, compared with the
//! circuit on many operand pairs.

use std::cell::RefCell;
use std::collections::HashMap;

use approx_netlists::{Evaluator, LANES, WORDS};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::interpretation::Interpretation;
use crate::import::Note;
use crate::table::checked_entry;
use crate::{
    Factorization, FactorizationOptions, MAX_INDEX_BITS, Multiplier, MultiplierError,
    OperandFormat, ProductTable,
};

/// Blocks that a thread evaluates at a time.
const BLOCKS: usize = 64;

/// How many random operand pairs are compared with the circuit while factors are looked for, from which seed.
const SEARCHED_PAIRS: u64 = 1 << 16;
const SEARCH_SEED: u64 = 0;

/// How many are compared with the factors found, from which seed.
const VERIFIED_PAIRS: usize = 1 << 24;
const VERIFICATION_SEED: u64 = 1;

impl Interpretation {
    /// The multiplier that the circuit is.
    pub fn multiplier(
        &self,
        name: &str,
        notes: &mut Vec<Note>,
    ) -> Result<Multiplier, MultiplierError> {
        if self.index_bits() <= MAX_INDEX_BITS {
            Ok(Multiplier::from_table(name, self.table()?))
        } else {
            let (factorization, verified) = self.factorization()?;
            notes.push(Note::information(format!(
                "The circuit is too large for a table: it was factorised, into a sum of {} of one-operand functions, and \
                 compared with it on {verified} operand pairs: {VERIFIED_PAIRS} random ones, and all pairs of codes at the \
                 ends of the ranges and around powers of two.",
                match factorization.products() {
                    1 => "1 product".into(),
                    products => format!("{products} products"),
                }
            )));
            Multiplier::from_factorization(name, factorization)
        }
    }

    /// All products.
    fn table(&self) -> Result<ProductTable, MultiplierError> {
        let mut entries = vec![0i32; 1 << self.index_bits()];
        entries
            .par_chunks_mut(BLOCKS * LANES)
            .enumerate()
            .try_for_each_init(
                || self.evaluator::<WORDS>(),
                |evaluator, (chunk, entries)| {
                    let mut outputs = [0; LANES];
                    for (block, entries) in entries.chunks_mut(LANES).enumerate() {
                        let first = (chunk * BLOCKS + block) * LANES;
                        let outputs = &mut outputs[..entries.len()];
                        evaluator.evaluate_range(first as u64, outputs);
                        for (lane, (entry, &mut bits)) in
                            entries.iter_mut().zip(outputs).enumerate()
                        {
                            let product = self.product.value(bits);
                            *entry = checked_entry(
                                self.first,
                                self.second,
                                first + lane,
                                product.into(),
                            )?;
                        }
                    }
                    Ok::<_, MultiplierError>(())
                },
            )?;
        Ok(ProductTable::from_checked(
            self.first,
            self.second,
            entries.into(),
        ))
    }

    /// Factors of the circuit's function, and how many operand pairs they were compared on.
    fn factorization(&self) -> Result<(Factorization, u64), MultiplierError> {
        let function = RefCell::new(CachedFunction::new(self));
        let mut searched = SEARCHED_PAIRS;
        loop {
            let factorization = Factorization::of_function(
                self.first,
                self.second,
                |a, b| function.borrow_mut().product(a as i32, b as i32),
                &FactorizationOptions::default(),
                searched,
                SEARCH_SEED,
            )?;
            match self.verified(&factorization) {
                Some(pairs) => return Ok((factorization, pairs)),
                // A rare difference is found with more pairs, if it can be: the rank then grows.
                None if searched < VERIFIED_PAIRS as u64 => searched = VERIFIED_PAIRS as u64,
                None => {
                    return Err(MultiplierError::RankTooHigh {
                        at_least: factorization.rank() + 1,
                    });
                }
            }
        }
    }

    /// How many operand pairs the products of a factorisation were compared on; `None` if one of them differs.
    fn verified(&self, factorization: &Factorization) -> Option<u64> {
        let (rows, columns) = (corners(self.first), corners(self.second));
        let mut indices: Vec<u64> = Vec::with_capacity(rows.len() * columns.len());
        for &a in &rows {
            indices.extend(columns.iter().map(|&b| self.index(a, b)));
        }
        let mask = (1u64 << self.index_bits()) - 1;
        let blocks = VERIFIED_PAIRS / (BLOCKS * LANES);
        let equal = |indices: &[u64]| {
            let mut evaluator = self.evaluator::<WORDS>();
            let mut outputs = [0; LANES];
            indices.chunks(LANES).all(|indices| {
                let outputs = &mut outputs[..indices.len()];
                evaluator.evaluate(indices, outputs);
                indices.iter().zip(outputs).all(|(&index, &mut bits)| {
                    let (a, b) = self.codes(index);
                    factorization.product_of(a as i32, b as i32) == self.product.value(bits)
                })
            })
        };
        let all_equal = equal(&indices)
            && (0..blocks as u64).into_par_iter().all(|block| {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(VERIFICATION_SEED + block);
                let indices: Vec<u64> = (0..BLOCKS * LANES)
                    .map(|_| random.next_u64() & mask)
                    .collect();
                equal(&indices)
            });
        all_equal.then_some((indices.len() + VERIFIED_PAIRS) as u64)
    }

    /// The index of a pair of codes.
    fn index(&self, a: i32, b: i32) -> u64 {
        (self.first.pattern(a) as u64) << self.second.bits() | self.second.pattern(b) as u64
    }
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

/// Products of a code with 64 consecutive codes of the other operand, as many as a word holds.
type Line = Box<[i64; 64]>;

/// How many lines are kept: some 64 MiB.
const MAX_LINES: usize = 1 << 17;

/// The circuit's function one product at a time. Evaluating one takes as long as evaluating 64, and the factoriser asks
/// for neighbours, and for the same ones again: all that are evaluated are kept for a while.
struct CachedFunction<'a> {
    interpretation: &'a Interpretation,
    evaluator: Evaluator<1>,
    last: (i32, i32),
    /// By the code that the products of a line have in common, and the number of the line.
    rows: HashMap<(i32, i32), Line>,
    columns: HashMap<(i32, i32), Line>,
}

impl<'a> CachedFunction<'a> {
    fn new(interpretation: &'a Interpretation) -> Self {
        Self {
            interpretation,
            evaluator: interpretation.evaluator(),
            last: (0, 0),
            rows: HashMap::new(),
            columns: HashMap::new(),
        }
    }

    fn product(&mut self, a: i32, b: i32) -> i64 {
        let last = std::mem::replace(&mut self.last, (a, b));
        let (in_row, in_column) = ((a, b >> 6), (b, a >> 6));
        if let Some(row) = self.rows.get(&in_row) {
            return row[(b & 63) as usize];
        }
        if let Some(column) = self.columns.get(&in_column) {
            return column[(a & 63) as usize];
        }
        // Where the second operand stays, the next one asked for is likely to be in the same column.
        let along_column = last.1 == b && last.0 != a;
        let mut indices = [0; 64];
        for (index, lane) in indices.iter_mut().zip(0..) {
            *index = if along_column {
                self.interpretation.index(in_column.1 << 6 | lane, b)
            } else {
                self.interpretation.index(a, in_row.1 << 6 | lane)
            };
        }
        let mut outputs = [0; 64];
        self.evaluator.evaluate(&indices, &mut outputs);
        let format = self.interpretation.product;
        let line = Box::new(outputs.map(|bits| format.value(bits)));
        let (lines, key, lane) = if along_column {
            (&mut self.columns, in_column, a & 63)
        } else {
            (&mut self.rows, in_row, b & 63)
        };
        if lines.len() >= MAX_LINES {
            lines.clear();
        }
        let product = line[lane as usize];
        lines.insert(key, line);
        product
    }
}
