//! Training and measuring one network.

use approx_models::ResNet;
use burn::data::dataloader::DataLoader;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};

use super::error::StudyError;
use crate::loader::ImageLoader;
use crate::progress::Display;
use crate::train::accuracy;

/// Stochastic gradient descent with momentum 0.9 and a weight decay of 1e-4. In every epoch the learning rate falls to zero
/// along a cosine and begins anew in the next (I. Loshchilov, F. Hutter, "SGDR", ICLR 2017), so that the network after
/// every epoch is one at the end of a training.
pub struct Training {
    optimizer: ModuleOptimizer,
    learning_rate: f64,
}

impl Training {
    /// A training that has not begun.
    pub fn new(learning_rate: f64) -> Self {
        let optimizer = SgdConfig::new()
            .with_momentum(Some(MomentumConfig::new().with_momentum(0.9)))
            .with_weight_decay(Some(WeightDecayConfig::new(1e-4)))
            .init();
        Self {
            optimizer,
            learning_rate,
        }
    }

    /// Trains for one pass over the loader's images.
    ///
    /// # Errors
    /// A learning rate that no schedule can be made from.
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
        for batch in loader.iter() {
            let batch = batch.expect("images in memory can always be read");
            let logits = model.forward(batch.images);
            let loss = CrossEntropyLossConfig::new()
                .init(&logits.device())
                .forward(logits, batch.labels);
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = self.optimizer.step(schedule.step(), model, gradients);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(model)
    }
}

/// The share of the loader's images that the network classifies rightly, in per cent, to four digits after the point: so
/// much a text keeps as it is.
pub fn measure(model: &ResNet, loader: &ImageLoader, label: &str, display: Display) -> f64 {
    let model = model.valid();
    let found = accuracy(|images| model.forward(images), loader, label, display);
    (found * 1e4).round() / 1e4
}
