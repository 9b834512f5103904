//! The assignments that are best for every energy at once, if the losses of the groups add up.
//!
//! This is the multiple-choice knapsack problem (Kellerer, Pferschy and Pisinger, Knapsack Problems, 2004, chapter 11):
//! every group takes one multiplier, energies and losses add up. Dynamic programming over the groups keeps, of all
//! assignments of the groups so far, those that no other beats in both; what is left after the last group is the whole
//! front, exactly. A limit on the number of different multipliers couples the groups; then every set of so many
//! multipliers is solved by itself.

use std::cmp::Ordering;

use crate::space::{Assignment, Space};

mod dynamic;
mod subsets;

use dynamic::Options;

/// How much work to spend on a solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    points: usize,
    subsets: usize,
}

impl Default for Limits {
    /// 50,000 points; 1,000 sets of multipliers.
    fn default() -> Self {
        Self {
            points: 50_000,
            subsets: 1_000,
        }
    }
}

impl Limits {
    /// The most points that are kept after each group, at least 2; more are thinned on a grid of so many energies,
    /// which keeps one more at most.
    pub fn with_points(self, points: usize) -> Self {
        Self {
            points: points.max(2),
            ..self
        }
    }

    /// The most sets of multipliers that are all solved, where the number of different ones is limited; beyond, only
    /// the most promising are.
    pub fn with_subsets(self, subsets: usize) -> Self {
        Self {
            subsets: subsets.max(1),
            ..self
        }
    }
}

/// An assignment with its sums.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The assignment.
    pub assignment: Assignment,
    /// Its energy, where 1 is the baseline's.
    pub energy: f64,
    /// The sum of its groups' losses.
    pub loss: f64,
}

/// Which sets of multipliers were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All that could matter.
    All,
    /// Those that a search found promising; there may be better ones.
    Promising,
}

/// The front of energy and summed loss.
#[derive(Debug, Clone, PartialEq)]
pub struct Solutions {
    /// The assignments that no other one found beats: energies rise and losses fall from each to the next.
    pub points: Vec<Solution>,
    /// For every assignment there is a point with no more loss and at most so much more energy (of the sets of
    /// multipliers that were looked at). Not above 1e-9 as long as the front stayed below the limit of points.
    pub energy_error: f64,
    /// Which sets of multipliers were looked at.
    pub coverage: Coverage,
}

/// Why there is no solution.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KnapsackError {
    /// A table of another shape.
    #[error(
        "the table of losses has {rows} rows, and row {row} has {columns} columns; it needs {groups} rows, one \
         for every group, of {choices} columns, one for every multiplier"
    )]
    Shape {
        /// How many rows it has.
        rows: usize,
        /// The first wrong row, or the last one.
        row: usize,
        /// How many columns that one has.
        columns: usize,
        /// The groups of the space.
        groups: usize,
        /// The multipliers of the space.
        choices: usize,
    },
    /// A group that can have no multiplier.
    #[error("none of the multipliers that the group of layer `{layer}` may have has a finite loss")]
    NoChoice {
        /// The path of the group's first layer.
        layer: String,
    },
    /// Too few multipliers for groups that may not have the same ones.
    #[error(
        "no set of {limit} multipliers was found that has one with a finite loss for every group"
    )]
    NoSubset {
        /// The most different multipliers.
        limit: usize,
    },
}

/// The front of energy and summed loss over all assignments that the space allows.
///
/// `losses` has a row for every group and in it a value for every multiplier; those that are missing or not finite are
/// not to be had, nor are those that the group may not have. Losses may be negative. See [`Solutions`] for what is
/// promised of the result; it depends on nothing but the arguments.
///
/// ```
/// use approx_explore::knapsack::{Limits, solve};
/// use approx_explore::space::{Choice, Layer, Space};
///
/// let layer = |path: &str| Layer { path: path.into(), multiplications: 10 };
/// let choice = |name: &str, energy| Choice { name: name.into(), hash: name.into(), energy };
/// let space = Space::new(vec![layer("a"), layer("b")], vec![choice("exact", 1.0), choice("cheap", 0.5)])?;
/// let losses = vec![vec![Some(0.0), Some(3.0)], vec![Some(0.0), Some(1.0)]];
/// let solutions = solve(&space, &losses, &Limits::default())?;
/// let assignments: Vec<_> = solutions.points.iter().map(|point| point.assignment.choices()).collect();
/// assert_eq!(assignments, [[1, 1], [0, 1], [0, 0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A table of another shape, or a group for which no multiplier is left.
pub fn solve(
    space: &Space,
    losses: &[Vec<Option<f64>>],
    limits: &Limits,
) -> Result<Solutions, KnapsackError> {
    let options = Options::new(space, losses)?;
    let useful = options.choices();
    match space.most_multipliers() {
        Some(limit) if limit < useful.len() => {
            subsets::solve(space, losses, &options, &useful, limit, limits)
        }
        _ => {
            let (points, energy_error) = dynamic::front(&options, limits.points);
            let points = points
                .into_iter()
                .map(|assignment| evaluate(space, losses, assignment));
            Ok(Solutions {
                points: undominated(points.collect()),
                energy_error,
                coverage: Coverage::All,
            })
        }
    }
}

