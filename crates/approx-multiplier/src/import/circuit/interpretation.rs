//! A circuit, or another function of bits, as one of two numbers: which formats these have, and which number its outputs
//! are.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::operands::{bit_count, not_a_multiplier};
use super::subject::{Function, Indices, Operand, Operands, Subject};
use crate::import::ImportError;
use crate::import::reading::ReadingError;
use crate::table::index_bits;
use crate::{OperandFormat, Signedness};

/// Up to this many index bits, readings are compared on all operand pairs.
const COMPARED_BITS: u32 = 16;

/// The seed of the pairs they are compared on beyond.
const COMPARED_SEED: u64 = 0;

/// The bits of the largest product.
const MAX_PRODUCT_BITS: usize = 64;

/// Which bit is the sign of a signed product, where a circuit has more bits of it than both operands have together.
///
/// ```
/// use approx_multiplier::import::{self, ImportOptions, NetlistFormat, SignExtension};
///
/// // The exact product, without the bits that the integer has above it.
/// let text = "int32_t mul4s_cut(int8_t a, int8_t b) { return (a * b) & 0xFF; }";
/// let product = |sign_extension| {
///     let options = ImportOptions { sign_extension, ..ImportOptions::default() };
///     import::circuit(text, NetlistFormat::C, &options).unwrap().multiplier.product(-1, 1)
/// };
/// assert_eq!(product(None), Some(-1));
/// assert_eq!(product(Some(SignExtension::Computed)), Some(255));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignExtension {
    /// The highest bit that the circuit computes is the sign.
    Computed,
    /// The product has as many bits as both operands, of which the highest one is its sign, and what the circuit has
    /// above is of no account.
    Added,
}

/// A function read as a multiplier of its first and its second operand, which are activation and weight unless they are
/// to be swapped.
pub(in crate::import) struct Interpretation<F> {
    pub first: OperandFormat,
    pub second: OperandFormat,
    /// The product's bits, by the index that the operands have in a table.
    pub function: F,
    pub product: ProductFormat,
}

/// The number that the outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) struct ProductFormat {
    /// At least 1, and at most 63 if it is unsigned; fewer if there is a scale.
    pub width: usize,
    pub signed: bool,
    /// What a 1 in the outputs counts.
    pub scale: u32,
}

impl ProductFormat {
    /// The number with these bits, of which there are none beyond the width.
    pub fn value(self, bits: u64) -> i64 {
        let value = if self.signed {
            let unused = 64 - self.width;
            bits.cast_signed() << unused >> unused
        } else {
            bits.cast_signed()
        };
        value * i64::from(self.scale)
    }
}

impl<F: Function> Interpretation<F> {
    /// What is read as a multiplier of operands that are signed or not.
    pub fn new(
        subject: &impl Subject<Function = F>,
        operands: &Operands,
        signedness: [Signedness; 2],
        extension: SignExtension,
        scale: u32,
    ) -> Result<Self, ImportError> {
        let Operands {
            first,
            second,
            product,
        } = operands;
        let format = |operand: &Operand, signedness| OperandFormat::new(operand.bits, signedness);
        let [first, second] = [
            format(first, signedness[0])?,
            format(second, signedness[1])?,
        ];
        let any_signed = first.is_signed() || second.is_signed();
        let signed = any_signed || product.signed;
        // A signed product in an unsigned integer is a pattern, of no more bits than both operands together.
        let is_pattern = product.is_integer && any_signed && !product.signed;
        let width = match is_pattern || extension == SignExtension::Added {
            true => product.bits.len().min(operands.index_bits()),
            false => product.bits.len(),
        };
        let (function, width) = subject.function(operands, [first, second], width, signed);
        // The scale's own bits come on top, and so does a sign that there is none of.
        let scale_bits = (u32::BITS - (scale - 1).leading_zeros()) as usize;
        if width + scale_bits > MAX_PRODUCT_BITS - usize::from(!signed) {
            let found = format!("a product of {}", bit_count(width + scale_bits));
            return Err(not_a_multiplier(subject, found));
        }
        Ok(Self {
            first,
            second,
            function,
            product: ProductFormat {
                width,
                signed,
                scale,
            },
        })
    }

    /// Index bits of both operands together.
    pub fn index_bits(&self) -> u32 {
        index_bits(self.first, self.second)
    }

    /// The codes of the operands at an index.
    pub fn codes(&self, index: u64) -> (i64, i64) {
        let (first, second) = codes(self.first, self.second, index);
        (first.into(), second.into())
    }

    /// The index of a pair of codes.
    pub fn index(&self, a: i32, b: i32) -> u64 {
        (self.first.pattern(a) as u64) << self.second.bits() | self.second.pattern(b) as u64
    }

    /// The mean error over all operand pairs, or over 2^16 random ones.
    pub fn error(&self) -> Result<ReadingError, ImportError> {
        self.error_with(self.product)
    }

    /// What it would be if the outputs were such a number.
    pub fn error_with(&self, product: ProductFormat) -> Result<ReadingError, ImportError> {
        let indices = compared_indices(self.index_bits());
        let mut outputs = vec![0; indices.len()];
        self.function
            .evaluate(Indices::At(&indices), &mut outputs)?;
        let (mut total, mut squares) = (0u128, 0.0);
        for (&index, bits) in indices.iter().zip(outputs) {
            let (a, b) = self.codes(index);
            let error = i128::from(product.value(bits)) - i128::from(a * b);
            total += error.unsigned_abs();
            squares += (error as f64).powi(2);
        }
        let count = indices.len() as f64;
        Ok(ReadingError {
            mean: total as f64 / count,
            mean_squared: squares / count,
            index_bits: self.index_bits(),
        })
    }
}

/// The codes of operands of these formats at an index.
pub(in crate::import) fn codes(
    first: OperandFormat,
    second: OperandFormat,
    index: u64,
) -> (i32, i32) {
    // Formats ignore the bits above theirs.
    let code = first.code((index >> second.bits()) as usize);
    (code, second.code(index as usize))
}

/// The indices at which readings are compared: all, or random ones.
pub(in crate::import) fn compared_indices(index_bits: u32) -> Vec<u64> {
    if index_bits <= COMPARED_BITS {
        return (0..1 << index_bits).collect();
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(COMPARED_SEED);
    let mask = (1u64 << index_bits) - 1;
    (0..1u64 << COMPARED_BITS)
        .map(|_| random.next_u64() & mask)
        .collect()
}
