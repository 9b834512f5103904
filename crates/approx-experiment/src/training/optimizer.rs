//! How weights follow from gradients.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer, SgdConfig};
use serde::{Deserialize, Serialize};

/// How weights follow from gradients. A training that is resumed needs the optimiser that it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// AdamW, as Burn sets it
    #[default]
    Adamw,
    /// Stochastic gradient descent with momentum 0.9 and a weight decay of 1e-4
    Sgd,
}

impl Optimizer {
    /// An optimiser that has seen no gradients yet.
    pub fn init(self) -> ModuleOptimizer {
        match self {
            Self::Adamw => AdamWConfig::new().init(),
            Self::Sgd => SgdConfig::new()
                .with_momentum(Some(MomentumConfig::new().with_momentum(0.9)))
                .with_weight_decay(Some(WeightDecayConfig::new(1e-4)))
                .init(),
        }
    }
}
