//! Derivatives of a multiplier as its maker gives them: one value for every pair of codes and operand.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::compression::{compress_floats, decode_base64, decompress_floats, encode_base64};
use super::product::{check_entry_count, entry_count};
use crate::{MultiplierError, OperandFormat};

/// The derivatives of a multiplier by either operand's code, for every pair of codes: what
/// [`GradientRule::Custom`](crate::GradientRule::Custom) trains with, once a multiplier
/// [has them](crate::Multiplier::with_gradient_tables). Training takes each table's
/// [largest terms](crate::MultiplierGradient::of), which are all of it where it is a sum of few products.
///
/// Cloning is cheap: clones share the entries.
///
/// ```
/// use approx_multiplier::{GradientRule, GradientTables, MultiplierGradient, OperandFormat, evoapprox};
///
/// // By the activation 1.5 times that of the exact product, by the weight as that.
/// let format = OperandFormat::INT8;
/// let tables = GradientTables::from_fn(format, format, |_, b| 1.5 * f64::from(b), |a, _| f64::from(a))?;
/// let multiplier = evoapprox::multiplier("mul8s_1L2J")?.with_gradient_tables(tables)?;
/// let gradient = MultiplierGradient::of(&multiplier, GradientRule::Custom)?;
/// assert!((gradient.by_activation().at(3, 10) - 15.0).abs() < 1e-4);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct GradientTables {
    activation: OperandFormat,
    weight: OperandFormat,
    by_activation: Arc<[f32]>,
    by_weight: Arc<[f32]>,
}

impl GradientTables {
    /// The derivatives with these entries, each row by row in the order of bit patterns: a row for every activation, a column
    /// for every weight.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::WrongEntryCount`] if the number of entries is not that of operand pairs,
    /// [`MultiplierError::GradientNotFinite`], and [`MultiplierError::TableTooLarge`].
    pub fn from_slices(
        activation: OperandFormat,
        weight: OperandFormat,
        by_activation: &[f32],
        by_weight: &[f32],
    ) -> Result<Self, MultiplierError> {
        Self::from_entries(activation, weight, by_activation.into(), by_weight.into())
    }

    /// The derivatives that two functions of an activation code and a weight code give.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::GradientNotFinite`], and [`MultiplierError::TableTooLarge`].
    pub fn from_fn(
        activation: OperandFormat,
        weight: OperandFormat,
        by_activation: impl Fn(i32, i32) -> f64,
        by_weight: impl Fn(i32, i32) -> f64,
    ) -> Result<Self, MultiplierError> {
        entry_count(activation, weight)?;
        let tabulated = |function: &dyn Fn(i32, i32) -> f64| -> Arc<[f32]> {
            let pairs = activation
                .codes()
                .flat_map(|a| weight.codes().map(move |b| (a, b)));
            pairs.map(|(a, b)| function(a, b) as f32).collect()
        };
        let [by_activation, by_weight] = [tabulated(&by_activation), tabulated(&by_weight)];
        Self::from_entries(activation, weight, by_activation, by_weight)
    }

    fn from_entries(
        activation: OperandFormat,
        weight: OperandFormat,
        by_activation: Arc<[f32]>,
        by_weight: Arc<[f32]>,
    ) -> Result<Self, MultiplierError> {
        for (by, entries) in [("activation", &by_activation), ("weight", &by_weight)] {
            check_entry_count(activation, weight, entries.len())?;
            if let Some(index) = entries.iter().position(|entry| !entry.is_finite()) {
                return Err(MultiplierError::GradientNotFinite {
                    by,
                    activation: activation.code(index / weight.cardinality()),
                    weight: weight.code(index % weight.cardinality()),
                    value: entries[index],
                });
            }
        }
        Ok(Self {
            activation,
            weight,
            by_activation,
            by_weight,
        })
    }

    /// Format of the first operand, the activation, which selects the row.
    pub fn activation(&self) -> OperandFormat {
        self.activation
    }

