//! Ranges from histograms: the one of least squared quantisation error, and percentiles.
//!
//! The bins are those of [`approx_cpu::observe::histogram`]. The squared error of a candidate range is estimated as
//! clipping error outside it, `step^2 / 12` per value inside it, and the value's own square where it is so small that
//! it rounds to the code of 0. Running sums over the bins make each candidate a handful of look-ups.

use approx_cpu::observe::histogram::{BINS, SIDE, bin, centre};

use crate::codes::{CodeRange, Observer, Symmetry};

/// Running sums over the bins: entry `i` is the sum over the bins below `i`.
struct Moments {
    count: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn new(counts: &[f32]) -> Self {
        let running = |weight: &dyn Fn(usize) -> f64| {
            let mut total = 0.0;
            let mut sums = Vec::with_capacity(BINS + 1);
            sums.push(0.0);
            for (index, count) in counts.iter().enumerate() {
                total += f64::from(*count) * weight(index);
                sums.push(total);
            }
            sums
        };
        Self {
            count: running(&|_| 1.0),
            sum: running(&centre),
            squares: running(&|index| centre(index).powi(2)),
        }
    }

    /// The sum over bins `from..to` of `count * (value - target)^2`.
    fn squared_distance(&self, from: usize, to: usize, target: f64) -> f64 {
        let between = |sums: &[f64]| sums[to] - sums[from];
        between(&self.squares) - 2.0 * target * between(&self.sum)
            + target * target * between(&self.count)
    }

    /// The estimated squared error of quantising with the given step over `min..=max`.
    fn error(&self, min: f64, max: f64, step: f64) -> f64 {
        let (first, last) = (bin(min as f32), bin(max as f32));
        let (zero_low, zero_high) = (
            bin((-step / 2.0) as f32).max(first),
            bin((step / 2.0) as f32).min(last),
        );
        let rounded = self.count[last + 1]
            - self.count[first]
            - (self.count[zero_high + 1] - self.count[zero_low]);
        self.squared_distance(0, first, min)
            + self.squared_distance(last + 1, BINS, max)
            + self.squared_distance(zero_low, zero_high + 1, 0.0)
            + rounded * step * step / 12.0
    }
}

/// The range that an observer picks from a histogram, always containing 0; NaN if the histogram is poisoned.
pub(super) fn range(
    counts: &[f32],
    observer: Observer,
    codes: CodeRange,
    symmetry: Symmetry,
) -> (f32, f32) {
    if counts.iter().any(|count| count.is_nan()) {
        return (f32::NAN, f32::NAN);
    }
    let occupied = |mut bins: Box<dyn Iterator<Item = usize>>| bins.find(|bin| counts[*bin] > 0.0);
    let (Some(first), Some(last)) = (
        occupied(Box::new(0..BINS)),
        occupied(Box::new((0..BINS).rev())),
    ) else {
        return (0.0, 0.0);
    };
    let (min, max) = (centre(first.min(SIDE)), centre(last.max(SIDE)));
    let (min, max) = match observer {
        Observer::Percentile { percent } => percentile(counts, percent),
        _ => least_squares(&Moments::new(counts), min, max, codes, symmetry),
    };
    (min as f32, max as f32)
}

fn percentile(counts: &[f32], percent: f64) -> (f64, f64) {
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    let outside = total * (1.0 - percent / 100.0) / 2.0;
    /// The first bin at which more has been passed than is to be left out.
    fn reach(counts: &[f32], outside: f64, mut bins: impl Iterator<Item = usize>) -> usize {
        let mut passed = 0.0;
        let reached = bins.find(|bin| {
            passed += f64::from(counts[*bin]);
            passed > outside
        });
        reached.unwrap_or(SIDE)
    }
    let first = reach(counts, outside, 0..BINS).min(SIDE);
    let last = reach(counts, outside, (0..BINS).rev()).max(SIDE);
    (centre(first), centre(last))
}

