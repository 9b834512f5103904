//! Two-dimensional transposed convolution through a product table, grouped or not.
//!
//! Every position of the input meets every tap of the kernel once. So the products are those of a matrix product,
//! summed over the input channels, whose planes are the taps of all output channels: a panel of the table's lines, held
//! for some positions, serves the taps of all phases. The sums then are added to the outputs that they belong to. It is
//! done for a few output channels or images at a time, so that they are still in cache.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::accumulators::{Accumulator, Accumulators};
use crate::arch::{InstructionSet, compiled_for_every_set};
use crate::error::{KernelError, check_length};
use crate::lookup::accumulate::Segment;
use crate::lookup::bounds::{add_bound, fit_in_32_bits};
use crate::lookup::gather::{Problem, Side, Strategy, TILE, cheapest, masked, transpose};
use crate::lookup::panel::NARROW_LANES;
use crate::lookup::table::LookupTable;
use crate::operand::{OperandWidth, ProductQuantizers};
use crate::shapes::ConvTranspose2dShape;
use crate::word::CODES;

/// `acc[n, o, p] = sum over i, k, q of table[activations[n, i, q]][weights[i, o, k]]`, over the channels i of o's group
/// and all taps k and positions q of the input with `q * stride + k * dilation - padding = p`, along both axes.
///
/// The zeros that a stride puts between the inputs are not multiplied, and neither is what lies outside the input: an
/// output has as many products as taps meet the input, and is 0 where none does.
///
/// `activations` holds bit patterns `[batch, in_channels, height, width]`, `weights` bit patterns
/// `[in_channels, out_channels / groups, kernel height, kernel width]`; bits above the operands' widths are ignored.
/// The result is `[batch, out_channels, output height, output width]`.
///
/// # Errors
///
/// What [`ConvTranspose2dShape::validate`] finds, and [`KernelError::Length`] where a slice does not fit the shape.
///
/// ```
/// use approx_cpu::{Accumulators, ConvTranspose2dShape, LookupTable, conv_transpose2d};
///
/// let exact: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |w| a * w)).collect();
/// let table = LookupTable::new(4, 4, &exact)?;
/// let shape = ConvTranspose2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 2], kernel: [1, 3], stride: [1, 2], dilation: [1, 1],
///     padding: [0, 0], output_padding: [0, 1],
/// };
/// let sums = conv_transpose2d(&table, &[1, 2], &[3, 4, 5], shape)?;
/// assert_eq!(sums, Accumulators::I32(vec![1 * 3, 1 * 4, 1 * 5 + 2 * 3, 2 * 4, 2 * 5, 0]));
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv_transpose2d(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: ConvTranspose2dShape,
) -> Result<Accumulators, KernelError> {
    conv_transpose2d_with(
        InstructionSet::best(),
        None,
        table,
        activations,
        weights,
        shape,
    )
}

/// The transposed convolution in real values,
/// `scale_x * scale_w[o] * (acc - z_x * sum of w - z_w[o] * sum of x + n * z_x * z_w[o])`, where the sums run over the
/// weight and activation codes whose products the accumulator has, and n is their number. The bracket is an exact
/// integer, rounded once.
///
/// Operands are as for [`conv_transpose2d`]. Codes are two's complement where their quantiser's lowest code is
/// negative.
///
/// # Errors
///
/// As [`conv_transpose2d`]; [`KernelError::Length`] also where there is neither one weight quantiser nor one per output
/// channel, [`KernelError::Quantizer`] where a quantiser yields something else than codes of the table's operands.
///
/// ```
/// use approx_cpu::quantize::ChannelQuantizer;
/// use approx_cpu::{ConvTranspose2dShape, LookupTable, ProductQuantizers, conv_transpose2d_rescaled};
///
/// let exact: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |w| a * w)).collect();
/// let table = LookupTable::new(4, 4, &exact)?;
/// let shape = ConvTranspose2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 2], kernel: [1, 3], stride: [1, 2], dilation: [1, 1],
///     padding: [0, 0], output_padding: [0, 1],
/// };
/// let quantizer = ChannelQuantizer { scale: 0.5, reciprocal: 2.0, zero_point: 1.0, low: 0.0, high: 15.0 };
/// let quantizers = ProductQuantizers { activation: quantizer, weights: &[quantizer] };
/// let values = conv_transpose2d_rescaled(&table, &[1, 2], &[3, 4, 5], quantizers, shape)?;
/// // The real activations are 0 and 0.5, the real weights 1, 1.5 and 2.
/// assert_eq!(values, [0.0, 0.0, 0.5, 0.75, 1.0, 0.0]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv_transpose2d_rescaled(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    quantizers: ProductQuantizers<'_>,
    shape: ConvTranspose2dShape,
) -> Result<Vec<f32>, KernelError> {
    let set = InstructionSet::best();
    conv_transpose2d_rescaled_with(set, None, table, activations, weights, quantizers, shape)
}

