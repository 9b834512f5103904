//! Gradients of depthwise convolutions whose planes have rows long enough to fill vectors.
//!
//! One plane at a time is copied into a buffer with a border of zeros, and with strides such that positions which a
//! tap meets one after the other lie side by side: every tap then is a fixed distance into the buffer, for the whole
//! plane, whose rows and the border between them are one run of vectors. Nothing else than what is written to the
//! border's places of that run is computed for nothing.
//!
//! Elements of the border meet operands, with a product of 0. So an infinity or a NaN may reach more results than the
//! formula says.

use std::ops::Range;

use super::floats::{Floats, at, at_mut, copy_row, copy_strided, load, splat, store, sum};
use super::{Sizes, in_parts_of_the_batch, run_tasks};
use crate::arch::{InstructionSet, Instructions, Kernel, LANES};
use crate::axis::Axis;
use crate::shapes::Conv2dShape;

/// [`activation_gradient`](super::activation_gradient) of a shape whose input is not empty.
pub(super) fn activation_gradient(
    set: InstructionSet,
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let sizes = Sizes::new(shape);
    let layout = Spread::new(shape, sizes);
    let weights = sizes.multiplier * sizes.taps;
    let gradients = sizes.multiplier * sizes.output;
    let tasks = to.chunks_exact_mut(sizes.input).enumerate().collect();
    run_tasks(
        tasks,
        sizes.elements(),
        || layout.scratch(),
        |scratch, (plane, to): (usize, &mut [f32])| {
            let pass = SpreadPlane {
                layout: &layout,
                weights: &weight[plane % shape.in_channels * weights..][..weights],
                gradient: &gradient[plane * gradients..][..gradients],
                scratch,
            };
            set.run(pass, to);
        },
    );
}

/// One axis of an activation's gradient. Positions count from the padding's start; those which leave the same
/// remainder modulo the stride form a phase, and meet the same taps: `position = stride * place + phase` has the
/// output `place - distance` under each of them.
struct SpreadAxis {
    stride: usize,
    padding: usize,
    /// The first place that is in the input.
    first: usize,
    /// Places from there to the last one in the input.
    places: usize,
    /// For every tap, its phase and its distance.
    taps: Vec<(usize, usize)>,
    /// The greatest distance.
    reach: usize,
    /// Outputs that places of the input meet.
    outputs: Range<usize>,
}

impl SpreadAxis {
    fn new(shape: &Conv2dShape, axis: usize) -> Self {
        let stride = shape.stride[axis];
        let padding = [shape.padding.top, shape.padding.left][axis];
        let output = shape.output()[axis];
        let Axis { phases, taps, .. } =
            Axis::new(shape.kernel[axis], stride, shape.dilation[axis], output);
        let taps: Vec<(usize, usize)> = taps
            .into_iter()
            .map(|(phase, distance)| (phases[phase], distance))
            .collect();
        let reach = taps
            .iter()
            .map(|&(_, distance)| distance)
            .max()
            .unwrap_or(0);
        let first = padding / stride;
        let places = (shape.input[axis] - 1 + padding) / stride - first + 1;
        let start = first.saturating_sub(reach);
        SpreadAxis {
            stride,
            padding,
            first,
            places,
            taps,
            reach,
            outputs: start..output.min(first + places).max(start),
        }
    }

    /// The buffer's length along the axis.
    fn length(&self) -> usize {
        self.places + self.reach
    }

    /// Where the first of [`outputs`](Self::outputs) is in the buffer.
    fn start(&self) -> usize {
        self.outputs.start + self.reach - self.first
    }

    /// The phase of a position of the input and its place among those that are computed.
    fn place(&self, position: usize) -> (usize, usize) {
        let position = position + self.padding;
        (position % self.stride, position / self.stride - self.first)
    }
}

/// Where everything is for the gradient of one plane of activations.
struct Spread {
    sizes: Sizes,
    input: [usize; 2],
    output: [usize; 2],
    axes: [SpreadAxis; 2],
    /// For every phase, row phase after row phase, the taps that meet it: the place of the first vector's element in
    /// the buffer and the weight.
    phases: Vec<Vec<(usize, usize)>>,
    /// Where every vector is in the buffer, and where its sums go.
    vectors: Vec<(usize, usize)>,
    /// The sums of a phase; none if they go to where they belong at once.
    sums: usize,
}

/// Vectors that are computed together: as many as share the work for every tap, and fit in registers.
const TOGETHER: usize = 4;

