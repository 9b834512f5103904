//! From a multiplier's terms to products of elements that one instruction multiplies.
//!
//! A factor is moved and divided until it fits: `activation = divisor * element + base`, where the base costs nothing,
//! because `base * sum of weights` is known when the weights are packed. A weight is moved only if nothing else helps,
//! since `offset * sum of activations` has to be added up for every window. What is too wide is split into digits, one
//! product for each. Factors that are constant need no product at all. Products of one scale are added up together, so
//! scales are multiplied into the elements as far as these have room.
//!
//! All of this is arithmetic modulo 2^64, which is exact for every sum that fits in 64 bits.

use std::ops::{Range, RangeInclusive};

use super::operands::FactorTerm;
use crate::operand::OperandWidth;

/// What operands are multiplied as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// Unsigned bytes for activations, signed bytes for weights.
    Bytes,
    /// Signed 16-bit integers for both; a product costs as much as two of bytes.
    Words,
}

impl ElementType {
    /// Elements of a 32-bit word: how many products are added to one sum at once.
    pub(super) fn per_word(self) -> usize {
        match self {
            ElementType::Bytes => 4,
            ElementType::Words => 2,
        }
    }

    /// Bits of an element.
    fn bits(self) -> u32 {
        32 / self.per_word() as u32
    }

    /// The largest less the smallest element of an activation.
    fn activation_span(self) -> u64 {
        (1 << self.bits()) - 1
    }

    /// What is taken away from elements that start at 0.
    fn activation_center(self, span: u64) -> u64 {
        match self {
            ElementType::Bytes => 0,
            ElementType::Words => span.div_ceil(2),
        }
    }

    fn activations(self) -> RangeInclusive<i64> {
        let lowest = -(self.activation_center(self.activation_span()) as i64);
        lowest..=lowest + self.activation_span() as i64
    }

    fn weights(self) -> RangeInclusive<i64> {
        let half = 1 << (self.bits() - 1);
        -half..=half - 1
    }

    /// The largest product: small enough that a good many of them can be added up in 32 bits.
    fn largest_product(self) -> u64 {
        match self {
            ElementType::Bytes => 255 * 128,
            ElementType::Words => 1 << 24,
        }
    }

    /// Whether weights can be elements, with activations of some largest magnitude.
    fn holds_weights(self, largest_activation: u64, weights: &[i64]) -> bool {
        weights.iter().all(|weight| self.weights().contains(weight))
            && largest_activation * largest(weights) <= self.largest_product()
    }
}

/// Products of elements whose sums have one scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    /// Which of the terms.
    pub(super) terms: Range<usize>,
    pub(super) scale: i64,
    /// As many products always have a sum that fits in 32 bits.
    pub(super) exact_products: usize,
}

/// A sum over all taps of a function of the activation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct WindowSum {
    /// The scales of sums of elements, with the elements' place in [`Decomposition::activations`].
    pub(super) parts: Vec<(usize, i64)>,
    /// What every tap adds besides.
    pub(super) per_tap: i64,
}

/// A multiplier as products of elements, and what else makes up its sums:
/// `m(a, b) = sum over passes of scale * (sum over terms of activation[a] * weight[b]) + constant[b] + offset(a)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decomposition {
    pub(super) elements: ElementType,
    /// Elements of activations by pattern: those of the terms, then others that only serve window sums, first those of
    /// the offsets, then those of the codes.
    pub(super) activations: Vec<Vec<i16>>,
    /// How many of them the offsets need besides the terms.
    pub(super) offset_elements: usize,
    /// Elements of weights by pattern, one for each term.
    pub(super) weights: Vec<Vec<i16>>,
    pub(super) passes: Vec<Pass>,
    /// What a weight adds whatever the activation, by pattern.
    pub(super) constants: Vec<i64>,
    /// What activations add whatever the weights.
    pub(super) offsets: WindowSum,
    /// The codes themselves, which the weights' zero points are multiplied with.
    pub(super) codes: WindowSum,
}

