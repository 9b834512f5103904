//! A single layer with values for its operands, and what is to be computed of it. From the ground up: `sizes` (what is
//! multiplied with what) and `operand` (values and codes); on them two ways to compute, `reference` by a plain loop and
//! `operators` through the library, neither of which knows the other.

pub mod operand;
pub mod operators;
pub mod reference;
pub mod sizes;

use approx_multiplier::Multiplier;

use self::operand::Operand;
use self::sizes::Sizes;

/// A layer with values for its operands.
pub struct Layer {
    /// Multiplies the codes.
    pub multiplier: Multiplier,
    /// What is multiplied with what.
    pub sizes: Sizes,
    /// The activation, with one scale.
    pub input: Operand,
    /// The weight.
    pub weight: Operand,
    /// One value per output channel.
    pub bias: Option<Vec<f32>>,
}

/// What is to be computed.
pub struct Wanted {
    /// The sums of products.
    pub accumulators: bool,
    /// The outputs.
    pub outputs: bool,
    /// The gradients of both operands, for this one of the output.
    pub gradient: Option<Vec<f32>>,
}

/// What was computed, row by row.
#[derive(Default)]
pub struct Computed {
    /// The sums of products.
    pub accumulators: Option<Vec<i64>>,
    /// The outputs.
    pub outputs: Option<Vec<f32>>,
    /// The gradients of the activation and the weight.
    pub gradients: [Option<Vec<f32>>; 2],
    /// How it was computed.
    pub plan: String,
}
