//! Gradients of multipliers: how a product follows its operands, where training does not pretend that it is exact.
//!
//! - [`rule`]: which derivative, as users say it.
//! - [`line`]: the derivative of the products of one operand's codes with a fixed other code.
//! - [`derivative`]: that for all pairs of codes, as a sum of few products of one-operand functions.

mod derivative;
mod line;
mod rule;

pub use derivative::{Derivative, DerivativeTerm, MultiplierGradient};
pub use rule::GradientRule;
