//! Product tables: every product of a multiplier, indexed by the bit patterns of its operands.

use std::fmt;
use std::sync::Arc;

use crate::{MultiplierError, OperandFormat};

/// The most index bits of a table, both operands together: 24, which is 12 x 12 bits and takes 64 MiB.
pub const MAX_INDEX_BITS: u32 = 24;

/// All products of a multiplier with an activation and a weight format: `entries[a & mask][b & mask]`, row by row.
///
/// Cloning is cheap: clones share the entries.
///
/// ```
/// use approx_multiplier::{OperandFormat, ProductTable};
///
/// let table = ProductTable::from_fn(OperandFormat::INT8, OperandFormat::UINT8, |a, b| a * (b & !1))?;
/// assert_eq!(table.get(-3, 201), -600);
/// assert_eq!(table.row(253)[201], -600);
/// assert_eq!(table.max_abs(), 128 * 254);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ProductTable {
    activation: OperandFormat,
    weight: OperandFormat,
    entries: Arc<[i32]>,
    max_abs: i64,
}

impl ProductTable {
    /// The table of a function of an activation code and a weight code.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::TableTooLarge`] for formats of more than [`MAX_INDEX_BITS`] together,
    /// [`MultiplierError::EntryOutOfRange`] if a product does not fit in 32 bits.
    pub fn from_fn(
        activation: OperandFormat,
        weight: OperandFormat,
        product: impl Fn(i64, i64) -> i64,
    ) -> Result<Self, MultiplierError> {
        Self::collect(
            activation,
            weight,
            activation
                .codes()
                .flat_map(|a| weight.codes().map(move |b| (a, b)))
                .map(|(a, b)| i128::from(product(a.into(), b.into()))),
        )
    }

    /// The table with the given entries, row by row in the order of bit patterns.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::WrongEntryCount`] if their number is not the number of operand pairs,
    /// [`MultiplierError::EntryOutOfRange`] if one does not fit in 32 bits, and [`MultiplierError::TableTooLarge`].
    pub fn from_entries(
        activation: OperandFormat,
        weight: OperandFormat,
        entries: &[i64],
    ) -> Result<Self, MultiplierError> {
        check_entry_count(activation, weight, entries.len())?;
        Self::collect(
            activation,
            weight,
            entries.iter().map(|&entry| entry.into()),
        )
    }

    /// The table with the given 32-bit entries, row by row in the order of bit patterns.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::WrongEntryCount`] if their number is not the number of operand pairs, and
    /// [`MultiplierError::TableTooLarge`].
    pub fn from_slice(
        activation: OperandFormat,
        weight: OperandFormat,
        entries: &[i32],
    ) -> Result<Self, MultiplierError> {
        check_entry_count(activation, weight, entries.len())?;
        Ok(Self::from_checked(activation, weight, entries.into()))
    }

