//! What a drop-in layer carries besides its weights: settings, quantisation state, and the way to reach them.
//!
//! A forward pass has only `&self`, but observes; a user sets modes layer by layer in a loop. So the state sits behind a
//! lock that the layer owns alone: cloning a layer copies it, and only a [`ApproxLayer`](crate::convert::ApproxLayer)
//! shares it. Burn's visitors see tensors and flags, never a module itself; a walk that wants the layers (listing,
//! conversion, calibration) receives each one's handle beside the flag that the layer shows, through [`with_handle`].

use std::any::Any;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{
    Content, Devices, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param,
};
use burn::prelude::*;

use crate::backends::share_storage;
use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::ops::{KeptWeight, Quantizers};
use crate::plan::{Target, Workload};
use crate::quantization::{
    CodeCounts, Granularity, Observation, OperandRole, OperandState, PassCounts, Quantizer,
};
use crate::settings::{LayerSettings, Mode, Noise};

/// The kinds of layer that have a drop-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// [`Linear`](super::Linear)
    Linear,
    /// [`Conv2d`](super::Conv2d)
    Conv2d,
    /// A product of two activations in a captured model: the second one takes the weight's place.
    Matmul,
}

impl std::fmt::Display for LayerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Linear => "Linear",
            Self::Conv2d => "Conv2d",
            Self::Matmul => "Matmul",
        })
    }
}

/// The unchanging geometry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// The kind of layer.
    pub kind: LayerKind,
    /// The weight's shape: `[in, out]`, or `[out, in / groups, height, width]`; the last two sizes of a second activation.
    pub weight: Vec<usize>,
    /// The groups of a convolution; 1 for other layers.
    pub groups: usize,
}

impl LayerShape {
    /// The number of products that one output accumulates.
    pub fn fan_in(&self) -> usize {
        match self.kind {
            LayerKind::Linear | LayerKind::Matmul => self.weight[0],
            LayerKind::Conv2d => self.weight[1..].iter().product(),
        }
    }

    /// The number of output channels.
    pub fn outputs(&self) -> usize {
        self.weight[self.channel_axis()]
    }

    /// The weight's axis of output channels.
    pub(crate) fn channel_axis(&self) -> usize {
        match self.kind {
            LayerKind::Linear | LayerKind::Matmul => 1,
            LayerKind::Conv2d => 0,
        }
    }
}

/// The approximation of one layer: nothing until conversion, then its settings and quantisation state.
#[derive(Debug)]
pub struct Approximation {
    layer: Arc<LayerState>,
    /// Whether the layer takes part in training: noise and observation follow it.
    training: Param<Flag>,
}

/// The state that a layer and the handles to it share.
#[derive(Debug)]
pub(crate) struct LayerState {
    pub(crate) shape: LayerShape,
    /// What the last forward pass was asked for; `None` before the first.
    seen: Mutex<Option<Seen>>,
    converted: Mutex<Option<Converted>>,
    /// The codes met while a trace is being recorded.
    traced: Mutex<Option<[CodeCounts; 2]>>,
}

/// What a layer remembers of its last forward pass.
#[derive(Clone, Debug)]
struct Seen {
    workload: Workload,
    device: Device,
    /// The inputs of the batch.
    batch: usize,
}

/// What conversion adds to a layer.
#[derive(Clone, Debug)]
pub(crate) struct Converted {
    pub(crate) path: String,
    pub(crate) settings: LayerSettings,
    pub(crate) activation: OperandState,
    pub(crate) weight: OperandState,
    /// The exact product of the layer's codes, for QUANTIZED.
    exact: PreparedMultiplier,
    /// Whether a calibration is running: the layer computes in float and observes.
    pub(crate) calibrating: bool,
    /// What is known of the weight as it was in the last forward pass outside of training.
    version: WeightVersion,
}

/// One state of a weight, known by its storage, and what was made of it.
///
/// A tensor that is held here shares its storage with the parameter, so that nobody can write to it in place: while the parameter
/// still is this tensor, it has these values. Copies of a layer start without.
#[derive(Default)]
struct WeightVersion {
    /// The weight's tensor, of whatever rank.
    weight: Option<Box<dyn Any + Send>>,
    /// Whether its range was observed.
    observed: bool,
    /// The quantiser's parameters.
    quantizer: Option<Tensor<2>>,
    /// The groups that it was used in, which a user may edit.
    groups: usize,
    kept: KeptWeight,
}

impl WeightVersion {
    /// Whether the weight is still this one.
    fn is<const D: usize>(&self, weight: &Tensor<D>) -> bool {
        let own = self.weight.as_ref().and_then(|own| own.downcast_ref());
        own.is_some_and(|own| share_storage::<D>(own, weight))
    }

