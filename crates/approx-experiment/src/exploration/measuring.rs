//! Assignments measured on images, on one device or several.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use approx_explore::measure::{Measure, Outcome, Request};
use approx_explore::space::{Assignment, Space};
use approx_models::training::ImageBatch;
use approx_multiplier::Multiplier;
use burn::tensor::{Device, Int, Tensor};
use burn_approx::{ApproxError, approx_layers};
use indicatif::ProgressBar;
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
    /// The first device, then further ones.
    places: Vec<Place<M>>,
    layers: Vec<String>,
    /// The number of the multiplier of every layer, by assignment.
    space: Space,
    display: Display,
}

/// A network and images on a device.
struct Place<M> {
    /// One copy for each multiplier.
    copies: Vec<M>,
    blocks: Vec<ImageLoader>,
}

/// Assignments that are measured together on one block, by their numbers among the requests.
struct Share {
    block: usize,
    requests: Vec<usize>,
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
        let copies = copies.collect::<Result<_, ApproxError>>()?;
        Ok(Self {
            places: vec![Place { copies, blocks }],
            layers,
            space: space.clone(),
            display,
        })
    }

    /// The same on further devices: measurements are spread over all of them. What a measurement gives is the same on any
    /// device of one kind.
    #[must_use]
    pub fn with_devices(mut self, further: &[Device]) -> Self {
        for device in further {
            let Place { copies, blocks } = &self.places[0];
            let copies = copies.iter().map(|copy| copy.clone().to_device(device));
            let blocks = blocks.iter().map(|block| block.clone().on_device(device));
            let place = Place {
                copies: copies.collect(),
                blocks: blocks.collect(),
            };
            self.places.push(place);
        }
        self
    }

    /// The network under an assignment.
    ///
    /// # Errors
    ///
    /// A multiplier of other operands than the network's codes.
    pub fn network(&self, assignment: &Assignment) -> Result<M, ApproxError> {
        let copies: Vec<&M> = self.copies().iter().collect();
        let mut assigned = Assigned::new(&copies, &self.layers);
        assigned.assign(&self.space.of_layers(assignment))?;
        Ok(assigned.network)
    }

    /// The copies of the network, each on one multiplier, in the order of the space's choices.
    pub fn copies(&self) -> &[M] {
        &self.places[0].copies
    }

    /// The paths of the layers that are assigned.
    pub fn layers(&self) -> &[String] {
        &self.layers
    }

    /// What is measured together: all of a block, unless there are fewer blocks than devices.
    fn shares(&self, requests: &[Request]) -> Vec<Share> {
        let mut of_blocks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, request) in requests.iter().enumerate() {
            of_blocks.entry(request.block).or_default().push(number);
        }
        let parts = self.places.len().div_ceil(of_blocks.len().max(1));
        let shares = of_blocks.into_iter().flat_map(|(block, requests)| {
            let size = requests.len().div_ceil(parts);
            let shares = requests.chunks(size).map(|requests| Share {
                block,
                requests: requests.to_vec(),
            });
            shares.collect::<Vec<_>>()
        });
        shares.collect()
    }
}

impl<M: AssignableNetwork> Place<M> {
    /// Measures assignments on one block.
    fn measure(
        &self,
        layers: &[String],
        block: usize,
        assignments: &[&[usize]],
        progress: &ProgressBar,
    ) -> Result<Vec<Outcome>, ExplorationError> {
        let copies: Vec<&M> = self.copies.iter().collect();
        let mut outcomes = vec![Outcome::default(); assignments.len()];
        for batch in self.blocks[block].batches() {
            let ImageBatch { images, labels } = batch?;
            let found = M::logits_under(&copies, layers, assignments, &images)?;
            let labels: Vec<i64> = Tensor::<1, Int>::into_data(labels).iter().collect();
            for (outcome, logits) in outcomes.iter_mut().zip(found) {
                let (right, loss) = judged(logits, &labels)?;
                outcome.extend(&Outcome { right, loss });
            }
            progress.inc((labels.len() * assignments.len()) as u64);
        }
        Ok(outcomes)
    }
}

impl<M: AssignableNetwork> Measure for NetworkMeasure<M> {
    type Error = ExplorationError;

    fn blocks(&self) -> Vec<usize> {
        let blocks = self.places[0].blocks.iter();
        blocks.map(|block| block.images().len()).collect()
    }

    fn measure(&mut self, requests: &[Request]) -> Result<Vec<Outcome>, ExplorationError> {
        let images = |request: &Request| self.places[0].blocks[request.block].images().len();
        let bar = (self.display).bar("measuring", requests.iter().map(images).sum());
        let assignments: Vec<Vec<usize>> = (requests.iter())
            .map(|request| self.space.of_layers(&request.assignment))
            .collect();
        let left = Mutex::new(self.shares(requests).into_iter());
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let layers = &self.layers;
        // A device takes the next share when it is done with one, until there are none.
        let work = |place: &mut Place<M>| {
            let mut found = Vec::new();
            while let Some(Share { block, requests }) = next() {
                let of_share = requests
                    .iter()
                    .map(|number| assignments[*number].as_slice());
                let of_share: Vec<&[usize]> = of_share.collect();
                let outcomes = place.measure(layers, block, &of_share, &bar)?;
                found.extend(requests.into_iter().zip(outcomes));
            }
            Ok::<_, ExplorationError>(found)
        };
        let found = std::thread::scope(|scope| {
            let mut places = self.places.iter_mut();
            let first = places.next().expect("there is a device");
            let further: Vec<_> = places.map(|place| scope.spawn(|| work(place))).collect();
            let mut found = work(first);
            for device in further {
                let of_device = device.join().unwrap_or_else(|panic| resume_unwind(panic));
                found = found.and_then(|mut found| {
                    found.extend(of_device?);
                    Ok(found)
                });
            }
            found
        })?;
        bar.finish_and_clear();
        let mut outcomes = vec![Outcome::default(); requests.len()];
        for (number, outcome) in found {
            outcomes[number] = outcome;
        }
        Ok(outcomes)
    }
}
