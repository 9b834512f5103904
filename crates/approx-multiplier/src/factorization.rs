//! What a factorisation is: a multiplier as a sum of products of one-operand functions, with the certificate that it is
//! exact. How one is found is the subject of `factorize`.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::balance::{Cost, RawTerm, largest};
use crate::{Coverage, MultiplierError, OperandFormat, ProductTable};

/// What the terms of a [`Factorization`] add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The product `m(a, b)` itself.
    Table,
    /// Its error `m(a, b) - a * b`: the exact product is one more term.
    Error,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Table => "table",
            Self::Error => "error",
        })
    }
}

/// The number formats in which every one of some integers is exact.
///
/// ```
/// use approx_multiplier::ExactIn;
///
/// let formats = ExactIn::of(&[0, -257, 512]);
/// assert!(!formats.bf16 && formats.f16 && formats.tf32 && formats.int16 && !formats.int8);
/// // 512 needs only one significant bit.
/// assert!(ExactIn::of(&[512]).bf16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExactIn {
    /// bfloat16, with 8 significant bits: all integers up to 256.
    pub bf16: bool,
    /// IEEE half precision, with 11 significant bits: all integers up to 2048, and none above 65504.
    pub f16: bool,
    /// TF32, with 11 significant bits: all integers up to 2048.
    pub tf32: bool,
    /// IEEE single precision, with 24 significant bits: all integers up to 2^24.
    pub f32: bool,
    /// Signed 8-bit integers, -128 to 127.
    pub int8: bool,
    /// Signed 16-bit integers, -32768 to 32767.
    pub int16: bool,
}

impl ExactIn {
    /// The formats that hold each of the values exactly: all of them if there are no values.
    pub fn of(values: &[i64]) -> Self {
        let significant_bits = values
            .iter()
            .map(|&value| match value.unsigned_abs() {
                0 => 0,
                magnitude => 64 - magnitude.leading_zeros() - magnitude.trailing_zeros(),
            })
            .max()
            .unwrap_or(0);
        Self {
            bf16: significant_bits <= 8,
            f16: significant_bits <= 11 && largest(values) <= 65504,
            tf32: significant_bits <= 11,
            f32: significant_bits <= 24,
            int8: values.iter().all(|&value| i8::try_from(value).is_ok()),
            int16: values.iter().all(|&value| i16::try_from(value).is_ok()),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            bf16: self.bf16 && other.bf16,
            f16: self.f16 && other.f16,
            tf32: self.tf32 && other.tf32,
            f32: self.f32 && other.f32,
            int8: self.int8 && other.int8,
            int16: self.int16 && other.int16,
        }
    }
}

/// One term of a [`Factorization`]: `scale * activation[a] * weight[b]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    scale: i64,
    activation: Vec<i64>,
    weight: Vec<i64>,
}

impl Term {
    /// What both factors' greatest common divisors multiply to, at least 1.
    pub fn scale(&self) -> i64 {
        self.scale
    }

    /// The activation's factor by its bit pattern, without a common divisor; 0 for codes that were left out.
    pub fn activation(&self) -> &[i64] {
        &self.activation
    }

    /// The weight's factor by its bit pattern, without a common divisor; 0 for codes that were left out.
    pub fn weight(&self) -> &[i64] {
        &self.weight
    }

    /// The number formats that hold the activation's factor.
    pub fn activation_exact_in(&self) -> ExactIn {
        ExactIn::of(&self.activation)
    }

    /// The number formats that hold the weight's factor.
    pub fn weight_exact_in(&self) -> ExactIn {
        ExactIn::of(&self.weight)
    }
}

/// How a [`Factorization`] was checked, and how large its factors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The operand pairs whose product was compared.
    pub coverage: Coverage,
    /// The pairs whose product was another one: 0, or there would be no factorisation.
    pub mismatches: u64,
    /// The largest magnitude of an activation's factor, 0 without terms.
    pub largest_activation_factor: u64,
    /// The largest magnitude of a weight's factor, 0 without terms.
    pub largest_weight_factor: u64,
    /// The largest factor once the terms share one scale, [`Factorization::common_scale`], and what remains of their own is
    /// multiplied into the smaller one of their factors.
    pub largest_folded_factor: u64,
    /// The formats that hold all activations' factors.
    pub activation_exact_in: ExactIn,
    /// The formats that hold all weights' factors.
    pub weight_exact_in: ExactIn,
}

