//! Batches of images for burn-train, in an order that depends on the seed and the epoch's number alone.
//!
//! Burn's own loader advances one generator from epoch to epoch, so that a resumed run would see the first epoch's
//! order again. Here every epoch has a generator of its own: a run that was stopped and resumed sees what it would have
//! seen.

mod normalisation;
mod placement;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use approx_models::training::ImageBatch;
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

pub use self::normalisation::Normalisation;
use self::placement::Placement;
use crate::data::{Augmentation, Images};

#[derive(Debug, Clone)]
enum Order {
    /// As stored, every time.
    Fixed,
    /// Shuffled anew in every epoch.
    Shuffled {
        seed: u64,
        augmentation: Augmentation,
        /// The number of the epoch that the next iterator is for. Copies of a loader count together.
        next_epoch: Arc<AtomicU64>,
    },
}

impl Order {
    /// A copy that counts epochs by itself.
    fn separate(&self) -> Self {
        let mut order = self.clone();
        if let Self::Shuffled { next_epoch, .. } = &mut order {
            *next_epoch = Arc::new(AtomicU64::new(next_epoch.load(Ordering::Relaxed)));
        }
        order
    }
}

/// A loader of [`ImageBatch`]es.
#[derive(Debug, Clone)]
pub struct ImageLoader {
    images: Arc<Images>,
    normalisation: Arc<Normalisation>,
    order: Order,
    /// The number of batches of an epoch.
    batches: usize,
    /// Which part of an epoch's order is given out.
    range: Range<usize>,
    device: Device,
}

impl ImageLoader {
    /// Every image once, in order, in batches of at most `batch_size`.
    pub fn in_order(
        images: Arc<Images>,
        normalisation: Arc<Normalisation>,
        batch_size: usize,
        device: &Device,
    ) -> Self {
        Self {
            range: 0..images.len(),
            batches: images.len().div_ceil(batch_size),
            images,
            normalisation,
            order: Order::Fixed,
            device: device.clone(),
        }
    }

    /// Every image once per iterator, shuffled and varied; the first iterator is for epoch `first_epoch`. Starting an
    /// epoch also seeds the device's generator, which dropout draws from.
    pub fn shuffled(mut self, seed: u64, augmentation: Augmentation, first_epoch: usize) -> Self {
        self.order = Order::Shuffled {
            seed,
            augmentation,
            next_epoch: Arc::new(AtomicU64::new(first_epoch as u64)),
        };
        self
    }

    /// The same images, put on another device.
    pub fn on_device(mut self, device: &Device) -> Self {
        self.device = device.clone();
        self
    }

    /// How many batches an epoch has.
    pub fn num_batches(&self) -> usize {
        self.batches
    }
}

/// A generator for one epoch of one seed. The odd constant keeps (seed, epoch + 1) apart from (seed + 1, epoch).
fn epoch_generator(seed: u64, epoch: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_add(epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

impl DataLoader<ImageBatch> for ImageLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch> + 'a> {
        let mut order: Vec<usize> = (0..self.images.len()).collect();
        let variation = match &self.order {
            Order::Fixed => None,
            Order::Shuffled {
                seed,
                augmentation,
                next_epoch,
            } => {
                let epoch = next_epoch.fetch_add(1, Ordering::Relaxed);
                let mut generator = epoch_generator(*seed, epoch);
                let device_seed: u64 = generator.random();
                self.device
                    .seed(device_seed.wrapping_add(self.range.start as u64));
                order.shuffle(&mut generator);
                // The slices of an epoch make up the whole one: what comes before this slice draws its variations, too.
                for _ in 0..self.range.start {
                    Placement::random(*augmentation, &mut generator);
                }
                Some((*augmentation, generator))
            }
        };
        Box::new(Batches {
            loader: self,
            order: order[self.range.clone()].to_vec(),
            variation,
            batch: 0,
            given: 0,
        })
    }

    fn num_items(&self) -> usize {
        self.range.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<ImageBatch>> {
        Arc::new(self.clone().on_device(device))
    }

    /// One device's share of every epoch, in as many batches as the whole has: devices that train together make the
    /// steps that one would make.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<ImageBatch>> {
        let end = self.range.end.min(self.range.start + end);
        let range = (self.range.start + start).min(end)..end;
        Arc::new(Self {
            batches: self.batches.min(range.len()),
            range,
            order: self.order.separate(),
            ..self.clone()
        })
    }
}

/// One pass over a loader's images.
struct Batches<'a> {
    loader: &'a ImageLoader,
    order: Vec<usize>,
    variation: Option<(Augmentation, StdRng)>,
    batch: usize,
    given: usize,
}

