//! The product of an activation's code and a weight's, looked up or as a sum of products of factors:
//!
//! ```text
//! p(a, b) = table[a][b]            p(a, b) = sum over t of u_t[a] * v_t[b]
//! ```
//!
//! with `a` and `b` the codes' bit patterns. A kernel maps each operand once, on the way into a tile: a pattern to its
//! half of the table's index, or to its factor of one term. What is then done for every pair of operands is a load or a
//! product.

use cubecl::prelude::*;

use crate::kernels::sums::Sums;
use crate::wide::Wide;

/// What stands in a tile for an activation that is skipped: no code has this value, and no index of a table.
pub(crate) const SKIPPED: u32 = 1 << 31;

/// How the entries of a table are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EntryForm {
    /// As 32-bit integers.
    Full,
    /// As 16-bit distances from the smallest entry, two to a word, the first in the low half.
    Offsets,
}

/// A table of products, `table[a << weight_bits | b]`.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Lookup {
    entries: Box<[u32]>,
    weight_bits: u32,
    /// The smallest entry.
    minimum: i32,
    #[cube(comptime)]
    form: EntryForm,
    /// The number of words of the table's copy in shared memory; `None` where it is read from global memory.
    #[cube(comptime)]
    shared_words: Option<usize>,
}

/// Factors by bit pattern: `u` as `[terms, 2^activation_bits]`, then `v` as `[terms, 2^weight_bits]`. 32-bit integers
/// or float32, as the sums are.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Factors {
    values: Box<[u32]>,
    terms: u32,
    activation_bits: u32,
    weight_bits: u32,
}

/// A scalar product with what it reads.
#[derive(CubeType, CubeLaunch)]
#[expect(dead_code, reason = "kernels construct what the macro makes of it")]
pub(crate) enum ScalarProduct {
    Lookup(Lookup),
    Factors(Factors),
}

#[cube]
impl ScalarProduct {
    /// The number of terms of a product.
    pub(crate) fn terms(&self) -> u32 {
        match self {
            ScalarProduct::Lookup(_) => 1u32.runtime(),
            ScalarProduct::Factors(factors) => factors.terms,
        }
    }

    /// What an activation's pattern becomes in a term.
    pub(crate) fn map_activation(&self, pattern: u32, term: u32) -> u32 {
        match self {
            ScalarProduct::Lookup(lookup) => pattern << lookup.weight_bits,
            ScalarProduct::Factors(factors) => {
                factors.values[((term << factors.activation_bits) | pattern) as usize]
            }
        }
    }

    /// What a weight's pattern becomes in a term.
    pub(crate) fn map_weight(&self, pattern: u32, term: u32) -> u32 {
        match self {
            ScalarProduct::Lookup(_) => pattern,
            ScalarProduct::Factors(factors) => {
                let start = factors.terms << factors.activation_bits;
                factors.values[(start + ((term << factors.weight_bits) | pattern)) as usize]
            }
        }
    }

    /// What an activation becomes that adds nothing, whatever the weight. Factors are finite.
    pub(crate) fn skipped_activation(&self) -> u32 {
        match self {
            ScalarProduct::Lookup(_) => SKIPPED.runtime(),
            ScalarProduct::Factors(_) => 0u32.runtime(),
        }
    }

    /// What [`accumulate`](ScalarProduct::accumulate) reads: a table where it is fastest. All units of the cube take
    /// part.
    pub(crate) fn table(&self) -> Box<[u32]> {
        match self {
            ScalarProduct::Lookup(lookup) => lookup.table(),
            // SAFETY: a buffer of the kernel outlives it.
            ScalarProduct::Factors(factors) => unsafe { factors.values.as_boxed_unchecked() },
        }
    }

    /// Adds a term of the product of two mapped operands to a sum; `skips` says that some activations may be skipped.
    pub(crate) fn accumulate(
        &self,
        table: &[u32],
        sums: &mut Sums,
        #[comptime] index: usize,
        activation: u32,
        weight: u32,
        #[comptime] skips: bool,
    ) {
        match self {
            ScalarProduct::Lookup(lookup) => {
                if comptime!(skips) {
                    let is_skipped = activation == SKIPPED;
                    let first = select(is_skipped, 0u32.runtime(), activation);
                    let kept = select(is_skipped, 0u32.runtime(), u32::MAX.runtime());
                    let entry = lookup.entry(table, first | weight) & kept;
                    sums.add(index, lookup.value(entry));
                } else {
                    let entry = lookup.entry(table, activation | weight);
                    sums.add(index, lookup.value(entry));
                }
            }
            ScalarProduct::Factors(_) => sums.add_product(index, activation, weight),
        }
    }

    /// Completes a sum of so many products.
    pub(crate) fn complete(&self, sums: &mut Sums, #[comptime] index: usize, products: u32) {
        match self {
            ScalarProduct::Lookup(lookup) => {
                if comptime!(matches!(lookup.form, EntryForm::Offsets)) {
                    sums.add(
                        index,
                        Wide::product(i32::reinterpret(products), lookup.minimum),
                    );
                }
            }
            ScalarProduct::Factors(_) => {}
        }
    }
}

#[cube]
impl Lookup {
    /// The table in shared memory, or where it lies.
    fn table(&self) -> Box<[u32]> {
        match comptime!(self.shared_words) {
            Some(words) => {
                let mut table = Shared::<[u32]>::new_slice(words);
                let mut word = UNIT_POS;
                while word < words as u32 {
                    table[word as usize] = self.entries[word as usize];
                    word += CUBE_DIM;
                }
                sync_cube();
                // SAFETY: shared memory lives as long as the kernel.
                unsafe { table.inner_ref().as_boxed_unchecked() }
            }
            // SAFETY: a buffer of the kernel outlives it.
            None => unsafe { self.entries.as_boxed_unchecked() },
        }
    }

    /// The bits of an entry; of offsets, of its distance from the smallest.
    fn entry(&self, table: &[u32], position: u32) -> u32 {
        match comptime!(self.form) {
            EntryForm::Full => table[position as usize],
            EntryForm::Offsets => {
                let word = table[(position >> 1) as usize];
                (word >> ((position & 1) << 4)) & 0xffff
            }
        }
    }

    /// What the bits of an entry add to a sum.
    fn value(&self, entry: u32) -> Wide {
        match comptime!(self.form) {
            EntryForm::Full => Wide::from_word(i32::reinterpret(entry)),
            EntryForm::Offsets => Wide::from_unsigned(entry),
        }
    }
}
