//! What instruction sets compute, as plain Rust: for sets whose instructions do no better, and to compare others with.

use super::operands::{DigitLine, LANES, LOOKUPS, NARROW_LANES, PickedBlock, PickedTaps, Row};
use crate::word::CODES;

/// The sum of the products of four bytes.
#[inline(always)]
pub(super) fn byte_products(unsigned: i32, signed: i32) -> i32 {
    let signed = signed.to_ne_bytes().map(|byte| i32::from(byte as i8));
    let products = unsigned
        .to_ne_bytes()
        .map(i32::from)
        .into_iter()
        .zip(signed);
    products.map(|(unsigned, signed)| unsigned * signed).sum()
}

/// The sum of the products of two 16-bit words, modulo 2^32.
#[inline(always)]
pub(super) fn pair_products(a: i32, b: i32) -> i32 {
    ((a >> 16) * (b >> 16)).wrapping_add(i32::from(a as i16) * i32::from(b as i16))
}

/// A sum of float32 plus a product, each rounded.
#[inline(always)]
pub(super) fn add_float_product(sum: i32, a: i32, b: i32) -> i32 {
    let [sum, a, b] = [sum, a, b].map(|word| f32::from_bits(word as u32));
    (a * b + sum).to_bits() as i32
}

/// Transposes the 2 x 2 blocks of `BITS`-wide elements in two words; `low` selects the lower element of each pair.
#[inline(always)]
pub(crate) fn exchange<const BITS: u32>(a: u64, b: u64, low: u64) -> (u64, u64) {
    (
        (a & low) | (b & low) << BITS,
        (a >> BITS & low) | (b & !low),
    )
}

const LOW_16: u64 = 0x0000_ffff_0000_ffff;
const LOW_32: u64 = 0x0000_0000_ffff_ffff;

#[inline(always)]
pub(super) fn transpose_narrow(
    lines: &[&[u16; CODES]; NARROW_LANES],
    group: usize,
    rows: &mut [Row; 8],
) {
    for (half, rows) in rows.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        for (quad, lines) in lines.as_chunks::<4>().0.iter().enumerate() {
            // Four codes of one lane in each word; afterwards, four lanes of one code.
            let [a, b, c, d] = lines.map(|line| {
                let [e, f, g, h] = line.as_chunks::<4>().0[2 * group + half].map(u64::from);
                e | f << 16 | g << 32 | h << 48
            });
            let (ab, ba) = exchange::<16>(a, b, LOW_16);
            let (cd, dc) = exchange::<16>(c, d, LOW_16);
            let (first, third) = exchange::<32>(ab, cd, LOW_32);
            let (second, fourth) = exchange::<32>(ba, dc, LOW_32);
            for (row, products) in rows.iter_mut().zip([first, second, third, fourth]) {
                row.0[quad * 2] = products as u32;
                row.0[quad * 2 + 1] = (products >> 32) as u32;
            }
        }
    }
}

#[inline(always)]
pub(super) fn transpose_wide(lines: &[&[u32; CODES]; LANES], group: usize, rows: &mut [Row; 8]) {
    for (lane, line) in lines.iter().enumerate() {
        for (row, &product) in rows.iter_mut().zip(&line.as_chunks::<8>().0[group]) {
            row.0[lane] = product;
        }
    }
}

#[inline(always)]
pub(super) fn map_codes<const TABLES: usize>(
    tables: [&[u8; CODES]; TABLES],
    codes: &[u8],
    bytes: &mut [[u8; TABLES]],
) {
    for (bytes, &code) in bytes.iter_mut().zip(codes) {
        *bytes = tables.map(|table| table[usize::from(code)]);
    }
}

#[inline(always)]
pub(super) fn add_digits(
    lines: &[DigitLine],
    lane: &[u8],
    codes: &[u8],
    offsets: &[usize],
    start: usize,
) -> [[u32; LOOKUPS / 2]; 2] {
    let mut sums = [[0; LOOKUPS / 2]; 2];
    for (&line, offset) in lane.iter().zip(offsets) {
        let [low, high] = &lines[usize::from(line)].0;
        let codes = &codes[offset + start..][..LOOKUPS];
        for (position, code) in codes.iter().map(|&code| usize::from(code)).enumerate() {
            sums[position % 2][position / 2] += u32::from(low[code]) + (u32::from(high[code]) << 8);
        }
    }
    sums
}

#[inline(always)]
pub(super) fn add_picked<const PAIRS: bool>(
    taps: &PickedTaps<'_>,
    blocks: &[PickedBlock],
    sums: &mut [i32],
) {
    let bytes = if PAIRS { 2 } else { 1 };
    for block in blocks {
        let sums = &mut sums[block.output..][..LANES];
        sums.fill(0);
        for (offset, &weights) in taps.offsets.iter().zip(taps.weights) {
            let indices = taps.indices.as_chunks().0.iter();
            for (position, (sum, indices)) in sums.iter_mut().zip(indices).enumerate() {
                let part = position / taps.positions * taps.part;
                let elements = &taps.elements[(block.input + offset) * bytes + part..];
                let word = i32::from_ne_bytes(indices.map(|index| elements[usize::from(index)]));
                *sum = sum.wrapping_add(match PAIRS {
                    true => pair_products(word, weights),
                    false => byte_products(word, weights),
                });
            }
        }
    }
}
