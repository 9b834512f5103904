//! Training and measuring one network.

use approx_experiment::loader::ImageLoader;
use approx_experiment::progress::Display;
use approx_experiment::training::Optimizer;
use approx_models::ResNet;
use approx_models::training::classify;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};

use super::error::StudyError;
use crate::measure::accuracy;

/// Stochastic gradient descent with momentum 0.9 and a weight decay of 1e-4. In every epoch the learning rate falls to
/// zero along a cosine and begins anew in the next (I. Loshchilov, F. Hutter, "SGDR", ICLR 2017), so that the network
/// after every epoch is one at the end of a training.
pub struct Training {
    optimizer: ModuleOptimizer,
    learning_rate: f64,
}

impl Training {
    /// A training that has not begun.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            optimizer: Optimizer::Sgd.init(),
            learning_rate,
        }
    }

    /// Trains for one pass over the loader's images.
    ///
    /// # Errors
    /// A learning rate that no schedule can be made from, or images that cannot be read or decoded.
    pub fn epoch(
        &mut self,
        mut model: ResNet,
        loader: &ImageLoader,
        label: &str,
        display: Display,
    ) -> Result<ResNet, StudyError> {
        let steps = loader.num_batches();
        let mut schedule = CosineAnnealingLrSchedulerConfig::new(self.learning_rate, steps)
            .init()
            .map_err(|reason| StudyError::Range {
                option: "--learning-rate",
                value: self.learning_rate.to_string(),
                expected: reason,
            })?;
        let bar = display.bar(label, steps);
        for batch in loader.batches() {
            let batch = batch?;
            let loss = classify(model.forward(batch.images), batch.labels).loss;
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = self.optimizer.step(schedule.step(), model, gradients);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(model)
    }
}

/// The share of the loader's images that the network classifies rightly, in per cent, to four digits after the point:
/// so much a text keeps as it is.
///
/// # Errors
/// Images that cannot be read or decoded.
pub fn measure(
    model: &ResNet,
    loader: &ImageLoader,
    label: &str,
    display: Display,
) -> Result<f64, StudyError> {
    let model = model.valid();
    let found = accuracy(|images| model.forward(images), loader, label, display)?;
    Ok((found * 1e4).round() / 1e4)
}
