//! The multiplier itself: a definition together with its name, the hash of its content and its hardware figures, and
//! what can be asked of it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::definition::Definition;
use super::hardware::HardwareFigures;
use super::hash::ContentHash;
use crate::{
    Factorization, FactorizationForm, FactorizationOptions, GradientTables, MultiplierError,
    OperandFormat, ProductTable, Term,
};

/// A hardware multiplier: a function of an activation code and a weight code, with a name.
///
/// It is identified by the [`hash`](Self::hash) of its content, not by its name. Cloning is cheap.
///
/// Serialised it is self-contained (tables and factors are compressed and written in base64) and carries its hash,
/// which is verified when it is read.
///
/// ```
/// use approx_multiplier::{Multiplier, OperandFormat};
///
/// let multiplier = Multiplier::from_fn("or_lowest_bit", OperandFormat::UINT8, OperandFormat::UINT8, |a, b| (a * b) | 1)?;
/// assert_eq!(multiplier.product(6, 7), Some(43));
///
/// // The same circuit for signed codes, with the signs handled outside of it.
/// let signed = multiplier.sign_magnitude()?;
/// assert_eq!(signed.product(-6, 7), Some(-43));
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone)]
pub struct Multiplier(pub(super) Arc<Inner>);

/// What clones share.
pub(super) struct Inner {
    pub(super) name: String,
    pub(super) activation: OperandFormat,
    pub(super) weight: OperandFormat,
    pub(super) definition: Definition,
    pub(super) hardware: Option<HardwareFigures>,
    pub(super) gradient: Option<GradientTables>,
    /// Computed when it is first asked for: that of a large table takes a while.
    pub(super) hash: OnceLock<ContentHash>,
}

