//! Ranges of operand codes.

use approx_multiplier::{OperandFormat, Signedness};
use serde::{Deserialize, Serialize};

use crate::error::ApproxError;

/// The codes that a quantiser may produce, both ends included; 0 is always among them.
///
/// ```
/// use burn_approx::quantization::CodeRange;
///
/// let narrow = CodeRange::new(0, 127)?;
/// assert_eq!((narrow.low(), narrow.high()), (0, 127));
/// assert!(CodeRange::new(1, 127).is_err()); // the real value 0 would have no code
/// # Ok::<(), burn_approx::ApproxError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(i32, i32)", into = "(i32, i32)")]
pub struct CodeRange {
    low: i32,
    high: i32,
}

impl CodeRange {
    /// The codes `low..=high`.
    ///
    /// # Errors
    /// [`ApproxError::InvalidCodeRange`] unless `low <= 0 <= high` and `low < high`.
    pub fn new(low: i32, high: i32) -> Result<Self, ApproxError> {
        if low <= 0 && 0 <= high && low < high {
            Ok(Self { low, high })
        } else {
            Err(ApproxError::InvalidCodeRange { low, high })
        }
    }

    /// Every code of a format: -128..=127 for 8 signed bits, 0..=255 for 8 unsigned ones.
    pub fn full(format: OperandFormat) -> Self {
        Self {
            low: format.min_code(),
            high: format.max_code(),
        }
    }

    /// The codes of a format that have a negative counterpart: -127..=127 for 8 signed bits; all of an unsigned format.
    pub fn mirrored(format: OperandFormat) -> Self {
        let low = if format.is_signed() {
            -format.max_code()
        } else {
            0
        };
        Self {
            low,
            high: format.max_code(),
        }
    }

    /// The non-negative codes of a format: 0..=127 for 8 signed bits.
    pub fn non_negative(format: OperandFormat) -> Self {
        Self {
            low: 0,
            high: format.max_code(),
        }
    }

    /// The lowest code.
    pub fn low(self) -> i32 {
        self.low
    }

    /// The highest code.
    pub fn high(self) -> i32 {
        self.high
    }

    /// Whether a format has all of these codes.
    pub fn fits(self, format: OperandFormat) -> bool {
        format.min_code() <= self.low && self.high <= format.max_code()
    }

    /// The format of fewest bits that has all of these codes, and at least 8.
    ///
    /// # Errors
    /// [`ApproxError::UnsupportedBits`] for codes of more than 16 bits.
    pub(crate) fn smallest_format(self) -> Result<OperandFormat, ApproxError> {
        let magnitude = self.high.max(-(self.low + 1)).cast_unsigned();
        let bits = (u32::BITS - magnitude.leading_zeros()) as u8 + u8::from(self.low < 0);
        let signedness = match self.low < 0 {
            true => Signedness::Signed,
            false => Signedness::Unsigned,
        };
        OperandFormat::new(bits.max(8), signedness)
            .map_err(|_| ApproxError::UnsupportedBits { bits })
    }
}

impl TryFrom<(i32, i32)> for CodeRange {
    type Error = ApproxError;

    fn try_from((low, high): (i32, i32)) -> Result<Self, ApproxError> {
        Self::new(low, high)
    }
}

impl From<CodeRange> for (i32, i32) {
    fn from(range: CodeRange) -> Self {
        (range.low, range.high)
    }
}

impl std::fmt::Display for CodeRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..={}", self.low, self.high)
    }
}
