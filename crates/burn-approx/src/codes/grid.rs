//! The codes of one operand of a product, and where their scales lie in its tensor.

use burn::tensor::Shape;

use super::CodeRange;
use crate::error::ApproxError;

/// The codes of one operand, whether 0 is their zero point, and the axis along which its quantiser has channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeGrid {
    /// The lowest code.
    pub low: i32,
    /// The highest code.
    pub high: i32,
    /// Whether every zero point is known to be 0, without reading the device.
    pub symmetric: bool,
    /// The axis of the channels; `None` for one scale per tensor.
    pub channel_axis: Option<usize>,
}

impl CodeGrid {
    /// The grid's codes as a range.
    ///
    /// # Errors
    /// [`ApproxError::InvalidCodeRange`] unless `low <= 0 <= high` and `low < high`.
    pub fn codes(&self) -> Result<CodeRange, ApproxError> {
        CodeRange::new(self.low, self.high)
    }

    /// Every code of a range, with whatever zero point and one scale.
    pub(crate) fn of_any_zero_point(codes: CodeRange) -> Self {
        Self {
            low: codes.low(),
            high: codes.high(),
            symmetric: false,
            channel_axis: None,
        }
    }
}

/// The number of channels along an axis, and how many neighbouring elements each has; without an axis there is one
/// channel.
pub(crate) fn channels_along(shape: &Shape, axis: Option<usize>) -> (usize, usize) {
    match axis {
        Some(axis) => (shape[axis], shape.iter().skip(axis + 1).product()),
        None => (1, 1),
    }
}
