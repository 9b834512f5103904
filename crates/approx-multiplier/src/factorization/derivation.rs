//! Factorisations made from a factorisation: of fewer terms, for fewer codes, in the other form, with exchanged
//! operands or signs. Nothing is compared: products in independent rows and columns determine all others.

use std::ops::RangeInclusive;

use super::codes::{all_codes, checked_codes, count, within};
use super::independence::independent;
use super::search::from_independent;
use crate::{
    Coverage, Factorization, FactorizationForm, FactorizationOptions, MultiplierError,
    OperandFormat, Term,
};

impl Factorization {
    /// The factorisation with its operands exchanged.
    #[must_use]
    pub fn swapped(&self) -> Self {
        let terms = self.terms().iter().map(Term::swapped).collect();
        Self::assemble(
            (self.weight(), self.activation()),
            (self.weight_codes(), self.activation_codes()),
            self.form(),
            terms,
            self.certificate().coverage,
        )
        .expect("the factors are as large as before")
    }

    /// The sign-magnitude form of an unsigned function, `sign(a) * sign(b) * m(|a|, |b|)` with `sign(0) = +`, for
    /// signed operands of the same widths. Its rank is at most the function's.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::RestrictedCodes`] if the factorisation leaves codes of its formats out.
    pub(crate) fn sign_magnitude(
        &self,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<Self, MultiplierError> {
        self.check_unrestricted()?;
        let signed = |format: OperandFormat, factors: &[i64]| -> Vec<i64> {
            format
                .codes()
                .map(|code| {
                    let factor = factors[code.unsigned_abs() as usize];
                    if code < 0 { -factor } else { factor }
                })
                .collect()
        };
        let terms = self
            .terms()
            .iter()
            .map(|term| {
                Term::new(
                    term.scale(),
                    signed(activation, term.activation()),
                    signed(weight, term.weight()),
                )
            })
            .collect::<Result<_, _>>()?;
        Self::assemble(
            (activation, weight),
            (all_codes(activation), all_codes(weight)),
            self.form(),
            terms,
            self.certificate().coverage,
        )?
        .minimal()
    }

    /// The function by as few terms as there can be.
    pub(crate) fn minimal(self) -> Result<Self, MultiplierError> {
        let codes = (self.activation_codes(), self.weight_codes());
        let (rows, columns) = self.independent_codes(self.form(), codes.0.clone(), codes.1.clone());
        if rows.len() == self.rank() {
            return Ok(self);
        }
        self.factorized_anew(self.form(), codes, &rows, &columns)
    }

    /// The function as the options ask for it: for fewer codes, by as few terms as these need, and in another form.
    /// Where no form is given, it stays the present one unless that has more products.
    pub(crate) fn with_options(
        &self,
        options: &FactorizationOptions,
    ) -> Result<Self, MultiplierError> {
        let codes = (
            checked_codes(options.activation_codes.as_ref(), self.activation())?,
            checked_codes(options.weight_codes.as_ref(), self.weight())?,
        );
        let other = match self.form() {
            FactorizationForm::Table => FactorizationForm::Error,
            FactorizationForm::Error => FactorizationForm::Table,
        };
        let mut best: Option<(usize, FactorizationForm, Vec<i32>, Vec<i32>)> = None;
        for form in [self.form(), other] {
            // An error's rank is at least that of the table less one: its form never has fewer products.
            let cannot_win = form == FactorizationForm::Error && best.is_some();
            if cannot_win || options.form.is_some_and(|wanted| wanted != form) {
                continue;
            }
            let (rows, columns) = self.independent_codes(form, codes.0.clone(), codes.1.clone());
            let products = rows.len() + usize::from(form == FactorizationForm::Error);
            if rows.len() <= options.max_rank && best.as_ref().is_none_or(|best| products < best.0)
            {
                best = Some((products, form, rows, columns));
            }
        }
        let (_, form, rows, columns) = best.ok_or(MultiplierError::RankTooHigh {
            at_least: options.max_rank.saturating_add(1),
        })?;
        if form == self.form() && rows.len() == self.rank() {
            self.restricted(codes)
        } else {
            self.factorized_anew(form, codes, &rows, &columns)
        }
    }

    /// These terms, all of which the codes need, without the factors of all other codes.
    fn restricted(
        &self,
        codes: (RangeInclusive<i32>, RangeInclusive<i32>),
    ) -> Result<Self, MultiplierError> {
        if codes == (self.activation_codes(), self.weight_codes()) {
            return Ok(self.clone());
        }
        let terms = self
            .terms()
            .iter()
            .map(|term| {
                Term::new(
                    term.scale(),
                    within(self.activation(), &codes.0, term.activation()),
                    within(self.weight(), &codes.1, term.weight()),
                )
            })
            .collect::<Result<_, _>>()?;
        let coverage = self.coverage_of(&codes);
        Self::assemble(
            (self.activation(), self.weight()),
            codes,
            self.form(),
            terms,
            coverage,
        )
    }

    /// New terms from independent rows and columns.
    fn factorized_anew(
        &self,
        form: FactorizationForm,
        codes: (RangeInclusive<i32>, RangeInclusive<i32>),
        rows: &[i32],
        columns: &[i32],
    ) -> Result<Self, MultiplierError> {
        let coverage = self.coverage_of(&codes);
        let terms = from_independent(
            (self.activation(), self.weight()),
            |a, b| self.product_of(a, b),
            codes.clone(),
            form,
            (rows, columns),
        )?;
        Self::from_verified(
            (self.activation(), self.weight()),
            codes,
            form,
            terms,
            coverage,
        )
    }

    /// What was compared of the products of these codes.
    fn coverage_of(&self, codes: &(RangeInclusive<i32>, RangeInclusive<i32>)) -> Coverage {
        match self.certificate().coverage {
            Coverage::Exhaustive { .. } => Coverage::Exhaustive {
                pairs: count(&codes.0) as u64 * count(&codes.1) as u64,
            },
            sampled @ Coverage::Sampled { .. } => sampled,
        }
    }

    /// Those of the given codes whose products, or errors in that form, are independent of those of the codes before
    /// them, for each operand: as many as the rank. In them the products of all given codes are known.
    ///
    /// They depend on the function only, not on the terms.
    pub(crate) fn independent_codes(
        &self,
        form: FactorizationForm,
        activation: impl Iterator<Item = i32> + Clone,
        weight: impl Iterator<Item = i32> + Clone,
    ) -> (Vec<i32>, Vec<i32>) {
        // Between the forms `a * b` is one more term.
        let plain = self.form() != form;
        let dimension = self.rank() + usize::from(plain);
        let value = |a: i32, b: i32| {
            let product = self.product_of(a, b);
            match form {
                FactorizationForm::Table => product,
                FactorizationForm::Error => product - i64::from(a) * i64::from(b),
            }
        };
        // Weights that span all weights' factors span all columns, though not all of them may be needed.
        let factors = weight.clone().map(|b| {
            self.terms()
                .iter()
                .map(|term| term.weight()[self.weight().pattern(b)])
                .chain(plain.then_some(b.into()))
                .collect()
        });
        let spanning = nth(&weight, independent(factors, dimension));
        let rows = activation
            .clone()
            .map(|a| spanning.iter().map(|&b| value(a, b)).collect());
        let rows = nth(&activation, independent(rows, spanning.len()));
        let columns = weight
            .clone()
            .map(|b| rows.iter().map(|&a| value(a, b)).collect());
        let columns = nth(&weight, independent(columns, rows.len()));
        (rows, columns)
    }
}

/// The items at ascending positions.
fn nth(items: &(impl Iterator<Item = i32> + Clone), positions: Vec<usize>) -> Vec<i32> {
    let mut wanted = positions.into_iter().peekable();
    items
        .clone()
        .enumerate()
        .filter(|(position, _)| wanted.next_if_eq(position).is_some())
        .map(|(_, item)| item)
        .collect()
}
