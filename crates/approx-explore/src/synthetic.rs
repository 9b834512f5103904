//! A network that is a formula, to try methods on.
//!
//! It has the layers and the ways of a small residual network: layers differ in what they bear by a factor of up to
//! thirty, damage grows steeply as energy falls, errors of layers add up as variances do but also meet (a multiplier
//! that leans to one side leans so in every layer, and neighbours amplify or cancel each other), and accuracy falls
//! slowly at first and then collapses to chance. Nothing in it was measured on a real network, so a method's figures on
//! it say how methods compare, not what a network bears.

use std::convert::Infallible;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::measure::{Measure, Outcome, Request};
use crate::space::{Assignment, Choice, Layer, Space};

/// The energies of the multipliers, the exact one first.
const ENERGIES: [f64; 13] = [
    1.0, 0.99, 0.95, 0.91, 0.86, 0.81, 0.75, 0.68, 0.62, 0.48, 0.47, 0.3, 0.24,
];
/// The loss of an image cannot become larger than this.
const LARGEST_LOSS: f64 = 6.0;
/// The share of images on which a guess is right.
const CHANCE: f64 = 0.1;

/// The formula.
#[derive(Debug, Clone)]
pub struct SyntheticNetwork {
    space: Space,
    seed: u64,
    /// The variance that each multiplier adds in each layer.
    variances: Vec<Vec<f64>>,
    /// How far each multiplier moves the output in each layer.
    leanings: Vec<Vec<f64>>,
    interactions: f64,
    shift: f64,
    noise: f64,
    blocks: Vec<usize>,
    measured: u64,
}

impl SyntheticNetwork {
    /// A network of twenty layers, shaped as ResNet-20 for small images, with thirteen multipliers and ten blocks of
    /// 500 images. The seed draws what layers bear, what multipliers do to them, and the images.
    pub fn residual(seed: u64) -> Self {
        let block = |stage: u64| {
            let first = if stage == 1 { 2_359_296 } else { 1_179_648 };
            [first].into_iter().chain([2_359_296; 5])
        };
        let counts = [442_368]
            .into_iter()
            .chain((1..4).flat_map(block))
            .chain([640]);
        let layer = |(number, multiplications): (usize, u64)| Layer {
            path: format!("layer{number}"),
            multiplications,
        };
        Self::new(counts.enumerate().map(layer).collect(), &ENERGIES, seed)
    }

    /// A network of three layers of the same size with four multipliers, small enough to try every assignment.
    pub fn tiny(seed: u64) -> Self {
        let layer = |number: usize| Layer {
            path: format!("layer{number}"),
            multiplications: 100,
        };
        Self::new((0..3).map(layer).collect(), &[1.0, 0.8, 0.5, 0.3], seed)
    }

    fn new(layers: Vec<Layer>, energies: &[f64], seed: u64) -> Self {
        let mut random = SplitMix64::seed_from_u64(seed);
        let mut uniform = |low: f64, high: f64| low + (high - low) * unit(random.next_u64());
        // From 1 to about thirty times that.
        let borne: Vec<f64> = layers.iter().map(|_| uniform(-1.7, 1.7).exp()).collect();
        let severities: Vec<f64> = (energies.iter())
            .map(|energy| 0.25 * (1.0 - energy).powf(2.5) / energy * uniform(-0.6, 0.6).exp())
            .collect();
        let lean: Vec<f64> = energies.iter().map(|_| uniform(-1.0, 1.0)).collect();
        let variances: Vec<Vec<f64>> = (borne.iter())
            .map(|borne| {
                severities
                    .iter()
                    .map(|severity| borne * severity * uniform(-0.4, 0.4).exp())
                    .collect()
            })
            .collect();
        let leaning = |row: &Vec<f64>| {
            let pairs = row.iter().zip(&lean);
            pairs
                .map(|(variance, lean)| variance.sqrt() * (lean + uniform(-0.5, 0.5)) / 1.5)
                .collect()
        };
        let leanings = variances.iter().map(leaning).collect();
        let choice = |(number, energy): (usize, &f64)| Choice {
            name: format!("multiplier{number}"),
            hash: format!("hash{number}"),
            energy: *energy,
        };
        let choices = energies.iter().enumerate().map(choice).collect();
        let space = Space::new(layers, choices);
        Self {
            // The lists above are never empty, and have cheaper multipliers than the first.
            space: space.unwrap_or_else(|error| unreachable!("{error}")),
            seed,
            variances,
            leanings,
            interactions: 0.5,
            shift: 0.0,
            noise: 0.5,
            blocks: vec![500; 10],
            measured: 0,
        }
    }

    /// How strongly layers interact: 0 for not at all, 0.5 unless set, 1 for strongly.
    pub fn with_interactions(self, strength: f64) -> Self {
        Self {
            interactions: strength,
            ..self
        }
    }

    /// On images unlike those of its training, which move its output by this much: 0, as it is trained, unless set. Then
    /// the exact network has a damage itself, and a multiplier that leans to the other side takes some of it away.
    pub fn with_shift(self, shift: f64) -> Self {
        Self { shift, ..self }
    }

    /// How differently the same damage meets different images: 0 for all the same, 0.5 unless set.
    pub fn with_noise(self, noise: f64) -> Self {
        Self { noise, ..self }
    }

    /// The numbers of images of its blocks.
    pub fn with_blocks(self, blocks: Vec<usize>) -> Self {
        Self { blocks, ..self }
    }

    /// In another space of the same number of layers and multipliers, for instance one with groups or a limit.
    pub fn with_space(self, space: Space) -> Self {
        Self { space, ..self }
    }

    /// Its space.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// How many evaluations of an image it has made.
    pub fn measured(&self) -> u64 {
        self.measured
    }

