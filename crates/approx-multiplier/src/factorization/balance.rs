//! Makes the factors of a factorisation small without changing its products.
//!
//! `scale_i u_i v_i + scale_j u_j v_j` stays the same when a multiple of `v_j` is added to `v_i` and the matching
//! multiple of `u_i` taken from `u_j`. Short lattice vectors make one side small; such steps trade size between the two
//! sides, and they are repeated as long as one helps.

use num_integer::gcd;

use super::factor_term::{FactorTerm, Size};

/// The cost of a factorisation, compared in the order of its fields: the largest factor when the terms share one scale
/// and what remains of theirs is multiplied into the smaller of their factors; then the same squared and summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    pub(super) largest: u128,
    total: u128,
}

impl Cost {
    pub(super) fn of(terms: &[FactorTerm]) -> Self {
        let sizes: Vec<Size> = terms.iter().map(FactorTerm::size).collect();
        Self::of_sizes(sizes.iter().copied())
    }

    pub(super) fn of_sizes(sizes: impl Iterator<Item = Size> + Clone) -> Self {
        let common = sizes
            .clone()
            .fold(0, |common, size| gcd(common, size.scale));
        let mut cost = Self {
            largest: 0,
            total: 0,
        };
        for size in sizes {
            let scale = u128::from((size.scale / common).unsigned_abs());
            let (small, large) = if size.activation < size.weight {
                (size.activation, size.weight)
            } else {
                (size.weight, size.activation)
            };
            let (small, large) = (u128::from(small).saturating_mul(scale), u128::from(large));
            cost.largest = cost.largest.max(small).max(large);
            for side in [small, large] {
                cost.total = cost.total.saturating_add(side.saturating_mul(side));
            }
        }
        cost
    }
}

/// Improves normalised terms until no step between two of them lowers the [`Cost`].
pub(super) fn balance(terms: &mut [FactorTerm]) {
    let mut sizes: Vec<Size> = terms.iter().map(FactorTerm::size).collect();
    let mut cost = Cost::of(terms);
    loop {
        let before = cost;
        for i in 0..terms.len() {
            for j in 0..terms.len() {
                if i == j {
                    continue;
                }
                for multiple in candidates(&terms[i], &terms[j]) {
                    // Few steps help, so that terms are only made of those that do.
                    let Some([first_size, second_size]) =
                        sizes_after([&terms[i], &terms[j]], [sizes[i], sizes[j]], multiple)
                    else {
                        continue;
                    };
                    let new =
                        Cost::of_sizes(sizes.iter().enumerate().map(
                            |(index, &size)| match index {
                                _ if index == i => first_size,
                                _ if index == j => second_size,
                                _ => size,
                            },
                        ));
                    if new < cost
                        && let Some((first, second)) = step(&terms[i], &terms[j], multiple)
                    {
                        cost = new;
                        (terms[i], terms[j]) = (first, second);
                        (sizes[i], sizes[j]) = (first_size, second_size);
                    }
                }
            }
        }
        if cost == before {
            return;
        }
    }
}

/// The multiples worth trying: the smallest ones, and those that make one side as short as it gets.
fn candidates(first: &FactorTerm, second: &FactorTerm) -> Vec<i64> {
    let common = gcd(first.scale, second.scale);
    let (weight_step, activation_step) = (second.scale / common, first.scale / common);
    let mut multiples = vec![1, -1];
    for (target, other, step) in [
        (&first.weight, &second.weight, -(weight_step as f64)),
        (
            &second.activation,
            &first.activation,
            activation_step as f64,
        ),
    ] {
        let projection = dot(target, other) / (dot(other, other) * step);
        for multiple in [projection.floor(), projection.ceil()] {
            let multiple = multiple as i64;
            if multiple != 0 && !multiples.contains(&multiple) {
                multiples.push(multiple);
            }
        }
    }
    multiples
}

/// A dot product for orientation only.
fn dot(a: &[i64], b: &[i64]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum()
}

/// What a step adds: this multiple of the second term's weights to the first's, and this one of the first's activations
/// to the second's.
fn multiples(first: &FactorTerm, second: &FactorTerm, multiple: i64) -> Option<[i64; 2]> {
    let common = gcd(first.scale, second.scale);
    let weight = multiple.checked_mul(second.scale / common)?;
    let activation = multiple.checked_mul(first.scale / common)?.checked_neg()?;
    Some([weight, activation])
}

/// The sizes of two normalised terms after a [`step`], of those before, or that it is not possible.
fn sizes_after(
    [first, second]: [&FactorTerm; 2],
    sizes: [Size; 2],
    multiple: i64,
) -> Option<[Size; 2]> {
    let [weight, activation] = multiples(first, second, multiple)?;
    let (largest_weight, weight_divisor) = size_of_sum(&first.weight, weight, &second.weight)?;
    let (largest_activation, activation_divisor) =
        size_of_sum(&second.activation, activation, &first.activation)?;
    Some([
        Size {
            scale: first.scale.checked_mul(weight_divisor)?,
            weight: largest_weight,
            ..sizes[0]
        },
        Size {
            scale: second.scale.checked_mul(activation_divisor)?,
            activation: largest_activation,
            ..sizes[1]
        },
    ])
}

