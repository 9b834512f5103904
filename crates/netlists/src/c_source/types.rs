//! C's integer types and literals, with the sizes that 64-bit Unix systems give them.

use crate::NetlistError;
use crate::lexer::{Lexer, TokenKind};

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Whatever is not 0 is 1.
    Bool,
    Integer {
        width: usize,
        signed: bool,
    },
}

impl Type {
    /// What smaller types become before they are computed with.
    pub const INT: Self = Self::Integer {
        width: 32,
        signed: true,
    };

    pub fn width(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Integer { width, .. } => width,
        }
    }

    pub fn is_signed(self) -> bool {
        matches!(self, Self::Integer { signed: true, .. })
    }

    /// The type that is computed in.
    pub fn promoted(self) -> Self {
        match self.width() < Self::INT.width() {
            true => Self::INT,
            false => self,
        }
    }

    /// The type that two promoted operands are computed in.
    pub fn common(self, other: Self) -> Self {
        let width = self.width().max(other.width());
        // A wider signed type holds all numbers of a narrower unsigned one.
        let signed = [self, other]
            .iter()
            .all(|operand| operand.is_signed() || operand.width() < width);
        Self::Integer { width, signed }
    }

    /// Whether a type starts with this word.
    pub fn starts_with(word: &str) -> bool {
        is_qualifier(word) || is_specifier(word)
    }

    /// Reads a type with its qualifiers; `expected` says what it is for.
    pub fn parse(lexer: &mut Lexer, expected: &str) -> Result<Self, NetlistError> {
        let start = lexer.token();
        let mut specifiers: Vec<&str> = Vec::new();
        loop {
            let token = lexer.token();
            let is_word = token.kind == TokenKind::Identifier;
            if token.is("std") {
                // C++ has C's types there.
                lexer.advance();
                lexer.expect(":")?;
                lexer.expect(":")?;
                continue;
            }
            if is_word && is_specifier(token.text) {
                specifiers.push(token.text);
            } else if !(is_word && is_qualifier(token.text)) {
                break;
            }
            lexer.advance();
        }
        if specifiers.is_empty() {
            return Err(lexer.unexpected(expected));
        }
        of_specifiers(&mut specifiers).ok_or_else(|| {
            lexer.error(
                start.offset,
                format!("the type \"{}\"", specifiers.join(" ")),
                "an integer type of up to 64 bits",
            )
        })
    }

    /// The number of a literal and its type; `None` if it is no integer of up to 64 bits.
    pub fn of_literal(text: &str) -> Option<(u64, Self)> {
        let lower = text.to_ascii_lowercase();
        let digits = lower.trim_end_matches(['u', 'l']);
        let suffix = &lower[digits.len()..];
        let is_unsigned = suffix.contains('u');
        let is_long = suffix.contains('l');
        let known = ["", "u", "l", "ul", "lu", "ll", "ull", "llu"];
        if !known.contains(&suffix) {
            return None;
        }
        let (digits, radix) = if let Some(digits) = digits.strip_prefix("0x") {
            (digits, 16)
        } else if let Some(digits) = digits.strip_prefix("0b") {
            (digits, 2)
        } else if digits.len() > 1 && digits.starts_with('0') {
            (&digits[1..], 8)
        } else {
            (digits, 10)
        };
        let number = u64::from_str_radix(digits, radix).ok()?;
        // The first type that holds the number; a decimal one is unsigned only if it says so.
        let candidates = [(32, true), (32, false), (64, true), (64, false)];
        let (width, signed) = candidates.into_iter().find(|&(width, signed)| {
            let bits = width - u32::from(signed);
            let fits = bits == 64 || number >> bits == 0;
            let may_be = if signed {
                !is_unsigned
            } else {
                is_unsigned || radix != 10
            };
            fits && may_be && (width == 64 || !is_long)
        })?;
        let width = width as usize;
        Some((number, Self::Integer { width, signed }))
    }
}

fn is_qualifier(word: &str) -> bool {
    matches!(word, "const" | "volatile" | "register")
}

fn is_specifier(word: &str) -> bool {
    matches!(
        word,
        "bool" | "_Bool" | "char" | "short" | "int" | "long" | "signed" | "unsigned" | "size_t"
    ) || fixed_width(word).is_some()
}