    /// The table of exact products.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::TableTooLarge`] for formats of more than [`MAX_INDEX_BITS`] together.
    pub fn exact(
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<Self, MultiplierError> {
        Self::from_fn(activation, weight, |a, b| a * b)
    }

    /// Collects as many entries as the formats ask for, and the caller supplies, into a table.
    fn collect(
        activation: OperandFormat,
        weight: OperandFormat,
        products: impl Iterator<Item = i128>,
    ) -> Result<Self, MultiplierError> {
        let count = entry_count(activation, weight)?;
        let mut entries = Vec::with_capacity(count);
        for (index, product) in products.enumerate() {
            entries.push(checked_entry(activation, weight, index, product)?);
        }
        Ok(Self::from_checked(activation, weight, entries.into()))
    }

    /// Wraps entries whose number is known to be right.
    pub(crate) fn from_checked(
        activation: OperandFormat,
        weight: OperandFormat,
        entries: Arc<[i32]>,
    ) -> Self {
        let max_abs = entries
            .iter()
            .map(|&entry| i64::from(entry).abs())
            .max()
            .unwrap_or(0);
        Self {
            activation,
            weight,
            entries,
            max_abs,
        }
    }

    /// All entries, row by row in the order of bit patterns.
    pub fn entries(&self) -> &[i32] {
        &self.entries
    }

    /// Format of the first operand, the activation, which selects the row.
    pub fn activation(&self) -> OperandFormat {
        self.activation
    }

    /// Format of the second operand, the weight, which selects the column.
    pub fn weight(&self) -> OperandFormat {
        self.weight
    }

    /// The product of an activation code and a weight code.
    ///
    /// Of a code outside its format the low bits count, as in [`OperandFormat::pattern`].
    pub fn get(&self, a: i32, b: i32) -> i32 {
        self.row(self.activation.pattern(a))[self.weight.pattern(b)]
    }

    /// The products of the activation with the bit pattern `pattern`, in the order of the weight's patterns. Bits above
    /// the format's are ignored.
    pub fn row(&self, pattern: usize) -> &[i32] {
        let columns = self.weight.cardinality();
        let start = (pattern & self.activation.mask() as usize) * columns;
        &self.entries[start..start + columns]
    }

    /// The largest magnitude of an entry.
    pub fn max_abs(&self) -> i64 {
        self.max_abs
    }

    /// The table with its operands exchanged, that is the transposed one.
    #[must_use]
    pub fn swapped(&self) -> Self {
        let columns = self.weight.cardinality();
        Self {
            activation: self.weight,
            weight: self.activation,
            entries: (0..columns)
                .flat_map(|column| self.entries.iter().skip(column).step_by(columns))
                .copied()
                .collect(),
            max_abs: self.max_abs,
        }
    }
}

/// Leaves the entries out, of which there are at least sixteen and up to millions.
impl fmt::Debug for ProductTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProductTable")
            .field("activation", &self.activation)
            .field("weight", &self.weight)
            .field("max_abs", &self.max_abs)
            .finish_non_exhaustive()
    }
}

/// Index bits of both operands together.
pub(crate) fn index_bits(activation: OperandFormat, weight: OperandFormat) -> u32 {
    u32::from(activation.bits()) + u32::from(weight.bits())
}

/// How many entries a table of these formats has, if it may have so many.
pub(crate) fn entry_count(
    activation: OperandFormat,
    weight: OperandFormat,
) -> Result<usize, MultiplierError> {
    if index_bits(activation, weight) > MAX_INDEX_BITS {
        return Err(MultiplierError::TableTooLarge { activation, weight });
    }
    Ok(activation.cardinality() * weight.cardinality())
}

/// Checks that there is an entry for every pair of operands.
pub(crate) fn check_entry_count(
    activation: OperandFormat,
    weight: OperandFormat,
    found: usize,
) -> Result<(), MultiplierError> {
    let expected = entry_count(activation, weight)?;
    if found == expected {
        Ok(())
    } else {
        Err(MultiplierError::WrongEntryCount {
            activation,
            weight,
            expected,
            found,
        })
    }
}