impl Spread {
    fn new(shape: &Conv2dShape, sizes: Sizes) -> Self {
        let axes = [0, 1].map(|axis| SpreadAxis::new(shape, axis));
        let [rows, columns] = &axes;
        let pitch = columns.length();
        let plane = rows.length() * pitch;
        let mut phases = vec![Vec::new(); rows.stride * columns.stride];
        for output in 0..sizes.multiplier {
            for (y, &(row_phase, row)) in rows.taps.iter().enumerate() {
                for (x, &(column_phase, column)) in columns.taps.iter().enumerate() {
                    let place =
                        output * plane + (rows.reach - row) * pitch + columns.reach - column;
                    let weight = output * sizes.taps + y * columns.taps.len() + x;
                    phases[row_phase * columns.stride + column_phase].push((place, weight));
                }
            }
        }
        let width = columns.places;
        let length = (rows.places - 1) * pitch + width;
        // Rows of vectors are written in place, the last vector over some of the one before; others are one run.
        let in_place = phases.len() == 1 && width >= LANES;
        let (vectors, sums): (Vec<_>, usize) = if in_place {
            let starts = (0..width).step_by(LANES).map(|x| x.min(width - LANES));
            let row = |y: usize| starts.clone().map(move |x| (y * pitch + x, y * width + x));
            ((0..rows.places).flat_map(row).collect(), 0)
        } else {
            let starts = (0..length).step_by(LANES).map(|start| (start, start));
            (starts.collect(), length.next_multiple_of(LANES))
        };
        Spread {
            sizes,
            input: shape.input,
            output: shape.output(),
            axes,
            phases,
            vectors,
            sums,
        }
    }

    fn scratch(&self) -> SpreadScratch {
        let planes = self.sizes.multiplier * self.axes[0].length() * self.axes[1].length();
        SpreadScratch {
            padded: vec![0.0; planes + LANES],
            sums: vec![0.0; self.phases.len() * self.sums],
        }
    }
}

/// What one thread works in.
struct SpreadScratch {
    /// The gradients of the output channels in a border of zeros, which are never written.
    padded: Vec<f32>,
    /// The sums of every phase.
    sums: Vec<f32>,
}

/// Computes the gradient of one plane of activations.
struct SpreadPlane<'a> {
    layout: &'a Spread,
    weights: &'a [f32],
    gradient: &'a [f32],
    scratch: &'a mut SpreadScratch,
}

impl Kernel for SpreadPlane<'_> {
    type Target = [f32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [f32]) {
        let SpreadPlane {
            layout,
            weights,
            gradient,
            scratch,
        } = self;
        layout.pad(gradient, &mut scratch.padded);
        let padded = &scratch.padded[..];
        let in_place = layout.sums == 0;
        for (phase, taps) in layout.phases.iter().enumerate() {
            let to = match in_place {
                true => &mut *to,
                false => &mut scratch.sums[phase * layout.sums..][..layout.sums],
            };
            let (groups, rest) = layout.vectors.as_chunks::<TOGETHER>();
            for vectors in groups {
                add_up(instructions, padded, taps, weights, vectors, to);
            }
            for vector in rest {
                add_up(instructions, padded, taps, weights, &[*vector], to);
            }
        }
        if !in_place {
            layout.interleave(&scratch.sums, to);
        }
    }
}

/// Writes the sums of products over all taps, of some vectors at once.
#[inline(always)]
fn add_up<I: Instructions, const VECTORS: usize>(
    instructions: I,
    padded: &[f32],
    taps: &[(usize, usize)],
    weights: &[f32],
    vectors: &[(usize, usize); VECTORS],
    to: &mut [f32],
) {
    let mut sums = [splat(instructions, 0.0); VECTORS];
    for &(tap, weight) in taps {
        let weight = splat(instructions, weights[weight]);
        for (sums, &(from, _)) in sums.iter_mut().zip(vectors) {
            let elements = load(instructions, at(padded, from + tap));
            *sums = instructions.add_float_products(*sums, elements, weight);
        }
    }
    for (sums, &(_, place)) in sums.into_iter().zip(vectors) {
        store(instructions, sums, at_mut(to, place));
    }
}

impl Spread {
    /// Copies gradients of the outputs into the border.
    #[inline(always)]
    fn pad(&self, gradient: &[f32], padded: &mut [f32]) {
        let [height, width] = self.output;
        let [rows, columns] = &self.axes;
        let pitch = columns.length();
        let length = columns.outputs.len();
        if length == 0 {
            return;
        }
        for output in 0..self.sizes.multiplier {
            for (row, y) in rows.outputs.clone().enumerate() {
                let row = output * rows.length() + rows.start() + row;
                let from = (output * height + y) * width + columns.outputs.start;
                let to = &mut padded[row * pitch + columns.start()..][..length];
                copy_row(to, &gradient[from..][..length]);
            }
        }
    }

