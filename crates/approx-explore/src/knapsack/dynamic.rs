//! Dynamic programming over the groups, keeping what no other beats.
//!
//! Energies are whole numbers of a unit so fine that it does not matter. Groups of the same size then have exactly the
//! same energies, and their exchange gives ties instead of points that differ by a rounding.

use super::KnapsackError;
use crate::space::Space;

/// The whole numbers that the largest energy of any assignment is split into.
const UNITS: f64 = (1_u64 << 44) as f64;

/// A multiplier that a group may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Choice {
    pub number: usize,
    pub energy: u64,
    pub loss: f64,
}

/// The multipliers that every group may have.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub groups: Vec<Vec<Choice>>,
    /// The energy of one unit.
    pub unit: f64,
}

impl Options {
    /// Those that the space allows and that have a finite loss.
    pub fn new(space: &Space, losses: &[Vec<Option<f64>>]) -> Result<Self, KnapsackError> {
        let (groups, choices) = (space.groups().len(), space.choices().len());
        let wrong = losses.iter().position(|row| row.len() != choices);
        if wrong.is_some() || losses.len() != groups {
            let row = wrong.unwrap_or(losses.len().saturating_sub(1));
            return Err(KnapsackError::Shape {
                rows: losses.len(),
                row,
                columns: losses.get(row).map_or(0, Vec::len),
                groups,
                choices,
            });
        }
        let largest = space
            .choices()
            .iter()
            .map(|choice| choice.energy)
            .fold(0.0, f64::max);
        let unit = largest / UNITS;
        let of_group = |(number, row): (usize, &Vec<Option<f64>>)| {
            let group = &space.groups()[number];
            let share = space.share(number);
            let choice = |choice: &usize| {
                let loss = row[*choice].filter(|loss| loss.is_finite())?;
                let energy = (share * space.choices()[*choice].energy / unit).round() as u64;
                Some(Choice {
                    number: *choice,
                    energy,
                    loss,
                })
            };
            let options: Vec<Choice> = group.choices.iter().filter_map(choice).collect();
            if options.is_empty() {
                let layer = group
                    .layers
                    .first()
                    .map(|layer| space.layers()[*layer].path.clone());
                return Err(KnapsackError::NoChoice {
                    layer: layer.unwrap_or_default(),
                });
            }
            Ok(options)
        };
        let groups = losses
            .iter()
            .enumerate()
            .map(of_group)
            .collect::<Result<_, _>>()?;
        Ok(Self { groups, unit })
    }