impl Multiplier {
    pub(super) fn new(
        name: impl Into<String>,
        activation: OperandFormat,
        weight: OperandFormat,
        definition: Definition,
        hardware: Option<HardwareFigures>,
    ) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            activation,
            weight,
            definition,
            hardware,
            gradient: None,
            hash: OnceLock::new(),
        }))
    }

    /// The multiplier's name. Different circuits may share it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Format of the first operand, the activation.
    pub fn activation(&self) -> OperandFormat {
        self.0.activation
    }

    /// Format of the second operand, the weight.
    pub fn weight(&self) -> OperandFormat {
        self.0.weight
    }

    /// How the products are given.
    pub fn definition(&self) -> &Definition {
        &self.0.definition
    }

    /// The hash of what the multiplier computes, which identifies it whatever its name.
    pub fn hash(&self) -> ContentHash {
        *self.0.hash.get_or_init(|| match &self.0.definition {
            Definition::Exact => ContentHash::of_exact(self.0.activation, self.0.weight),
            Definition::Table(table) => ContentHash::of_table(table),
            Definition::Factored(factorization) => ContentHash::of_factorization(factorization),
            Definition::Htp(model) => {
                ContentHash::of_htp(self.0.activation, self.0.weight, model.terms())
            }
        })
    }

    /// The circuit's power, area and delay, where known.
    pub fn hardware(&self) -> Option<&HardwareFigures> {
        self.0.hardware.as_ref()
    }

    /// The derivatives that come with the multiplier, if there are some.
    pub fn gradient_tables(&self) -> Option<&GradientTables> {
        self.0.gradient.as_ref()
    }

    /// The product of an activation code and a weight code, exactly for everything but HTP models and products beyond
    /// 2^53.
    ///
    /// Of a code outside its format the low bits count, as in [`OperandFormat::pattern`].
    pub fn evaluate(&self, a: i32, b: i32) -> f64 {
        match &self.0.definition {
            Definition::Exact => self.exact_product(a, b) as f64,
            Definition::Table(table) => f64::from(table.get(a, b)),
            Definition::Factored(factorization) => {
                self.factored_product(factorization, a, b) as f64
            }
            Definition::Htp(model) => model.evaluate(a, b),
        }
    }

    /// The product as an integer; `None` for an HTP model, whose products are real numbers.
    ///
    /// Of a code outside its format the low bits count, as in [`OperandFormat::pattern`].
    pub fn product(&self, a: i32, b: i32) -> Option<i64> {
        match &self.0.definition {
            Definition::Exact => Some(self.exact_product(a, b)),
            Definition::Table(table) => Some(table.get(a, b).into()),
            Definition::Factored(factorization) => Some(self.factored_product(factorization, a, b)),
            Definition::Htp(_) => None,
        }
    }

    /// The factorisation's product of the codes as the operand formats hold them.
    fn factored_product(&self, factorization: &Factorization, a: i32, b: i32) -> i64 {
        let held = |format: OperandFormat, code: i32| format.code(format.pattern(code));
        factorization.product_of(held(self.0.activation, a), held(self.0.weight, b))
    }

    /// The product `a * b` of the codes as the operand formats hold them.
    pub(crate) fn exact_product(&self, a: i32, b: i32) -> i64 {
        let (activation, weight) = (self.0.activation, self.0.weight);
        i64::from(activation.code(activation.pattern(a)))
            * i64::from(weight.code(weight.pattern(b)))
    }

    /// The table, if the multiplier is given as one.
    pub fn table(&self) -> Option<&ProductTable> {
        match &self.0.definition {
            Definition::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The multiplier's products as a table: its own, or one computed from the exact product or a factorisation.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::NotIntegerValued`] for an HTP model, [`MultiplierError::TableTooLarge`] for a multiplier of
    /// more than [`MAX_INDEX_BITS`](crate::MAX_INDEX_BITS), and [`MultiplierError::EntryOutOfRange`] if a
    /// factorisation's product does not fit in 32 bits.
    pub fn to_table(&self) -> Result<ProductTable, MultiplierError> {
        match &self.0.definition {
            Definition::Exact => ProductTable::exact(self.0.activation, self.0.weight),
            Definition::Table(table) => Ok(table.clone()),
            Definition::Factored(factorization) => factorization.to_table(),
            Definition::Htp(_) => Err(self.not_integer_valued("table of products")),
        }
    }

    /// The multiplier as an exact sum of products of one-operand functions: that of its table; the exact product's,
    /// which has one term and the codes themselves as factors; or the factorisation that defines it, for fewer codes or
    /// in another form if the options ask for that. Without a form asked for it keeps its own, unless the other has
    /// fewer products.
    ///
    /// Factors depend on the multiplier and the options alone. A table's take a while: keep them.
    ///
    /// ```
    /// use approx_multiplier::{FactorizationOptions, Multiplier, OperandFormat};
    ///
    /// let format = OperandFormat::signed(16)?;
    /// let factorization = Multiplier::exact(format, format).factorization(&FactorizationOptions::default())?;
    /// assert_eq!(factorization.rank(), 1);
    /// assert_eq!(factorization.evaluate(-32768, 32767), Some(-32768 * 32767));
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MultiplierError::NotIntegerValued`] for an HTP model, and as for [`Factorization::of`].
    pub fn factorization(
        &self,
        options: &FactorizationOptions,
    ) -> Result<Factorization, MultiplierError> {
        match &self.0.definition {
            Definition::Exact => {
                let codes = |format: OperandFormat| format.codes().map(i64::from).collect();
                let (activation, weight) = (self.0.activation, self.0.weight);
                let identity = Term::new(1, codes(activation), codes(weight))?;
                Factorization::from_terms(activation, weight, FactorizationForm::Table, [identity])?
                    .with_options(options)
            }
            Definition::Table(table) => Factorization::of(table, options),
            Definition::Factored(factorization) => factorization.with_options(options),
            Definition::Htp(_) => Err(self.not_integer_valued("factorisation")),
        }
    }

    /// The error that the products are no integers.
    pub(super) fn not_integer_valued(&self, operation: &'static str) -> MultiplierError {
        MultiplierError::NotIntegerValued {
            name: self.0.name.clone(),
            operation,
        }
    }

    /// Checks that the content has an expected hash.
    pub(crate) fn verified(self, expected: Option<ContentHash>) -> Result<Self, MultiplierError> {
        match expected {
            Some(expected) if expected != self.hash() => Err(MultiplierError::HashMismatch {
                name: self.0.name.clone(),
                expected,
                found: self.hash(),
            }),
            _ => Ok(self),
        }
    }
}

/// Equal are multipliers with the same content, name, hardware figures and gradient tables. Compare
/// [hashes](Multiplier::hash) to compare the content alone.
impl PartialEq for Multiplier {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.name == other.0.name
                && self.0.hardware == other.0.hardware
                && self.0.gradient == other.0.gradient
                && self.hash() == other.hash())
    }
}

impl fmt::Debug for Multiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplier")
            .field("name", &self.0.name)
            .field("activation", &self.0.activation)
            .field("weight", &self.0.weight)
            .field("definition", &self.0.definition)
            .field("hardware", &self.0.hardware)
            .field("gradient", &self.0.gradient)
            .finish_non_exhaustive()
    }
}
