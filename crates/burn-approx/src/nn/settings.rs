//! What a converted layer does: its mode, multiplier, gradient, quantisation and noise.

use approx_multiplier::{GradientRule, HtpModel, Multiplier};
use serde::{Deserialize, Serialize};

use crate::codes::LayerQuantization;
use crate::error::ApproxError;
use crate::multiplier::PreparedMultiplier;
use crate::plan::{self, PlanChoice};

/// How a converted layer computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// In float, as Burn's own layer.
    Baseline,
    /// With quantised operands and exact products.
    Quantized,
    /// QUANTIZED, plus Gaussian noise on the output in training.
    Noise,
    /// With quantised operands and the multiplier's products.
    #[default]
    Approximate,
}

impl Mode {
    /// The mode's name in capitals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "BASELINE",
            Self::Quantized => "QUANTIZED",
            Self::Noise => "NOISE",
            Self::Approximate => "APPROXIMATE",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The Gaussian noise of [`Mode::Noise`], in units of the standard deviation of the batch's output.
///
/// In training, `y + std(y) * (mean + standard_deviation * n)` with `n` standard normal and `std(y)` taken over the
/// whole batch and treated as a constant by the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, 0 or more.
    pub standard_deviation: f64,
}

impl Noise {
    pub(crate) fn check(self) -> Result<(), ApproxError> {
        if self.mean.is_finite()
            && self.standard_deviation.is_finite()
            && self.standard_deviation >= 0.0
        {
            return Ok(());
        }
        Err(ApproxError::InvalidNoise {
            mean: self.mean,
            standard_deviation: self.standard_deviation,
        })
    }
}

/// The settings of a converted layer.
#[derive(Clone, Debug)]
pub struct LayerSettings {
    /// How the layer computes.
    pub mode: Mode,
    /// How its operands become codes.
    pub quantization: LayerQuantization,
    /// The noise of mode NOISE.
    pub noise: Noise,
    /// By which plan APPROXIMATE computes.
    pub plan: PlanChoice,
    /// Which derivative of the multiplier training uses in mode APPROXIMATE.
    pub gradient: GradientRule,
    pub(crate) multiplier: PreparedMultiplier,
    pub(crate) htp_model: Option<PreparedMultiplier>,
}

impl LayerSettings {
    /// Settings for a multiplier, with its default quantisation, in mode APPROXIMATE.
    pub fn new(multiplier: impl Into<PreparedMultiplier>) -> Self {
        let multiplier = multiplier.into();
        Self {
            mode: Mode::default(),
            quantization: LayerQuantization::for_multiplier(multiplier.multiplier()),
            noise: Noise::default(),
            plan: multiplier.plan(),
            gradient: multiplier.gradient(),
            multiplier,
            htp_model: None,
        }
    }

    /// The multiplier.
    pub fn multiplier(&self) -> &Multiplier {
        self.multiplier.multiplier()
    }

    /// The HTP model, which wins over the multiplier while it is set.
    pub fn htp_model(&self) -> Option<&HtpModel> {
        self.htp_model
            .as_ref()
            .and_then(|prepared| match prepared.definition() {
                approx_multiplier::Definition::Htp(model) => Some(model),
                _ => None,
            })
    }

    /// The product that APPROXIMATE computes with, by which plan, and with which gradient.
    pub(crate) fn product(&self) -> PreparedMultiplier {
        let product = self.htp_model.as_ref().unwrap_or(&self.multiplier);
        let product = product.clone().with_plan(self.plan);
        product.with_gradient(self.gradient)
    }

    pub(crate) fn check(&self) -> Result<(), ApproxError> {
        self.noise.check()?;
        self.quantization.check(self.multiplier.multiplier())?;
        if let Some(model) = &self.htp_model {
            if self.htp_model().is_none() {
                return Err(ApproxError::NotHtp {
                    multiplier: model.multiplier().name().to_string(),
                });
            }
            self.quantization.check(model.multiplier())?;
        }
        let product = self.product();
        product.check_gradient()?;
        plan::check(&product, self.quantization.codes())
    }
}
