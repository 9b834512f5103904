//! What a factorisation is: a multiplier as a sum of products of one-operand functions, with the certificate that it is
//! exact. How one is found is the subject of `factorize`.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::balance::{Cost, RawTerm, Size, largest};
use crate::table::index_bits;
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

/// One term of a [`Factorization`]: `scale * activation[a] * weight[b]`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Term {
    scale: i64,
    activation: Arc<[i64]>,
    weight: Arc<[i64]>,
}

impl Term {
    /// A term of [`Factorization::from_terms`], with one factor for each code of the operands, in the order of bit patterns.
    ///
    /// Common divisors of the factors go into the scale; and both factors, or the scale and one of them, change their signs
    /// where that saves a bit or makes the scale positive. The products stay.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::FactorsOutOfRange`] if the scale that results does not fit in 64 bits, or a factor is `i64::MIN`.
    pub fn new(
        scale: i64,
        activation: Vec<i64>,
        weight: Vec<i64>,
    ) -> Result<Self, MultiplierError> {
        let mut term = RawTerm {
            scale,
            activation,
            weight,
        };
        term.normalise().ok_or(MultiplierError::FactorsOutOfRange)?;
        Ok(Self {
            scale: term.scale,
            activation: term.activation.into(),
            weight: term.weight.into(),
        })
    }

    /// The term with its operands exchanged.
    pub(crate) fn swapped(&self) -> Self {
        Self::new(self.scale, self.weight.to_vec(), self.activation.to_vec())
            .expect("the factors have no common divisor, so that the scale stays")
    }

    /// What both factors' greatest common divisors multiply to, at least 1 for a term of a factorisation.
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

/// Leaves the factors out, of which there are up to 65536 each.
impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Term")
            .field("scale", &self.scale)
            .field("largest_activation", &largest(&self.activation))
            .field("largest_weight", &largest(&self.weight))
            .finish_non_exhaustive()
    }
}

/// A term of [`Factorization::folded_terms`]: `scale * activation[a] * weight[b]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldedTerm {
    /// What the product of the factors is multiplied by, at least 1.
    pub scale: i64,
    /// The activation's factor by its bit pattern; 0 for codes that were left out.
    pub activation: Vec<i64>,
    /// The weight's factor by its bit pattern; 0 for codes that were left out.
    pub weight: Vec<i64>,
}

