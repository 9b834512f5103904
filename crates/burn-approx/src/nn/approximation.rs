//! What a drop-in layer carries besides its weights: settings, quantisation state, and the way to reach them.
//!
//! A forward pass has only `&self`, but observes; a user sets modes layer by layer in a loop. So the state sits behind a
//! lock that the layer owns alone: cloning a layer copies it, and only a [`ApproxLayer`](crate::convert::ApproxLayer)
//! shares it. Burn's visitors see tensors and flags, never a module itself; a walk that wants the layers (listing,
//! conversion, calibration) receives each one's handle beside the flag that the layer shows, through [`with_handle`].

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{
    Content, Devices, Flag, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param,
};
use burn::prelude::*;

use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::ops::check_tensor;
use crate::quantization::{Granularity, Observation, OperandRole, OperandState, Quantizer};
use crate::settings::{LayerSettings, Mode, Noise};

/// The kinds of layer that have a drop-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// [`Linear`](super::Linear)
    Linear,
    /// [`Conv2d`](super::Conv2d)
    Conv2d,
}

impl std::fmt::Display for LayerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Linear => "Linear",
            Self::Conv2d => "Conv2d",
        })
    }
}

/// The unchanging geometry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// The kind of layer.
    pub kind: LayerKind,
    /// The weight's shape: `[in, out]`, or `[out, in / groups, height, width]`.
    pub weight: Vec<usize>,
    /// The groups of a convolution; 1 for a linear layer.
    pub groups: usize,
}

impl LayerShape {
    /// The number of products that one output accumulates.
    pub fn fan_in(&self) -> usize {
        match self.kind {
            LayerKind::Linear => self.weight[0],
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
            LayerKind::Linear => 1,
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
    /// Products per input of the batch in the last forward pass; 0 before the first.
    multiplications: AtomicU64,
    converted: Mutex<Option<Converted>>,
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
        let role = OperandRole::weight(granularity, shape.channel_axis(), shape.outputs());
        let operand = |before: Option<&OperandState>, role, quantization: &_| match before {
            Some(before) => before.reconfigured(role, quantization, device),
            None => OperandState::new(role, Clone::clone(quantization), device),
        };
        let exact = PreparedMultiplier::exact(scheme.activation.codes, scheme.weight.codes)?;
        Ok(Self {
            activation: operand(
                before.map(|b| &b.activation),
                OperandRole::Activation,
                &scheme.activation,
            ),
            weight: operand(before.map(|b| &b.weight), role, &scheme.weight),
            exact,
            calibrating: before.is_some_and(|before| before.calibrating),
            path,
            settings,
        })
    }
}

/// How one forward pass is to be computed, once it is not in float.
pub(crate) struct Simulation {
    pub(crate) activation: Quantizer,
    pub(crate) weight: Quantizer,
    pub(crate) multiplier: PreparedMultiplier,
    noise: Option<Noise>,
}

impl Simulation {
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

    pub(crate) fn multiplications(&self) -> u64 {
        self.multiplications.load(Ordering::Relaxed)
    }
}

impl Approximation {
    pub(crate) fn new(shape: LayerShape) -> Self {
        let layer = LayerState {
            shape,
            multiplications: AtomicU64::new(0),
            converted: Mutex::new(None),
        };
        Self {
            layer: Arc::new(layer),
            training: Param::from_bool(true),
        }
    }

    pub(crate) fn shape(&self) -> &LayerShape {
        &self.layer.shape
    }

    fn with(&self, converted: Option<Converted>, training: Param<Flag>) -> Self {
        let layer = LayerState {
            shape: self.layer.shape.clone(),
            multiplications: AtomicU64::new(self.layer.multiplications()),
            converted: Mutex::new(converted),
        };
        Self {
            layer: Arc::new(layer),
            training,
        }
    }

    /// Notes a forward pass and says how to compute it: in float (`None`) or simulated.
    ///
    /// `products` is the number of scalar products for the whole batch of `batch` inputs.
    pub(crate) fn begin<const A: usize, const W: usize>(
        &self,
        activation: &Tensor<A>,
        weight: &Tensor<W>,
        products: usize,
    ) -> Result<Option<Simulation>, ApproxError> {
        let batch = activation.dims()[0].max(1);
        self.layer
            .multiplications
            .store((products / batch) as u64, Ordering::Relaxed);
        let mut guard = self.layer.lock();
        let Some(converted) = guard.as_mut() else {
            return Ok(None);
        };
        if converted.calibrating || converted.settings.mode != Mode::Baseline {
            check_tensor(activation)?;
        }
        let training = self.training.is_enabled() && activation.device().is_autodiff();
        let calibrating = converted.calibrating;
        let mode = converted.settings.mode;
        let observes = |observation: Observation| match observation {
            _ if calibrating => true,
            _ if mode == Mode::Baseline => false,
            Observation::Always => true,
            Observation::WhileTraining => training,
            Observation::Frozen => false,
        };
        if observes(converted.activation.quantization().observation) {
            converted.activation.observe(activation.clone());
        }
        if observes(converted.weight.quantization().observation) {
            converted.weight.observe(weight.clone());
        }
        if calibrating || mode == Mode::Baseline {
            return Ok(None);
        }
        if !converted.activation.is_calibrated() || !converted.weight.is_calibrated() {
            return Err(ApproxError::NotCalibrated {
                layer: converted.path.clone(),
                mode: mode.name(),
            });
        }
        let multiplier = match mode {
            Mode::Approximate => converted.settings.product(),
            _ => &converted.exact,
        };
        let noise = (mode == Mode::Noise && training).then_some(converted.settings.noise);
        Ok(Some(Simulation {
            activation: converted.activation.quantizer(),
            weight: converted.weight.quantizer(),
            multiplier: multiplier.clone(),
            noise,
        }))
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
            *self.layer.lock() = Some(converted);
        }
        Self { training, ..self }
    }

    fn to_device(self, device: &Device) -> Self {
        if let Some(converted) = self.layer.lock().as_mut() {
            converted.activation.move_to(device);
            converted.weight.move_to(device);
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
