//! How real values become operand codes, as settings: which codes, where zero lies, and how ranges are observed.

use approx_multiplier::{Multiplier, OperandFormat};
use serde::{Deserialize, Serialize};

use super::{CodeRange, Operand};
use crate::error::ApproxError;

/// Where the code of the real value 0 lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Symmetry {
    /// At code 0: `real = scale * code`.
    Symmetric,
    /// Wherever the observed range puts it: `real = scale * (code - zero_point)`.
    Affine,
}

/// How many scales a weight tensor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// One for the whole tensor.
    PerTensor,
    /// One per output channel.
    PerChannel,
}

/// How the range of real values that the codes must cover is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observer {
    /// The smallest and largest value ever seen.
    MinMax,
    /// A moving average of each batch's smallest and largest value.
    MovingAverage {
        /// The weight of the newest batch, above 0 and at most 1.
        momentum: f32,
    },
    /// The range of least squared quantisation error, from a histogram of every value seen.
    LeastSquares,
    /// The range that leaves out the outermost values, from a histogram of every value seen.
    Percentile {
        /// The share of values to cover in percent, above 50 and at most 100.
        percent: f64,
    },
}

impl Observer {
    /// Whether the observer keeps a histogram.
    pub fn uses_histogram(self) -> bool {
        matches!(self, Self::LeastSquares | Self::Percentile { .. })
    }

    fn check(self, operand: Operand) -> Result<(), ApproxError> {
        let problem = match self {
            Self::MovingAverage { momentum } if !(momentum > 0.0 && momentum <= 1.0) => {
                format!("momentum {momentum} must be above 0 and at most 1")
            }
            Self::Percentile { percent } if !(percent > 50.0 && percent <= 100.0) => {
                format!("percentile {percent} must be above 50 and at most 100")
            }
            _ => return Ok(()),
        };
        Err(ApproxError::InvalidObserver { operand, problem })
    }
}

/// When an operand's range follows what passes through the layer.
///
/// Training on several devices gives each its own copy of the model, and what such a copy observes of its activations
/// serves its own passes alone: calibrate before, and leave activations frozen, as they are by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// On every forward pass.
    Always,
    /// On forward passes in training only.
    WhileTraining,
    /// Never: the range stays as calibrated, loaded or set.
    Frozen,
}

/// The quantisation of one operand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperandQuantization {
    /// The codes that may be produced.
    pub codes: CodeRange,
    /// Where the code of the real value 0 lies.
    pub symmetry: Symmetry,
    /// How the range is found.
    pub observer: Observer,
    /// When the range follows the data, calibration apart.
    pub observation: Observation,
}

/// The quantisation of a layer's activation and weight.
///
/// ```
/// use burn_approx::quantization::{LayerQuantization, Symmetry};
/// use approx_multiplier::evoapprox;
///
/// let mut scheme = LayerQuantization::for_multiplier(&evoapprox::multiplier("mul8s_1L2J")?);
/// assert_eq!(scheme.weight.codes.to_string(), "-127..=127");
/// scheme.activation.symmetry = Symmetry::Affine;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerQuantization {
    /// The activation's, always per tensor.
    pub activation: OperandQuantization,
    /// The weight's.
    pub weight: OperandQuantization,
    /// How many scales the weight has.
    pub granularity: Granularity,
}

impl LayerQuantization {
    /// The default for a multiplier's operand formats.
    ///
    /// A signed operand is symmetric (-128..=127 for activations, -127..=127 for weights), an unsigned one affine over
    /// all its codes. Activations take the range of least squared error and stay frozen once calibrated; weights have
    /// one scale per output channel, which always follows the current weight. Codes have the widths of the multiplier's
    /// operands.
    pub fn for_multiplier(multiplier: &Multiplier) -> Self {
        let (activation, weight) = (multiplier.activation(), multiplier.weight());
        let symmetry = |format: OperandFormat| {
            if format.is_signed() {
                Symmetry::Symmetric
            } else {
                Symmetry::Affine
            }
        };
        Self {
            activation: OperandQuantization {
                codes: CodeRange::full(activation),
                symmetry: symmetry(activation),
                observer: Observer::LeastSquares,
                observation: Observation::Frozen,
            },
            weight: OperandQuantization {
                codes: CodeRange::mirrored(weight),
                symmetry: symmetry(weight),
                observer: Observer::MinMax,
                observation: Observation::Always,
            },
            granularity: Granularity::PerChannel,
        }
    }

    /// What becomes of it for a product of two activations: the second one, in the weight's place, keeps the weight's
    /// codes and is observed as the first one is.
    pub(crate) fn for_two_activations(&self) -> Self {
        let Self {
            activation, weight, ..
        } = self.clone();
        Self {
            weight: OperandQuantization {
                observer: activation.observer,
                observation: activation.observation,
                ..weight
            },
            activation,
            granularity: Granularity::PerTensor,
        }
    }

    /// The codes of activation and weight.
    pub(crate) fn codes(&self) -> [CodeRange; 2] {
        [self.activation.codes, self.weight.codes]
    }

    /// Checks that the scheme is usable with a multiplier.
    ///
    /// # Errors
    /// [`ApproxError::CodesOutsideMultiplier`], [`ApproxError::UnsupportedBits`], or
    /// [`ApproxError::InvalidObserver`] for an observer's parameter out of its bounds.
    pub fn check(&self, multiplier: &Multiplier) -> Result<(), ApproxError> {
        let operands = [
            (
                Operand::Activation,
                &self.activation,
                multiplier.activation(),
            ),
            (Operand::Weight, &self.weight, multiplier.weight()),
        ];
        for (operand, quantization, format) in operands {
            let range = quantization.codes;
            range.smallest_format()?;
            if !range.fits(format) {
                let multiplier = multiplier.name().to_string();
                return Err(ApproxError::CodesOutsideMultiplier {
                    operand,
                    range,
                    format,
                    multiplier,
                });
            }
            quantization.observer.check(operand)?;
        }
        Ok(())
    }
}
