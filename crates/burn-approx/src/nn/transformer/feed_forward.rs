//! The drop-in for Burn's position-wise feed-forward layer.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay};
use burn::nn::Dropout;
use burn::nn::activation::{Activation, ActivationConfig};
use burn::prelude::*;

use crate::error::{ApproxError, or_panic};
use crate::geometry::matmul::check_config;
use crate::nn::attention::check_dropout;
use crate::nn::drop_in::drop_in;
use crate::nn::linear::Linear;

/// What the layer is called in messages.
const OPERATOR: &str = "position-wise feed-forward";

/// Configuration of a [`PositionWiseFeedForward`] layer, as [`burn::nn::transformer::PositionWiseFeedForwardConfig`].
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::nn::transformer::PositionWiseFeedForwardConfig;
///
/// let device = Device::default();
/// let layer = PositionWiseFeedForwardConfig::new(8, 16).init(&device);
/// assert_eq!(layer.forward(Tensor::<3>::ones([3, 5, 8], &device)).dims(), [3, 5, 8]);
/// ```
#[derive(Config, Debug)]
pub struct PositionWiseFeedForwardConfig {
    /// The features of a token.
    pub d_model: usize,
    /// The features between the two linear layers.
    pub d_ff: usize,
    /// The share of the features between the two that training drops.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// How the parameters are initialised.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(), fan_out_only:false}")]
    pub initializer: Initializer,
    /// The function between the two linear layers.
    #[config(default = "ActivationConfig::Gelu")]
    pub activation: ActivationConfig,
}

impl PositionWiseFeedForwardConfig {
    /// Initialises a layer, with the parameters that Burn's own would have.
    pub fn init(&self, device: &Device) -> PositionWiseFeedForward {
        burn::nn::transformer::PositionWiseFeedForwardConfig::new(self.d_model, self.d_ff)
            .with_dropout(self.dropout)
            .with_initializer(self.initializer.clone())
            .with_activation(self.activation.clone())
            .init(device)
            .into()
    }

    /// Initialises a layer.
    ///
    /// # Errors
    /// If a size is 0, or `dropout` is not at least 0 and below 1.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::nn::transformer::PositionWiseFeedForwardConfig;
    ///
    /// let error = PositionWiseFeedForwardConfig::new(8, 0).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("above 0"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<PositionWiseFeedForward, ApproxError> {
        check_config(OPERATOR, [self.d_model, self.d_ff])?;
        check_dropout(OPERATOR, self.dropout)?;
        Ok(self.init(device))
    }
}

/// Two linear layers with a function between them, for every token alike; drop-in for
/// [`burn::nn::transformer::PositionWiseFeedForward`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct PositionWiseFeedForward {
    /// The layer from `d_model` to `d_ff` features.
    pub linear_inner: Linear,
    /// The layer from `d_ff` to `d_model` features.
    pub linear_outer: Linear,
    /// What drops features in training.
    pub dropout: Dropout,
    /// The function between the two; as in Burn's layer, records do not hold parameters of it.
    #[module(skip)]
    pub activation: Activation,
}

drop_in! {
    PositionWiseFeedForward for burn::nn::transformer::PositionWiseFeedForward {
        linear_inner, linear_outer, dropout, activation,
    }
}

impl PositionWiseFeedForward {
    /// Applies the layer to `[.., d_model]`, giving the same shape.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        or_panic(self.try_forward(input))
    }

    /// Applies the layer to `[.., d_model]`, giving the same shape.
    ///
    /// # Errors
    /// An input of another last size, or a converted layer that is not calibrated for its mode.
    pub fn try_forward<const D: usize>(&self, input: Tensor<D>) -> Result<Tensor<D>, ApproxError> {
        let x = self.linear_inner.try_forward(input)?;
        let x = self.dropout.forward(self.activation.forward(x));
        self.linear_outer.try_forward(x)
    }
}

impl ModuleDisplay for PositionWiseFeedForward {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [d_model, d_ff] = self.linear_inner.weight.shape().dims();
        content
            .add("d_model", &d_model)
            .add("d_ff", &d_ff)
            .add("prob", &self.dropout.prob)
            .optional()
    }
}