/// The greatest common divisor of factors and a multiple of others, and their largest magnitude once it is divided out.
fn size_of_sum(target: &[i64], multiple: i64, other: &[i64]) -> Option<(u64, i64)> {
    let (mut largest, mut divisor) = (0, 0);
    for (&target, &other) in target.iter().zip(other) {
        let sum = target.checked_add(multiple.checked_mul(other)?)?;
        largest = largest.max(sum.unsigned_abs());
        if divisor != 1 {
            divisor = gcd(divisor, sum);
        }
    }
    // The only number that cannot be negated is beyond all others.
    let divisor = divisor.max(1);
    (largest <= i64::MAX as u64).then_some((largest / divisor as u64, divisor))
}

/// Adds a multiple of the second term's weights to the first's and takes the matching multiple of the first one's
/// activations from the second's.
fn step(
    first: &FactorTerm,
    second: &FactorTerm,
    multiple: i64,
) -> Option<(FactorTerm, FactorTerm)> {
    let [weight, activation] = multiples(first, second, multiple)?;
    let mut first_new = FactorTerm {
        scale: first.scale,
        activation: first.activation.clone(),
        weight: combine(&first.weight, weight, &second.weight)?,
    };
    let mut second_new = FactorTerm {
        scale: second.scale,
        activation: combine(&second.activation, activation, &first.activation)?,
        weight: second.weight.clone(),
    };
    first_new.normalise()?;
    second_new.normalise()?;
    Some((first_new, second_new))
}

fn combine(target: &[i64], multiple: i64, other: &[i64]) -> Option<Vec<i64>> {
    target
        .iter()
        .zip(other)
        .map(|(&target, &other)| target.checked_add(multiple.checked_mul(other)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn term(scale: i64, activation: &[i64], weight: &[i64]) -> FactorTerm {
        FactorTerm {
            scale,
            activation: activation.to_vec(),
            weight: weight.to_vec(),
        }
    }

    fn products(terms: &[FactorTerm], rows: usize, columns: usize) -> Vec<i64> {
        (0..rows)
            .flat_map(|row| (0..columns).map(move |column| (row, column)))
            .map(|(row, column)| {
                terms
                    .iter()
                    .map(|term| term.scale * term.activation[row] * term.weight[column])
                    .sum()
            })
            .collect()
    }

    #[test]
    fn common_divisors_become_the_scale() {
        let mut normalised = term(1, &[4, -8, 0], &[-6, 3]);
        normalised.normalise().unwrap();
        assert_eq!(normalised.scale, 12);
        assert_eq!(normalised.activation, [1, -2, 0]);
        assert_eq!(normalised.weight, [-2, 1]);
    }

    #[test]
    fn signs_save_a_bit() {
        let mut normalised = term(-1, &[128, 3], &[-1, 0]);
        normalised.normalise().unwrap();
        assert_eq!(normalised.scale, 1);
        let mut exact = term(1, &[128, -127], &[128, -127]);
        exact.normalise().unwrap();
        assert_eq!((exact.activation[0], exact.weight[0]), (-128, -128));
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert!(term(1, &[i64::MIN], &[1]).normalise().is_none());
        assert!(term(i64::MAX, &[2], &[1]).normalise().is_none());
        assert!(term(i64::MIN, &[1], &[1]).normalise().is_none());
    }

    #[test]
    fn scales_are_folded_into_the_smaller_factor() {
        let terms = [term(4, &[1, 3], &[100, 7]), term(8, &[5, 1], &[0, 1])];
        assert_eq!(Cost::of(&terms).largest, 100);
        assert_eq!(Cost::of(&terms[..1]).largest, 100);
        assert_eq!(Cost::of(&[]).largest, 0);
        let terms = [term(1, &[1], &[1]), term(300, &[2], &[9])];
        assert_eq!(Cost::of(&terms).largest, 600);
    }

    proptest! {
        #[test]
        fn sizes_after_a_step_are_those_of_its_terms(
            activations in proptest::collection::vec(prop_oneof![-9i64..=9, any::<i64>()], 2 * 3),
            weights in proptest::collection::vec(prop_oneof![-9i64..=9, any::<i64>()], 2 * 3),
            scales in proptest::collection::vec(prop_oneof![1i64..=64, 1i64..], 2),
            multiple in prop_oneof![-9i64..=9, any::<i64>()],
        ) {
            let mut terms = [0, 1].map(|index| {
                let part = 3 * index..3 * (index + 1);
                term(scales[index], &activations[part.clone()], &weights[part])
            });
            prop_assume!(terms.iter_mut().all(|term| term.normalise().is_some()));
            let expected = step(&terms[0], &terms[1], multiple);
            let expected = expected.map(|(first, second)| [first.size(), second.size()]);
            let sizes = [terms[0].size(), terms[1].size()];
            prop_assert_eq!(sizes_after([&terms[0], &terms[1]], sizes, multiple), expected);
        }

        #[test]
        fn products_stay_and_the_cost_never_rises(
            activations in proptest::collection::vec(-1000i64..=1000, 3 * 7),
            weights in proptest::collection::vec(-1000i64..=1000, 3 * 5),
            scales in proptest::collection::vec(1i64..=64, 3),
        ) {
            let mut terms: Vec<FactorTerm> = scales
                .iter()
                .zip(activations.chunks(7).zip(weights.chunks(5)))
                .map(|(&scale, (activation, weight))| term(scale, activation, weight))
                .collect();
            let expected = products(&terms, 7, 5);
            for term in &mut terms {
                term.normalise().unwrap();
            }
            prop_assert_eq!(products(&terms, 7, 5), expected.clone());
            let before = Cost::of(&terms);
            balance(&mut terms);
            prop_assert!(Cost::of(&terms) <= before);
            prop_assert_eq!(products(&terms, 7, 5), expected);
        }
    }
}
