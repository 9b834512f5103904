//! Compact encoding of a table's entries, for the bundled library and for tables inside configuration files, and of
//! factors.
//!
//! Of a table is stored the mixed second difference, `t[i][j] - t[i-1][j] - t[i][j-1] + t[i-1][j-1]`, with zeros
//! outside the table. It is constant for exact products and sparse for most circuits. Of a vector of factors it is the
//! difference of neighbours. Each difference is a zigzag LEB128 number, and the whole is a raw deflate stream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_with_limit};

use super::product::{ProductTable, checked_entry, entry_count};
use crate::{MultiplierError, OperandFormat};

/// Deflate's best level without the very slow search above it.
const LEVEL: u8 = 9;

/// The most bytes of a table's difference: entries have 32 bits, differences of four of them 34, zigzag 35.
const MAX_BYTES_PER_ENTRY: usize = 5;

/// The most bytes of a difference of factors, which have 64 bits and wrap around.
const MAX_BYTES_PER_FACTOR: usize = 10;

impl ProductTable {
    /// Encodes the entries compactly: the more regular the table, the fewer bytes, from some hundred for an 8 x 8-bit
    /// circuit that cuts operands off to a few thousand for most others. The formats are not part of it.
    ///
    /// ```
    /// use approx_multiplier::{OperandFormat, ProductTable};
    ///
    /// let table = ProductTable::exact(OperandFormat::INT8, OperandFormat::INT8)?;
    /// let bytes = table.to_compressed();
    /// assert!(bytes.len() < 1000);
    /// let decoded = ProductTable::from_compressed(table.activation(), table.weight(), &bytes)?;
    /// assert_eq!(decoded, table);
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    pub fn to_compressed(&self) -> Vec<u8> {
        compress(self)
    }

    /// The table that [`to_compressed`](Self::to_compressed) encoded.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidCompressedTable`] if the bytes do not encode a table of these formats, and
    /// [`MultiplierError::TableTooLarge`].
    pub fn from_compressed(
        activation: OperandFormat,
        weight: OperandFormat,
        bytes: &[u8],
    ) -> Result<Self, MultiplierError> {
        decompress(activation, weight, bytes)
    }
}

fn compress(table: &ProductTable) -> Vec<u8> {
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

fn decompress(
    activation: OperandFormat,
    weight: OperandFormat,
    bytes: &[u8],
) -> Result<ProductTable, MultiplierError> {
    let count = entry_count(activation, weight)?;
    let bytes = inflate(bytes, count * MAX_BYTES_PER_ENTRY)?;
    let mut bytes = bytes.as_slice();
    let mut entries = Vec::with_capacity(count);
    let mut row_above = vec![0; weight.cardinality()];
    for _ in 0..activation.cardinality() {
        let mut left_difference = 0;
        for above in &mut row_above {
            // Numbers have at most 35 bits and there are at most 2^24 of them: the sums cannot overflow 64 bits.
            left_difference += take_number(&mut bytes, MAX_BYTES_PER_ENTRY)
                .ok_or_else(|| ends_early(entries.len(), count))?;
            *above += left_difference;
            entries.push(checked_entry(
                activation,
                weight,
                entries.len(),
                (*above).into(),
            )?);
        }
    }
    check_end(bytes, count)?;
    Ok(ProductTable::from_checked(
        activation,
        weight,
        entries.into(),
    ))
}

pub(crate) fn compress_factors(factors: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(factors.len());
    let mut before = 0;
    for &factor in factors {
        push_number(&mut bytes, factor.wrapping_sub(before));
        before = factor;
    }
    compress_to_vec(&bytes, LEVEL)
}

pub(crate) fn decompress_factors(count: usize, bytes: &[u8]) -> Result<Vec<i64>, MultiplierError> {
    let bytes = inflate(bytes, count * MAX_BYTES_PER_FACTOR)?;
    let mut bytes = bytes.as_slice();
    let mut factor = 0i64;
    let factors = (0..count)
        .map(|index| {
            let difference = take_number(&mut bytes, MAX_BYTES_PER_FACTOR)
                .ok_or_else(|| ends_early(index, count))?;
            factor = factor.wrapping_add(difference);
            Ok(factor)
        })
        .collect::<Result<_, MultiplierError>>()?;
    check_end(bytes, count)?;
    Ok(factors)
}

/// The lowest bytes of all floats first, then the next: neighbours mostly share the high ones.
pub(crate) fn compress_floats(floats: &[f32]) -> Vec<u8> {
    let planes = (0..4).flat_map(|byte| floats.iter().map(move |float| float.to_le_bytes()[byte]));
    compress_to_vec(&planes.collect::<Vec<u8>>(), LEVEL)
}

pub(crate) fn decompress_floats(count: usize, bytes: &[u8]) -> Result<Vec<f32>, MultiplierError> {
    let bytes = inflate(bytes, 4 * count)?;
    if bytes.len() < 4 * count {
        return Err(ends_early(bytes.len() / 4, count));
    }
    let float = |index| f32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[byte * count + index]));
    Ok((0..count).map(float).collect())
}

