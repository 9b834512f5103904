//! The error of a layer's outputs from how often its codes occur: no product is computed for it.
//!
//! An output is the sum of `k` products. If operands are drawn independently, as often as they occur in the layer, each
//! product's error has a mean and a variance, and the sum `k` times as much (the population model of Trommer, Waschneck and
//! Kumar 2022, "Combining Gradients and Probabilities for Heterogeneous Approximation of Neural Networks", with the means
//! of all channels taken together).

use approx_multiplier::{ErrorMetrics, Multiplier};
use burn::module::Module;
use burn::tensor::Tensor;
use burn_approx::{GraphModel, approx_layers, trace};

use super::ExplorationError;
use crate::loader::ImageLoader;

/// The error of each output of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PopulationError {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// The errors of layers with multipliers, in the units of their outputs, by layer and multiplier; none for multipliers of
/// too many operands to be measured, and for layers that compute on no codes.
pub(super) fn errors<M: Module>(
    exact: &GraphModel<M, Tensor<4>, Tensor<2>>,
    multipliers: &[Multiplier],
    layers: &[String],
    loader: &ImageLoader,
) -> Result<Vec<Vec<Option<PopulationError>>>, ExplorationError> {
    let mut read = Ok(());
    let trace = trace(exact, |exact| {
        read = loader.batches().try_for_each(|batch| {
            exact.try_forward(batch?.images)?;
            Ok::<_, ExplorationError>(())
        });
    });
    read?;
    let trace = trace?;
    let table = approx_layers(exact);
    let of_layer = |path: &String| {
        let known = trace.layer(path).zip(table.get(path));
        let known = known.and_then(|(traced, layer)| {
            let quantizers = [layer.activation_quantizer()?, layer.weight_quantizer()?];
            let distribution = traced.distribution().ok()?;
            Some((distribution, quantizers, layer.fan_in()?))
        });
        let Some((distribution, [activation, weight], products)) = known else {
            return vec![None; multipliers.len()];
        };
        let mean = |values: &[f32], power: i32| {
            let sum: f64 = values
                .iter()
                .map(|value| f64::from(*value).powi(power))
                .sum();
            sum / values.len().max(1) as f64
        };
        let (activation, weight) = (activation.scales(), weight.scales());
        let [unit, squared_unit] =
            [1, 2].map(|power| mean(&activation, power) * mean(&weight, power));
        let products = products as f64;
        let of_multiplier = |multiplier: &Multiplier| {
            let metrics = ErrorMetrics::measure_weighted(multiplier, &distribution).ok()?;
            let variance = metrics.mse - metrics.bias * metrics.bias;
            Some(PopulationError {
                mean: products * metrics.bias * unit,
                variance: products * variance.max(0.0) * squared_unit,
            })
        };
        multipliers.iter().map(of_multiplier).collect()
    };
    Ok(layers.iter().map(of_layer).collect())
}
