//! Batch normalisation with what follows it, through a backend's own operations, and what a backend is told of it.

use approx_cpu::batch_norm::Limits;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType, TensorMetadata};

/// What is added to a normalised tensor, of its shape.
#[derive(Clone, Debug, ExtensionType)]
pub enum Shortcut<B: Backend> {
    /// Nothing.
    None,
    /// A tensor.
    Added(FloatTensor<B>),
}

/// The numbers of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormSettings {
    /// Added to the variance.
    pub epsilon: f64,
    /// What outputs are limited to.
    pub limits: Limits,
}

/// The outputs, given the channels' own statistics: these, the means, and the biased variances.
pub(super) fn by_batch<B: Backend>(
    values: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    shortcut: Shortcut<B>,
    settings: BatchNormSettings,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let found = B::batch_norm_train(values, gamma, beta, settings.epsilon);
    let output = limited::<B>(with_shortcut::<B>(found.output, shortcut), settings.limits);
    (output, found.mean, found.variance)
}

/// The outputs by given statistics.
pub(super) fn by_statistics<B: Backend>(
    values: FloatTensor<B>,
    [gamma, beta]: [FloatTensor<B>; 2],
    [mean, variance]: [FloatTensor<B>; 2],
    shortcut: Shortcut<B>,
    settings: BatchNormSettings,
) -> FloatTensor<B> {
    let normalized = B::batch_norm(values, gamma, beta, mean, variance, settings.epsilon);
    limited::<B>(with_shortcut::<B>(normalized, shortcut), settings.limits)
}

/// The gradients of values, gamma, beta and shortcut; the last has no meaning where there is no shortcut.
pub(super) fn gradients<B: Backend>(
    values: FloatTensor<B>,
    [gamma, beta]: [FloatTensor<B>; 2],
    [mean, variance]: [FloatTensor<B>; 2],
    shortcut: Shortcut<B>,
    gradient: FloatTensor<B>,
    settings: BatchNormSettings,
) -> (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
) {
    let BatchNormSettings { epsilon, limits } = settings;
    let passed = match limits == Limits::NONE {
        true => gradient,
        false => {
            let (of, by) = ([gamma.clone(), beta], [mean.clone(), variance.clone()]);
            let unlimited = BatchNormSettings {
                limits: Limits::NONE,
                ..settings
            };
            let output = by_statistics::<B>(values.clone(), of, by, shortcut, unlimited);
            let bools =
                burn::backend::get_or_init_device_settings::<B>(&gradient.device()).bool_dtype;
            let below = B::float_lower_equal_elem(output.clone(), limits.low.into(), bools);
            let above = B::float_greater_elem(output, limits.high.into(), bools);
            let stopped = B::bool_or(below, above);
            B::float_mask_fill(gradient, stopped, 0.0.into())
        }
    };
    let of_shortcut = passed.clone();
    let found = B::batch_norm_train_backward(values, gamma, mean, variance, epsilon, passed);
    (found.x_grad, found.gamma_grad, found.beta_grad, of_shortcut)
}

fn with_shortcut<B: Backend>(values: FloatTensor<B>, shortcut: Shortcut<B>) -> FloatTensor<B> {
    match shortcut {
        Shortcut::None => values,
        Shortcut::Added(shortcut) => B::float_add(values, shortcut),
    }
}

fn limited<B: Backend>(values: FloatTensor<B>, limits: Limits) -> FloatTensor<B> {
    let values = match limits.low {
        f32::NEG_INFINITY => values,
        0.0 => B::relu(values),
        low => B::float_clamp_min(values, low.into()),
    };
    match limits.high {
        f32::INFINITY => values,
        high => B::float_clamp_max(values, high.into()),
    }
}
