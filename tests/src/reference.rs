//! Plain loops that read like the formulas of the numerical contract, for tests to compare the operators with.
//!
//! A [`LayerGeometry`] lists, for every output, the pairs of activation and weight that it accumulates; codes,
//! accumulators, outputs, HTP sums and gradients are each one short loop over those.

use approx_cpu::{Conv2dShape, ConvTranspose2dShape, MatmulShape, Padding2d};
use approx_multiplier::{Feature, HtpModel};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn_approx::plan::Geometry;

/// What is multiplied with what.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerGeometry {
    /// `[leading.., inputs]` times `[inputs, outputs]`, for 1 to 3 leading sizes.
    Linear {
        /// The leading sizes of the activation.
        leading: Vec<usize>,
        /// The inputs of the layer.
        inputs: usize,
        /// The outputs of the layer.
        outputs: usize,
    },
    /// `[activation_batch.., rows, inner]` times `[weight_batch.., inner, columns]`, the batch sizes broadcasting.
    Matmul {
        /// The activation's leading sizes.
        activation_batch: [usize; 2],
        /// The weight's leading sizes: each one equal to the activation's, unless one of the two is 1.
        weight_batch: [usize; 2],
        /// Rows of each product.
        rows: usize,
        /// Products per output.
        inner: usize,
        /// Columns of each product.
        columns: usize,
    },
    /// A convolution of lines.
    Conv1d(Convolution<1>),
    /// A convolution of images.
    Conv2d(Conv2d),
    /// A convolution of volumes.
    Conv3d(Convolution<3>),
    /// A transposed convolution of lines.
    ConvTranspose1d(TransposedConvolution<1>),
    /// A transposed convolution of images.
    ConvTranspose2d(TransposedConvolution<2>),
}

/// The geometry of a convolution of images; pairs are `[height, width]`.
pub type Conv2d = Convolution<2>;

/// The geometry of a convolution over `N` axes: `[length]`, `[height, width]` or `[depth, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convolution<const N: usize> {
    /// Lines, images or volumes.
    pub batch: usize,
    /// Groups.
    pub groups: usize,
    /// Input channels of each group.
    pub group_inputs: usize,
    /// Output channels of each group.
    pub group_outputs: usize,
    /// The input's sides.
    pub input: [usize; N],
    /// The kernel's sides.
    pub kernel: [usize; N],
    /// Distances between windows.
    pub stride: [usize; N],
    /// Distances between taps.
    pub dilation: [usize; N],
    /// Padding before and after each side.
    pub padding: [(usize, usize); N],
}

impl<const N: usize> Convolution<N> {
    /// The sides of the output.
    pub fn output(&self) -> [usize; N] {
        std::array::from_fn(|axis| {
            let (before, after) = self.padding[axis];
            let span = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            (self.input[axis] + before + after - span) / self.stride[axis] + 1
        })
    }

    /// The options by which Burn knows it.
    pub fn options(&self) -> ConvOptions<N> {
        ConvOptions::new_with_padding(self.stride, self.padding, self.dilation, self.groups)
    }

    /// Input and output channels.
    pub fn channels(&self) -> [usize; 2] {
        [self.group_inputs, self.group_outputs].map(|own| self.groups * own)
    }

    fn activation_shape(&self) -> Vec<usize> {
        let [inputs, _] = self.channels();
        [[self.batch, inputs].as_slice(), &self.input].concat()
    }

    fn weight_shape(&self) -> Vec<usize> {
        let [_, outputs] = self.channels();
        [[outputs, self.group_inputs].as_slice(), &self.kernel].concat()
    }

    fn output_shape(&self) -> Vec<usize> {
        let [_, outputs] = self.channels();
        [[self.batch, outputs].as_slice(), &self.output()].concat()
    }

    fn inner(&self) -> usize {
        self.group_inputs * self.kernel.iter().product::<usize>()
    }

    /// The output channel of an output.
    fn channel(&self, output: usize) -> usize {
        let [_, channels] = self.channels();
        output / self.output().iter().product::<usize>() % channels
    }