/// How a [`Factorization`] was checked, and how large its factors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The operand pairs whose product was compared: all of them where terms define the function, or follow from terms that
    /// do.
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
    /// A function of two operands given by terms, and by `a * b` if they are those of its [error](Form::Error).
    ///
    /// Terms that depend on each other are replaced by as few as there can be. The [certificate](Self::certificate) says
    /// that all pairs were compared: the terms are the function's definition.
    ///
    /// ```
    /// use approx_multiplier::{Factorization, Form, OperandFormat, Term};
    ///
    /// // a * b without the product of both operands' lowest bits.
    /// let format = OperandFormat::signed(16)?;
    /// let lowest_bits = || format.codes().map(|code| i64::from(code & 1)).collect();
    /// let terms = [Term::new(-1, lowest_bits(), lowest_bits())?];
    /// let factorization = Factorization::from_terms(format, format, Form::Error, terms)?;
    /// assert_eq!(factorization.evaluate(-32767, 3), Some(-32767 * 3 - 1));
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MultiplierError::WrongFactorCount`] if a term has not as many factors as an operand has codes, and
    /// [`MultiplierError::FactorsOutOfRange`] if sums of products of the factors' largest magnitudes exceed 64 bits.
    pub fn from_terms(
        activation: OperandFormat,
        weight: OperandFormat,
        form: Form,
        terms: impl IntoIterator<Item = Term>,
    ) -> Result<Self, MultiplierError> {
        let codes = (all_codes(activation), all_codes(weight));
        let coverage = Coverage::Exhaustive {
            pairs: 1 << index_bits(activation, weight),
        };
        let terms = terms.into_iter().collect();
        Self::assemble((activation, weight), codes, form, terms, coverage)?.minimal()
    }

    /// Wraps terms, with factors for the codes of the ranges, that were compared as `coverage` says.
    pub(crate) fn from_verified(
        formats: (OperandFormat, OperandFormat),
        codes: (RangeInclusive<i32>, RangeInclusive<i32>),
        form: Form,
        terms: Vec<RawTerm>,
        coverage: Coverage,
    ) -> Result<Self, MultiplierError> {
        let terms = terms
            .into_iter()
            .map(|term| {
                Term::new(
                    term.scale,
                    by_pattern(formats.0, &codes.0, term.activation),
                    by_pattern(formats.1, &codes.1, term.weight),
                )
            })
            .collect::<Result<_, _>>()?;
        Self::assemble(formats, codes, form, terms, coverage)
    }

    /// Wraps normalised terms, which may still depend on each other; those that are 0 everywhere are left out.
    pub(crate) fn assemble(
        formats: (OperandFormat, OperandFormat),
        codes: (RangeInclusive<i32>, RangeInclusive<i32>),
        form: Form,
        mut terms: Vec<Term>,
        coverage: Coverage,
    ) -> Result<Self, MultiplierError> {
        for term in &terms {
            for (which, factors, format) in [
                ("activation", &term.activation, formats.0),
                ("weight", &term.weight, formats.1),
            ] {
                if factors.len() != format.cardinality() {
                    return Err(MultiplierError::WrongFactorCount {
                        which,
                        format,
                        found: factors.len(),
                    });
                }
            }
        }
        terms.retain(|term| {
            term.scale != 0 && largest(&term.activation) != 0 && largest(&term.weight) != 0
        });
        let certificate = certificate(&codes, &terms, coverage)?;
        Ok(Self {
            activation: formats.0,
            weight: formats.1,
            activation_codes: codes.0,
            weight_codes: codes.1,
            form,
            terms,
            certificate,
        })
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
        Some(self.product_of(a, b))
    }

    /// The product of two codes that the factorisation holds for.
    pub(crate) fn product_of(&self, a: i32, b: i32) -> i64 {
        let (row, column) = (self.activation.pattern(a), self.weight.pattern(b));
        let base = match self.form {
            Form::Table => 0,
            Form::Error => i64::from(a) * i64::from(b),
        };
        // No sum of products of factors exceeds 64 bits, which every constructor checks.
        self.terms.iter().fold(base, |sum, term| {
            sum + term.scale * term.activation[row] * term.weight[column]
        })
    }

    /// The terms as integer arithmetic wants them, with as few different scales as possible: in the error form first the
    /// exact product, with scale 1 and the codes themselves as factors; then every term with the
    /// [common scale](Self::common_scale), and what remains of its own multiplied into the smaller one of its factors.
    ///
    /// `m(a, b)` is the sum of all of them. Factors are at most
    /// [`largest_folded_factor`](Certificate::largest_folded_factor), or a code.
    ///
    /// ```
    /// use approx_multiplier::{FactorizationOptions, evoapprox};
    ///
    /// let multiplier = evoapprox::multiplier("mul8s_1KVP")?;
    /// let factorization = multiplier.factorization(&FactorizationOptions::default())?;
    /// let (a, b) = (0x7f, 0x81); // bit patterns of 127 and -127
    /// let terms = factorization.folded_terms();
    /// let product: i64 = terms.iter().map(|term| term.scale * term.activation[a] * term.weight[b]).sum();
    /// assert_eq!(Some(product), multiplier.product(127, -127));
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    pub fn folded_terms(&self) -> Vec<FoldedTerm> {
        let codes = |format, codes: &RangeInclusive<i32>| {
            by_pattern(format, codes, codes.clone().map(i64::from))
        };
        let exact_product = (self.form == Form::Error).then(|| FoldedTerm {
            scale: 1,
            activation: codes(self.activation, &self.activation_codes),
            weight: codes(self.weight, &self.weight_codes),
        });
        let scale = self.common_scale();
        let folded = self.terms.iter().map(|term| {
            let rest = term.scale / scale;
            let mut folded = FoldedTerm {
                scale,
                activation: term.activation.to_vec(),
                weight: term.weight.to_vec(),
            };
            let smaller = if largest(&term.activation) < largest(&term.weight) {
                &mut folded.activation
            } else {
                &mut folded.weight
            };
            smaller.iter_mut().for_each(|factor| *factor *= rest);
            folded
        });
        exact_product.into_iter().chain(folded).collect()
    }

    /// All products as a table.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::RestrictedCodes`] if the factorisation leaves codes of its formats out,
    /// [`MultiplierError::TableTooLarge`] and [`MultiplierError::EntryOutOfRange`].
    pub fn to_table(&self) -> Result<ProductTable, MultiplierError> {
        self.check_unrestricted()?;
        ProductTable::from_fn(self.activation, self.weight, |a, b| {
            self.product_of(a as i32, b as i32)
        })
    }

    /// Checks that the factorisation holds for all codes of its formats.
    pub(crate) fn check_unrestricted(&self) -> Result<(), MultiplierError> {
        for (codes, format) in [
            (&self.activation_codes, self.activation),
            (&self.weight_codes, self.weight),
        ] {
            if *codes != all_codes(format) {
                return Err(MultiplierError::RestrictedCodes {
                    low: *codes.start(),
                    high: *codes.end(),
                    format,
                });
            }
        }
        Ok(())
    }
}