    /// The numbers of the multipliers that some group may have, in order.
    pub fn choices(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = self
            .groups
            .iter()
            .flatten()
            .map(|choice| choice.number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Only those of a set, given in order; `None` if a group is left without.
    pub fn of_subset(&self, subset: &[usize]) -> Option<Self> {
        let of_group = |options: &Vec<Choice>| {
            let is_in = |choice: &&Choice| subset.binary_search(&choice.number).is_ok();
            let options: Vec<Choice> = options.iter().filter(is_in).copied().collect();
            (!options.is_empty()).then_some(options)
        };
        let groups = self.groups.iter().map(of_group).collect::<Option<_>>()?;
        Some(Self {
            groups,
            unit: self.unit,
        })
    }
}

/// An assignment of the groups so far: the one of the groups before, and the number of the multiplier of the last one.
#[derive(Debug, Clone, Copy)]
struct Item {
    energy: u64,
    loss: f64,
    before: u32,
    choice: u32,
}

/// The assignments that no other beats, in order of energy, and the bound of the error in energy.
pub(super) fn front(options: &Options, most: usize) -> (Vec<Vec<usize>>, f64) {
    // Rounding to units: half a unit for each of two assignments in every group.
    let mut error = options.groups.len() as u64;
    let mut layer = vec![Item {
        energy: 0,
        loss: 0.0,
        before: 0,
        choice: 0,
    }];
    let mut steps: Vec<Vec<(u32, u32)>> = Vec::with_capacity(options.groups.len());
    for group in &options.groups {
        let shifted = |choice: &Choice| -> Vec<Item> {
            let item = |(before, item): (usize, &Item)| Item {
                energy: item.energy + choice.energy,
                loss: item.loss + choice.loss,
                before: before as u32,
                choice: choice.number as u32,
            };
            layer.iter().enumerate().map(item).collect()
        };
        let mut merged = merge_all(falling(sorted(group).into_iter()).iter().map(shifted));
        error += thin(&mut merged, most);
        steps.push(
            merged
                .iter()
                .map(|item| (item.before, item.choice))
                .collect(),
        );
        layer = merged;
    }
    let assignments = (0..layer.len()).map(|last| {
        let mut at = last;
        let choices = steps.iter().rev().map(|step| {
            let (before, choice) = step[at];
            at = before as usize;
            choice as usize
        });
        let mut choices: Vec<usize> = choices.collect();
        choices.reverse();
        choices
    });
    (assignments.collect(), error as f64 * options.unit)
}

/// The multipliers of a group in order of energy, of loss where energies are the same, and of their numbers.
pub(super) fn sorted(group: &[Choice]) -> Vec<Choice> {
    let mut sorted = group.to_vec();
    sorted.sort_by(|one, other| {
        (one.energy.cmp(&other.energy))
            .then(one.loss.total_cmp(&other.loss))
            .then(one.number.cmp(&other.number))
    });
    sorted
}

/// Of sorted multipliers, those that no other one beats.
pub(super) fn falling(sorted: impl Iterator<Item = Choice>) -> Vec<Choice> {
    let mut least = f64::INFINITY;
    let is_better = |choice: &Choice| {
        let is_better = choice.loss < least;
        least = least.min(choice.loss);
        is_better
    };
    sorted.filter(is_better).collect()
}

/// Merges lists of equal lengths two by two, those of two with those of two, and so on. So no more than one list of
/// every length waits, and what is beaten is gone early.
fn merge_all(lists: impl Iterator<Item = Vec<Item>>) -> Vec<Item> {
    let mut waiting: Vec<(u32, Vec<Item>)> = Vec::new();
    for list in lists {
        let mut next = (0, list);
        while let Some((depth, list)) = waiting.pop_if(|(depth, _)| *depth == next.0) {
            next = (depth + 1, merge(&list, &next.1));
        }
        waiting.push(next);
    }
    let merged = waiting.into_iter().map(|(_, list)| list).rev();
    merged
        .reduce(|later, earlier| merge(&earlier, &later))
        .unwrap_or_default()
}

/// Merges two lists in which energies rise and losses fall into one of the same kind.
fn merge(one: &[Item], other: &[Item]) -> Vec<Item> {
    let mut merged: Vec<Item> = Vec::with_capacity(one.len() + other.len());
    let mut least = f64::INFINITY;
    let (mut of_one, mut of_other) = (one.iter().peekable(), other.iter().peekable());
    loop {
        let next = match (of_one.peek(), of_other.peek()) {
            (Some(first), Some(second))
                if (second.energy, second.loss) < (first.energy, first.loss) =>
            {
                of_other.next()
            }
            (Some(_), _) => of_one.next(),
            (None, _) => of_other.next(),
        };
        match next {
            Some(item) if item.loss < least => {
                least = item.loss;
                merged.push(*item);
            }
            Some(_) => {}
            None => return merged,
        }
    }
}

/// Keeps of every cell of a grid of energies the item with the lowest loss, if there are more items than allowed. Gives
/// by how much that may raise the energy.
fn thin(items: &mut Vec<Item>, most: usize) -> u64 {
    let (Some(first), Some(last)) = (items.first(), items.last()) else {
        return 0;
    };
    if items.len() <= most {
        return 0;
    }
    let start = first.energy;
    let width = (last.energy - start) / most.max(1) as u64 + 1;
    let cell = |item: &Item| (item.energy - start) / width;
    // Losses fall, so the last of a cell is the one to keep. The first of all stays too: it takes the least energy.
    let kept = items.iter().enumerate().filter(|(index, item)| {
        let next = items.get(index + 1);
        *index == 0 || next.is_none_or(|next| cell(next) != cell(item))
    });
    *items = kept.map(|(_, item)| *item).collect();
    width - 1
}
