//! How much each multiplier hurts in each group of layers, alone.

use crate::evaluator::{EvaluateError, Evaluator};
use crate::measure::{Measure, Outcome};
use crate::space::{Assignment, Space};
use crate::statistics;

/// A table of what a change of one group alone does: a row for every group, a column for every multiplier.
///
/// ```
/// use approx_explore::{evaluator::Evaluator, sensitivity::Sensitivity, synthetic::SyntheticNetwork};
///
/// let network = SyntheticNetwork::tiny(1);
/// let space = network.space().clone();
/// let mut evaluator = Evaluator::new(space.clone(), network);
/// let measured = Sensitivity::measure(&mut evaluator, 2)?;
/// assert_eq!(measured.increase(0, 0), Some(0.0));
/// assert!(measured.increase(0, 3) > measured.increase(0, 1));
///
/// // One made of predictions, to be compared with it.
/// let predicted = vec![vec![Some(0.0), Some(0.1), Some(0.2), Some(0.5)]; 3];
/// let predicted = Sensitivity::from_increases(&space, predicted)?;
/// assert!(measured.spearman(&predicted).is_some_and(|correlation| correlation > 0.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    increases: Vec<Vec<Option<f64>>>,
    drops: Vec<Vec<Option<f64>>>,
}

/// Why there is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SensitivityError {
    /// A table of another shape.
    #[error(
        "the table has {groups} rows of {choices:?} columns; the space has {expected_groups} groups and \
         {expected_choices} multipliers"
    )]
    Shape {
        /// Its rows.
        groups: usize,
        /// Its columns, row by row.
        choices: Vec<usize>,
        /// The groups of the space.
        expected_groups: usize,
        /// The multipliers of the space.
        expected_choices: usize,
    },
    /// Another number of outcomes than of changes.
    #[error("{found} outcomes were given for {expected} changes of one group")]
    Outcomes {
        /// How many there should be.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// Outcomes on other images than those of the exact network.
    #[error(
        "an outcome is of {found} images, that of the exact network of {expected}: they must be the same ones"
    )]
    Images {
        /// The images of the exact network.
        expected: usize,
        /// Those of the other outcome.
        found: usize,
    },
}

impl Sensitivity {
    /// The assignments that change one group of the exact network, group by group, in the order of the multipliers. A
    /// limit on the number of different multipliers may forbid them in the end, but not here.
    pub fn single_changes(space: &Space) -> Vec<Assignment> {
        cells(space)
            .map(|(group, choice)| space.exact().with(group, choice))
            .collect()
    }

    /// The table of measured outcomes: that of the exact network, and those of all [single
    /// changes](Self::single_changes) in their order, on the same images.
    ///
    /// # Errors
    ///
    /// Another number of outcomes, or outcomes on another number of images.
    pub fn from_outcomes(
        space: &Space,
        exact: &Outcome,
        changed: &[Outcome],
    ) -> Result<Self, SensitivityError> {
        let cells: Vec<(usize, usize)> = cells(space).collect();
        if cells.len() != changed.len() {
            return Err(SensitivityError::Outcomes {
                expected: cells.len(),
                found: changed.len(),
            });
        }
        if let Some(other) = changed
            .iter()
            .find(|outcome| outcome.images() != exact.images())
        {
            return Err(SensitivityError::Images {
                expected: exact.images(),
                found: other.images(),
            });
        }
        let mut table = Self {
            increases: empty(space),
            drops: empty(space),
        };
        for ((group, choice), outcome) in cells.into_iter().zip(changed) {
            let increase = outcome.mean_loss() - exact.mean_loss();
            // A network whose outputs are no numbers could not do worse.
            let increase = if increase.is_nan() {
                f64::INFINITY
            } else {
                increase
            };
            table.increases[group][choice] = Some(increase);
            table.drops[group][choice] = Some(exact.accuracy() - outcome.accuracy());
        }
        Ok(table)
    }

    /// The table of losses that were predicted or come from elsewhere, with a row for every group and in it a value for
    /// every multiplier. Those that a group may not have are passed over, and those of the exact multiplier are 0.
    ///
    /// # Errors
    ///
    /// A table of another shape.
    pub fn from_increases(
        space: &Space,
        mut increases: Vec<Vec<Option<f64>>>,
    ) -> Result<Self, SensitivityError> {
        let (groups, choices) = (space.groups().len(), space.choices().len());
        if increases.len() != groups || increases.iter().any(|row| row.len() != choices) {
            return Err(SensitivityError::Shape {
                groups: increases.len(),
                choices: increases.iter().map(Vec::len).collect(),
                expected_groups: groups,
                expected_choices: choices,
            });
        }
        for (row, group) in increases.iter_mut().zip(space.groups()) {
            for (choice, increase) in row.iter_mut().enumerate() {
                if !group.choices.contains(&choice) || increase.is_some_and(f64::is_nan) {
                    *increase = None;
                }
            }
            row[0] = Some(0.0);
        }
        Ok(Self {
            increases,
            drops: empty(space),
        })
    }