impl Certificate {
    /// The largest magnitude of a factor of either side, 0 without terms.
    pub fn largest_factor(&self) -> u64 {
        self.largest_activation_factor
            .max(self.largest_weight_factor)
    }
}

/// A multiplier as an exact sum of products of integer functions of one operand,
/// `m(a, b) = sum over r of scale_r * u_r(a) * v_r(b)`, plus `a * b` in the [error form](Form::Error).
///
/// A sum of such products over many operand pairs is one plain matrix product, `rank` times as deep. The rank is the
/// least possible one.
///
/// ```
/// use approx_multiplier::{Factorization, FactorizationOptions, Form, evoapprox};
///
/// let multiplier = evoapprox::multiplier("mul8s_1L2J")?;
/// let table = multiplier.to_table()?;
/// let factorization = Factorization::of(&table, &FactorizationOptions::default())?;
///
/// // It drops the lowest bit of both operands: 4 * (a >> 1) * (b >> 1).
/// assert_eq!((factorization.form(), factorization.rank()), (Form::Table, 1));
/// assert_eq!(factorization.common_scale(), 4);
/// assert_eq!(factorization.evaluate(-128, 127), Some(-16128));
/// assert_eq!(factorization.certificate().mismatches, 0);
/// assert!(factorization.certificate().activation_exact_in.int8);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factorization {
    activation: OperandFormat,
    weight: OperandFormat,
    activation_codes: RangeInclusive<i32>,
    weight_codes: RangeInclusive<i32>,
    form: Form,
    terms: Vec<Term>,
    certificate: Certificate,
}

impl Factorization {
    /// Wraps terms, with factors for the codes of the ranges, that were compared as `coverage` says.
    pub(crate) fn from_verified(
        formats: (OperandFormat, OperandFormat),
        codes: (RangeInclusive<i32>, RangeInclusive<i32>),
        form: Form,
        terms: Vec<RawTerm>,
        coverage: Coverage,
    ) -> Self {
        let by_pattern = |format: OperandFormat, first: i32, factors: Vec<i64>| {
            let mut expanded = vec![0; format.cardinality()];
            for (code, factor) in (first..).zip(factors) {
                expanded[format.pattern(code)] = factor;
            }
            expanded
        };
        // Factors are 64-bit, but a folded one may not be.
        let largest_folded_factor = u64::try_from(Cost::of(&terms).largest).unwrap_or(u64::MAX);
        let terms: Vec<Term> = terms
            .into_iter()
            .map(|term| Term {
                scale: term.scale,
                activation: by_pattern(formats.0, *codes.0.start(), term.activation),
                weight: by_pattern(formats.1, *codes.1.start(), term.weight),
            })
            .collect();
        let over = |factors: fn(&Term) -> &[i64]| {
            (
                terms.iter().map(|term| largest(factors(term))).max(),
                terms
                    .iter()
                    .map(|term| ExactIn::of(factors(term)))
                    .fold(ExactIn::of(&[]), ExactIn::and),
            )
        };
        let (largest_activation, activation_exact_in) = over(Term::activation);
        let (largest_weight, weight_exact_in) = over(Term::weight);
        Self {
            activation: formats.0,
            weight: formats.1,
            activation_codes: codes.0,
            weight_codes: codes.1,
            form,
            certificate: Certificate {
                coverage,
                mismatches: 0,
                largest_activation_factor: largest_activation.unwrap_or(0),
                largest_weight_factor: largest_weight.unwrap_or(0),
                largest_folded_factor,
                activation_exact_in,
                weight_exact_in,
            },
            terms,
        }
    }

    /// Format of the activation.
    pub fn activation(&self) -> OperandFormat {
        self.activation
    }

    /// Format of the weight.
    pub fn weight(&self) -> OperandFormat {
        self.weight
    }

    /// The activation codes that the factorisation holds for: those of the format unless a range was asked for.
    pub fn activation_codes(&self) -> RangeInclusive<i32> {
        self.activation_codes.clone()
    }

    /// The weight codes that the factorisation holds for: those of the format unless a range was asked for.
    pub fn weight_codes(&self) -> RangeInclusive<i32> {
        self.weight_codes.clone()
    }