/// Sums up an assignment, always in the order of the groups.
fn evaluate(space: &Space, losses: &[Vec<Option<f64>>], choices: Vec<usize>) -> Solution {
    let rows = losses.iter().zip(&choices);
    let loss = rows.filter_map(|(row, choice)| row[*choice]).sum();
    let assignment = Assignment::new(choices);
    Solution {
        energy: space.energy(&assignment),
        assignment,
        loss,
    }
}

/// Those that no other beats, in order of energy.
fn undominated(mut points: Vec<Solution>) -> Vec<Solution> {
    points.sort_by(|one, other| -> Ordering {
        (one.energy.total_cmp(&other.energy))
            .then(one.loss.total_cmp(&other.loss))
            .then_with(|| one.assignment.cmp(&other.assignment))
    });
    let mut least = f64::INFINITY;
    points.retain(|point| {
        let is_better = point.loss < least;
        least = least.min(point.loss);
        is_better
    });
    points
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::space::{Choice, Group, Layer};

    type Losses = Vec<Vec<Option<f64>>>;

    /// Small spaces with tied layers, restricted choices and limits, and losses for them, some of them missing.
    fn problems() -> impl Strategy<Value = (Space, Losses)> {
        let layer = (1_u64..40, 0_usize..4, any::<u8>());
        let row = prop::collection::vec(prop::option::weighted(0.9, -2_i32..12), 4);
        (
            prop::collection::vec(layer, 1..7),
            prop::collection::vec(1_u32..100, 3),
            prop::collection::vec(row, 4),
            prop::option::of(1_usize..4),
        )
            .prop_map(|(layers, energies, rows, limit)| problem(&layers, &energies, &rows, limit))
    }

    fn problem(
        layers: &[(u64, usize, u8)],
        energies: &[u32],
        rows: &[Vec<Option<i32>>],
        limit: Option<usize>,
    ) -> (Space, Losses) {
        let cheap = energies.iter().map(|energy| f64::from(*energy) / 100.0);
        let choice = |(index, energy): (usize, f64)| Choice {
            name: index.to_string(),
            hash: index.to_string(),
            energy,
        };
        let choices = [1.0]
            .into_iter()
            .chain(cheap)
            .enumerate()
            .map(choice)
            .collect();
        let layer = |(index, (multiplications, ..)): (usize, &(u64, usize, u8))| Layer {
            path: index.to_string(),
            multiplications: *multiplications,
        };
        let groups = (0..4).filter_map(|group| {
            let has = |index: &usize| layers[*index].1 == group;
            let own: Vec<usize> = (0..layers.len()).filter(has).collect();
            let mask = layers[*own.first()?].2;
            let choices = (0..4)
                .filter(|choice| *choice == 0 || mask >> choice & 1 == 1)
                .collect();
            Some(Group {
                layers: own,
                choices,
            })
        });
        let space = Space::new(layers.iter().enumerate().map(layer).collect(), choices).unwrap();
        let mut space = space.with_groups(groups.collect()).unwrap();
        if let Some(limit) = limit {
            space = space.with_most_multipliers(limit).unwrap();
        }
        let loss = |(choice, loss): (usize, &Option<i32>)| match (choice, loss) {
            (0, None) => Some(0.0),
            // Halves and a third decimal, so that ties are common but not the rule.
            (_, loss) => {
                loss.map(|loss| f64::from(loss * loss.abs()) * 0.5 + f64::from(loss) * 0.001)
            }
        };
        let rows = rows.iter().take(space.groups().len());
        let losses = rows
            .map(|row| row.iter().enumerate().map(loss).collect())
            .collect();
        (space, losses)
    }

    fn brute_force(space: &Space, losses: &Losses) -> Vec<Solution> {
        let groups = space.groups().len() as u32;
        let choices = space.choices().len();
        let digits = |number: usize| -> Vec<usize> {
            (0..groups)
                .map(|group| number / choices.pow(group) % choices)
                .collect()
        };
        let all = (0..choices.pow(groups)).map(digits).filter(|choices| {
            let rows = choices.iter().zip(losses);
            let has_loss = rows.into_iter().all(|(choice, row)| row[*choice].is_some());
            has_loss && space.allows(&Assignment::new(choices.clone()))
        });
        undominated(
            all.map(|choices| evaluate(space, losses, choices))
                .collect(),
        )
    }

    /// Whether a front holds, up to rounding and an error in energy, a point at least as good for every point of
    /// another.
    fn is_covered(front: &[Solution], expected: &[Solution], error: f64) -> bool {
        expected.iter().all(|wanted| {
            let is_good = |point: &Solution| {
                point.energy <= wanted.energy + error + 1e-9 && point.loss <= wanted.loss + 1e-9
            };
            front.iter().any(is_good)
        })
    }

    proptest! {
        #[test]
        fn finds_what_brute_force_finds((space, losses) in problems()) {
            let expected = brute_force(&space, &losses);
            let found = solve(&space, &losses, &Limits::default()).unwrap();
            prop_assert_eq!(found.coverage, Coverage::All);
            prop_assert!(found.energy_error <= 1e-9);
            prop_assert!(is_covered(&found.points, &expected, 0.0));
            prop_assert!(is_covered(&expected, &found.points, 0.0));
            prop_assert!(found.points.iter().all(|point| space.allows(&point.assignment)));
        }

        #[test]
        fn error_of_thinning_is_bounded((space, losses) in problems(), points in 2_usize..6) {
            let expected = brute_force(&space, &losses);
            let found = solve(&space, &losses, &Limits::default().with_points(points)).unwrap();
            prop_assert!(is_covered(&found.points, &expected, found.energy_error));
            prop_assert!(is_covered(&expected, &found.points, 0.0));
        }

        #[test]
        fn promising_sets_are_allowed((space, losses) in problems()) {
            let expected = brute_force(&space, &losses);
            let found = solve(&space, &losses, &Limits::default().with_subsets(1)).unwrap();
            prop_assert!(is_covered(&expected, &found.points, 0.0));
            prop_assert!(found.points.iter().all(|point| space.allows(&point.assignment)));
        }
    }

    /// A space of groups with the same number of products and losses that grow as energies fall.
    fn steep(groups: usize, choices: usize) -> (Space, Losses) {
        let layer = |group: usize| Layer {
            path: group.to_string(),
            multiplications: 10 + (group % 3) as u64,
        };
        let energy = |choice: usize| 1.0 - 0.9 * choice as f64 / choices as f64;
        let choice = |choice: usize| Choice {
            name: choice.to_string(),
            hash: choice.to_string(),
            energy: energy(choice),
        };
        let space = Space::new(
            (0..groups).map(layer).collect(),
            (0..choices).map(choice).collect(),
        )
        .unwrap();
        let loss = |group: usize, choice: usize| {
            let wobble = ((group * 37 + choice * 101) % 17) as f64 / 17.0;
            (1.0 - energy(choice)).powi(3) * (1.0 + wobble) * (1.0 + (group * 13 % 7) as f64)
        };
        let row = |group| {
            (0..choices)
                .map(|choice| Some(loss(group, choice)))
                .collect()
        };
        let losses = (0..groups).map(row).collect();
        (space, losses)
    }

    #[test]
    fn promising_sets_are_near_the_best() {
        let (space, losses) = steep(8, 10);
        let space = space.with_most_multipliers(3).unwrap();
        let all = solve(&space, &losses, &Limits::default()).unwrap();
        let some = solve(&space, &losses, &Limits::default().with_subsets(50)).unwrap();
        assert_eq!(
            (all.coverage, some.coverage),
            (Coverage::All, Coverage::Promising)
        );
        assert!(is_covered(&some.points, &all.points, 0.03));
    }

    #[test]
    fn many_groups_keep_within_the_limit() {
        let (space, losses) = steep(54, 51);
        let found = solve(&space, &losses, &Limits::default().with_points(500)).unwrap();
        assert!(found.points.len() <= 501 && found.points.len() > 100);
        assert!(found.energy_error > 1e-9 && found.energy_error < 0.1);
    }

    #[test]
    fn refuses_what_has_no_solution() {
        let (space, mut losses) = steep(2, 3);
        losses[1] = vec![None, Some(f64::NAN), Some(f64::INFINITY)];
        let no_choice = solve(&space, &losses, &Limits::default());
        assert_eq!(
            no_choice,
            Err(KnapsackError::NoChoice { layer: "1".into() })
        );
        losses.pop();
        assert!(matches!(
            solve(&space, &losses, &Limits::default()),
            Err(KnapsackError::Shape { .. })
        ));
        let apart = vec![vec![None, Some(1.0), None], vec![None, None, Some(1.0)]];
        let space = space.with_most_multipliers(1).unwrap();
        let no_subset = solve(&space, &apart, &Limits::default());
        assert_eq!(no_subset, Err(KnapsackError::NoSubset { limit: 1 }));
    }
}
