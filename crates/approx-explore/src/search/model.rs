//! What an assignment is expected to lose, learnt from what was measured.
//!
//! The sum `S` of the sensitivities of an assignment's changes predicts its loss `L` well, but not exactly. On a
//! logarithmic scale, where noise and errors of prediction are about even, `ln(L + e) = a + b ln(S + e) + r`, with a
//! small offset `e`, a straight line and a remainder `r`. The remainder is a Gaussian process (Rasmussen and Williams,
//! Gaussian Processes for Machine Learning, 2006, chapter 2), which is a ridge regression with as many features as one
//! likes. It has five parts:
//!
//! - every change has an error of its own: its sensitivity was measured on few images, or predicted;
//! - every multiplier has an error that its changes share: what leans to one side does so in every layer;
//! - every two changes of neighbouring groups have one: they amplify or cancel each other;
//! - every two multipliers have one that all pairs of their changes share: errors that lean to one side add up as
//!   amplitudes do, the roots of losses;
//! - assignments that agree in most groups have similar remainders, for reasons unknown.
//!
//! All but the last count by a change's part in `S`. The first two give back corrected sensitivities, which add up, so
//! that the knapsack can be solved with them. How large each part is, is chosen by the likelihood of what was measured.
//! From the loss to the accuracy leads a rising curve.

use super::linear::{Cholesky, dot};
use super::link::Link;
use crate::space::Assignment;

mod features;

use features::Features;
pub(super) use features::Scales;

/// The least part of the offset that a change counts.
const LEAST_COST: f64 = 0.02;
/// The offset when nothing is known.
const OFFSET: f64 = 0.01;
/// The most that a sensitivity is corrected by, as a logarithm.
const MOST_CORRECTION: f64 = 1.5;
/// With more observations than this, the scales of the earlier model stay: they are known well enough.
const ENOUGH: usize = 250;
/// The parts' standard deviations are searched within these.
const SCALES: (f64, f64) = (0.01, 3.0);

/// Something that was measured.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    pub assignment: Assignment,
    /// The mean cross-entropy minus that of the exact network on the same images.
    pub increase: f64,
    /// The points of accuracy lost, likewise.
    pub drop: f64,
    /// The part of all images that it was measured on.
    pub part: f64,
}

/// An expected loss of accuracy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prediction {
    /// The points lost.
    pub drop: f64,
    /// The standard error of that.
    pub error: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    costs: Vec<Vec<Option<f64>>>,
    offset: f64,
    line: (f64, f64),
    scales: Scales,
    observed: Vec<Features>,
    factor: Option<Cholesky>,
    weights: Vec<f64>,
    link: Link,
    /// The standard deviation of accuracies around the curve.
    spread: f64,
}

impl Model {
    /// Fits a model to what was measured, starting from sensitivities and from the scales of an earlier model.
    pub fn fit(prior: &[Vec<Option<f64>>], observations: &[Observation], scales: Scales) -> Self {
        let offset = offset(observations);
        // What seems to do no harm, or good, is given a little, so that every change has a part that can be corrected.
        let positive = |cost: &Option<f64>| {
            cost.filter(|cost| cost.is_finite())
                .map(|cost| cost.max(LEAST_COST * offset))
        };
        let costs = prior.iter().map(|row| {
            let mut row: Vec<Option<f64>> = row.iter().map(positive).collect();
            row[0] = Some(0.0);
            row
        });
        let mut model = Self {
            costs: costs.collect(),
            offset,
            line: (0.0, 1.0),
            scales,
            observed: Vec::new(),
            factor: None,
            weights: Vec::new(),
            link: Link::new(vec![(0.0, 0.0, 1.0)]),
            spread: 0.1,
        };
        let known: Vec<(Features, &Observation)> = (observations.iter())
            .filter_map(|observation| {
                Some((
                    Features::of(&model.costs, offset, &observation.assignment)?,
                    observation,
                ))
            })
            .collect();
        if known.is_empty() {
            return model;
        }
        let logarithm =
            |observation: &Observation| (observation.increase.max(-0.5 * offset) + offset).ln();
        let targets: Vec<f64> = known
            .iter()
            .map(|(_, observation)| logarithm(observation))
            .collect();
        let with_target = || known.iter().zip(&targets);
        let points = with_target()
            .map(|((_, observation), target)| (*target, observation.drop, observation.part));
        model.link = Link::new(points.collect());
        let apart = with_target().map(|((_, observation), target)| {
            observation.part * (observation.drop - model.link.at(*target).0).powi(2)
        });
        let parts: f64 = known.iter().map(|(_, observation)| observation.part).sum();
        model.spread = (apart.sum::<f64>() / parts).sqrt().max(0.05);
        let points: Vec<(f64, f64, f64)> = with_target()
            .map(|((features, observation), target)| (features.sum, *target, observation.part))
            .collect();
        model.line = line(&points);
        let (intercept, slope) = model.line;
        let remainders: Vec<f64> = points
            .iter()
            .map(|(sum, target, _)| target - intercept - slope * sum)
            .collect();
        let noises: Vec<f64> = with_target()
            .map(|((_, observation), target)| {
                (1.0 + offset / target.exp()).powi(2) / observation.part
            })
            .collect();
        model.observed = known.into_iter().map(|(features, _)| features).collect();
        match model.observed.len() <= ENOUGH {
            true => model.choose_scales(&remainders, &noises),
            false => _ = model.likelihood(&remainders, &noises),
        }
        model
    }

