//! The quantisation state of one operand of one layer: what was observed, and the quantiser that follows from it.
//!
//! Everything that a record must hold lies in tensors; what the host knows besides (how often something was observed,
//! whether the quantiser is up to date) is derived from them again after a load. Observing only launches tensor
//! operations: a NaN is remembered in the tensors and reported when the state is next checked.

use approx_cpu::observe;
use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::prelude::*;

use super::histogram;
use crate::codes::{CodeGrid, Granularity, Observation, Observer, OperandQuantization, Symmetry};
use crate::ops;
use crate::quantization::{CodeQuantizer, ROWS};

/// Which operand a state belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperandRole {
    /// Observed batch after batch; one scale.
    Activation,
    /// Observed as it stands now; channels along an axis, as many as given.
    Weight {
        channel_axis: Option<usize>,
        channels: usize,
    },
}

impl OperandRole {
    pub(crate) fn weight(granularity: Granularity, axis: usize, channels: usize) -> Self {
        match granularity {
            Granularity::PerTensor => Self::Weight {
                channel_axis: None,
                channels: 1,
            },
            Granularity::PerChannel => Self::Weight {
                channel_axis: Some(axis),
                channels,
            },
        }
    }

    fn channel_axis(self) -> Option<usize> {
        match self {
            Self::Activation => None,
            Self::Weight { channel_axis, .. } => channel_axis,
        }
    }

    fn channels(self) -> usize {
        match self {
            Self::Activation => 1,
            Self::Weight { channels, .. } => channels,
        }
    }

    /// Whether scales lie along the same axis, however many they are.
    fn is_like(self, other: Self) -> bool {
        (self == Self::Activation) == (other == Self::Activation)
            && self.channel_axis() == other.channel_axis()
    }
}

/// A tensor of the state with the identity that records know it by.
#[derive(Clone, Debug)]
struct Stored<const D: usize> {
    id: ParamId,
    value: Tensor<D>,
}

impl<const D: usize> Stored<D> {
    fn new(value: Tensor<D>) -> Self {
        Self {
            id: ParamId::new(),
            value: value.without_autodiff(),
        }
    }

    fn visit<V: ModuleVisitor>(&self, name: &str, visitor: &mut V) {
        visitor.enter_module(name, CONTAINER);
        visitor.visit_float(&Param::initialized(self.id, self.value.clone()));
        visitor.exit_module(name, CONTAINER);
    }

    fn map<M: ModuleMapper>(&mut self, name: &str, mapper: &mut M) {
        mapper.enter_module(name, CONTAINER);
        let mapped = mapper.map_float(Param::initialized(self.id, self.value.clone()));
        mapper.exit_module(name, CONTAINER);
        let (id, value, _) = mapped.consume();
        // A buffer, whatever the mapper: it never requires a gradient.
        *self = Self {
            id,
            value: value.without_autodiff(),
        };
    }
}

const CONTAINER: &str = "Struct:OperandState";

/// What was observed of an operand, and its quantiser.
#[derive(Clone, Debug)]
pub(crate) struct OperandState {
    role: OperandRole,
    quantization: OperandQuantization,
    /// The quantiser's parameters, `[3, channels]`.
    parameters: Stored<2>,
    /// `[2, 1]` ranges or `[1, bins]` counts of what an activation was seen to be; weights are looked at afresh.
    observed: Option<Stored<2>>,
    /// How many times something was observed, `[1]`: what a record says of being calibrated.
    observations: Stored<1>,
    /// That number as the host knows it; `None` after a load, until it is read.
    count: Option<f32>,
    /// Whether the parameters still have to be derived from a histogram.
    stale: bool,
    /// Whether the parameters were loaded and still have to be checked.
    unchecked: bool,
    /// What is wrong with the parameters that were loaded.
    problem: Option<String>,
}