    /// Puts the sums of all phases where they belong.
    #[inline(always)]
    fn interleave(&self, sums: &[f32], to: &mut [f32]) {
        let [rows, columns] = &self.axes;
        let pitch = columns.length();
        let width = self.input[1];
        for (y, to) in to.chunks_exact_mut(width).enumerate() {
            let (phase, row) = rows.place(y);
            let values = |x: usize| {
                let (column_phase, place) = columns.place(x);
                let phase = phase * columns.stride + column_phase;
                &sums[phase * self.sums + row * pitch + place..]
                    [..(width - x).div_ceil(columns.stride)]
            };
            match columns.stride {
                1 => copy_row(to, values(0)),
                2 if width > 1 => {
                    let (even, odd) = (values(0), values(1));
                    let (pairs, last) = to.as_chunks_mut::<2>();
                    for ((pair, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
                        *pair = [*even, *odd];
                    }
                    if let [last] = last {
                        *last = even[even.len() - 1];
                    }
                }
                stride => {
                    for x in 0..stride.min(width) {
                        let to = to[x..].iter_mut().step_by(stride);
                        to.zip(values(x)).for_each(|(to, value)| *to = *value);
                    }
                }
            }
        }
    }
}

/// [`weight_gradient`](super::weight_gradient) of a shape whose input is not empty.
pub(super) fn weight_gradient(
    set: InstructionSet,
    shape: &Conv2dShape,
    activation: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let sizes = Sizes::new(shape);
    if sizes.multiplier == 0 {
        return;
    }
    let layout = Windows::new(shape, sizes);
    let weights = sizes.multiplier * sizes.taps;
    in_parts_of_the_batch(shape.batch, shape.in_channels, to, |parts| {
        let images = parts[0].0.len();
        let tasks = parts.into_iter().flat_map(|(images, to)| {
            let channels = to.chunks_exact_mut(weights).enumerate();
            channels.map(move |(channel, to)| (images.clone(), channel, to))
        });
        run_tasks(
            tasks.collect(),
            images * sizes.elements(),
            || layout.scratch(),
            |scratch, (images, channel, to): (Range<usize>, usize, &mut [f32])| {
                let pass = WindowPlanes {
                    layout: &layout,
                    activation,
                    gradient,
                    images,
                    channel,
                    scratch,
                };
                set.run(pass, to);
            },
        );
    });
}

/// Where everything is for the gradient of one channel's weights.
struct Windows {
    sizes: Sizes,
    shape: Conv2dShape,
    output: [usize; 2],
    axes: [Axis; 2],
    /// For every tap, where in the buffer the activation of the first output is.
    taps: Vec<usize>,
    /// Vectors of a plane of outputs.
    vectors: usize,
}

/// Taps whose sums are in registers at once.
const TAPS: usize = 9;

impl Windows {
    fn new(shape: &Conv2dShape, sizes: Sizes) -> Self {
        let output = shape.output();
        let axes = [0, 1].map(|axis| {
            let (kernel, stride, dilation) =
                (shape.kernel[axis], shape.stride[axis], shape.dilation[axis]);
            Axis::new(kernel, stride, dilation, output[axis])
        });
        let [rows, columns] = &axes;
        let pitch = columns.length;
        let mut taps = Vec::with_capacity(sizes.taps);
        for &(row_phase, row) in &rows.taps {
            for &(column_phase, column) in &columns.taps {
                let plane = row_phase * columns.phases.len() + column_phase;
                taps.push((plane * rows.length + row) * pitch + column);
            }
        }
        let length = (output[0] - 1) * pitch + output[1];
        Windows {
            sizes,
            shape: *shape,
            output,
            taps,
            vectors: length.div_ceil(LANES),
            axes,
        }
    }

    fn scratch(&self) -> WindowScratch {
        let [rows, columns] = &self.axes;
        let planes = rows.phases.len() * columns.phases.len();
        WindowScratch {
            activation: vec![0.0; planes * rows.length * columns.length + LANES],
            gradient: vec![0.0; self.vectors * LANES],
            totals: vec![[0.0; LANES]; self.sizes.multiplier * self.sizes.taps],
        }
    }
}

/// What one thread works in.
struct WindowScratch {
    /// A plane of activations by phases, in a border of zeros that is never written.
    activation: Vec<f32>,
    /// A plane of gradients in rows as long as those of activations, with zeros in between.
    gradient: Vec<f32>,
    /// The sums of every weight over the images so far. Those of an image are summed apart, so that rounding errors do
    /// not grow with the batch, and lanes are added to each other only once.
    totals: Vec<Floats>,
}

/// Computes the gradient of one channel's weights from some images.
struct WindowPlanes<'a> {
    layout: &'a Windows,
    activation: &'a [f32],
    gradient: &'a [f32],
    images: Range<usize>,
    channel: usize,
    scratch: &'a mut WindowScratch,
}

