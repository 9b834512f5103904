//! Each multiplier everywhere.

use super::{SearchError, Settings, measure_affordable, start};
use crate::evaluator::Evaluator;
use crate::front::Front;
use crate::measure::Measure;
use crate::space::Assignment;

/// The front of the uniform assignments: each multiplier in all groups that may have it, the exact one in the others.
/// What most people try first; it has no settings.
///
/// ```
/// use approx_explore::{evaluator::Evaluator, search, synthetic::SyntheticNetwork};
///
/// let network = SyntheticNetwork::tiny(1);
/// let mut evaluator = Evaluator::new(network.space().clone(), network);
/// let front = search::uniform(&mut evaluator, &search::Settings::default())?;
/// assert!(front.points().len() <= 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If not even the exact network can be measured within the budget, or a measurement fails.
pub fn uniform<M: Measure>(
    evaluator: &mut Evaluator<M>,
    _settings: &Settings,
) -> Result<Front, SearchError<M::Error>> {
    let (mut archive, _) = start(evaluator)?;
    let space = evaluator.space().clone();
    let all = (1..space.choices().len()).map(|choice| space.uniform(choice));
    let allowed: Vec<Assignment> = all.filter(|assignment| space.allows(assignment)).collect();
    measure_affordable(evaluator, &allowed, &mut archive)?;
    Ok(Front::new(&space, archive))
}
