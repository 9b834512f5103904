//! Ranges of codes that a factorisation holds for, and factors of them by bit pattern.

use std::ops::RangeInclusive;

use crate::{MultiplierError, OperandFormat};

/// All codes of a format.
pub(crate) fn all_codes(format: OperandFormat) -> RangeInclusive<i32> {
    format.min_code()..=format.max_code()
}

/// The factors of a range of codes by bit pattern, and 0 for all other codes.
pub(crate) fn by_pattern<T: Copy + Default>(
    format: OperandFormat,
    codes: &RangeInclusive<i32>,
    factors: impl IntoIterator<Item = T>,
) -> Vec<T> {
    let mut expanded = vec![T::default(); format.cardinality()];
    for (code, factor) in codes.clone().zip(factors) {
        expanded[format.pattern(code)] = factor;
    }
    expanded
}

/// Factors by bit pattern, with 0 in place of those of codes outside of a range.
pub(crate) fn within(
    format: OperandFormat,
    codes: &RangeInclusive<i32>,
    factors: &[i64],
) -> Vec<i64> {
    let kept = codes.clone().map(|code| factors[format.pattern(code)]);
    by_pattern(format, codes, kept)
}

/// The codes asked for, all of the format if none are, unless they are not the format's.
pub(crate) fn checked_codes(
    codes: Option<&RangeInclusive<i32>>,
    format: OperandFormat,
) -> Result<RangeInclusive<i32>, MultiplierError> {
    let codes = codes.cloned().unwrap_or(all_codes(format));
    if codes.is_empty() || !format.contains(*codes.start()) || !format.contains(*codes.end()) {
        return Err(MultiplierError::CodesOutOfFormat {
            low: *codes.start(),
            high: *codes.end(),
            format,
        });
    }
    Ok(codes)
}

/// How many codes a range has.
pub(crate) fn count(codes: &RangeInclusive<i32>) -> usize {
    (codes.end() - codes.start()) as usize + 1
}
