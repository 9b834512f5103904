//! Two-dimensional convolution through a product table, grouped or not.
//!
//! The input is never unfolded. With stride 1 and no padding it is read in place; otherwise one copy is made in which the
//! border is filled in and, for strides, the rows and columns that a tap meets lie side by side (phases). Every
//! tap's codes then are a run of the copy at a fixed distance from the output's position.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::accumulate::Segment;
use crate::accumulators::{Accumulators, add_bound, fit_in_32_bits};
use crate::axis::{Axis, copy_strided};
use crate::error::{KernelError, check_length, checked_product};
use crate::gather::{Problem, Strategy, masked};
use crate::instruction_set::InstructionSet;
use crate::table::LookupTable;

/// Positions added around the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding2d {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns before.
    pub left: usize,
    /// Columns after.
    pub right: usize,
}

impl Padding2d {
    /// The same number of rows above and below, and of columns before and after.
    pub fn symmetric(rows: usize, columns: usize) -> Self {
        Padding2d {
            top: rows,
            bottom: rows,
            left: columns,
            right: columns,
        }
    }
}

/// The shape of a two-dimensional convolution. Pairs are `[height, width]`.
///
/// ```
/// use approx_cpu::{Conv2dShape, Padding2d};
///
/// let shape = Conv2dShape {
///     batch: 8,
///     in_channels: 64,
///     out_channels: 32,
///     groups: 1,
///     input: [32, 32],
///     kernel: [3, 3],
///     stride: [2, 2],
///     dilation: [1, 1],
///     padding: Padding2d::symmetric(1, 1),
/// };
/// shape.validate()?;
/// assert_eq!(shape.output(), [16, 16]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dShape {
    /// Images.
    pub batch: usize,
    /// Channels of the input, a multiple of `groups`.
    pub in_channels: usize,
    /// Channels of the output, a multiple of `groups`.
    pub out_channels: usize,
    /// Groups: each computes its share of the output channels from its share of the input channels.
    pub groups: usize,
    /// The input's sides.
    pub input: [usize; 2],
    /// The kernel's sides, at least 1.
    pub kernel: [usize; 2],
    /// Distance between windows, at least 1.
    pub stride: [usize; 2],
    /// Distance between a window's taps, at least 1.
    pub dilation: [usize; 2],
    /// Padding around the input.
    pub padding: Padding2d,
}

impl Conv2dShape {
    /// Checks that this is a convolution, and that the number of elements of everything it involves fits in `usize`.
    ///
    /// # Errors
    ///
    /// [`KernelError::Groups`], [`KernelError::Zero`], [`KernelError::KernelTooLarge`] or [`KernelError::Overflow`].
    pub fn validate(&self) -> Result<(), KernelError> {
        for (channels, side) in [(self.in_channels, "input"), (self.out_channels, "output")] {
            if self.groups == 0 || !channels.is_multiple_of(self.groups) {
                return Err(KernelError::Groups {
                    groups: self.groups,
                    channels,
                    side,
                });
            }
        }
        for (parameter, pair) in [
            ("kernel", self.kernel),
            ("stride", self.stride),
            ("dilation", self.dilation),
        ] {
            if pair.contains(&0) {
                return Err(KernelError::Zero { parameter });
            }
        }
        let padding = [
            (self.padding.top, self.padding.bottom),
            (self.padding.left, self.padding.right),
        ];
        let mut padded = [0; 2];
        for (axis, side) in ["height", "width"].into_iter().enumerate() {
            let overflow = KernelError::Overflow {
                quantity: "the padded input",
            };
            padded[axis] = self.input[axis]
                .checked_add(padding[axis].0)
                .and_then(|sum| sum.checked_add(padding[axis].1))
                .ok_or(overflow)?;
            let kernel = (self.kernel[axis] - 1)
                .checked_mul(self.dilation[axis])
                .and_then(|span| span.checked_add(1))
                .ok_or(KernelError::Overflow {
                    quantity: "the dilated kernel",
                })?;
            if kernel > padded[axis] {
                return Err(KernelError::KernelTooLarge {
                    side,
                    kernel,
                    input: padded[axis],
                });
            }
        }
        // The copy of the input with phases can exceed the padded input by less than a stride and a kernel per side.
        let copy = [0, 1].map(|axis| {
            padded[axis]
                .checked_add(self.stride[axis].min(padded[axis]))
                .and_then(|side| side.checked_mul(2))
                .unwrap_or(usize::MAX)
        });
        checked_product(
            "the padded input",
            &[self.batch, self.in_channels, copy[0], copy[1]],
        )?;
        checked_product(
            "the weights",
            &[
                self.out_channels,
                self.in_channels,
                self.kernel[0],
                self.kernel[1],
            ],
        )?;
        let [height, width] = self.output();
        checked_product(
            "the output",
            &[self.batch, self.out_channels, height, width],
        )?;
        checked_product("the window sums", &[self.batch, self.groups, height, width])?;
        Ok(())
    }

