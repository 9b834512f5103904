//! Every command, run as the program that a user runs.

mod bad_input;
mod golden;
mod layer;
mod multipliers;
mod plots;
mod support;
