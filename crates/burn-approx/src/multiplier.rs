//! A multiplier together with what the operators prepare from it once and then share.

use std::sync::{Arc, OnceLock};

use approx_cpu::LookupTable;
use approx_multiplier::{Definition, HtpModel, Multiplier, OperandFormat};

use crate::error::ApproxError;
use crate::quantization::CodeRange;

/// A multiplier ready for the operators: cheap to clone, its kernel tables made at most once.
///
/// ```
/// use approx_multiplier::evoapprox;
/// use burn_approx::PreparedMultiplier;
///
/// let prepared = PreparedMultiplier::new(evoapprox::multiplier("mul8s_1L2J")?);
/// assert_eq!(prepared.multiplier().name(), "mul8s_1L2J");
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone)]
pub struct PreparedMultiplier {
    shared: Arc<Shared>,
}

struct Shared {
    multiplier: Multiplier,
    /// The table in the layout of the CPU kernels; only made where a kernel looks products up.
    lookup: OnceLock<LookupTable>,
}

impl PreparedMultiplier {
    /// Prepares a multiplier.
    pub fn new(multiplier: Multiplier) -> Self {
        Self {
            shared: Arc::new(Shared {
                multiplier,
                lookup: OnceLock::new(),
            }),
        }
    }

    /// The exact product of the given codes: what QUANTIZED computes with. One for each pair of signednesses is shared by
    /// all layers.
    ///
    /// # Errors
    /// [`ApproxError::UnsupportedBits`] for codes that do not fit 8 bits.
    pub fn exact(activation: CodeRange, weight: CodeRange) -> Result<Self, ApproxError> {
        static SHARED: [[OnceLock<PreparedMultiplier>; 2]; 2] =
            [const { [const { OnceLock::new() }; 2] }; 2];
        let (activation, weight) = (activation.eight_bits()?, weight.eight_bits()?);
        let shared = &SHARED[usize::from(activation.is_signed())][usize::from(weight.is_signed())];
        let exact = shared.get_or_init(|| Self::new(Multiplier::exact(activation, weight)));
        Ok(exact.clone())
    }

    /// Prepares an HTP model.
    pub fn htp(model: HtpModel) -> Self {
        Self::new(Multiplier::from_htp(model))
    }

    /// The multiplier itself.
    pub fn multiplier(&self) -> &Multiplier {
        &self.shared.multiplier
    }

    pub(crate) fn definition(&self) -> &Definition {
        self.shared.multiplier.definition()
    }

    /// The table for the CPU kernels.
    ///
    /// # Errors
    /// If the multiplier has no table (an HTP model) or operands of more than 8 bits.
    pub(crate) fn lookup(&self) -> Result<&LookupTable, ApproxError> {
        if let Some(lookup) = self.shared.lookup.get() {
            return Ok(lookup);
        }
        let table = self.shared.multiplier.to_table()?;
        let lookup = LookupTable::new(
            table.activation().bits(),
            table.weight().bits(),
            table.entries(),
        )?;
        Ok(self.shared.lookup.get_or_init(|| lookup))
    }

    /// Checks that a table is one that the kernels can look up, and prepares it for them.
    pub(crate) fn check(&self) -> Result<(), ApproxError> {
        match self.definition() {
            Definition::Table(_) => self.lookup().map(|_| ()),
            _ => Ok(()),
        }
    }

    pub(crate) fn formats(&self) -> (OperandFormat, OperandFormat) {
        (
            self.shared.multiplier.activation(),
            self.shared.multiplier.weight(),
        )
    }
}

impl From<Multiplier> for PreparedMultiplier {
    fn from(multiplier: Multiplier) -> Self {
        Self::new(multiplier)
    }
}

impl std::fmt::Debug for PreparedMultiplier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PreparedMultiplier")
            .field(&self.shared.multiplier.name())
            .finish()
    }
}
