//! What is chosen among: layers, the multipliers that each may have, and what an assignment of them takes of energy.
//!
//! Energies are shares: 1 is the energy of all multiplications of one input with the exact multiplier of the baseline.

use serde::{Deserialize, Serialize};

/// A layer of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Its path in the network.
    pub path: String,
    /// How many products it computes for one input.
    pub multiplications: u64,
}

/// A multiplier that a layer may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// What it is called.
    pub name: String,
    /// The hash of what it computes.
    pub hash: String,
    /// The energy of one multiplication, in units of that of the exact baseline.
    pub energy: f64,
}

/// Layers that have the same multiplier, and which those are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The layers, by their numbers, in order.
    pub layers: Vec<usize>,
    /// The multipliers that they may have, by their numbers, in order; the exact one, number 0, is always among them.
    pub choices: Vec<usize>,
}

/// Layers, multipliers and what binds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Space {
    layers: Vec<Layer>,
    choices: Vec<Choice>,
    groups: Vec<Group>,
    most_multipliers: Option<usize>,
}

/// The multiplier of every group of a [`Space`], by its number; 0 is the exact one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Assignment(Vec<usize>);

/// Why layers and multipliers make no space.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpaceError {
    /// Nothing to choose for.
    #[error("there are no layers whose multiplications could be counted")]
    NoLayers,
    /// Nothing to choose.
    #[error("none of the multipliers needs less energy than the exact one: name one that does")]
    NothingCheaper,
    /// An energy that is none.
    #[error("the energy of `{choice}` is {energy}; it must be a number of at least 0")]
    Energy {
        /// The multiplier.
        choice: String,
        /// What was given.
        energy: f64,
    },
    /// Groups that are not a division of the layers.
    #[error("layer `{layer}` is in {found} groups; every layer must be in one")]
    Groups {
        /// The layer's path.
        layer: String,
        /// How many groups it is in.
        found: usize,
    },
    /// A group that may not have the exact multiplier, or has one that is not there.
    #[error(
        "the group of layer `{layer}` may have {choices:?}; it must be numbers in order from 0, the exact multiplier, and below {count}"
    )]
    Choices {
        /// The first layer's path.
        layer: String,
        /// The numbers.
        choices: Vec<usize>,
        /// How many multipliers there are.
        count: usize,
    },
    /// A limit that leaves nothing to choose.
    #[error("at most 0 different multipliers were asked for; at least 1 is needed")]
    Limit,
}

impl Space {
    /// A space in which every layer may have any multiplier. The first choice is the exact multiplier.
    ///
    /// ```
    /// use approx_explore::space::{Assignment, Choice, Layer, Space};
    ///
    /// let layer = |path: &str, multiplications| Layer { path: path.into(), multiplications };
    /// let choice = |name: &str, energy| Choice { name: name.into(), hash: name.into(), energy };
    /// let layers = vec![layer("a", 300), layer("b", 100)];
    /// let space = Space::new(layers, vec![choice("exact", 1.0), choice("cheap", 0.5)])?;
    /// assert_eq!(space.energy(&Assignment::new(vec![1, 0])), 0.625);
    /// assert_eq!(space.energy(&space.uniform(1)), 0.5);
    /// # Ok::<(), approx_explore::space::SpaceError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// No layers with multiplications, an energy that is none, or no multiplier that needs less than the exact one.
    pub fn new(layers: Vec<Layer>, choices: Vec<Choice>) -> Result<Self, SpaceError> {
        if layers.iter().all(|layer| layer.multiplications == 0) {
            return Err(SpaceError::NoLayers);
        }
        if let Some(wrong) =
            (choices.iter()).find(|choice| !(choice.energy >= 0.0 && choice.energy.is_finite()))
        {
            return Err(SpaceError::Energy {
                choice: wrong.name.clone(),
                energy: wrong.energy,
            });
        }
        if !choices
            .iter()
            .skip(1)
            .any(|choice| choice.energy < choices[0].energy)
        {
            return Err(SpaceError::NothingCheaper);
        }
        let all: Vec<usize> = (0..choices.len()).collect();
        let groups = (0..layers.len()).map(|layer| Group {
            layers: vec![layer],
            choices: all.clone(),
        });
        Ok(Self {
            groups: groups.collect(),
            layers,
            choices,
            most_multipliers: None,
        })
    }

    /// The same with layers bound in groups.
    ///
    /// # Errors
    ///
    /// Groups that do not hold every layer once, or whose choices are not numbers in order from 0.
    pub fn with_groups(self, groups: Vec<Group>) -> Result<Self, SpaceError> {
        let mut counts = vec![0; self.layers.len()];
        for group in &groups {
            let is_ordered = group.choices.is_sorted_by(|one, next| one < next);
            let is_known = group
                .choices
                .last()
                .is_some_and(|last| *last < self.choices.len());
            if !is_ordered || !is_known || group.choices[0] != 0 {
                let first = group
                    .layers
                    .first()
                    .and_then(|layer| self.layers.get(*layer));
                return Err(SpaceError::Choices {
                    layer: first.map_or(String::new(), |layer| layer.path.clone()),
                    choices: group.choices.clone(),
                    count: self.choices.len(),
                });
            }
            for layer in &group.layers {
                if let Some(count) = counts.get_mut(*layer) {
                    *count += 1;
                }
            }
        }
        match counts.iter().position(|count| *count != 1) {
            Some(layer) => Err(SpaceError::Groups {
                layer: self.layers[layer].path.clone(),
                found: counts[layer],
            }),
            None => Ok(Self { groups, ..self }),
        }
    }

