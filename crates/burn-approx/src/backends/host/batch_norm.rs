//! Batch normalisation by the CPU's own kernels.

use approx_cpu::batch_norm::{
    self, BatchNorm, BatchNormShape, Statistics, batch_norm_gradient, normalize,
};
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};

use super::{HostBackend, float_tensor};
use crate::backends::{BatchNormSettings, Shortcut, batch_norm as composed, checked};

/// Hands the values of a normalisation's operands to `compute`.
fn read<B: HostBackend, R>(
    values: FloatTensor<B>,
    [gamma, beta]: [FloatTensor<B>; 2],
    shortcut: Shortcut<B>,
    settings: BatchNormSettings,
    compute: impl FnOnce(&BatchNormShape, &BatchNorm<'_>, &[f32], Option<&[f32]>) -> R,
) -> R {
    let shape = values.shape();
    let shape = BatchNormShape {
        batch: shape[0],
        channels: shape[1],
        inner: shape.iter().skip(2).product(),
    };
    B::read(gamma, |gamma| {
        B::read(beta, |beta| {
            let norm = BatchNorm {
                gamma,
                beta,
                epsilon: settings.epsilon as f32,
                limits: settings.limits,
            };
            B::read(values, |values| match shortcut {
                Shortcut::None => compute(&shape, &norm, values, None),
                Shortcut::Added(shortcut) => B::read(shortcut, |shortcut| {
                    compute(&shape, &norm, values, Some(shortcut))
                }),
            })
        })
    })
}

fn is_float32<B: HostBackend>(tensors: &[&FloatTensor<B>], shortcut: &Shortcut<B>) -> bool {
    let is_float32 = |tensor: &FloatTensor<B>| tensor.dtype() == DType::F32;
    let shortcut = match shortcut {
        Shortcut::None => true,
        Shortcut::Added(shortcut) => is_float32(shortcut),
    };
    shortcut && tensors.iter().all(|tensor| is_float32(tensor))
}

fn statistics_of<B: HostBackend>([mean, variance]: [FloatTensor<B>; 2]) -> Statistics {
    Statistics {
        mean: B::read(mean, <[f32]>::to_vec),
        variance: B::read(variance, <[f32]>::to_vec),
    }
}

/// The outputs, the means and the biased variances.
pub(super) fn by_batch<B: HostBackend>(
    values: FloatTensor<B>,
    parameters: [FloatTensor<B>; 2],
    shortcut: Shortcut<B>,
    settings: BatchNormSettings,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    if !is_float32::<B>(&[&values, &parameters[0], &parameters[1]], &shortcut) {
        let [gamma, beta] = parameters;
        return composed::by_batch::<B>(values, gamma, beta, shortcut, settings);
    }
    let (shape, device) = (values.shape(), values.device());
    let (outputs, statistics) = read::<B, _>(
        values,
        parameters,
        shortcut,
        settings,
        |shape, norm, values, shortcut| {
            checked(batch_norm::batch_norm(shape, norm, values, shortcut))
        },
    );
    let channels = Shape::from(vec![shape[1]]);
    let per_channel = |values| float_tensor::<B>(values, channels.clone(), &device);
    (
        float_tensor::<B>(outputs, shape, &device),
        per_channel(statistics.mean),
        per_channel(statistics.variance),
    )
}

/// The outputs by given statistics.
pub(super) fn by_statistics<B: HostBackend>(
    values: FloatTensor<B>,
    parameters: [FloatTensor<B>; 2],
    statistics: [FloatTensor<B>; 2],
    shortcut: Shortcut<B>,
    settings: BatchNormSettings,
) -> FloatTensor<B> {
    let of_channels = parameters.iter().chain(&statistics);
    let tensors: Vec<_> = of_channels.chain([&values]).collect();
    if !is_float32::<B>(&tensors, &shortcut) {
        return composed::by_statistics::<B>(values, parameters, statistics, shortcut, settings);
    }
    let (shape, device) = (values.shape(), values.device());
    let statistics = statistics_of::<B>(statistics);
    let outputs = read::<B, _>(
        values,
        parameters,
        shortcut,
        settings,
        |shape, norm, values, shortcut| {
            checked(normalize(shape, norm, &statistics, values, shortcut))
        },
    );
    float_tensor::<B>(outputs, shape, &device)
}

/// The gradients of values, gamma, beta and shortcut; the last has no meaning where there is no shortcut.
pub(super) fn gradients<B: HostBackend>(
    values: FloatTensor<B>,
    parameters: [FloatTensor<B>; 2],
    statistics: [FloatTensor<B>; 2],
    shortcut: Shortcut<B>,
    gradient: FloatTensor<B>,
    settings: BatchNormSettings,
) -> (
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
    FloatTensor<B>,
) {
    let of_channels = parameters.iter().chain(&statistics);
    let tensors: Vec<_> = of_channels.chain([&values, &gradient]).collect();
    if !is_float32::<B>(&tensors, &shortcut) {
        return composed::gradients::<B>(
            values, parameters, statistics, shortcut, gradient, settings,
        );
    }
    let (shape, device) = (values.shape(), values.device());
    let statistics = statistics_of::<B>(statistics);
    let gradients = read::<B, _>(
        values,
        parameters,
        shortcut,
        settings,
        |shape, norm, values, shortcut| {
            B::read(gradient, |gradient| {
                checked(batch_norm_gradient(
                    shape,
                    norm,
                    &statistics,
                    values,
                    shortcut,
                    gradient,
                ))
            })
        },
    );
    let channels = Shape::from(vec![shape[1]]);
    let per_channel = |values| float_tensor::<B>(values, channels.clone(), &device);
    let of_shortcut = match gradients.shortcut {
        None => float_tensor::<B>(vec![], Shape::from(vec![0]), &device),
        Some(gradient) => float_tensor::<B>(gradient, shape.clone(), &device),
    };
    (
        float_tensor::<B>(gradients.values, shape, &device),
        per_channel(gradients.gamma),
        per_channel(gradients.beta),
        of_shortcut,
    )
}