    /// The convolution of volumes that it is, whose axes before its own have size 1.
    fn of_volumes(&self) -> Convolution<3> {
        fn sides<T: Copy, const N: usize>(one: T, own: [T; N]) -> [T; 3] {
            std::array::from_fn(|axis| (axis + N).checked_sub(3).map_or(one, |axis| own[axis]))
        }
        Convolution {
            batch: self.batch,
            groups: self.groups,
            group_inputs: self.group_inputs,
            group_outputs: self.group_outputs,
            input: sides(1, self.input),
            kernel: sides(1, self.kernel),
            stride: sides(1, self.stride),
            dilation: sides(1, self.dilation),
            padding: sides((0, 0), self.padding),
        }
    }
}

impl Convolution<3> {
    /// Visits the products that an output accumulates.
    fn taps(&self, output: usize, mut visit: impl FnMut(Option<usize>, usize)) {
        let [_, channels] = self.channels();
        let [depth, height, width] = self.output();
        let [volume, channel, z, y, x] =
            coordinates(output, [self.batch, channels, depth, height, width]);
        let group = channel / self.group_outputs;
        let at = |axis: usize, window: usize, tap: usize| {
            window * self.stride[axis] + tap * self.dilation[axis]
        };
        let mut weight = channel * self.inner();
        for input in 0..self.group_inputs {
            let input = group * self.group_inputs + input;
            for dz in 0..self.kernel[0] {
                for dy in 0..self.kernel[1] {
                    for dx in 0..self.kernel[2] {
                        let place = [at(0, z, dz), at(1, y, dy), at(2, x, dx)];
                        visit(self.value(volume, input, place), weight);
                        weight += 1;
                    }
                }
            }
        }
    }

    /// The geometry as the planner takes it: every output slice of a volume is an image, whose channels are the input
    /// slices that its kernel meets.
    fn planned(&self) -> Geometry {
        let [inputs, outputs] = self.channels();
        let [slices, ..] = self.output();
        let last = |[_, height, width]: [usize; 3]| [height, width];
        let [_, rows, columns] = self.padding;
        Geometry::Conv2d(Conv2dShape {
            batch: self.batch * slices,
            in_channels: inputs * self.kernel[0],
            out_channels: outputs,
            groups: self.groups,
            input: last(self.input),
            kernel: last(self.kernel),
            stride: last(self.stride),
            dilation: last(self.dilation),
            padding: Padding2d {
                top: rows.0,
                bottom: rows.1,
                left: columns.0,
                right: columns.1,
            },
        })
    }

    /// The flat index of the input's value at a place counted from the padded corner; `None` in the padding.
    fn value(&self, volume: usize, channel: usize, place: [usize; 3]) -> Option<usize> {
        let [inputs, _] = self.channels();
        let mut axes = place.into_iter().zip(self.padding).zip(self.input);
        axes.try_fold(volume * inputs + channel, |index, axis| {
            let ((place, (before, _)), size) = axis;
            let inside = place.checked_sub(before).filter(|own| *own < size)?;
            Some(index * size + inside)
        })
    }
}

/// A flat index taken apart into coordinates of `shape`.
fn coordinates<const D: usize>(mut index: usize, shape: [usize; D]) -> [usize; D] {
    let mut found = [0; D];
    for axis in (0..D).rev() {
        found[axis] = index % shape[axis];
        index /= shape[axis];
    }
    found
}

/// The geometry of a transposed convolution over `N` axes: `[length]` or `[height, width]`.
///
/// Weights are `[out, in / groups, ..]` here, output channels first as in a convolution; Burn has their first two axes
/// the other way round, group by group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransposedConvolution<const N: usize> {
    /// Lines or images.
    pub batch: usize,
    /// Groups.
    pub groups: usize,
    /// Input channels of each group.
    pub group_inputs: usize,
    /// Output channels of each group.
    pub group_outputs: usize,
    /// The input's sides.
    pub input: [usize; N],
    /// The kernel's sides.
    pub kernel: [usize; N],
    /// Distances in the output of what neighbouring inputs add to.
    pub stride: [usize; N],
    /// Distances in the output of what neighbouring taps add to.
    pub dilation: [usize; N],
    /// What is cropped off both ends of the output.
    pub padding: [usize; N],
    /// What is added at the end of the output.
    pub output_padding: [usize; N],
}