    /// The sensitivities, corrected by what was measured.
    pub fn costs(&self) -> Vec<Vec<Option<f64>>> {
        let [own, shared, ..] = self.scales.values.map(|scale| scale * scale);
        let mut corrections = vec![vec![0.0; self.costs[0].len()]; self.costs.len()];
        let mut of_choices = vec![0.0; self.costs[0].len()];
        for (features, weight) in self.observed.iter().zip(&self.weights) {
            for (group, (choice, part)) in features.choices.iter().zip(&features.parts).enumerate()
            {
                corrections[group][*choice] += own * weight * part;
            }
            for (correction, part) in of_choices.iter_mut().zip(&features.of_choices) {
                *correction += shared * weight * part;
            }
        }
        let rows = self.costs.iter().zip(corrections);
        let row = |(costs, corrections): (&Vec<Option<f64>>, Vec<f64>)| -> Vec<Option<f64>> {
            let cells = costs.iter().zip(corrections.iter().zip(&of_choices));
            let corrected = |(cost, (own, shared)): (&Option<f64>, (&f64, &f64))| {
                let by = ((own + shared) / self.line.1).clamp(-MOST_CORRECTION, MOST_CORRECTION);
                cost.map(|cost| cost * by.exp())
            };
            cells.map(corrected).collect()
        };
        rows.map(row).collect()
    }

    /// How often every change was measured, counted by the part of it in the sums, by which it is known.
    pub fn evidence(&self) -> Vec<Vec<f64>> {
        let mut evidence = vec![vec![0.0; self.costs[0].len()]; self.costs.len()];
        for features in &self.observed {
            for (group, (choice, part)) in features.choices.iter().zip(&features.parts).enumerate()
            {
                evidence[group][*choice] += part * self.costs.len() as f64;
            }
        }
        evidence
    }

    /// What a sum of corrected sensitivities lets expect, in points of accuracy lost. Rough, but cheap.
    pub fn of_sum(&self, sum: f64) -> f64 {
        self.link
            .at(self.line.0 + self.line.1 * (sum + self.offset).ln())
            .0
    }

    /// What is expected of an assignment; `None` if it has a change whose sensitivity is unknown.
    pub fn predict(&self, assignment: &Assignment) -> Option<Prediction> {
        let features = Features::of(&self.costs, self.offset, assignment)?;
        let covariances: Vec<f64> = self
            .observed
            .iter()
            .map(|other| self.scales.covariance(&features, other))
            .collect();
        let remainder = dot(&covariances, &self.weights);
        let own = self.scales.covariance(&features, &features);
        let known = self.factor.as_ref().map_or(0.0, |factor| {
            let reduced = factor.forward(&covariances);
            dot(&reduced, &reduced)
        });
        let (drop, slope) = self
            .link
            .at(self.line.0 + self.line.1 * features.sum + remainder);
        let error = slope * slope * (own - known).max(0.0) + self.spread * self.spread;
        Some(Prediction {
            drop,
            error: error.sqrt(),
        })
    }

    /// The points lost that are expected of an assignment, without the error.
    pub fn expect(&self, assignment: &Assignment) -> Option<f64> {
        let features = Features::of(&self.costs, self.offset, assignment)?;
        let others = self.observed.iter().zip(&self.weights);
        let remainder: f64 = others
            .map(|(other, weight)| weight * self.scales.covariance(&features, other))
            .sum();
        Some(
            self.link
                .at(self.line.0 + self.line.1 * features.sum + remainder)
                .0,
        )
    }

    /// The scales that were chosen.
    pub fn scales(&self) -> Scales {
        self.scales
    }

    /// Goes once over the scales and takes for each the half, the same or the double, whichever is most likely.
    fn choose_scales(&mut self, remainders: &[f64], noises: &[f64]) {
        let mut best = self.likelihood(remainders, noises);
        let mut chosen = self.solution();
        for scale in 0..self.scales.values.len() {
            let value = self.scales.values[scale];
            for factor in [0.5, 2.0] {
                let before = self.scales;
                self.scales.values[scale] = (value * factor).clamp(SCALES.0, SCALES.1);
                let likelihood = self.likelihood(remainders, noises);
                if likelihood > best {
                    best = likelihood;
                    chosen = self.solution();
                } else {
                    self.scales = before;
                }
            }
        }
        (self.factor, self.weights) = chosen;
    }

    fn solution(&self) -> (Option<Cholesky>, Vec<f64>) {
        (self.factor.clone(), self.weights.clone())
    }