/// Bytes as text.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, MultiplierError> {
    BASE64
        .decode(text)
        .map_err(|error| invalid(format!("it is not base64: {error}")))
}

fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, MultiplierError> {
    decompress_to_vec_with_limit(bytes, limit).map_err(|error| {
        invalid(match error.status {
            TINFLStatus::HasMoreOutput => "it is longer than the operand formats allow".into(),
            status => format!("the deflate stream is damaged ({status:?})"),
        })
    })
}

fn check_end(rest: &[u8], count: usize) -> Result<(), MultiplierError> {
    if rest.is_empty() {
        Ok(())
    } else {
        Err(invalid(format!(
            "it goes on after the last of {count} entries"
        )))
    }
}

fn ends_early(index: usize, count: usize) -> MultiplierError {
    invalid(format!("it ends or is damaged at entry {index} of {count}"))
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

/// Takes a number of at most so many bytes off the front; `None` if the bytes end inside it, or it is longer or has
/// more than 64 bits.
fn take_number(bytes: &mut &[u8], max_bytes: usize) -> Option<i64> {
    let mut zigzag = 0;
    for position in 0..max_bytes {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * position);
        if shifted >> (7 * position) != bits {
            return None;
        }
        zigzag |= shifted;
        if byte & 0x80 == 0 {
            return Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
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

    #[test]
    fn damaged_factors_are_refused() {
        let refusal = |bytes: &[u8]| {
            decompress_factors(4, &compress_to_vec(bytes, LEVEL))
                .unwrap_err()
                .to_string()
        };
        assert!(refusal(&[0; 3]).contains("entry 3 of 4"));
        assert!(refusal(&[0; 5]).contains("after the last"));
        assert!(refusal(&[0; 41]).contains("longer"));
        // Ten bytes hold 70 bits.
        let mut wide = [0xff; 10];
        wide[9] = 0x02;
        assert!(refusal(&wide).contains("entry 0"));
        wide[9] = 0x01;
        assert!(refusal(&wide).contains("entry 1"));
        assert!(decompress_factors(4, b"?").is_err());
    }

    proptest! {
        #[test]
        fn any_factors_survive(
            factors in proptest::collection::vec(prop_oneof![any::<i64>(), -3i64..=3, Just(i64::MIN), Just(i64::MAX)], 0..100),
        ) {
            let bytes = compress_factors(&factors);
            prop_assert_eq!(decompress_factors(factors.len(), &bytes).unwrap(), factors);
        }

        #[test]
        fn any_table_survives(entries in proptest::collection::vec(any::<i32>(), 64)) {
            let table = ProductTable::from_slice(small(), small(), &entries).unwrap();
            prop_assert_eq!(decompress(small(), small(), &compress(&table)).unwrap(), table);
        }

        #[test]
        fn any_floats_survive(floats in proptest::collection::vec(any::<f32>(), 0..100)) {
            let decoded = decompress_floats(floats.len(), &compress_floats(&floats)).unwrap();
            let bits = |floats: &[f32]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&decoded), bits(&floats));
            prop_assert!(decompress_floats(floats.len() + 1, &compress_floats(&floats)).is_err());
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200), packed: bool) {
            let bytes = if packed { compress_to_vec(&bytes, 1) } else { bytes };
            let _ = decompress(small(), small(), &bytes);
            let _ = decompress_factors(64, &bytes);
            let _ = decompress_floats(64, &bytes);
        }
    }
}
