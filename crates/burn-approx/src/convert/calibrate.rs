//! Calibration: observing the ranges of a model's layers on some batches.

use burn::module::Module;

use super::walk::Walk;
use crate::codes::Operand;
use crate::error::ApproxError;
use crate::nn::LayerState;

/// Runs `batches` with every converted layer in float and observing, whatever their modes.
///
/// What was observed before is forgotten first. Afterwards the layers go on in their modes, activations with the
/// observed ranges, weights with those of their current values.
///
/// # Errors
/// [`ApproxError::NotFinite`] if a NaN or infinity reached an observer, and [`ApproxError::NotCalibrated`] if a
/// converted layer saw no batch at all; both name the layer. Converted layers then refuse to run until calibrated
/// again.
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::convert::{ApproxConfig, calibrate, convert};
/// use burn_approx::nn::LinearConfig;
///
/// let device = Device::default();
/// let layer = LinearConfig::new(8, 4).init(&device);
/// let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1L2J"))?;
/// let x = Tensor::<2>::ones([2, 8], &device);
/// assert!(layer.try_forward(x.clone()).is_err()); // not calibrated
/// calibrate(&layer, |layer| {
///     layer.forward(x.clone());
/// })?;
/// println!("{}", layer.forward(x)); // approximate
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
pub fn calibrate<M: Module>(model: &M, batches: impl FnOnce(&M)) -> Result<(), ApproxError> {
    let walk = Walk::through(model);
    let guard = Calibrating::begin(&walk);
    batches(model);
    drop(guard);
    let mut result = Ok(());
    for found in &walk.layers {
        if let Some(converted) = found.state.lock().as_mut() {
            for (operand, state) in [
                (Operand::Activation, &mut converted.activation),
                (Operand::Weight, &mut converted.weight),
            ] {
                if state.is_poisoned() {
                    state.reset();
                    result = result.and(Err(ApproxError::NotFinite {
                        layer: converted.path.clone(),
                        operand,
                    }));
                } else if !state.is_calibrated() {
                    let mode = converted.settings.mode.name();
                    result = result.and(Err(ApproxError::NotCalibrated {
                        layer: converted.path.clone(),
                        mode,
                    }));
                }
            }
        }
    }
    result
}

/// Layers under calibration; they go back to their modes when this is dropped, also by a panic in a batch.
struct Calibrating<'a>(Vec<&'a LayerState>);

impl<'a> Calibrating<'a> {
    fn begin(walk: &'a Walk) -> Self {
        let layers: Vec<&LayerState> = walk
            .layers
            .iter()
            .map(|found| found.state.as_ref())
            .collect();
        for layer in &layers {
            if let Some(converted) = layer.lock().as_mut() {
                converted.activation.reset();
                converted.weight.reset();
                converted.calibrating = true;
            }
        }
        Self(layers)
    }
}

impl Drop for Calibrating<'_> {
    fn drop(&mut self) {
        for layer in &self.0 {
            if let Some(converted) = layer.lock().as_mut() {
                converted.calibrating = false;
            }
        }
    }
}
