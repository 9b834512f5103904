//! The drop-in for Burn's batch normalisation: not approximate, but as fast as what is around it.

use approx_cpu::batch_norm::Limits;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param, RunningState};
use burn::tensor::{Device, Tensor};

use crate::error::{ApproxError, or_panic};
use crate::nn::drop_in::drop_in;
use crate::ops::{BatchNormParameters, limited};

/// What a network applies after a normalisation, computed together with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FusedActivation {
    /// Nothing: the output stays linear.
    #[default]
    None,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
}

impl FusedActivation {
    /// Applies the activation to every element; the shape stays.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use burn_approx::nn::FusedActivation;
    ///
    /// let input = Tensor::<1>::from_floats([-1.0, 7.0], &Device::default());
    /// let output = FusedActivation::Relu6.forward(input).into_data();
    /// assert_eq!(output.to_vec::<f32>().unwrap(), [0.0, 6.0]);
    /// ```
    pub fn forward<const D: usize>(self, input: Tensor<D>) -> Tensor<D> {
        limited(input, self.limits())
    }

    fn limits(self) -> Limits {
        match self {
            Self::None => Limits::NONE,
            Self::Relu => Limits::RELU,
            Self::Relu6 => Limits::RELU6,
        }
    }
}

/// Configuration of a [`BatchNorm`] layer, as [`burn::nn::BatchNormConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use burn_approx::nn::BatchNormConfig;
///
/// let device = Device::default();
/// let norm = BatchNormConfig::new(3).init(&device);
/// assert_eq!(norm.forward(Tensor::<4>::zeros([2, 3, 5, 5], &device)).dims(), [2, 3, 5, 5]);
/// ```
#[derive(Config, Debug)]
pub struct BatchNormConfig {
    /// The number of channels, above 0.
    pub num_features: usize,
    /// Added to the variance; finite and above 0.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// How much of the running statistics a batch replaces, in `0..=1`.
    #[config(default = 0.1)]
    pub momentum: f64,
}

impl BatchNormConfig {
    /// Initialises a layer, with the parameters that Burn's own would have.
    ///
    /// # Panics
    /// If a number is out of its range.
    pub fn init(&self, device: &Device) -> BatchNorm {
        burn::nn::BatchNormConfig::new(self.num_features)
            .with_epsilon(self.epsilon)
            .with_momentum(self.momentum)
            .init(device)
            .into()
    }
}

/// Batch normalisation, drop-in for [`burn::nn::BatchNorm`]: the same fields and records, and the same numbers to float
/// rounding.
///
/// There is nothing to convert. On CPU devices it is an operator of its own, which goes over memory twice where
/// Burn's composition goes over it twenty times; [`forward_fused`](Self::forward_fused) also takes in the addition of a
/// shortcut and an activation, for which nothing is kept until the backward pass.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct BatchNorm {
    /// The factor of every channel.
    pub gamma: Param<Tensor<1>>,
    /// What is added to every channel.
    pub beta: Param<Tensor<1>>,
    /// Whether the layer takes part in training, where it normalises by the statistics of the batch.
    pub training: Param<Flag>,
    /// The running mean.
    pub running_mean: RunningState<Tensor<1>>,
    /// The running variance.
    pub running_var: RunningState<Tensor<1>>,
    /// How much of the running statistics a batch replaces.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

drop_in! {
    BatchNorm for burn::nn::BatchNorm {
        gamma, beta, training, running_mean, running_var, momentum, epsilon,
    }
}

impl BatchNorm {
    /// Normalises `[batch, channels, ..]`.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward_fused`](Self::try_forward_fused) returns.
    #[track_caller]
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.forward_fused(input, None, FusedActivation::None)
    }

    /// Normalises `[batch, channels, ..]`, adds a shortcut of that shape, and applies an activation.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward_fused`](Self::try_forward_fused) returns.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use burn_approx::nn::{BatchNormConfig, FusedActivation};
    ///
    /// let device = Device::default();
    /// let norm = BatchNormConfig::new(1).init(&device);
    /// let input = Tensor::<2>::from_floats([[-1.0], [1.0]], &device);
    /// let output = norm.forward_fused(input, None, FusedActivation::Relu);
    /// assert_eq!(output.into_data().to_vec::<f32>().unwrap()[0], 0.0);
    /// ```
    #[track_caller]
    pub fn forward_fused<const D: usize>(
        &self,
        input: Tensor<D>,
        shortcut: Option<Tensor<D>>,
        activation: FusedActivation,
    ) -> Tensor<D> {
        or_panic(self.try_forward_fused(input, shortcut, activation))
    }

    /// Normalises `[batch, channels, ..]`, adds a shortcut of that shape, and applies an activation.
    ///
    /// As with Burn's own layer, it is the statistics of the batch that count on an autodiff device, as long as the layer
    /// is not frozen, and the running ones otherwise.
    ///
    /// # Errors
    /// [`ApproxError::Shape`] for an input with other channels, or a shortcut of another shape;
    /// [`ApproxError::DifferentDevices`].
    pub fn try_forward_fused<const D: usize>(
        &self,
        input: Tensor<D>,
        shortcut: Option<Tensor<D>>,
        activation: FusedActivation,
    ) -> Result<Tensor<D>, ApproxError> {
        let device = input.device();
        let parameters = BatchNormParameters {
            gamma: self.gamma.val(),
            beta: self.beta.val(),
            epsilon: self.epsilon,
        };
        let limits = activation.limits();
        if !(device.is_autodiff() && self.training.is_enabled()) {
            let running = [&self.running_mean, &self.running_var];
            let running = running.map(|running| running.value().to_device(&device));
            return parameters.by_statistics(running, input, shortcut, limits);
        }
        let normalized = parameters.by_batch(input, shortcut, limits)?;
        let found = [
            (&self.running_mean, normalized.mean),
            (&self.running_var, normalized.variance),
        ];
        for (running, found) in found {
            let kept = running.value_sync().to_device(&device) * (1.0 - self.momentum);
            running.update((kept + found.detach() * self.momentum).detach());
        }
        Ok(normalized.output)
    }
}

impl ModuleDisplay for BatchNorm {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [num_features] = self.beta.shape().dims();
        let content = content
            .add("num_features", &num_features)
            .add("momentum", &self.momentum)
            .add("epsilon", &self.epsilon);
        match self.training.is_enabled() {
            true => content.optional(),
            false => content.add("training", &self.training).optional(),
        }
    }
}