/// `int8_t` and its like.
fn fixed_width(word: &str) -> Option<Type> {
    let (signed, rest) = match word.strip_prefix("uint") {
        Some(rest) => (false, rest),
        None => (true, word.strip_prefix("int")?),
    };
    let width = match rest {
        "8_t" => 8,
        "16_t" => 16,
        "32_t" => 32,
        "64_t" => 64,
        _ => return None,
    };
    Some(Type::Integer { width, signed })
}

fn of_specifiers(specifiers: &mut [&str]) -> Option<Type> {
    if let [word] = specifiers
        && let Some(r#type) = fixed_width(word)
    {
        return Some(r#type);
    }
    // Words may come in any order.
    specifiers.sort_unstable();
    let words: Vec<&str> = specifiers
        .iter()
        .copied()
        .filter(|word| !matches!(*word, "signed" | "unsigned"))
        .collect();
    let signs = specifiers.len() - words.len();
    let signed = !specifiers.contains(&"unsigned");
    let width = match (words.as_slice(), signs) {
        (["bool"] | ["_Bool"], 0) => return Some(Type::Bool),
        (["size_t"], 0) => {
            return Some(Type::Integer {
                width: 64,
                signed: false,
            });
        }
        (["char"], ..=1) => 8,
        (["short"] | ["int", "short"], ..=1) => 16,
        ([], 1) | (["int"], ..=1) => 32,
        (["long"] | ["int", "long"] | ["long", "long"] | ["int", "long", "long"], ..=1) => 64,
        _ => return None,
    };
    Some(Type::Integer { width, signed })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::lexer::Dialect;

    #[rstest]
    #[case("uint8_t x", 8, false)]
    #[case("const int16_t x", 16, true)]
    #[case("unsigned x", 32, false)]
    #[case("long unsigned const int long x", 64, false)]
    #[case("signed char x", 8, true)]
    #[case("bool x", 1, false)]
    #[case("const std::uint16_t x", 16, false)]
    fn types_are_read(#[case] text: &str, #[case] width: usize, #[case] signed: bool) {
        let mut lexer = Lexer::new(text, Dialect::C);
        let r#type = Type::parse(&mut lexer, "a type").unwrap();
        assert_eq!((r#type.width(), r#type.is_signed()), (width, signed));
        assert!(lexer.token().is("x"));
    }

    #[rstest]
    #[case("float x", "expected a type")]
    #[case("short long x", "long short")]
    #[case("int int8_t x", "int int8_t")]
    fn other_words_are_no_types(#[case] text: &str, #[case] expected: &str) {
        let error = Type::parse(&mut Lexer::new(text, Dialect::C), "a type").unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[rstest]
    #[case("0", 0, 32, true)]
    #[case("2147483647", 0x7FFF_FFFF, 32, true)]
    #[case("2147483648", 1 << 31, 64, true)]
    #[case("0x80000000", 1 << 31, 32, false)]
    #[case("0xFFu", 255, 32, false)]
    #[case("010", 8, 32, true)]
    #[case("0b101", 5, 32, true)]
    #[case("1L", 1, 64, true)]
    #[case("1ULL", 1, 64, false)]
    #[case("0xFFFFFFFFFFFFFFFF", u64::MAX, 64, false)]
    fn literals_have_a_type(
        #[case] text: &str,
        #[case] number: u64,
        #[case] width: usize,
        #[case] signed: bool,
    ) {
        let r#type = Type::Integer { width, signed };
        assert_eq!(Type::of_literal(text), Some((number, r#type)));
    }

    #[rstest]
    #[case("08")]
    #[case("1.5")]
    #[case("0x")]
    #[case("1lul")]
    #[case("9223372036854775808")]
    #[case("99999999999999999999")]
    fn other_texts_are_no_literals(#[case] text: &str) {
        assert_eq!(Type::of_literal(text), None);
    }

    #[test]
    fn operands_are_converted_to_a_common_type() {
        let integer = |width, signed| Type::Integer { width, signed };
        assert_eq!(integer(8, false).promoted(), Type::INT);
        assert_eq!(Type::INT.common(integer(32, false)), integer(32, false));
        assert_eq!(
            integer(64, true).common(integer(32, false)),
            integer(64, true)
        );
        assert_eq!(Type::INT.common(integer(64, false)), integer(64, false));
    }
}
