//! The assignments that no other beats in both energy and accuracy.

use crate::measure::Outcome;
use crate::space::{Assignment, Space};

/// An assignment and what it is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The assignment.
    pub assignment: Assignment,
    /// Its energy, where 1 is the baseline's.
    pub energy: f64,
    /// What the network gave with it.
    pub outcome: Outcome,
}

impl Point {
    /// The share of right answers, in per cent.
    pub fn accuracy(&self) -> f64 {
        self.outcome.accuracy()
    }
}

/// Assignments none of which another beats: energies and accuracies both rise from each point to the next.
///
/// ```
/// use approx_explore::{front::Front, measure::Outcome, space::{Assignment, Choice, Layer, Space}};
///
/// let layers = vec![Layer { path: "a".into(), multiplications: 10 }, Layer { path: "b".into(), multiplications: 10 }];
/// let choice = |name: &str, energy| Choice { name: name.into(), hash: name.into(), energy };
/// let space = Space::new(layers, vec![choice("exact", 1.0), choice("cheap", 0.5)])?;
/// let outcome = |right: [bool; 2]| Outcome { right: right.to_vec(), loss: 0.0 };
/// let front = Front::new(&space, [
///     (Assignment::new(vec![0, 0]), outcome([true, true])),
///     (Assignment::new(vec![0, 1]), outcome([true, true])),
///     (Assignment::new(vec![1, 1]), outcome([false, true])),
/// ]);
/// assert_eq!(front.points().len(), 2);
/// assert_eq!(front.least_energy(100.0).map(|point| point.energy), Some(0.75));
/// assert_eq!(front.most_accurate(0.6).map(|point| point.accuracy()), Some(50.0));
/// # Ok::<(), approx_explore::space::SpaceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Front {
    points: Vec<Point>,
}

impl Front {
    /// The front of what was measured, all of it on the same images.
    ///
    /// Of assignments with the same energy and accuracy the one with the lower loss stays, and of those with that too
    /// the one that comes first in the order of the numbers of multipliers. So the order in which they come does not
    /// matter.
    ///
    /// # Panics
    ///
    /// If one is an assignment of another space.
    pub fn new(space: &Space, measured: impl IntoIterator<Item = (Assignment, Outcome)>) -> Self {
        let point = |(assignment, outcome)| Point {
            energy: space.energy(&assignment),
            assignment,
            outcome,
        };
        let mut all: Vec<(f64, Point)> = (measured.into_iter().map(point))
            .map(|point| (point.accuracy(), point))
            .collect();
        all.sort_by(|(one_accuracy, one), (other_accuracy, other)| {
            (one.energy.total_cmp(&other.energy))
                .then(other_accuracy.total_cmp(one_accuracy))
                .then(one.outcome.loss.total_cmp(&other.outcome.loss))
                .then(one.assignment.cmp(&other.assignment))
        });
        let mut best = f64::NEG_INFINITY;
        all.retain(|(accuracy, _)| {
            let is_better = *accuracy > best;
            best = best.max(*accuracy);
            is_better
        });
        Self {
            points: all.into_iter().map(|(_, point)| point).collect(),
        }
    }

    /// The points, in order of energy.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The most accurate point with no more than this energy.
    pub fn most_accurate(&self, energy: f64) -> Option<&Point> {
        self.points
            .iter()
            .take_while(|point| point.energy <= energy)
            .last()
    }

    /// The point with the least energy of those with at least this accuracy, in per cent.
    pub fn least_energy(&self, accuracy: f64) -> Option<&Point> {
        self.points
            .iter()
            .find(|point| point.accuracy() >= accuracy)
    }

    /// Whether this front is nowhere worse than another: for every point of the other, it has one with no more energy
    /// and no less accuracy.
    pub fn covers(&self, other: &Self) -> bool {
        self.shortfall(other) <= 0.0
    }

    /// By how many points of accuracy it falls short of another front where it does so most: over the points of the
    /// other front, the largest difference between its accuracy and the best one that this front has with no more
    /// energy (0 per cent where it has none).
    ///
    /// At most 0 if this front [covers](Self::covers) the other; negative if it is better everywhere; negative infinity
    /// if the other is empty. Accuracies have an error from the choice of images, so a small shortfall may be chance:
    /// [`statistics::Comparison`](crate::statistics::Comparison) tells.
    pub fn shortfall(&self, other: &Self) -> f64 {
        let of_point = |point: &Point| {
            let own = self.most_accurate(point.energy);
            point.accuracy() - own.map_or(0.0, Point::accuracy)
        };
        other
            .points
            .iter()
            .map(of_point)
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// The area below the front in the plane of energy and accuracy, from an energy of 0 to 1 and above a floor of
    /// accuracy in per cent: the mean over all limits of energy of how far above the floor one gets (the hypervolume of
    /// Zitzler and Thiele, 1998, with the reference point at energy 1 and the floor).
    pub fn area(&self, floor: f64) -> f64 {
        let ends = (self.points.iter().skip(1).map(|point| point.energy)).chain([1.0]);
        let strip = |(point, end): (&Point, f64)| {
            let width = (end.min(1.0) - point.energy).max(0.0);
            width * (point.accuracy() - floor).max(0.0)
        };
        self.points.iter().zip(ends).map(strip).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::space::{Choice, Layer};

    fn space() -> Space {
        let layer = |path: &str, multiplications| Layer {
            path: path.into(),
            multiplications,
        };
        let choice = |name: &str, energy| Choice {
            name: name.into(),
            hash: name.into(),
            energy,
        };
        let layers = vec![layer("a", 1), layer("b", 2), layer("c", 3)];
        Space::new(
            layers,
            vec![
                choice("exact", 1.0),
                choice("half", 0.5),
                choice("tenth", 0.1),
            ],
        )
        .unwrap()
    }

    fn measured() -> impl Strategy<Value = Vec<(Assignment, Outcome)>> {
        let one = (
            prop::collection::vec(0_usize..3, 3).prop_map(Assignment::new),
            (prop::collection::vec(any::<bool>(), 4), 0.0..2.0)
                .prop_map(|(right, loss)| Outcome { right, loss }),
        );
        prop::collection::vec(one, 0..20)
    }

    proptest! {
        #[test]
        fn holds_what_nothing_beats(measured in measured()) {
            let space = space();
            let front = Front::new(&space, measured.clone());
            let rises = |one: &Point, next: &Point| one.energy < next.energy && one.accuracy() < next.accuracy();
            prop_assert!(front.points().is_sorted_by(rises));
            let everything = |(assignment, outcome): &(Assignment, Outcome)| {
                let point = front.most_accurate(space.energy(assignment));
                point.is_some_and(|point| point.accuracy() >= outcome.accuracy())
            };
            prop_assert!(measured.iter().all(everything));
            let turned = Front::new(&space, measured.into_iter().rev());
            prop_assert_eq!(&front, &turned);
            prop_assert!(front.covers(&turned));
        }

        #[test]
        fn what_covers_has_no_less_area(one in measured(), other in measured()) {
            let space = space();
            let both = Front::new(&space, one.iter().chain(&other).cloned());
            let (one, other) = (Front::new(&space, one), Front::new(&space, other));
            prop_assert!(both.covers(&one) && both.covers(&other));
            prop_assert!(both.area(0.0) >= one.area(0.0).max(other.area(0.0)) - 1e-9);
            if !one.covers(&other) {
                prop_assert!(one.shortfall(&other) > 0.0);
            }
        }
    }
}