    /// The damage of an assignment: the sum of its variances, what leanings add to or take from one another, and what
    /// neighbours do. Of a change in one layer alone it is that layer's variance. Leanings also add to the shift, if there
    /// is one, or take from it.
    pub fn damage(&self, assignment: &Assignment) -> f64 {
        let choices = self.space.of_layers(assignment);
        let of = |table: &[Vec<f64>]| -> Vec<f64> {
            choices
                .iter()
                .zip(table)
                .map(|(choice, row)| row[*choice])
                .collect()
        };
        let (variances, leanings) = (of(&self.variances), of(&self.leanings));
        let sum: f64 = leanings.iter().sum();
        let apart: f64 = leanings.iter().map(|leaning| leaning * leaning).sum();
        let met = variances
            .windows(2)
            .zip(choices.windows(2))
            .enumerate()
            .map(|(layer, (pair, choices))| {
                let place = (layer * 1_000_000 + choices[0] * 1_000 + choices[1]) as u64;
                (2.0 * unit(mix(self.seed ^ mix(place))) - 1.0) * (pair[0] * pair[1]).sqrt()
            });
        let added: f64 = variances.iter().sum();
        let own = added + self.interactions * (sum * sum - apart + 2.0 * met.sum::<f64>());
        let shifted = self.shift * (self.shift + 2.0 * self.interactions * sum);
        (own.max(0.3 * added) + shifted).max(0.0)
    }

    fn outcome(&self, request: &Request) -> Outcome {
        let choices = self.space.of_layers(&request.assignment);
        let damage = self.damage(&request.assignment);
        let start: usize = self.blocks[..request.block].iter().sum();
        let identity = choices
            .iter()
            .fold(self.seed, |hash, choice| mix(hash ^ *choice as u64));
        let image = |image: usize| {
            let own = mix(self.seed ^ mix(image as u64 + 1));
            // The exact network is right on most images, by margins that differ.
            let margin = 1.9 + 1.3 * normal(own);
            let layers = choices.iter().zip(&self.variances).enumerate();
            let moved: f64 = layers
                .filter(|(_, (choice, _))| **choice > 0)
                .map(|(layer, (choice, row))| {
                    let place = (layer * 1_000 + choice) as u64;
                    row[*choice].sqrt() * normal(mix(own ^ mix(place)))
                })
                .sum();
            let margin = margin * (-0.3 * damage).exp() - 0.8 * damage + self.noise * moved;
            let is_guessed = margin < -1.0 && unit(mix(own ^ identity)) < CHANCE / 0.9;
            let loss = (1.0 + (-1.5 * margin).exp()).ln().min(LARGEST_LOSS);
            (margin > 0.0 || is_guessed, loss)
        };
        let (right, losses): (Vec<bool>, Vec<f64>) = (start..start + self.blocks[request.block])
            .map(image)
            .unzip();
        Outcome {
            right,
            loss: losses.iter().sum(),
        }
    }
}

impl Measure for SyntheticNetwork {
    type Error = Infallible;

    fn blocks(&self) -> Vec<usize> {
        self.blocks.clone()
    }

    fn measure(&mut self, requests: &[Request]) -> Result<Vec<Outcome>, Infallible> {
        let outcomes: Vec<Outcome> = requests
            .iter()
            .map(|request| self.outcome(request))
            .collect();
        self.measured += outcomes
            .iter()
            .map(|outcome| outcome.images() as u64)
            .sum::<u64>();
        Ok(outcomes)
    }
}

/// A number whose bits depend on all bits of another (the finaliser of SplitMix64).
fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

/// From 0 to below 1.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Nearly normal, of mean 0 and variance 1: the sum of four even ones.
fn normal(bits: u64) -> f64 {
    let parts = (0..4).map(|part| (bits >> (16 * part) & 0xFFFF) as f64 / 65_536.0);
    (parts.sum::<f64>() - 2.0) * 3.0_f64.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accuracy(network: &mut SyntheticNetwork, assignment: Assignment) -> f64 {
        let request = |block| Request {
            assignment: assignment.clone(),
            block,
        };
        let requests: Vec<Request> = (0..network.blocks.len()).map(request).collect();
        let mut joined = Outcome::default();
        network
            .measure(&requests)
            .unwrap()
            .iter()
            .for_each(|outcome| joined.extend(outcome));
        joined.accuracy()
    }

    #[test]
    fn behaves_like_a_network() {
        let mut network = SyntheticNetwork::residual(3);
        let space = network.space().clone();
        let exact = accuracy(&mut network, space.exact());
        let slightly = accuracy(&mut network, space.uniform(1));
        let collapsed = accuracy(&mut network, space.uniform(12));
        assert!(exact > 85.0 && (exact - slightly).abs() < 1.0 && collapsed < 30.0);
    }

    #[test]
    fn damage_of_one_change_is_its_variance() {
        let network = SyntheticNetwork::residual(5).with_interactions(1.0);
        let single = network.space().exact().with(4, 7);
        assert!((network.damage(&single) - network.variances[4][7]).abs() < 1e-12);
        assert_eq!(network.damage(&network.space().exact()), 0.0);
    }

    #[test]
    fn joined_changes_are_not_the_sum() {
        let network = SyntheticNetwork::residual(5);
        let (first, second) = (
            network.space().exact().with(4, 7),
            network.space().exact().with(5, 7),
        );
        let both = first.with(5, 7);
        let sum = network.damage(&first) + network.damage(&second);
        assert!((network.damage(&both) - sum).abs() > 0.01 * sum);
        let apart = network.with_interactions(0.0);
        assert!((apart.damage(&both) - sum).abs() < 1e-12);
    }
}
