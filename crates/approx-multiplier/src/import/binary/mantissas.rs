//! Tables of mantissas, which simulators of approximate floating-point multipliers use: `2^m x 2^m` bytes, one for each
//! pair of mantissas of `m` bits. They are as long as tables of products of integers, and are none.

use crate::import::Note;

/// The mean relative error up to which bytes are taken for mantissas: random bytes are off by a quarter and more.
const MAX_RELATIVE_ERROR: f64 = 0.125;

/// The bit of a byte that says that the product is 2 or more, and is halved.
const CARRY: u8 = 0x80;

/// The warning about a file whose bytes are near to `(1 + a / 2^m) (1 + b / 2^m)`, if they are.
pub(super) fn warning(bytes: &[u8]) -> Option<Note> {
    let exponent = bytes.len().checked_ilog2()?;
    let bits = exponent / 2;
    if !bytes.len().is_power_of_two() || !exponent.is_multiple_of(2) || !(2..=7).contains(&bits) {
        return None;
    }
    let codes = 1usize << bits;
    let significand = |code: usize| 1.0 + code as f64 / codes as f64;
    let error = |(index, &byte): (usize, &u8)| {
        let exact = significand(index / codes) * significand(index % codes);
        let fraction = 1.0 + f64::from(byte & !CARRY) / f64::from(CARRY);
        let product = fraction * if byte & CARRY != 0 { 2.0 } else { 1.0 };
        (product / exact - 1.0).abs()
    };
    let mean = bytes.iter().enumerate().map(error).sum::<f64>() / bytes.len() as f64;
    (mean <= MAX_RELATIVE_ERROR).then(|| {
        Note::warning(format!(
            "The file looks like one of a floating-point multiplier with mantissas of {bits} bits: read as (1 + a / \
             {codes}) (1 + b / {codes}) with the carry in bit 7, its bytes have a mean relative error of {:.1} %. Such a \
             table is no multiplier of integers.",
            100.0 * mean
        ))
    })
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;

    /// The bytes of a table of mantissas.
    fn table(bits: u32, product: impl Fn(f64, f64) -> f64) -> Vec<u8> {
        let codes = 1 << bits;
        let pairs = (0..codes).flat_map(|a| (0..codes).map(move |b| (a, b)));
        pairs
            .map(|(a, b)| {
                let [a, b] = [a, b].map(|code| f64::from(code) / f64::from(codes));
                let product = product(a, b);
                match product >= 2.0 {
                    true => 0x80 | ((product / 2.0 - 1.0) * 128.0) as u8,
                    false => ((product - 1.0) * 128.0) as u8,
                }
            })
            .collect()
    }

    #[test]
    fn mantissas_are_told_from_products() {
        for bits in 2..=7 {
            assert!(warning(&table(bits, |a, b| (1.0 + a) * (1.0 + b))).is_some());
            // Mitchell's approximation.
            let sum = |a: f64, b: f64| {
                if a + b < 1.0 {
                    1.0 + a + b
                } else {
                    2.0 * (a + b)
                }
            };
            assert!(warning(&table(bits, sum)).is_some());
            let codes = 1u32 << bits;
            let products = (0..codes * codes).map(|index| (index / codes * (index % codes)) as u8);
            assert!(warning(&products.collect::<Vec<u8>>()).is_none());
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
        let bytes: Vec<u8> = (0..4096).map(|_| random.next_u64() as u8).collect();
        assert!(warning(&bytes).is_none());
        assert!(warning(&[0; 63]).is_none());
    }
}