    /// Measures it on the first blocks of images.
    ///
    /// # Errors
    ///
    /// Those of [`Evaluator::outcomes`].
    pub fn measure<M: Measure>(
        evaluator: &mut Evaluator<M>,
        blocks: usize,
    ) -> Result<Self, EvaluateError<M::Error>> {
        let space = evaluator.space().clone();
        let changes = Self::single_changes(&space);
        // One batch: a network may compute what the changes share only once.
        let assignments: Vec<Assignment> = [space.exact()].into_iter().chain(changes).collect();
        let outcomes = evaluator.outcomes_without_limit(&assignments, blocks)?;
        let mismatch = |error: SensitivityError| EvaluateError::Sensitivity(error);
        Self::from_outcomes(&space, &outcomes[0], &outcomes[1..]).map_err(mismatch)
    }

    /// The increase of the mean cross-entropy over that of the exact network, where it is known: 0 for the exact
    /// multiplier, perhaps negative, infinite for a network whose outputs are no numbers.
    pub fn increase(&self, group: usize, choice: usize) -> Option<f64> {
        *self.increases.get(group)?.get(choice)?
    }

    /// The points of accuracy lost, where they were measured.
    pub fn drop(&self, group: usize, choice: usize) -> Option<f64> {
        *self.drops.get(group)?.get(choice)?
    }

    /// All increases: a row for every group.
    pub fn increases(&self) -> &[Vec<Option<f64>>] {
        &self.increases
    }

    /// The sum of the increases of an assignment's changes, if all of them are known.
    pub fn sum(&self, assignment: &Assignment) -> Option<f64> {
        let cells = assignment.choices().iter().enumerate();
        cells
            .map(|(group, choice)| self.increase(group, *choice))
            .sum()
    }

    /// Spearman's rank correlation with another table, over all changes that both know.
    pub fn spearman(&self, other: &Self) -> Option<f64> {
        let rows = self.increases.iter().zip(&other.increases);
        let pairs = rows.flat_map(|(one, other)| one.iter().zip(other).skip(1));
        let known = pairs.filter_map(|(one, other)| Some(((*one)?, (*other)?)));
        let (one, other): (Vec<f64>, Vec<f64>) = known.unzip();
        statistics::spearman(&one, &other)
    }
}

/// All changes of one group: the group and the multiplier.
fn cells(space: &Space) -> impl Iterator<Item = (usize, usize)> {
    let groups = space.groups().iter().enumerate();
    groups.flat_map(|(group, of)| {
        let changes = of.choices.iter().filter(|choice| **choice != 0);
        changes.map(move |choice| (group, *choice))
    })
}

/// A table in which only the exact multiplier's values are known: 0.
fn empty(space: &Space) -> Vec<Vec<Option<f64>>> {
    let mut row = vec![None; space.choices().len()];
    row[0] = Some(0.0);
    vec![row; space.groups().len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Group;
    use crate::synthetic::SyntheticNetwork;

    #[test]
    fn tells_what_was_measured() {
        let network = SyntheticNetwork::tiny(2);
        let group = |layers: &[usize], choices: &[usize]| Group {
            layers: layers.to_vec(),
            choices: choices.to_vec(),
        };
        let groups = vec![group(&[0, 2], &[0, 3]), group(&[1], &[0, 1, 2])];
        let space = network.space().clone().with_groups(groups).unwrap();
        // The limit of one multiplier forbids every single change as an assignment, yet it can be measured.
        let space = space.with_most_multipliers(1).unwrap();
        let mut evaluator = Evaluator::new(space.clone(), network.with_space(space.clone()));
        let table = Sensitivity::measure(&mut evaluator, 1).unwrap();
        let exact = evaluator.outcomes(&[space.exact()], 1).unwrap().remove(0);
        let changed = evaluator
            .outcomes_without_limit(&[space.exact().with(0, 3)], 1)
            .unwrap()
            .remove(0);
        assert_eq!(
            table.increase(0, 3),
            Some(changed.mean_loss() - exact.mean_loss())
        );
        assert_eq!(
            table.drop(0, 3),
            Some(exact.accuracy() - changed.accuracy())
        );
        assert_eq!((table.increase(0, 1), table.increase(1, 3)), (None, None));
        assert_eq!(table.sum(&space.exact()), Some(0.0));
        assert_eq!(table.sum(&Assignment::new(vec![1, 0])), None);
        // The exact network and three changes.
        assert_eq!(evaluator.measured(), 4 * 500);
    }

    #[test]
    fn refuses_other_shapes() {
        let space = SyntheticNetwork::tiny(1).space().clone();
        let short = Sensitivity::from_increases(&space, vec![vec![Some(0.0); 4]; 2]);
        assert!(matches!(
            short,
            Err(SensitivityError::Shape { groups: 2, .. })
        ));
        let exact = Outcome {
            right: vec![true; 5],
            loss: 1.0,
        };
        let none = Sensitivity::from_outcomes(&space, &exact, &[]);
        assert_eq!(
            none,
            Err(SensitivityError::Outcomes {
                expected: 9,
                found: 0
            })
        );
    }
}
