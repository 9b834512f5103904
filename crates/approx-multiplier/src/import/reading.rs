//! The choice among several readings of a file that leaves something open. The usual one is taken unless another one
//! comes much nearer to the exact products, and whoever asked for the file hears of the others.

use std::fmt;

use super::Note;
use crate::Multiplier;

/// How many times smaller the mean squared error of a reading must be for it to be taken in the place of the usual one.
/// Of approximate multipliers, the mean error alone differs less from reading to reading.
const TIMES_NEARER: f64 = 10.0;

/// The part of the range of products that a mean error is far beyond any approximation.
const FAR: f64 = 0.25;

/// So many other readings are told of beside the one that was taken, and where that is far from any multiplier.
const LISTED: usize = 3;
const LISTED_IF_FAR: usize = 8;

/// A way to read a file.
pub(super) struct Reading<T> {
    /// What the file is, read so.
    pub content: T,
    /// How what is open was taken: "as signed, in the order of their values".
    pub name: String,
    pub error: ReadingError,
}

/// How far a reading is from the exact products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ReadingError {
    /// The mean of the errors' magnitudes.
    pub mean: f64,
    /// The mean of their squares, by which readings are compared.
    pub mean_squared: f64,
    /// Bits of both operands together.
    pub index_bits: u32,
}

impl ReadingError {
    /// Whether it is above what any approximate multiplier has.
    pub fn is_far(self) -> bool {
        self.mean > FAR * self.range()
    }

    fn range(self) -> f64 {
        f64::from(self.index_bits).exp2()
    }
}

impl fmt::Display for ReadingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.mean / self.range();
        write!(f, "{:.4} ({percent:.2} % of the range)", self.mean)
    }
}

/// A reading that was not taken.
#[derive(Debug)]
pub(super) struct Alternative {
    pub name: String,
    pub error: ReadingError,
}

/// A reading that was taken, and the others, the nearest first.
pub(super) struct Choice<T> {
    pub taken: Reading<T>,
    pub others: Vec<Alternative>,
}

/// What a reader makes of a file: a multiplier, what was assumed, and the other ways in which the file could be read,
/// as far as these were looked at.
#[derive(Debug)]
pub(super) struct Draft {
    pub multiplier: Multiplier,
    pub notes: Vec<Note>,
    pub others: Vec<Alternative>,
}

impl<T> Reading<T> {
    /// Takes the usual reading, or the nearest of the others if that comes ten times nearer, and to any multiplier.
    pub fn choose(usual: Self, others: Vec<Self>) -> Choice<T> {
        let mut readings = vec![usual];
        readings.extend(others);
        let mut nearest = 0;
        for (position, reading) in readings.iter().enumerate() {
            if reading.error.mean_squared < readings[nearest].error.mean_squared {
                nearest = position;
            }
        }
        let [usual, best] = [0, nearest].map(|position| readings[position].error);
        let is_decisive = best.mean_squared * TIMES_NEARER <= usual.mean_squared && !best.is_far();
        let taken = readings.remove(if is_decisive { nearest } else { 0 });
        let mut others: Vec<Alternative> = readings.into_iter().map(Alternative::from).collect();
        sort(&mut others);
        Choice { taken, others }
    }
}

impl<T> From<Reading<T>> for Alternative {
    fn from(Reading { name, error, .. }: Reading<T>) -> Self {
        Self { name, error }
    }
}

impl<T> Choice<T> {
    /// What was assumed about something that is open; `remedy` says how to have it another way.
    pub fn note(&self, open: &str, remedy: &str) -> Note {
        let Reading { name, error, .. } = &self.taken;
        // What is far is warned about with all other readings.
        let others = match error.is_far() {
            true => String::new(),
            false => listed(&self.others, LISTED),
        };
        Note::assumption(format!(
            "The file does not say {open}: they were taken {name}, with which the mean error is {error}{others}. Give \
             {remedy} to have another reading."
        ))
    }
}

/// The warning about a multiplier that is far from the exact one.
pub(super) fn far(multiplier: &Multiplier, error: ReadingError, others: &[Alternative]) -> Note {
    Note::warning(format!(
        "What was read is far from any multiplier: of {} activations and {} weights, its mean error is {error}{}. The file \
         may hold something else.",
        multiplier.activation(),
        multiplier.weight(),
        listed(others, LISTED_IF_FAR)
    ))
}

/// The nearest first.
pub(super) fn sort(others: &mut [Alternative]) {
    others.sort_by(|a, b| a.error.mean_squared.total_cmp(&b.error.mean_squared));
}

/// The errors of the nearest of other readings, as what follows the one of the reading that was taken.
fn listed(others: &[Alternative], most: usize) -> String {
    let nearest = others.iter().take(most);
    nearest
        .map(|Alternative { name, error }| format!("; {name} it would be {:.4}", error.mean))
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn error(mean: f64) -> ReadingError {
        ReadingError {
            mean,
            mean_squared: mean * mean,
            index_bits: 4,
        }
    }

    #[rstest]
    #[case(&[5.0], 0)]
    #[case(&[5.0, 2.0], 0)]
    #[case(&[5.0, 1.5], 1)]
    #[case(&[5.0, 1.5, 0.25], 2)]
    #[case(&[0.0, 0.0], 0)]
    #[case(&[1.0, 0.0, 0.0], 1)]
    #[case(&[500.0, 5.0], 0)]
    fn another_reading_must_come_ten_times_nearer(#[case] errors: &[f64], #[case] expected: usize) {
        let reading = |(content, &mean): (usize, &f64)| Reading {
            content,
            name: format!("as {content}"),
            error: error(mean),
        };
        let mut readings = errors.iter().enumerate().map(reading);
        let usual = readings.next().unwrap();
        let choice = Reading::choose(usual, readings.collect());
        assert_eq!(choice.taken.content, expected);
        assert_eq!(choice.others.len(), errors.len() - 1);
        assert!(
            choice
                .others
                .is_sorted_by_key(|other| other.error.mean_squared)
        );
    }

    #[test]
    fn a_quarter_of_the_range_is_far() {
        assert!(!error(4.0).is_far() && error(4.1).is_far());
        assert_eq!(error(4.0).to_string(), "4.0000 (25.00 % of the range)");
    }
}