impl Decomposition {
    /// Decomposes terms into the type of elements that makes their products cheapest.
    pub(super) fn new(
        activation: OperandWidth,
        weight: OperandWidth,
        terms: &[FactorTerm],
    ) -> Self {
        let [bytes, words] = [ElementType::Bytes, ElementType::Words].map(|elements| {
            let mut reduction = Reduction {
                elements,
                terms: Vec::new(),
                constants: vec![0; weight.patterns()],
                offsets: vec![0; activation.patterns()],
            };
            for term in terms {
                reduction.add(term.scale, &term.activation, &term.weight);
            }
            reduction
        });
        let reduction = if bytes.terms.is_empty() || bytes.terms.len() < 2 * words.terms.len() {
            bytes
        } else {
            words
        };
        let codes: Vec<i64> = (0..activation.patterns())
            .map(|pattern| activation.code(pattern as u16).into())
            .collect();
        reduction.finish(&codes)
    }
}

/// A decomposition in the making.
struct Reduction {
    elements: ElementType,
    terms: Vec<FactorTerm>,
    constants: Vec<i64>,
    offsets: Vec<i64>,
}

impl Reduction {
    /// Adds `scale * activation[a] * weight[b]`.
    fn add(&mut self, scale: i64, activation: &[i64], weight: &[i64]) {
        if scale == 0 {
            return;
        }
        let activation = match Steps::of(activation) {
            Ok(steps) => steps,
            Err(constant) => return self.add_constant(scale.wrapping_mul(constant), weight),
        };
        let weight_steps = match Steps::of(weight) {
            Ok(steps) => steps,
            Err(constant) => {
                let scale = scale.wrapping_mul(constant);
                for (offset, step) in self.offsets.iter_mut().zip(&activation.steps) {
                    let factor = activation.value(*step);
                    *offset = offset.wrapping_add(scale.wrapping_mul(factor));
                }
                return;
            }
        };
        self.add_constant(scale.wrapping_mul(activation.base), weight);
        let scale = scale.wrapping_mul(activation.divisor);
        if activation.span > self.elements.activation_span() {
            return self.add_digits(scale, &activation.steps, self.elements.bits(), weight);
        }
        let center = self.elements.activation_center(activation.span);
        self.add_constant(scale.wrapping_mul(center as i64), weight);
        let elements: Vec<i64> = activation
            .steps
            .iter()
            .map(|&step| step as i64 - center as i64)
            .collect();
        let largest_activation = largest(&elements);

        // The weight divided only, or divided and negated.
        let divisor = weight
            .iter()
            .fold(0, |divisor, &weight| gcd(divisor, weight.unsigned_abs()));
        let divisor = i64::try_from(divisor).unwrap_or(1);
        for divisor in [divisor, -divisor] {
            let weights: Vec<i64> = weight
                .iter()
                .map(|weight| weight.wrapping_div(divisor))
                .collect();
            if self.elements.holds_weights(largest_activation, &weights) {
                let scale = scale.wrapping_mul(divisor);
                return self.add_elements(scale, elements, weights);
            }
        }
        // Moved.
        if weight_steps.span <= self.elements.activation_span() {
            let lowest = *self.elements.weights().start();
            let weights: Vec<i64> = weight_steps
                .steps
                .iter()
                .map(|&step| step as i64 + lowest)
                .collect();
            if self.elements.holds_weights(largest_activation, &weights) {
                let moved = weight_steps
                    .base
                    .wrapping_sub(weight_steps.divisor.wrapping_mul(lowest));
                for (offset, &element) in self.offsets.iter_mut().zip(&elements) {
                    let added = scale.wrapping_mul(moved).wrapping_mul(element);
                    *offset = offset.wrapping_add(added);
                }
                let scale = scale.wrapping_mul(weight_steps.divisor);
                return self.add_elements(scale, elements, weights);
            }
        }
        // Split: the weight if its elements are too large, the larger operand if the products are.
        let weights: Vec<i64> = weight
            .iter()
            .map(|&weight| weight.wrapping_div(divisor))
            .collect();
        let scale = scale.wrapping_mul(divisor);
        let limit = self.elements.largest_product();
        // Bits of a digit around 0 whose magnitude is limited.
        let room = |largest: u64| largest.ilog2() + 1;
        if largest(&weights) >= largest_activation || !self.elements.holds_weights(0, &weights) {
            let bits = room(limit / largest_activation).min(self.elements.bits());
            let low = |weight: i64| weight << (64 - bits) >> (64 - bits);
            let lows: Vec<i64> = weights.iter().map(|&weight| low(weight)).collect();
            let highs: Vec<i64> = weights
                .iter()
                .map(|&weight| ((i128::from(weight) - i128::from(low(weight))) >> bits) as i64)
                .collect();
            self.add(scale, &elements, &lows);
            self.add(scale.wrapping_shl(bits), &elements, &highs);
        } else {
            let bits = room(limit / largest(&weights)).min(self.elements.bits());
            // `elements` are `steps - center`, and the center has been accounted for.
            self.add_constant(scale.wrapping_mul((center as i64).wrapping_neg()), &weights);
            self.add_digits(scale, &activation.steps, bits, &weights);
        }
    }

