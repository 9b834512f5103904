//! The derivatives of a multiplier by either operand, as sums of products of one-operand functions.
//!
//! The backward pass of a product then is one float product per term, as the forward pass is one per factor.

use super::line::LineRule;
use super::rule::GradientRule;
use crate::factorization::{all_codes, by_pattern, largest_terms};
use crate::{Definition, GradientTables, Multiplier, MultiplierError, OperandFormat};

/// So many terms are kept of a table's derivative, if it has them.
const TERMS: usize = 4;

/// More are kept while they leave more than this share of the derivative, in the root mean square; a training step's
/// gradient is noisier than that by far.
const ENOUGH: f64 = 0.02;

/// But no more than so many: then a backward pass is as expensive as twelve.
const MOST_TERMS: usize = 12;

/// A share of the largest derivative up to which a derivative's error is the rounding of its computation.
const ROUNDING: f64 = 1e-9;

/// The derivatives of a multiplier `m(a, b)` by either operand's code, for every pair of codes.
///
/// ```
/// use approx_multiplier::{GradientRule, MultiplierGradient, evoapprox};
///
/// // It drops the lowest bit of both operands.
/// let multiplier = evoapprox::multiplier("mul8s_1L2J")?;
/// let gradient = MultiplierGradient::of(&multiplier, GradientRule::Difference { half_window: 0 })?;
/// // From m(2, 9) = 16 to m(4, 9) = 32 over two codes.
/// assert!((gradient.by_activation().at(3, 9) - 8.0).abs() < 1e-9);
/// let smoothed = MultiplierGradient::of(&multiplier, "linear_regression".parse()?)?;
/// assert!((smoothed.by_activation().at(3, 9) - 8.0).abs() < 1e-3);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MultiplierGradient {
    by_activation: Derivative,
    by_weight: Derivative,
}

/// One term of a [`Derivative`]: `activation[a] * weight[b]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DerivativeTerm {
    activation: Vec<f64>,
    weight: Vec<f64>,
}

/// A derivative of a multiplier by one operand's code: the sum of its [terms](Self::terms).
#[derive(Clone, Debug, PartialEq)]
pub struct Derivative {
    formats: [OperandFormat; 2],
    terms: Vec<DerivativeTerm>,
    largest_error: f64,
    rms_error: f64,
}

/// A term of a multiplier with a factor for each code in their order.
struct ProductTerm {
    activation: Vec<f64>,
    weight: Vec<f64>,
}

/// Which operand a derivative is by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Activation,
    Weight,
}

impl MultiplierGradient {
    /// The derivatives of a multiplier by a rule.
    ///
    /// A multiplier that is a sum of products (exact, in factors, an HTP model) has exact ones. That of a table, and one that is
    /// given as a table, has its four largest terms, or more, up to 12, while they leave more than 2 % of it in the root mean square; fewer, if they
    /// are all of it. [`Derivative::rms_error`] and [`Derivative::largest_error`] say how wrong it is then.
    ///
    /// # Errors
    ///
    /// As for [`GradientRule::check`].
    pub fn of(multiplier: &Multiplier, rule: GradientRule) -> Result<Self, MultiplierError> {
        let formats = [multiplier.activation(), multiplier.weight()];
        rule.check(multiplier)?;
        let rule = match rule {
            GradientRule::StraightThrough => return Ok(Self::straight_through(formats)),
            GradientRule::Difference { half_window } => LineRule::Difference {
                half_window: half_window.into(),
            },
            GradientRule::LinearRegression => LineRule::Slope,
            GradientRule::Custom => {
                let tables = multiplier.gradient_tables().expect("just checked");
                return Ok(Self::of_tables(tables));
            }
        };
        if *multiplier.definition() == Definition::Exact {
            return Ok(Self::straight_through(formats));
        }
        let [by_activation, by_weight] =
            [By::Activation, By::Weight].map(|by| match product_terms(multiplier) {
                Some(terms) => Derivative::of_terms(formats, terms, rule, by),
                None => Derivative::of_table(multiplier, formats, rule, by),
            });
        Ok(Self {
            by_activation,
            by_weight,
        })
    }

    /// Those of the exact product.
    fn straight_through(formats: [OperandFormat; 2]) -> Self {
        let [by_activation, by_weight] = [By::Activation, By::Weight].map(|by| Derivative {
            formats,
            terms: vec![exact_term(formats, by)],
            largest_error: 0.0,
            rms_error: 0.0,
        });
        Self {
            by_activation,
            by_weight,
        }
    }

