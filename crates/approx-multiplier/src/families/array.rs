//! Array multipliers with parts left out: sums of partial products `2^(i + j) a_i b_j`, with `a_i` and `b_j` the
//! operands' bits.

use crate::{Factorization, FactorizationForm, MultiplierError, OperandFormat, Term};

/// The array without its `rows` lowest rows, those of the activation's bits, and without its `columns` lowest columns:
/// the partial products with `i >= rows` and `i + j >= columns`. The highest bit of a signed operand counts negatively.
pub(crate) fn broken_array(
    activation: OperandFormat,
    weight: OperandFormat,
    rows: u32,
    columns: u32,
) -> Result<Factorization, MultiplierError> {
    let (activation_bits, weight_bits) = (u32::from(activation.bits()), u32::from(weight.bits()));
    // Lower rows lie in the dropped columns altogether.
    let first = rows.max((columns + 1).saturating_sub(weight_bits));
    let bit = |i: u32| factors(activation, move |a| (a >> i) & 1);
    let value = |i: u32| {
        let is_sign = activation.is_signed() && i + 1 == activation_bits;
        if is_sign { -(1 << i) } else { 1 << i }
    };
    let low_mask = |i: u32| (1 << (columns - i)) - 1;
    // As few terms as there can be, and of small factors if possible.
    let terms = if columns < activation_bits {
        let whole_rows = (first < activation_bits).then(|| {
            Term::new(
                1 << first,
                factors(activation, |a| a >> first),
                factors(weight, |b| b),
            )
        });
        let dropped = (first..columns)
            .map(|i| Term::new(-value(i), bit(i), factors(weight, |b| b & low_mask(i))));
        whole_rows
            .into_iter()
            .chain(dropped)
            .collect::<Result<Vec<_>, _>>()?
    } else {
        (first..activation_bits)
            .map(|i| Term::new(value(i), bit(i), factors(weight, |b| b & !low_mask(i))))
            .collect::<Result<Vec<_>, _>>()?
    };
    Factorization::from_terms(activation, weight, FactorizationForm::Table, terms)
}

fn factors(format: OperandFormat, factor: impl Fn(i32) -> i32) -> Vec<i64> {
    format.codes().map(|code| factor(code).into()).collect()
}

/// The product of magnitudes by an array whose rows, those of the bits of `a`, are added from the lowest to the highest
/// by lower-part-OR adders with an OR of `columns` bits.
pub(super) fn lower_or(a: u64, b: u64, columns: u32) -> u64 {
    let mut sum = 0;
    for i in 0..u64::BITS - a.leading_zeros() {
        if (a >> i) & 1 == 1 {
            sum = lower_or_sum(sum, b << i, columns);
        }
    }
    sum
}

/// A sum whose `columns` lowest bits are the addends' OR. The carry into the others is the AND of their highest one.
fn lower_or_sum(x: u64, y: u64, columns: u32) -> u64 {
    if columns == 0 {
        return x + y;
    }
    let low = (x | y) & ((1 << columns) - 1);
    let carry = (x & y) >> (columns - 1) & 1;
    (((x >> columns) + (y >> columns) + carry) << columns) | low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{MultiplierFamily, Signedness};

    /// The kept partial products, one by one.
    fn partial_products(
        activation: OperandFormat,
        weight: OperandFormat,
        a: i32,
        b: i32,
        rows: u8,
        columns: u8,
    ) -> i64 {
        let bit = |format: OperandFormat, code: i32, i: u8| {
            let value = ((i64::from(code) >> i) & 1) << i;
            if format.is_signed() && i + 1 == format.bits() {
                -value
            } else {
                value
            }
        };
        let mut product = 0;
        for i in rows..activation.bits() {
            for j in 0..weight.bits() {
                if i + j >= columns {
                    product += bit(activation, a, i) * bit(weight, b, j);
                }
            }
        }
        product
    }

    /// The adder bit by bit, on lists of bits with the lowest first.
    fn add_bits(x: &[bool], y: &[bool], columns: usize) -> Vec<bool> {
        let mut carry = columns > 0 && x[columns - 1] && y[columns - 1];
        x.iter()
            .zip(y)
            .enumerate()
            .map(|(position, (&x, &y))| {
                if position < columns {
                    return x || y;
                }
                let sum = x ^ y ^ carry;
                carry = (x && y) || (carry && (x || y));
                sum
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_broken_array_is_the_sum_of_what_is_left(
            bits in (2u8..=7, 2u8..=7), signed in any::<(bool, bool)>(), levels in any::<(u8, u8)>(),
        ) {
            let format = |bits, signed| {
                let signedness = if signed { Signedness::Signed } else { Signedness::Unsigned };
                OperandFormat::new(bits, signedness).unwrap()
            };
            let (activation, weight) = (format(bits.0, signed.0), format(bits.1, signed.1));
            let (rows, columns) = (levels.0 % (bits.0 + 1), levels.1 % (bits.0 + bits.1));
            let family = MultiplierFamily::BrokenArray { horizontal: rows, vertical: columns };
            let multiplier = family.multiplier(activation, weight).unwrap();
            for a in activation.codes() {
                for b in weight.codes() {
                    let expected = partial_products(activation, weight, a, b, rows, columns);
                    prop_assert_eq!(multiplier.product(a, b), Some(expected), "{} {}", a, b);
                }
            }
            let truncated = MultiplierFamily::Truncated { columns }.multiplier(activation, weight).unwrap();
            let broken = MultiplierFamily::BrokenArray { horizontal: 0, vertical: columns }.multiplier(activation, weight).unwrap();
            prop_assert_eq!(truncated.hash(), broken.hash());
        }

        #[test]
        fn lower_or_adds_bit_by_bit(a in 0u64..65536, b in 0u64..65536, columns in 0u32..32) {
            let bits = |value: u64| -> Vec<bool> { (0..33).map(|i| (value >> i) & 1 == 1).collect() };
            let mut sum = bits(0);
            for i in 0..16 {
                let row = if (a >> i) & 1 == 1 { b << i } else { 0 };
                sum = add_bits(&sum, &bits(row), columns as usize);
            }
            prop_assert_eq!(bits(lower_or(a, b, columns)), sum);
        }
    }
}
