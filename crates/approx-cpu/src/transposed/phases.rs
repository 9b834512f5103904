//! Phases: outputs that have the same taps, and where they go.
//!
//! Outputs of a transposed convolution whose positions (before cropping) leave the same remainder modulo the stride
//! form a phase. All phases look at the input through one window, which moves by one position from one output of a
//! phase to the next; each has weights for some of the window's taps. So the input is laid out once for all of them.
//! The outputs of an ordinary convolution are one phase, which has all taps of the window.

use std::ops::Range;

use crate::shapes::{Conv2dShape, ConvTranspose2dShape, Padding2d, greatest_common_divisor};

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

    /// The taps, counted over a kernel of a width, in the order in which an ordinary convolution has them.
    pub(crate) fn taps(&self, kernel_width: usize) -> impl Iterator<Item = usize> {
        let [rows, columns] = self.axes;
        rows.reversed().flat_map(move |row| {
            columns
                .reversed()
                .map(move |column| row * kernel_width + column)
        })
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

/// The taps of the window that one phase has along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WindowTaps {
    /// The first of them.
    pub(crate) first: usize,
    /// From one to the next.
    pub(crate) step: usize,
    pub(crate) count: usize,
}

impl WindowTaps {
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> + Clone {
        (0..self.count).map(move |place| self.first + place * self.step)
    }
}

/// One phase of the outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phase {
    /// Its first output.
    pub(crate) first: [usize; 2],
    pub(crate) taps: [WindowTaps; 2],
    /// Which of [`tap_sets`] it has.
    pub(crate) tap_set: usize,
}

impl Phase {
    /// The sides of its kernel.
    pub(crate) fn kernel(&self) -> [usize; 2] {
        self.taps.map(|taps| taps.count)
    }

    /// Taps of its kernel.
    pub(crate) fn area(&self) -> usize {
        self.taps[0].count * self.taps[1].count
    }
}

/// Phases that share their rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowPhases {
    pub(crate) first_row: usize,
    /// By phase.
    pub(crate) first_columns: Vec<usize>,
    /// Which of all phases they are.
    pub(crate) which: Range<usize>,
}

/// The phases of a convolution's outputs.
#[derive(Debug, Clone)]
pub(crate) struct Phases {
    /// The convolution whose windows the phases look through. It may have more outputs than a phase.
    pub(crate) window: Conv2dShape,
    /// Outputs of a phase along both axes: windows. A phase may have one less along an axis, which then is dropped.
    pub(crate) places: [usize; 2],
    /// Distance between neighbouring outputs of a phase.
    pub(crate) stride: [usize; 2],
    /// The output's sides.
    pub(crate) output: [usize; 2],
    /// The phases that have taps and outputs, by the first row and then by the first column.
    pub(crate) all: Vec<Phase>,
}

impl Phases {
    /// The one phase of an ordinary convolution of a valid shape.
    pub(crate) fn ordinary(shape: &Conv2dShape) -> Self {
        let taps = |count| WindowTaps {
            first: 0,
            step: 1,
            count,
        };
        Phases {
            window: *shape,
            places: shape.output(),
            stride: [1, 1],
            output: shape.output(),
            all: vec![Phase {
                first: [0, 0],
                taps: shape.kernel.map(taps),
                tap_set: 0,
            }],
        }
    }

    /// The phases of a transposed convolution of a valid shape.
    pub(crate) fn transposed(shape: &ConvTranspose2dShape, tap_sets: &[TapSet]) -> Self {
        let axes = [0, 1].map(|axis| Axis::new(shape, axis, tap_sets));
        let [rows, columns] = &axes;
        let mut all = Vec::new();
        for (tap_set, taps) in tap_sets.iter().enumerate() {
            let [rows, columns] = [0, 1].map(|axis| axes[axis].phase(taps.axes[axis]));
            if let (Some((row, rows)), Some((column, columns))) = (rows, columns) {
                all.push(Phase {
                    first: [row, column],
                    taps: [rows, columns],
                    tap_set,
                });
            }
        }
        all.sort_by_key(|phase| phase.first);
        Phases {
            window: Conv2dShape {
                batch: shape.batch,
                in_channels: shape.in_channels,
                out_channels: shape.out_channels,
                groups: shape.groups,
                input: shape.input,
                kernel: [rows.window, columns.window],
                stride: [1, 1],
                dilation: [1, 1],
                padding: Padding2d {
                    top: rows.padding[0],
                    bottom: rows.padding[1],
                    left: columns.padding[0],
                    right: columns.padding[1],
                },
            },
            places: [rows.places, columns.places],
            stride: shape.stride,
            output: shape.output(),
            all,
        }
    }

