//! Padding that keeps the size of the input, as Burn computes it.

/// The padding before and after an axis with which the output has `ceil(size / stride)` values; an odd total puts one
/// more at the end.
pub(super) fn same(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let outputs = size.div_ceil(stride);
    let total = match outputs {
        0 => 0,
        // Beyond all sizes it stays there, and is refused as any padding of that size.
        _ => ((outputs - 1).saturating_mul(stride))
            .saturating_add(kernel)
            .saturating_sub(size),
    };
    (total / 2, total - total / 2)
}
