//! The plain reference: a loop over all taps in 64-bit integers, written as the formulas stand in the numerical
//! contract. Of the library it uses nothing but the multiplier.

use approx_multiplier::Definition;

use super::sizes::{Convolution, Linear, Sizes};
use super::{Computed, Layer, Wanted};
use crate::error::CliError;

/// Computes a layer.
pub fn compute(layer: &Layer, wanted: &Wanted) -> Result<Computed, CliError> {
    let is_model = matches!(layer.multiplier.definition(), Definition::Htp(_));
    if wanted.accumulators && is_model {
        return Err(CliError::Usage(format!(
            "`{}` is a High-Throughput model: its sums are not integers, so there are outputs, but no accumulators",
            layer.multiplier.name()
        )));
    }
    let mut computed = Computed {
        plan: "loop: every product by itself, summed in 64-bit integers".into(),
        ..Computed::default()
    };
    if is_model {
        computed.plan = "loop: every product of the model by itself, summed in float64".into();
        computed.outputs = wanted.outputs.then(|| model_outputs(layer));
    } else if wanted.accumulators || wanted.outputs {
        let accumulators = accumulators(layer)?;
        computed.outputs = match wanted.outputs {
            true => Some(outputs(layer, &accumulators)?),
            false => None,
        };
        computed.accumulators = wanted.accumulators.then_some(accumulators);
    }
    if let Some(gradient) = &wanted.gradient {
        computed.gradients = gradients(layer, gradient).map(Some);
    }
    Ok(computed)
}

/// Where a tap takes its operands from, and where its product goes.
struct Tap {
    output: usize,
    /// `None` in the padding.
    input: Option<usize>,
    weight: usize,
}

impl Sizes {
    /// Visits every tap of the layer, output by output.
    fn visit_taps(&self, visit: impl FnMut(Tap)) {
        match self {
            Self::Linear(linear) => linear.visit_taps(visit),
            Self::Conv1d(convolution) | Self::Conv2d(convolution) => convolution.visit_taps(visit),
        }
    }

    /// The channel of an output.
    fn channel(&self, output: usize) -> usize {
        match self {
            Self::Linear(linear) => output % linear.outputs,
            Self::Conv1d(convolution) | Self::Conv2d(convolution) => {
                let [_, channels, height, width] = convolution.output;
                output / (height * width) % channels
            }
        }
    }
}

impl Linear {
    fn visit_taps(&self, mut visit: impl FnMut(Tap)) {
        for row in 0..self.rows() {
            for channel in 0..self.outputs {
                for inner in 0..self.inputs {
                    visit(Tap {
                        output: row * self.outputs + channel,
                        input: Some(row * self.inputs + inner),
                        weight: channel * self.inputs + inner,
                    });
                }
            }
        }
    }
}

impl Convolution {
    fn visit_taps(&self, mut visit: impl FnMut(Tap)) {
        let [images, channels, out_height, out_width] = self.output;
        for image in 0..images {
            for channel in 0..channels {
                for y in 0..out_height {
                    for x in 0..out_width {
                        let output =
                            ((image * channels + channel) * out_height + y) * out_width + x;
                        self.visit_taps_of(image, channel, [y, x], |input, weight| {
                            visit(Tap {
                                output,
                                input,
                                weight,
                            });
                        });
                    }
                }
            }
        }
    }

    /// Visits the activation, if it is not in the padding, and the weight of every tap of one output.
    fn visit_taps_of(
        &self,
        image: usize,
        channel: usize,
        place: [usize; 2],
        mut visit: impl FnMut(Option<usize>, usize),
    ) {
        let [_, in_channels, height, width] = self.input;
        let [_, group_inputs, kernel_height, kernel_width] = self.weight;
        let position = |axis: usize, tap: usize| {
            (place[axis] * self.window.stride[axis] + tap * self.window.dilation[axis])
                .checked_sub(self.window.padding[axis])
                .filter(|position| *position < [height, width][axis])
        };
        let group = channel / self.group_outputs();
        for inner in 0..group_inputs {
            let source = group * group_inputs + inner;
            for j in 0..kernel_height {
                for i in 0..kernel_width {
                    let input = position(0, j)
                        .zip(position(1, i))
                        .map(|(y, x)| ((image * in_channels + source) * height + y) * width + x);
                    let weight =
                        ((channel * group_inputs + inner) * kernel_height + j) * kernel_width + i;
                    visit(input, weight);
                }
            }
        }
    }
}

