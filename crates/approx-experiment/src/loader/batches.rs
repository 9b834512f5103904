//! The batches of one pass over some images, as numbers in memory: nothing here knows of devices.

use std::sync::Arc;

use rand::rngs::StdRng;
use rayon::prelude::*;

use super::placement::Placement;
use crate::data::{Augmentation, DataError, Images, Normalisation};

/// The least number of values that a processor is given at a time.
const GRAIN: usize = 1 << 15;

/// A batch before it is put on a device.
pub struct HostBatch {
    /// The images' values, `[count, channels, height, width]`.
    pub values: Vec<f32>,
    /// Their classes.
    pub labels: Vec<i64>,
    /// How many images there were in this batch and before.
    pub given: usize,
}

/// The batches of one pass.
pub struct HostBatches {
    pub images: Images,
    pub normalisation: Arc<Normalisation>,
    /// The images' numbers, in the order in which they are given.
    pub order: Vec<usize>,
    /// How images are varied, and the generator that decides it.
    pub variation: Option<(Augmentation, StdRng)>,
    /// How many batches there are.
    pub batches: usize,
    /// How many were given.
    pub batch: usize,
}

impl Iterator for HostBatches {
    type Item = Result<HostBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.batch == self.batches {
            return None;
        }
        // Batches of equal size, within one image: a last batch of a single image would have no variance to normalise
        // by.
        let bound = |batch: usize| batch * self.order.len() / self.batches;
        let (start, end) = (bound(self.batch), bound(self.batch + 1));
        self.batch += 1;

        // Drawn one after the other, whatever the order in which the images are made.
        let placed: Vec<(usize, Placement)> = self.order[start..end]
            .iter()
            .map(|&index| match &mut self.variation {
                None => (index, Placement::default()),
                Some((augmentation, generator)) => {
                    (index, Placement::random(*augmentation, generator))
                }
            })
            .collect();
        let size: usize = self.images.shape().iter().product();
        let grain = if self.images.are_made_on_demand() {
            1
        } else {
            GRAIN.div_ceil(size)
        };
        let mut values = vec![0.0; placed.len() * size];
        let filled = values
            .par_chunks_exact_mut(size)
            .zip(&placed)
            .with_min_len(grain)
            .try_for_each(|(values, &(index, placement))| {
                placement.fill(&self.images, index, &self.normalisation, values)
            });
        let labels = self.images.labels();
        Some(filled.map(|()| {
            HostBatch {
                values,
                labels: placed
                    .iter()
                    .map(|&(index, _)| labels[index] as i64)
                    .collect(),
                given: end,
            }
        }))
    }
}