impl<const N: usize> TransposedConvolution<N> {
    /// The sides of the output.
    pub fn output(&self) -> [usize; N] {
        std::array::from_fn(|axis| {
            let reach = (self.input[axis] - 1) * self.stride[axis]
                + (self.kernel[axis] - 1) * self.dilation[axis];
            reach + 1 + self.output_padding[axis] - 2 * self.padding[axis]
        })
    }

    /// The options by which Burn knows it.
    pub fn options(&self) -> ConvTransposeOptions<N> {
        ConvTransposeOptions::new(
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
            self.groups,
        )
    }

    /// Input and output channels.
    pub fn channels(&self) -> [usize; 2] {
        [self.group_inputs, self.group_outputs].map(|own| self.groups * own)
    }

    fn activation_shape(&self) -> Vec<usize> {
        let [inputs, _] = self.channels();
        [[self.batch, inputs].as_slice(), &self.input].concat()
    }

    fn weight_shape(&self) -> Vec<usize> {
        let [_, outputs] = self.channels();
        [[outputs, self.group_inputs].as_slice(), &self.kernel].concat()
    }

    fn output_shape(&self) -> Vec<usize> {
        let [_, outputs] = self.channels();
        [[self.batch, outputs].as_slice(), &self.output()].concat()
    }

    /// The output channel of an output.
    fn channel(&self, output: usize) -> usize {
        let [_, channels] = self.channels();
        output / self.output().iter().product::<usize>() % channels
    }

    /// The transposed convolution of images that it is: lines are images of height 1.
    fn of_images(&self) -> TransposedConvolution<2> {
        fn sides<const N: usize>(one: usize, own: [usize; N]) -> [usize; 2] {
            std::array::from_fn(|axis| (axis + N).checked_sub(2).map_or(one, |axis| own[axis]))
        }
        TransposedConvolution {
            batch: self.batch,
            groups: self.groups,
            group_inputs: self.group_inputs,
            group_outputs: self.group_outputs,
            input: sides(1, self.input),
            kernel: sides(1, self.kernel),
            stride: sides(1, self.stride),
            dilation: sides(1, self.dilation),
            padding: sides(0, self.padding),
            output_padding: sides(0, self.output_padding),
        }
    }
}

impl TransposedConvolution<2> {
    /// Visits the products that an output accumulates: those of the inputs and taps with
    /// `input * stride + tap * dilation - padding = output` along both axes.
    fn taps(&self, output: usize, mut visit: impl FnMut(Option<usize>, usize)) {
        let [inputs, outputs] = self.channels();
        let [height, width] = self.output();
        let [image, channel, y, x] = coordinates(output, [self.batch, outputs, height, width]);
        let group = channel / self.group_outputs;
        let met = |axis: usize, output: usize, tap: usize| {
            let distance = (output + self.padding[axis]).checked_sub(tap * self.dilation[axis])?;
            let input = distance / self.stride[axis];
            (distance % self.stride[axis] == 0 && input < self.input[axis]).then_some(input)
        };
        let mut weight = channel * self.group_inputs * self.kernel[0] * self.kernel[1];
        for input in 0..self.group_inputs {
            let plane = image * inputs + group * self.group_inputs + input;
            for i in 0..self.kernel[0] {
                for j in 0..self.kernel[1] {
                    if let (Some(row), Some(column)) = (met(0, y, i), met(1, x, j)) {
                        let place = (plane * self.input[0] + row) * self.input[1] + column;
                        visit(Some(place), weight);
                    }
                    weight += 1;
                }
            }
        }
    }

    /// The geometry as the planner takes it.
    fn planned(&self) -> Geometry {
        let [in_channels, out_channels] = self.channels();
        Geometry::ConvTranspose2d(ConvTranspose2dShape {
            batch: self.batch,
            in_channels,
            out_channels,
            groups: self.groups,
            input: self.input,
            kernel: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            padding: self.padding,
            output_padding: self.output_padding,
        })
    }
}

impl LayerGeometry {
    /// The activation's shape.
    pub fn activation_shape(&self) -> Vec<usize> {
        match self {
            Self::Linear {
                leading, inputs, ..
            } => [leading.as_slice(), &[*inputs]].concat(),
            Self::Matmul {
                activation_batch,
                rows,
                inner,
                ..
            } => [activation_batch.as_slice(), &[*rows, *inner]].concat(),
            Self::Conv1d(conv) => conv.activation_shape(),
            Self::Conv2d(conv) => conv.activation_shape(),
            Self::Conv3d(conv) => conv.activation_shape(),
            Self::ConvTranspose1d(conv) => conv.activation_shape(),
            Self::ConvTranspose2d(conv) => conv.activation_shape(),
        }
    }

