//! Operand formats: the bit width and signedness of an integer code, and how codes map to the indices of a table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::MultiplierError;

/// Whether an operand's codes are two's-complement or plain binary numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signedness {
    /// Two's complement: `-2^(bits - 1) ..= 2^(bits - 1) - 1`.
    Signed,
    /// Plain binary: `0 ..= 2^bits - 1`.
    Unsigned,
}

impl fmt::Display for Signedness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Signed => "signed",
            Self::Unsigned => "unsigned",
        })
    }
}

/// The format of one operand of a multiplier: 2 to 16 bits, signed or unsigned.
///
/// It converts between *codes*, the integers an operand stands for, and *patterns*, their bits read as an unsigned
/// number, which index a [`ProductTable`](crate::ProductTable).
///
/// As text ([`FromStr`]) it is written like a NumPy type, `int8` or `uint12`.
///
/// ```
/// use approx_multiplier::OperandFormat;
///
/// let format = OperandFormat::signed(8)?;
/// assert_eq!((format.min_code(), format.max_code()), (-128, 127));
/// assert_eq!(format.pattern(-1), 255);
/// assert_eq!(format.code(255), -1);
/// assert_eq!(format.to_string(), "8-bit signed");
/// assert_eq!("int8".parse::<OperandFormat>()?, format);
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "UncheckedFormat")]
pub struct OperandFormat {
    bits: u8,
    signedness: Signedness,
}

/// What a serialised format holds before its range is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedFormat {
    bits: u8,
    signedness: Signedness,
}

impl TryFrom<UncheckedFormat> for OperandFormat {
    type Error = MultiplierError;

    fn try_from(format: UncheckedFormat) -> Result<Self, MultiplierError> {
        Self::new(format.bits, format.signedness)
    }
}

impl OperandFormat {
    /// 8-bit signed codes, -128 to 127.
    pub const INT8: Self = Self {
        bits: 8,
        signedness: Signedness::Signed,
    };

    /// 8-bit unsigned codes, 0 to 255.
    pub const UINT8: Self = Self {
        bits: 8,
        signedness: Signedness::Unsigned,
    };

    /// The fewest bits of an operand.
    pub const MIN_BITS: u8 = 2;

    /// The most bits of an operand.
    pub const MAX_BITS: u8 = 16;

    /// A format of 2 to 16 bits.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::BitsOutOfRange`] for any other width.
    pub fn new(bits: u8, signedness: Signedness) -> Result<Self, MultiplierError> {
        if (Self::MIN_BITS..=Self::MAX_BITS).contains(&bits) {
            Ok(Self { bits, signedness })
        } else {
            Err(MultiplierError::BitsOutOfRange { bits })
        }
    }

    /// A signed format of 2 to 16 bits.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::BitsOutOfRange`] for any other width.
    pub fn signed(bits: u8) -> Result<Self, MultiplierError> {
        Self::new(bits, Signedness::Signed)
    }

    /// An unsigned format of 2 to 16 bits.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::BitsOutOfRange`] for any other width.
    pub fn unsigned(bits: u8) -> Result<Self, MultiplierError> {
        Self::new(bits, Signedness::Unsigned)
    }

    /// The bit width, 2 to 16.
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Whether the codes are signed.
    pub const fn signedness(self) -> Signedness {
        self.signedness
    }

    /// Whether the codes are signed, as a truth value.
    pub const fn is_signed(self) -> bool {
        matches!(self.signedness, Signedness::Signed)
    }

    /// The smallest code: `-2^(bits - 1)`, or 0 if unsigned.
    pub const fn min_code(self) -> i32 {
        match self.signedness {
            Signedness::Signed => -(1 << (self.bits - 1)),
            Signedness::Unsigned => 0,
        }
    }

    /// The largest code: `2^(bits - 1) - 1`, or `2^bits - 1` if unsigned.
    pub const fn max_code(self) -> i32 {
        match self.signedness {
            Signedness::Signed => (1 << (self.bits - 1)) - 1,
            Signedness::Unsigned => (1 << self.bits) - 1,
        }
    }

    /// How many codes there are: `2^bits`.
    pub const fn cardinality(self) -> usize {
        1 << self.bits
    }

    /// The bits that belong to a pattern: `2^bits - 1`.
    pub const fn mask(self) -> u32 {
        (1 << self.bits) - 1
    }

    /// The bits of `code` as an index, `code & mask`: two's complement if the format is signed.
    ///
    /// The result is always below [`cardinality`](Self::cardinality): of a code outside the format the low bits count,
    /// as they would at the circuit's input port. Ask [`contains`](Self::contains) to tell such codes apart.
    pub const fn pattern(self, code: i32) -> usize {
        (code.cast_unsigned() & self.mask()) as usize
    }

    /// The code whose bits are `pattern`, the inverse of [`pattern`](Self::pattern). Bits above the format's are
    /// ignored.
    pub const fn code(self, pattern: usize) -> i32 {
        let code = (pattern & self.mask() as usize) as i32;
        if code > self.max_code() {
            code - (1 << self.bits)
        } else {
            code
        }
    }

