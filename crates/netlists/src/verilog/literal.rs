//! Verilog's numbers: `42`, `8'hFF`, `4'sb1010`, `'d3`, and its texts, `"SINGLE_CY8"`, which are numbers, too.

use super::value::{MAX_WIDTH, Value};
use crate::circuit::signal::Signal;

/// Bits of a number without a size.
const UNSIZED: usize = 32;

/// The value of a number; the error says what it should be instead.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let Some((size, based)) = text.split_once('\'') else {
        let bits = decimal(text)?;
        return Ok(Value {
            bits: with_width(bits, None, true),
            signed: true,
        });
    };
    let size = match size.trim() {
        "" => None,
        size => Some(
            size.replace('_', "")
                .parse()
                .ok()
                .filter(|size| (1..=MAX_WIDTH).contains(size))
                .ok_or_else(|| format!("a size of 1 to {MAX_WIDTH} bits"))?,
        ),
    };
    let unsigned = based.strip_prefix(['s', 'S']);
    let (signed, based) = (unsigned.is_some(), unsigned.unwrap_or(based));
    let mut characters = based.chars();
    let base = characters.next().map(|base| base.to_ascii_lowercase());
    let digits = characters.as_str().trim();
    let bits = match base {
        Some('b') => powers_of_two(digits, 1)?,
        Some('o') => powers_of_two(digits, 3)?,
        Some('h') => powers_of_two(digits, 4)?,
        Some('d') => decimal(digits)?,
        _ => return Err("a number, such as 8'hFF or 255".into()),
    };
    Ok(Value {
        bits: with_width(bits, size, false),
        signed,
    })
}

/// The value of a text in quotes, of which each character has eight bits and the last one the lowest.
pub(super) fn parse_text(text: &str) -> Result<Value, String> {
    let characters = text.trim_matches('"').as_bytes();
    if characters.len() > MAX_WIDTH / 8 {
        return Err(format!("a text of at most {MAX_WIDTH} bits"));
    }
    let bit = |&byte: &u8| (0..8).map(move |bit| Signal::constant(byte >> bit & 1 == 1));
    let mut bits: Vec<Signal> = characters.iter().rev().flat_map(bit).collect();
    if bits.is_empty() {
        bits = vec![Signal::FALSE; 8];
    }
    Ok(Value {
        bits,
        signed: false,
    })
}

/// The bits, lowest first, in a given width; without one in 32 bits or as many as it takes, with a sign if it has one.
fn with_width(mut bits: Vec<Signal>, size: Option<usize>, signed: bool) -> Vec<Signal> {
    while bits.last() == Some(&Signal::FALSE) {
        bits.pop();
    }
    let least = UNSIZED.max(bits.len() + usize::from(signed));
    bits.resize(size.unwrap_or(least), Signal::FALSE);
    bits
}

fn decimal(digits: &str) -> Result<Vec<Signal>, String> {
    let number: u64 = digits
        .replace('_', "")
        .parse()
        .map_err(|_| "a whole decimal number below 2^64")?;
    Ok((0..64)
        .map(|bit| Signal::constant(number >> bit & 1 == 1))
        .collect())
}

fn powers_of_two(digits: &str, bits_per_digit: u32) -> Result<Vec<Signal>, String> {
    let mut bits = Vec::new();
    let largest = (1 << bits_per_digit) - 1;
    for digit in digits.chars().rev().filter(|&digit| digit != '_') {
        let value = digit
            .to_digit(largest + 1)
            .ok_or_else(|| format!("digits from 0 to {largest:x}: bits must be known"))?;
        bits.extend((0..bits_per_digit).map(|bit| Signal::constant(value >> bit & 1 == 1)));
        if bits.len() > MAX_WIDTH {
            return Err(format!("a number of at most {MAX_WIDTH} bits"));
        }
    }
    if bits.is_empty() {
        return Err("digits after the base".into());
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::circuit::vector::constant_value;

    #[rstest]
    #[case("42", 42, 32, true)]
    #[case("4_294_967_295", 0xFFFF_FFFF, 33, true)]
    #[case("8'hF_f", 255, 8, false)]
    #[case("4'b101", 5, 4, false)]
    #[case("2'b101", 1, 2, false)]
    #[case("6 'o 17", 15, 6, false)]
    #[case("16'SD300", 300, 16, true)]
    #[case("'h1", 1, 32, false)]
    #[case("'h1_0000_0000", 1 << 32, 33, false)]
    fn numbers_have_a_width(
        #[case] text: &str,
        #[case] value: u64,
        #[case] width: usize,
        #[case] signed: bool,
    ) {
        let literal = parse(text).unwrap();
        assert_eq!(constant_value(&literal.bits), Some(value));
        assert_eq!((literal.bits.len(), literal.signed), (width, signed));
    }

    #[rstest]
    #[case("\"A\"", 0x41, 8)]
    #[case("\"AB\"", 0x4142, 16)]
    #[case("\"\"", 0, 8)]
    fn texts_are_numbers(#[case] text: &str, #[case] value: u64, #[case] width: usize) {
        let literal = parse_text(text).unwrap();
        assert_eq!(constant_value(&literal.bits), Some(value));
        assert_eq!(literal.bits.len(), width);
        let long = format!("\"{}\"", "x".repeat(MAX_WIDTH));
        parse_text(&long).unwrap_err();
    }

    #[rstest]
    #[case("0'b1")]
    #[case("99999999'b1")]
    #[case("4'b1x0z")]
    #[case("4'b2")]
    #[case("4'h")]
    #[case("'")]
    #[case("8'q1")]
    #[case("99999999999999999999")]
    #[case("12ab")]
    fn other_texts_are_no_numbers(#[case] text: &str) {
        parse(text).unwrap_err();
    }
}