    /// Adds `scale * weight[b]`.
    fn add_constant(&mut self, scale: i64, weight: &[i64]) {
        for (constant, &weight) in self.constants.iter_mut().zip(weight) {
            *constant = constant.wrapping_add(scale.wrapping_mul(weight));
        }
    }

    /// Adds `scale * steps[a] * weight[b]` by a low digit of some bits and the rest.
    fn add_digits(&mut self, scale: i64, steps: &[u64], bits: u32, weight: &[i64]) {
        let low: Vec<i64> = steps
            .iter()
            .map(|step| (step & ((1 << bits) - 1)) as i64)
            .collect();
        let high: Vec<i64> = steps.iter().map(|step| (step >> bits) as i64).collect();
        self.add(scale, &low, weight);
        self.add(scale.wrapping_shl(bits), &high, weight);
    }

    /// Adds a product of elements, with a positive scale.
    fn add_elements(&mut self, mut scale: i64, mut activation: Vec<i64>, mut weight: Vec<i64>) {
        if scale == 0 {
            return;
        }
        if scale < 0 {
            let negated: Vec<i64> = weight.iter().map(|weight| -weight).collect();
            if self.elements.holds_weights(largest(&activation), &negated) {
                weight = negated;
            } else {
                // `activation = sum of both ends - mirrored`, where the sum is a constant.
                let ends = activation
                    .iter()
                    .fold((i64::MAX, i64::MIN), |(low, high), &element| {
                        (low.min(element), high.max(element))
                    });
                let ends = ends.0 + ends.1;
                self.add_constant(scale.wrapping_mul(ends), &weight);
                activation
                    .iter_mut()
                    .for_each(|element| *element = ends - *element);
            }
            scale = scale.wrapping_neg();
        }
        self.terms.push(FactorTerm {
            scale,
            activation,
            weight,
        });
    }

    /// Puts terms into passes and finds the elements that window sums need.
    fn finish(self, codes: &[i64]) -> Decomposition {
        let (passes, terms) = self.passes();
        let (mut activations, mut weights) = (Vec::new(), Vec::new());
        for term in terms {
            activations.push(term.activation);
            weights.push(term.weight);
        }
        let mut window_sum = |sum: &[i64]| {
            let mut window = WindowSum::default();
            add_window_sum(self.elements, 1, sum, &mut activations, &mut window);
            (window, activations.len() - weights.len())
        };
        let (offsets, offset_elements) = window_sum(&self.offsets);
        let (codes, _) = window_sum(codes);
        // Elements of either type fit in 16 bits with a sign.
        let narrow = |tables: Vec<Vec<i64>>| -> Vec<Vec<i16>> {
            let narrow =
                |table: Vec<i64>| table.into_iter().map(|element| element as i16).collect();
            tables.into_iter().map(narrow).collect()
        };
        Decomposition {
            elements: self.elements,
            activations: narrow(activations),
            offset_elements,
            weights: narrow(weights),
            passes,
            constants: self.constants,
            offsets,
            codes,
        }
    }

