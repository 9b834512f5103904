//! What a factorisation is: a multiplier as a sum of products of one-operand functions, with the certificate that it is
//! exact. How one is found is the subject of `search`.

use std::ops::RangeInclusive;

use super::certificate::{Certificate, Coverage, certificate};
use super::codes::{all_codes, by_pattern};
use super::factor_term::{FactorTerm, largest};
use super::term::{FactorizationForm, Term};
use crate::table::index_bits;
use crate::{MultiplierError, OperandFormat, ProductTable};

/// A multiplier as an exact sum of products of integer functions of one operand,
/// `m(a, b) = sum over r of scale_r * u_r(a) * v_r(b)`, plus `a * b` in the [error form](FactorizationForm::Error).
///
/// A sum of such products over many operand pairs is one plain matrix product, `rank` times as deep. The rank is the
/// least possible one.
///
/// ```
/// use approx_multiplier::{Factorization, FactorizationOptions, FactorizationForm, evoapprox};
///
/// let multiplier = evoapprox::multiplier("mul8s_1L2J")?;
/// let table = multiplier.to_table()?;
/// let factorization = Factorization::of(&table, &FactorizationOptions::default())?;
///
/// // It drops the lowest bit of both operands: 4 * (a >> 1) * (b >> 1).
/// assert_eq!((factorization.form(), factorization.rank()), (FactorizationForm::Table, 1));
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
    form: FactorizationForm,
    terms: Vec<Term>,
    certificate: Certificate,
}

impl Factorization {
    /// A function of two operands given by terms, and by `a * b` if they are those of its
    /// [error](FactorizationForm::Error).
    ///
    /// Terms that depend on each other are replaced by as few as there can be. The [certificate](Self::certificate)
    /// says that all pairs were compared: the terms are the function's definition.
    ///
    /// ```
    /// use approx_multiplier::{Factorization, FactorizationForm, OperandFormat, Term};
    ///
    /// // a * b without the product of both operands' lowest bits.
    /// let format = OperandFormat::signed(16)?;
    /// let lowest_bits = || format.codes().map(|code| i64::from(code & 1)).collect();
    /// let terms = [Term::new(-1, lowest_bits(), lowest_bits())?];
    /// let factorization = Factorization::from_terms(format, format, FactorizationForm::Error, terms)?;
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
        form: FactorizationForm,
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
        form: FactorizationForm,
        terms: Vec<FactorTerm>,
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
        form: FactorizationForm,
        mut terms: Vec<Term>,
        coverage: Coverage,
    ) -> Result<Self, MultiplierError> {
        for term in &terms {
            for (which, factors, format) in [
                ("activation", term.activation(), formats.0),
                ("weight", term.weight(), formats.1),
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
            term.scale() != 0 && largest(term.activation()) != 0 && largest(term.weight()) != 0
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
    pub fn form(&self) -> FactorizationForm {
        self.form
    }

    /// How many terms there are, which is the rank of the table or of its error.
    pub fn rank(&self) -> usize {
        self.terms.len()
    }

    /// How many products of one-operand functions make one product: the rank, and one more in the error form.
    pub fn products(&self) -> usize {
        self.rank() + usize::from(self.form == FactorizationForm::Error)
    }

    /// The terms.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The greatest common divisor of the terms' scales; 1 without terms.
    pub fn common_scale(&self) -> i64 {
        self.terms
            .iter()
            .fold(0, |common, term| num_integer::gcd(common, term.scale()))
            .max(1)
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
            FactorizationForm::Table => 0,
            FactorizationForm::Error => i64::from(a) * i64::from(b),
        };
        // No sum of products of factors exceeds 64 bits, which every constructor checks.
        self.terms.iter().fold(base, |sum, term| {
            sum + term.scale() * term.activation()[row] * term.weight()[column]
        })
    }

    /// The terms as integer arithmetic wants them, with as few different scales as possible: in the error form first
    /// the exact product, with scale 1 and the codes themselves as factors; then every term with the [common
    /// scale](Self::common_scale), and what remains of its own multiplied into the smaller one of its factors.
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
    pub fn folded_terms(&self) -> Vec<FactorTerm> {
        let codes = |format, codes: &RangeInclusive<i32>| {
            by_pattern(format, codes, codes.clone().map(i64::from))
        };
        let exact_product = (self.form == FactorizationForm::Error).then(|| FactorTerm {
            scale: 1,
            activation: codes(self.activation, &self.activation_codes),
            weight: codes(self.weight, &self.weight_codes),
        });
        let scale = self.common_scale();
        let folded = self.terms.iter().map(|term| {
            let rest = term.scale() / scale;
            let mut folded = FactorTerm {
                scale,
                activation: term.activation().to_vec(),
                weight: term.weight().to_vec(),
            };
            let smaller = if largest(term.activation()) < largest(term.weight()) {
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
