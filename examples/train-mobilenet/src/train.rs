//! One training: burn-train's supervised learning with checkpoints that survive being killed, and accuracy on the test images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use approx_models::MobileNetV2;
use burn::data::dataloader::DataLoader;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::{FileMetricLogger, MetricLogger};
use burn::train::metric::store::Split;
use burn::train::metric::{AccuracyMetric, LossMetric, NumericEntry};
use burn::train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, CheckpointError};
use crate::data::{Augmentation, Dataset, Images};
use crate::loader::{ImageLoader, Normalisation};
use crate::progress::{Display, EpochRenderer};

/// What training and measuring read: the images, ready to be put in batches.
#[derive(Debug, Clone)]
pub struct TrainingData {
    train: ImageLoader,
    test: ImageLoader,
    augmentation: Augmentation,
    seed: u64,
    /// Where training happens; the first also measures.
    devices: Vec<Device>,
}

impl TrainingData {
    /// Prepares a data set: batches of `batch_size` images, shuffled by `seed` for training. Each of the `devices` takes its share
    /// of every batch in training, and the first one measures; there must be one.
    pub fn new(dataset: &Dataset, batch_size: usize, seed: u64, devices: &[Device]) -> Self {
        let normalisation = Arc::new(Normalisation::of(&dataset.train));
        let loader = |images: &Arc<Images>| {
            ImageLoader::in_order(
                images.clone(),
                normalisation.clone(),
                batch_size,
                &devices[0],
            )
        };
        Self {
            train: loader(&dataset.train),
            test: loader(&dataset.test),
            augmentation: dataset.augmentation,
            seed,
            devices: devices.to_vec(),
        }
    }

    /// The training images in order and unvaried, as calibration wants them.
    pub fn train_in_order(&self) -> &ImageLoader {
        &self.train
    }

    /// The test images.
    pub fn test(&self) -> &ImageLoader {
        &self.test
    }
}

/// What distinguishes one training from the next.
#[derive(Debug, Clone)]
pub struct Phase<'a> {
    /// What it is called on the terminal.
    pub name: &'a str,
    /// Where its checkpoints and metrics go.
    pub directory: PathBuf,
    /// How many epochs it lasts.
    pub epochs: usize,
    /// The learning rate to begin with; it falls to zero along a cosine.
    pub learning_rate: f64,
    /// Whether to go on from the last checkpoint, if there is one.
    pub resume: bool,
}

/// Loss and accuracy of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// The epoch's number, from 1.
    pub epoch: usize,
    /// Mean loss over the training images, as training went on.
    pub train_loss: f64,
    /// Accuracy on the training images, in per cent, as training went on.
    pub train_accuracy: f64,
    /// Mean loss over the test images after the epoch.
    pub test_loss: f64,
    /// Accuracy on the test images after the epoch, in per cent.
    pub test_accuracy: f64,
}

/// Why a training did not finish.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// No checkpoint to go on from.
    #[error("{phase}: {source}")]
    Checkpoint {
        /// The training.
        phase: String,
        /// What is wrong.
        source: CheckpointError,
    },
    /// The directory for checkpoints and metrics cannot be made.
    #[error("{path} cannot be created: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Settings that the optimiser's schedule refuses.
    #[error("{phase}: {reason} (learning rate {learning_rate}, {epochs} epochs)")]
    Schedule {
        /// The training.
        phase: String,
        /// What is wrong.
        reason: String,
        /// The learning rate given.
        learning_rate: f64,
        /// The number of epochs given.
        epochs: usize,
    },
    /// burn-train stopped with an error.
    #[error("{phase}: training stopped: {source}")]
    Stopped {
        /// The training.
        phase: String,
        /// The cause.
        source: Arc<burn::train::TrainingError>,
    },
    /// The loss is no number any more.
    #[error("{phase}: the loss of epoch {epoch} is {loss}; a lower learning rate may help")]
    Diverged {
        /// The training.
        phase: String,
        /// The epoch.
        epoch: usize,
        /// Its loss.
        loss: f64,
    },
}

