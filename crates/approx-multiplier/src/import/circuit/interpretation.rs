//! A circuit as a function of two numbers: how its operands' codes become inputs, and its outputs a product.

use approx_netlists::{Circuit, Connection, Evaluator, LANES, Netlist, Signal, WORDS};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::operands::{Operand, Operands, bit_count, not_a_multiplier};
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

/// A circuit read as a multiplier of its first and its second operand, which are activation and weight unless they are
/// to be swapped.
pub(super) struct Interpretation {
    pub first: OperandFormat,
    pub second: OperandFormat,
    /// Its inputs are the bits of the second and of the first operand, so that a combination of inputs is the index in
    /// a table; its outputs are the product's bits.
    pub circuit: Circuit,
    pub product: ProductFormat,
}

/// The number that the outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProductFormat {
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

impl Interpretation {
    /// The circuit as a multiplier of operands that are signed or not.
    pub fn new(
        netlist: &Netlist,
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
        let formats = (
            format(first, signedness[0])?,
            format(second, signedness[1])?,
        );
        let connections = connections(netlist, operands, formats);
        let any_signed = formats.0.is_signed() || formats.1.is_signed();
        let signed = any_signed || product.signed;
        // A signed product in an unsigned integer is a pattern, of no more bits than both operands together.
        let is_pattern = product.is_integer && any_signed && !product.signed;
        let width = match is_pattern || extension == SignExtension::Added {
            true => product.bits.len().min(operands.index_bits()),
            false => product.bits.len(),
        };
        let circuit = netlist.circuit().rewired(
            operands.index_bits(),
            |input| connections[input],
            |outputs| {
                let bits: Vec<Signal> = product.bits[..width]
                    .iter()
                    .map(|&bit| outputs[bit])
                    .collect();
                without_extension(&bits, signed)
            },
        );
        let width = circuit.outputs().len();
        // The scale's own bits come on top, and so does a sign that there is none of.
        let scale_bits = (u32::BITS - (scale - 1).leading_zeros()) as usize;
        if width + scale_bits > MAX_PRODUCT_BITS - usize::from(!signed) {
            let found = format!("a product of {}", bit_count(width + scale_bits));
            return Err(not_a_multiplier(netlist, found));
        }
        Ok(Self {
            first: formats.0,
            second: formats.1,
            circuit,
            product: ProductFormat {
                width,
                signed,
                scale,
            },
        })
    }
}

/// What is connected to each input of a netlist: bits of the second operand, which come first, and of the first one.
fn connections(
    netlist: &Netlist,
    Operands { first, second, .. }: &Operands,
    formats: (OperandFormat, OperandFormat),
) -> Vec<Connection> {
    let mut connections = vec![Connection::Zero; netlist.circuit().inputs()];
    for (operand, format, position_of_first) in [
        (second, formats.1, 0),
        (first, formats.0, usize::from(second.bits)),
    ] {
        let bits = usize::from(operand.bits);
        for (position, &input) in operand.group.bits.iter().enumerate() {
            // The rest of an integer is the sign of a signed number, unless the integer is unsigned: then it is a
            // pattern.
            let sign = operand.group.signed && format.is_signed();
            if position < bits {
                connections[input] = Connection::Input(position_of_first + position);
            } else if sign {
                connections[input] = Connection::Input(position_of_first + bits - 1);
            }
        }
    }
    connections
}

/// The bits without the highest ones that only repeat the sign, or are always 0.
fn without_extension(bits: &[Signal], signed: bool) -> Vec<Signal> {
    let mut width = bits.len();
    let superfluous = |width: usize| match signed {
        true => width > 1 && bits[width - 1] == bits[width - 2],
        false => width > 1 && bits[width - 1] == Signal::FALSE,
    };
    while superfluous(width) {
        width -= 1;
    }
    bits[..width].to_vec()
}

impl Interpretation {
    /// Index bits of both operands together.
    pub fn index_bits(&self) -> u32 {
        index_bits(self.first, self.second)
    }

    /// An evaluator of the circuit.
    pub fn evaluator<const WORDS: usize>(&self) -> Evaluator<WORDS> {
        self.circuit
            .evaluator()
            .expect("operands have at most 32 bits together, and a product has at most 64")
    }

    /// The codes of the operands at an index.
    pub fn codes(&self, index: u64) -> (i64, i64) {
        // Formats ignore the bits above theirs.
        let first = self.first.code((index >> self.second.bits()) as usize);
        let second = self.second.code(index as usize);
        (first.into(), second.into())
    }

    /// The mean error over all operand pairs, or over 2^16 random ones.
    pub fn error(&self) -> ReadingError {
        self.error_with(self.product)
    }

    /// What it would be if the outputs were such a number.
    pub fn error_with(&self, product: ProductFormat) -> ReadingError {
        let count = 1u64 << self.index_bits().min(COMPARED_BITS);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(COMPARED_SEED);
        let mask = (1u64 << self.index_bits()) - 1;
        let indices: Vec<u64> = match self.index_bits() <= COMPARED_BITS {
            true => (0..count).collect(),
            false => (0..count).map(|_| random.next_u64() & mask).collect(),
        };
        let mut evaluator = self.evaluator::<WORDS>();
        let mut outputs = [0; LANES];
        let (mut total, mut squares) = (0u128, 0.0);
        for indices in indices.chunks(LANES) {
            let outputs = &mut outputs[..indices.len()];
            evaluator.evaluate(indices, outputs);
            for (&index, &mut bits) in indices.iter().zip(outputs) {
                let (a, b) = self.codes(index);
                let error = i128::from(product.value(bits)) - i128::from(a * b);
                total += error.unsigned_abs();
                squares += (error as f64).powi(2);
            }
        }
        ReadingError {
            mean: total as f64 / count as f64,
            mean_squared: squares / count as f64,
            index_bits: self.index_bits(),
        }
    }
}
