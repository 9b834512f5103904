//! One training: burn-train's supervised learning with checkpoints that survive being killed. `data` is what it reads,
//! `trainable` what it trains and `optimizer` how, `history` what it logs, `error` why it stops.

mod data;
mod error;
mod history;
mod optimizer;
mod trainable;

use std::path::PathBuf;
use std::sync::Arc;

use burn::data::dataloader::DataLoader;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};

pub use self::data::TrainingData;
pub use self::error::TrainError;
pub use self::history::EpochMetrics;
use self::history::history;
pub use self::optimizer::Optimizer;
pub use self::trainable::{ImageClassifier, Trainable, TrainableClassifier};
use crate::checkpoint;
use crate::progress::{Display, EpochRenderer};

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
    /// How weights follow from gradients.
    pub optimizer: Optimizer,
    /// Whether to go on from the last checkpoint, if there is one.
    pub resume: bool,
}

/// Trains `model` and returns it ready for evaluation, with the metrics of all epochs, those before a resumption
/// included.
///
/// ```no_run
/// use approx_experiment::data::digits;
/// use approx_experiment::progress::Display;
/// use approx_experiment::training::{Optimizer, Phase, TrainingData, fit};
/// use approx_models::{MobileNetV2Config, Stem};
/// use burn::tensor::Device;
///
/// let device = Device::default();
/// let data = TrainingData::of(&digits::read()?, 64, 1, &[device.clone()])?;
/// let config = MobileNetV2Config::new(10).with_in_channels(1).with_stem(Stem::Small);
/// let phase = Phase {
///     name: "training",
///     directory: "runs/digits".into(),
///     epochs: 10,
///     learning_rate: 0.006,
///     optimizer: Optimizer::default(),
///     resume: true, // killed at any moment, the next call goes on
/// };
/// let (model, epochs) = fit(config.init(&device.autodiff()), &data, &phase, Display::new(false))?;
/// println!("{:.2} %", epochs[9].test_accuracy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// See [`TrainError`]. What was trained until then is in the last checkpoint.
pub fn fit<M: TrainableClassifier>(
    model: M,
    data: &TrainingData,
    phase: &Phase<'_>,
    display: Display,
) -> Result<(M, Vec<EpochMetrics>), TrainError> {
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
    let result = training.launch(Learner::new(model, phase.optimizer.init(), schedule));
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
