//! What a drop-in layer carries besides its weights, as a module of Burn's.
//!
//! A forward pass has only `&self`, but observes; a user sets modes layer by layer in a loop. So the state sits behind
//! a lock that the layer owns alone: cloning a layer copies it, and only a [`ApproxLayer`](crate::convert::ApproxLayer)
//! shares it. Burn's visitors see tensors and flags, never a module itself; a walk that wants the layers (listing,
//! conversion, calibration) receives each one's handle beside the flag that the layer shows, through [`with_handle`].

use std::cell::RefCell;
use std::sync::Arc;

use burn::module::{
    Content, Devices, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param,
};
use burn::prelude::*;

use super::converted::Converted;
use super::kind::LayerShape;
use super::pass::{LastSimulation, Pass};
use super::simulation::{Operands, Simulation};
use super::state::{LayerState, Seen};
use super::weight::WeightVersion;
use crate::codes::Operand;
use crate::error::ApproxError;
use crate::geometry::Geometry;
use crate::nn::settings::Mode;
use crate::ops::{check_bias, check_float};
use crate::plan::Target;

/// The approximation of one layer: nothing until conversion, then its settings and quantisation state.
#[derive(Debug)]
pub struct Approximation {
    layer: Arc<LayerState>,
    /// Whether the layer takes part in training: noise and observation follow it.
    training: Param<Flag>,
}

impl Approximation {
    pub(crate) fn new(shape: LayerShape) -> Self {
        let layer = LayerState::new(Seen { shape, pass: None }, None);
        Self {
            layer: Arc::new(layer),
            training: Param::from_bool(true),
        }
    }

    fn with(&self, converted: Option<Converted>, training: Param<Flag>) -> Self {
        let layer = LayerState::new(self.layer.seen().clone(), converted);
        Self {
            layer: Arc::new(layer),
            training,
        }
    }

    /// Whether the next forward pass computes in float and observes nothing.
    #[cfg(feature = "capture")]
    pub(crate) fn is_idle(&self) -> bool {
        let guard = self.layer.lock_for_pass();
        guard.as_ref().is_none_or(|converted| {
            converted.settings.mode == Mode::Baseline && !converted.calibrating
        })
    }

    /// Notes a forward pass and says how to compute it: in float (`None`) or simulated.
    ///
    /// # Errors
    /// A bias of another length than there are outputs, a device without the operators, operands on several devices,
    /// quantisers that are not calibrated or do not fit the operands, a product that cannot be planned.
    pub(crate) fn begin<const A: usize, const P: usize, const W: usize>(
        &self,
        operands: Operands<'_, A, P, W>,
        geometry: Geometry,
    ) -> Result<Option<Arc<Simulation>>, ApproxError> {
        let outputs = operands.weight.dims()[geometry.weight_channel_axis(W)];
        check_bias(operands.operator, operands.bias, outputs)?;
        let device = operands.activation.device();
        // A vector is a batch of one.
        let batch = if A == 1 {
            1
        } else {
            operands.activation.dims()[0]
        };
        let pass = Pass {
            geometry,
            device,
            batch,
        };
        self.layer.remember(&pass, || {
            let (parameter, weight) = (operands.parameter.dims(), operands.weight.dims());
            LayerShape::of_pass(self.layer.kind, &parameter, &weight, &pass.geometry)
        });
        let training = self.training.is_enabled() && pass.device.is_autodiff();
        let simulation = match self.like_the_last(&pass, operands, training) {
            Some(simulation) => simulation,
            None => match self.simulation(pass, operands, training)? {
                Some(simulation) => simulation,
                None => {
                    let Operands {
                        operator,
                        activation,
                        weight,
                        bias,
                        ..
                    } = operands;
                    check_float(operator, activation, weight, bias)?;
                    return Ok(None);
                }
            },
        };
        let Operands {
            activation, weight, ..
        } = operands;
        (self.layer).trace(activation, weight, simulation.quantizers());
        Ok(Some(simulation))
    }

    /// How to simulate a pass that is like the last one.
    fn like_the_last<const A: usize, const P: usize, const W: usize>(
        &self,
        pass: &Pass,
        operands: Operands<'_, A, P, W>,
        training: bool,
    ) -> Option<Arc<Simulation>> {
        let guard = self.layer.lock_for_pass();
        let converted = guard.as_ref().filter(|_| !training)?;
        let simulation = converted.last.of(pass, operands.bias)?;
        let same_weight = match self.layer.kind.has_weight() {
            true => converted.version.is(operands.parameter),
            false => operands.weight.device() == pass.device,
        };
        same_weight.then_some(simulation)
    }

