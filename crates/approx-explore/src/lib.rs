//! Which multiplier in which layer.
//!
//! This crate knows layers by their names and counts, multipliers by their energies, and networks only as something
//! that [measures](measure::Measure) what an assignment of multipliers to layers is worth.

pub mod evaluator;
pub mod front;
pub mod journal;
pub mod knapsack;
pub mod measure;
pub mod search;
pub mod sensitivity;
pub mod space;
pub mod statistics;
pub mod synthetic;