    /// The terms in as few passes as their scales allow: a scale is multiplied into the elements where they have room.
    fn passes(&self) -> (Vec<Pass>, Vec<FactorTerm>) {
        let mut terms = self.terms.clone();
        terms.sort_by_key(|term| term.scale);
        let common = terms
            .iter()
            .fold(0, |common, term| gcd(common, term.scale.unsigned_abs()));
        let common = i64::try_from(common).unwrap_or(1);
        let fold = |scale: i64| {
            let terms = terms.iter().map(|term| fold(self.elements, term, scale));
            terms.collect::<Vec<Option<FactorTerm>>>()
        };
        let all = fold(common);
        let mut groups: Vec<Vec<FactorTerm>> = Vec::new();
        if all.iter().all(Option::is_some) {
            groups.push(all.into_iter().flatten().collect());
        } else {
            // Each scale in turn takes the terms that can have it.
            let mut left = vec![true; terms.len()];
            while let Some(first) = left.iter().position(|&left| left) {
                let folded = fold(terms[first].scale);
                let pass = folded.into_iter().zip(&mut left);
                groups.push(
                    pass.filter_map(|(term, left)| term.filter(|_| std::mem::take(left)))
                        .collect(),
                );
            }
        }
        let mut passes = Vec::new();
        let mut ordered: Vec<FactorTerm> = Vec::new();
        for group in groups.into_iter().filter(|group| !group.is_empty()) {
            let products = group
                .iter()
                .map(|term| largest(&term.activation) * largest(&term.weight));
            let first = ordered.len();
            passes.push(Pass {
                terms: first..first + group.len(),
                scale: group[0].scale,
                exact_products: (i32::MAX as u64 / products.max().unwrap_or(1).max(1)) as usize,
            });
            ordered.extend(group);
        }
        (passes, ordered)
    }
}

/// The term with another scale and the rest of its own multiplied into its elements, if they have room.
fn fold(elements: ElementType, term: &FactorTerm, scale: i64) -> Option<FactorTerm> {
    if term.scale % scale != 0 {
        return None;
    }
    let rest = u64::try_from(term.scale / scale).ok()?;
    let room = elements.activation_span() / largest(&term.activation);
    let times = |factor: &[i64], by: u64| -> Vec<i64> {
        factor.iter().map(|element| element * by as i64).collect()
    };
    (1..=rest.min(room))
        .filter(|by| rest % by == 0)
        .find_map(|by| {
            if rest / by > elements.largest_product() {
                return None;
            }
            let activation = times(&term.activation, by);
            let weight = times(&term.weight, rest / by);
            let fits = activation
                .iter()
                .all(|element| elements.activations().contains(element))
                && elements.holds_weights(largest(&activation), &weight);
            fits.then_some(FactorTerm {
                scale,
                activation,
                weight,
            })
        })
}

/// Adds to a window sum the function `scale * sum[a]` of every tap, and the elements that it lacks to `activations`.
fn add_window_sum(
    elements: ElementType,
    scale: i64,
    sum: &[i64],
    activations: &mut Vec<Vec<i64>>,
    window: &mut WindowSum,
) {
    let steps = match Steps::of(sum) {
        Ok(steps) => steps,
        Err(constant) => {
            window.per_tap = window.per_tap.wrapping_add(scale.wrapping_mul(constant));
            return;
        }
    };
    let found = activations
        .iter()
        .enumerate()
        .find_map(|(place, elements)| affine(elements, sum).map(|form| (place, form)));
    if let Some((place, (factor, constant))) = found {
        window.parts.push((place, scale.wrapping_mul(factor)));
        window.per_tap = window.per_tap.wrapping_add(scale.wrapping_mul(constant));
        return;
    }
    window.per_tap = window.per_tap.wrapping_add(scale.wrapping_mul(steps.base));
    let scale = scale.wrapping_mul(steps.divisor);
    if steps.span > elements.activation_span() {
        let bits = elements.bits();
        let low: Vec<i64> = steps
            .steps
            .iter()
            .map(|step| (step & ((1 << bits) - 1)) as i64)
            .collect();
        let high: Vec<i64> = steps
            .steps
            .iter()
            .map(|step| (step >> bits) as i64)
            .collect();
        add_window_sum(elements, scale, &low, activations, window);
        add_window_sum(
            elements,
            scale.wrapping_shl(bits),
            &high,
            activations,
            window,
        );
        return;
    }
    let center = elements.activation_center(steps.span) as i64;
    window.per_tap = window.per_tap.wrapping_add(scale.wrapping_mul(center));
    window.parts.push((activations.len(), scale));
    activations.push(
        steps
            .steps
            .iter()
            .map(|&step| step as i64 - center)
            .collect(),
    );
}

/// `(factor, constant)` with `to = factor * from + constant`, if there are any. `from` is not constant.
fn affine(from: &[i64], to: &[i64]) -> Option<(i64, i64)> {
    let other = from.iter().position(|value| *value != from[0])?;
    let (rise, run) = (
        i128::from(to[other]) - i128::from(to[0]),
        i128::from(from[other]) - i128::from(from[0]),
    );
    let factor = rise / run;
    let constant = i128::from(to[0]) - factor * i128::from(from[0]);
    let exact = from
        .iter()
        .zip(to)
        .all(|(&from, &to)| factor * i128::from(from) + constant == i128::from(to));
    exact.then_some((factor as i64, constant as i64))
}