    /// Whether `code` is one of the format's.
    pub const fn contains(self, code: i32) -> bool {
        self.min_code() <= code && code <= self.max_code()
    }

    /// All codes in the order of their patterns: 0, 1, ..., and for a signed format the negative ones after the
    /// largest.
    pub fn codes(self) -> impl ExactSizeIterator<Item = i32> + DoubleEndedIterator + Clone {
        (0..self.cardinality()).map(move |pattern| self.code(pattern))
    }

    /// The format's name as NumPy would write it, `int8` or `uint12`; what [`FromStr`] reads.
    pub(crate) fn type_name(self) -> String {
        match self.signedness {
            Signedness::Signed => format!("int{}", self.bits),
            Signedness::Unsigned => format!("uint{}", self.bits),
        }
    }
}

impl fmt::Display for OperandFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-bit {}", self.bits, self.signedness)
    }
}

impl FromStr for OperandFormat {
    type Err = MultiplierError;

    fn from_str(text: &str) -> Result<Self, MultiplierError> {
        let (signedness, digits) = match (text.strip_prefix("int"), text.strip_prefix("uint")) {
            (Some(digits), _) => (Signedness::Signed, digits),
            (None, Some(digits)) => (Signedness::Unsigned, digits),
            (None, None) => return Err(MultiplierError::InvalidFormat { text: text.into() }),
        };
        let bits = digits
            .parse()
            .map_err(|_| MultiplierError::InvalidFormat { text: text.into() })?;
        Self::new(bits, signedness)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(2, Signedness::Signed, -2, 1)]
    #[case(2, Signedness::Unsigned, 0, 3)]
    #[case(8, Signedness::Signed, -128, 127)]
    #[case(8, Signedness::Unsigned, 0, 255)]
    #[case(16, Signedness::Signed, -32768, 32767)]
    #[case(16, Signedness::Unsigned, 0, 65535)]
    fn range_follows_from_bits_and_signedness(
        #[case] bits: u8,
        #[case] signedness: Signedness,
        #[case] min: i32,
        #[case] max: i32,
    ) {
        let format = OperandFormat::new(bits, signedness).unwrap();
        assert_eq!((format.min_code(), format.max_code()), (min, max));
        assert_eq!(format.cardinality(), (max - min + 1) as usize);
        assert!(format.contains(min) && format.contains(max));
        assert!(!format.contains(min - 1) && !format.contains(max + 1));
    }

    #[rstest]
    #[case(0)]
    #[case(1)]
    #[case(17)]
    #[case(255)]
    fn other_widths_are_refused(#[case] bits: u8) {
        let error = OperandFormat::signed(bits).unwrap_err();
        assert!(matches!(error, MultiplierError::BitsOutOfRange { bits: found } if found == bits));
        assert!(error.to_string().contains("2 to 16"));
        let json = format!(r#"{{"bits": {bits}, "signedness": "unsigned"}}"#);
        assert!(serde_json::from_str::<OperandFormat>(&json).is_err());
    }

    #[test]
    fn codes_come_in_pattern_order() {
        let codes: Vec<i32> = OperandFormat::signed(3).unwrap().codes().collect();
        assert_eq!(codes, [0, 1, 2, 3, -4, -3, -2, -1]);
    }

    #[test]
    fn serialises_as_bits_and_signedness() {
        let json = serde_json::to_string(&OperandFormat::INT8).unwrap();
        assert_eq!(json, r#"{"bits":8,"signedness":"signed"}"#);
    }

    #[rstest]
    #[case("int8", Some(OperandFormat::INT8))]
    #[case("uint8", Some(OperandFormat::UINT8))]
    #[case("int", None)]
    #[case("float8", None)]
    #[case("int-8", None)]
    #[case("int300", None)]
    #[case("int17", None)]
    #[case("", None)]
    fn parses_type_names(#[case] text: &str, #[case] expected: Option<OperandFormat>) {
        assert_eq!(text.parse().ok(), expected);
    }

    proptest! {
        #[test]
        fn pattern_and_code_are_inverse(bits in 2u8..=16, signed: bool, seed: u32) {
            let signedness = if signed { Signedness::Signed } else { Signedness::Unsigned };
            let format = OperandFormat::new(bits, signedness).unwrap();
            let pattern = seed as usize % format.cardinality();
            let code = format.code(pattern);
            prop_assert!(format.contains(code));
            prop_assert_eq!(format.pattern(code), pattern);
            prop_assert_eq!(format.type_name().parse::<OperandFormat>().unwrap(), format);
            let json = serde_json::to_string(&format).unwrap();
            prop_assert_eq!(serde_json::from_str::<OperandFormat>(&json).unwrap(), format);
        }

        #[test]
        fn pattern_of_any_code_is_an_index(bits in 2u8..=16, signed: bool, code: i32) {
            let signedness = if signed { Signedness::Signed } else { Signedness::Unsigned };
            let format = OperandFormat::new(bits, signedness).unwrap();
            prop_assert!(format.pattern(code) < format.cardinality());
            if format.contains(code) {
                prop_assert_eq!(format.code(format.pattern(code)), code);
            }
        }
    }
}