impl OperandState {
    pub(crate) fn new(
        role: OperandRole,
        quantization: OperandQuantization,
        device: &Device,
    ) -> Self {
        let device = &device.clone().inner();
        let observed = (role == OperandRole::Activation)
            .then(|| Stored::new(Self::nothing(&quantization, device)));
        Self {
            role,
            parameters: Stored::new(Tensor::zeros([ROWS, role.channels()], device)),
            observed,
            observations: Stored::new(Tensor::zeros([1], device)),
            count: Some(0.0),
            stale: false,
            unchecked: false,
            problem: None,
            quantization,
        }
    }

    /// The observer's tensor before anything was seen.
    fn nothing(quantization: &OperandQuantization, device: &Device) -> Tensor<2> {
        if quantization.observer.uses_histogram() {
            Tensor::zeros([1, observe::histogram::BINS], device)
        } else {
            Tensor::zeros([2, 1], device)
        }
    }

    pub(crate) fn quantization(&self) -> &OperandQuantization {
        &self.quantization
    }

    /// Makes room for a weight with so many output channels; if that is another number, what was observed is forgotten.
    pub(crate) fn fit_channels(&mut self, channels: usize) {
        if let OperandRole::Weight {
            channel_axis: Some(_),
            channels: own,
        } = &mut self.role
            && *own != channels
        {
            *own = channels;
            self.reset();
        }
    }

    /// Takes over other settings, keeping what still holds.
    ///
    /// With the same codes, symmetry and observer the quantiser stays, however it came about. Otherwise it is derived
    /// again from what was observed, unless that is of another kind or granularity.
    pub(crate) fn reconfigured(
        &self,
        role: OperandRole,
        quantization: &OperandQuantization,
        device: &Device,
    ) -> Self {
        let (before, after) = (&self.quantization, quantization);
        let mut state = Self {
            quantization: quantization.clone(),
            ..self.clone()
        };
        // A weight that has been edited has as many channels as were observed, whatever its layer was made with.
        if !self.role.is_like(role) {
            return Self::new(role, quantization.clone(), device);
        }
        if before.codes == after.codes
            && before.symmetry == after.symmetry
            && before.observer == after.observer
        {
            return state;
        }
        let same_kind = before.observer.uses_histogram() == after.observer.uses_histogram();
        if !same_kind || !self.has_observed_range() {
            return Self::new(role, quantization.clone(), device);
        }
        state.derive();
        state
    }

    /// Whether the observer's tensor holds something to derive a quantiser from, as opposed to one set by hand.
    fn has_observed_range(&self) -> bool {
        self.observed.is_some() && self.count.is_none_or(|count| count > 0.0)
    }

    /// What is wrong with a quantiser that was loaded, if anything; reads the device once after a load.
    pub(crate) fn loaded_problem(&mut self) -> Option<String> {
        if !self.unchecked || !self.is_calibrated() {
            return self.problem.clone();
        }
        self.unchecked = false;
        let zero_points = self.quantizer().zero_points();
        let codes = self.quantization.codes;
        let allowed = match self.quantization.symmetry {
            Symmetry::Symmetric => 0..=0,
            Symmetry::Affine => codes.low()..=codes.high(),
        };
        self.problem = zero_points
            .into_iter()
            .find(|zero| !allowed.contains(zero))
            .map(|zero| {
                format!(
                    "the loaded zero point {zero} is not in {}..={}: load a record of a model with the same quantisation, or \
                     calibrate again",
                    allowed.start(),
                    allowed.end()
                )
            });
        self.problem.clone()
    }

    /// How often the operand was observed or set; reads the device once after a load.
    fn count(&mut self) -> f32 {
        let observations = &self.observations.value;
        *self
            .count
            .get_or_insert_with(|| observations.clone().into_scalar::<f32>())
    }

    pub(crate) fn is_calibrated(&mut self) -> bool {
        self.count() != 0.0
    }

    /// Whether the quantiser was set, not observed, and is to stay.
    pub(crate) fn is_set_by_hand(&mut self) -> bool {
        self.quantization.observation == Observation::Frozen && self.count() < 0.0
    }