    /// Those that are given.
    fn of_tables(tables: &GradientTables) -> Self {
        let formats = [tables.activation(), tables.weight()];
        let [by_activation, by_weight] = [
            (By::Activation, tables.by_activation()),
            (By::Weight, tables.by_weight()),
        ]
        .map(|(by, entries)| {
            let rows = rows(formats, by, |a, b| {
                let [row, column] = [formats[0].pattern(a), formats[1].pattern(b)];
                f64::from(entries[row * formats[1].cardinality() + column])
            });
            Derivative::of_rows(formats, rows, by)
        });
        Self {
            by_activation,
            by_weight,
        }
    }

    /// `dm/da`, which the exact multiplier has as `b`.
    pub fn by_activation(&self) -> &Derivative {
        &self.by_activation
    }

    /// `dm/db`, which the exact multiplier has as `a`.
    pub fn by_weight(&self) -> &Derivative {
        &self.by_weight
    }
}

impl DerivativeTerm {
    /// The activation's factor by its bit pattern.
    pub fn activation(&self) -> &[f64] {
        &self.activation
    }

    /// The weight's factor by its bit pattern.
    pub fn weight(&self) -> &[f64] {
        &self.weight
    }
}

impl Derivative {
    /// The terms.
    pub fn terms(&self) -> &[DerivativeTerm] {
        &self.terms
    }

    /// The largest deviation from the derivative that the rule defines, over all pairs of codes; 0 if there is none but
    /// the rounding of its computation.
    pub fn largest_error(&self) -> f64 {
        self.largest_error
    }

    /// The root of the mean square deviation from the derivative that the rule defines, over all pairs of codes; 0 if
    /// there is none but the rounding of its computation.
    pub fn rms_error(&self) -> f64 {
        self.rms_error
    }

    /// The derivative at a pair of codes.
    ///
    /// # Panics
    ///
    /// If a code is not of its operand's format.
    #[track_caller]
    pub fn at(&self, a: i32, b: i32) -> f64 {
        let [activation, weight] = self.formats;
        assert!(
            activation.contains(a) && weight.contains(b),
            "the codes {a} and {b} are not both of {activation} and {weight}"
        );
        let (a, b) = (activation.pattern(a), weight.pattern(b));
        let terms = self.terms.iter();
        terms.map(|term| term.activation[a] * term.weight[b]).sum()
    }

    /// That of a sum of products: the rule is linear.
    fn of_terms(
        formats: [OperandFormat; 2],
        terms: Vec<ProductTerm>,
        rule: LineRule,
        by: By,
    ) -> Self {
        let terms = terms.into_iter().map(|product| {
            let (moving, others) = match by {
                By::Activation => (product.activation, product.weight),
                By::Weight => (product.weight, product.activation),
            };
            term(formats, by, rule.apply(&moving), others)
        });
        Self {
            formats,
            terms: terms.collect(),
            largest_error: 0.0,
            rms_error: 0.0,
        }
    }

    /// That of any other multiplier.
    fn of_table(
        multiplier: &Multiplier,
        formats: [OperandFormat; 2],
        rule: LineRule,
        by: By,
    ) -> Self {
        let lines = rows(formats, by, |a, b| multiplier.evaluate(a, b));
        let derivative = lines.iter().map(|line| rule.apply(line)).collect();
        Self::of_rows(formats, derivative, by)
    }

    /// A derivative with a row for each code of the operand that it is not by: its largest terms.
    fn of_rows(formats: [OperandFormat; 2], derivative: Vec<Vec<f64>>, by: By) -> Self {
        let other = match by {
            By::Activation => formats[1],
            By::Weight => formats[0],
        };
        let (largest, rms) = magnitude(&derivative);
        if of_exact_product(&derivative, other, ROUNDING * largest) {
            return Self {
                formats,
                terms: vec![exact_term(formats, by)],
                largest_error: 0.0,
                rms_error: 0.0,
            };
        }
        let mut error = (largest, rms);
        let mut left = derivative;
        let mut terms = Vec::new();
        for (others, moving) in largest_terms(left.clone(), MOST_TERMS) {
            let is_exact = error.0 <= ROUNDING * largest;
            if is_exact || terms.len() >= TERMS && error.1 <= ENOUGH * rms {
                break;
            }
            for (row, other) in left.iter_mut().zip(&others) {
                for (value, moving) in row.iter_mut().zip(&moving) {
                    *value -= other * moving;
                }
            }
            error = magnitude(&left);
            terms.push(term(formats, by, moving, others));
        }
        let (largest_error, rms_error) = match error.0 <= ROUNDING * largest {
            true => (0.0, 0.0),
            false => error,
        };
        Self {
            formats,
            terms,
            largest_error,
            rms_error,
        }
    }
}

