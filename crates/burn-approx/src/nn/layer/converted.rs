//! What conversion adds to a layer: settings, quantisation state, plans.

use burn::prelude::*;

use super::kind::LayerShape;
use super::pass::LastSimulation;
use super::weight::WeightVersion;
use crate::codes::{Granularity, Observation, Operand};
use crate::error::{ApproxError, layer_name};
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
    /// What the last forward pass came to.
    pub(super) last: LastSimulation,
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
        let role = match shape.outputs() {
            Some(outputs) => OperandRole::weight(granularity, shape.kind.channel_axis(), outputs),
            None => OperandRole::Activation,
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
            last: LastSimulation::default(),
            path,
            settings,
        })
    }

    /// Moves the operands' states to the device of a product of activations, which has no weight that would keep them
    /// there.
    pub(super) fn follow(&mut self, device: &Device) {
        if self.activation.device() != device.clone().inner() {
            self.activation.move_to(device);
            self.weight.move_to(device);
        }
    }

    /// Copies of the operands' states that are to observe the next activation and this weight, which has so many
    /// output channels.
    pub(super) fn observers<const D: usize>(
        &mut self,
        weight: &Tensor<D>,
        channels: usize,
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
        // A weight that has been observed as it is has nothing new to tell, unless it is seen as another one.
        let observes_weight = observes(self.weight.quantization().observation);
        if observes_weight {
            self.weight.fit_channels(channels);
        }
        let weight = observes_weight
            && (self.calibrating
                || !self.version.is_observed(weight)
                || !self.weight.is_calibrated());
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
                    what: format!("{operand} of {}", layer_name(&self.path)),
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
        let grids = [&self.activation, &self.weight].map(OperandState::grid);
        let target = Target::of(device)?;
        let operation = ProductOperation::new(multiplier, grids, geometry, target)?;
        if plans.len() == MOST_PLANS {
            plans.remove(0);
        }
        plans.push((key, operation.clone()));
        Ok(operation)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use approx_cpu::MatmulShape;
    use approx_multiplier::evoapprox;

    use super::*;
    use crate::plan::{PlanChoice, Route};

    fn shape() -> LayerShape {
        LayerShape::linear([16, 8])
    }

    fn converted(settings: LayerSettings, before: Option<&Converted>) -> Converted {
        let device = Device::flex();
        Converted::new("layer".into(), settings, &shape(), &device, before).unwrap()
    }

    fn settings() -> LayerSettings {
        LayerSettings::new(evoapprox::multiplier("mul8s_1KVA").unwrap())
    }

    fn rows(rows: usize) -> Geometry {
        Geometry::Matmul(MatmulShape {
            rows,
            inner: 16,
            columns: 8,
        })
    }

    /// Whether two operations share one plan, rather than plans that say the same.
    fn is_one_plan(left: &ProductOperation, right: &ProductOperation) -> bool {
        std::ptr::eq(left.plan(), right.plan())
    }

    #[test]
    fn a_plan_is_made_once_per_shape_and_mode() {
        let mut layer = converted(settings(), None);
        let passes = [(rows(1), true), (rows(2), true), (rows(1), false)];
        let device = Device::flex();
        let mut plan = || {
            let plans = passes.iter().map(|(geometry, approximate)| {
                layer.operation(*geometry, &device, *approximate).unwrap()
            });
            plans.collect::<Vec<_>>()
        };
        let (first, again) = (plan(), plan());
        for (index, left) in first.iter().enumerate() {
            for (other, right) in again.iter().enumerate() {
                assert_eq!(is_one_plan(left, right), index == other, "{index}, {other}");
            }
            assert_eq!(*left.geometry(), passes[index].0);
        }
        assert!(first[2].route().is_exact_product());
    }

    /// A device is one and the same whether it records gradients or not.
    #[cfg(feature = "autodiff")]
    #[test]
    fn training_and_evaluation_share_a_plan() {
        let mut layer = converted(settings(), None);
        let device = Device::flex();
        let plan = layer.operation(rows(1), &device, true).unwrap();
        let in_training = layer.operation(rows(1), &device.autodiff(), true).unwrap();
        assert!(is_one_plan(&plan, &in_training));
    }

    /// A device has plans of its own, and is known to have the operators once something was planned on it.
    #[cfg(feature = "ndarray")]
    #[allow(
        deprecated,
        reason = "burn-ndarray is deprecated and stays behind a feature"
    )]
    #[test]
    fn a_plan_is_made_once_per_device() {
        let mut layer = converted(settings(), None);
        let [first, second] = [Device::flex(), Device::ndarray()];
        assert!(!layer.has_planned_on(&first));
        let plan = layer.operation(rows(1), &first, true).unwrap();
        assert!(layer.has_planned_on(&first) && !layer.has_planned_on(&second));
        let other = layer.operation(rows(1), &second, true).unwrap();
        assert!(layer.has_planned_on(&second));
        assert!(!is_one_plan(&plan, &other));
        let again = layer.operation(rows(1), &first, true).unwrap();
        assert!(is_one_plan(&plan, &again));
    }

    #[test]
    fn changed_settings_are_planned_anew() {
        let device = Device::flex();
        let mut layer = converted(settings(), None);
        let plan = |layer: &mut Converted| layer.operation(rows(1), &device, true).unwrap();
        let before = plan(&mut layer);
        assert_eq!(before.route(), Route::Factored);
        for (choice, route) in [
            (PlanChoice::Gather, Route::Gather),
            (PlanChoice::FactoredFloat32, Route::FactoredFloat32),
            (PlanChoice::Factored, Route::Factored),
        ] {
            let mut changed = layer.settings.clone();
            changed.plan = choice;
            layer = converted(changed, Some(&layer));
            let after = plan(&mut layer);
            assert!(!is_one_plan(&before, &after), "{choice}");
            assert_eq!(after.route(), route);
        }
        let mut narrower = layer.settings.clone();
        narrower.quantization.weight.codes = crate::codes::CodeRange::new(-7, 7).unwrap();
        layer = converted(narrower, Some(&layer));
        assert_eq!(plan(&mut layer).weight().high, 7);
        let mut another = layer.settings.clone();
        another.multiplier = evoapprox::multiplier("mul8s_1L2J").unwrap().into();
        layer = converted(another, Some(&layer));
        assert_eq!(
            plan(&mut layer).multiplier().multiplier().name(),
            "mul8s_1L2J"
        );
    }

    /// A layer that sees ever new shapes keeps the newest plans and no more.
    #[test]
    fn the_newest_plans_are_kept() {
        let device = Device::flex();
        let mut layer = converted(settings(), None);
        let mut plan = |size| layer.operation(rows(size), &device, true).unwrap();
        let first: Vec<_> = (1..=MOST_PLANS + 1).map(&mut plan).collect();
        for (index, own) in first.iter().enumerate().skip(1) {
            assert!(is_one_plan(own, &plan(index + 1)), "{index}");
        }
        assert!(!is_one_plan(&first[0], &plan(1)), "the oldest made room");
    }
}