fn least_squares(
    moments: &Moments,
    min: f64,
    max: f64,
    codes: CodeRange,
    symmetry: Symmetry,
) -> (f64, f64) {
    let (low, high) = (f64::from(codes.low()), f64::from(codes.high()));
    // Candidates shrink by 3 % at a time, to a twentieth: below that, clipping has long taken over.
    const CANDIDATES: i32 = 100;
    let shrunk = |end: f64| (0..CANDIDATES).map(move |i| end * 0.97f64.powi(i));
    let mut best = (f64::INFINITY, (min, max));
    let mut consider = |min: f64, max: f64, step: f64| {
        let error = moments.error(min, max, step);
        if error < best.0 {
            best = (error, (min, max));
        }
    };
    match symmetry {
        Symmetry::Symmetric => {
            let needed = if high > 0.0 { max / high } else { 0.0 };
            let step = if low < 0.0 {
                needed.max(min / low)
            } else {
                needed
            };
            for step in shrunk(step).filter(|step| *step > 0.0) {
                consider(low * step, high * step, step);
            }
        }
        Symmetry::Affine => {
            for min in shrunk(min).take(if min == 0.0 { 1 } else { CANDIDATES as usize }) {
                for max in shrunk(max).take(if max == 0.0 { 1 } else { CANDIDATES as usize }) {
                    let step = (max - min) / (high - low);
                    if step > 0.0 {
                        consider(min, max, step);
                    }
                }
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx_cpu::observe::counts;
    use approx_multiplier::OperandFormat;

    /// Bell-shaped values without a random generator: sums of twelve equidistributed sequences.
    fn bell(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| {
                (1..=12)
                    .map(|k| ((i * k) as f64 * 0.754_877_666).fract() - 0.5)
                    .sum::<f64>() as f32
            })
            .collect()
    }

    fn true_error(values: &[f32], step: f64, low: f64, high: f64) -> f64 {
        values
            .iter()
            .map(|value| {
                let value = f64::from(*value);
                (value - step * (value / step).round_ties_even().clamp(low, high)).powi(2)
            })
            .sum()
    }

    #[test]
    fn least_squares_is_close_to_an_exhaustive_search() {
        let mut values = bell(20_000);
        values.push(40.0); // an outlier that min-max would follow
        for bits in [3, 4, 8] {
            let codes = CodeRange::mirrored(OperandFormat::signed(bits).unwrap());
            let (low, high) = (f64::from(codes.low()), f64::from(codes.high()));
            let (_, max) = range(
                &counts(&values),
                Observer::LeastSquares,
                codes,
                Symmetry::Symmetric,
            );
            let found = true_error(&values, f64::from(max) / high, low, high);
            let best = (1..2000)
                .map(|i| true_error(&values, 40.0 * f64::from(i) / 2000.0 / high, low, high))
                .fold(f64::INFINITY, f64::min);
            assert!(
                found <= 1.1 * best,
                "{bits} bits: error {found} against {best}"
            );
        }
    }

    #[test]
    fn percentiles_leave_out_the_tails_only() {
        let values: Vec<f32> = (1..=1000).map(|i| i as f32).collect();
        let codes = CodeRange::new(-128, 127).unwrap();
        let (min, max) = range(
            &counts(&values),
            Observer::Percentile { percent: 98.0 },
            codes,
            Symmetry::Affine,
        );
        assert_eq!(min, 0.0);
        assert!((max - 990.0).abs() < 990.0 / 32.0, "{max}");
    }

    #[test]
    fn a_poisoned_or_empty_histogram_says_so() {
        let codes = CodeRange::new(-128, 127).unwrap();
        let (min, _) = range(
            &counts(&[f32::NAN]),
            Observer::LeastSquares,
            codes,
            Symmetry::Affine,
        );
        assert!(min.is_nan());
        assert_eq!(
            range(
                &counts(&[]),
                Observer::LeastSquares,
                codes,
                Symmetry::Affine
            ),
            (0.0, 0.0)
        );
        assert_eq!(
            range(
                &counts(&[0.0; 9]),
                Observer::LeastSquares,
                codes,
                Symmetry::Affine
            ),
            (0.0, 0.0)
        );
    }
}
