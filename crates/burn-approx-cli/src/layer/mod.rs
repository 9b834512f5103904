//! A single layer: its operands, and what is to be computed of it. `reference` computes it by a plain loop, `operators` through the
//! library.

pub mod operators;
pub mod reference;

use approx_multiplier::{Multiplier, OperandFormat};

use crate::files::{Array, Values};

/// A layer with values for its operands.
pub struct Layer {
    /// Multiplies the codes.
    pub multiplier: Multiplier,
    /// What is multiplied with what.
    pub sizes: Sizes,
    /// The activation, with one scale.
    pub input: Operand,
    /// The weight.
    pub weight: Operand,
    /// One value per output channel.
    pub bias: Option<Vec<f32>>,
    /// The shape of the output.
    pub output_shape: Vec<usize>,
}

/// An operand: codes and the real values that they stand for.
pub struct Operand {
    /// Its sizes, as in its file.
    pub shape: Vec<usize>,
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

/// The sizes of a convolution. A linear layer is one with a kernel of one tap, on images of one pixel.
pub struct Sizes {
    /// Whether it was given as a linear layer.
    pub linear: bool,
    /// Images.
    pub batch: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Input channels of a group.
    pub group_inputs: usize,
    /// Output channels of a group.
    pub group_outputs: usize,
    /// Height and width of an image.
    pub input: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps of the kernel.
    pub stride: [usize; 2],
    /// Padding on either side.
    pub padding: [usize; 2],
    /// Distance of the kernel's taps.
    pub dilation: [usize; 2],
}

/// What is to be computed.
pub struct Wanted {
    /// The sums of products.
    pub accumulators: bool,
    /// The outputs.
    pub outputs: bool,
    /// The gradients of both operands, for this one of the output.
    pub gradient: Option<Vec<f32>>,
}

/// What was computed, row by row.
#[derive(Default)]
pub struct Computed {
    /// The sums of products.
    pub accumulators: Option<Vec<i64>>,
    /// The outputs.
    pub outputs: Option<Vec<f32>>,
    /// The gradients of the activation and the weight.
    pub gradients: [Option<Vec<f32>>; 2],
    /// How it was computed.
    pub plan: String,
}

impl Sizes {
    /// Height and width of the output; `None` if the kernel does not fit the padded input.
    pub fn output(&self) -> Option<[usize; 2]> {
        let size = |axis: usize| -> Option<usize> {
            let reach = self.kernel[axis]
                .checked_sub(1)?
                .checked_mul(self.dilation[axis])?
                .checked_add(1)?;
            let padded = self.padding[axis]
                .checked_mul(2)?
                .checked_add(self.input[axis])?;
            Some(padded.checked_sub(reach)? / self.stride[axis] + 1)
        };
        Some([size(0)?, size(1)?])
    }

    /// The output channels.
    pub fn outputs(&self) -> usize {
        self.groups * self.group_outputs
    }

    /// The products of the whole layer; `None` if they are too many to be counted.
    pub fn products(&self) -> Option<usize> {
        let [height, width] = self.output()?;
        [
            self.batch,
            self.outputs(),
            height,
            width,
            self.group_inputs,
            self.kernel[0],
            self.kernel[1],
        ]
        .into_iter()
        .try_fold(1usize, usize::checked_mul)
    }
}

impl Operand {
    /// An operand from an array, whose scales and zero points are valid.
    pub fn new(
        array: Array,
        scales: Vec<f32>,
        zero_points: Vec<i32>,
        format: OperandFormat,
    ) -> Self {
        let (low, high) = (format.min_code(), format.max_code());
        let per_channel = (array.values.len() / scales.len()).max(1);
        let channel = |index: usize| index / per_channel;
        let (reals, codes, in_range) = match array.values {
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
                // clamp(round_half_even(x * r) + z, low, high) with r = 1 / s in float32, in numbers that hold every sum.
                let unclamped = reals.iter().enumerate().map(|(index, value)| {
                    let reciprocal = 1.0 / scales[channel(index)];
                    f64::from((value * reciprocal).round_ties_even())
                        + f64::from(zero_points[channel(index)])
                });
                let (low, high) = (f64::from(low), f64::from(high));
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
            shape: array.shape,
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
