//! The product table of a multiplier, laid out for the kernels.
//!
//! The kernels fix the code of one operand and look up many codes of the other, so the table is kept twice, as lines
//! by activation code and as lines by weight code, each line 256 entries long. Entries are stored less the smallest
//! one, hence unsigned; a sum of K products then lacks `K * minimum`, which is added once per output. Where the largest
//! stored entry is at most 65535 a line takes 16-bit entries (every exact 8-bit multiplier does, signed or not),
//! otherwise 32-bit ones.

use crate::arch::{DigitLine, InstructionSet};
use crate::error::{KernelError, check_length};
use crate::word::CODES;

/// A product table prepared for the kernels.
///
/// Entry `[a][w]` is the product of the activation with bit pattern `a` and the weight with bit pattern `w`; the
/// activation always comes first. The table need not be symmetric and `[0][0]` need not be zero.
///
/// ```
/// use approx_cpu::LookupTable;
///
/// // A 2 x 3 bit unsigned multiplier that drops the lowest bit of the weight.
/// let entries: Vec<i32> = (0..4).flat_map(|a| (0..8).map(move |w| a * (w & !1))).collect();
/// let table = LookupTable::new(2, 3, &entries)?;
/// assert_eq!(table.get(3, 5), 12);
/// assert_eq!(table.max_abs(), 18);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LookupTable {
    activation_bits: u8,
    weight_bits: u8,
    entries: Vec<i32>,
    minimum: i32,
    /// The largest entry less the smallest one.
    span: u32,
    max_abs: u32,
    activation_maxima: [u32; CODES],
    weight_maxima: [u32; CODES],
    by_activation: Lines,
    by_weight: Lines,
}

/// A table as lines: one line for every code of one operand, one entry in it for every code of the other.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    pub(crate) entries: LineEntries,
    /// These lines as 16-bit digits, the least significant first (one digit for 16-bit entries, two for 32-bit
    /// ones), each digit as a plane of low bytes and one of high bytes. None where no instruction set of this machine
    /// adds them up.
    pub(crate) digits: Vec<Vec<DigitLine>>,
}

/// The entries of all lines, in the narrower of two widths that holds them.
#[derive(Debug, Clone)]
pub(crate) enum LineEntries {
    /// All entries fit in 16 bits.
    Narrow(Vec<[u16; CODES]>),
    /// Some entries do not.
    Wide(Vec<[u32; CODES]>),
}

impl Lines {
    /// Lays out `lines` lines; `entry(line, position)` is the stored entry, for positions below `length`.
    fn new(lines: usize, length: usize, narrow: bool, entry: impl Fn(usize, usize) -> u32) -> Self {
        let wide: Vec<[u32; CODES]> = (0..lines)
            .map(|line| {
                std::array::from_fn(|position| {
                    if position < length {
                        entry(line, position)
                    } else {
                        0
                    }
                })
            })
            .collect();
        let digit = |shift: u32| -> Vec<DigitLine> {
            wide.iter()
                .map(|line| {
                    DigitLine(
                        [shift, shift + 8].map(|shift| line.map(|entry| (entry >> shift) as u8)),
                    )
                })
                .collect()
        };
        let added = InstructionSet::available()
            .iter()
            .any(|set| set.facts().adds_digits);
        let shifts: &[u32] = match (added, narrow) {
            (false, _) => &[],
            (true, true) => &[0],
            (true, false) => &[0, 16],
        };
        let digits = shifts.iter().map(|&shift| digit(shift)).collect();
        let entries = if narrow {
            LineEntries::Narrow(
                wide.iter()
                    .map(|line| line.map(|entry| entry as u16))
                    .collect(),
            )
        } else {
            LineEntries::Wide(wide)
        };
        Lines { entries, digits }
    }
}

