//! The two operands of a multiplier.

/// Which operand of a product is meant.
///
/// ```
/// use burn_approx::quantization::Operand;
///
/// assert_eq!(Operand::Activation.to_string(), "activation");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// What passes through a layer: the first operand.
    Activation,
    /// What a layer keeps, or the second of two activations that are multiplied with each other.
    Weight,
}

impl Operand {
    /// The operand's name, as messages and records have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Activation => "activation",
            Self::Weight => "weight",
        }
    }
}

impl std::fmt::Display for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