/// [`conv_transpose2d`] with a given instruction set and, if any, strategy.
pub(crate) fn conv_transpose2d_with(
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    shape: ConvTranspose2dShape,
) -> Result<Accumulators, KernelError> {
    let product = Product::new(set, strategy, table, activations, weights, shape)?;
    Ok(if product.fits_in_32_bits() {
        Accumulators::I32(product.run(None, |_, sum: i32| sum))
    } else {
        Accumulators::I64(product.run(None, |_, sum: i64| sum))
    })
}

/// [`conv_transpose2d_rescaled`] with a given instruction set and, if any, strategy.
pub(crate) fn conv_transpose2d_rescaled_with(
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    quantizers: ProductQuantizers<'_>,
    shape: ConvTranspose2dShape,
) -> Result<Vec<f32>, KernelError> {
    let product = Product::new(set, strategy, table, activations, weights, shape)?;
    let operands = quantizers.operands([table.activation_bits(), table.weight_bits()]);
    quantizers.check(operands, shape.out_channels)?;
    let channels = quantizers.channels(shape.out_channels);
    let zero_point = quantizers.activation.zero_point as i64;
    let weight_zero_points = channels.iter().map(|channel| channel.weight_zero_point);
    let weight_zero_points: Vec<i64> = weight_zero_points.collect();
    let zero_points = ZeroPoints::new(&product, operands, zero_point, &weight_zero_points);
    Ok(
        if product.fits_corrected(operands, zero_point, &weight_zero_points) {
            product.run(Some(&zero_points), |channel, sum: i32| {
                channels[channel].scale * sum.to_f32()
            })
        } else {
            product.run(Some(&zero_points), |channel, sum: i64| {
                channels[channel].scale * sum.to_f32()
            })
        },
    )
}

/// A transposed convolution by lookup.
struct Product<'a> {
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &'a LookupTable,
    activations: Cow<'a, [u8]>,
    /// The weights as `[out_channels, taps, in_channels / groups]`.
    planes: Vec<u8>,
    shape: ConvTranspose2dShape,
}

/// What zero points add to the product of every input channel, summed over them.
struct ZeroPoints {
    /// By output channel and tap.
    constants: Vec<i64>,
    /// By image, group and position of the input, to be multiplied with the channel's weight zero point and taken off;
    /// empty where these are all 0.
    activations: Vec<i64>,
    weight_zero_points: Vec<i64>,
}

impl ZeroPoints {
    fn new(
        product: &Product<'_>,
        [activation, weight]: [OperandWidth; 2],
        zero_point: i64,
        weight_zero_points: &[i64],
    ) -> Self {
        let shape = &product.shape;
        let inputs = shape.in_channels / shape.groups;
        let taps = shape.kernel[0] * shape.kernel[1];
        let mut constants = vec![0; shape.out_channels * taps];
        if zero_point != 0 && inputs != 0 {
            let codes = decoded(weight);
            constants
                .par_chunks_mut(taps)
                .zip(product.planes.par_chunks(taps * inputs))
                .zip(weight_zero_points)
                .for_each(|((constants, weights), weight_zero_point)| {
                    for (constant, weights) in constants.iter_mut().zip(weights.chunks(inputs)) {
                        let codes = weights.iter().map(|&weight| codes[usize::from(weight)]);
                        let codes: i64 = codes.sum();
                        *constant = zero_point * (inputs as i64 * weight_zero_point - codes);
                    }
                });
        }
        let mut activations = Vec::new();
        if weight_zero_points.iter().any(|&zero_point| zero_point != 0) {
            let codes = decoded(activation);
            let area = shape.input[0] * shape.input[1];
            activations = vec![0; shape.batch * shape.groups * area];
            let channels = product.activations.chunks_exact(area.max(1));
            for (channel, activations_of_channel) in channels.enumerate() {
                let group = channel / inputs.max(1);
                let sums = &mut activations[group * area..][..area];
                for (sum, &activation) in sums.iter_mut().zip(activations_of_channel) {
                    *sum += codes[usize::from(activation)];
                }
            }
        }
        ZeroPoints {
            constants,
            activations,
            weight_zero_points: weight_zero_points.to_vec(),
        }
    }
}