impl LookupTable {
    /// Prepares a table of `2^activation_bits` rows and `2^weight_bits` columns, row-major.
    ///
    /// # Errors
    ///
    /// [`KernelError::OperandWidth`] for a width outside 2..=8 bits, [`KernelError::Length`] where `entries` does not
    /// hold exactly one product for every pair of codes.
    pub fn new(activation_bits: u8, weight_bits: u8, entries: &[i32]) -> Result<Self, KernelError> {
        for bits in [activation_bits, weight_bits] {
            if !(2..=8).contains(&bits) {
                return Err(KernelError::OperandWidth { bits });
            }
        }
        let (rows, columns) = (1usize << activation_bits, 1usize << weight_bits);
        check_length("table", rows * columns, entries.len())?;

        let minimum = entries.iter().copied().fold(i32::MAX, i32::min);
        let maximum = entries.iter().copied().fold(i32::MIN, i32::max);
        let span = maximum.abs_diff(minimum);
        let mut activation_maxima = [0; CODES];
        let mut weight_maxima = [0; CODES];
        for (row, products) in entries.chunks_exact(columns).enumerate() {
            for (column, product) in products.iter().enumerate() {
                let magnitude = product.unsigned_abs();
                activation_maxima[row] = magnitude.max(activation_maxima[row]);
                weight_maxima[column] = magnitude.max(weight_maxima[column]);
            }
        }
        let narrow = span <= u32::from(u16::MAX);
        let stored = |row: usize, column: usize| entries[row * columns + column].abs_diff(minimum);
        Ok(LookupTable {
            activation_bits,
            weight_bits,
            minimum,
            span,
            max_abs: minimum.unsigned_abs().max(maximum.unsigned_abs()),
            activation_maxima,
            weight_maxima,
            by_activation: Lines::new(rows, columns, narrow, stored),
            by_weight: Lines::new(columns, rows, narrow, |column, row| stored(row, column)),
            entries: entries.to_vec(),
        })
    }

    /// The product of two bit patterns; bits above the operands' widths are ignored.
    pub fn get(&self, activation_pattern: u8, weight_pattern: u8) -> i32 {
        let row = usize::from(activation_pattern & self.activation_mask());
        let column = usize::from(weight_pattern & self.weight_mask());
        self.entries[(row << self.weight_bits) + column]
    }

    /// The largest magnitude among the products, at most 2^31.
    pub fn max_abs(&self) -> u32 {
        self.max_abs
    }

    /// Width of the activation operand in bits, 2 to 8.
    pub fn activation_bits(&self) -> u8 {
        self.activation_bits
    }

    /// Width of the weight operand in bits, 2 to 8.
    pub fn weight_bits(&self) -> u8 {
        self.weight_bits
    }

    /// The largest magnitude among the products of one activation pattern with any weight.
    pub fn activation_max_abs(&self, activation_pattern: u8) -> u32 {
        self.activation_maxima[usize::from(activation_pattern & self.activation_mask())]
    }

    /// The largest magnitude among the products of one weight pattern with any activation: what one tap of that weight
    /// can add to an accumulator at most.
    pub fn weight_max_abs(&self, weight_pattern: u8) -> u32 {
        self.weight_maxima[usize::from(weight_pattern & self.weight_mask())]
    }

    pub(crate) fn activation_mask(&self) -> u8 {
        u8::MAX >> (8 - self.activation_bits)
    }

    pub(crate) fn weight_mask(&self) -> u8 {
        u8::MAX >> (8 - self.weight_bits)
    }

    /// The smallest entry: what every stored entry lacks.
    pub(crate) fn minimum(&self) -> i32 {
        self.minimum
    }

    /// Whether stored entries have 16 bits.
    pub(crate) fn is_narrow(&self) -> bool {
        matches!(self.by_activation.entries, LineEntries::Narrow(_))
    }

    /// How many stored entries can be added in 16 bits without a carry; 0 for 32-bit entries.
    pub(crate) fn carry_free_additions(&self) -> u32 {
        u32::from(u16::MAX) / self.span.max(1)
    }

    /// Lines by activation code, their entries by weight code.
    pub(crate) fn by_activation(&self) -> &Lines {
        &self.by_activation
    }

    /// Lines by weight code, their entries by activation code.
    pub(crate) fn by_weight(&self) -> &Lines {
        &self.by_weight
    }
}
