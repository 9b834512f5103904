//! Execution plans: how the products of a layer are computed, and why that way.
//!
//! Sums of products can be had by several routes: one exact product (of codes, or of the factors that a multiplier's
//! table is made of), a lookup per product, or a model that is not the circuit. The planner knows which of them can
//! compute a given multiplier on given codes and takes the one that its cost model expects to be the fastest for the
//! layer's shape, unless the user forces one. The result never depends on the choice, but for what [`Exactness`] says.

mod bounds;
mod cost;
mod execution;
mod float32;
mod operation;
mod planner;
mod target;
mod weight;

pub(crate) use bounds::TWO_TO_31;
pub use execution::{Exactness, ExecutionPlan};
pub use operation::ProductOperation;
pub(crate) use planner::check;
pub use target::Target;
pub(crate) use weight::KeptWeight;

pub use crate::geometry::Geometry;
pub use crate::multiplier::{PlanChoice, Route};