/// The codes that bit patterns stand for.
fn decoded(operand: OperandWidth) -> [i64; CODES] {
    std::array::from_fn(|pattern| operand.code(pattern as u16).into())
}

/// What is computed together: some images and output channels, the latter of one group.
struct Piece<'a, T> {
    images: Range<usize>,
    channels: Range<usize>,
    /// The output's planes, `[images, channels]`.
    planes: Vec<&'a mut [T]>,
}

impl<'a> Product<'a> {
    fn new(
        set: InstructionSet,
        strategy: Option<Strategy>,
        table: &'a LookupTable,
        activations: &'a [u8],
        weights: &'a [u8],
        shape: ConvTranspose2dShape,
    ) -> Result<Self, KernelError> {
        shape.validate()?;
        check_length("activations", shape.input_length(), activations.len())?;
        check_length("weights", shape.weight_length(), weights.len())?;
        let weights = masked(weights, table.weight_mask());
        let inputs = shape.in_channels / shape.groups;
        let mut planes = vec![0; weights.len()];
        if !planes.is_empty() {
            let of_group = weights.len() / shape.groups;
            let groups = planes.par_chunks_exact_mut(of_group);
            groups
                .zip(weights.par_chunks_exact(of_group))
                .for_each(|(to, from)| {
                    transpose(from, to, inputs, of_group / inputs);
                });
        }
        Ok(Product {
            set,
            strategy,
            table,
            activations: masked(activations, table.activation_mask()),
            planes,
            shape,
        })
    }

    fn taps(&self) -> usize {
        self.shape.kernel[0] * self.shape.kernel[1]
    }

    /// Positions of the input.
    fn positions(&self) -> usize {
        self.shape.input[0] * self.shape.input[1]
    }

    /// Whether no sum can leave 32 bits.
    fn fits_in_32_bits(&self) -> bool {
        let shape = &self.shape;
        let inner = shape.inner();
        // An output's taps are among those of one residue.
        let residue = |tap: usize, axis: usize| tap * shape.dilation[axis] % shape.stride[axis];
        let of_tap = |tap: usize| {
            let (row, column) = (tap / shape.kernel[1], tap % shape.kernel[1]);
            [residue(row, 0), residue(column, 1)]
        };
        let taps = self.taps();
        let largest_sums = (0..shape.out_channels * taps).map(|index| {
            let (channel, tap) = (index / taps, index % taps);
            let inputs = shape.in_channels / shape.groups;
            let alike = (0..taps).filter(|&other| of_tap(other) == of_tap(tap));
            let weights =
                alike.flat_map(|tap| &self.planes[(channel * taps + tap) * inputs..][..inputs]);
            weights.fold(0, |bound, &weight| add_bound(bound, self.table, weight))
        });
        fit_in_32_bits(self.table, inner, largest_sums)
    }

    /// Whether no sum can leave 32 bits when it is corrected for zero points.
    fn fits_corrected(
        &self,
        operands: [OperandWidth; 2],
        zero_point: i64,
        weight_zero_points: &[i64],
    ) -> bool {
        let largest_zero_point = weight_zero_points
            .iter()
            .map(|zero_point| zero_point.unsigned_abs());
        let weight_zero_point = u128::from(largest_zero_point.max().unwrap_or(0));
        let [activation, weight] = operands.map(|operand| operand.patterns() as u128);
        let product = u128::from(self.table.max_abs())
            + u128::from(zero_point.unsigned_abs()) * (weight_zero_point + weight)
            + weight_zero_point * activation;
        self.shape.inner() as u128 * product <= i32::MAX as u128
    }