    /// What the terms add up to.
    pub fn form(&self) -> Form {
        self.form
    }

    /// How many terms there are, which is the rank of the table or of its error.
    pub fn rank(&self) -> usize {
        self.terms.len()
    }

    /// How many products of one-operand functions make one product: the rank, and one more in the error form.
    pub fn products(&self) -> usize {
        self.rank() + usize::from(self.form == Form::Error)
    }

    /// The terms.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The greatest common divisor of the terms' scales; 1 without terms.
    pub fn common_scale(&self) -> i64 {
        self.terms
            .iter()
            .fold(0, |common, term| num_integer::gcd(common, term.scale))
            .max(1)
    }

    /// Whether each term's scale is the [common one](Self::common_scale), so that it can be multiplied in after the
    /// sum.
    pub fn has_one_scale(&self) -> bool {
        let common = self.common_scale();
        self.terms.iter().all(|term| term.scale == common)
    }

    /// How the factorisation was checked, and how large its factors are.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The product of an activation code and a weight code; `None` outside of the
    /// [ranges](Self::activation_codes) that the factorisation holds for.
    pub fn evaluate(&self, a: i32, b: i32) -> Option<i64> {
        if !self.activation_codes.contains(&a) || !self.weight_codes.contains(&b) {
            return None;
        }
        let (row, column) = (self.activation.pattern(a), self.weight.pattern(b));
        let base = match self.form {
            Form::Table => 0,
            Form::Error => i64::from(a) * i64::from(b),
        };
        // The sum fits because it is a product; that an intermediate one wraps is harmless.
        Some(self.terms.iter().fold(base, |sum, term| {
            sum.wrapping_add(
                term.scale
                    .wrapping_mul(term.activation[row])
                    .wrapping_mul(term.weight[column]),
            )
        }))
    }

    /// All products as a table.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::RestrictedCodes`] if the factorisation leaves codes of its formats out,
    /// [`MultiplierError::TableTooLarge`] and [`MultiplierError::EntryOutOfRange`].
    pub fn to_table(&self) -> Result<ProductTable, MultiplierError> {
        for (codes, format) in [
            (&self.activation_codes, self.activation),
            (&self.weight_codes, self.weight),
        ] {
            if *codes != (format.min_code()..=format.max_code()) {
                return Err(MultiplierError::RestrictedCodes {
                    low: *codes.start(),
                    high: *codes.end(),
                    format,
                });
            }
        }
        ProductTable::from_fn(self.activation, self.weight, |a, b| {
            self.evaluate(a as i32, b as i32)
                .expect("all codes of the formats are in the ranges, as checked above")
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// For each format the largest number up to which all integers are exact, and the next one.
    #[rstest]
    #[case(256, 257, |exact: ExactIn| exact.bf16)]
    #[case(2048, 2049, |exact: ExactIn| exact.f16)]
    #[case(65504, 65536, |exact: ExactIn| exact.f16)]
    #[case(2048, 2049, |exact: ExactIn| exact.tf32)]
    #[case(65536, 65537, |exact: ExactIn| exact.tf32)]
    #[case(1 << 24, (1 << 24) + 1, |exact: ExactIn| exact.f32)]
    #[case(127, 128, |exact: ExactIn| exact.int8)]
    #[case(-128, -129, |exact: ExactIn| exact.int8)]
    #[case(32767, 32768, |exact: ExactIn| exact.int16)]
    #[case(-32768, -32769, |exact: ExactIn| exact.int16)]
    fn formats_hold_integers_up_to_their_precision(
        #[case] held: i64,
        #[case] not_held: i64,
        #[case] format: fn(ExactIn) -> bool,
    ) {
        assert!(format(ExactIn::of(&[])) && format(ExactIn::of(&[0])));
        assert!(format(ExactIn::of(&[1, held])));
        assert!(!format(ExactIn::of(&[1, not_held])));
    }

    #[test]
    fn extreme_integers_are_answered() {
        let exact = ExactIn::of(&[i64::MIN]);
        assert!(exact.bf16 && exact.tf32 && exact.f32 && !exact.f16 && !exact.int16);
        assert!(!ExactIn::of(&[i64::MAX]).f32);
    }
}