    /// Whether the weight is still this one, and its range was observed.
    fn is_observed<const D: usize>(&self, weight: &Tensor<D>) -> bool {
        self.observed && self.is(weight)
    }

    /// What was kept for this weight under this quantiser; a new, empty place if either has changed.
    fn keep<const D: usize>(
        &mut self,
        weight: &Tensor<D>,
        quantizer: &Quantizer,
        workload: Workload,
        observed: bool,
    ) -> KeptWeight {
        let parameters = quantizer.parameters();
        let groups = match workload {
            Workload::Matmul(_) => 1,
            Workload::Conv2d(shape) => shape.groups,
        };
        let same_weight = self.is(weight);
        let same_quantizer =
            (self.quantizer.as_ref()).is_some_and(|own| share_storage(own, &parameters));
        if !(same_weight && same_quantizer && groups == self.groups) {
            *self = Self {
                weight: Some(Box::new(weight.clone().without_autodiff())),
                observed: same_weight && self.observed,
                quantizer: Some(parameters),
                groups,
                kept: KeptWeight::default(),
            };
        }
        self.observed |= observed;
        self.kept.clone()
    }
}

impl Clone for WeightVersion {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for WeightVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightVersion")
            .field("known", &self.weight.is_some())
            .finish()
    }
}

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
        let role = match shape.kind {
            LayerKind::Matmul => OperandRole::Activation,
            _ => OperandRole::weight(granularity, shape.channel_axis(), shape.outputs()),
        };
        let operand = |before: Option<&OperandState>, role, quantization: &_| match before {
            Some(before) => before.reconfigured(role, quantization, device),
            None => OperandState::new(role, Clone::clone(quantization), device),
        };
        let exact = PreparedMultiplier::exact(scheme.codes())?;
        Ok(Self {
            activation: operand(
                before.map(|b| &b.activation),
                OperandRole::Activation,
                &scheme.activation,
            ),
            weight: operand(before.map(|b| &b.weight), role, &scheme.weight),
            exact,
            calibrating: before.is_some_and(|before| before.calibrating),
            version: WeightVersion::default(),
            path,
            settings,
        })
    }
}

