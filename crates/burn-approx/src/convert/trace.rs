//! Operand traces: which codes a model's layers meet, and how often.

use std::sync::Arc;

use approx_multiplier::{LayerTrace, OperandTrace};
use burn::module::Module;

use super::walk::Walk;
use crate::error::ApproxError;
use crate::nn::LayerState;

/// Runs `passes` and records how often each code of activation and weight occurs in every converted layer.
///
/// Codes are counted on the layers' device, in memory that does not grow with the passes, and read once at the end. A
/// weight's codes count once for each forward pass. Recorded are the layers of `model` itself, not those of copies that
/// `passes` makes, and those that compute on codes: not in mode BASELINE.
///
/// # Errors
/// [`ApproxError::Trace`] if the device cannot be read; a layer whose multiplier was exchanged for one of other formats
/// meanwhile.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::convert::{ApproxConfig, calibrate, convert, trace};
/// use burn_approx::nn::LinearConfig;
///
/// let device = Device::default();
/// let layer = LinearConfig::new(8, 4).init(&device);
/// let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1L2J"))?;
/// let x = Tensor::<2>::ones([2, 8], &device);
/// calibrate(&layer, |layer| drop(layer.forward(x.clone())))?;
/// let trace = trace(&layer, |layer| drop(layer.forward(x)))?;
/// let (_code, times) = trace.layers()[0].activation_counts()[0];
/// assert_eq!(times, 16); // all values were the same
/// // trace.save("trace.json")?; and then: burn-approx metrics mul8s_1L2J --distribution trace.json
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn trace<M: Module>(model: &M, passes: impl FnOnce(&M)) -> Result<OperandTrace, ApproxError> {
    let walk = Walk::through(model);
    let tracing = Tracing::begin(&walk);
    passes(model);
    let mut trace = OperandTrace::new();
    for (found, layer) in walk.layers.iter().zip(&tracing.0) {
        let Some([activation, weight]) = layer.set_tracing(false) else {
            continue;
        };
        let formats = layer.lock().as_ref().map(|converted| {
            let multiplier = converted.settings.multiplier();
            (multiplier.activation(), multiplier.weight())
        });
        let activation = activation.finish(&found.path)?;
        let weight = weight.finish(&found.path)?;
        if let Some((activation_format, weight_format)) = formats
            && !activation.is_empty()
        {
            trace.push(LayerTrace::new(
                found.path.as_str(),
                (activation_format, activation),
                (weight_format, weight),
            )?)?;
        }
    }
    Ok(trace)
}

/// Layers that count codes; they stop when this is dropped, also by a panic in a pass.
struct Tracing(Vec<Arc<LayerState>>);

impl Tracing {
    fn begin(walk: &Walk) -> Self {
        let layers: Vec<_> = walk
            .layers
            .iter()
            .map(|found| found.state.clone())
            .collect();
        for layer in &layers {
            layer.set_tracing(true);
        }
        Self(layers)
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        for layer in &self.0 {
            layer.set_tracing(false);
        }
    }
}
