//! What remainders have in common.

use super::super::linear::dot;
use crate::space::Assignment;

/// Standard deviations of the remainder's parts, and of the noise of a measurement on all images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Scales {
    pub(super) values: [f64; 6],
}

impl Default for Scales {
    fn default() -> Self {
        Self {
            values: [0.5, 0.25, 0.25, 0.25, 0.15, 0.05],
        }
    }
}

/// An assignment's parts in its sum.
#[derive(Debug, Clone)]
pub(super) struct Features {
    pub choices: Vec<usize>,
    /// The part of every group.
    pub parts: Vec<f64>,
    /// The part of every multiplier.
    pub of_choices: Vec<f64>,
    /// The sum of the roots of the parts of every multiplier.
    roots: Vec<f64>,
    /// The logarithm of the sum and the offset.
    pub sum: f64,
}

impl Features {
    /// Those of an assignment; `None` if one of its costs is unknown.
    pub fn of(costs: &[Vec<Option<f64>>], offset: f64, assignment: &Assignment) -> Option<Self> {
        let choices = assignment.choices().to_vec();
        let own: Vec<f64> = choices
            .iter()
            .zip(costs)
            .map(|(choice, row)| row[*choice])
            .collect::<Option<_>>()?;
        let sum = own.iter().sum::<f64>() + offset;
        let parts: Vec<f64> = own.iter().map(|cost| cost / sum).collect();
        let mut of_choices = vec![0.0; costs[0].len()];
        let mut roots = of_choices.clone();
        for (choice, part) in choices.iter().zip(&parts) {
            of_choices[*choice] += part;
            roots[*choice] += part.sqrt();
        }
        Some(Self {
            choices,
            parts,
            of_choices,
            roots,
            sum: sum.ln(),
        })
    }
}

impl Scales {
    /// The covariance of the remainders of two assignments.
    pub(super) fn covariance(&self, one: &Features, other: &Features) -> f64 {
        let [own, shared, neighbours, pairs, whole, _] = self.values.map(|scale| scale * scale);
        let groups = one.choices.len();
        let (mut of_own, mut of_neighbours, mut agreeing) = (0.0, 0.0, 0);
        let mut before = 0.0;
        for group in 0..groups {
            if one.choices[group] != other.choices[group] {
                before = 0.0;
                continue;
            }
            agreeing += 1;
            let both = one.parts[group] * other.parts[group];
            of_own += both;
            of_neighbours += (both * before).sqrt();
            before = both;
        }
        let differing = (groups - agreeing) as f64;
        own * of_own
            + shared * dot(&one.of_choices, &other.of_choices)
            + neighbours * of_neighbours
            + pairs * dot(&one.roots, &other.roots).powi(2) / groups as f64
            + whole * (-differing * 4.0 / groups as f64).exp()
    }
}
