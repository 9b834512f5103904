//! How wide the sums of looked-up products have to be.

use super::table::LookupTable;

/// Whether no sum can leave 32 bits: by the bound `inner * max_abs` alone, or else by what the weights at hand allow.
/// `largest_sums` yields bounds of the sums' magnitudes and is read only as far as they fit; see [`add_bound`].
pub(crate) fn fit_in_32_bits(
    table: &LookupTable,
    inner: usize,
    mut largest_sums: impl Iterator<Item = u32>,
) -> bool {
    const LARGEST: u32 = i32::MAX as u32;
    inner as u128 * u128::from(table.max_abs()) <= u128::from(LARGEST)
        || largest_sums.all(|sum| sum <= LARGEST)
}

/// Adds to a bound what one tap with the given weight can contribute. Saturates, far beyond 32 bits with a sign.
#[inline]
pub(crate) fn add_bound(bound: u32, table: &LookupTable, weight: u8) -> u32 {
    bound.saturating_add(table.weight_max_abs(weight))
}
