//! Batches of images for burn-train, for measuring and for calibration, in an order that depends on the seed and the
//! epoch's number alone. `batches` makes them, `placement` varies their images, and `ahead` does it while the network
//! computes.
//!
//! Burn's own loader advances one generator from epoch to epoch, so that a resumed run would see the first epoch's
//! order again. Here every epoch has a generator of its own: a run that was stopped and resumed sees what it would have
//! seen.

mod ahead;
mod batches;
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

use self::ahead::ahead;
use self::batches::{HostBatch, HostBatches};
use self::placement::Placement;
use crate::data::{Augmentation, DataError, Images, Normalisation};

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

/// A loader of [`ImageBatch`]es. While one batch is used, the next are decoded, scaled and normalised on all
/// processors.
///
/// ```
/// use std::sync::Arc;
///
/// use approx_experiment::data::{Normalisation, Split, digits};
/// use approx_experiment::loader::ImageLoader;
/// use burn::tensor::Device;
///
/// let digits = digits::read()?;
/// let test = digits.images(Split::Test)?;
/// let normalisation = Arc::new(Normalisation::of(test)?);
/// let loader = ImageLoader::in_order(test.clone(), normalisation, 100, &Device::flex());
/// for batch in loader.batches() {
///     assert_eq!(batch?.images.dims(), [90, 1, 16, 16]); // four of even size
/// }
/// # Ok::<(), approx_experiment::data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImageLoader {
    images: Images,
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
        images: Images,
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

    /// The images that batches are made of.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// How many batches an epoch has.
    pub fn num_batches(&self) -> usize {
        self.batches
    }

    /// The batches of one pass, with the errors of images that cannot be read or decoded.
    pub fn batches(&self) -> Batches {
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
        let work = HostBatches {
            images: self.images.clone(),
            normalisation: self.normalisation.clone(),
            order: order[self.range.clone()].to_vec(),
            variation,
            batches: self.batches,
            batch: 0,
        };
        Batches {
            work: ahead(work),
            shape: self.images.shape(),
            device: self.device.clone(),
            given: 0,
            total: self.range.len(),
        }
    }
}

/// A generator for one epoch of one seed. The odd constant keeps (seed, epoch + 1) apart from (seed + 1, epoch).
fn epoch_generator(seed: u64, epoch: u64) -> StdRng {
    StdRng::seed_from_u64(seed.wrapping_add(epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

impl DataLoader<ImageBatch> for ImageLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<ImageBatch> + 'a> {
        Box::new(ForBurn(self.batches()))
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

/// One pass over a loader's images; made by [`ImageLoader::batches`].
pub struct Batches {
    work: Box<dyn Iterator<Item = Result<HostBatch, DataError>>>,
    shape: [usize; 3],
    device: Device,
    given: usize,
    total: usize,
}

impl Iterator for Batches {
    type Item = Result<ImageBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.work.next()?.map(|batch| {
            self.given = batch.given;
            let count = batch.labels.len();
            let [channels, height, width] = self.shape;
            let values = TensorData::new(batch.values, [count, channels, height, width]);
            ImageBatch {
                images: Tensor::from_data(values, &self.device),
                labels: Tensor::from_data(TensorData::new(batch.labels, [count]), &self.device),
            }
        }))
    }
}

/// One pass, with errors as Burn wants them.
struct ForBurn(Batches);

impl Iterator for ForBurn {
    type Item = Result<ImageBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map_err(DatasetError::new))
    }
}

impl DataLoaderIterator<ImageBatch> for ForBurn {
    fn progress(&self) -> Progress {
        Progress::new(self.0.given, self.0.total, Some("images".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(count: usize) -> Images {
        let pixels = (0..count).flat_map(|index| [index as u8; 4]).collect();
        Images::new([1, 2, 2], pixels, (0..count).collect())
    }

    fn loader(count: usize, batch_size: usize) -> ImageLoader {
        let images = images(count);
        let normalisation = Arc::new(Normalisation::of(&images).unwrap());
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
            .batches()
            .flat_map(|batch| {
                let images = batch.unwrap().images.into_data();
                images.try_into_vec::<f32>().unwrap()
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