    /// The weight's shape.
    pub fn weight_shape(&self) -> Vec<usize> {
        match self {
            Self::Linear {
                inputs, outputs, ..
            } => vec![*inputs, *outputs],
            Self::Matmul {
                weight_batch,
                inner,
                columns,
                ..
            } => [weight_batch.as_slice(), &[*inner, *columns]].concat(),
            Self::Conv1d(conv) => conv.weight_shape(),
            Self::Conv2d(conv) => conv.weight_shape(),
            Self::Conv3d(conv) => conv.weight_shape(),
            Self::ConvTranspose1d(conv) => conv.weight_shape(),
            Self::ConvTranspose2d(conv) => conv.weight_shape(),
        }
    }

    /// The output's shape.
    pub fn output_shape(&self) -> Vec<usize> {
        match self {
            Self::Linear {
                leading, outputs, ..
            } => [leading.as_slice(), &[*outputs]].concat(),
            Self::Matmul {
                activation_batch,
                weight_batch,
                rows,
                columns,
                ..
            } => {
                let batch = [0, 1].map(|axis| match activation_batch[axis] {
                    1 => weight_batch[axis],
                    size => size,
                });
                [batch.as_slice(), &[*rows, *columns]].concat()
            }
            Self::Conv1d(conv) => conv.output_shape(),
            Self::Conv2d(conv) => conv.output_shape(),
            Self::Conv3d(conv) => conv.output_shape(),
            Self::ConvTranspose1d(conv) => conv.output_shape(),
            Self::ConvTranspose2d(conv) => conv.output_shape(),
        }
    }

    /// The geometry as the planner takes it.
    pub fn planned(&self) -> Geometry {
        match self {
            Self::Linear {
                leading,
                inputs,
                outputs,
            } => Geometry::Matmul(MatmulShape {
                rows: leading.iter().product(),
                inner: *inputs,
                columns: *outputs,
            }),
            Self::Matmul { inner, columns, .. } => Geometry::Matmul(MatmulShape {
                rows: self.outputs() / columns,
                inner: *inner,
                columns: *columns,
            }),
            Self::Conv1d(conv) => conv.of_volumes().planned(),
            Self::Conv2d(conv) => conv.of_volumes().planned(),
            Self::Conv3d(conv) => conv.planned(),
            Self::ConvTranspose1d(conv) => conv.of_images().planned(),
            Self::ConvTranspose2d(conv) => conv.planned(),
        }
    }

    /// The number of outputs, each of which has one accumulator.
    pub fn outputs(&self) -> usize {
        self.output_shape().iter().product()
    }

    /// The number of products that each output accumulates.
    pub fn inner(&self) -> usize {
        match self {
            Self::Linear { inputs, .. } => *inputs,
            Self::Matmul { inner, .. } => *inner,
            Self::Conv1d(conv) => conv.inner(),
            Self::Conv2d(conv) => conv.inner(),
            Self::Conv3d(conv) => conv.inner(),
            Self::ConvTranspose1d(_) | Self::ConvTranspose2d(_) => self.planned().inner(),
        }
    }

    /// The weight's axis of output channels.
    pub fn channel_axis(&self) -> usize {
        match self {
            Self::Linear { .. } => 1,
            Self::Matmul { .. } => 3,
            Self::Conv1d(_)
            | Self::Conv2d(_)
            | Self::Conv3d(_)
            | Self::ConvTranspose1d(_)
            | Self::ConvTranspose2d(_) => 0,
        }
    }

    /// The number of output channels.
    pub fn channels(&self) -> usize {
        self.weight_shape()[self.channel_axis()]
    }

    /// The output channel of an output.
    pub fn channel(&self, output: usize) -> usize {
        match self {
            Self::Linear { outputs, .. } => output % outputs,
            Self::Matmul { columns, .. } => output % columns,
            Self::Conv1d(conv) => conv.channel(output),
            Self::Conv2d(conv) => conv.channel(output),
            Self::Conv3d(conv) => conv.channel(output),
            Self::ConvTranspose1d(conv) => conv.channel(output),
            Self::ConvTranspose2d(conv) => conv.channel(output),
        }
    }