    /// Solves for the weights with the present scales, and gives the logarithm of the likelihood, up to a constant.
    fn likelihood(&mut self, remainders: &[f64], noises: &[f64]) -> f64 {
        let noise = self.scales.values[5] * self.scales.values[5];
        let row = |(index, one): (usize, &Features)| -> Vec<f64> {
            let mut row: Vec<f64> = self.observed[..=index]
                .iter()
                .map(|other| self.scales.covariance(one, other))
                .collect();
            row[index] += noise * noises[index];
            row
        };
        let matrix: Vec<Vec<f64>> = self.observed.iter().enumerate().map(row).collect();
        self.factor = Cholesky::new(&matrix);
        self.weights = match &self.factor {
            Some(factor) => factor.solve(remainders),
            None => vec![0.0; remainders.len()],
        };
        self.factor.as_ref().map_or(f64::NEG_INFINITY, |factor| {
            -0.5 * (dot(remainders, &self.weights) + factor.log_determinant())
        })
    }
}

/// A tenth of the median increase of what lost some accuracy.
fn offset(observations: &[Observation]) -> f64 {
    let increases = observations.iter().map(|observation| observation.increase);
    let mut increases: Vec<f64> = increases.filter(|increase| *increase > 0.0).collect();
    increases.sort_by(f64::total_cmp);
    increases
        .get(increases.len() / 2)
        .map_or(OFFSET, |median| (0.1 * median).max(1e-6))
}

/// The straight line through points with weights, by least squares; with few points, one of slope 1.
fn line(points: &[(f64, f64, f64)]) -> (f64, f64) {
    let weights: f64 = points.iter().map(|(.., weight)| weight).sum();
    let mean = |value: &dyn Fn(&(f64, f64, f64)) -> f64| -> f64 {
        points
            .iter()
            .map(|point| point.2 * value(point))
            .sum::<f64>()
            / weights
    };
    let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
    let product = mean(&|point| (point.0 - x) * (point.1 - y));
    let square = mean(&|point| (point.0 - x).powi(2));
    // As if half a point's worth of evidence said that the slope is 1.
    let prior = 0.5 / weights;
    let slope = ((product + prior) / (square + prior)).clamp(0.4, 2.5);
    (y - slope * x, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation(choices: &[usize], increase: f64) -> Observation {
        Observation {
            assignment: Assignment::new(choices.to_vec()),
            increase,
            drop: 10.0 * increase,
            part: 1.0,
        }
    }

    fn observations(costs: &[[f64; 3]; 4]) -> Vec<Observation> {
        let all = (1..81).step_by(2).map(|number: usize| -> Vec<usize> {
            (0..4)
                .map(|group| number / 3_usize.pow(group) % 3)
                .collect()
        });
        all.map(|choices| {
            let increase = choices
                .iter()
                .zip(costs)
                .map(|(choice, row)| row[*choice])
                .sum();
            observation(&choices, increase)
        })
        .collect()
    }

    fn prior(costs: &[[f64; 3]; 4]) -> Vec<Vec<Option<f64>>> {
        costs
            .iter()
            .map(|row| row.iter().map(|cost| Some(*cost)).collect())
            .collect()
    }

    #[test]
    fn corrects_a_wrong_sensitivity() {
        let truth = [
            [0.0, 0.1, 0.5],
            [0.0, 0.2, 0.6],
            [0.0, 0.1, 0.3],
            [0.0, 0.3, 0.9],
        ];
        let mut wrong = truth;
        wrong[2][2] = 0.9;
        let model = Model::fit(&prior(&wrong), &observations(&truth), Scales::default());
        let corrected = model.costs();
        let ratio =
            |group: usize, choice: usize| corrected[group][choice].unwrap() / truth[group][choice];
        // What matters to a knapsack is how costs compare: the wrong one was three times too large.
        assert!(ratio(2, 2) / ratio(0, 2) < 1.8 && ratio(2, 2) / ratio(3, 2) < 1.8);
        let held_out = Assignment::new(vec![2, 0, 2, 0]);
        let before = Model::fit(&prior(&wrong), &[], Scales::default());
        assert!(before.predict(&held_out).is_some());
        assert!((model.predict(&held_out).unwrap().drop - 8.0).abs() < 1.0);
    }

    #[test]
    fn is_surer_of_what_it_has_seen() {
        let truth = [
            [0.0, 0.1, 0.5],
            [0.0, 0.2, 0.6],
            [0.0, 0.1, 0.3],
            [0.0, 0.3, 0.9],
        ];
        let mut seen = observations(&truth);
        seen.retain(|observation| observation.assignment.choices()[0] != 1);
        let model = Model::fit(&prior(&truth), &seen, Scales::default());
        let error = |choices: &[usize]| {
            model
                .predict(&Assignment::new(choices.to_vec()))
                .unwrap()
                .error
        };
        assert!(error(&[0, 2, 0, 0]) < error(&[1, 2, 0, 0]));
    }

    #[test]
    fn knows_nothing_of_unknown_changes() {
        let model = Model::fit(&[vec![Some(0.0), None]], &[], Scales::default());
        assert!(model.predict(&Assignment::new(vec![1])).is_none());
    }
}