    /// The same with at most this many different multipliers in one assignment, the exact one among them if it is used.
    ///
    /// # Errors
    ///
    /// A limit of 0.
    pub fn with_most_multipliers(self, limit: usize) -> Result<Self, SpaceError> {
        match limit {
            0 => Err(SpaceError::Limit),
            _ => Ok(Self {
                most_multipliers: Some(limit),
                ..self
            }),
        }
    }

    /// The layers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The multipliers; the first is the exact one.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// The groups of layers that have the same multiplier.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The most different multipliers that an assignment may have.
    pub fn most_multipliers(&self) -> Option<usize> {
        self.most_multipliers
    }

    /// The assignment of the exact multiplier to all layers.
    pub fn exact(&self) -> Assignment {
        Assignment(vec![0; self.groups.len()])
    }

    /// The assignment of one multiplier to all groups that may have it, and of the exact one to the others.
    pub fn uniform(&self, choice: usize) -> Assignment {
        let of_group = |group: &Group| {
            if group.choices.contains(&choice) {
                choice
            } else {
                0
            }
        };
        Assignment(self.groups.iter().map(of_group).collect())
    }

    /// The assignment that takes the least energy, whatever the limit of different multipliers: no allowed one takes less.
    pub fn cheapest(&self) -> Assignment {
        let of_group = |group: &Group| {
            let energy = |choice: &usize| self.choices[*choice].energy;
            let choices = group.choices.iter().copied();
            choices.min_by(|one, other| energy(one).total_cmp(&energy(other)))
        };
        let choices = self.groups.iter().map(|group| of_group(group).unwrap_or(0));
        Assignment::new(choices.collect())
    }

    /// Whether some allowed assignment takes less energy than the exact one.
    pub fn can_save(&self) -> bool {
        let saves = |choice: usize| self.choices[choice].energy < self.choices[0].energy;
        match self.most_multipliers {
            Some(1) => (1..self.choices.len()).any(|choice| {
                let has = |group: &Group| group.choices.contains(&choice);
                saves(choice) && self.groups.iter().all(has)
            }),
            _ => {
                (self.groups.iter()).any(|group| group.choices.iter().any(|choice| saves(*choice)))
            }
        }
    }

    /// The share of a group in all multiplications.
    pub fn share(&self, group: usize) -> f64 {
        self.count(&self.groups[group]) as f64 / self.multiplications() as f64
    }

    /// The products of all layers for one input.
    pub fn multiplications(&self) -> u64 {
        self.layers.iter().map(|layer| layer.multiplications).sum()
    }

    fn count(&self, group: &Group) -> u64 {
        let count = |layer: &usize| self.layers[*layer].multiplications;
        group.layers.iter().map(count).sum()
    }

    /// What an assignment takes of energy, where 1 is what the baseline takes. A uniform assignment takes exactly its
    /// multiplier's energy.
    ///
    /// # Panics
    ///
    /// If it is an assignment of another space.
    pub fn energy(&self, assignment: &Assignment) -> f64 {
        assert_eq!(
            assignment.0.len(),
            self.groups.len(),
            "an assignment of another space"
        );
        let mut counts = vec![0; self.choices.len()];
        for (group, choice) in self.groups.iter().zip(&assignment.0) {
            counts[*choice] += self.count(group);
        }
        let all = self.multiplications() as f64;
        let of_choice = |(choice, count): (&Choice, &u64)| *count as f64 / all * choice.energy;
        self.choices.iter().zip(&counts).map(of_choice).sum()
    }

    /// Whether the groups may have these multipliers, and so many different ones.
    pub fn allows(&self, assignment: &Assignment) -> bool {
        let groups = self.groups.iter().zip(&assignment.0);
        let limit = self.most_multipliers.unwrap_or(usize::MAX);
        assignment.0.len() == self.groups.len()
            && groups
                .into_iter()
                .all(|(group, choice)| group.choices.contains(choice))
            && assignment.multipliers().len() <= limit
    }

    /// The multiplier of every layer, by its number.
    pub fn of_layers(&self, assignment: &Assignment) -> Vec<usize> {
        let mut choices = vec![0; self.layers.len()];
        for (group, choice) in self.groups.iter().zip(&assignment.0) {
            for layer in &group.layers {
                choices[*layer] = *choice;
            }
        }
        choices
    }
}

impl Assignment {
    /// An assignment of these multipliers to the groups of a space, in order.
    pub fn new(choices: Vec<usize>) -> Self {
        Self(choices)
    }

    /// The multiplier of every group.
    pub fn choices(&self) -> &[usize] {
        &self.0
    }

    /// The assignment that differs in one group.
    pub fn with(&self, group: usize, choice: usize) -> Self {
        let mut changed = self.clone();
        changed.0[group] = choice;
        changed
    }

    /// The different multipliers in it, in order.
    pub fn multipliers(&self) -> Vec<usize> {
        let mut multipliers = self.0.clone();
        multipliers.sort_unstable();
        multipliers.dedup();
        multipliers
    }
}
