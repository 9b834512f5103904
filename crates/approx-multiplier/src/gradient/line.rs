//! The derivative of a line: the products of all codes of one operand, in their order, with a fixed code of the other.
//!
//! Each is linear in the line, and the same for every line of as many codes. So of a sum of products of one-operand
//! functions it is the sum of the products of their derivatives.

/// How a line is differentiated.
#[derive(Clone, Copy, Debug)]
pub(super) enum LineRule {
    /// The central difference of means over windows.
    Difference { half_window: usize },
    /// The slope of the best straight line.
    Slope,
}

impl LineRule {
    /// The derivative at every code of a line of at least 2, and of more than `2 * half_window`.
    pub(super) fn apply(self, line: &[f64]) -> Vec<f64> {
        match self {
            Self::Difference { half_window } => smoothed_difference(line, half_window),
            Self::Slope => vec![slope(line); line.len()],
        }
    }
}

/// The central difference of the means over windows, which are cut at the ends, over the distance of the windows'
/// centres.
fn smoothed_difference(line: &[f64], half_window: usize) -> Vec<f64> {
    let last = line.len() - 1;
    let mut sum = 0.0;
    // Sums of integers below 2^53 are exact.
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(line.iter().map(|value| {
            sum += value;
            sum
        }))
        .collect();
    let window = |code: usize| {
        (
            code.saturating_sub(half_window),
            (code + half_window).min(last),
        )
    };
    let mean = |(low, high): (usize, usize)| (sums[high + 1] - sums[low]) / (high + 1 - low) as f64;
    let centre = |(low, high): (usize, usize)| (low + high) as f64 / 2.0;
    (0..line.len())
        .map(|code| {
            let [before, after] = [code.saturating_sub(1), (code + 1).min(last)].map(window);
            (mean(after) - mean(before)) / (centre(after) - centre(before))
        })
        .collect()
}

/// The slope of the straight line with the least mean square distance.
fn slope(line: &[f64]) -> f64 {
    let middle = (line.len() - 1) as f64 / 2.0;
    let distances = (0..line.len()).map(|code| code as f64 - middle);
    let (mut products, mut squares) = (0.0, 0.0);
    for (distance, value) in distances.zip(line) {
        products += distance * value;
        squares += distance * distance;
    }
    products / squares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(codes: usize) -> impl Strategy<Value = LineRule> {
        prop_oneof![
            (0..=(codes - 1) / 2).prop_map(|half_window| LineRule::Difference { half_window }),
            Just(LineRule::Slope),
        ]
    }

    fn lines() -> impl Strategy<Value = (LineRule, Vec<i32>, Vec<i32>)> {
        (2usize..40).prop_flat_map(|codes| {
            let line = || prop::collection::vec(-100_000i32..100_000, codes);
            (rules(codes), line(), line())
        })
    }

    fn close(found: &[f64], expected: &[f64], largest: f64) -> bool {
        let mut pairs = found.iter().zip(expected);
        found.len() == expected.len()
            && pairs.all(|(found, expected)| (found - expected).abs() <= 1e-10 * largest)
    }

    proptest! {
        /// A straight line has its own slope everywhere, ends included.
        #[test]
        fn a_straight_line_has_its_slope((rule, line, _) in lines(), slope in -1000i32..1000, start: i16) {
            let straight: Vec<f64> = (0..line.len())
                .map(|code| f64::from(start) + code as f64 * f64::from(slope))
                .collect();
            let expected = vec![f64::from(slope); line.len()];
            prop_assert!(close(&rule.apply(&straight), &expected, 1e5));
        }

        #[test]
        fn a_rule_is_linear((rule, first, second) in lines(), factor in -50i32..50) {
            let real = |line: &[i32]| line.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
            let sum: Vec<f64> = first
                .iter()
                .zip(&second)
                .map(|(first, second)| f64::from(*first) + f64::from(factor) * f64::from(*second))
                .collect();
            let (first, second) = (rule.apply(&real(&first)), rule.apply(&real(&second)));
            let expected: Vec<f64> = first
                .iter()
                .zip(&second)
                .map(|(first, second)| first + f64::from(factor) * second)
                .collect();
            prop_assert!(close(&rule.apply(&sum), &expected, 1e7));
        }

        /// As it reads: means of windows, written out.
        #[test]
        fn a_difference_is_one_of_means((_, line, _) in lines(), share in 0.0f64..1.0) {
            let codes = line.len();
            let half_window = ((codes - 1) as f64 / 2.0 * share) as usize;
            let mean = |code: usize, value: &dyn Fn(usize) -> f64| {
                let inside: Vec<f64> = (0..codes)
                    .filter(|other| other.abs_diff(code) <= half_window)
                    .map(value)
                    .collect();
                inside.iter().sum::<f64>() / inside.len() as f64
            };
            let expected: Vec<f64> = (0..codes)
                .map(|code| {
                    let (before, after) = (code.max(1) - 1, (code + 1).min(codes - 1));
                    let rise = |value: &dyn Fn(usize) -> f64| mean(after, value) - mean(before, value);
                    rise(&|other| f64::from(line[other])) / rise(&|other| other as f64)
                })
                .collect();
            let real: Vec<f64> = line.iter().map(|value| f64::from(*value)).collect();
            let rule = LineRule::Difference { half_window };
            prop_assert!(close(&rule.apply(&real), &expected, 1e6));
        }
    }
}