    /// Format of the second operand, the weight, which selects the column.
    pub fn weight(&self) -> OperandFormat {
        self.weight
    }

    /// The derivatives by the activation, row by row in the order of bit patterns.
    pub fn by_activation(&self) -> &[f32] {
        &self.by_activation
    }

    /// The derivatives by the weight, row by row in the order of bit patterns.
    pub fn by_weight(&self) -> &[f32] {
        &self.by_weight
    }

    /// Those of the multiplier with exchanged operands.
    pub(crate) fn swapped(&self) -> Self {
        let columns = self.weight.cardinality();
        let transposed = |entries: &[f32]| -> Arc<[f32]> {
            let columns = (0..columns).map(|column| entries.iter().skip(column).step_by(columns));
            columns.flatten().copied().collect()
        };
        Self {
            activation: self.weight,
            weight: self.activation,
            by_activation: transposed(&self.by_weight),
            by_weight: transposed(&self.by_activation),
        }
    }

    /// Those of `sign(a) sign(b) m(|a|, |b|)`, where these are of `m`; the sign of 0 is +.
    pub(crate) fn sign_magnitude(
        &self,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<Self, MultiplierError> {
        let sign = |code: i32| if code < 0 { -1.0 } else { 1.0 };
        let at = |entries: &[f32], a: i32, b: i32| {
            let row = self.activation.pattern(a.abs()) * self.weight.cardinality();
            f64::from(entries[row + self.weight.pattern(b.abs())])
        };
        Self::from_fn(
            activation,
            weight,
            |a, b| sign(b) * at(&self.by_activation, a, b),
            |a, b| sign(a) * at(&self.by_weight, a, b),
        )
    }
}

/// Leaves the entries out, of which there are many.
impl fmt::Debug for GradientTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GradientTables")
            .field("activation", &self.activation)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

/// The serialised form of [`GradientTables`], without the formats, which the multiplier has: each table compressed, in
/// base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SerializedGradient {
    by_activation: String,
    by_weight: String,
}

impl From<&GradientTables> for SerializedGradient {
    fn from(tables: &GradientTables) -> Self {
        let encode = |entries: &[f32]| encode_base64(&compress_floats(entries));
        Self {
            by_activation: encode(&tables.by_activation),
            by_weight: encode(&tables.by_weight),
        }
    }
}