pub(crate) fn all_codes(format: OperandFormat) -> RangeInclusive<i32> {
    format.min_code()..=format.max_code()
}

/// The factors of a range of codes by bit pattern, and 0 for all other codes.
pub(crate) fn by_pattern<T: Copy + Default>(
    format: OperandFormat,
    codes: &RangeInclusive<i32>,
    factors: impl IntoIterator<Item = T>,
) -> Vec<T> {
    let mut expanded = vec![T::default(); format.cardinality()];
    for (code, factor) in codes.clone().zip(factors) {
        expanded[format.pattern(code)] = factor;
    }
    expanded
}

/// Factors by bit pattern, with 0 in place of those of codes outside of a range.
pub(crate) fn within(
    format: OperandFormat,
    codes: &RangeInclusive<i32>,
    factors: &[i64],
) -> Vec<i64> {
    let kept = codes.clone().map(|code| factors[format.pattern(code)]);
    by_pattern(format, codes, kept)
}

/// The sizes of normalised terms, which are refused if arithmetic with them could exceed 64 bits.
fn certificate(
    codes: &(RangeInclusive<i32>, RangeInclusive<i32>),
    terms: &[Term],
    coverage: Coverage,
) -> Result<Certificate, MultiplierError> {
    let sizes: Vec<Size> = terms
        .iter()
        .map(|term| Size::of(term.scale, &term.activation, &term.weight))
        .collect();
    // `a * b` is added in the error form, and taken away where a table form's error is looked at.
    let largest_code = |codes: &RangeInclusive<i32>| {
        u128::from(codes.start().unsigned_abs().max(codes.end().unsigned_abs()))
    };
    let sum = sizes.iter().map(Size::product).fold(
        largest_code(&codes.0) * largest_code(&codes.1),
        u128::saturating_add,
    );
    let largest_folded_factor = Cost::of_sizes(sizes.iter().copied()).largest;
    if sum > i64::MAX as u128 || largest_folded_factor > i64::MAX as u128 {
        return Err(MultiplierError::FactorsOutOfRange);
    }
    let exact_in = |factors: fn(&Term) -> &[i64]| {
        terms
            .iter()
            .map(|term| ExactIn::of(factors(term)))
            .fold(ExactIn::of(&[]), ExactIn::and)
    };
    Ok(Certificate {
        coverage,
        mismatches: 0,
        largest_activation_factor: sizes.iter().map(|size| size.activation).max().unwrap_or(0),
        largest_weight_factor: sizes.iter().map(|size| size.weight).max().unwrap_or(0),
        largest_folded_factor: largest_folded_factor as u64,
        activation_exact_in: exact_in(Term::activation),
        weight_exact_in: exact_in(Term::weight),
    })
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