    /// The outputs: what `finish` makes of every sum, given its output channel.
    fn run<T: Accumulator, O: Copy + Default + Send + Sync>(
        &self,
        zero_points: Option<&ZeroPoints>,
        finish: impl Fn(usize, T) -> O + Sync,
    ) -> Vec<O> {
        let shape = &self.shape;
        let [height, width] = shape.output();
        let plane = height * width;
        let mut output = vec![O::default(); shape.batch * shape.out_channels * plane];
        if output.is_empty() {
            return output;
        }
        let outputs = shape.out_channels / shape.groups;
        let strategy = self.strategy.unwrap_or_else(|| {
            let (planes, positions) = (outputs * self.taps(), shape.batch * self.positions());
            cheapest(planes, positions, self.set, self.table.is_narrow(), T::WIDE).0
        });
        let axes = [0, 1].map(|axis| AxisTap::all(shape, axis));
        self.pieces(strategy, size_of::<T>(), &mut output)
            .into_par_iter()
            .for_each(|mut piece| {
                let sums: Vec<T> = self.sums(strategy, &piece);
                let sums_of_plane = self.taps() * self.positions();
                let channels = piece.channels.len();
                piece
                    .planes
                    .par_iter_mut()
                    .enumerate()
                    .for_each(|(index, plane)| {
                        let image = piece.images.start + index / channels;
                        let channel = piece.channels.start + index % channels;
                        let sums = &sums[index * sums_of_plane..][..sums_of_plane];
                        let finish = |sum| finish(channel, sum);
                        self.add_up(&axes, [image, channel], sums, zero_points, finish, plane);
                    });
            });
        output
    }
}

impl Product<'_> {
    /// The sums over the input channels, `[images, channels, taps, positions of the input]`.
    fn sums<T: Accumulator, O>(&self, strategy: Strategy, piece: &Piece<'_, O>) -> Vec<T> {
        let shape = &self.shape;
        let positions = self.positions();
        let inputs = shape.in_channels / shape.groups;
        let image = shape.in_channels * positions;
        let group = piece.channels.start / (shape.out_channels / shape.groups);
        let first = piece.images.start * image + group * inputs * positions;
        let end = piece.images.end * image;
        let of_channel = self.taps() * inputs;
        let offsets: Vec<usize> = (0..inputs).map(|channel| channel * positions).collect();
        let problem = Problem {
            images: piece.images.len(),
            groups: 1,
            planes: piece.channels.len() * self.taps(),
            inner: inputs,
            plane_codes: &self.planes
                [piece.channels.start * of_channel..piece.channels.end * of_channel],
            position_codes: &self.activations[first.min(end)..end],
            image_stride: image,
            group_stride: 0,
            offsets: &offsets,
            segments: &[Segment {
                start: 0,
                length: positions,
            }],
            lines_by_plane: self.table.by_weight(),
            lines_by_position: self.table.by_activation(),
        };
        problem.solve(self.table, self.set, Some(strategy))
    }

    /// Cuts the output into pieces whose sums, of so many bytes each, stay in cache if that costs nothing: along the
    /// lanes, and along a stream that is cut anyhow.
    fn pieces<'o, O>(
        &self,
        strategy: Strategy,
        sum: usize,
        output: &'o mut [O],
    ) -> Vec<Piece<'o, O>> {
        /// Half of the second-level cache.
        const BYTES: usize = 1 << 19;
        let shape = &self.shape;
        let outputs = shape.out_channels / shape.groups;
        let positions = self.positions().max(1);
        let of_plane = positions * self.taps() * sum;
        let (images, channels) = match strategy.streamed {
            Side::Positions => {
                let images = (TILE / positions).clamp(1, shape.batch);
                let lanes = NARROW_LANES.div_ceil(self.taps());
                (images, (BYTES / (images * of_plane)).max(lanes))
            }
            Side::Planes => (
                (BYTES / (outputs * of_plane)).clamp(1, shape.batch),
                outputs,
            ),
        };
        let channels = channels.min(outputs);
        let pieces_of_group = outputs.div_ceil(channels);
        let of_images = shape.groups * pieces_of_group;
        let pieces = 0..shape.batch.div_ceil(images) * of_images;
        let mut pieces: Vec<Piece<'o, O>> = pieces
            .map(|index| {
                let first = index / of_images * images;
                let (group, part) = (index % of_images / pieces_of_group, index % pieces_of_group);
                let channel = |part: usize| group * outputs + outputs.min(part * channels);
                Piece {
                    images: first..shape.batch.min(first + images),
                    channels: channel(part)..channel(part + 1),
                    planes: Vec::new(),
                }
            })
            .collect();
        let plane = shape.output()[0] * shape.output()[1];
        for (index, plane) in output.chunks_exact_mut(plane).enumerate() {
            let (image, channel) = (index / shape.out_channels, index % shape.out_channels);
            let part = channel / outputs * pieces_of_group + channel % outputs / channels;
            pieces[image / images * of_images + part].planes.push(plane);
        }
        pieces
    }

    /// Writes the output's plane of an image and an output channel, `sums` being those of its taps.
    fn add_up<T: Accumulator, O: Copy>(
        &self,
        axes: &[Vec<AxisTap>; 2],
        [image, channel]: [usize; 2],
        sums: &[T],
        zero_points: Option<&ZeroPoints>,
        finish: impl Fn(T) -> O,
        output: &mut [O],
    ) {
        let shape = &self.shape;
        let [row_stride, stride] = shape.stride;
        let width = shape.output()[1];
        let input_width = shape.input[1];
        let positions = self.positions();
        let taps = self.taps();
        // The activations' codes times the weights' zero point.
        let mut activations = Vec::new();
        let mut constants = [].as_slice();
        if let Some(zero_points) = zero_points {
            constants = &zero_points.constants[channel * taps..][..taps];
            if !zero_points.activations.is_empty() {
                let group = image * shape.groups + channel / (shape.out_channels / shape.groups);
                let factor = zero_points.weight_zero_points[channel].wrapping_neg();
                let of_group = &zero_points.activations[group * positions..][..positions];
                let corrections = of_group
                    .iter()
                    .map(|sum| T::from_i64(factor.wrapping_mul(*sum)));
                activations = corrections.collect();
            }
        }
        let places = width.div_ceil(stride);
        let mut line = vec![T::default(); places * stride];
        for (y, output) in output.chunks_exact_mut(width).enumerate() {
            line.fill(T::default());
            for (row, row_tap) in axes[0].iter().enumerate() {
                let Some(input_row) = row_tap.input(y, row_stride) else {
                    continue;
                };
                for (column, tap) in axes[1].iter().enumerate() {
                    let index = row * axes[1].len() + column;
                    let from = input_row * input_width + tap.first;
                    let sums = &sums[index * positions + from..][..tap.length];
                    let constant = constants
                        .get(index)
                        .map_or(T::default(), |&sum| T::from_i64(sum));
                    let line = &mut line[tap.phase * places + tap.place..][..tap.length];
                    add(self.set, constant, sums, line);
                    if !activations.is_empty() {
                        add(
                            self.set,
                            T::default(),
                            &activations[from..][..tap.length],
                            line,
                        );
                    }
                }
            }
            finish_line(&line, stride, &finish, output);
        }
    }
}