impl SerializedGradient {
    pub(crate) fn into_tables(
        self,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<GradientTables, MultiplierError> {
        let count = entry_count(activation, weight)?;
        let decode = |text: &str| decompress_floats(count, &decode_base64(text)?);
        let [by_activation, by_weight] = [decode(&self.by_activation)?, decode(&self.by_weight)?];
        GradientTables::from_slices(activation, weight, &by_activation, &by_weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Multiplier, MultiplierSource, evoapprox};

    fn formats() -> (OperandFormat, OperandFormat) {
        (
            OperandFormat::signed(3).unwrap(),
            OperandFormat::unsigned(4).unwrap(),
        )
    }

    fn tables() -> GradientTables {
        let (activation, weight) = formats();
        let by_activation = |a: i32, b: i32| f64::from(100 * a + b);
        GradientTables::from_fn(activation, weight, by_activation, |a, b| {
            f64::from(a) / f64::from(b + 1)
        })
        .unwrap()
    }

    fn at(tables: &GradientTables, entries: &[f32], a: i32, b: i32) -> f32 {
        let (activation, weight) = (tables.activation(), tables.weight());
        entries[activation.pattern(a) * weight.cardinality() + weight.pattern(b)]
    }

    #[test]
    fn entries_are_in_the_order_of_patterns() {
        let tables = tables();
        assert_eq!(at(&tables, tables.by_activation(), -3, 7), -293.0);
        assert_eq!(at(&tables, tables.by_weight(), -3, 7), -0.375);
        let (activation, weight) = formats();
        let same = GradientTables::from_slices(
            activation,
            weight,
            tables.by_activation(),
            tables.by_weight(),
        );
        assert_eq!(same.unwrap(), tables);
    }

    #[test]
    fn exchanged_operands_exchange_the_derivatives() {
        let swapped = tables().swapped();
        assert_eq!(at(&swapped, swapped.by_weight(), 7, -3), -293.0);
        assert_eq!(at(&swapped, swapped.by_activation(), 7, -3), -0.375);
        assert_eq!(swapped.swapped(), tables());
    }

    /// The derivatives of `a^2 b` in sign-magnitude use, which is `sign(a) a^2 b`.
    #[test]
    fn signs_outside_of_a_circuit_have_their_derivatives() {
        let format = OperandFormat::unsigned(4).unwrap();
        let real = |a: i32, b: i32| [f64::from(a), f64::from(b)];
        let square = GradientTables::from_fn(
            format,
            format,
            |a, b| 2.0 * real(a, b)[0] * real(a, b)[1],
            |a, b| real(a, b)[0] * real(a, b)[0],
        );
        let multiplier = Multiplier::from_fn("square", format, format, |a, b| a * a * b).unwrap();
        let multiplier = multiplier.with_gradient_tables(square.unwrap()).unwrap();
        let signed = multiplier.sign_magnitude().unwrap();
        let tables = signed.gradient_tables().unwrap();
        for (a, b) in [(3, 5), (-3, 5), (3, -5), (-3, -5), (-8, 7)] {
            let [x, y] = real(a, b);
            assert_eq!(
                f64::from(at(tables, tables.by_activation(), a, b)),
                2.0 * x.abs() * y
            );
            assert_eq!(
                f64::from(at(tables, tables.by_weight(), a, b)),
                x.signum() * x * x
            );
        }
    }

    #[test]
    fn what_is_no_derivative_is_refused() {
        let (activation, weight) = formats();
        let count = activation.cardinality() * weight.cardinality();
        let fine = vec![1.0f32; count];
        let error = GradientTables::from_slices(activation, weight, &fine, &fine[1..]).unwrap_err();
        assert!(matches!(error, MultiplierError::WrongEntryCount { .. }));
        let by_weight = |a: i32, b: i32| {
            if (a, b) == (-2, 9) {
                f64::INFINITY
            } else {
                0.0
            }
        };
        let error = GradientTables::from_fn(activation, weight, |_, _| 0.0, by_weight).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the derivative by the weight at the activation -2 and the weight 9 is inf; it must be finite"
        );
        let wide = OperandFormat::signed(16).unwrap();
        let error = GradientTables::from_fn(wide, wide, |_, _| 0.0, |_, _| 0.0).unwrap_err();
        assert!(matches!(error, MultiplierError::TableTooLarge { .. }));
        let error = evoapprox::multiplier("mul8s_1L2J")
            .unwrap()
            .with_gradient_tables(tables());
        assert!(matches!(
            error.unwrap_err(),
            MultiplierError::GradientFormats { .. }
        ));
    }

    /// A multiplier keeps them under another name, in a file, and as its shortest description.
    #[test]
    fn they_go_where_their_multiplier_goes() {
        let (activation, weight) = formats();
        let exact = Multiplier::exact(activation, weight);
        let multiplier = exact.with_gradient_tables(tables()).unwrap();
        assert_eq!(multiplier.hash(), exact.hash(), "its products are the same");
        assert_ne!(multiplier, exact);
        assert_eq!(
            multiplier.with_name("other").gradient_tables(),
            Some(&tables())
        );
        let text = serde_json::to_string(&multiplier).unwrap();
        assert_eq!(
            serde_json::from_str::<Multiplier>(&text).unwrap(),
            multiplier
        );
        let described = MultiplierSource::describe(&multiplier);
        assert_eq!(described.resolve().unwrap(), multiplier);
        assert!(matches!(described, MultiplierSource::Inline(_)));
        let damaged = text.replace("\"by_weight\":\"", "\"by_weight\":\"AAAA");
        assert!(serde_json::from_str::<Multiplier>(&damaged).is_err());
    }
}
