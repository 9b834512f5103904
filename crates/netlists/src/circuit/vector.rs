//! Arithmetic on vectors of signals, lowest bit first: what the operators of C and Verilog are made of. Constants need
//! no gates: a shift by a constant is wiring, a mask removes what it masks.

use super::graph::GraphBuilder;
use super::signal::Signal;

/// A vector of `width` bits with the value `value`, extended by its sign.
pub(crate) fn constant(value: i64, width: usize) -> Vec<Signal> {
    (0..width)
        .map(|bit| Signal::constant(value >> bit.min(63) & 1 == 1))
        .collect()
}

/// The value of a vector of constants as an unsigned number; `None` if it is not constant or does not fit in 64 bits.
pub(crate) fn constant_value(vector: &[Signal]) -> Option<u64> {
    vector
        .iter()
        .enumerate()
        .try_fold(0, |value, (bit, signal)| match signal.as_constant()? {
            false => Some(value),
            true if bit < 64 => Some(value | 1 << bit),
            true => None,
        })
}

/// The vector with another width: cut, or extended by its highest bit if it is signed, else by zeros.
pub(crate) fn resized(vector: &[Signal], width: usize, signed: bool) -> Vec<Signal> {
    let fill = match vector.last() {
        Some(&sign) if signed => sign,
        _ => Signal::FALSE,
    };
    let mut resized = vector[..vector.len().min(width)].to_vec();
    resized.resize(width, fill);
    resized
}

pub(crate) fn not(vector: &[Signal]) -> Vec<Signal> {
    vector.iter().map(|&bit| !bit).collect()
}

pub(crate) fn and(graph: &mut GraphBuilder, a: &[Signal], b: &[Signal]) -> Vec<Signal> {
    a.iter().zip(b).map(|(&a, &b)| graph.and(a, b)).collect()
}

pub(crate) fn or(graph: &mut GraphBuilder, a: &[Signal], b: &[Signal]) -> Vec<Signal> {
    a.iter().zip(b).map(|(&a, &b)| graph.or(a, b)).collect()
}

pub(crate) fn xor(graph: &mut GraphBuilder, a: &[Signal], b: &[Signal]) -> Vec<Signal> {
    a.iter().zip(b).map(|(&a, &b)| graph.xor(a, b)).collect()
}

/// `a` where `select` is true, else `b`.
pub(crate) fn multiplex(
    graph: &mut GraphBuilder,
    select: Signal,
    a: &[Signal],
    b: &[Signal],
) -> Vec<Signal> {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| graph.multiplex(select, a, b))
        .collect()
}

/// Whether all bits are true, and so on for the other reductions.
pub(crate) fn all(graph: &mut GraphBuilder, vector: &[Signal]) -> Signal {
    vector
        .iter()
        .fold(Signal::TRUE, |all, &bit| graph.and(all, bit))
}

/// Whether any bit is true.
pub(crate) fn any(graph: &mut GraphBuilder, vector: &[Signal]) -> Signal {
    vector
        .iter()
        .fold(Signal::FALSE, |any, &bit| graph.or(any, bit))
}

/// Whether an odd number of bits is true.
pub(crate) fn parity(graph: &mut GraphBuilder, vector: &[Signal]) -> Signal {
    vector
        .iter()
        .fold(Signal::FALSE, |odd, &bit| graph.xor(odd, bit))
}

/// The sum of two vectors of the same width and a carry, and the carry out of it.
fn sum_and_carry(
    graph: &mut GraphBuilder,
    a: &[Signal],
    b: &[Signal],
    carry: Signal,
) -> (Vec<Signal>, Signal) {
    let mut carry = carry;
    let sum = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| {
            let (sum, out) = graph.full_adder(a, b, carry);
            carry = out;
            sum
        })
        .collect();
    (sum, carry)
}

pub(crate) fn add(graph: &mut GraphBuilder, a: &[Signal], b: &[Signal]) -> Vec<Signal> {
    sum_and_carry(graph, a, b, Signal::FALSE).0
}

pub(crate) fn subtract(graph: &mut GraphBuilder, a: &[Signal], b: &[Signal]) -> Vec<Signal> {
    sum_and_carry(graph, a, &not(b), Signal::TRUE).0
}

/// The lowest bits of the product of two vectors of the same width, as many as they have: the same for signed numbers.
pub(crate) fn multiply(graph: &mut GraphBuilder, a: &[Signal], b: &[Signal]) -> Vec<Signal> {
    let mut product = vec![Signal::FALSE; a.len()];
    for (shift, &bit) in b.iter().enumerate() {
        if bit == Signal::FALSE {
            continue;
        }
        let row: Vec<Signal> = a[..a.len() - shift]
            .iter()
            .map(|&a| graph.and(a, bit))
            .collect();
        let sum = add(graph, &product[shift..], &row);
        product.splice(shift.., sum);
    }
    product
}

/// Whether two vectors of the same width are equal.
pub(crate) fn equal(graph: &mut GraphBuilder, a: &[Signal], b: &[Signal]) -> Signal {
    let different = xor(graph, a, b);
    !any(graph, &different)
}

/// Whether a vector is less than another one of the same width.
pub(crate) fn less(graph: &mut GraphBuilder, a: &[Signal], b: &[Signal], signed: bool) -> Signal {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    if let (true, Some(a), Some(b)) = (signed, a.last_mut(), b.last_mut()) {
        // With their signs inverted, numbers are in the order of their patterns.
        (*a, *b) = (!*a, !*b);
    }
    !sum_and_carry(graph, &a, &not(&b), Signal::TRUE).1
}