/// A product as the entry at a position of the table, if it fits.
pub(crate) fn checked_entry(
    activation: OperandFormat,
    weight: OperandFormat,
    index: usize,
    value: i128,
) -> Result<i32, MultiplierError> {
    i32::try_from(value).map_err(|_| MultiplierError::EntryOutOfRange {
        activation: activation.code(index / weight.cardinality()),
        weight: weight.code(index),
        value,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::Signedness;

    const INT8: OperandFormat = OperandFormat::INT8;

    fn formats() -> impl Strategy<Value = OperandFormat> {
        (2u8..=6, any::<bool>()).prop_map(|(bits, signed)| {
            let signedness = if signed {
                Signedness::Signed
            } else {
                Signedness::Unsigned
            };
            OperandFormat::new(bits, signedness).unwrap()
        })
    }

    #[test]
    fn entries_are_indexed_by_bit_pattern() {
        let table =
            ProductTable::from_fn(INT8, OperandFormat::unsigned(3).unwrap(), |a, b| 10 * a + b)
                .unwrap();
        assert_eq!(table.entries().len(), 256 * 8);
        assert_eq!(table.entries()[255 * 8 + 7], -3);
        assert_eq!(
            table.row(128),
            [-1280, -1279, -1278, -1277, -1276, -1275, -1274, -1273]
        );
        assert_eq!(table.row(128 + 256), table.row(128));
    }

    #[test]
    fn the_entry_out_of_range_is_named() {
        let error = ProductTable::from_fn(
            INT8,
            INT8,
            |a, b| if (a, b) == (-7, 9) { 1 << 31 } else { 0 },
        )
        .unwrap_err();
        assert!(matches!(
            error,
            MultiplierError::EntryOutOfRange {
                activation: -7,
                weight: 9,
                value: 0x8000_0000
            }
        ));
        let mut entries = vec![0i64; 1 << 16];
        entries[255 * 256 + 128] = i64::MIN;
        let error = ProductTable::from_entries(INT8, INT8, &entries).unwrap_err();
        assert!(matches!(
            error,
            MultiplierError::EntryOutOfRange {
                activation: -1,
                weight: -128,
                ..
            }
        ));
    }

    #[rstest]
    #[case(0)]
    #[case(65535)]
    #[case(65537)]
    fn a_wrong_number_of_entries_is_refused(#[case] count: usize) {
        let errors = [
            ProductTable::from_entries(INT8, INT8, &vec![0; count]).unwrap_err(),
            ProductTable::from_slice(INT8, INT8, &vec![0; count]).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(
                error,
                MultiplierError::WrongEntryCount { expected: 65536, found, .. } if found == count
            ));
        }
    }

    #[test]
    fn tables_of_more_than_24_index_bits_are_refused() {
        let wide = OperandFormat::signed(13).unwrap();
        let error = ProductTable::exact(wide, OperandFormat::signed(12).unwrap()).unwrap_err();
        assert!(matches!(error, MultiplierError::TableTooLarge { .. }));
        assert!(error.to_string().contains("2^25"), "{error}");
        assert!(ProductTable::from_slice(wide, wide, &[]).is_err());
    }

    #[test]
    fn a_16_by_8_bit_table_fits() {
        let table = ProductTable::exact(OperandFormat::unsigned(16).unwrap(), OperandFormat::UINT8)
            .unwrap();
        assert_eq!(table.get(65535, 255), 65535 * 255);
    }

    #[test]
    fn maxima_are_magnitudes() {
        let table =
            ProductTable::from_fn(
                INT8,
                INT8,
                |a, b| if a == 3 { i64::from(i32::MIN) } else { -b },
            )
            .unwrap();
        assert_eq!(table.max_abs(), 1 << 31);
        let table = ProductTable::exact(INT8, INT8).unwrap();
        assert_eq!(table.max_abs(), 128 * 128);
    }

    #[test]
    fn debug_output_leaves_the_entries_out() {
        let text = format!("{:?}", ProductTable::exact(INT8, INT8).unwrap());
        assert!(text.len() < 300, "{text}");
    }

    proptest! {
        #[test]
        fn get_gives_what_the_function_gave(activation in formats(), weight in formats(), seed: i16) {
            let function = |a: i64, b: i64| a * b * i64::from(seed) + 3 * a - b;
            let table = ProductTable::from_fn(activation, weight, function).unwrap();
            let mut largest = 0;
            for a in activation.codes() {
                for b in weight.codes() {
                    let expected = function(a.into(), b.into());
                    prop_assert_eq!(i64::from(table.get(a, b)), expected);
                    largest = largest.max(expected.abs());
                }
            }
            prop_assert_eq!(table.max_abs(), largest);
            let entries: Vec<i64> = table.entries().iter().copied().map(i64::from).collect();
            prop_assert_eq!(ProductTable::from_entries(activation, weight, &entries).unwrap(), table.clone());
            prop_assert_eq!(ProductTable::from_slice(activation, weight, table.entries()).unwrap(), table);
        }

        #[test]
        fn swapping_twice_changes_nothing(activation in formats(), weight in formats(), seed: i16) {
            let table = ProductTable::from_fn(activation, weight, |a, b| a * i64::from(seed) - b * b).unwrap();
            let swapped = table.swapped();
            prop_assert_eq!((swapped.activation(), swapped.weight()), (weight, activation));
            for a in activation.codes() {
                for b in weight.codes() {
                    prop_assert_eq!(swapped.get(b, a), table.get(a, b));
                }
            }
            prop_assert_eq!(swapped.swapped(), table);
        }
    }
}
