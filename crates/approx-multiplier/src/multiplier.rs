//! Multipliers: a definition together with its name, the hash of its content and its hardware figures.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::compression::{decode_base64, encode_base64};
use crate::serialized::SerializedFactors;
use crate::{
    ContentHash, Factorization, FactorizationOptions, Form, HardwareFigures, HtpModel, HtpTerm,
    MultiplierError, OperandFormat, ProductTable, Term,
};

/// How many random operand pairs [`Multiplier::from_fn_factored`] compares.
const COMPARED_PAIRS: u64 = 1 << 22;

/// The seed they are drawn from.
const COMPARED_SEED: u64 = 0;

/// What follows the name of a multiplier that is used with sign-magnitude operands.
pub(crate) const SIGN_MAGNITUDE_SUFFIX: &str = ":sign-magnitude";

/// What follows the name of a multiplier whose operands were exchanged.
pub(crate) const SWAPPED_SUFFIX: &str = ":swapped";

/// How a multiplier's products are given.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Definition {
    /// The exact product `a * b`.
    Exact,
    /// Every product, in a table.
    Table(ProductTable),
    /// An exact sum of products of one-operand functions, which also exists where no table would fit.
    Factored(Factorization),
    /// A High-Throughput model, whose products are real numbers.
    Htp(HtpModel),
}

/// A hardware multiplier: a function of an activation code and a weight code, with a name.
///
/// It is identified by the [`hash`](Self::hash) of its content, not by its name. Cloning is cheap.
///
/// Serialised it is self-contained (tables and factors are compressed and written in base64) and carries its hash, which is
/// verified when it is read.
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
pub struct Multiplier(Arc<Inner>);

struct Inner {
    name: String,
    activation: OperandFormat,
    weight: OperandFormat,
    definition: Definition,
    hardware: Option<HardwareFigures>,
    /// Computed when it is first asked for: that of a large table takes a while.
    hash: OnceLock<ContentHash>,
}

impl Multiplier {
    fn new(
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
            hash: OnceLock::new(),
        }))
    }

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

    /// A multiplier given by a factorisation, which defines it: whatever function it was found from, and however that was
    /// compared.
    ///
    /// ```
    /// use approx_multiplier::{Factorization, Form, Multiplier, OperandFormat, Term};
    ///
    /// // A truncated 16 x 16-bit multiplier: (a & !15) * b.
    /// let format = OperandFormat::signed(16)?;
    /// let term = Term::new(
    ///     1,
    ///     format.codes().map(|a| i64::from(a & !15)).collect(),
    ///     format.codes().map(i64::from).collect(),
    /// )?;
    /// let factorization = Factorization::from_terms(format, format, Form::Table, [term])?;
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

    /// A multiplier of up to 16 x 16 bits given as a function of an activation code and a weight code, which is factorised
    /// as [`Factorization::of_function`] does with its default options, comparing 2^22 random operand pairs.
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

    /// The same multiplier under another name.
    #[must_use]
    pub fn with_name(&self, name: impl Into<String>) -> Self {
        let name = name.into();
        let definition = match self.definition() {
            Definition::Htp(model) => Definition::Htp(model.clone().with_name(name.clone())),
            definition => definition.clone(),
        };
        self.replaced(name, definition, self.0.hardware.clone())
    }

    /// The same multiplier with other hardware figures.
    #[must_use]
    pub fn with_hardware(&self, hardware: HardwareFigures) -> Self {
        self.replaced(
            self.0.name.clone(),
            self.0.definition.clone(),
            Some(hardware),
        )
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
            hash: self.0.hash.clone(),
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
    /// [`MultiplierError::NotIntegerValued`] for an HTP model, [`MultiplierError::TableTooLarge`] for a multiplier of more
    /// than [`MAX_INDEX_BITS`](crate::MAX_INDEX_BITS), and [`MultiplierError::EntryOutOfRange`] if a factorisation's product
    /// does not fit in 32 bits.
    pub fn to_table(&self) -> Result<ProductTable, MultiplierError> {
        match &self.0.definition {
            Definition::Exact => ProductTable::exact(self.0.activation, self.0.weight),
            Definition::Table(table) => Ok(table.clone()),
            Definition::Factored(factorization) => factorization.to_table(),
            Definition::Htp(_) => Err(self.not_integer_valued("table of products")),
        }
    }

    /// The multiplier as an exact sum of products of one-operand functions: that of its table; the exact product's, which has
    /// one term and the codes themselves as factors; or the factorisation that defines it, for fewer codes or in another
    /// form if the options ask for that. Without a form asked for it keeps its own, unless the other has fewer products.
    ///
    /// The same multiplier and options give the same factors. A table's take a while: keep them.
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
                Factorization::from_terms(activation, weight, Form::Table, [identity])?
                    .with_options(options)
            }
            Definition::Table(table) => Factorization::of(table, options),
            Definition::Factored(factorization) => factorization.with_options(options),
            Definition::Htp(_) => Err(self.not_integer_valued("factorisation")),
        }
    }

    /// The multiplier with its operands exchanged, under its name with `:swapped` added, or taken away again.
    ///
    /// Circuits are often not commutative: a result can depend on which operand is the activation.
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
        let name = format!("{}{SIGN_MAGNITUDE_SUFFIX}", self.0.name);
        Ok(Self::new(
            name,
            activation,
            weight,
            definition,
            self.0.hardware.clone(),
        ))
    }

    fn not_integer_valued(&self, operation: &'static str) -> MultiplierError {
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

/// Equal are multipliers with the same content, name and hardware figures. Compare
/// [hashes](Multiplier::hash) to compare the content alone.
impl PartialEq for Multiplier {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.name == other.0.name
                && self.0.hardware == other.0.hardware
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
            .finish_non_exhaustive()
    }
}

