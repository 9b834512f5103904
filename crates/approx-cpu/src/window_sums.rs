//! Sums of activation codes, which a weight's zero point asks for: over the rows of a matrix, and over the windows of
//! a convolution.

use rayon::prelude::*;

use crate::error::{KernelError, check_length, checked_product};
use crate::shapes::Conv2dShape;
use crate::shapes::MatmulShape;
use crate::word::CODES;

/// `sums[row] = sum over k of decode(activations[row, k])`, for activations `[rows, inner]`.
///
/// `decode` turns a bit pattern into the code it stands for.
///
/// # Errors
///
/// [`KernelError::Length`] or [`KernelError::Overflow`] where `activations` does not fit the shape.
///
/// ```
/// use approx_cpu::{MatmulShape, row_sums};
///
/// let shape = MatmulShape { rows: 2, inner: 2, columns: 1 };
/// let sums = row_sums(&[255, 3, 1, 1], |pattern| i32::from(pattern as i8), shape)?;
/// assert_eq!(sums, [2, 2]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn row_sums(
    activations: &[u8],
    decode: impl Fn(u8) -> i32 + Sync,
    shape: MatmulShape,
) -> Result<Vec<i64>, KernelError> {
    let expected = checked_product("the activations", &[shape.rows, shape.inner])?;
    check_length("activations", expected, activations.len())?;
    if shape.inner == 0 {
        return Ok(vec![0; shape.rows]);
    }
    let codes = decoded(decode);
    Ok(activations
        .par_chunks_exact(shape.inner)
        .with_min_len((CODES_PER_TASK / shape.inner).max(1))
        .map(|row| row.iter().map(|&code| codes[usize::from(code)]).sum())
        .collect())
}

/// `sums[n, g, y, x]`: the sum of the decoded activations, over the channels of group g, of the window that belongs
/// to output position `[y, x]`; a tap outside the input counts as `padding_code`. The result is
/// `[batch, groups, output height, output width]`.
///
/// `decode` turns a bit pattern into the code it stands for. The output channels of `shape` do not matter.
///
/// # Errors
///
/// What [`Conv2dShape::validate`] finds, and [`KernelError::Length`] where `activations` does not fit the shape.
///
/// ```
/// use approx_cpu::{Conv2dShape, Padding2d, window_sums};
///
/// let shape = Conv2dShape {
///     batch: 1, in_channels: 1, out_channels: 1, groups: 1,
///     input: [1, 3], kernel: [1, 3], stride: [1, 1], dilation: [1, 1],
///     padding: Padding2d::symmetric(0, 1),
/// };
/// assert_eq!(window_sums(&[1, 2, 3], i32::from, 10, shape)?, [13, 6, 15]);
/// # Ok::<(), approx_cpu::KernelError>(())
/// ```
pub fn window_sums(
    activations: &[u8],
    decode: impl Fn(u8) -> i32 + Sync,
    padding_code: u8,
    shape: Conv2dShape,
) -> Result<Vec<i64>, KernelError> {
    shape.validate()?;
    check_length("activations", shape.input_length(), activations.len())?;
    let codes = decoded(decode);
    let code = |index: usize| codes[usize::from(activations[index])];
    let padding = codes[usize::from(padding_code)];
    Ok(sums_over_windows(code, padding, shape))
}

/// The sums of codes over the windows of a valid shape, `[batch, groups, output height, output width]`; `code` gets the
/// position of an activation, and a tap outside the input counts as `padding`.
pub(crate) fn sums_over_windows(
    code: impl Fn(usize) -> i64 + Sync,
    padding: i64,
    shape: Conv2dShape,
) -> Vec<i64> {
    let [height, width] = shape.output();
    let mut sums = vec![0; shape.batch * shape.groups * height * width];
    let channels = shape.in_channels / shape.groups;
    if sums.is_empty() || channels == 0 {
        return sums;
    }
    let padding = padding * channels as i64;
    let area = shape.input[0] * shape.input[1];
    sums.par_chunks_exact_mut(height * width)
        .with_min_len((CODES_PER_TASK / (channels * area + height * width)).max(1))
        .enumerate()
        .for_each(|(group, sums)| {
            // First over the channels, then along the rows of every window, then down its columns.
            let mut plane = vec![0; area];
            let first = group * channels * area;
            for channel in 0..channels {
                let first = first + channel * area;
                for (sum, index) in plane.iter_mut().zip(first..) {
                    *sum += code(index);
                }
            }
            let at = |position: usize, before: usize, side: usize| {
                position.checked_sub(before).filter(|&inside| inside < side)
            };
            let mut along_rows = vec![0; shape.input[0] * width];
            for (row, sums) in along_rows.chunks_exact_mut(width).enumerate() {
                let row = &plane[row * shape.input[1]..][..shape.input[1]];
                for (x, sum) in sums.iter_mut().enumerate() {
                    for tap in 0..shape.kernel[1] {
                        let column = x * shape.stride[1] + tap * shape.dilation[1];
                        *sum += at(column, shape.padding.left, shape.input[1])
                            .map_or(padding, |column| row[column]);
                    }
                }
            }
            let outside = padding * shape.kernel[1] as i64;
            for (y, sums) in sums.chunks_exact_mut(width).enumerate() {
                for tap in 0..shape.kernel[0] {
                    let row = y * shape.stride[0] + tap * shape.dilation[0];
                    match at(row, shape.padding.top, shape.input[0]) {
                        Some(row) => {
                            for (sum, partial) in sums.iter_mut().zip(&along_rows[row * width..]) {
                                *sum += partial;
                            }
                        }
                        None => sums.iter_mut().for_each(|sum| *sum += outside),
                    }
                }
            }
        });
    sums
}

/// Activations that are worth a task of their own.
const CODES_PER_TASK: usize = 1 << 15;

/// What every bit pattern stands for.
fn decoded(decode: impl Fn(u8) -> i32) -> [i64; CODES] {
    std::array::from_fn(|pattern| i64::from(decode(pattern as u8)))
}
