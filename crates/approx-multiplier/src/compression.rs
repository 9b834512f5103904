//! Compact encoding of a table's entries, for the bundled library and for tables inside configuration files.
//!
//! Stored is the mixed second difference, `t[i][j] - t[i-1][j] - t[i][j-1] + t[i-1][j-1]`, with zeros outside the
//! table. It is constant for exact products and sparse for most circuits. Each difference is a zigzag LEB128 number, and
//! the whole is a raw deflate stream.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_with_limit};

use crate::table::{checked_entry, entry_count};
use crate::{MultiplierError, OperandFormat, ProductTable};

/// Deflate's best level without the very slow search above it.
const LEVEL: u8 = 9;

/// The most bytes of a difference: entries have 32 bits, differences of four of them 34, zigzag 35.
const MAX_BYTES_PER_ENTRY: usize = 5;

pub(crate) fn compress(table: &ProductTable) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(table.entries().len());
    let mut row_above = vec![0; table.weight().cardinality()];
    for row in table.entries().chunks_exact(row_above.len()) {
        let mut left_difference = 0;
        for (above, &entry) in row_above.iter_mut().zip(row) {
            let difference = i64::from(entry) - *above;
            push_number(&mut bytes, difference - left_difference);
            left_difference = difference;
            *above = entry.into();
        }
    }
    compress_to_vec(&bytes, LEVEL)
}

pub(crate) fn decompress(
    activation: OperandFormat,
    weight: OperandFormat,
    bytes: &[u8],
) -> Result<ProductTable, MultiplierError> {
    let count = entry_count(activation, weight)?;
    let bytes =
        decompress_to_vec_with_limit(bytes, count * MAX_BYTES_PER_ENTRY).map_err(|error| {
            invalid(match error.status {
                TINFLStatus::HasMoreOutput => "it is longer than the operand formats allow".into(),
                status => format!("the deflate stream is damaged ({status:?})"),
            })
        })?;
    let mut bytes = bytes.as_slice();
    let mut entries = Vec::with_capacity(count);
    let mut row_above = vec![0; weight.cardinality()];
    for _ in 0..activation.cardinality() {
        let mut left_difference = 0;
        for above in &mut row_above {
            // Numbers have at most 35 bits and there are at most 2^24 of them: the sums cannot overflow 64 bits.
            left_difference += take_number(&mut bytes).ok_or_else(|| {
                invalid(format!(
                    "it ends or is damaged at entry {} of {count}",
                    entries.len()
                ))
            })?;
            *above += left_difference;
            entries.push(checked_entry(
                activation,
                weight,
                entries.len(),
                (*above).into(),
            )?);
        }
    }
    if !bytes.is_empty() {
        return Err(invalid(format!(
            "it goes on after the last of {count} entries"
        )));
    }
    Ok(ProductTable::from_checked(
        activation,
        weight,
        entries.into(),
    ))
}

fn invalid(reason: String) -> MultiplierError {
    MultiplierError::InvalidCompressedTable { reason }
}

/// Appends a number in zigzag LEB128: seven bits a byte, the lowest first, the high bit set where more follow.
fn push_number(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Takes a number off the front; `None` if the bytes end inside it or it is too long.
fn take_number(bytes: &mut &[u8]) -> Option<i64> {
    let mut zigzag = 0;
    for position in 0..MAX_BYTES_PER_ENTRY {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        zigzag |= i64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((zigzag >> 1) ^ -(zigzag & 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small() -> OperandFormat {
        OperandFormat::signed(3).unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        let error = decompress(small(), small(), bytes).unwrap_err();
        assert!(
            matches!(error, MultiplierError::InvalidCompressedTable { .. }),
            "{error}"
        );
        error.to_string()
    }

    #[test]
    fn extreme_entries_survive() {
        let table = ProductTable::from_fn(small(), small(), |a, b| {
            i64::from(if (a + b) % 2 == 0 { i32::MIN } else { i32::MAX })
        })
        .unwrap();
        assert_eq!(
            decompress(small(), small(), &compress(&table)).unwrap(),
            table
        );
    }

    #[test]
    fn damaged_input_is_refused() {
        assert!(refusal(b"").contains("deflate"));
        assert!(refusal(b"not a deflate stream").contains("deflate"));
        assert!(refusal(&compress_to_vec(&[0; 63], LEVEL)).contains("entry 63 of 64"));
        assert!(refusal(&compress_to_vec(&[0; 65], LEVEL)).contains("after the last"));
        assert!(refusal(&compress_to_vec(&[0; 64 * 5 + 1], LEVEL)).contains("longer"));
        assert!(refusal(&compress_to_vec(&[0xff; 64], LEVEL)).contains("entry 0"));
    }

    #[test]
    fn an_entry_beyond_32_bits_is_refused() {
        let mut bytes = Vec::new();
        push_number(&mut bytes, 1 << 31);
        bytes.extend([0; 63]);
        let error = decompress(small(), small(), &compress_to_vec(&bytes, LEVEL)).unwrap_err();
        assert!(matches!(
            error,
            MultiplierError::EntryOutOfRange {
                activation: 0,
                weight: 0,
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn any_table_survives(entries in proptest::collection::vec(any::<i32>(), 64)) {
            let table = ProductTable::from_slice(small(), small(), &entries).unwrap();
            prop_assert_eq!(decompress(small(), small(), &compress(&table)).unwrap(), table);
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200), packed: bool) {
            let bytes = if packed { compress_to_vec(&bytes, 1) } else { bytes };
            let _ = decompress(small(), small(), &bytes);
        }
    }
}
