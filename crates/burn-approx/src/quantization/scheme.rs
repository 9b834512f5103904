//! How real values become operand codes: which codes, where zero lies, and how ranges are observed.

use approx_multiplier::{Multiplier, OperandFormat, Signedness};
use serde::{Deserialize, Serialize};

use crate::error::ApproxError;

/// The codes that a quantiser may produce, both ends included; 0 is always among them.
///
/// ```
/// use burn_approx::quantization::CodeRange;
///
/// let narrow = CodeRange::new(0, 127)?;
/// assert_eq!((narrow.low(), narrow.high()), (0, 127));
/// assert!(CodeRange::new(1, 127).is_err()); // the real value 0 would have no code
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(i32, i32)", into = "(i32, i32)")]
pub struct CodeRange {
    low: i32,
    high: i32,
}

impl CodeRange {
    /// The codes `low..=high`.
    ///
    /// # Errors
    /// [`ApproxError::InvalidCodeRange`] unless `low <= 0 <= high` and `low < high`.
    pub fn new(low: i32, high: i32) -> Result<Self, ApproxError> {
        if low <= 0 && 0 <= high && low < high {
            Ok(Self { low, high })
        } else {
            Err(ApproxError::InvalidCodeRange { low, high })
        }
    }

    /// Every code of a format: -128..=127 for 8 signed bits, 0..=255 for 8 unsigned ones.
    pub fn full(format: OperandFormat) -> Self {
        Self {
            low: format.min_code(),
            high: format.max_code(),
        }
    }

    /// The codes of a format that have a negative counterpart: -127..=127 for 8 signed bits; all of an unsigned format.
    pub fn mirrored(format: OperandFormat) -> Self {
        let low = if format.is_signed() {
            -format.max_code()
        } else {
            0
        };
        Self {
            low,
            high: format.max_code(),
        }
    }

    /// The non-negative codes of a format: 0..=127 for 8 signed bits.
    pub fn non_negative(format: OperandFormat) -> Self {
        Self {
            low: 0,
            high: format.max_code(),
        }
    }

    /// The lowest code.
    pub fn low(self) -> i32 {
        self.low
    }

    /// The highest code.
    pub fn high(self) -> i32 {
        self.high
    }

    /// Whether a format has all of these codes.
    pub fn fits(self, format: OperandFormat) -> bool {
        format.min_code() <= self.low && self.high <= format.max_code()
    }

    /// The format of fewest bits that has all of these codes, and at least 8.
    ///
    /// # Errors
    /// [`ApproxError::UnsupportedBits`] for codes of more than 16 bits.
    pub(crate) fn smallest_format(self) -> Result<OperandFormat, ApproxError> {
        let magnitude = self.high.max(-(self.low + 1)).cast_unsigned();
        let bits = (u32::BITS - magnitude.leading_zeros()) as u8 + u8::from(self.low < 0);
        let signedness = match self.low < 0 {
            true => Signedness::Signed,
            false => Signedness::Unsigned,
        };
        OperandFormat::new(bits.max(8), signedness)
            .map_err(|_| ApproxError::UnsupportedBits { bits })
    }
}

impl TryFrom<(i32, i32)> for CodeRange {
    type Error = ApproxError;

    fn try_from((low, high): (i32, i32)) -> Result<Self, ApproxError> {
        Self::new(low, high)
    }
}

impl From<CodeRange> for (i32, i32) {
    fn from(range: CodeRange) -> Self {
        (range.low, range.high)
    }
}

impl std::fmt::Display for CodeRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..={}", self.low, self.high)
    }
}

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

    fn check(self) -> Result<(), ApproxError> {
        let problem = match self {
            Self::MovingAverage { momentum } if !(momentum > 0.0 && momentum <= 1.0) => {
                format!("momentum {momentum} must be above 0 and at most 1")
            }
            Self::Percentile { percent } if !(percent > 50.0 && percent <= 100.0) => {
                format!("percentile {percent} must be above 50 and at most 100")
            }
            _ => return Ok(()),
        };
        Err(ApproxError::InvalidQuantizer {
            what: "observer".into(),
            problem,
        })
    }
}

/// When an operand's range follows what passes through the layer.
///
/// Training on several devices gives each its own copy of the model, and what such a copy observes of its activations serves its own
/// passes alone: calibrate before, and leave activations frozen, as they are by default.
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
/// use burn_approx::quantization::{QuantizationScheme, Symmetry};
/// use approx_multiplier::evoapprox;
///
/// let mut scheme = QuantizationScheme::for_multiplier(&evoapprox::multiplier("mul8s_1L2J")?);
/// assert_eq!(scheme.weight.codes.to_string(), "-127..=127");
/// scheme.activation.symmetry = Symmetry::Affine;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizationScheme {
    /// The activation's, always per tensor.
    pub activation: OperandQuantization,
    /// The weight's.
    pub weight: OperandQuantization,
    /// How many scales the weight has.
    pub granularity: Granularity,
}

impl QuantizationScheme {
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

    /// The same for a product of two activations: the second one, in the weight's place, keeps the weight's codes and is observed as
    /// the first one is.
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
    /// [`ApproxError::InvalidQuantizer`] for an observer's parameter out of its bounds.
    pub fn check(&self, multiplier: &Multiplier) -> Result<(), ApproxError> {
        let operands = [
            ("activation", &self.activation, multiplier.activation()),
            ("weight", &self.weight, multiplier.weight()),
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
            quantization.observer.check()?;
        }
        Ok(())
    }
}