/// Integers as `base + divisor * step` with the smallest steps from 0 on, and the largest step.
struct Steps {
    base: i64,
    divisor: i64,
    steps: Vec<u64>,
    span: u64,
}

impl Steps {
    /// The steps of some integers, or the constant that all of them are.
    fn of(values: &[i64]) -> Result<Steps, i64> {
        let base = values.iter().copied().min().unwrap_or(0);
        let distance = |value: i64| value.wrapping_sub(base) as u64;
        let divisor = values
            .iter()
            .fold(0, |divisor, &value| gcd(divisor, distance(value)));
        if divisor == 0 {
            return Err(base);
        }
        let steps: Vec<u64> = values
            .iter()
            .map(|&value| distance(value) / divisor)
            .collect();
        Ok(Steps {
            base,
            divisor: divisor as i64,
            span: steps.iter().copied().max().unwrap_or(0),
            steps,
        })
    }

    fn value(&self, step: u64) -> i64 {
        self.base
            .wrapping_add(self.divisor.wrapping_mul(step as i64))
    }
}

fn largest(values: &[i64]) -> u64 {
    values
        .iter()
        .map(|value| value.unsigned_abs())
        .max()
        .unwrap_or(0)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn width(bits: u8, signed: bool) -> OperandWidth {
        OperandWidth { bits, signed }
    }

    fn codes(operand: OperandWidth) -> Vec<i64> {
        (0..operand.patterns())
            .map(|pattern| operand.code(pattern as u16).into())
            .collect()
    }

    fn of(operand: OperandWidth, terms: &[(i64, Vec<i64>, Vec<i64>)]) -> Decomposition {
        let terms: Vec<FactorTerm> = terms
            .iter()
            .cloned()
            .map(|(scale, activation, weight)| FactorTerm {
                scale,
                activation,
                weight,
            })
            .collect();
        Decomposition::new(operand, operand, &terms)
    }

    /// Checks every promise of a decomposition, and that it is the multiplier.
    fn check(operand: OperandWidth, terms: &[(i64, Vec<i64>, Vec<i64>)]) -> Decomposition {
        let decomposition = of(operand, terms);
        let elements = decomposition.elements;
        let wide = |tables: &[Vec<i16>]| -> Vec<Vec<i64>> {
            let wide = |table: &Vec<i16>| table.iter().map(|&element| element.into()).collect();
            tables.iter().map(wide).collect()
        };
        let activations = wide(&decomposition.activations);
        let weights = wide(&decomposition.weights);
        for element in activations.iter().flatten() {
            assert!(elements.activations().contains(element));
        }
        for weights in &weights {
            assert!(elements.holds_weights(0, weights));
        }
        let window = |sum: &WindowSum, a: usize| {
            sum.parts
                .iter()
                .fold(sum.per_tap, |total, &(place, scale)| {
                    total.wrapping_add(scale.wrapping_mul(activations[place][a]))
                })
        };
        let mut last = 0;
        for pass in &decomposition.passes {
            assert_eq!(pass.terms.start, last);
            last = pass.terms.end;
            for term in pass.terms.clone() {
                let product = largest(&activations[term]) * largest(&weights[term]);
                assert!(pass.exact_products as u64 * product <= i32::MAX as u64);
                assert!(pass.exact_products >= 127);
            }
        }
        assert_eq!(last, decomposition.weights.len());
        for &(place, _) in &decomposition.offsets.parts {
            assert!(place < decomposition.weights.len() + decomposition.offset_elements);
        }
        for a in 0..operand.patterns() {
            assert_eq!(
                window(&decomposition.codes, a),
                i64::from(operand.code(a as u16))
            );
            for b in (0..operand.patterns()).step_by(operand.patterns() / 16 + 1) {
                let expected = terms.iter().fold(0i64, |sum, (scale, u, v)| {
                    sum.wrapping_add(scale.wrapping_mul(u[a]).wrapping_mul(v[b]))
                });
                let mut found =
                    window(&decomposition.offsets, a).wrapping_add(decomposition.constants[b]);
                for pass in &decomposition.passes {
                    for term in pass.terms.clone() {
                        let product = activations[term][a] * weights[term][b];
                        found = found.wrapping_add(pass.scale.wrapping_mul(product));
                    }
                }
                assert_eq!(found, expected, "{a} {b}");
            }
        }
        decomposition
    }

    fn shape(decomposition: &Decomposition) -> (ElementType, usize, usize, usize) {
        let products = decomposition.weights.len();
        (
            decomposition.elements,
            products,
            decomposition.passes.len(),
            decomposition.offsets.parts.len(),
        )
    }

    #[test]
    fn exact_products_are_one_product() {
        for bits in [2, 5, 8] {
            let signed = width(bits, true);
            let exact = check(signed, &[(1, codes(signed), codes(signed))]);
            assert_eq!(shape(&exact), (ElementType::Bytes, 1, 1, 0));
            // The codes' sums come from the same elements.
            assert_eq!(exact.activations.len(), 1);
        }
        let unsigned = width(8, false);
        let exact = check(unsigned, &[(1, codes(unsigned), codes(unsigned))]);
        assert_eq!(shape(&exact), (ElementType::Bytes, 1, 1, 1));
        assert_eq!(exact.activations.len(), 1);
        for signed in [false, true] {
            let twelve = width(12, signed);
            let exact = check(twelve, &[(1, codes(twelve), codes(twelve))]);
            assert_eq!(shape(&exact), (ElementType::Words, 1, 1, 0));
            let sixteen = width(16, signed);
            let exact = check(sixteen, &[(1, codes(sixteen), codes(sixteen))]);
            assert_eq!(shape(&exact), (ElementType::Words, 2, 2, 0));
        }
    }

    #[test]
    fn scales_are_multiplied_into_elements_with_room() {
        let operand = width(8, true);
        let halves: Vec<i64> = codes(operand).iter().map(|code| code >> 1).collect();
        let small: Vec<i64> = codes(operand).iter().map(|code| code & 7).collect();
        let terms = [(4, halves.clone(), halves), (1, codes(operand), small)];
        assert_eq!(
            shape(&check(operand, &terms)),
            (ElementType::Bytes, 2, 1, 0)
        );
        let terms = [
            (300, codes(operand), codes(operand)),
            (7, codes(operand), codes(operand)),
        ];
        assert_eq!(shape(&check(operand, &terms)).2, 2);
    }

    #[test]
    fn constant_factors_cost_no_product() {
        let operand = width(8, true);
        let some: Vec<i64> = codes(operand)
            .iter()
            .map(|code| code * code * code)
            .collect();
        let constant = vec![-77; operand.patterns()];
        let terms = [
            (3, some.clone(), constant.clone()),
            (-5, constant.clone(), some),
            (2, constant.clone(), constant),
        ];
        let decomposition = check(operand, &terms);
        assert!(decomposition.passes.is_empty());
        assert_eq!(check(operand, &[]).activations.len(), 1);
    }

    #[test]
    fn factors_of_all_magnitudes_are_decomposed() {
        let operand = width(4, true);
        let factors: Vec<Vec<i64>> = vec![
            (0..16).map(|i| i64::MIN + i).collect(),
            (0..16).map(|i| i64::MAX - i * i).collect(),
            (0..16)
                .map(|i| if i % 2 == 0 { i64::MIN } else { i64::MAX })
                .collect(),
            (0..16).map(|i| (i - 8) << 58).collect(),
            (0..16).map(|i| (i * 0x1234_5678_9abc) - 77).collect(),
            codes(operand),
        ];
        for u in &factors {
            for v in &factors {
                for scale in [1, -1, i64::MIN, i64::MAX, 1 << 40] {
                    check(operand, &[(scale, u.clone(), v.clone())]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn decompositions_are_the_multiplier(
            bits in 2u8..=10, signed: bool,
            kinds in prop::collection::vec((0u32..20, 0u32..20, -300i64..300, any::<u64>()), 0..5),
        ) {
            let operand = width(bits, signed);
            let terms: Vec<_> = kinds
                .into_iter()
                .map(|(u, v, scale, mut seed)| {
                    let mut factor = |bits: u32| -> Vec<i64> {
                        let mut next = || {
                            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                            (seed >> 30) as i64 & ((1 << bits) - 1)
                        };
                        let base = next() * 3 - (1 << bits);
                        (0..operand.patterns()).map(|_| base + next()).collect()
                    };
                    (scale, factor(u), factor(v))
                })
                .collect();
            check(operand, &terms);
        }
    }
}
