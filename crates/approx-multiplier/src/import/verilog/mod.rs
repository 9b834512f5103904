//! Structural Verilog: nets, continuous assignments, gate primitives, and instances of other modules of the file and of
//! standard cells. Whatever has a state, waits, or would have to be run is refused.

mod case_table;
mod cells;
mod elaboration;
mod expression;
mod literal;
mod parser;
mod syntax;

#[cfg(test)]
mod tests;

pub(crate) use case_table::parse as case_table;

use super::error::ImportError;
use super::netlist::{Netlist, NetlistOptions, Reader};

/// Reads the module that the options ask for, or that no other one uses.
pub(crate) fn parse(text: &str, options: &NetlistOptions) -> Result<Netlist, ImportError> {
    let reader = Reader::new(text, options.limits)?;
    let syntax = parser::Parser::new(text).modules()?;
    elaboration::elaborate(reader, &syntax, options)
}
