//! Combinational circuits from texts: structural Verilog, C functions of bit operations, and the Berkeley Logic
//! Interchange Format (BLIF), read into gates and evaluated for 64 combinations of inputs in each machine word.
//!
//! - [`Netlist::parse`] reads a text of any [`NetlistFormat`]: a name, [ports](Port) and a [`Circuit`].
//! - [`Circuit`] is simplified: no gate computes nothing, or what another one computes. Its [`Evaluator`] runs it, and its
//!   [`Program`] is for those who run it elsewhere.
//! - [`NetlistError`] says what is wrong with a text, and where. Texts may come from strangers: [`NetlistLimits`] bound
//!   the memory and the time that one can take.
//! - [`CellLibrary`] has the functions and areas of standard cells, for circuits that are made of [them](Netlist::cells).
//! - [`CFunction`] is what a function of C or C++ takes and gives, for those that a compiler has to understand.
//! - [`lexer`] has the tokens of C and Verilog, and [`verilog`] its numbers, for whatever else is written with them.
//!
//! What the circuits are for is the business of whoever reads them: nothing here knows multipliers.
//!
//! ```
//! use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
//!
//! let text = "module sum(input [1:0] a, b, output [2:0] s); assign s = a + b; endmodule";
//! let netlist = Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default())?;
//! assert_eq!(netlist.circuit().evaluate(0b10_11)?, 5);
//! # Ok::<(), approx_netlists::NetlistError>(())
//! ```

mod blif;
mod c_source;
mod circuit;
mod error;
mod format;
pub mod lexer;
mod liberty;
mod netlist;
mod options;
mod reader;
pub mod verilog;

#[cfg(test)]
mod testing;

pub use c_source::{CFunction, CParameter};
pub use circuit::signal::Signal;
pub use circuit::{
    Circuit, Connection, Evaluator, FUNCTIONS, Instruction, LANES, Program, ProgramOutput, WORDS,
    Words,
};
pub use error::{Location, NetlistError, Position};
pub use format::NetlistFormat;
pub use liberty::CellLibrary;
pub use netlist::{Netlist, Port};
pub use options::{NetlistLimits, NetlistOptions};

/// The example of the crate's README, which is tested as this type's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
