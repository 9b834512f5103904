//! How likely operand pairs are: what errors are weighted with.

use crate::table::entry_count;
use crate::{MultiplierError, OperandFormat};

/// How likely a multiplier's operand pairs are: what
/// [`ErrorMetrics::measure_weighted`](crate::ErrorMetrics::measure_weighted) weights them with.
///
/// Probabilities are given in the order of bit patterns, up to a common factor: a histogram of observed codes will do.
///
/// ```
/// use approx_multiplier::{ErrorMetrics, Multiplier, OperandDistribution, OperandFormat};
///
/// // Wrong for odd activations only ...
/// let format = OperandFormat::unsigned(2)?;
/// let multiplier = Multiplier::from_fn("m", format, format, |a, b| a * b + (a & 1))?;
/// // ... which occur in a quarter of the observed cases.
/// let distribution = OperandDistribution::independent(format, &[2.0, 1.0, 1.0, 0.0], format, &[1.0; 4])?;
/// let metrics = ErrorMetrics::measure_weighted(&multiplier, &distribution)?;
/// assert_eq!(metrics.ep_percent, 25.0);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OperandDistribution {
    activation: OperandFormat,
    weight: OperandFormat,
    probabilities: Probabilities,
}

#[derive(Clone, Debug, PartialEq)]
enum Probabilities {
    Independent {
        activation: Vec<f64>,
        weight: Vec<f64>,
    },
    /// Row by row, as the entries of a table.
    Joint(Vec<f64>),
}

impl OperandDistribution {
    /// Every pair is as likely as every other.
    pub fn uniform(activation: OperandFormat, weight: OperandFormat) -> Self {
        let uniform =
            |format: OperandFormat| vec![1.0 / format.cardinality() as f64; format.cardinality()];
        Self {
            activation,
            weight,
            probabilities: Probabilities::Independent {
                activation: uniform(activation),
                weight: uniform(weight),
            },
        }
    }

    /// The operands are independent: one probability per code of each, in the order of bit patterns.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidDistribution`] if there are not `2^bits` of them, one is negative or not finite, or
    /// their sum is 0 or not finite.
    pub fn independent(
        activation: OperandFormat,
        activation_probabilities: &[f64],
        weight: OperandFormat,
        weight_probabilities: &[f64],
    ) -> Result<Self, MultiplierError> {
        Ok(Self {
            activation,
            weight,
            probabilities: Probabilities::Independent {
                activation: normalized(
                    "activation",
                    activation.cardinality(),
                    activation_probabilities,
                )?,
                weight: normalized("weight", weight.cardinality(), weight_probabilities)?,
            },
        })
    }

    /// One probability per operand pair, row by row as the entries of a [`ProductTable`](crate::ProductTable).
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidDistribution`] as for [`independent`](Self::independent), and
    /// [`MultiplierError::TableTooLarge`].
    pub fn joint(
        activation: OperandFormat,
        weight: OperandFormat,
        probabilities: &[f64],
    ) -> Result<Self, MultiplierError> {
        let count = entry_count(activation, weight)?;
        Ok(Self {
            activation,
            weight,
            probabilities: Probabilities::Joint(normalized("joint", count, probabilities)?),
        })
    }

    /// Format of the activation.
    pub fn activation(&self) -> OperandFormat {
        self.activation
    }

    /// Format of the weight.
    pub fn weight(&self) -> OperandFormat {
        self.weight
    }

    /// The probability of a pair of codes, 0 to 1.
    ///
    /// Of a code outside its format the low bits count, as in [`OperandFormat::pattern`].
    pub fn probability(&self, a: i32, b: i32) -> f64 {
        self.probability_of_patterns(self.activation.pattern(a), self.weight.pattern(b))
    }

    pub(super) fn probability_of_patterns(&self, a: usize, b: usize) -> f64 {
        match &self.probabilities {
            Probabilities::Independent { activation, weight } => activation[a] * weight[b],
            Probabilities::Joint(probabilities) => probabilities[a * self.weight.cardinality() + b],
        }
    }
}

/// Checks probabilities and scales them to the sum 1.
fn normalized(
    which: &'static str,
    expected: usize,
    probabilities: &[f64],
) -> Result<Vec<f64>, MultiplierError> {
    let invalid = |reason| Err(MultiplierError::InvalidDistribution { which, reason });
    if probabilities.len() != expected {
        return invalid(format!(
            "it has {} probabilities, and needs {expected}",
            probabilities.len()
        ));
    }
    if let Some(index) = probabilities
        .iter()
        .position(|p| !(p.is_finite() && *p >= 0.0))
    {
        return invalid(format!(
            "probability {index} is {}: it must be finite and not negative",
            probabilities[index]
        ));
    }
    let sum: f64 = probabilities.iter().sum();
    if sum == 0.0 || !sum.is_finite() {
        return invalid(format!(
            "its sum is {sum}: it must be finite and greater than 0"
        ));
    }
    Ok(probabilities.iter().map(|p| p / sum).collect())
}
