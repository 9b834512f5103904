//! Raw little-endian tables. Nothing but the size tells what is in them.

use super::table::{self, Stated};
use super::{ImportError, ImportOptions, Imported, Location};
use crate::OperandFormat;

pub(super) fn parse(
    bytes: &[u8],
    name: &str,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let (bits, wide) = layout(bytes.len(), options)?;
    let formats = table::formats_of_bits(bits, &Stated::default(), name, options)?;
    table::check_index_bits(formats.formats)?;
    let entries: Vec<i64> = if wide {
        let (entries, _) = bytes.as_chunks();
        entries
            .iter()
            .map(|&entry| i32::from_le_bytes(entry).into())
            .collect()
    } else {
        let signed = formats.formats.iter().any(|format| format.is_signed());
        let (entries, _) = bytes.as_chunks();
        entries
            .iter()
            .map(|&entry| {
                if signed {
                    i16::from_le_bytes(entry).into()
                } else {
                    u16::from_le_bytes(entry).into()
                }
            })
            .collect()
    };
    formats.multiplier_of_entries(&entries, name, options)
}

/// The operands' bits in the order of the file, and whether entries have 32 bits instead of 16.
fn layout(size: usize, options: &ImportOptions) -> Result<([u8; 2], bool), ImportError> {
    let wrong = |expected: String| ImportError::Unexpected {
        location: Location::default(),
        found: format!("{size} bytes"),
        expected,
    };
    if let Some(bits) = options.bits {
        let bits = if options.swap_operands {
            [bits[1], bits[0]]
        } else {
            bits
        };
        // Widths out of range have formats that say so.
        let entries = 1usize
            .checked_shl(u32::from(bits[0]) + u32::from(bits[1]))
            .unwrap_or(0);
        return [(2, false), (4, true)]
            .into_iter()
            .find(|(width, _)| entries.checked_mul(*width) == Some(size))
            .map(|(_, wide)| (bits, wide))
            .ok_or_else(|| {
                wrong(format!(
                    "2 or 4 for each product of {} x {} bits",
                    bits[0], bits[1]
                ))
            });
    }
    // 2^(2 n) products of 2 or 4 bytes: an odd or an even power of two.
    let exponent = size.checked_ilog2().unwrap_or(0);
    let wide = exponent.is_multiple_of(2);
    let bits = (exponent.saturating_sub(1) / 2) as u8;
    let possible = OperandFormat::MIN_BITS..=OperandFormat::MAX_BITS;
    if size.is_power_of_two() && possible.contains(&bits) {
        Ok(([bits, bits], wide))
    } else {
        Err(wrong(
            "2 or 4 for each product of two operands of as many bits, unless the options give the bits".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(131_072, None, Some(([8, 8], false)))]
    #[case(262_144, None, Some(([8, 8], true)))]
    #[case(32, None, Some(([2, 2], false)))]
    #[case(64, None, Some(([2, 2], true)))]
    #[case(65_536, None, Some(([7, 7], true)))]
    #[case(0, None, None)]
    #[case(1, None, None)]
    #[case(8, None, None)]
    #[case(131_073, None, None)]
    #[case(8192, Some([8, 4]), Some(([8, 4], false)))]
    #[case(16384, Some([8, 4]), Some(([8, 4], true)))]
    #[case(32768, Some([8, 4]), None)]
    #[case(32768, Some([255, 255]), None)]
    fn the_size_tells_the_layout(
        #[case] size: usize,
        #[case] bits: Option<[u8; 2]>,
        #[case] expected: Option<([u8; 2], bool)>,
    ) {
        let options = ImportOptions {
            bits,
            ..ImportOptions::default()
        };
        assert_eq!(layout(size, &options).ok(), expected);
    }
}