impl Kernel for WindowPlanes<'_> {
    type Target = [f32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [f32]) {
        let WindowPlanes {
            layout,
            activation,
            gradient,
            images,
            channel,
            scratch,
        } = self;
        let Sizes {
            multiplier,
            input,
            output,
            taps,
        } = layout.sizes;
        scratch.totals.fill([0.0; LANES]);
        for image in images {
            let plane = image * layout.shape.in_channels + channel;
            layout.pad(
                &activation[plane * input..][..input],
                &mut scratch.activation,
            );
            let gradients = &gradient[plane * multiplier * output..][..multiplier * output];
            for (gradient, totals) in gradients
                .chunks_exact(output)
                .zip(scratch.totals.chunks_exact_mut(taps))
            {
                layout.space(gradient, &mut scratch.gradient);
                let activation = &scratch.activation[..];
                let gradient = scratch.gradient.as_chunks().0;
                for (taps, to) in layout.taps.chunks(TAPS).zip(totals.chunks_mut(TAPS)) {
                    match taps.len() {
                        ..=3 => add_products::<I, 3>(instructions, activation, gradient, taps, to),
                        _ => add_products::<I, TAPS>(instructions, activation, gradient, taps, to),
                    }
                }
            }
        }
        for (to, total) in to.iter_mut().zip(&scratch.totals) {
            *to = sum(total);
        }
    }
}

/// Adds to every tap's lanes the sums of its products with a plane of gradients. There are up to `TAPS` taps.
#[inline(always)]
fn add_products<I: Instructions, const TAPS: usize>(
    instructions: I,
    activation: &[f32],
    gradient: &[Floats],
    taps: &[usize],
    to: &mut [Floats],
) {
    // Where there are fewer taps, the last one is computed again.
    let sources: [&[Floats]; TAPS] = std::array::from_fn(|tap| {
        let tap = taps[tap.min(taps.len() - 1)];
        &activation[tap..].as_chunks().0[..gradient.len()]
    });
    let mut sums = [splat(instructions, 0.0); TAPS];
    for (vector, gradient) in gradient.iter().enumerate() {
        let gradient = load(instructions, gradient);
        for (sums, source) in sums.iter_mut().zip(sources) {
            let elements = load(instructions, &source[vector]);
            *sums = instructions.add_float_products(*sums, elements, gradient);
        }
    }
    let one = splat(instructions, 1.0);
    for (to, sums) in to.iter_mut().zip(sums) {
        let total = load(instructions, to);
        store(
            instructions,
            instructions.add_float_products(total, sums, one),
            to,
        );
    }
}

impl Windows {
    /// Copies a plane of activations into the border.
    #[inline(always)]
    fn pad(&self, plane: &[f32], padded: &mut [f32]) {
        let [height, width] = self.shape.input;
        let [row_stride, stride] = self.shape.stride;
        let [rows, columns] = &self.axes;
        let padding = self.shape.padding;
        for (row_index, &row_phase) in rows.phases.iter().enumerate() {
            let row = rows.inside(row_phase, padding.top, height);
            for (column_index, &column_phase) in columns.phases.iter().enumerate() {
                let column = columns.inside(column_phase, padding.left, width);
                let plane_index = row_index * columns.phases.len() + column_index;
                for y in 0..row.length {
                    let from = (row.first + y * row_stride) * width + column.first;
                    let to = (plane_index * rows.length + row.place + y) * columns.length;
                    let to = &mut padded[to + column.place..][..column.length];
                    let end = (column.length * stride).min(width - column.first);
                    copy_strided(to, &plane[from..][..end], stride);
                }
            }
        }
    }

    /// Copies a plane of gradients into rows as long as those of the activations.
    #[inline(always)]
    fn space(&self, plane: &[f32], spaced: &mut [f32]) {
        let [_, width] = self.output;
        let pitch = self.axes[1].length;
        for (y, row) in plane.chunks_exact(width).enumerate() {
            copy_row(&mut spaced[y * pitch..][..width], row);
        }
    }
}