/// The serialised form of a [`Multiplier`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedMultiplier {
    name: String,
    activation: OperandFormat,
    weight: OperandFormat,
    hash: ContentHash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hardware: Option<HardwareFigures>,
    definition: SerializedDefinition,
}

/// The serialised form of a [`Definition`], without what the multiplier holds already.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SerializedDefinition {
    Exact,
    /// A compressed table in base64.
    Table(String),
    Factored(SerializedFactors),
    Htp(Vec<HtpTerm>),
}

impl Serialize for Multiplier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SerializedMultiplier {
            name: self.0.name.clone(),
            activation: self.0.activation,
            weight: self.0.weight,
            hash: self.hash(),
            hardware: self.0.hardware.clone(),
            definition: match &self.0.definition {
                Definition::Exact => SerializedDefinition::Exact,
                Definition::Table(table) => {
                    SerializedDefinition::Table(encode_base64(&table.to_compressed()))
                }
                Definition::Factored(factorization) => {
                    SerializedDefinition::Factored(factorization.into())
                }
                Definition::Htp(model) => SerializedDefinition::Htp(model.terms().to_vec()),
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Multiplier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SerializedMultiplier::deserialize(deserializer)?
            .try_into()
            .map_err(de::Error::custom)
    }
}

impl TryFrom<SerializedMultiplier> for Multiplier {
    type Error = MultiplierError;

    fn try_from(serialized: SerializedMultiplier) -> Result<Self, MultiplierError> {
        let SerializedMultiplier {
            name,
            activation,
            weight,
            hash,
            hardware,
            definition,
        } = serialized;
        let definition = match definition {
            SerializedDefinition::Exact => Definition::Exact,
            SerializedDefinition::Table(text) => {
                let bytes = decode_base64(&text)?;
                Definition::Table(ProductTable::from_compressed(activation, weight, &bytes)?)
            }
            SerializedDefinition::Factored(factors) => {
                let factorization = factors.into_factorization(activation, weight)?;
                factorization.check_unrestricted()?;
                Definition::Factored(factorization)
            }
            SerializedDefinition::Htp(terms) => {
                Definition::Htp(HtpModel::new(name.clone(), activation, weight, terms)?)
            }
        };
        Self::new(name, activation, weight, definition, hardware).verified(Some(hash))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Feature, evoapprox};

    const INT8: OperandFormat = OperandFormat::INT8;
    const UINT8: OperandFormat = OperandFormat::UINT8;

    fn htp() -> Multiplier {
        Multiplier::from_htp(evoapprox::htp("mul8s_1KV8").unwrap())
    }

    #[test]
    fn the_exact_multiplier_is_exact_at_every_width() {
        let uint16 = OperandFormat::unsigned(16).unwrap();
        let exact = Multiplier::exact(uint16, uint16);
        assert_eq!(exact.product(65535, 65535), Some(65535 * 65535));
        assert_eq!(exact.evaluate(65535, 65535), 4_294_836_225.0);
        assert!(matches!(
            exact.to_table(),
            Err(MultiplierError::TableTooLarge { .. })
        ));
        let exact = Multiplier::exact(INT8, UINT8);
        assert_eq!(
            exact.to_table().unwrap(),
            ProductTable::exact(INT8, UINT8).unwrap()
        );
    }

