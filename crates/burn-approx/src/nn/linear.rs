//! The drop-in for Burn's linear layer.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay, Param};
use burn::nn::LinearLayout;
use burn::prelude::*;

use super::layer::{Approximation, LayerShape, Operands};
use crate::error::{ApproxError, or_panic};
use crate::geometry;
use crate::nn::drop_in::drop_in;

/// Configuration of a [`Linear`] layer, as [`burn::nn::LinearConfig`].
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::nn::LinearConfig;
///
/// let layer = LinearConfig::new(4, 2).with_bias(false).init(&Device::default());
/// assert_eq!(layer.forward(Tensor::<3>::zeros([5, 3, 4], &Device::default())).dims(), [5, 3, 2]);
/// ```
#[derive(Config, Debug)]
pub struct LinearConfig {
    /// The size of the input features.
    pub d_input: usize,
    /// The size of the output features.
    pub d_output: usize,
    /// If a bias should be applied.
    #[config(default = true)]
    pub bias: bool,
    /// How the parameters are initialised.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(), fan_out_only:false}")]
    pub initializer: Initializer,
    /// The layout in which the parameters are stored.
    #[config(default = "LinearLayout::Row")]
    pub layout: LinearLayout,
}

impl LinearConfig {
    /// Initialises a layer, with the parameters that Burn's own would have.
    pub fn init(&self, device: &Device) -> Linear {
        burn::nn::LinearConfig::new(self.d_input, self.d_output)
            .with_bias(self.bias)
            .with_initializer(self.initializer.clone())
            .with_layout(self.layout)
            .init(device)
            .into()
    }

    /// Initialises a layer.
    ///
    /// # Errors
    /// If one of the sizes is 0.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::nn::LinearConfig;
    ///
    /// let error = LinearConfig::new(0, 8).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("above 0"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<Linear, ApproxError> {
        geometry::matmul::check_config("linear", [self.d_input, self.d_output])?;
        Ok(self.init(device))
    }
}

/// Applies `y = x W + b`, with the multiplier of its approximation once converted; drop-in for [`burn::nn::Linear`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Linear {
    /// The weight, `[d_input, d_output]`.
    pub weight: Param<Tensor<2>>,
    /// The bias, `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The layer's approximation, empty until conversion.
    pub approximation: Approximation,
}

drop_in! {
    Linear for burn::nn::Linear {
        weight, bias,
    }
    added {
        approximation: |layer| Approximation::new(LayerShape::linear(layer.weight.lazy_shape().dims())),
    }
}

impl Linear {
    /// Applies the layer to `[.., d_input]`, giving `[.., d_output]`.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        or_panic(self.try_forward(input))
    }

    /// Applies the layer to `[.., d_input]`, giving `[.., d_output]`.
    ///
    /// # Errors
    /// An input of another last size, or a converted layer that is not calibrated for its mode.
    pub fn try_forward<const D: usize>(&self, input: Tensor<D>) -> Result<Tensor<D>, ApproxError> {
        let bias = self.bias.as_ref().map(Param::val);
        let float = burn::tensor::module::linear;
        apply(&self.approximation, input, self.weight.val(), bias, float)
    }
}

/// The layer's function: in float as `float` computes it, or simulated as its approximation says.
pub(crate) fn apply<const D: usize>(
    approximation: &Approximation,
    input: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    float: impl FnOnce(Tensor<D>, Tensor<2>, Option<Tensor<1>>) -> Tensor<D>,
) -> Result<Tensor<D>, ApproxError> {
    let geometry = geometry::matmul::linear(&input.dims(), weight.dims())?;
    let operands = Operands {
        operator: "linear",
        activation: &input,
        parameter: &weight,
        weight: &weight,
        bias: bias.as_ref(),
    };
    Ok(match approximation.begin(operands, geometry)? {
        None => float(input, weight, bias),
        Some(simulation) => simulation.linear(input, weight, bias),
    })
}

/// A product `weight x` with the weight on the left, `[1.., out, in]` by `[.., in, columns]`: in float as `float`
/// computes it, or simulated as the linear layer of both operands transposed, `(x^T weight^T)^T`.
#[cfg(feature = "capture")]
pub(crate) fn apply_on_left<const D: usize>(
    approximation: &Approximation,
    weight: Tensor<D>,
    input: Tensor<D>,
    float: impl FnOnce(Tensor<D>, Tensor<D>) -> Tensor<D>,
) -> Result<Tensor<D>, ApproxError> {
    let dims = weight.dims();
    let transposed = weight
        .clone()
        .reshape([dims[D - 2], dims[D - 1]])
        .transpose();
    let activation = input.clone().transpose();
    let geometry = geometry::matmul::linear(&activation.dims(), transposed.dims())?;
    let operands = Operands {
        operator: "linear",
        activation: &activation,
        parameter: &weight,
        weight: &transposed,
        bias: None,
    };
    Ok(match approximation.begin(operands, geometry)? {
        None => float(weight, input),
        Some(simulation) => simulation.linear(activation, transposed, None).transpose(),
    })
}

impl ModuleDisplay for Linear {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let [d_input, d_output] = self.weight.shape().dims();
        content
            .add("d_input", &d_input)
            .add("d_output", &d_output)
            .add("bias", &self.bias.is_some())
            .add("approximation", &self.approximation)
            .optional()
    }
}