    /// Visits the products that an output accumulates: the index of the activation, `None` for a padded tap, and that
    /// of the weight.
    pub fn taps(&self, output: usize, mut visit: impl FnMut(Option<usize>, usize)) {
        match self {
            Self::Linear {
                inputs, outputs, ..
            } => {
                let (row, column) = (output / outputs, output % outputs);
                for k in 0..*inputs {
                    visit(Some(row * inputs + k), k * outputs + column);
                }
            }
            Self::Matmul {
                activation_batch: [a0, a1],
                weight_batch: [w0, w1],
                rows,
                inner,
                columns,
            } => {
                let shape = [(*a0).max(*w0), (*a1).max(*w1), *rows, *columns];
                let [outer, nested, row, column] = coordinates(output, shape);
                let left = outer.min(a0 - 1) * a1 + nested.min(a1 - 1);
                let right = outer.min(w0 - 1) * w1 + nested.min(w1 - 1);
                for k in 0..*inner {
                    visit(
                        Some((left * rows + row) * inner + k),
                        (right * inner + k) * columns + column,
                    );
                }
            }
            Self::Conv1d(conv) => conv.of_volumes().taps(output, visit),
            Self::Conv2d(conv) => conv.of_volumes().taps(output, visit),
            Self::Conv3d(conv) => conv.taps(output, visit),
            Self::ConvTranspose1d(conv) => conv.of_images().taps(output, visit),
            Self::ConvTranspose2d(conv) => conv.taps(output, visit),
        }
    }
}

/// `clamp(round_half_even(x * r) + z, low, high)` with `r = 1 / s` in float32.
pub fn code(x: f32, scale: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    steps(x, scale, zero_point).clamp(low.into(), high.into()) as i32
}

/// Whether the clamp above leaves the code as it is: the mask of the straight-through gradient.
pub fn in_range(x: f32, scale: f32, zero_point: i32, low: i32, high: i32) -> bool {
    (i64::from(low)..=i64::from(high)).contains(&steps(x, scale, zero_point))
}

fn steps(x: f32, scale: f32, zero_point: i32) -> i64 {
    let reciprocal = 1.0 / scale;
    let rounded = (x * reciprocal).round_ties_even() as i64;
    rounded.saturating_add(zero_point.into())
}

/// `acc = sum over k of m(a_k, w_k)`, a padded tap holding the code `padding_code`.
pub fn accumulators(
    geometry: &LayerGeometry,
    activation: &[i32],
    weight: &[i32],
    padding_code: i32,
    multiply: impl Fn(i32, i32) -> i64,
) -> Vec<i64> {
    (0..geometry.outputs())
        .map(|output| {
            let mut sum = 0;
            geometry.taps(output, |a, w| {
                sum += multiply(a.map_or(padding_code, |a| activation[a]), weight[w]);
            });
            sum
        })
        .collect()
}

/// The codes of both operands with their scales and zero points.
#[derive(Clone, Debug)]
pub struct Codes {
    /// The activation's codes.
    pub activation: Vec<i32>,
    /// The activation's scale.
    pub activation_scale: f32,
    /// The activation's zero point.
    pub activation_zero: i32,
    /// The weight's codes.
    pub weight: Vec<i32>,
    /// The weight's scale for every output channel.
    pub weight_scales: Vec<f32>,
    /// The weight's zero point for every output channel.
    pub weight_zeros: Vec<i32>,
}

impl Codes {
    /// `acc - z_a * sum w - z_w * sum a + K * z_a * z_w` of every accumulator.
    pub fn corrected(&self, geometry: &LayerGeometry, accumulators: &[i64]) -> Vec<i64> {
        let activation_zero = i64::from(self.activation_zero);
        let correct = |(output, accumulator): (usize, &i64)| {
            let weight_zero = i64::from(self.weight_zeros[geometry.channel(output)]);
            let (mut activation_sum, mut weight_sum, mut inner) = (0, 0, 0);
            geometry.taps(output, |a, w| {
                activation_sum += i64::from(a.map_or(self.activation_zero, |a| self.activation[a]));
                weight_sum += i64::from(self.weight[w]);
                inner += 1;
            });
            accumulator - activation_zero * weight_sum - weight_zero * activation_sum
                + inner * activation_zero * weight_zero
        };
        accumulators.iter().enumerate().map(correct).collect()
    }

