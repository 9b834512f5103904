//! Structural Verilog: nets, continuous assignments, gate primitives, and instances of other modules of the file and of
//! standard cells. Whatever has a state, waits, or would have to be run is refused.

mod cells;
mod elaboration;
mod expression;
mod literal;
mod parser;
mod scope;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

pub use value::MAX_WIDTH;

use crate::NetlistError;
use crate::circuit::vector;
use crate::netlist::Netlist;
use crate::options::NetlistOptions;
use crate::reader::Reader;

/// Reads the module that the options ask for, or that no other one uses.
pub(crate) fn parse(text: &str, options: &NetlistOptions) -> Result<Netlist, NetlistError> {
    let reader = Reader::new(text, options)?;
    let syntax = parser::Parser::new(text).modules()?;
    let cells = options.cells.as_ref();
    let cells = cells.map(|cells| cells::Library::parse(cells.modules()));
    elaboration::elaborate(reader, &syntax, cells.transpose()?.as_ref(), options)
}

/// The value of a number such as `42`, `8'hFF` or `4'sb1010`, by its bits: `-1` as `2'sb11` is 3.
///
/// ```
/// use approx_netlists::verilog;
///
/// assert_eq!(verilog::number("12'h0_ff"), Ok(255));
/// assert_eq!(verilog::number("4'b10x0").unwrap_err(), "digits from 0 to 1: bits must be known");
/// ```
///
/// # Errors
///
/// What would be right in its place, for an error message: the text is no number with known bits, has more than
/// [`MAX_WIDTH`] of them, or is not below 2^64.
pub fn number(text: &str) -> Result<u64, String> {
    let value = literal::parse(text)?;
    vector::constant_value(&value.bits).ok_or_else(|| "a number below 2^64".into())
}