impl Layer {
    /// The activation's code at a tap: in the padding that of the real value 0.
    fn activation_code(&self, tap: &Tap) -> i32 {
        tap.input
            .map_or(self.input.zero_points[0], |index| self.input.codes[index])
    }

    fn output_count(&self) -> usize {
        self.sizes.output_shape().iter().product()
    }
}

fn too_large(layer: &Layer) -> CliError {
    CliError::Usage(format!(
        "a sum of products of `{}` does not fit 64 bits",
        layer.multiplier.name()
    ))
}

fn accumulators(layer: &Layer) -> Result<Vec<i64>, CliError> {
    let mut sums = vec![0i64; layer.output_count()];
    let mut all_fit = true;
    layer.sizes.visit_taps(|tap| {
        let (a, b) = (layer.activation_code(&tap), layer.weight.codes[tap.weight]);
        let sum = layer
            .multiplier
            .product(a, b)
            .and_then(|product| sums[tap.output].checked_add(product));
        match sum {
            Some(sum) => sums[tap.output] = sum,
            None => all_fit = false,
        }
    });
    match all_fit {
        true => Ok(sums),
        false => Err(too_large(layer)),
    }
}

/// What zero points add to every sum: `-z_x sum q_w - z_w sum q_x + K z_x z_w`.
fn corrections(layer: &Layer) -> Vec<i64> {
    let mut sums = vec![0i64; layer.output_count()];
    let zero_x = i64::from(layer.input.zero_points[0]);
    layer.sizes.visit_taps(|tap| {
        let zero_w = i64::from(layer.weight.zero_points[layer.weight.channel(tap.weight)]);
        let (a, b) = (
            i64::from(layer.activation_code(&tap)),
            i64::from(layer.weight.codes[tap.weight]),
        );
        sums[tap.output] += zero_x * zero_w - zero_x * b - zero_w * a;
    });
    sums
}

/// An output from its corrected sum.
fn rescaled(layer: &Layer, output: usize, sum: f32) -> f32 {
    let channel = layer.sizes.channel(output);
    let weight_scale = match layer.weight.scales[..] {
        [single] => single,
        ref many => many[channel],
    };
    let value = (layer.input.scales[0] * weight_scale) * sum;
    layer
        .bias
        .as_ref()
        .map_or(value, |bias| value + bias[channel])
}

fn outputs(layer: &Layer, accumulators: &[i64]) -> Result<Vec<f32>, CliError> {
    let sums = accumulators.iter().zip(corrections(layer));
    sums.enumerate()
        .map(|(output, (sum, correction))| {
            let sum = sum
                .checked_add(correction)
                .ok_or_else(|| too_large(layer))?;
            Ok(rescaled(layer, output, sum as f32))
        })
        .collect()
}

fn model_outputs(layer: &Layer) -> Vec<f32> {
    let mut sums = vec![0f64; layer.output_count()];
    layer.sizes.visit_taps(|tap| {
        let (a, b) = (layer.activation_code(&tap), layer.weight.codes[tap.weight]);
        sums[tap.output] += layer.multiplier.evaluate(a, b);
    });
    let sums = sums.into_iter().zip(corrections(layer));
    sums.enumerate()
        .map(|(output, (sum, correction))| {
            rescaled(layer, output, (sum + correction as f64) as f32)
        })
        .collect()
}

/// The gradients of the exact product of the quantised operands, where their codes were not clamped.
fn gradients(layer: &Layer, gradient: &[f32]) -> [Vec<f32>; 2] {
    let (input, weight) = (&layer.input, &layer.weight);
    let mut sums = [
        vec![0f64; input.codes.len()],
        vec![0f64; weight.codes.len()],
    ];
    layer.sizes.visit_taps(|tap| {
        let Some(index) = tap.input else { return };
        let arriving = f64::from(gradient[tap.output]);
        sums[0][index] += arriving * f64::from(weight.quantized(tap.weight));
        sums[1][tap.weight] += arriving * f64::from(input.quantized(index));
    });
    let [of_input, of_weight] = sums;
    let masked = |sums: Vec<f64>, in_range: &[bool]| {
        sums.into_iter()
            .zip(in_range)
            .map(|(sum, in_range)| if *in_range { sum as f32 } else { 0.0 })
            .collect()
    };
    [
        masked(of_input, &input.in_range),
        masked(of_weight, &weight.in_range),
    ]
}
