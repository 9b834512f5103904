//! Combinational circuits: how they are built, gate by gate, and evaluated. Each file uses those before it.
//!
//! Every language becomes a [graph] of gates. That holds for C too, although it computes with words: such sources move
//! single bits about, of which nothing remains in a graph, and one evaluation serves all formats.

pub(crate) mod signal;

mod gates;

pub(crate) mod graph;

mod mapping;
mod program;
mod rewiring;
pub(crate) mod vector;

pub use gates::{Circuit, Evaluator, LANES, WORDS};
pub use program::{FUNCTIONS, Instruction, Program, ProgramOutput, Words};
pub use rewiring::Connection;