/// Where the products of one tap go along an axis.
#[derive(Debug, Clone, Copy)]
struct AxisTap {
    /// The remainder of its outputs modulo the stride.
    phase: usize,
    /// The first of them, counted among those with this remainder, and the input's position that it has.
    place: usize,
    first: usize,
    length: usize,
}

impl AxisTap {
    /// All taps of a valid shape along an axis.
    fn all(shape: &ConvTranspose2dShape, axis: usize) -> Vec<Self> {
        let (stride, cropped) = (shape.stride[axis], shape.padding[axis]);
        let (output, input) = (shape.output()[axis], shape.input[axis]);
        let tap = |tap: usize| {
            let distance = tap * shape.dilation[axis];
            let phase = (distance % stride + stride - cropped % stride) % stride;
            // The output at place p of the phase has the input's position p + (phase + cropped - distance) / stride.
            let first = (phase + cropped).saturating_sub(distance) / stride;
            let place = distance.saturating_sub(phase + cropped) / stride;
            let places = output.saturating_sub(phase).div_ceil(stride);
            AxisTap {
                phase,
                place: place.min(places),
                first: first.min(input),
                length: places
                    .saturating_sub(place)
                    .min(input.saturating_sub(first)),
            }
        };
        (0..shape.kernel[axis]).map(tap).collect()
    }

    /// The input's position that an output has, if there is one.
    fn input(&self, output: usize, stride: usize) -> Option<usize> {
        let place = (output / stride).checked_sub(self.place)?;
        (output % stride == self.phase && place < self.length).then(|| self.first + place)
    }
}

compiled_for_every_set! {
    /// Adds to every sum another one and a constant.
    fn add<T: Accumulator>(set, constant: T, others: &[T], sums: &mut [T]) {
        for (sum, &other) in sums.iter_mut().zip(others) {
            *sum = sum.plus(other).plus(constant);
        }
    }
}

/// Writes what `finish` makes of the sums of a row, which come one phase after the other.
#[inline(always)]
fn finish_line<T: Copy, O>(sums: &[T], stride: usize, finish: impl Fn(T) -> O, output: &mut [O]) {
    for (phase, sums) in sums.chunks_exact(sums.len() / stride).enumerate() {
        for (output, &sum) in output.iter_mut().skip(phase).step_by(stride).zip(sums) {
            *output = finish(sum);
        }
    }
}
