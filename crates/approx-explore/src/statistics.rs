//! How well two rankings agree, and whether one assignment is really better than another.
//!
//! Two assignments are measured on the same images, so only those images tell them apart on which one is right and the
//! other wrong. This is McNemar's comparison of paired shares (Psychometrika 12, 1947); the test is the exact one, a
//! sign test on those images.

use crate::measure::Outcome;

/// Spearman's rank correlation, from -1 to 1: Pearson's correlation of the ranks, where equal values share the average
/// of their ranks.
///
/// `None` if the lists differ in length, have fewer than two values, hold one that is not a number, or if one of them
/// is constant: then there is no ranking to compare.
///
/// ```
/// use approx_explore::statistics::spearman;
///
/// assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 900.0]), Some(1.0));
/// assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
/// assert_eq!(spearman(&[1.0, 2.0], &[5.0, 5.0]), None);
/// ```
pub fn spearman(one: &[f64], other: &[f64]) -> Option<f64> {
    if one.len() != other.len() || one.iter().chain(other).any(|value| value.is_nan()) {
        return None;
    }
    let (one, other) = (ranks(one), ranks(other));
    // Ranks, tied or not, have the mean (n + 1) / 2.
    let mean = (one.len() as f64 + 1.0) / 2.0;
    let product = |one: &[f64], other: &[f64]| -> f64 {
        let pairs = one.iter().zip(other);
        pairs
            .map(|(one, other)| (one - mean) * (other - mean))
            .sum()
    };
    let scale = (product(&one, &one) * product(&other, &other)).sqrt();
    (scale > 0.0).then(|| (product(&one, &other) / scale).clamp(-1.0, 1.0))
}

/// The rank of every value, from 1; equal values share the average of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|one, other| values[*one] == values[*other]) {
        let rank = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|index| ranks[*index] = rank);
        start += tied.len();
    }
    ranks
}

/// Two outcomes on the same images.
///
/// ```
/// use approx_explore::{measure::Outcome, statistics::Comparison};
///
/// let outcome = |right: &[bool]| Outcome { right: right.to_vec(), loss: 0.0 };
/// let first = outcome(&[true, true, false, false]);
/// let second = outcome(&[true, false, true, true]);
/// let comparison = Comparison::of(&first, &second);
/// assert_eq!(comparison.difference(), 25.0);
/// assert_eq!(comparison.probability_if_no_better(), 0.5);
/// assert!(!comparison.is_second_better(0.9));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// How many images both have seen.
    pub images: usize,
    /// On how many of them only the first was right.
    pub only_first: usize,
    /// On how many of them only the second was right.
    pub only_second: usize,
}

impl Comparison {
    /// Compares two outcomes on the images that both have seen: the first ones, as many as the shorter outcome has.
    pub fn of(first: &Outcome, second: &Outcome) -> Self {
        let pairs = || first.right.iter().zip(&second.right);
        let count = |wanted: (bool, bool)| {
            pairs()
                .filter(|(one, other)| (**one, **other) == wanted)
                .count()
        };
        Self {
            images: pairs().count(),
            only_first: count((true, false)),
            only_second: count((false, true)),
        }
    }

    /// The accuracy of the second minus that of the first, in points.
    pub fn difference(&self) -> f64 {
        100.0 * (self.only_second as f64 - self.only_first as f64) / self.images.max(1) as f64
    }

    /// The standard error of the difference, in points: with `b` and `c` images on which only one is right, out of `n`,
    /// it is `100 sqrt(b + c - (b - c)^2 / n) / n`.
    ///
    /// It is 0 where the two agree on all images. That does not mean that they agree on all others: with `n` images, a
    /// difference on up to about `3 / n` of all others goes unseen once in twenty times.
    pub fn standard_error(&self) -> f64 {
        let images = self.images.max(1) as f64;
        let (first, second) = (self.only_first as f64, self.only_second as f64);
        100.0
            * (first + second - (first - second).powi(2) / images)
                .max(0.0)
                .sqrt()
            / images
    }

    /// How probable it is to see the second win so often, or more often, were it no better than the first: with `b` and
    /// `c` images on which only the first or only the second is right, the chance of at least `c` heads in `b + c` fair
    /// throws. It is 1 if they agree on all images.
    pub fn probability_if_no_better(&self) -> f64 {
        upper_tail(self.only_first + self.only_second, self.only_second)
    }