    /// The output's sides, `[height, width]`, of a shape that [`validate`](Self::validate) accepts.
    ///
    /// # Panics
    ///
    /// For other shapes it may panic or return any sides.
    pub fn output(&self) -> [usize; 2] {
        let padding = [
            self.padding.top + self.padding.bottom,
            self.padding.left + self.padding.right,
        ];
        [0, 1].map(|axis| {
            let kernel = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            (self.input[axis] + padding[axis] - kernel) / self.stride[axis] + 1
        })
    }

    /// Products per output.
    pub fn inner(&self) -> usize {
        self.in_channels / self.groups * self.kernel[0] * self.kernel[1]
    }

    /// The number of input elements.
    pub(crate) fn input_length(&self) -> usize {
        self.batch * self.in_channels * self.input[0] * self.input[1]
    }

    fn is_unpadded(&self) -> bool {
        self.padding == Padding2d::default()
    }
}

/// `acc[n, o, y, x] = sum over i, dy, dx of table[activation][weights[o, i, dy, dx]]`, where the activation is the code at
/// `[n, i of o's group, y * stride + dy * dilation - top, x * stride + dx * dilation - left]`, or `padding_code` outside
/// the input.
///
/// `activations` holds bit patterns `[batch, in_channels, height, width]`, `weights` bit patterns
/// `[out_channels, in_channels / groups, kernel height, kernel width]`; bits above the operands' widths are ignored.
/// `padding_code` is the bit pattern of the activations' zero point: a padded tap is multiplied like any other. The result
/// is `[batch, out_channels, output height, output width]`.
///
/// # Errors
///
/// What [`Conv2dShape::validate`] finds, and [`KernelError::Length`] where a slice does not fit the shape.
///
/// ```
/// use approx_cpu::{Accumulators, Conv2dShape, LookupTable, Padding2d, conv2d};
///
/// let exact: Vec<i32> = (0..16).flat_map(|a| (0..16).map(move |w| a * w)).collect();
/// let table = LookupTable::new(4, 4, &exact)?;
/// let shape = Conv2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 3], kernel: [1, 3], stride: [1, 1], dilation: [1, 1],
///     padding: Padding2d::symmetric(0, 1),
/// };
/// let sums = conv2d(&table, &[1, 2, 3], &[1, 1, 2], 15, shape)?;
/// assert_eq!(sums, Accumulators::I32(vec![15 + 1 + 4, 1 + 2 + 6, 2 + 3 + 30]));
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn conv2d(
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    padding_code: u8,
    shape: Conv2dShape,
) -> Result<Accumulators, KernelError> {
    conv2d_with(
        InstructionSet::best(),
        None,
        table,
        activations,
        weights,
        padding_code,
        shape,
    )
}

/// [`conv2d`] with a given instruction set and, if any, strategy.
pub(crate) fn conv2d_with(
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    padding_code: u8,
    shape: Conv2dShape,
) -> Result<Accumulators, KernelError> {
    shape.validate()?;
    let inner = shape.inner();
    check_length("activations", shape.input_length(), activations.len())?;
    check_length("weights", shape.out_channels * inner, weights.len())?;

    let activations = masked(activations, table.activation_mask());
    let weights = masked(weights, table.weight_mask());
    let windows = Windows::new(&shape, &activations, padding_code & table.activation_mask());
    let problem = Problem {
        images: shape.batch,
        groups: shape.groups,
        planes: shape.out_channels / shape.groups,
        inner,
        plane_codes: &weights,
        position_codes: &windows.codes,
        image_stride: shape.in_channels * windows.channel_stride,
        group_stride: shape.in_channels / shape.groups * windows.channel_stride,
        offsets: &windows.offsets,
        segments: &windows.segments,
        lines_by_plane: table.by_weight(),
        lines_by_position: table.by_activation(),
    };
    let largest_sums = weights.chunks_exact(inner.max(1)).map(|weights| {
        weights
            .iter()
            .fold(0, |bound, &weight| add_bound(bound, table, weight))
    });
    Ok(if fit_in_32_bits(table, inner, largest_sums) {
        Accumulators::I32(problem.solve(table, set, strategy))
    } else {
        Accumulators::I64(problem.solve(table, set, strategy))
    })
}

