//! Phases of a transposed convolution, each an ordinary convolution with some of the kernel's taps.

use std::ops::Range;

use crate::shapes::{Conv2dShape, ConvTranspose2dShape, Padding2d};

/// The taps of a kernel that meet one phase of the output along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AxisTaps {
    /// The first of them in the kernel, which no other phase has.
    first: usize,
    /// From one to the next.
    step: usize,
    /// Their number, at least 1.
    pub(crate) count: usize,
}

impl AxisTaps {
    /// The taps of every phase that has any.
    fn all(kernel: usize, stride: usize, dilation: usize) -> impl Iterator<Item = AxisTaps> {
        let step = stride / greatest_common_divisor(stride, dilation);
        (0..step.min(kernel)).map(move |first| AxisTaps {
            first,
            step,
            count: (kernel - first).div_ceil(step),
        })
    }

    /// The taps in the order in which an ordinary convolution has them: the last one first.
    fn reversed(self) -> impl Iterator<Item = usize> {
        (0..self.count)
            .rev()
            .map(move |place| self.first + place * self.step)
    }
}

/// The taps of a kernel that meet one phase of the output, along both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TapSet {
    pub(crate) axes: [AxisTaps; 2],
}

/// The taps of every phase of a valid shape that has any.
pub(crate) fn tap_sets(shape: &ConvTranspose2dShape) -> Vec<TapSet> {
    let [rows, columns] = [0, 1]
        .map(|axis| AxisTaps::all(shape.kernel[axis], shape.stride[axis], shape.dilation[axis]));
    let columns: Vec<AxisTaps> = columns.collect();
    rows.flat_map(|rows| {
        let columns = columns.iter();
        columns.map(move |&columns| TapSet {
            axes: [rows, columns],
        })
    })
    .collect()
}

impl TapSet {
    /// The sides of the ordinary convolution's kernel.
    pub(crate) fn kernel(&self) -> [usize; 2] {
        self.axes.map(|taps| taps.count)
    }

    /// The weights of these taps as an ordinary convolution has them,
    /// `[out_channels, in_channels / groups, rows, columns]`; `weight` gets the position of one in
    /// `[in_channels, out_channels / groups, kernel height, kernel width]`.
    pub(crate) fn weights<T>(
        &self,
        shape: &ConvTranspose2dShape,
        weight: impl Fn(usize) -> T,
    ) -> Vec<T> {
        let [inputs, outputs] =
            [shape.in_channels, shape.out_channels].map(|channels| channels / shape.groups);
        let [kernel_height, kernel_width] = shape.kernel;
        let [rows, columns] = self.kernel();
        let mut weights = Vec::with_capacity(shape.out_channels * inputs * rows * columns);
        for output in 0..shape.out_channels {
            let (group, output) = (output / outputs, output % outputs);
            for input in group * inputs..(group + 1) * inputs {
                let first = (input * outputs + output) * kernel_height;
                for row in self.axes[0].reversed() {
                    let first = (first + row) * kernel_width;
                    weights.extend(self.axes[1].reversed().map(|tap| weight(first + tap)));
                }
            }
        }
        weights
    }
}

/// One phase along one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AxisPhase {
    pub(crate) taps: AxisTaps,
    /// Positions of the input.
    input: usize,
    /// Distance in the input between neighbouring taps.
    dilation: usize,
    /// Padding before and after the input.
    padding: [usize; 2],
    /// Which outputs of the ordinary convolution belong to the transposed one.
    pub(crate) kept: Range<usize>,
    /// Where in the output the first of them is.
    pub(crate) first: usize,
}

impl AxisPhase {
    /// The phase along an axis of a valid shape; none if no output belongs to it.
    fn new(shape: &ConvTranspose2dShape, axis: usize, taps: AxisTaps) -> Option<Self> {
        let (stride, cropped) = (shape.stride[axis], shape.padding[axis]);
        let dilation = taps.step * shape.dilation[axis] / stride;
        // Before cropping, output `place` of the phase is at `place * stride + remainder`, and the tap at index i of
        // those reversed is at position `place - left + i * dilation` of the input.
        let distance = taps.first * shape.dilation[axis];
        let remainder = distance % stride;
        let left = distance / stride + (taps.count - 1) * dilation;
        let place = |position: usize| position.saturating_sub(remainder).div_ceil(stride);
        let (start, end) = (place(cropped), place(cropped + shape.output()[axis]));
        if start >= end {
            return None;
        }
        // An ordinary convolution has no negative padding: it computes some outputs more, which are dropped.
        let computed = start.min(left);
        let before = left - computed;
        let input = shape.input[axis];
        let reach = (taps.count - 1) * dilation;
        let after = (end - computed + reach).saturating_sub(input + before);
        Some(AxisPhase {
            taps,
            input,
            dilation,
            padding: [before, after],
            kept: start - computed..end - computed,
            first: start * stride + remainder - cropped,
        })
    }

    /// Which of the taps meet the input, for every output of the ordinary convolution.
    pub(crate) fn inside(&self) -> impl Iterator<Item = Range<usize>> {
        let (input, dilation, taps) = (self.input, self.dilation, self.taps.count);
        let [before, after] = self.padding;
        (0..input + before + after - (taps - 1) * dilation).map(move |position| {
            let end = (input + before).saturating_sub(position);
            let end = end.div_ceil(dilation).min(taps);
            let first = before.saturating_sub(position).div_ceil(dilation);
            first.min(end)..end
        })
    }
}

/// One phase of a transposed convolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) axes: [AxisPhase; 2],
    /// The ordinary convolution, of all images.
    pub(crate) convolution: Conv2dShape,
    /// Which of [`tap_sets`] it has.
    pub(crate) tap_set: usize,
}

impl Phase {
    /// The ordinary convolution of some images.
    pub(crate) fn convolution_of(&self, images: usize) -> Conv2dShape {
        Conv2dShape {
            batch: images,
            ..self.convolution
        }
    }
}

/// The phases of a valid shape that have taps and outputs, those of the same rows of the output together.
pub(crate) fn phases(shape: &ConvTranspose2dShape, tap_sets: &[TapSet]) -> Vec<Vec<Phase>> {
    let mut all: Vec<Vec<Phase>> = Vec::new();
    for (tap_set, taps) in tap_sets.iter().enumerate() {
        let axes = [0, 1].map(|axis| AxisPhase::new(shape, axis, taps.axes[axis]));
        let [Some(rows), Some(columns)] = axes else {
            continue;
        };
        let convolution = Conv2dShape {
            batch: shape.batch,
            in_channels: shape.in_channels,
            out_channels: shape.out_channels,
            groups: shape.groups,
            input: shape.input,
            kernel: taps.kernel(),
            stride: [1, 1],
            dilation: [rows.dilation, columns.dilation],
            padding: Padding2d {
                top: rows.padding[0],
                bottom: rows.padding[1],
                left: columns.padding[0],
                right: columns.padding[1],
            },
        };
        let phase = Phase {
            axes: [rows, columns],
            convolution,
            tap_set,
        };
        match all.last_mut() {
            Some(neighbours) if neighbours[0].axes[0] == phase.axes[0] => neighbours.push(phase),
            _ => all.push(vec![phase]),
        }
    }
    for neighbours in &mut all {
        neighbours.sort_by_key(|phase| phase.axes[1].first);
    }
    all
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