    /// Whether the second is better than the first with this confidence, from 0 to 1.
    ///
    /// It says yes if [`probability_if_no_better`](Self::probability_if_no_better) is at most `1 - confidence`. So, for
    /// one look at one pair that was chosen beforehand, a second that is no better is called better with a chance of at
    /// most `1 - confidence`; it is not the chance that the second is better. Who looks several times, as images come
    /// in, or takes the best of several pairs, errs more often: pass the confidence through [`of_looks`] first. Two
    /// outcomes that agree on all images are never told apart.
    pub fn is_second_better(&self, confidence: f64) -> bool {
        let discordant = self.only_first + self.only_second;
        discordant > 0 && self.probability_if_no_better() <= 1.0 - confidence
    }
}

/// The confidence that each of several looks needs, so that all of them together err with a chance of at most
/// `1 - confidence` (Bonferroni's inequality): `1 - (1 - confidence) / looks`.
///
/// ```
/// let each = approx_explore::statistics::of_looks(0.9, 4);
/// assert!((each - 0.975).abs() < 1e-12);
/// ```
pub fn of_looks(confidence: f64, looks: usize) -> f64 {
    1.0 - (1.0 - confidence) / looks.max(1) as f64
}

/// The chance of at least `least` heads in so many fair throws.
fn upper_tail(throws: usize, least: usize) -> f64 {
    if least == 0 {
        return 1.0;
    }
    // The terms fall from the first one on only in the upper half; the lower half is one minus it.
    if 2 * least <= throws {
        return 1.0 - upper_tail(throws, throws - least + 1);
    }
    // Logarithms: with thousands of throws, every term alone is too small for a number.
    let logarithm = |up_to: usize| -> f64 { (1..=up_to).map(|factor| (factor as f64).ln()).sum() };
    let first = logarithm(throws)
        - logarithm(least)
        - logarithm(throws - least)
        - throws as f64 * std::f64::consts::LN_2;
    let terms = (least..=throws).scan(1.0, |term, heads| {
        let this = *term;
        *term *= (throws - heads) as f64 / (heads + 1) as f64;
        Some(this)
    });
    (first.exp() * terms.sum::<f64>()).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tail_counts_throws() {
        for throws in 0..12_usize {
            for least in 0..=throws {
                let wins = (0..1_u32 << throws).filter(|bits| bits.count_ones() as usize >= least);
                let expected = wins.count() as f64 / f64::from(1 << throws);
                assert!(
                    (upper_tail(throws, least) - expected).abs() < 1e-12,
                    "{throws} {least}"
                );
            }
        }
    }

    #[test]
    fn tail_of_many_throws_is_near_normal() {
        // 100 more than half of 10,000 is two standard deviations; with the half step, 1.99.
        assert!((upper_tail(10_000, 5_100) - 0.0233).abs() < 2e-4);
        assert!((upper_tail(10_000, 4_900) - 0.9783).abs() < 2e-3);
    }

    #[test]
    fn agreement_tells_nothing() {
        let outcome = Outcome {
            right: vec![true, false],
            loss: 0.0,
        };
        let comparison = Comparison::of(&outcome, &outcome);
        assert_eq!(comparison.standard_error(), 0.0);
        assert!(!comparison.is_second_better(0.0));
    }

    proptest! {
        #[test]
        fn spearman_sees_only_the_order(values in prop::collection::vec((-50_i32..50, -50_i32..50), 2..40)) {
            let (one, other): (Vec<f64>, Vec<f64>) =
                values.iter().map(|(one, other)| (f64::from(*one), f64::from(*other))).unzip();
            let bent: Vec<f64> = one.iter().map(|value| (value / 10.0).exp()).collect();
            let turned: Vec<f64> = one.iter().map(|value| -value).collect();
            let plain = spearman(&one, &other);
            prop_assert_eq!(plain, spearman(&bent, &other));
            prop_assert_eq!(plain, spearman(&other, &one));
            if let (Some(plain), Some(turned)) = (plain, spearman(&turned, &other)) {
                prop_assert!((plain + turned).abs() < 1e-12);
            }
        }

        #[test]
        fn only_one_of_two_is_better(bits in prop::collection::vec(any::<(bool, bool)>(), 1..200)) {
            let (first, second): (Vec<bool>, Vec<bool>) = bits.into_iter().unzip();
            let (first, second) = (Outcome { right: first, loss: 0.0 }, Outcome { right: second, loss: 0.0 });
            let (there, back) = (Comparison::of(&first, &second), Comparison::of(&second, &first));
            prop_assert!((there.difference() - (second.accuracy() - first.accuracy())).abs() < 1e-9);
            prop_assert_eq!(there.difference(), -back.difference());
            prop_assert!(!(there.is_second_better(0.6) && back.is_second_better(0.6)));
        }
    }
}