    #[test]
    fn operands_are_cut_to_their_formats_in_every_definition() {
        let exact = Multiplier::exact(INT8, UINT8);
        let table = Multiplier::from_table("t", exact.to_table().unwrap());
        let term = HtpTerm {
            coefficient: 1.0,
            first: Feature::Identity,
            second: Feature::Identity,
        };
        let htp = Multiplier::from_htp(HtpModel::new("h", INT8, UINT8, vec![term]).unwrap());
        for multiplier in [exact, table, htp] {
            assert_eq!(multiplier.evaluate(255, -1), -255.0);
        }
    }

    #[test]
    fn equal_tables_have_equal_hashes_whatever_their_names() {
        let one = Multiplier::from_fn("one", INT8, INT8, |a, b| a * b + 1).unwrap();
        let two =
            Multiplier::from_slice("two", INT8, INT8, one.table().unwrap().entries()).unwrap();
        assert_eq!(one.hash(), two.hash());
        assert_ne!(one, two);
        assert_eq!(one, two.with_name("one"));
        let other =
            Multiplier::from_fn("one", INT8, INT8, |a, b| a * b + i64::from(a != -128)).unwrap();
        assert_ne!(one.hash(), other.hash());
        let unsigned =
            Multiplier::from_slice("two", UINT8, UINT8, one.table().unwrap().entries()).unwrap();
        assert_ne!(one.hash(), unsigned.hash());
    }

