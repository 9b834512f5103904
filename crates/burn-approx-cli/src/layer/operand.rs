//! An operand of a layer: real values, their codes, and the scales and zero points between the two.

use approx_multiplier::OperandFormat;
use burn_approx::ApproxError;

use crate::array::{Array, Values};
use crate::error::CliError;

/// An operand: codes and the real values that they stand for.
pub struct Operand {
    /// The real values, as the layer is fed them.
    pub reals: Vec<f32>,
    /// Their codes.
    pub codes: Vec<i32>,
    /// Whether a value's code was not clamped.
    pub in_range: Vec<bool>,
    /// One scale, or one per index of the first axis.
    pub scales: Vec<f32>,
    /// As many zero points.
    pub zero_points: Vec<i32>,
    /// The codes that the multiplier has.
    pub format: OperandFormat,
}

impl Operand {
    /// An operand from an array, with one scale and zero point, or as many as there are channels along its first axis.
    ///
    /// # Errors
    /// Another number of scales or zero points, or such as no quantiser has; codes that the format does not have;
    /// values that are not finite.
    pub fn new(
        name: burn_approx::quantization::Operand,
        array: Array,
        [scales, zero_points]: [Vec<f32>; 2],
        channels: usize,
        format: OperandFormat,
    ) -> Result<Self, CliError> {
        let usage = |problem: String| CliError::Usage(format!("{name}: {problem}"));
        let count = scales.len().max(zero_points.len());
        if count != 1 && count != channels {
            return Err(usage(format!(
                "{} scales and {} zero points; one of each would be right{}",
                scales.len(),
                zero_points.len(),
                if channels > 1 {
                    format!(", or one for each of {channels} output channels")
                } else {
                    String::new()
                }
            )));
        }
        let spread = |values: Vec<f32>| match values[..] {
            [single] => Ok(vec![single; count]),
            _ if values.len() == count => Ok(values),
            _ => Err(usage(format!(
                "{} values for {count} channels",
                values.len()
            ))),
        };
        let (scales, zero_points) = (spread(scales)?, spread(zero_points)?);
        if let Some(scale) = scales
            .iter()
            .find(|scale| !(scale.is_finite() && **scale > 0.0))
        {
            return Err(usage(format!("scale {scale} must be finite and above 0")));
        }
        let is_code = |zero: &f32| {
            zero.fract() == 0.0
                && *zero >= format.min_code() as f32
                && *zero <= format.max_code() as f32
        };
        if let Some(zero) = zero_points.iter().find(|zero| !is_code(zero)) {
            return Err(usage(format!(
                "zero point {zero} is no code of the multiplier's {format} operand: {}..={}",
                format.min_code(),
                format.max_code()
            )));
        }
        match &array.values {
            Values::Codes(codes) => {
                if let Some(code) = codes.iter().find(|code| !format.contains(**code)) {
                    return Err(ApproxError::CodeOutsideFormat {
                        operand: name,
                        code: i64::from(*code),
                        format,
                    }
                    .into());
                }
            }
            Values::Reals(values) => {
                if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                    return Err(usage(format!(
                        "a value is {value}; only finite ones can be quantised"
                    )));
                }
            }
        }
        let zero_points = zero_points.into_iter().map(|zero| zero as i32).collect();
        Ok(Self::of_valid(array.values, scales, zero_points, format))
    }

    /// The codes of real values, or the real values of codes.
    fn of_valid(
        values: Values,
        scales: Vec<f32>,
        zero_points: Vec<i32>,
        format: OperandFormat,
    ) -> Self {
        let per_channel = (values.len() / scales.len()).max(1);
        let channel = |index: usize| index / per_channel;
        let (reals, codes, in_range) = match values {
            Values::Codes(codes) => {
                let reals = codes
                    .iter()
                    .enumerate()
                    .map(|(index, code)| {
                        scales[channel(index)] * (code - zero_points[channel(index)]) as f32
                    })
                    .collect();
                let in_range = vec![true; codes.len()];
                (reals, codes, in_range)
            }
            Values::Reals(reals) => {
                // clamp(round_half_even(x * r) + z, low, high) with r = 1 / s in float32, in numbers that hold every
                // sum.
                let unclamped = reals.iter().enumerate().map(|(index, value)| {
                    let reciprocal = 1.0 / scales[channel(index)];
                    f64::from((value * reciprocal).round_ties_even())
                        + f64::from(zero_points[channel(index)])
                });
                let (low, high) = (f64::from(format.min_code()), f64::from(format.max_code()));
                let unclamped: Vec<f64> = unclamped.collect();
                let codes = unclamped
                    .iter()
                    .map(|code| code.clamp(low, high) as i32)
                    .collect();
                let in_range = unclamped
                    .iter()
                    .map(|code| (low..=high).contains(code))
                    .collect();
                (reals, codes, in_range)
            }
        };
        Self {
            reals,
            codes,
            in_range,
            scales,
            zero_points,
            format,
        }
    }

    /// The channel of a value.
    pub fn channel(&self, index: usize) -> usize {
        index / (self.codes.len() / self.scales.len()).max(1)
    }

    /// The real value of a value's code, `scale * (code - zero_point)`.
    pub fn quantized(&self, index: usize) -> f32 {
        let channel = self.channel(index);
        self.scales[channel] * (self.codes[index] - self.zero_points[channel]) as f32
    }
}
