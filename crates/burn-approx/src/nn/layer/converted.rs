//! What conversion adds to a layer: settings, quantisation state, plans.

use burn::prelude::*;

use super::kind::LayerShape;
use super::weight::WeightVersion;
use crate::codes::{Granularity, Observation, Operand};
use crate::error::ApproxError;
use crate::geometry::Geometry;
use crate::multiplier::PreparedMultiplier;
use crate::nn::settings::{LayerSettings, Mode};
use crate::observation::{OperandRole, OperandState};
use crate::plan::{ProductOperation, Target};

/// What conversion adds to a layer.
#[derive(Clone, Debug)]
pub(crate) struct Converted {
    pub(crate) path: String,
    pub(crate) settings: LayerSettings,
    pub(crate) activation: OperandState,
    pub(crate) weight: OperandState,
    /// Whether a calibration is running: the layer computes in float and observes.
    pub(crate) calibrating: bool,
    /// What is known of the weight as it was in the last forward pass outside of training.
    pub(super) version: WeightVersion,
    plans: Plans,
}

/// The plans made so far, so that a pass like one before need not plan anew; the newest are last.
#[derive(Clone, Debug, Default)]
struct Plans(Vec<(PlanKey, ProductOperation)>);

/// What a layer's plan depends on besides its settings.
#[derive(Clone, Debug, PartialEq)]
struct PlanKey {
    geometry: Geometry,
    device: Device,
    /// Whether the multiplier's products are planned, and not exact ones.
    approximate: bool,
}

/// Plans for so many different passes are kept: a few batch sizes, in training and not, approximate and exact.
const MOST_PLANS: usize = 16;

impl Converted {
    /// Applies settings to a layer, keeping what `before` knows of its ranges where it still applies.
    pub(crate) fn new(
        path: String,
        settings: LayerSettings,
        shape: &LayerShape,
        device: &Device,
        before: Option<&Self>,
    ) -> Result<Self, ApproxError> {
        settings.check()?;
        let scheme = &settings.quantization;
        let granularity: Granularity = scheme.granularity;
        let role = match shape.kind.has_weight() {
            true => OperandRole::weight(granularity, shape.channel_axis(), shape.outputs()),
            false => OperandRole::Activation,
        };
        let operand = |before: Option<&OperandState>, role, quantization: &_| match before {
            Some(before) => before.reconfigured(role, quantization, device),
            None => OperandState::new(role, Clone::clone(quantization), device),
        };
        Ok(Self {
            activation: operand(
                before.map(|b| &b.activation),
                OperandRole::Activation,
                &scheme.activation,
            ),
            weight: operand(before.map(|b| &b.weight), role, &scheme.weight),
            calibrating: before.is_some_and(|before| before.calibrating),
            version: WeightVersion::default(),
            plans: Plans::default(),
            path,
            settings,
        })
    }

    /// Copies of the operands' states that are to observe the next activation and this weight.
    pub(super) fn observers<const D: usize>(
        &mut self,
        weight: &Tensor<D>,
        training: bool,
    ) -> [Option<OperandState>; 2] {
        let observes = |observation: Observation| match observation {
            _ if self.calibrating => true,
            _ if self.settings.mode == Mode::Baseline => false,
            Observation::Always => true,
            Observation::WhileTraining => training,
            Observation::Frozen => false,
        };
        let activation = observes(self.activation.quantization().observation);
        // A weight that has been observed as it is has nothing new to tell.
        let known = !self.calibrating && self.version.is_observed(weight);
        let weight = observes(self.weight.quantization().observation)
            && !(known && self.weight.is_calibrated());
        [
            activation.then(|| self.activation.clone()),
            weight.then(|| self.weight.clone()),
        ]
    }

    /// Checks that both quantisers can be used.
    pub(super) fn check_quantizers(&mut self) -> Result<(), ApproxError> {
        if !self.activation.is_calibrated() || !self.weight.is_calibrated() {
            return Err(ApproxError::NotCalibrated {
                layer: self.path.clone(),
                mode: self.settings.mode.name(),
            });
        }
        for (operand, state) in [
            (Operand::Activation, &mut self.activation),
            (Operand::Weight, &mut self.weight),
        ] {
            if let Some(problem) = state.loaded_problem() {
                return Err(ApproxError::InvalidQuantizer {
                    what: format!("{operand} of layer `{}`", self.path),
                    problem,
                });
            }
        }
        Ok(())
    }

    /// Whether some pass was planned on a device, which therefore has the operators.
    pub(super) fn has_planned_on(&self, device: &Device) -> bool {
        self.plans.0.iter().any(|(key, _)| key.device == *device)
    }

    /// The product that APPROXIMATE, or else QUANTIZED, computes for a geometry on a device, planned at its first use.
    pub(crate) fn operation(
        &mut self,
        geometry: Geometry,
        device: &Device,
        approximate: bool,
    ) -> Result<ProductOperation, ApproxError> {
        let key = PlanKey {
            geometry,
            device: device.clone(),
            approximate,
        };
        let plans = &mut self.plans.0;
        if let Some((_, operation)) = plans.iter().rev().find(|(known, _)| *known == key) {
            return Ok(operation.clone());
        }
        let multiplier = match approximate {
            true => self.settings.product(),
            false => PreparedMultiplier::exact(self.settings.quantization.codes())?,
        };
        let grids = [&mut self.activation, &mut self.weight].map(|operand| operand.grid());
        let target = Target::of(device)?;
        let operation = ProductOperation::new(multiplier, grids, geometry, target)?;
        if plans.len() == MOST_PLANS {
            plans.remove(0);
        }
        plans.push((key, operation.clone()));
        Ok(operation)
    }
}
