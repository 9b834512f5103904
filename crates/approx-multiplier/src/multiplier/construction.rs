//! Multipliers from functions, tables, factors, models and `.npy` files.

use std::path::Path;

use super::definition::Definition;
use super::handle::Multiplier;
use crate::{
    Factorization, FactorizationOptions, HtpModel, MultiplierError, OperandFormat, ProductTable,
};

/// How many random operand pairs [`Multiplier::from_fn_factored`] compares.
const COMPARED_PAIRS: u64 = 1 << 22;

/// The seed they are drawn from.
const COMPARED_SEED: u64 = 0;

impl Multiplier {
    /// The exact multiplier, under the name `exact`. Unlike a table it may have up to 16 x 16 bits.
    pub fn exact(activation: OperandFormat, weight: OperandFormat) -> Self {
        Self::new("exact", activation, weight, Definition::Exact, None)
    }

    /// A multiplier given as a function of an activation code and a weight code, which is tabulated.
    ///
    /// # Errors
    ///
    /// As for [`ProductTable::from_fn`].
    pub fn from_fn(
        name: impl Into<String>,
        activation: OperandFormat,
        weight: OperandFormat,
        product: impl Fn(i64, i64) -> i64,
    ) -> Result<Self, MultiplierError> {
        Ok(Self::from_table(
            name,
            ProductTable::from_fn(activation, weight, product)?,
        ))
    }

    /// A multiplier given as a table.
    pub fn from_table(name: impl Into<String>, table: ProductTable) -> Self {
        Self::new(
            name,
            table.activation(),
            table.weight(),
            Definition::Table(table),
            None,
        )
    }

    /// A multiplier given as the entries of a table, row by row in the order of bit patterns.
    ///
    /// # Errors
    ///
    /// As for [`ProductTable::from_slice`].
    pub fn from_slice(
        name: impl Into<String>,
        activation: OperandFormat,
        weight: OperandFormat,
        entries: &[i32],
    ) -> Result<Self, MultiplierError> {
        Ok(Self::from_table(
            name,
            ProductTable::from_slice(activation, weight, entries)?,
        ))
    }

    /// A multiplier given as a table in a `.npy` file, under the file's name without its extension.
    ///
    /// # Errors
    ///
    /// As for [`ProductTable::from_npy`].
    pub fn from_npy(
        path: impl AsRef<Path>,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<Self, MultiplierError> {
        let path = path.as_ref();
        let table = ProductTable::from_npy(path, activation, weight)?;
        let name = path
            .file_stem()
            .unwrap_or(path.as_os_str())
            .to_string_lossy();
        Ok(Self::from_table(name, table))
    }

    /// A multiplier given by a factorisation, which defines it: whatever function it was found from, and however that
    /// was compared.
    ///
    /// ```
    /// use approx_multiplier::{Factorization, FactorizationForm, Multiplier, OperandFormat, Term};
    ///
    /// // A truncated 16 x 16-bit multiplier: (a & !15) * b.
    /// let format = OperandFormat::signed(16)?;
    /// let term = Term::new(
    ///     1,
    ///     format.codes().map(|a| i64::from(a & !15)).collect(),
    ///     format.codes().map(i64::from).collect(),
    /// )?;
    /// let factorization = Factorization::from_terms(format, format, FactorizationForm::Table, [term])?;
    /// let multiplier = Multiplier::from_factorization("cut", factorization)?;
    /// assert_eq!(multiplier.product(-32768 + 15, 3), Some(-32768 * 3));
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MultiplierError::RestrictedCodes`] if the factorisation leaves codes of its formats out.
    pub fn from_factorization(
        name: impl Into<String>,
        factorization: Factorization,
    ) -> Result<Self, MultiplierError> {
        factorization.check_unrestricted()?;
        Ok(Self::new(
            name,
            factorization.activation(),
            factorization.weight(),
            Definition::Factored(factorization),
            None,
        ))
    }

    /// A multiplier of up to 16 x 16 bits given as a function of an activation code and a weight code, which is
    /// factorised as [`Factorization::of_function`] does with its default options, comparing 2^22 random operand pairs.
    ///
    /// Of up to 24 index bits [`from_fn`](Self::from_fn) calls the function for every pair, and needs no low rank.
    ///
    /// ```
    /// use approx_multiplier::{Multiplier, OperandFormat};
    ///
    /// let format = OperandFormat::unsigned(16)?;
    /// let multiplier = Multiplier::from_fn_factored("m", format, format, |a, b| a * b - (a & 3) * (b & 1))?;
    /// assert_eq!(multiplier.product(65535, 65535), Some(65535 * 65535 - 3));
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MultiplierError::RankTooHigh`] if neither the function nor its error has a rank of up to 32, and
    /// [`MultiplierError::FactorsOutOfRange`].
    pub fn from_fn_factored(
        name: impl Into<String>,
        activation: OperandFormat,
        weight: OperandFormat,
        product: impl Fn(i64, i64) -> i64,
    ) -> Result<Self, MultiplierError> {
        let factorization = Factorization::of_function(
            activation,
            weight,
            product,
            &FactorizationOptions::default(),
            COMPARED_PAIRS,
            COMPARED_SEED,
        )?;
        Self::from_factorization(name, factorization)
    }

    /// A multiplier given as an HTP model, under the model's name.
    pub fn from_htp(model: HtpModel) -> Self {
        let (activation, weight) = (model.activation(), model.weight());
        Self::new(
            model.name().to_owned(),
            activation,
            weight,
            Definition::Htp(model),
            None,
        )
    }
}