    /// Whether anything that was observed was not finite; reads the device.
    pub(crate) fn is_poisoned(&mut self) -> bool {
        self.refresh();
        let observed = self
            .observed
            .as_ref()
            .map(|observed| observed.value.clone());
        let finite = |tensor: Tensor<2>| tensor.is_finite().all().into_scalar::<bool>();
        self.is_calibrated()
            && !(finite(self.parameters.value.clone()) && observed.is_none_or(finite))
    }

    /// Forgets what was observed.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(
            self.role,
            self.quantization.clone(),
            &self.parameters.value.device(),
        );
    }

    /// What there is to see of a tensor that passes: a range `[2, channels]` or the counts of a histogram `[1, bins]`.
    ///
    /// Kept apart from [`take`](Self::take) because it runs on all threads, which nobody who holds a lock may wait for.
    pub(crate) fn measure<const D: usize>(&self, values: Tensor<D>) -> Tensor<2> {
        let values = values.without_autodiff();
        let uses_histogram = self.quantization.observer.uses_histogram();
        match self.role {
            OperandRole::Activation if uses_histogram => ops::observe_histogram(values).unsqueeze(),
            OperandRole::Activation => ops::observe_ranges(values, None),
            OperandRole::Weight { .. } if uses_histogram => self.channel_ranges(values),
            OperandRole::Weight { channel_axis, .. } => ops::observe_ranges(values, channel_axis),
        }
    }

    /// Takes notice of what was measured.
    pub(crate) fn take(&mut self, measured: Tensor<2>) {
        match self.role {
            OperandRole::Activation => self.take_activation(measured),
            OperandRole::Weight { .. } => self.cover(measured),
        }
        let count = if self.count() < 0.0 {
            1.0
        } else {
            self.count() + 1.0
        };
        self.set_count(count);
    }

    fn set_count(&mut self, count: f32) {
        self.count = Some(count);
        self.observations.value = self.observations.value.full_like(count);
    }

    fn take_activation(&mut self, now: Tensor<2>) {
        let first = self.count() <= 0.0;
        let observer = self.quantization.observer;
        let Some(observed) = self.observed.as_mut() else {
            return;
        };
        let before = observed.value.clone();
        observed.value = match observer {
            _ if first => now,
            Observer::LeastSquares | Observer::Percentile { .. } => before + now,
            Observer::MinMax => {
                // A pairwise minimum may drop a NaN; 0 times both operands keeps it.
                let poison = (before.clone() + now.clone()) * 0.0;
                let [low, high] = [0, 1].map(|row| {
                    (
                        before.clone().slice(s![row, ..]),
                        now.clone().slice(s![row, ..]),
                    )
                });
                Tensor::cat(vec![low.0.min_pair(low.1), high.0.max_pair(high.1)], 0) + poison
            }
            Observer::MovingAverage { momentum } => before * (1.0 - momentum) + now * momentum,
        };
        self.derive();
    }

    /// Derives the quantiser from what was observed: at once from a range, when next needed from a histogram.
    fn derive(&mut self) {
        match &self.observed {
            Some(_) if self.quantization.observer.uses_histogram() => self.stale = true,
            Some(observed) => self.cover(observed.value.clone()),
            None => {}
        }
    }

    fn cover(&mut self, range: Tensor<2>) {
        let OperandQuantization {
            codes, symmetry, ..
        } = self.quantization;
        let quantizer = CodeQuantizer::covering(range, codes, symmetry, self.role.channel_axis());
        self.parameters.value = quantizer.parameters();
        self.unchecked = false;
        self.problem = None;
    }

    fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        if let Some(observed) = &self.observed {
            let counts = host(observed.value.clone());
            let range = self.ranges_of(&[counts]);
            self.cover(range);
        }
    }

    /// The ranges that the observer picks from one histogram per channel, `[2, channels]`.
    fn ranges_of(&self, histograms: &[Vec<f32>]) -> Tensor<2> {
        let OperandQuantization {
            codes,
            symmetry,
            observer,
            ..
        } = self.quantization;
        let ranges: Vec<(f32, f32)> = histograms
            .iter()
            .map(|counts| histogram::range(counts, observer, codes, symmetry))
            .collect();
        let rows: Vec<f32> = ranges
            .iter()
            .map(|range| range.0)
            .chain(ranges.iter().map(|range| range.1))
            .collect();
        Tensor::from_data(
            TensorData::new(rows, [2, histograms.len()]),
            &self.parameters.value.device(),
        )
    }

    /// Histogram ranges of a weight's channels; weights are small, so this goes through the host.
    fn channel_ranges<const D: usize>(&self, values: Tensor<D>) -> Tensor<2> {
        let OperandRole::Weight {
            channel_axis,
            channels,
        } = self.role
        else {
            unreachable!("only weights have channels");
        };
        let values = match channel_axis {
            Some(axis) if axis > 0 => values.swap_dims(0, axis),
            _ => values,
        };
        let values = host(values);
        let histograms: Vec<Vec<f32>> = values
            .chunks((values.len() / channels).max(1))
            .map(observe::counts)
            .collect();
        self.ranges_of(&histograms)
    }

    /// The operand's quantiser, up to date with what was observed.
    pub(crate) fn quantizer(&mut self) -> CodeQuantizer {
        self.refresh();
        let OperandQuantization {
            codes, symmetry, ..
        } = self.quantization;
        CodeQuantizer::from_parameters(
            self.parameters.value.clone(),
            codes,
            symmetry,
            self.role.channel_axis(),
        )
    }

    /// The operand's codes, where their zero points lie and along which axis it has scales.
    pub(crate) fn grid(&self) -> CodeGrid {
        let OperandQuantization {
            codes, symmetry, ..
        } = self.quantization;
        CodeGrid {
            low: codes.low(),
            high: codes.high(),
            symmetric: symmetry == Symmetry::Symmetric,
            channel_axis: self.role.channel_axis(),
        }
    }

    /// Sets scales and zero points by hand. Counted as -1 observation: calibrated, with nothing observed.
    pub(crate) fn set_quantizer(&mut self, quantizer: &CodeQuantizer) {
        let device = self.parameters.value.device();
        self.reset();
        self.parameters.value = quantizer.parameters().to_device(&device);
        self.set_count(-1.0);
    }

    pub(crate) fn visit<V: ModuleVisitor>(&mut self, name: &str, visitor: &mut V) {
        self.refresh();
        visitor.enter_module(name, "Struct:Approximation");
        self.parameters.visit("quantizer", visitor);
        if let Some(observed) = &self.observed {
            observed.visit("observed", visitor);
        }
        self.observations.visit("observations", visitor);
        visitor.exit_module(name, "Struct:Approximation");
    }

    pub(crate) fn map<M: ModuleMapper>(&mut self, name: &str, mapper: &mut M) {
        self.refresh();
        mapper.enter_module(name, "Struct:Approximation");
        self.parameters.map("quantizer", mapper);
        if let Some(observed) = &mut self.observed {
            observed.map("observed", mapper);
        }
        self.observations.map("observations", mapper);
        mapper.exit_module(name, "Struct:Approximation");
        self.count = None;
        self.unchecked = true;
    }

    pub(crate) fn move_to(&mut self, device: &Device) {
        let device = &device.clone().inner();
        self.parameters.value = self.parameters.value.clone().to_device(device);
        if let Some(observed) = &mut self.observed {
            observed.value = observed.value.clone().to_device(device);
        }
        self.observations.value = self.observations.value.clone().to_device(device);
    }

    pub(crate) fn device(&self) -> Device {
        self.parameters.value.device()
    }
}

fn host<const D: usize>(values: Tensor<D>) -> Vec<f32> {
    values
        .into_data()
        .convert::<f32>()
        .try_into_vec::<f32>()
        .expect("converted to f32")
}
