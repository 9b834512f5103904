//! Multipliers from a multiplier: under another name, with exchanged operands, for signed codes.

use std::sync::Arc;

use super::definition::Definition;
use super::handle::{Inner, Multiplier};
use super::hardware::HardwareFigures;
use crate::{GradientTables, MultiplierError, OperandFormat, ProductTable};

/// What follows the name of a multiplier that is used with sign-magnitude operands.
pub(crate) const SIGN_MAGNITUDE_SUFFIX: &str = ":sign-magnitude";

/// What follows the name of a multiplier whose operands were exchanged.
pub(crate) const SWAPPED_SUFFIX: &str = ":swapped";

impl Multiplier {
    /// This multiplier under another name.
    #[must_use]
    pub fn with_name(&self, name: impl Into<String>) -> Self {
        let name = name.into();
        let definition = match self.definition() {
            Definition::Htp(model) => Definition::Htp(model.clone().with_name(name.clone())),
            definition => definition.clone(),
        };
        self.replaced(name, definition, self.0.hardware.clone())
    }

    /// This multiplier with other hardware figures.
    #[must_use]
    pub fn with_hardware(&self, hardware: HardwareFigures) -> Self {
        self.replaced(
            self.0.name.clone(),
            self.0.definition.clone(),
            Some(hardware),
        )
    }

    /// This multiplier with derivatives of its maker's, for [`GradientRule::Custom`](crate::GradientRule::Custom). What it
    /// computes is the same, and so is its hash.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::GradientFormats`] if they are for operands of other formats.
    pub fn with_gradient_tables(&self, tables: GradientTables) -> Result<Self, MultiplierError> {
        let formats = [self.0.activation, self.0.weight];
        let found = [tables.activation(), tables.weight()];
        if found != formats {
            return Err(MultiplierError::GradientFormats {
                name: self.0.name.clone(),
                formats,
                found,
            });
        }
        let (name, hardware) = (self.0.name.clone(), self.0.hardware.clone());
        Ok(self
            .replaced(name, self.0.definition.clone(), hardware)
            .with_gradient(Some(tables)))
    }

    /// With derivatives whose formats are known to be right; the multiplier must be new.
    pub(super) fn with_gradient(mut self, tables: Option<GradientTables>) -> Self {
        let inner = Arc::get_mut(&mut self.0).expect("nobody else has it");
        inner.gradient = tables;
        self
    }

    /// A copy with other attributes but the same content, and so the same hash.
    fn replaced(
        &self,
        name: String,
        definition: Definition,
        hardware: Option<HardwareFigures>,
    ) -> Self {
        Self(Arc::new(Inner {
            name,
            activation: self.0.activation,
            weight: self.0.weight,
            definition,
            hardware,
            gradient: self.0.gradient.clone(),
            hash: self.0.hash.clone(),
        }))
    }

    /// The multiplier with its operands exchanged, under its name with `:swapped` added, or taken away again.
    ///
    /// Circuits are often not commutative: a result can depend on which operand is the activation. Gradient tables are
    /// exchanged, too.
    #[must_use]
    pub fn swapped(&self) -> Self {
        let name = match self.0.name.strip_suffix(SWAPPED_SUFFIX) {
            Some(name) => name.into(),
            None => format!("{}{SWAPPED_SUFFIX}", self.0.name),
        };
        let definition = match &self.0.definition {
            Definition::Exact => Definition::Exact,
            Definition::Table(table) => Definition::Table(table.swapped()),
            Definition::Factored(factorization) => Definition::Factored(factorization.swapped()),
            Definition::Htp(model) => Definition::Htp(model.swapped().with_name(name.clone())),
        };
        let (activation, weight) = (self.0.weight, self.0.activation);
        Self::new(
            name,
            activation,
            weight,
            definition,
            self.0.hardware.clone(),
        )
        .with_gradient(self.0.gradient.as_ref().map(GradientTables::swapped))
    }

    /// An unsigned multiplier in sign-magnitude use: the signed multiplier that feeds it the operands' magnitudes and
    /// gives its product the product of their signs, `sign(a) * sign(b) * m(|a|, |b|)`.
    ///
    /// - The operands keep their widths. The smallest code of a signed format, `-2^(bits - 1)`, has the magnitude
    ///   `2^(bits - 1)`, which an unsigned operand of as many bits holds: -128 enters an 8-bit circuit as 128.
    /// - The sign of 0 is +. Where a circuit's product with 0 is not 0, it keeps the other operand's sign.
    /// - The name gets `:sign-magnitude` added. Hardware figures remain the unsigned circuit's, without the logic that
    ///   handles the signs.
    ///
    /// Gradient tables become those of this product; that at a code of 0 is the one for positive codes.
    ///
    /// An unsigned multiplier may as well be used with unsigned codes as it is: which of the two is never implied.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::NotUnsigned`] unless both operands are unsigned, [`MultiplierError::NotIntegerValued`] for an
    /// HTP model, and [`MultiplierError::EntryOutOfRange`] if a table's negated product does not fit in 32 bits.
    pub fn sign_magnitude(&self) -> Result<Self, MultiplierError> {
        if self.0.activation.is_signed() || self.0.weight.is_signed() {
            return Err(MultiplierError::NotUnsigned {
                name: self.0.name.clone(),
                activation: self.0.activation,
                weight: self.0.weight,
            });
        }
        let activation = OperandFormat::signed(self.0.activation.bits())?;
        let weight = OperandFormat::signed(self.0.weight.bits())?;
        let definition = match &self.0.definition {
            Definition::Exact => Definition::Exact,
            Definition::Table(table) => {
                Definition::Table(ProductTable::from_fn(activation, weight, |a, b| {
                    // Codes have at most 16 bits.
                    let product = i64::from(table.get(a.abs() as i32, b.abs() as i32));
                    if (a < 0) == (b < 0) {
                        product
                    } else {
                        -product
                    }
                })?)
            }
            Definition::Factored(factorization) => {
                Definition::Factored(factorization.sign_magnitude(activation, weight)?)
            }
            Definition::Htp(_) => return Err(self.not_integer_valued("sign-magnitude form")),
        };
        let gradient = self.0.gradient.as_ref();
        let gradient = gradient.map(|tables| tables.sign_magnitude(activation, weight));
        let name = format!("{}{SIGN_MAGNITUDE_SUFFIX}", self.0.name);
        Ok(Self::new(
            name,
            activation,
            weight,
            definition,
            self.0.hardware.clone(),
        )
        .with_gradient(gradient.transpose()?))
    }
}