impl Converted {
    /// Copies of the operands' states that are to observe the next activation and this weight.
    fn observers<const D: usize>(
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
    fn check_quantizers(&mut self) -> Result<(), ApproxError> {
        if !self.activation.is_calibrated() || !self.weight.is_calibrated() {
            return Err(ApproxError::NotCalibrated {
                layer: self.path.clone(),
                mode: self.settings.mode.name(),
            });
        }
        for (operand, state) in [
            ("activation", &mut self.activation),
            ("weight", &mut self.weight),
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
}

/// How one forward pass is to be computed, once it is not in float.
pub(crate) struct Simulation {
    pub(crate) activation: Quantizer,
    pub(crate) weight: Quantizer,
    pub(crate) multiplier: PreparedMultiplier,
    /// What was kept of the weight, outside of training.
    pub(crate) kept: Option<KeptWeight>,
    noise: Option<Noise>,
}

impl Simulation {
    pub(crate) fn quantizers(&self) -> Quantizers<'_> {
        Quantizers {
            activation: &self.activation,
            weight: &self.weight,
        }
    }

    /// Adds the noise of mode NOISE, if there is any.
    pub(crate) fn finish<const D: usize>(&self, output: Tensor<D>) -> Tensor<D> {
        let Some(Noise {
            mean,
            standard_deviation,
        }) = self.noise
        else {
            return output;
        };
        let values = output.clone().detach();
        let centred = values.clone() - values.mean().unsqueeze();
        let spread: Tensor<D> = centred.square().mean().sqrt().unsqueeze();
        let noise =
            output.random_like(burn::tensor::Distribution::Normal(mean, standard_deviation));
        output + spread * noise.detach()
    }
}

impl LayerState {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Converted>> {
        // The state is plain data that every writer leaves whole, so a panic elsewhere does not spoil it.
        self.converted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to count codes, or stops and returns the counts of activation and weight.
    pub(crate) fn set_tracing(&self, on: bool) -> Option<[CodeCounts; 2]> {
        let mut traced = self.traced.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *traced, on.then(Default::default))
    }

    /// Counts the codes of a forward pass, if a trace is being recorded.
    fn trace<const A: usize, const W: usize>(
        &self,
        activation: &Tensor<A>,
        weight: &Tensor<W>,
        quantizers: Quantizers<'_>,
    ) {
        let traced = || self.traced.lock().unwrap_or_else(PoisonError::into_inner);
        if traced().is_none() {
            return;
        }
        // Counted without the lock, as ranges are measured.
        let counted = [
            PassCounts::of(activation, quantizers.activation),
            PassCounts::of(weight, quantizers.weight),
        ];
        if let Some(counts) = traced().as_mut() {
            for (counts, counted) in counts.iter_mut().zip(counted) {
                counts.add(counted);
            }
        }
    }

    fn seen(&self) -> Option<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    /// The work of the last forward pass.
    pub(crate) fn workload(&self) -> Option<Workload> {
        self.seen().map(|seen| seen.workload)
    }

    /// Where the last forward pass ran.
    pub(crate) fn device(&self) -> Option<Device> {
        self.seen().map(|seen| seen.device)
    }

    /// Products per input of the batch in the last forward pass.
    pub(crate) fn multiplications(&self) -> Option<u64> {
        self.seen()
            .map(|seen| (seen.workload.products() / seen.batch.max(1)) as u64)
    }
}

impl Approximation {
    pub(crate) fn new(shape: LayerShape) -> Self {
        let layer = LayerState {
            shape,
            seen: Mutex::new(None),
            converted: Mutex::new(None),
            traced: Mutex::new(None),
        };
        Self {
            layer: Arc::new(layer),
            training: Param::from_bool(true),
        }
    }

    fn with(&self, converted: Option<Converted>, training: Param<Flag>) -> Self {
        let layer = LayerState {
            shape: self.layer.shape.clone(),
            seen: Mutex::new(self.layer.seen()),
            converted: Mutex::new(converted),
            traced: Mutex::new(None),
        };
        Self {
            layer: Arc::new(layer),
            training,
        }
    }

    /// Whether the next forward pass computes in float and observes nothing.
    #[cfg(feature = "capture")]
    pub(crate) fn is_idle(&self) -> bool {
        let guard = self.layer.lock();
        guard.as_ref().is_none_or(|converted| {
            converted.settings.mode == Mode::Baseline && !converted.calibrating
        })
    }

    /// Notes a forward pass and says how to compute it: in float (`None`) or simulated.
    pub(crate) fn begin<const A: usize, const W: usize>(
        &self,
        activation: &Tensor<A>,
        weight: &Tensor<W>,
        workload: Workload,
    ) -> Result<Option<Simulation>, ApproxError> {
        // A vector is a batch of one.
        let batch = if A == 1 { 1 } else { activation.dims()[0] };
        let seen = Seen {
            workload,
            device: activation.device(),
            batch,
        };
        *self
            .layer
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(seen);
        let training = self.training.is_enabled() && activation.device().is_autodiff();
        // What is to be observed is decided under the lock, measured without it and taken under it again: while a thread of a pool
        // waits for a part of its own measurement, it may start another forward pass of this very layer.
        let [activation_observer, weight_observer] = {
            let mut guard = self.layer.lock();
            let Some(converted) = guard.as_mut() else {
                return Ok(None);
            };
            if converted.calibrating || converted.settings.mode != Mode::Baseline {
                Target::of(&activation.device())?;
            }
            converted.observers(weight, training)
        };
        let observed_activation =
            activation_observer.map(|state| (state.measure(activation.clone()), state));
        let observed_weight = weight_observer.map(|state| (state.measure(weight.clone()), state));

        let mut guard = self.layer.lock();
        let Some(converted) = guard.as_mut() else {
            return Ok(None);
        };
        let weight_was_observed = observed_weight.is_some();
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
        let multiplier = match mode {
            Mode::Approximate => converted.settings.product(),
            _ => converted.exact.clone(),
        };
        let noise = (mode == Mode::Noise && training).then_some(converted.settings.noise);
        let weight_quantizer = converted.weight.quantizer();
        // In training the weight changes with every step, a second activation with every pass: keeping anything of it would only take
        // memory.
        let kept = if training || self.layer.shape.kind == LayerKind::Matmul {
            converted.version = WeightVersion::default();
            None
        } else {
            let version = &mut converted.version;
            Some(version.keep(weight, &weight_quantizer, workload, weight_was_observed))
        };
        let simulation = Simulation {
            activation: converted.activation.quantizer(),
            weight: weight_quantizer,
            multiplier,
            kept,
            noise,
        };
        drop(guard);
        self.layer
            .trace(activation, weight, simulation.quantizers());
        Ok(Some(simulation))
    }
}

thread_local! {
    /// The layer whose flag is being visited on this thread right now.
    static VISITED: RefCell<Option<Arc<LayerState>>> = const { RefCell::new(None) };
}

/// The handle of the layer whose flag is being visited, to be called in `ModuleVisitor::visit_flag`; `None` for any other
/// flag.
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
            converted.activation.visit("activation", visitor);
            converted.weight.visit("weight", visitor);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let training = mapper.map_flag(self.training);
        let converted = self.layer.lock().clone();
        if let Some(mut converted) = converted {
            converted.activation.map("activation", mapper);
            converted.weight.map("weight", mapper);
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
