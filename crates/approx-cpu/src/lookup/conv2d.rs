//! Two-dimensional convolution through a product table, grouped or not.
//!
//! The input is never unfolded. With stride 1 and no padding it is read in place; otherwise one copy is made in which
//! the border is filled in and, for strides, the rows and columns that a tap meets lie side by side (phases). Every
//! tap's codes then are a run of the copy at a fixed distance from the output's position.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::accumulators::{Accumulator, Accumulators};
use crate::arch::InstructionSet;
use crate::axis::{Axis, copy_strided};
use crate::error::{KernelError, check_length};
use crate::lookup::accumulate::Segment;
use crate::lookup::bounds::{add_bound, fit_in_32_bits};
use crate::lookup::gather::{Problem, Strategy, masked};
use crate::lookup::table::LookupTable;
use crate::shapes::Conv2dShape;

/// `acc[n, o, y, x] = sum over i, dy, dx of table[activation][weights[o, i, dy, dx]]`, where the activation is the code
/// at `[n, i of o's group, y * stride + dy * dilation - top, x * stride + dx * dilation - left]`, or `padding_code`
/// outside the input.
///
/// `activations` holds bit patterns `[batch, in_channels, height, width]`, `weights` bit patterns
/// `[out_channels, in_channels / groups, kernel height, kernel width]`; bits above the operands' widths are ignored.
/// `padding_code` is the bit pattern of the activations' zero point: a padded tap is multiplied like any other. The
/// result is `[batch, out_channels, output height, output width]`.
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
    let padding_code = padding_code & table.activation_mask();
    let largest_sums = weights.chunks_exact(inner.max(1)).map(|weights| {
        weights
            .iter()
            .fold(0, |bound, &weight| add_bound(bound, table, weight))
    });
    Ok(if fit_in_32_bits(table, inner, largest_sums) {
        Accumulators::I32(conv2d_sums(
            set,
            strategy,
            table,
            &activations,
            &weights,
            padding_code,
            shape,
        ))
    } else {
        Accumulators::I64(conv2d_sums(
            set,
            strategy,
            table,
            &activations,
            &weights,
            padding_code,
            shape,
        ))
    })
}

/// The sums of a valid shape, whose width `T` has to hold them; no code has bits above its operand's width.
pub(crate) fn conv2d_sums<T: Accumulator>(
    set: InstructionSet,
    strategy: Option<Strategy>,
    table: &LookupTable,
    activations: &[u8],
    weights: &[u8],
    padding_code: u8,
    shape: Conv2dShape,
) -> Vec<T> {
    let inner = shape.inner();
    let windows = Windows::new(&shape, activations, padding_code);
    let group_channels = shape.in_channels / shape.groups;
    let [height, width] = shape.kernel;
    let taps = (0..height).flat_map(|row| (0..width).map(move |column| [row, column]));
    let offsets = (0..group_channels).flat_map(|channel| {
        let first = channel * windows.channel_stride;
        taps.clone().map(move |tap| (first, tap))
    });
    let offsets: Vec<usize> = offsets
        .map(|(first, tap)| first + windows.offset(tap))
        .collect();
    let problem = Problem {
        images: shape.batch,
        groups: shape.groups,
        planes: shape.out_channels / shape.groups,
        inner,
        plane_codes: weights,
        plane_stride: inner,
        tap_stride: 1,
        position_codes: &windows.codes,
        image_stride: shape.in_channels * windows.channel_stride,
        group_stride: group_channels * windows.channel_stride,
        offsets: &offsets,
        segments: &windows.segments(shape.output()),
        lines_by_plane: table.by_weight(),
        lines_by_position: table.by_activation(),
    };
    problem.solve(table, set, strategy)
}

/// The input's codes, laid out so that every tap is a fixed distance away from an output's position.
pub(crate) struct Windows<'a> {
    pub(crate) codes: Cow<'a, [u8]>,
    /// Codes of one channel of one image.
    pub(crate) channel_stride: usize,
    rows: Axis,
    columns: Axis,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(shape: &Conv2dShape, input: &'a [u8], padding_code: u8) -> Self {
        let output = shape.output();
        let [mut rows, mut columns] = [0, 1].map(|axis| {
            Axis::new(
                shape.kernel[axis],
                shape.stride[axis],
                shape.dilation[axis],
                output[axis],
            )
        });
        let codes = if shape.is_unpadded() && shape.stride == [1, 1] {
            // Each axis has one phase, and all of the input is in it.
            [rows.length, columns.length] = shape.input;
            Cow::Borrowed(input)
        } else {
            Cow::Owned(phases(shape, input, padding_code, &rows, &columns))
        };
        Windows {
            codes,
            channel_stride: rows.phases.len() * columns.phases.len() * rows.length * columns.length,
            rows,
            columns,
        }
    }

    /// The distance of a tap's codes from those of the first one, in one channel.
    pub(crate) fn offset(&self, [row, column]: [usize; 2]) -> usize {
        let (row_phase, row) = self.rows.taps[row];
        let (column_phase, column) = self.columns.taps[column];
        let phase = row_phase * self.columns.phases.len() + column_phase;
        (phase * self.rows.length + row) * self.columns.length + column
    }

    /// Some rows and columns of output positions of one image.
    pub(crate) fn segments(&self, [height, width]: [usize; 2]) -> Vec<Segment> {
        if self.columns.length == width {
            return vec![Segment {
                start: 0,
                length: height * width,
            }];
        }
        let row = |row: usize| Segment {
            start: row * self.columns.length,
            length: width,
        };
        (0..height).map(row).collect()
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