/// The direction of a shift, and what it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shift {
    Left,
    Right,
    /// To the right, filling with the sign.
    RightSigned,
}

/// The vector shifted by an unsigned number of bits, however large.
pub(crate) fn shift(
    graph: &mut GraphBuilder,
    vector: &[Signal],
    amount: &[Signal],
    direction: Shift,
) -> Vec<Signal> {
    let width = vector.len();
    let fill = match (direction, vector.last()) {
        (Shift::RightSigned, Some(&sign)) => sign,
        _ => Signal::FALSE,
    };
    // The bits that follow these alone shift everything out.
    let few = amount
        .len()
        .min((usize::BITS - width.leading_zeros()) as usize);
    let mut shifted = vector.to_vec();
    for (position, &bit) in amount[..few].iter().enumerate() {
        let distance = 1usize << position;
        let moved: Vec<Signal> = (0..width)
            .map(|index| match direction {
                Shift::Left => match index.checked_sub(distance) {
                    Some(source) => shifted[source],
                    None => fill,
                },
                Shift::Right | Shift::RightSigned => {
                    *shifted.get(index + distance).unwrap_or(&fill)
                }
            })
            .collect();
        shifted = multiplex(graph, bit, &moved, &shifted);
    }
    let all_out = any(graph, &amount[few..]);
    for bit in &mut shifted {
        *bit = graph.multiplex(all_out, fill, *bit);
    }
    shifted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::any;
    use super::*;

    /// Evaluates a function of two vectors of the given widths.
    fn evaluated(
        widths: (usize, usize),
        (a, b): (u64, u64),
        function: impl Fn(&mut GraphBuilder, &[Signal], &[Signal]) -> Vec<Signal>,
    ) -> u64 {
        let mut graph = GraphBuilder::new(1 << 20);
        let first: Vec<Signal> = (0..widths.0).map(|_| graph.input()).collect();
        let second: Vec<Signal> = (0..widths.1).map(|_| graph.input()).collect();
        let outputs = function(&mut graph, &first, &second);
        graph
            .finish(&outputs)
            .unwrap()
            .evaluate(a | b << widths.0)
            .unwrap()
    }

    proptest! {
        #[test]
        fn operators_are_those_of_integers(width in 1usize..=20, a: u64, b: u64) {
            let mask = (1u64 << width) - 1;
            let (a, b) = (a & mask, b & mask);
            let at = |function: fn(&mut GraphBuilder, &[Signal], &[Signal]) -> Vec<Signal>| {
                evaluated((width, width), (a, b), function)
            };
            let signed = |x: u64| (x as i64) << (64 - width) >> (64 - width);
            prop_assert_eq!(at(and), a & b);
            prop_assert_eq!(at(or), a | b);
            prop_assert_eq!(at(xor), a ^ b);
            prop_assert_eq!(at(add), (a + b) & mask);
            prop_assert_eq!(at(subtract), a.wrapping_sub(b) & mask);
            prop_assert_eq!(at(multiply), a.wrapping_mul(b) & mask);
            prop_assert_eq!(at(|_, a, _| not(a)), !a & mask);
            prop_assert_eq!(at(|graph, a, b| vec![equal(graph, a, b)]), u64::from(a == b));
            prop_assert_eq!(at(|graph, a, b| vec![less(graph, a, b, false)]), u64::from(a < b));
            prop_assert_eq!(at(|graph, a, b| vec![less(graph, a, b, true)]), u64::from(signed(a) < signed(b)));
            prop_assert_eq!(at(|graph, a, _| vec![all(graph, a)]), u64::from(a == mask));
            prop_assert_eq!(at(|graph, a, _| vec![any(graph, a)]), u64::from(a != 0));
            prop_assert_eq!(at(|graph, a, _| vec![parity(graph, a)]), u64::from(a.count_ones() % 2 == 1));
            prop_assert_eq!(at(|_, a, _| resized(a, 24, true)), signed(a) as u64 & 0xFF_FFFF);
            prop_assert_eq!(at(|_, a, _| resized(a, 24, false)), a);
        }

        #[test]
        fn shifts_take_any_amount(width in 1usize..=20, amount_bits in 1usize..=7, a: u64, amount: u64) {
            let a = a & ((1u64 << width) - 1);
            let amount = amount & ((1 << amount_bits) - 1);
            let at = |direction| {
                evaluated((width, amount_bits), (a, amount), |graph, a, b| shift(graph, a, b, direction))
            };
            let mask = (1u128 << width) - 1;
            let sign_extended = ((a as i64) << (64 - width) >> (64 - width)) as i128;
            prop_assert_eq!(at(Shift::Left), (u128::from(a).checked_shl(amount as u32).unwrap_or(0) & mask) as u64);
            prop_assert_eq!(at(Shift::Right), (u128::from(a) >> amount) as u64);
            prop_assert_eq!(at(Shift::RightSigned), ((sign_extended >> amount) as u128 & mask) as u64);
        }

        #[test]
        fn constants_keep_their_value(value: i64, width in 1usize..=64) {
            let mask = u64::MAX >> (64 - width);
            prop_assert_eq!(constant_value(&constant(value, width)), Some(value as u64 & mask));
        }
    }

    #[test]
    fn shifts_by_constants_and_masks_need_no_gates() {
        let mut graph = GraphBuilder::new(100);
        let vector: Vec<Signal> = (0..8).map(|_| graph.input()).collect();
        let shifted = shift(&mut graph, &vector, &constant(3, 32), Shift::Right);
        let masked = and(&mut graph, &shifted, &constant(1, 8));
        assert_eq!(masked[0], vector[3]);
        assert_eq!(graph.finish(&masked).unwrap().gates(), 0);
    }
}
