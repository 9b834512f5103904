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
//!
//! What has collapsed says that its loss is at least that of the worst that has not. It counts, with that loss, where the
//! model would expect less: so one learns where not to look.
//!
//! Logarithms are of what is positive, and a change may do good: where the exact network is not at its best, such as on
//! images unlike those of its training. So losses are counted from where the best change of every group leads, not from
//! the exact network, as far as measurements bear out that there is so much to win: of many small gains in a table of
//! sensitivities the best are good by chance.

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
/// The loss of a network whose outputs are no numbers.
const LARGEST_LOSS: f64 = 10.0;
/// So many times the most that any measured assignment won may be won in all.
const MOST_GAIN: f64 = 1.5;
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
    /// Whether it has lost so much that how much says little: a loss ends somewhere, and what leads there does not.
    pub has_collapsed: bool,
}

/// An expected loss of accuracy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prediction {
    /// The points lost.
    pub drop: f64,
    /// The standard error of that.
    pub error: f64,
}

/// An observation as the model sees it.
#[derive(Debug)]
struct Known {
    features: Features,
    /// The logarithm of its loss.
    target: f64,
    drop: f64,
    part: f64,
    has_collapsed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    costs: Vec<Vec<Option<f64>>>,
    /// What losses are counted from, below that of the exact network.
    gain: f64,
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
        let (costs, gain) = counted_from_the_best(prior, observations);
        // What seems to do no harm is given a little, so that every change has a part that can be corrected.
        let positive = |(choice, cost): (usize, Option<f64>)| match choice {
            0 => cost,
            _ => cost.map(|cost| cost.max(LEAST_COST * offset)),
        };
        let costs = costs.into_iter();
        let costs = costs.map(|row| row.into_iter().enumerate().map(positive).collect());
        let mut model = Self {
            costs: costs.collect(),
            gain,
            offset,
            line: (0.0, 1.0),
            scales,
            observed: Vec::new(),
            factor: None,
            weights: Vec::new(),
            link: Link::new(vec![(0.0, 0.0, 1.0)]),
            spread: 0.1,
        };
        let (collapsed, mut known): (Vec<Known>, Vec<Known>) = observations
            .iter()
            .filter_map(|observation| model.known(observation))
            .partition(|known| known.has_collapsed);
        match known.is_empty() {
            true => model.fit_link(&collapsed),
            false => model.fit_link(&known),
        }
        model.fit_losses(&known);
        let worst = known
            .iter()
            .map(|known| known.target)
            .max_by(f64::total_cmp);
        let unexpected = collapsed.into_iter().filter_map(|mut known| {
            known.target = worst.unwrap_or(f64::INFINITY).min(known.target);
            (model.loss(&known.features) < known.target).then_some(known)
        });
        let unexpected: Vec<Known> = unexpected.collect();
        if !unexpected.is_empty() {
            known.extend(unexpected);
            model.fit_losses(&known);
        }
        model
    }

    /// An observation as the model sees it; `None` if it has a change whose sensitivity is unknown.
    fn known(&self, observation: &Observation) -> Option<Known> {
        let increase = match observation.increase.is_finite() {
            true => observation.increase,
            false => LARGEST_LOSS,
        };
        let loss = (increase + self.gain).max(-0.5 * self.offset) + self.offset;
        Some(Known {
            features: Features::of(&self.costs, self.offset, &observation.assignment)?,
            target: loss.ln(),
            drop: observation.drop,
            part: observation.part,
            has_collapsed: observation.has_collapsed,
        })
    }

    /// Fits the curve from losses to accuracies.
    fn fit_link(&mut self, known: &[Known]) {
        if known.is_empty() {
            return;
        }
        let points = known
            .iter()
            .map(|known| (known.target, known.drop, known.part));
        self.link = Link::new(points.collect());
        let apart = |known: &Known| known.part * (known.drop - self.link.at(known.target)).powi(2);
        let parts: f64 = known.iter().map(|known| known.part).sum();
        self.spread = (known.iter().map(apart).sum::<f64>() / parts)
            .sqrt()
            .max(0.05);
    }

    /// Fits what leads from sensitivities to losses.
    fn fit_losses(&mut self, known: &[Known]) {
        if known.is_empty() {
            return;
        }
        let points: Vec<(f64, f64, f64)> = (known.iter())
            .map(|known| (known.features.sum, known.target, known.part))
            .collect();
        self.line = line(&points);
        let (intercept, slope) = self.line;
        let remainders: Vec<f64> = points
            .iter()
            .map(|(sum, target, _)| target - intercept - slope * sum)
            .collect();
        let noise = |known: &Known| (1.0 + self.offset / known.target.exp()).powi(2) / known.part;
        let noises: Vec<f64> = known.iter().map(noise).collect();
        self.observed = known.iter().map(|known| known.features.clone()).collect();
        match self.observed.len() <= ENOUGH {
            true => self.choose_scales(&remainders, &noises),
            false => _ = self.likelihood(&remainders, &noises),
        }
    }

    /// The logarithm of the loss that is expected of an assignment with these features.
    fn loss(&self, features: &Features) -> f64 {
        let others = self.observed.iter().zip(&self.weights);
        let remainder: f64 = others
            .map(|(other, weight)| weight * self.scales.covariance(features, other))
            .sum();
        self.line.0 + self.line.1 * features.sum + remainder
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
        let target = self.line.0 + self.line.1 * features.sum + remainder;
        // The curve may be steep where networks collapse, and only there: what counts is where it leads from either end of
        // what is likely.
        let deviation = (own - known).max(0.0).sqrt();
        let [low, high] = [-deviation, deviation].map(|by| self.link.at(target + by));
        let error = ((high - low) / 2.0).powi(2) + self.spread * self.spread;
        let drop = self.link.at(target);
        Some(Prediction {
            drop,
            error: error.sqrt(),
        })
    }

    /// The points lost that are expected of an assignment, without the error.
    pub fn expect(&self, assignment: &Assignment) -> Option<f64> {
        let features = Features::of(&self.costs, self.offset, assignment)?;
        Some(self.link.at(self.loss(&features)))
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

/// A table of losses whose least in every row is 0 where that does good, and the sum of what was added to the rows.
fn counted_from_the_best(
    prior: &[Vec<Option<f64>>],
    observations: &[Observation],
) -> (Vec<Vec<Option<f64>>>, f64) {
    let known = |row: &[Option<f64>]| -> Vec<Option<f64>> {
        let mut row: Vec<Option<f64>> = row
            .iter()
            .map(|cost| cost.filter(|cost| cost.is_finite()))
            .collect();
        row[0] = Some(0.0);
        row
    };
    let rows: Vec<Vec<Option<f64>>> = prior.iter().map(|row| known(row)).collect();
    let gain = |row: &Vec<Option<f64>>| -row.iter().flatten().copied().fold(0.0, f64::min);
    let promised: f64 = rows.iter().map(gain).sum();
    let won = observations
        .iter()
        .map(|observation| -observation.increase)
        .fold(0.0, f64::max);
    let believed = if promised > 0.0 {
        (MOST_GAIN * won / promised).min(1.0)
    } else {
        0.0
    };
    let counted = rows.iter().map(|row| {
        let gain = believed * gain(row);
        row.iter()
            .map(|cost| cost.map(|cost| (cost + gain).max(0.0)))
            .collect()
    });
    (counted.collect(), believed * promised)
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
            has_collapsed: false,
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