impl Iterator for Batches<'_> {
    type Item = Result<ImageBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = self.loader.num_batches();
        if self.batch == batches {
            return None;
        }
        // Batches of equal size, within one image: a last batch of a single image would have no variance to normalise
        // by.
        let bound = |batch: usize| batch * self.order.len() / batches;
        let (start, end) = (bound(self.batch), bound(self.batch + 1));
        self.batch += 1;
        self.given = end;

        let images = &self.loader.images;
        let [channels, height, width] = images.shape();
        let mut values = Vec::with_capacity((end - start) * channels * height * width);
        let mut labels = Vec::with_capacity(end - start);
        for &index in &self.order[start..end] {
            let placement = match &mut self.variation {
                None => Placement::default(),
                Some((augmentation, generator)) => Placement::random(*augmentation, generator),
            };
            placement.append(images, index, &self.loader.normalisation, &mut values);
            labels.push(images.labels()[index] as i64);
        }
        let count = end - start;
        let device = &self.loader.device;
        Some(Ok(ImageBatch {
            images: Tensor::from_data(
                TensorData::new(values, [count, channels, height, width]),
                device,
            ),
            labels: Tensor::from_data(TensorData::new(labels, [count]), device),
        }))
    }
}

impl DataLoaderIterator<ImageBatch> for Batches<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.given, self.order.len(), Some("images".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(count: usize) -> Arc<Images> {
        let pixels = (0..count).flat_map(|index| [index as u8; 4]).collect();
        Arc::new(Images::new([1, 2, 2], pixels, (0..count).collect()))
    }

    fn loader(count: usize, batch_size: usize) -> ImageLoader {
        let images = images(count);
        let normalisation = Arc::new(Normalisation::of(&images));
        ImageLoader::in_order(images, normalisation, batch_size, &Device::flex())
    }

    fn labels(loader: &dyn DataLoader<ImageBatch>) -> Vec<Vec<i64>> {
        loader
            .iter()
            .map(|batch| {
                batch
                    .unwrap()
                    .labels
                    .into_data()
                    .convert::<i64>()
                    .try_into_vec()
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn batches_are_of_even_size_and_cover_everything() {
        let batches = labels(&loader(9, 4));
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
        assert_eq!(batches.concat(), (0..9).collect::<Vec<_>>());
        let whole = loader(9, 4);
        let mut iterator = whole.iter();
        iterator.next();
        assert_eq!(iterator.progress().items_processed, 3);
        assert_eq!(labels(&*whole.slice(2, 5)).concat(), [2, 3, 4]);
    }

    /// Two devices see in every epoch what one would see, half of it each, in as many steps.
    #[test]
    fn the_slices_of_an_epoch_make_up_the_whole() {
        let varied = Augmentation {
            shift: 1,
            mirror: true,
        };
        let whole = loader(21, 4).shuffled(1, varied, 1);
        let slices = [whole.slice(0, 10), whole.slice(10, 21)];
        for _ in 0..3 {
            let (expected, halves) = (epoch(&whole), slices.each_ref().map(|half| epoch(&**half)));
            assert!(halves.iter().all(|half| half.len() == expected.len()));
            assert_eq!(halves.concat().concat(), expected.concat());
        }
    }

    /// The batches of an epoch, every image with its label.
    fn epoch(loader: &dyn DataLoader<ImageBatch>) -> Vec<Vec<(Vec<f32>, i64)>> {
        let batches = loader.iter().map(|batch| {
            let batch = batch.unwrap();
            let images = batch.images.into_data().try_into_vec::<f32>().unwrap();
            let labels = batch.labels.into_data().convert::<i64>();
            let labels = labels.try_into_vec::<i64>().unwrap();
            let images = images
                .chunks(images.len() / labels.len())
                .map(<[f32]>::to_vec);
            images.zip(labels).collect()
        });
        batches.collect()
    }

    #[test]
    fn an_epochs_order_depends_on_seed_and_epoch_alone() {
        let uninterrupted = loader(30, 8).shuffled(1, Augmentation::NONE, 1);
        let first = labels(&uninterrupted);
        let second = labels(&*uninterrupted.to_device(&Device::flex()));
        assert_ne!(first, second);
        assert_eq!(
            labels(&loader(30, 8).shuffled(1, Augmentation::NONE, 2)),
            second
        );
        assert_ne!(
            labels(&loader(30, 8).shuffled(2, Augmentation::NONE, 1)),
            first
        );
        let mut all = second.concat();
        all.sort_unstable();
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn values_have_mean_zero_and_deviation_one() {
        let loader = loader(50, 50);
        let values: Vec<f32> = loader
            .iter()
            .flat_map(|batch| {
                batch
                    .unwrap()
                    .images
                    .into_data()
                    .try_into_vec::<f32>()
                    .unwrap()
            })
            .collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let square = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!(
            mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4,
            "{mean} {square}"
        );
    }
}