    /// The phases that share rows of the output, together.
    pub(crate) fn by_rows(&self) -> impl Iterator<Item = RowPhases> {
        let mut end = 0;
        let rows = self.all.chunk_by(|one, next| one.first[0] == next.first[0]);
        rows.map(move |phases| {
            let start = end;
            end += phases.len();
            RowPhases {
                first_row: phases[0].first[0],
                first_columns: phases.iter().map(|phase| phase.first[1]).collect(),
                which: start..end,
            }
        })
    }

    /// Whether every output belongs to a phase.
    pub(crate) fn is_complete(&self) -> bool {
        let outputs = |phase: &Phase| {
            let of_axis =
                |axis: usize| (self.output[axis] - phase.first[axis]).div_ceil(self.stride[axis]);
            of_axis(0) * of_axis(1)
        };
        self.all.iter().map(outputs).sum::<usize>() == self.output.iter().product()
    }

    /// The sides of what all windows cover, and nothing else.
    pub(crate) fn covered(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = (self.window.kernel[axis] - 1) * self.window.dilation[axis];
            (self.places[axis] - 1) * self.window.stride[axis] + reach + 1
        })
    }

    /// Sides of the part of the input that windows look at.
    pub(crate) fn covered_input(&self) -> [usize; 2] {
        let padding = [self.window.padding.top, self.window.padding.left];
        let covered = self.covered();
        [0, 1].map(|axis| {
            covered[axis]
                .saturating_sub(padding[axis])
                .min(self.window.input[axis])
        })
    }
}

/// One axis of a transposed convolution.
struct Axis<'a> {
    shape: &'a ConvTranspose2dShape,
    axis: usize,
    /// Taps of the window.
    window: usize,
    /// Windows.
    places: usize,
    /// What the windows need before and after the input.
    padding: [usize; 2],
}

impl<'a> Axis<'a> {
    fn new(shape: &'a ConvTranspose2dShape, axis: usize, tap_sets: &[TapSet]) -> Self {
        let mut new = Axis {
            shape,
            axis,
            window: 1,
            places: shape.output()[axis].div_ceil(shape.stride[axis]),
            padding: [0, 0],
        };
        let all = tap_sets.iter().map(|taps| taps.axes[axis]);
        // The first tap's position in the input is that of the place plus the difference of both.
        let before = all.clone().filter_map(|taps| Some(new.distances(taps)?.1));
        new.padding[0] = before.max().unwrap_or(0);
        let ends = all.filter_map(|taps| new.phase(taps)?.1.iter().last());
        new.window = ends.max().unwrap_or(0) + 1;
        let end = new.places + new.window - 1;
        new.padding[1] = end.saturating_sub(shape.input[axis] + new.padding[0]);
        new
    }

    /// The first output of the phase that has some taps, and how far the first of those reversed is before and after
    /// the position in the input with the number of the output; none if no output belongs to the phase.
    fn distances(&self, taps: AxisTaps) -> Option<(usize, usize, usize)> {
        let stride = self.shape.stride[self.axis];
        let cropped = self.shape.padding[self.axis];
        let dilation = self.shape.dilation[self.axis];
        let first = (taps.first * dilation % stride + stride - cropped % stride) % stride;
        if first >= self.shape.output()[self.axis] {
            return None;
        }
        let position = cropped + first;
        let last_tap = (taps.first + (taps.count - 1) * taps.step) * dilation;
        let after = position.saturating_sub(last_tap) / stride;
        let before = last_tap.saturating_sub(position) / stride;
        Some((first, before, after))
    }

    /// The first output of the phase that has some taps, and where these are in the window.
    fn phase(&self, taps: AxisTaps) -> Option<(usize, WindowTaps)> {
        let (first, before, after) = self.distances(taps)?;
        let taps = WindowTaps {
            first: self.padding[0] + after - before,
            step: taps.step * self.shape.dilation[self.axis] / self.shape.stride[self.axis],
            count: taps.count,
        };
        Some((first, taps))
    }
}