/// The values for all pairs of codes, in their order: a row for each code of the operand that a derivative is not by.
fn rows(
    [activation, weight]: [OperandFormat; 2],
    by: By,
    value: impl Fn(i32, i32) -> f64,
) -> Vec<Vec<f64>> {
    let value = &value;
    match by {
        By::Activation => all_codes(weight)
            .map(|b| all_codes(activation).map(|a| value(a, b)).collect())
            .collect(),
        By::Weight => all_codes(activation)
            .map(|a| all_codes(weight).map(|b| value(a, b)).collect())
            .collect(),
    }
}

/// Whether the rows of a derivative, one for each code of the other operand, are that code, up to some rounding.
fn of_exact_product(derivative: &[Vec<f64>], other: OperandFormat, rounding: f64) -> bool {
    let mut rows = derivative.iter().zip(all_codes(other));
    rows.all(|(row, code)| {
        row.iter()
            .all(|value| (value - f64::from(code)).abs() <= rounding)
    })
}

/// The largest magnitude of a matrix's entries, and the root of their mean square.
fn magnitude(matrix: &[Vec<f64>]) -> (f64, f64) {
    let entries = || matrix.iter().flatten();
    let largest = entries().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let squares: f64 = entries().map(|value| value * value).sum();
    (largest, (squares / entries().count() as f64).sqrt())
}

/// The products of a multiplier that is a sum of products of one-operand functions.
fn product_terms(multiplier: &Multiplier) -> Option<Vec<ProductTerm>> {
    let (activation, weight) = (multiplier.activation(), multiplier.weight());
    let in_order = |format: OperandFormat, factors: &[i64], scale: i64| {
        let factors = all_codes(format).map(|code| factors[format.pattern(code)]);
        factors.map(|factor| (factor * scale) as f64).collect()
    };
    match multiplier.definition() {
        Definition::Factored(factorization) => Some(
            (factorization.folded_terms().into_iter())
                .map(|term| ProductTerm {
                    activation: in_order(activation, &term.activation, 1),
                    weight: in_order(weight, &term.weight, term.scale),
                })
                .collect(),
        ),
        Definition::Htp(model) => Some(
            (model.terms().iter())
                .map(|term| ProductTerm {
                    activation: all_codes(activation)
                        .map(|code| term.first.evaluate(code))
                        .collect(),
                    weight: all_codes(weight)
                        .map(|code| term.coefficient * term.second.evaluate(code))
                        .collect(),
                })
                .collect(),
        ),
        _ => None,
    }
}

/// The derivative of the exact product: the other operand's code.
fn exact_term(formats: [OperandFormat; 2], by: By) -> DerivativeTerm {
    let codes = |format: OperandFormat| all_codes(format).map(f64::from).collect::<Vec<_>>();
    let ones = |format: OperandFormat| vec![1.0; format.cardinality()];
    match by {
        By::Activation => by_patterns(formats, &ones(formats[0]), &codes(formats[1])),
        By::Weight => by_patterns(formats, &codes(formats[0]), &ones(formats[1])),
    }
}

/// A term with factors for the codes in their order: of the operand that the derivative is by, and of the other. If the former
/// are all the same, they become 1: then the term needs no more than the exact product's derivative.
fn term(
    formats: [OperandFormat; 2],
    by: By,
    mut moving: Vec<f64>,
    mut others: Vec<f64>,
) -> DerivativeTerm {
    let mean = moving.iter().sum::<f64>() / moving.len() as f64;
    let is_constant = |factor: &f64| (factor - mean).abs() <= ROUNDING * mean.abs();
    if mean != 0.0 && moving.iter().all(is_constant) {
        moving.fill(1.0);
        others.iter_mut().for_each(|factor| *factor *= mean);
    }
    match by {
        By::Activation => by_patterns(formats, &moving, &others),
        By::Weight => by_patterns(formats, &others, &moving),
    }
}