    #[test]
    fn a_file_gives_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.table.npy");
        ProductTable::exact(INT8, INT8)
            .unwrap()
            .to_npy(&path)
            .unwrap();
        assert_eq!(
            Multiplier::from_npy(path, INT8, INT8).unwrap().name(),
            "my.table"
        );
    }

    #[test]
    fn htp_models_have_real_products() {
        let htp = htp();
        assert_eq!(htp.product(1, 1), None);
        assert_eq!(htp.evaluate(0, 3), -0.2 * 3.0);
        assert!(htp.table().is_none());
        assert!(matches!(
            htp.to_table(),
            Err(MultiplierError::NotIntegerValued { .. })
        ));
    }

    #[test]
    fn a_new_name_reaches_the_htp_model() {
        let renamed = htp().with_name("other");
        assert_eq!(renamed.hash(), htp().hash());
        assert!(matches!(renamed.definition(), Definition::Htp(model) if model.name() == "other"));
    }

    #[test]
    fn sign_magnitude_refuses_what_is_not_an_unsigned_integer_multiplier() {
        let mixed = Multiplier::exact(UINT8, INT8);
        assert!(matches!(
            mixed.sign_magnitude(),
            Err(MultiplierError::NotUnsigned { .. })
        ));
        let signed = evoapprox::multiplier("mul8s_1L2J").unwrap();
        assert!(matches!(
            signed.sign_magnitude(),
            Err(MultiplierError::NotUnsigned { .. })
        ));
        let term = HtpTerm {
            coefficient: 1.0,
            first: Feature::Identity,
            second: Feature::Identity,
        };
        let htp = Multiplier::from_htp(HtpModel::new("h", UINT8, UINT8, vec![term]).unwrap());
        assert!(matches!(
            htp.sign_magnitude(),
            Err(MultiplierError::NotIntegerValued { .. })
        ));
        let smallest = Multiplier::from_fn("m", UINT8, UINT8, |_, _| i32::MIN.into()).unwrap();
        assert!(matches!(
            smallest.sign_magnitude(),
            Err(MultiplierError::EntryOutOfRange { .. })
        ));
    }

    #[test]
    fn sign_magnitude_of_the_exact_multiplier_is_exact() {
        let signed = Multiplier::exact(UINT8, UINT8).sign_magnitude().unwrap();
        assert_eq!(signed.definition(), &Definition::Exact);
        assert_eq!(signed.product(-128, 127), Some(-128 * 127));
    }

    #[test]
    fn swapping_exchanges_formats_and_operands() {
        let multiplier = Multiplier::from_fn("m", INT8, UINT8, |a, b| 3 * a + b).unwrap();
        let swapped = multiplier.swapped();
        assert_eq!(
            (swapped.activation(), swapped.weight(), swapped.name()),
            (UINT8, INT8, "m:swapped")
        );
        assert_eq!(swapped.product(200, -5), multiplier.product(-5, 200));
        assert_eq!(swapped.swapped(), multiplier);
        assert_eq!(
            Multiplier::exact(INT8, UINT8).swapped().hash(),
            Multiplier::exact(UINT8, INT8).hash()
        );
        assert_eq!(htp().swapped().evaluate(3, -2), htp().evaluate(-2, 3));
    }

    #[test]
    fn every_definition_survives_serialisation() {
        let figures = HardwareFigures {
            power_mw: Some(0.5),
            ..HardwareFigures::new("7 nm")
        };
        let multipliers = [
            Multiplier::exact(UINT8, INT8).with_hardware(figures),
            evoapprox::multiplier("mul8u_R36").unwrap(),
            htp(),
        ];
        for multiplier in multipliers {
            let json = serde_json::to_string(&multiplier).unwrap();
            let read: Multiplier = serde_json::from_str(&json).unwrap();
            assert_eq!(read, multiplier);
            assert_eq!(read.definition(), multiplier.definition());
        }
    }

    #[test]
    fn deserialising_verifies_the_hash() {
        let json = serde_json::to_string(&Multiplier::exact(INT8, INT8)).unwrap();
        let hash = Multiplier::exact(INT8, INT8).hash().to_string();
        let other = Multiplier::exact(UINT8, INT8).hash().to_string();
        let error = serde_json::from_str::<Multiplier>(&json.replace(&hash, &other)).unwrap_err();
        assert!(
            error.to_string().contains(&hash) && error.to_string().contains(&other),
            "{error}"
        );
    }

    #[test]
    fn damaged_inline_tables_are_refused() {
        let table = Multiplier::from_fn("m", INT8, INT8, |a, b| a * b).unwrap();
        let json = serde_json::to_string(&table).unwrap();
        let data = encode_base64(&table.table().unwrap().to_compressed());
        let refusal = |replacement: &str| {
            serde_json::from_str::<Multiplier>(&json.replace(&data, replacement))
                .unwrap_err()
                .to_string()
        };
        assert!(refusal("???").contains("base64"));
        assert!(refusal("AAAA").contains("decoded"));
    }

    #[test]
    fn multipliers_can_be_shared_between_threads() {
        fn assert_shareable<T: Clone + Send + Sync + 'static>() {}
        assert_shareable::<Multiplier>();
    }

    proptest! {
        #[test]
        fn any_coefficient_survives_serialisation(coefficient in -1e300f64..1e300, divisor in 1e-3f64..1e300) {
            let terms = [coefficient / 1e10, coefficient / divisor, 0.1 / divisor].map(|coefficient| HtpTerm {
                coefficient,
                first: Feature::Identity,
                second: Feature::Mod { modulus: 3, power: 2 },
            });
            let multiplier = Multiplier::from_htp(HtpModel::new("h", INT8, UINT8, terms.to_vec()).unwrap());
            let json = serde_json::to_string(&multiplier).unwrap();
            prop_assert_eq!(serde_json::from_str::<Multiplier>(&json).unwrap(), multiplier);
        }

        #[test]
        fn any_table_survives_serialisation(seed: i32) {
            let format = OperandFormat::signed(4).unwrap();
            let multiplier = Multiplier::from_fn("t", format, format, |a, b| {
                i64::from((a * 7919 + b * 104_729) as i32 ^ seed)
            }).unwrap();
            let json = serde_json::to_string(&multiplier).unwrap();
            prop_assert_eq!(serde_json::from_str::<Multiplier>(&json).unwrap(), multiplier);
        }

        #[test]
        fn sign_magnitude_follows_its_formula(seed: u16) {
            let table = ProductTable::from_fn(UINT8, UINT8, |a, b| a * b + (a ^ b ^ i64::from(seed)) - 300).unwrap();
            let unsigned = Multiplier::from_table("m", table.clone());
            let signed = unsigned.sign_magnitude().unwrap();
            prop_assert_eq!(signed.name(), "m:sign-magnitude");
            for a in INT8.codes() {
                for b in INT8.codes() {
                    let sign = |code: i32| if code < 0 { -1 } else { 1 };
                    let expected = sign(a) * sign(b) * table.get(a.abs(), b.abs());
                    prop_assert_eq!(signed.product(a, b), Some(i64::from(expected)));
                }
            }
        }
    }
}