/// The input's codes, laid out so that every tap is a fixed distance away from an output's position.
struct Windows<'a> {
    codes: Cow<'a, [u8]>,
    /// Codes of one channel of one image.
    channel_stride: usize,
    /// For every (channel of a group, kernel row, kernel column), the distance of its codes.
    offsets: Vec<usize>,
    /// The output positions of one image.
    segments: Vec<Segment>,
}

impl<'a> Windows<'a> {
    fn new(shape: &Conv2dShape, input: &'a [u8], padding_code: u8) -> Self {
        let [height, width] = shape.output();
        let [mut rows, mut columns] = [0, 1].map(|axis| {
            let output = [height, width][axis];
            Axis::new(
                shape.kernel[axis],
                shape.stride[axis],
                shape.dilation[axis],
                output,
            )
        });
        let codes = if shape.is_unpadded() && shape.stride == [1, 1] {
            // Each axis has one phase, and all of the input is in it.
            [rows.length, columns.length] = shape.input;
            Cow::Borrowed(input)
        } else {
            Cow::Owned(phases(shape, input, padding_code, &rows, &columns))
        };
        let phase_stride = rows.length * columns.length;
        let channel_stride = rows.phases.len() * columns.phases.len() * phase_stride;
        let mut offsets = Vec::with_capacity(shape.inner());
        for channel in 0..shape.in_channels / shape.groups {
            for &(row_phase, row) in &rows.taps {
                for &(column_phase, column) in &columns.taps {
                    let phase = row_phase * columns.phases.len() + column_phase;
                    offsets.push(
                        channel * channel_stride
                            + phase * phase_stride
                            + row * columns.length
                            + column,
                    );
                }
            }
        }
        let segments = if columns.length == width {
            vec![Segment {
                start: 0,
                length: height * width,
            }]
        } else {
            (0..height)
                .map(|row| Segment {
                    start: row * columns.length,
                    length: width,
                })
                .collect()
        };
        Windows {
            codes,
            channel_stride,
            offsets,
            segments,
        }
    }
}

/// The input with its border, `[batch, in_channels, row phase, column phase, row, column]`.
fn phases(
    shape: &Conv2dShape,
    input: &[u8],
    padding_code: u8,
    rows: &Axis,
    columns: &Axis,
) -> Vec<u8> {
    let [height, width] = shape.input;
    let channel = rows.phases.len() * columns.phases.len() * rows.length * columns.length;
    let channels = shape.batch * shape.in_channels;
    let mut codes = vec![padding_code; channels * channel];
    if height * width == 0 || channel == 0 {
        return codes;
    }
    let fill = |(to, from): (&mut [u8], &[u8])| {
        let mut lines = to.chunks_exact_mut(columns.length);
        for &row_phase in &rows.phases {
            for &column_phase in &columns.phases {
                let inside = columns.inside(column_phase, shape.padding.left, width);
                for line in 0..rows.length {
                    let to = lines.next().expect("a line for every phase and row");
                    let row = (line * shape.stride[0] + row_phase).wrapping_sub(shape.padding.top);
                    if row >= height {
                        continue;
                    }
                    let to = &mut to[inside.place..][..inside.length];
                    copy_strided(
                        to,
                        &from[row * width..][inside.first..width],
                        shape.stride[1],
                    );
                }
            }
        }
    };
    /// Bytes of the copy that are worth a task.
    const BYTES_PER_TASK: usize = 1 << 15;
    if codes.len() <= BYTES_PER_TASK {
        codes
            .chunks_exact_mut(channel)
            .zip(input.chunks_exact(height * width))
            .for_each(fill);
    } else {
        codes
            .par_chunks_exact_mut(channel)
            .zip(input.par_chunks_exact(height * width))
            .with_min_len((BYTES_PER_TASK / channel).max(1))
            .for_each(fill);
    }
    codes
}
