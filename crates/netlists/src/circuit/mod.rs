//! Combinational circuits: how they are built, gate by gate, and evaluated. Each file uses those before it.
//!
//! Every language becomes a [graph] of gates. That holds for C too, although it computes with words: such sources move
//! single bits about, of which nothing remains in a graph, and one evaluation serves all formats.

pub(crate) mod signal;

mod evaluator;
mod gates;

pub(crate) mod graph;

mod mapping;
mod program;
mod rewiring;
pub(crate) mod vector;

pub use evaluator::{Evaluator, LANES, WORDS};
pub use gates::Circuit;
pub use program::{FUNCTIONS, Instruction, Program, ProgramOutput, Words};
pub use rewiring::Connection;
