//! What can be read as a multiplier: something with ports, some of which are its operands and its product, and with a function
//! of their bits. It is a netlist, or a function that is compiled and run.

use approx_netlists::{Location, Port};

use super::ports::Group;
use crate::import::ImportError;
use crate::{MultiplierError, OperandFormat};

/// One of the operands, the width of which has been decided.
pub(in crate::import) struct Operand {
    pub group: Group,
    pub bits: u8,
}

impl Operand {
    /// Whether the rest of an integer is the sign of the number in it: of a signed number in an unsigned integer it is 0,
    /// for that holds a pattern.
    pub fn is_extended(&self, format: OperandFormat) -> bool {
        self.group.signed && format.is_signed()
    }
}

/// The operands of a circuit, in its own order, and its product.
pub(in crate::import) struct Operands {
    pub first: Operand,
    pub second: Operand,
    pub product: Group,
}

impl Operands {
    /// The bits of both operands together.
    pub fn index_bits(&self) -> usize {
        usize::from(self.first.bits + self.second.bits)
    }
}

/// What has operands and a product, as far as its declaration says.
pub(in crate::import) trait Subject {
    /// What it computes once it is known which numbers its ports are.
    type Function: Function;

    fn name(&self) -> &str;

    fn location(&self) -> &Location;

    fn inputs(&self) -> &[Port];

    fn outputs(&self) -> &[Port];

    /// Whether anything depends on each bit of the inputs, as far as that is known.
    fn used_inputs(&self) -> Vec<bool>;

    /// The lowest bits of the product as a function of the operands' codes, which have these formats, and how many there
    /// are: fewer where those above only repeat the sign.
    fn function(
        &self,
        operands: &Operands,
        formats: [OperandFormat; 2],
        width: usize,
        signed: bool,
    ) -> (Self::Function, usize);
}

/// Where a function is evaluated: at the indices that pairs of operands have in a table.
#[derive(Clone, Copy)]
pub(in crate::import) enum Indices<'a> {
    /// At consecutive ones from a first one, as many as there is room for. It is divisible by
    /// [`LANES`](approx_netlists::LANES).
    From(u64),
    /// At these.
    At(&'a [u64]),
}

/// The bits of a product as a function of those of two operands.
pub(in crate::import) trait Function {
    /// The product's bits at each of the indices.
    fn evaluate(&self, indices: Indices, outputs: &mut [u64]) -> Result<(), ImportError>;

    /// Whether the product's bits from this one on are always 0, as far as that is known.
    fn is_zero_from(&self, bit: usize) -> bool;

    /// The error for a pair of operands with two products; `None` of what cannot have two.
    fn contradiction(&self) -> Option<Contradiction>;

    /// The error that it is too large for a table, and has no factors.
    fn without_factors(&self, source: MultiplierError) -> ImportError;
}

/// The error for operands and their two products.
pub(in crate::import) type Contradiction = fn([i64; 2], [i64; 2]) -> ImportError;
