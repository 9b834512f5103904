//! Error metrics: how wrong a multiplier is, by the definitions of the approximate-computing literature.
//!
//! [`error_metrics`] are the figures, [`measurement`] is how they are measured, from [`rows`] of products whose errors
//! are added up as [`sums`]. [`difference`] says where two multipliers differ. [`distribution`] says how likely operand pairs are, and [`trace`] where that is known
//! from.

mod difference;
mod distribution;
mod error_metrics;
mod measurement;
mod rows;
mod sums;
mod trace;

#[cfg(test)]
mod tests;

pub use difference::{Condition, Difference, DifferingPair, Operand};
pub use distribution::OperandDistribution;
pub use error_metrics::ErrorMetrics;
pub use trace::{LayerTrace, OperandTrace};