/// Factors for the codes in their order as those by bit pattern.
fn by_patterns(
    [activation, weight]: [OperandFormat; 2],
    activations: &[f64],
    weights: &[f64],
) -> DerivativeTerm {
    let by_pattern =
        |format, factors: &[f64]| by_pattern(format, &all_codes(format), factors.iter().copied());
    DerivativeTerm {
        activation: by_pattern(activation, activations),
        weight: by_pattern(weight, weights),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{MultiplierFamily, evoapprox};

    const RULES: [GradientRule; 4] = [
        GradientRule::Difference { half_window: 0 },
        GradientRule::Difference { half_window: 3 },
        GradientRule::Difference {
            half_window: GradientRule::DEFAULT_HALF_WINDOW,
        },
        GradientRule::LinearRegression,
    ];

    /// The derivative by the activation as the rule says it, from the products alone.
    fn by_definition(multiplier: &Multiplier, rule: GradientRule, a: i32, b: i32) -> f64 {
        let format = multiplier.activation();
        let product = |a| multiplier.evaluate(a, b);
        match rule {
            GradientRule::StraightThrough => f64::from(b),
            GradientRule::Difference { half_window } => {
                let mean = |a: i32, value: &dyn Fn(i32) -> f64| {
                    let near = format
                        .codes()
                        .filter(|code| code.abs_diff(a) <= half_window.into());
                    let count = near.clone().count() as f64;
                    near.map(value).sum::<f64>() / count
                };
                let (before, after) = (
                    (a - 1).max(format.min_code()),
                    (a + 1).min(format.max_code()),
                );
                let rise = |value: &dyn Fn(i32) -> f64| mean(after, value) - mean(before, value);
                rise(&product) / rise(&f64::from)
            }
            GradientRule::LinearRegression => {
                let count = format.cardinality() as f64;
                let mean_code = format.codes().map(f64::from).sum::<f64>() / count;
                let mean_product = format.codes().map(product).sum::<f64>() / count;
                let (mut products, mut squares) = (0.0, 0.0);
                for code in format.codes() {
                    let distance = f64::from(code) - mean_code;
                    products += distance * (product(code) - mean_product);
                    squares += distance * distance;
                }
                products / squares
            }
            GradientRule::Custom => unreachable!("it is no function of the products"),
        }
    }

    fn check(multiplier: &Multiplier, rule: GradientRule, step: usize) {
        let gradient = MultiplierGradient::of(multiplier, rule).unwrap();
        let swapped = multiplier.swapped();
        for (derivative, multiplier, is_swapped) in [
            (gradient.by_activation(), multiplier, false),
            (gradient.by_weight(), &swapped, true),
        ] {
            let largest = 1.0 + f64::from(multiplier.weight().mask());
            // The ends and their neighbours, and some between.
            let some = |format: OperandFormat| {
                let last = format.cardinality() - 1;
                let kept = move |index: &usize| {
                    index.is_multiple_of(step) || *index < 2 || *index + 1 >= last
                };
                (0..=last)
                    .filter(kept)
                    .map(move |index| format.min_code() + index as i32)
            };
            for a in some(multiplier.activation()) {
                for b in some(multiplier.weight()) {
                    let found = if is_swapped {
                        derivative.at(b, a)
                    } else {
                        derivative.at(a, b)
                    };
                    let expected = by_definition(multiplier, rule, a, b);
                    assert!(
                        (found - expected).abs() <= derivative.largest_error() + 1e-9 * largest,
                        "{} {rule} {a} {b}: {found} {expected} {}",
                        multiplier.name(),
                        derivative.largest_error()
                    );
                }
            }
        }
    }

    #[rstest]
    fn bundled_multipliers_have_the_derivatives_of_the_definition(
        #[values("mul8s_1L2J", "mul8s_1L2L", "mul8s_1KVA", "mul8u_R92", "mul8u_17C8")] name: &str,
    ) {
        let multiplier = evoapprox::multiplier(name).unwrap();
        for rule in RULES {
            check(&multiplier, rule, 17);
        }
    }

    #[test]
    fn other_definitions_have_the_derivatives_of_the_definition() {
        let (int4, uint6) = (
            OperandFormat::signed(4).unwrap(),
            OperandFormat::unsigned(6).unwrap(),
        );
        let wide = OperandFormat::signed(9).unwrap();
        let uneven = MultiplierFamily::Mitchell.multiplier(int4, uint6).unwrap();
        let factored = MultiplierFamily::Roba.multiplier(wide, wide).unwrap();
        let model = Multiplier::from_htp(evoapprox::htp("mul8s_1L2J").unwrap());
        for rule in RULES {
            if rule != RULES[2] {
                check(&uneven, rule, 1);
            }
            check(&factored, rule, 101);
            check(&model, rule, 17);
        }
    }

    /// What is left of a table's derivative is as small as is said, with as few terms.
    #[test]
    fn derivatives_of_tables_are_cut_where_it_is_enough() {
        for name in ["mul8u_R92", "mul8u_17C8", "mul8u_GJM"] {
            let multiplier = evoapprox::multiplier(name).unwrap();
            let rule = GradientRule::Difference { half_window: 8 };
            let gradient = MultiplierGradient::of(&multiplier, rule).unwrap();
            let derivative = gradient.by_activation();
            let (mut squares, mut errors, mut largest) = (0.0, 0.0, 0.0f64);
            for a in (0..256).step_by(3) {
                for b in (0..256).step_by(3) {
                    let expected = by_definition(&multiplier, rule, a, b);
                    let error = derivative.at(a, b) - expected;
                    squares += expected * expected;
                    errors += error * error;
                    largest = largest.max(error.abs());
                }
            }
            let stated = derivative.largest_error();
            assert!(
                largest <= stated * (1.0 + 1e-9),
                "{name}: {largest}, {stated}"
            );
            // Of a sample of the codes.
            let count = (86.0f64).powi(2);
            let rms = (errors / count).sqrt();
            assert!(
                (rms / derivative.rms_error() - 1.0).abs() < 0.25,
                "{name}: {rms}"
            );
            let share = (errors / squares).sqrt();
            let terms = derivative.terms().len();
            assert!(
                share < 0.025 || terms == MOST_TERMS,
                "{name}: {share}, {terms}"
            );
            assert!((TERMS..=MOST_TERMS).contains(&terms), "{name}: {terms}");
        }
    }

    /// Of the exact multiplier every rule gives the exact derivative, however the multiplier is given.
    #[test]
    fn the_exact_multiplier_has_its_own_derivative() {
        let format = OperandFormat::INT8;
        let exact = Multiplier::exact(format, format);
        let table = Multiplier::from_table("table", exact.to_table().unwrap());
        for multiplier in [&exact, &table] {
            for rule in RULES {
                let gradient = MultiplierGradient::of(multiplier, rule).unwrap();
                for derivative in [gradient.by_activation(), gradient.by_weight()] {
                    assert_eq!(derivative.terms().len(), 1, "{rule}");
                    assert_eq!(derivative.largest_error(), 0.0);
                }
                assert_eq!(gradient.by_activation().at(-128, 127), 127.0);
                assert_eq!(gradient.by_weight().at(-128, 127), -128.0);
            }
        }
    }

    /// Whatever the multiplier is, the exact one included.
    #[test]
    fn derivatives_that_are_given_are_taken() {
        let (int4, uint5) = (
            OperandFormat::signed(4).unwrap(),
            OperandFormat::unsigned(5).unwrap(),
        );
        let by_activation = |a: i32, b: i32| f64::from(a * b + b % 3);
        let by_weight = |a: i32, b: i32| f64::from(a) + 0.5 * f64::from(b * b);
        let tables = GradientTables::from_fn(int4, uint5, by_activation, by_weight).unwrap();
        let multiplier = Multiplier::exact(int4, uint5);
        let error = MultiplierGradient::of(&multiplier, GradientRule::Custom).unwrap_err();
        assert!(
            error.to_string().contains("with_gradient_tables"),
            "{error}"
        );
        let multiplier = multiplier.with_gradient_tables(tables).unwrap();
        let gradient = MultiplierGradient::of(&multiplier, GradientRule::Custom).unwrap();
        for (a, b) in all_codes(int4).flat_map(|a| all_codes(uint5).map(move |b| (a, b))) {
            let found = [
                gradient.by_activation().at(a, b),
                gradient.by_weight().at(a, b),
            ];
            let expected = [by_activation(a, b), by_weight(a, b)];
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-6 * 500.0,
                    "{a} {b}: {found} {expected}"
                );
            }
        }
        assert_eq!(gradient.by_activation().terms().len(), 2);
        assert_eq!(gradient.by_weight().terms().len(), 2);
        assert_eq!(gradient.by_weight().largest_error(), 0.0);
    }

    #[test]
    fn a_window_wider_than_a_line_is_refused() {
        let (int4, int8) = (OperandFormat::signed(4).unwrap(), OperandFormat::INT8);
        let gradient = |half_window| {
            let rule = GradientRule::Difference { half_window };
            MultiplierGradient::of(&Multiplier::exact(int8, int4), rule)
        };
        assert!(gradient(7).is_ok());
        let error = gradient(8).unwrap_err();
        assert!(error.to_string().contains("at most 7"), "{error}");
        assert!(gradient(u16::MAX).is_err());
    }
}