    /// Observes the operands as the layer's settings say, and finds out how to compute: in float (`None`) or simulated.
    fn simulation<const A: usize, const P: usize, const W: usize>(
        &self,
        pass: Pass,
        operands: Operands<'_, A, P, W>,
        training: bool,
    ) -> Result<Option<Arc<Simulation>>, ApproxError> {
        let Operands {
            activation,
            parameter,
            weight,
            ..
        } = operands;
        let device = &pass.device;
        let has_weight = self.layer.kind.has_weight();
        // What is to be observed is decided under the lock, measured without it and taken under it again: while a
        // thread of a pool waits for a part of its own measurement, it may start another forward pass of this very
        // layer.
        let [activation_observer, weight_observer] = {
            let mut guard = self.layer.lock();
            let Some(converted) = guard.as_mut() else {
                return Ok(None);
            };
            if !has_weight {
                converted.follow(device);
            }
            let simulates = converted.calibrating || converted.settings.mode != Mode::Baseline;
            if simulates && !converted.has_planned_on(device) {
                Target::of(device)?;
            }
            let channels = weight.dims()[pass.geometry.weight_channel_axis(W)];
            converted.observers(parameter, channels, training)
        };
        // In nothing there is nothing to be seen.
        let observed_activation = activation_observer
            .filter(|_| activation.shape().num_elements() > 0)
            .map(|state| (state.measure(activation.clone()), state));
        let observed_weight = weight_observer
            .filter(|_| weight.shape().num_elements() > 0)
            .map(|state| (state.measure(weight.clone()), state));

        let mut guard = self.layer.lock();
        let Some(converted) = guard.as_mut() else {
            return Ok(None);
        };
        let weight_was_observed = observed_weight.is_some();
        let observes = weight_was_observed || observed_activation.is_some();
        for (measured, state) in [
            (observed_activation, &mut converted.activation),
            (observed_weight, &mut converted.weight),
        ] {
            // Somebody may have changed the settings meanwhile.
            if let Some((measured, measuring)) = measured
                && measuring.quantization() == state.quantization()
            {
                state.take(measured);
            }
        }
        let mode = converted.settings.mode;
        if converted.calibrating || mode == Mode::Baseline {
            return Ok(None);
        }
        converted.check_quantizers()?;
        let quantizers = [
            converted.activation.quantizer(),
            converted.weight.quantizer(),
        ];
        operands.check(&quantizers, &pass.geometry)?;
        let operation = converted.operation(pass.geometry, device, mode == Mode::Approximate)?;
        let noise = (mode == Mode::Noise && training).then_some(converted.settings.noise);
        // In training the weight changes with every step, a second activation with every pass: keeping anything of it
        // would only take memory.
        let kept = if training || !has_weight {
            converted.version = WeightVersion::default();
            None
        } else {
            let version = &mut converted.version;
            Some(version.keep(parameter, &quantizers[1], weight_was_observed))
        };
        let (operation, tap) = (operation.keeping(kept), self.layer.tap());
        let simulation = Simulation::new(quantizers, operation, noise, tap);
        let simulation = Arc::new(simulation);
        if !training && !observes {
            converted.last = LastSimulation::new(pass, simulation.clone());
        }
        Ok(Some(simulation))
    }
}

thread_local! {
    /// The layer whose flag is being visited on this thread right now.
    static VISITED: RefCell<Option<Arc<LayerState>>> = const { RefCell::new(None) };
}

/// The handle of the layer whose flag is being visited, to be called in `ModuleVisitor::visit_flag`; `None` for any
/// other flag.
pub(crate) fn with_handle() -> Option<Arc<LayerState>> {
    VISITED.with_borrow(Clone::clone)
}

impl Clone for Approximation {
    /// An independent copy: settings and quantisation state are not shared with the original.
    fn clone(&self) -> Self {
        self.with(self.layer.lock().clone(), self.training.clone())
    }
}

impl Module for Approximation {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        VISITED.with_borrow_mut(|visited| *visited = Some(self.layer.clone()));
        visitor.visit_flag(&self.training);
        VISITED.with_borrow_mut(|visited| *visited = None);
        // Visited on a copy: the lock is free again should the visitor run the layer.
        let converted = self.layer.lock().clone();
        if let Some(mut converted) = converted {
            converted
                .activation
                .visit(Operand::Activation.name(), visitor);
            converted.weight.visit(Operand::Weight.name(), visitor);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let training = mapper.map_flag(self.training);
        let converted = self.layer.lock().clone();
        if let Some(mut converted) = converted {
            converted.activation.map(Operand::Activation.name(), mapper);
            converted.weight.map(Operand::Weight.name(), mapper);
            converted.version = WeightVersion::default();
            *self.layer.lock() = Some(converted);
        }
        Self { training, ..self }
    }

    fn to_device(self, device: &Device) -> Self {
        if let Some(converted) = self.layer.lock().as_mut() {
            converted.activation.move_to(device);
            converted.weight.move_to(device);
            converted.version = WeightVersion::default();
        }
        self
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn collect_devices(&self, mut devices: Devices) -> Devices {
        if let Some(converted) = self.layer.lock().as_ref() {
            let device = converted.activation.device();
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
        devices
    }

    fn materialize(self) -> Self {
        self
    }

    /// None: scales, zero points and what was observed are not learned. (Burn asks this of a layer's fields, but visits
    /// what is in an `Option` or a tuple.)
    fn num_params(&self) -> usize {
        0
    }

    fn valid(&self) -> Self {
        self.with(self.layer.lock().clone(), self.training.valid())
    }

    fn train(self) -> Self {
        Self {
            training: self.training.train(),
            ..self
        }
    }
}

impl ModuleDisplayDefault for Approximation {
    fn content(&self, content: Content) -> Option<Content> {
        let text = match self.layer.lock().as_ref() {
            Some(converted) => format!(
                "{} {}",
                converted.settings.mode,
                converted.settings.multiplier().name()
            ),
            None => "none".to_string(),
        };
        content.add_formatted(&text).optional()
    }
}

impl ModuleDisplay for Approximation {}
