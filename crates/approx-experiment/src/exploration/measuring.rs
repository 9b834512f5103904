//! Assignments measured on images.

use std::collections::BTreeMap;
use std::sync::Arc;

use approx_explore::measure::{Measure, Outcome, Request};
use approx_explore::space::{Assignment, Space};
use approx_models::training::ImageBatch;
use approx_multiplier::Multiplier;
use burn::tensor::{Device, Int, Tensor};
use burn_approx::{ApproxError, approx_layers};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::assigned::Assigned;
use super::{AssignableNetwork, ExplorationError};
use crate::data::{Images, Normalisation};
use crate::evaluation::judged;
use crate::loader::ImageLoader;
use crate::progress::Display;

/// Images in an order that is drawn, in blocks of at most this size.
pub fn blocks(
    images: &Images,
    normalisation: &Arc<Normalisation>,
    (block_size, batch_size): (usize, usize),
    seed: u64,
    device: &Device,
) -> Vec<ImageLoader> {
    let mut numbers: Vec<usize> = (0..images.len()).collect();
    numbers.shuffle(&mut StdRng::seed_from_u64(seed));
    let blocks = numbers.chunks(block_size.max(1)).map(|numbers| {
        let images = images.choose(numbers);
        ImageLoader::in_order(images, normalisation.clone(), batch_size, device)
    });
    blocks.collect()
}

/// A network and the images that assignments are measured on.
pub struct NetworkMeasure<M> {
    /// One copy for each multiplier.
    copies: Vec<M>,
    layers: Vec<String>,
    /// The number of the multiplier of every layer, by assignment.
    space: Space,
    blocks: Vec<ImageLoader>,
    display: Display,
}

impl<M: AssignableNetwork> NetworkMeasure<M> {
    /// A calibrated network on these multipliers, in the order of the space's choices, and the images, block by block.
    ///
    /// # Errors
    ///
    /// A layer of the space that the network does not have or that is not converted, or a multiplier of other operands
    /// than the network's codes.
    pub fn new(
        network: &M,
        space: &Space,
        multipliers: &[Multiplier],
        blocks: Vec<ImageLoader>,
        display: Display,
    ) -> Result<Self, ExplorationError> {
        let layers: Vec<String> = (space.layers().iter())
            .map(|layer| layer.path.clone())
            .collect();
        let copies = multipliers.iter().map(|multiplier| {
            let copy = network.clone();
            let table = approx_layers(&copy);
            for path in &layers {
                let layer = table.get(path).ok_or_else(|| ApproxError::UnknownLayer {
                    path: path.clone(),
                    known: table.iter().map(|layer| layer.path().to_string()).collect(),
                })?;
                layer.set_multiplier(multiplier.clone())?;
            }
            Ok(copy)
        });
        Ok(Self {
            copies: copies.collect::<Result<_, ApproxError>>()?,
            layers,
            space: space.clone(),
            blocks,
            display,
        })
    }

    /// The network under an assignment.
    ///
    /// # Errors
    ///
    /// A multiplier of other operands than the network's codes.
    pub fn network(&self, assignment: &Assignment) -> Result<M, ApproxError> {
        let copies: Vec<&M> = self.copies.iter().collect();
        let mut assigned = Assigned::new(&copies, &self.layers);
        assigned.assign(&self.space.of_layers(assignment))?;
        Ok(assigned.network)
    }

    /// The copies of the network, each on one multiplier, in the order of the space's choices.
    pub fn copies(&self) -> &[M] {
        &self.copies
    }

    /// The paths of the layers that are assigned.
    pub fn layers(&self) -> &[String] {
        &self.layers
    }

    /// Measures assignments on one block.
    fn measure_block(
        &self,
        assignments: &[Vec<usize>],
        block: usize,
        progress: impl Fn(usize),
    ) -> Result<Vec<Outcome>, ExplorationError> {
        let copies: Vec<&M> = self.copies.iter().collect();
        let choices: Vec<&[usize]> = assignments.iter().map(Vec::as_slice).collect();
        let mut outcomes = vec![Outcome::default(); assignments.len()];
        for batch in self.blocks[block].batches() {
            let ImageBatch { images, labels } = batch?;
            let found = M::logits_under(&copies, &self.layers, &choices, &images)?;
            let labels: Vec<i64> = Tensor::<1, Int>::into_data(labels).iter().collect();
            for (outcome, logits) in outcomes.iter_mut().zip(found) {
                let (right, loss) = judged(logits, &labels)?;
                outcome.extend(&Outcome { right, loss });
            }
            progress(labels.len() * assignments.len());
        }
        Ok(outcomes)
    }
}

impl<M: AssignableNetwork> Measure for NetworkMeasure<M> {
    type Error = ExplorationError;

    fn blocks(&self) -> Vec<usize> {
        self.blocks
            .iter()
            .map(|block| block.images().len())
            .collect()
    }

    fn measure(&mut self, requests: &[Request]) -> Result<Vec<Outcome>, ExplorationError> {
        let mut of_blocks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, request) in requests.iter().enumerate() {
            of_blocks.entry(request.block).or_default().push(number);
        }
        let images = |(block, requests): (&usize, &Vec<usize>)| {
            self.blocks[*block].images().len() * requests.len()
        };
        let bar = self
            .display
            .bar("measuring", of_blocks.iter().map(images).sum());
        let mut outcomes = vec![Outcome::default(); requests.len()];
        for (block, numbers) in of_blocks {
            let assignments: Vec<Vec<usize>> = (numbers.iter())
                .map(|number| self.space.of_layers(&requests[*number].assignment))
                .collect();
            let found = self.measure_block(&assignments, block, |images| bar.inc(images as u64))?;
            for (number, outcome) in numbers.into_iter().zip(found) {
                outcomes[number] = outcome;
            }
        }
        bar.finish_and_clear();
        Ok(outcomes)
    }
}
