//! Which results no other beats.

use super::{EvaluationReport, EvaluationResult};

/// A result whose multiplier's power is known.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    pub result: &'a EvaluationResult,
    pub power: f64,
    pub accuracy: f64,
}

impl EvaluationReport {
    /// The results whose power is known, by increasing power.
    pub(super) fn points(&self) -> Vec<Point<'_>> {
        let sorted = self.sorted().into_iter();
        sorted
            .filter_map(|result| {
                Some(Point {
                    result,
                    power: result.subject.power_mw()?,
                    accuracy: result.evaluation.top1,
                })
            })
            .collect()
    }

    /// The results that no other beats, by increasing power: where one multiplier needs no more power than another and
    /// the network is no less often right on it, the other is left out, unless they are alike in both. Results whose
    /// power is not known are left out.
    pub fn front(&self) -> Vec<&EvaluationResult> {
        let front = front(&self.points()).into_iter();
        front.map(|point| point.result).collect()
    }
}

/// The points that no other beats, by increasing power.
pub(super) fn front<'a>(points: &[Point<'a>]) -> Vec<Point<'a>> {
    let beats = |one: &Point, other: &Point| {
        one.power <= other.power
            && one.accuracy >= other.accuracy
            && (one.power < other.power || one.accuracy > other.accuracy)
    };
    let is_in_front = |point: &&Point| !points.iter().any(|other| beats(other, point));
    points.iter().filter(is_in_front).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn what_is_beaten_is_not_in_front() {
        let mut report = example();
        let names = |report: &crate::report::EvaluationReport| {
            let front = report.front().into_iter();
            front
                .map(|result| result.subject.label().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&report), ["cheap", "costly"]);
        // A twin is not beaten by its like.
        report.results.push(report.results[2].clone());
        assert_eq!(names(&report), ["cheap", "costly", "costly"]);
        report.results.clear();
        assert!(report.front().is_empty());
    }
}