/// Trains `model` and returns it ready for evaluation, with the metrics of all epochs, those before a resumption included.
///
/// # Errors
///
/// See [`TrainError`]. What was trained until then is in the last checkpoint.
pub fn fit(
    model: MobileNetV2,
    data: &TrainingData,
    phase: &Phase<'_>,
    display: Display,
) -> Result<(MobileNetV2, Vec<EpochMetrics>), TrainError> {
    let name = || phase.name.to_owned();
    std::fs::create_dir_all(&phase.directory).map_err(|source| TrainError::Directory {
        path: phase.directory.clone(),
        source,
    })?;
    let checkpoint = if phase.resume {
        checkpoint::remove_temporary_files(&phase.directory)
            .and_then(|()| checkpoint::last_whole(&phase.directory, &model))
            .map_err(|source| TrainError::Checkpoint {
                phase: name(),
                source,
            })?
    } else {
        None
    };
    let first_epoch = checkpoint.unwrap_or(0) + 1;
    let train = data
        .train
        .clone()
        .shuffled(data.seed, data.augmentation, first_epoch);
    let schedule = CosineAnnealingLrSchedulerConfig::new(
        phase.learning_rate,
        phase.epochs * train.num_batches(),
    )
    .init()
    .map_err(|reason| TrainError::Schedule {
        phase: name(),
        reason,
        learning_rate: phase.learning_rate,
        epochs: phase.epochs,
    })?;

    let train: Arc<dyn DataLoader<_>> = Arc::new(train);
    let mut training =
        SupervisedTraining::new(&phase.directory, train, Arc::new(data.test.clone()))
            .metrics((LossMetric::new(), AccuracyMetric::new()))
            .num_epochs(phase.epochs)
            .with_default_checkpointers()
            // Two, so that one is whole while the next is being written.
            .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
            .with_application_logger(None)
            .renderer(Box::new(EpochRenderer::new(display, phase.name)));
    if data.devices.len() > 1 {
        // Replicas compute gradients, the first device adds them up and steps: the strategy that every backend has.
        let strategy =
            ExecutionStrategy::multi(data.devices.clone(), MultiDeviceOptim::OptimMainDevice);
        training = training.with_training_strategy(strategy.into());
    }
    if let Some(epoch) = checkpoint {
        display.line(&format!("{}: going on after epoch {epoch}", phase.name));
        training = training.checkpoint(epoch);
    }
    let result = training.launch(Learner::new(model, AdamWConfig::new().init(), schedule));
    if let Some(source) = result.error {
        return Err(TrainError::Stopped {
            phase: name(),
            source,
        });
    }

    let history = history(&phase.directory, phase.epochs);
    if let Some(last) = history.last()
        && !last.train_loss.is_finite()
    {
        return Err(TrainError::Diverged {
            phase: name(),
            epoch: last.epoch,
            loss: last.train_loss,
        });
    }
    // Statistics of batch normalisation stay where they were last updated.
    Ok((result.model.to_device(&data.devices[0]), history))
}

/// Reads the metrics that burn-train has logged. An epoch whose log did not survive is left out.
pub fn history(directory: &Path, epochs: usize) -> Vec<EpochMetrics> {
    let mut logger = FileMetricLogger::new(directory);
    let mut read = |name: &str, epoch, split| -> Option<f64> {
        match logger.read_numeric(name, epoch, &split).ok()?.pop()? {
            NumericEntry::Final(value) => Some(value),
            _ => None,
        }
    };
    (1..=epochs)
        .filter_map(|epoch| {
            Some(EpochMetrics {
                epoch,
                train_loss: read("Loss", epoch, Split::Train)?,
                train_accuracy: read("Accuracy", epoch, Split::Train)?,
                test_loss: read("Loss", epoch, Split::Valid)?,
                test_accuracy: read("Accuracy", epoch, Split::Valid)?,
            })
        })
        .collect()
}

/// The share of the loader's images that `model` classifies rightly, in per cent. The model must be on the loader's device and
/// in evaluation mode.
pub fn accuracy(model: &MobileNetV2, loader: &ImageLoader, label: &str, display: Display) -> f64 {
    let bar = display.bar(label, loader.num_items());
    let mut right = 0;
    for batch in loader.iter() {
        let batch = batch.expect("images in memory can always be read");
        let count = batch.labels.dims()[0];
        let found = model.forward(batch.images).argmax(1).reshape([count]);
        right += found.equal(batch.labels).int().sum().into_scalar::<i64>();
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    100.0 * right as f64 / loader.num_items() as f64
}

/// The model's parameters as one list of numbers, to compare two trainings by.
pub fn parameters<M: Module>(model: &M) -> Vec<f32> {
    struct Collector(Vec<f32>);
    impl burn::module::ModuleVisitor for Collector {
        fn visit_float<const D: usize>(
            &mut self,
            param: &burn::module::Param<burn::tensor::Tensor<D>>,
        ) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut collector = Collector(Vec::new());
    model.visit(&mut collector);
    collector.0
}