    /// `s_a * s_w[o]` in float32, for every output.
    pub fn output_scale(&self, geometry: &LayerGeometry, output: usize) -> f32 {
        self.activation_scale * self.weight_scales[geometry.channel(output)]
    }

    /// `y = s_a * s_w[o] * (corrected accumulator)`.
    pub fn outputs(
        &self,
        geometry: &LayerGeometry,
        multiply: impl Fn(i32, i32) -> i64,
    ) -> Vec<f32> {
        let accumulators = accumulators(
            geometry,
            &self.activation,
            &self.weight,
            self.activation_zero,
            multiply,
        );
        let corrected = self.corrected(geometry, &accumulators);
        let scaled = |(output, sum): (usize, i64)| self.output_scale(geometry, output) * sum as f32;
        corrected.into_iter().enumerate().map(scaled).collect()
    }

    /// The outputs under an HTP model in float64, and for each one the sum of its terms' magnitudes, in proportion to
    /// which a float32 result may deviate.
    pub fn htp(&self, geometry: &LayerGeometry, model: &HtpModel) -> Vec<(f64, f64)> {
        let activation_zero = f64::from(self.activation_zero);
        let output = |output: usize| {
            let weight_zero = f64::from(self.weight_zeros[geometry.channel(output)]);
            let (mut sum, mut magnitude) = (0.0, 0.0);
            geometry.taps(output, |a, w| {
                let a = a.map_or(self.activation_zero, |a| self.activation[a]);
                let w = self.weight[w];
                for term in model.terms() {
                    let value = term.coefficient * feature(term.first, a) * feature(term.second, w);
                    sum += value;
                    magnitude += value.abs();
                }
                let (a, w) = (f64::from(a), f64::from(w));
                for value in [
                    -activation_zero * w,
                    -weight_zero * a,
                    activation_zero * weight_zero,
                ] {
                    sum += value;
                    magnitude += value.abs();
                }
                // The library subtracts the exact product from the model's terms.
                magnitude += (a * w).abs();
            });
            let scale = f64::from(self.output_scale(geometry, output));
            (scale * sum, scale * magnitude)
        };
        (0..geometry.outputs()).map(output).collect()
    }

    /// The real values that the codes stand for, `x^ = s_a * (q_a - z_a)` and `w^ = s_w * (q_w - z_w)`.
    pub fn real_values(&self, geometry: &LayerGeometry) -> [Vec<f64>; 2] {
        let real = |code: i32, scale: f32, zero: i32| f64::from(scale) * f64::from(code - zero);
        let activation = self
            .activation
            .iter()
            .map(|code| real(*code, self.activation_scale, self.activation_zero));
        let weight = self.weight.iter().enumerate().map(|(index, code)| {
            let channel = weight_channel(geometry, index);
            real(
                *code,
                self.weight_scales[channel],
                self.weight_zeros[channel],
            )
        });
        [activation.collect(), weight.collect()]
    }
}

/// The output channel of a weight.
pub fn weight_channel(geometry: &LayerGeometry, weight: usize) -> usize {
    let shape = geometry.weight_shape();
    let axis = geometry.channel_axis();
    weight / shape[axis + 1..].iter().product::<usize>() % shape[axis]
}

/// A feature of an HTP model, by its definition.
fn feature(feature: Feature, code: i32) -> f64 {
    match feature {
        Feature::Identity => f64::from(code),
        Feature::One => 1.0,
        Feature::Mod { modulus, power } => {
            f64::from(code.rem_euclid(modulus as i32)).powi(power as i32)
        }
    }
}

/// The exact operator on real values, padded taps being 0.
pub fn real_outputs(geometry: &LayerGeometry, activation: &[f64], weight: &[f64]) -> Vec<f64> {
    (0..geometry.outputs())
        .map(|output| {
            let mut sum = 0.0;
            geometry.taps(output, |a, w| {
                sum += a.map_or(0.0, |a| activation[a]) * weight[w]
            });
            sum
        })
        .collect()
}
