//! Calibration: observing the ranges of a model's layers on some batches.

use burn::module::Module;

use super::walk::Walk;
use crate::codes::Operand;
use crate::error::ApproxError;
use crate::nn::LayerState;
use crate::observation::OperandState;

/// Runs `batches` with every converted layer in float and observing, whatever their modes.
///
/// What was observed before is forgotten first, but quantisers that were set by hand and are frozen stay. Afterwards the
/// layers go on in their modes, activations with the observed ranges, weights with those of their current values.
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

/// Layers under calibration, with what is to stay of their states; they go back to their modes when this is dropped, also by
/// a panic in a batch.
struct Calibrating<'a>(Vec<(&'a LayerState, [Option<OperandState>; 2])>);

impl<'a> Calibrating<'a> {
    fn begin(walk: &'a Walk) -> Self {
        let begin = |layer: &'a LayerState| {
            let mut guard = layer.lock();
            let kept = guard.as_mut().map(|converted| {
                converted.calibrating = true;
                [&mut converted.activation, &mut converted.weight].map(|state| {
                    let kept = state.is_set_by_hand().then(|| state.clone());
                    state.reset();
                    kept
                })
            });
            (layer, kept.unwrap_or_default())
        };
        Self(
            walk.layers
                .iter()
                .map(|found| begin(&found.state))
                .collect(),
        )
    }
}

impl Drop for Calibrating<'_> {
    fn drop(&mut self) {
        for (layer, kept) in &mut self.0 {
            if let Some(converted) = layer.lock().as_mut() {
                converted.calibrating = false;
                let states = [&mut converted.activation, &mut converted.weight];
                for (state, kept) in states.into_iter().zip(kept) {
                    if let Some(kept) = kept.take() {
                        *state = kept;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;

    use super::calibrate;
    use crate::codes::{CodeRange, Observation};
    use crate::convert::{ApproxConfig, approx_layers, convert};
    use crate::nn::LinearConfig;
    use crate::quantization::CodeQuantizer;

    /// A quantiser that was set stays through a calibration, beside one that is observed; one that is to follow the data
    /// again does.
    #[test]
    fn quantisers_that_were_set_stay() {
        let device = Device::flex();
        let layer = LinearConfig::new(8, 4).init(&device);
        let (layer, _) = convert(layer, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
        let x = Tensor::<2>::ones([2, 8], &device) * 3.0;
        let scales = || {
            calibrate(&layer, |layer| drop(layer.forward(x.clone()))).unwrap();
            let layer = &approx_layers(&layer)[0];
            let [activation, weight] = [layer.activation_quantizer(), layer.weight_quantizer()];
            [activation, weight].map(|quantizer| quantizer.unwrap().scales())
        };
        let observed = scales();
        let handle = &approx_layers(&layer)[0];
        let codes = handle.settings().unwrap().quantization.activation.codes;
        let codes = CodeRange::new(codes.low(), codes.high()).unwrap();
        let own = CodeQuantizer::per_tensor(0.125, 0, codes, &device).unwrap();
        handle.set_activation_quantizer(&own).unwrap();
        assert_eq!(scales(), [vec![0.125], observed[1].clone()]);
        handle
            .set_observation(Observation::WhileTraining, Observation::Frozen)
            .unwrap();
        assert_eq!(scales(), observed);
    }
}
