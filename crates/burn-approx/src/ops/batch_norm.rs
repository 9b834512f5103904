//! Batch normalisation with what follows it, over Burn's tensors.

use approx_cpu::batch_norm::Limits;
use burn::backend::Dispatch;
use burn::prelude::*;
use burn::tensor::{activation, module};

use super::arguments::{check_devices, is_on_host};
use crate::backends::{ApproxOps, BatchNormSettings, Shortcut};
use crate::error::ApproxError;
use crate::geometry::shape_error;

/// What normalising is called in messages.
const OPERATOR: &str = "batch normalisation";

/// The parameters of a batch normalisation, `[channels]` each.
pub(crate) struct BatchNormParameters {
    pub(crate) gamma: Tensor<1>,
    pub(crate) beta: Tensor<1>,
    pub(crate) epsilon: f64,
}

/// The result of a batch normalisation by the statistics of the batch.
pub(crate) struct Normalized<const D: usize> {
    pub(crate) output: Tensor<D>,
    /// Through these no gradient flows.
    pub(crate) mean: Tensor<1>,
    /// Biased.
    pub(crate) variance: Tensor<1>,
}

impl BatchNormParameters {
    /// Normalises by the statistics of the batch.
    pub(crate) fn by_batch<const D: usize>(
        self,
        input: Tensor<D>,
        shortcut: Option<Tensor<D>>,
        limits: Limits,
    ) -> Result<Normalized<D>, ApproxError> {
        self.check(&input, shortcut.as_ref())?;
        if !is_on_host(&input) {
            let found = module::batch_norm_train(input, self.gamma, self.beta, self.epsilon);
            return Ok(Normalized {
                output: limited(with_shortcut(found.output, shortcut), limits),
                mean: found.mean,
                variance: found.variance,
            });
        }
        let settings = self.settings(limits);
        let (output, mean, variance) = <Dispatch as ApproxOps>::fused_batch_norm(
            input.into_dispatch(),
            self.gamma.into_dispatch(),
            self.beta.into_dispatch(),
            into_dispatch(shortcut),
            settings,
        );
        Ok(Normalized {
            output: Tensor::from_dispatch(output),
            mean: Tensor::from_dispatch(mean),
            variance: Tensor::from_dispatch(variance),
        })
    }

    /// Normalises by given statistics.
    pub(crate) fn by_statistics<const D: usize>(
        self,
        [mean, variance]: [Tensor<1>; 2],
        input: Tensor<D>,
        shortcut: Option<Tensor<D>>,
        limits: Limits,
    ) -> Result<Tensor<D>, ApproxError> {
        self.check(&input, shortcut.as_ref())?;
        if !is_on_host(&input) {
            let Self {
                gamma,
                beta,
                epsilon,
            } = self;
            let normalized = module::batch_norm(input, gamma, beta, mean, variance, epsilon);
            return Ok(limited(with_shortcut(normalized, shortcut), limits));
        }
        let settings = self.settings(limits);
        Ok(Tensor::from_dispatch(
            <Dispatch as ApproxOps>::fused_normalize(
                mean.into_dispatch(),
                variance.into_dispatch(),
                input.into_dispatch(),
                self.gamma.into_dispatch(),
                self.beta.into_dispatch(),
                into_dispatch(shortcut),
                settings,
            ),
        ))
    }

    fn settings(&self, limits: Limits) -> BatchNormSettings {
        BatchNormSettings {
            epsilon: self.epsilon,
            limits,
        }
    }

    fn check<const D: usize>(
        &self,
        input: &Tensor<D>,
        shortcut: Option<&Tensor<D>>,
    ) -> Result<(), ApproxError> {
        let [channels] = self.gamma.dims();
        if D < 2 || input.dims()[1] != channels {
            return Err(shape_error(
                OPERATOR,
                format!(
                    "the input is {:?}; [batch, {channels}, ..] would be right, for there are {channels} channels",
                    input.dims()
                ),
            ));
        }
        let others = [("gamma", self.gamma.device()), ("beta", self.beta.device())].into_iter();
        let others = others.chain(shortcut.map(|shortcut| ("shortcut", shortcut.device())));
        check_devices(OPERATOR, &input.device(), others)?;
        match shortcut {
            Some(shortcut) if shortcut.dims() != input.dims() => Err(shape_error(
                OPERATOR,
                format!(
                    "the shortcut is {:?}; it is added to the input's {:?}, and must have that shape",
                    shortcut.dims(),
                    input.dims()
                ),
            )),
            _ => Ok(()),
        }
    }
}

fn with_shortcut<const D: usize>(values: Tensor<D>, shortcut: Option<Tensor<D>>) -> Tensor<D> {
    match shortcut {
        Some(shortcut) => values + shortcut,
        None => values,
    }
}

/// Brings values into an interval, through Burn's operators.
pub(crate) fn limited<const D: usize>(values: Tensor<D>, limits: Limits) -> Tensor<D> {
    let values = match limits.low {
        f32::NEG_INFINITY => values,
        // Not `relu6`, which clamps at both ends; a training step on the CPU takes a sixth less time so.
        0.0 => activation::relu(values),
        low => values.clamp_min(low),
    };
    match limits.high {
        f32::INFINITY => values,
        high => values.clamp_max(high),
    }
}

fn into_dispatch<const D: usize>(shortcut: Option<Tensor<D>>) -> Shortcut<Dispatch> {
    match shortcut {
        Some(shortcut) => Shortcut::Added(shortcut.into_dispatch()),
        None => Shortcut::None,
    }
}
