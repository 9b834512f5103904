//! From operand values to the elements that the integer kernels multiply.
//!
//! An activation becomes a bit pattern (quantisation), a pattern becomes one element per term of the multiplier (a map
//! of all patterns, read from a table or computed where bit operations and an addition say the same), and the elements
//! of neighbouring channels are interleaved, because one instruction multiplies four bytes or two 16-bit words at a
//! time. Each step works on rows of any length; rows of a few thousand stay in the first cache between the steps.

use std::marker::PhantomData;

use bytemuck::{cast_slice, cast_slice_mut};

use crate::arch::{InstructionSet, Instructions, Kernel, compiled_for_every_set};
use crate::quantize::ChannelQuantizer;
use crate::word::{CODES, Element, Pattern};

/// Elements of a long row, and of a short one, that are worked on at once.
const BLOCK: usize = 64;
const SHORT_BLOCK: usize = 16;

compiled_for_every_set! {
    /// Writes the bit patterns of the values' codes, `code & mask`, and returns whether every value is a number; the
    /// pattern of a NaN is unspecified.
    ///
    /// # Panics
    /// If `patterns` has another length than `values`.
    #[must_use]
    pub(crate) fn quantize_row<P: Pattern>(
        set,
        quantizer: ChannelQuantizer,
        mask: P,
        values: &[f32];
        patterns: &mut [P],
    ) -> bool {
        assert_eq!(values.len(), patterns.len(), "one pattern per value");
        if values.len() >= BLOCK {
            quantize_blocks::<P, BLOCK>(quantizer, mask, values, patterns)
        } else {
            quantize_blocks::<P, SHORT_BLOCK>(quantizer, mask, values, patterns)
        }
    }
}

/// Quantises a row in blocks, of which the last one ends where the row ends, even if some of it is done already.
#[inline(always)]
fn quantize_blocks<P: Pattern, const LENGTH: usize>(
    quantizer: ChannelQuantizer,
    mask: P,
    values: &[f32],
    patterns: &mut [P],
) -> bool {
    let (blocks, rest) = values.as_chunks::<LENGTH>();
    let to_blocks = patterns.as_chunks_mut::<LENGTH>().0;
    let mut numbers = true;
    for (patterns, values) in to_blocks.iter_mut().zip(blocks) {
        numbers &= quantize_values(quantizer, mask, values, patterns);
    }
    match (
        values.last_chunk::<LENGTH>(),
        patterns.last_chunk_mut::<LENGTH>(),
    ) {
        (Some(values), Some(patterns)) if !rest.is_empty() => {
            numbers & quantize_values(quantizer, mask, values, patterns)
        }
        (Some(_), Some(_)) => numbers,
        _ => quantize_values(quantizer, mask, values, patterns),
    }
}

#[inline(always)]
fn quantize_values<P: Pattern>(
    quantizer: ChannelQuantizer,
    mask: P,
    values: &[f32],
    patterns: &mut [P],
) -> bool {
    let mut numbers = true;
    for (pattern, value) in patterns.iter_mut().zip(values) {
        let (word, number) = quantizer.bit_pattern(*value);
        *pattern = P::truncate(word) & mask;
        numbers &= number;
    }
    numbers
}

/// The element of every bit pattern, prepared for rows of patterns.
#[derive(Debug, Clone)]
pub(crate) struct ElementMap<P, E> {
    /// A power of two of elements, by the low bits of a pattern.
    table: Vec<E>,
    affine: Option<Affine>,
    /// The low and, if elements have two, the high bytes of the elements of all patterns of one byte; none where the
    /// map is affine or patterns are wider.
    bytes: Vec<[u8; CODES]>,
    pattern: PhantomData<P>,
}

/// `((pattern & mask) >> shift ^ flip) + offset`, whose low bits are the element: codes with a constant added, negated,
/// truncated, or one digit of them.
#[derive(Debug, Clone, Copy)]
struct Affine {
    mask: u16,
    shift: u32,
    flip: u16,
    offset: u16,
}

impl Affine {
    #[inline(always)]
    fn element<P: Pattern, E: Element>(self, pattern: P) -> E {
        let bits = (pattern.widen() as u16 & self.mask) >> self.shift;
        E::truncate((bits ^ self.flip).wrapping_add(self.offset).into())
    }

    /// The form of a table whose length is a power of two, if it has one.
    fn of<E: Element>(table: &[E]) -> Option<Affine> {
        let matters = |bit: &u32| {
            (0..table.len()).any(|pattern| table[pattern] != table[pattern ^ (1 << bit)])
        };
        let bits = (0..table.len().ilog2()).filter(matters);
        let mask = bits.fold(0u16, |mask, bit| mask | 1 << bit);
        // A truncated code keeps its place, one digit of it moves to the bottom.
        [0, mask.trailing_zeros() % u16::BITS]
            .into_iter()
            .find_map(|shift| {
                let bits = mask >> shift;
                let sign = bits.checked_ilog2().map_or(0, |bit| 1 << bit);
                // Unsigned, signed, and the negatives of both.
                [0, sign, bits, bits ^ sign].into_iter().find_map(|flip| {
                    let offset = (table[0].widen() as u16).wrapping_sub(flip);
                    let form = Affine {
                        mask,
                        shift,
                        flip,
                        offset,
                    };
                    (0..=u16::MAX)
                        .zip(table)
                        .all(|(pattern, &element)| form.element::<u16, E>(pattern) == element)
                        .then_some(form)
                })
            })
    }
}

impl<P: Pattern, E: Element> ElementMap<P, E> {
    /// The map to `table[pattern]`. Bits of a pattern beyond the table's length are ignored.
    ///
    /// # Panics
    /// If the table's length is not a power of two, or larger than the number of patterns.
    pub(crate) fn new(table: &[E]) -> Self {
        let patterns = 1 << (8 * size_of::<P>());
        assert!(
            table.len().is_power_of_two() && table.len() <= patterns,
            "an element for every pattern of some width"
        );
        let affine = Affine::of(table);
        ElementMap {
            bytes: if affine.is_none() && patterns == CODES {
                let byte = |code: usize, plane: usize| table[code].widen() >> (8 * plane);
                (0..size_of::<E>())
                    .map(|plane| std::array::from_fn(|code| byte(code % table.len(), plane) as u8))
                    .collect()
            } else {
                Vec::new()
            },
            affine,
            table: table.to_vec(),
            pattern: PhantomData,
        }
    }

    /// The element of one pattern.
    #[inline(always)]
    pub(crate) fn element(&self, pattern: P) -> E {
        self.table[pattern.widen() as usize & (self.table.len() - 1)]
    }

    /// Writes the elements of a row of patterns.
    ///
    /// # Panics
    /// If `elements` has another length than `patterns`.
    pub(crate) fn map_row(&self, set: InstructionSet, patterns: &[P], elements: &mut [E]) {
        assert_eq!(patterns.len(), elements.len(), "one element per pattern");
        if let Some(affine) = self.affine {
            return evaluate(set, affine, patterns, elements);
        }
        if self.bytes.len() <= set.facts().mapped_tables {
            match self.bytes.as_slice() {
                [bytes] => {
                    let map = MapBytes {
                        tables: [bytes],
                        patterns: cast_slice(patterns),
                    };
                    return set.run(map, cast_slice_mut(elements));
                }
                [low, high] => {
                    let map = MapBytes {
                        tables: [low, high],
                        patterns: cast_slice(patterns),
                    };
                    return set.run(map, cast_slice_mut(elements));
                }
                _ => (),
            }
        }
        for (element, &pattern) in elements.iter_mut().zip(patterns) {
            *element = self.element(pattern);
        }
    }
}

compiled_for_every_set! {
    fn evaluate<P: Pattern, E: Element>(set, affine: Affine, patterns: &[P]; elements: &mut [E]) {
        if affine.shift == 0 {
            // Where both are bytes, nothing but a shift would take wider words.
            let affine = Affine { shift: 0, ..affine };
            for (element, &pattern) in elements.iter_mut().zip(patterns) {
                *element = affine.element(pattern);
            }
        } else {
            for (element, &pattern) in elements.iter_mut().zip(patterns) {
                *element = affine.element(pattern);
            }
        }
    }
}

compiled_for_every_set! {
    /// Writes the elements of four channels side by side, position after position.
    ///
    /// # Panics
    /// If a row has another length than `quads`.
    pub(crate) fn interleave_quads(set, rows: [&[u8]; 4]; quads: &mut [[u8; 4]]) {
        assert!(rows.iter().all(|row| row.len() == quads.len()), "rows of one length");
        let [a, b, c, d] = rows;
        for ((((quad, a), b), c), d) in quads.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *quad = [*a, *b, *c, *d];
        }
    }
}

compiled_for_every_set! {
    /// Writes the elements of two channels side by side, position after position.
    ///
    /// # Panics
    /// If a row has another length than `pairs`.
    pub(crate) fn interleave_pairs(set, rows: [&[i16]; 2]; pairs: &mut [[i16; 2]]) {
        assert!(rows.iter().all(|row| row.len() == pairs.len()), "rows of one length");
        let [a, b] = rows;
        for ((pair, a), b) in pairs.iter_mut().zip(a).zip(b) {
            *pair = [*a, *b];
        }
    }
}

/// Writes the bytes of every pattern, one of each table, side by side.
struct MapBytes<'a, const BYTES: usize> {
    tables: [&'a [u8; CODES]; BYTES],
    patterns: &'a [u8],
}

impl<const BYTES: usize> Kernel for MapBytes<'_, BYTES> {
    type Target = [[u8; BYTES]];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, elements: &mut [[u8; BYTES]]) {
        instructions.map_codes(self.tables, self.patterns, elements);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::word::Word;

    fn quantizer(zero_point: i32, low: i32, high: i32) -> ChannelQuantizer {
        ChannelQuantizer {
            scale: 0.25,
            reciprocal: 4.0,
            zero_point: zero_point as f32,
            low: low as f32,
            high: high as f32,
        }
    }

    /// Quantises on every instruction set and compares with the contract's code.
    fn check_quantized<P: Pattern>(quantizer: ChannelQuantizer, mask: P, values: &[f32]) {
        let expected: Vec<P> = values
            .iter()
            .map(|value| P::truncate(quantizer.code(*value) as i32 as u32) & mask)
            .collect();
        for &set in InstructionSet::available() {
            let mut patterns = vec![P::default(); values.len()];
            assert!(
                quantize_row(set, quantizer, mask, values, &mut patterns),
                "{set:?}"
            );
            assert!(patterns == expected, "{set:?} {quantizer:?} {values:?}");
        }
    }

    /// Maps on every instruction set, from an odd address to another, and compares with the table.
    fn check_mapped<P: Pattern, E: Element>(table: &[E], patterns: &[P]) {
        let map = ElementMap::<P, E>::new(table);
        let entry = |pattern: P| table[pattern.widen() as usize % table.len()];
        for &set in InstructionSet::available() {
            let mut elements = vec![E::default(); patterns.len()];
            for start in 0..patterns.len().min(2) {
                map.map_row(set, &patterns[start..], &mut elements[start..]);
                for (&element, &pattern) in elements[start..].iter().zip(&patterns[start..]) {
                    assert!(element == entry(pattern), "{set:?} {map:?}");
                }
            }
        }
        assert!(
            patterns
                .iter()
                .all(|&pattern| map.element(pattern) == entry(pattern))
        );
    }

    /// All patterns of `width` bits with random bits above them.
    fn all_patterns<P: Pattern>(width: u32, seed: u32) -> Vec<P> {
        (0..1u32 << width)
            .map(|pattern| P::truncate(pattern | seed.wrapping_mul(pattern | 1) << width))
            .collect()
    }

    proptest! {
        #[test]
        fn patterns_are_those_of_the_codes(
            values in prop::collection::vec(-9e3f32..9e3, 0..200), wide in any::<bool>(),
            bits in 2u32..=8, signed: bool, zero in 0.0f32..=1.0,
        ) {
            let bits = if wide { 2 * bits } else { bits };
            let (low, high) = if signed { (-1 << (bits - 1), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) };
            let quantizer = quantizer(low + (zero * (high - low) as f32) as i32, low, high);
            if wide {
                check_quantized(quantizer, ((1u32 << bits) - 1) as u16, &values);
            } else {
                check_quantized(quantizer, ((1u32 << bits) - 1) as u8, &values);
            }
        }

        #[test]
        fn a_nan_is_noticed_wherever_it_is(length in 1usize..200, position in any::<prop::sample::Index>()) {
            let mut values = vec![1.0; length];
            values[position.index(length)] = f32::NAN;
            for &set in InstructionSet::available() {
                let mut patterns = vec![0u8; length];
                prop_assert!(!quantize_row(set, quantizer(0, -128, 127), 0xff, &values, &mut patterns));
                let mut patterns = vec![0u16; length];
                prop_assert!(!quantize_row(set, quantizer(0, -128, 127), 0xff, &values, &mut patterns));
            }
        }

        #[test]
        fn maps_follow_their_tables(
            width in 1u32..=8, seed: u32, words in prop::collection::vec(any::<u32>(), 256), length in 0usize..200,
        ) {
            let bytes: Vec<u8> = words[..1 << width].iter().map(|&word| word as u8).collect();
            let words: Vec<i16> = words[..1 << width].iter().map(|&word| word as i16).collect();
            check_mapped(&bytes, &all_patterns::<u8>(width, seed));
            check_mapped(&words, &all_patterns::<u8>(width, seed));
            check_mapped(&bytes, &all_patterns::<u16>(width, seed));
            check_mapped(&words, &all_patterns::<u16>(width, seed));
            let row: Vec<u8> = (0..length).map(|position| (seed as usize * position) as u8).collect();
            check_mapped(&bytes, &row);
            check_mapped(&words, &row);
        }

        #[test]
        fn affine_maps_are_recognized(
            width in 1u32..=12, mask: u32, digit: bool, signed: bool, negative: bool, offset: u32, seed: u32,
        ) {
            let mask = mask & ((1 << width) - 1);
            let code = |pattern: usize| {
                let bits = pattern as u32 & mask;
                let shift = if digit && mask != 0 { mask.trailing_zeros() } else { 0 };
                let code = match mask.checked_ilog2() {
                    Some(sign) if signed => (bits ^ 1 << sign).wrapping_sub(1 << sign) as i32 >> shift,
                    _ => bits as i32 >> shift,
                };
                (if negative { -code } else { code }).wrapping_add(offset as i32) as u32
            };
            let words: Vec<i16> = (0..1 << width).map(|pattern| i16::truncate(code(pattern))).collect();
            prop_assert!(ElementMap::<u16, i16>::new(&words).affine.is_some());
            check_mapped(&words, &all_patterns::<u16>(width, seed));
            if width <= 8 {
                let bytes: Vec<u8> = (0..1 << width).map(|pattern| u8::truncate(code(pattern))).collect();
                prop_assert!(ElementMap::<u8, u8>::new(&bytes).affine.is_some());
                check_mapped(&bytes, &all_patterns::<u8>(width, seed));
                check_mapped(&words, &all_patterns::<u8>(width, seed));
            }
        }

        #[test]
        fn rows_are_interleaved(length in 0usize..200, from in 0usize..4, to in 0usize..4, seed: u32) {
            let words: Vec<i16> = (0..4 * length + from).map(|i| (seed as usize).wrapping_mul(i + 1) as i16).collect();
            let bytes: Vec<u8> = words.iter().map(|&word| word as u8).collect();
            for &set in InstructionSet::available() {
                let rows: [&[u8]; 4] = std::array::from_fn(|row| &bytes[from + row * length..][..length]);
                let mut quads = vec![[0; 4]; to + length];
                interleave_quads(set, rows, &mut quads[to..]);
                prop_assert!((0..length).all(|i| quads[to + i] == rows.map(|row| row[i])));
                let rows: [&[i16]; 2] = std::array::from_fn(|row| &words[from + row * length..][..length]);
                let mut pairs = vec![[0; 2]; to + length];
                interleave_pairs(set, rows, &mut pairs[to..]);
                prop_assert!((0..length).all(|i| pairs[to + i] == rows.map(|row| row[i])));
            }
        }
    }

    #[test]
    fn every_wide_code_is_mapped() {
        let table: Vec<i16> = (0..1u32 << 16)
            .map(|pattern| (pattern.wrapping_mul(40_503) >> 3) as i16)
            .collect();
        check_mapped(&table, &all_patterns::<u16>(16, 0));
        let digit: Vec<i16> = (0..1u32 << 16)
            .map(|pattern| (pattern as i16) >> 8)
            .collect();
        assert!(ElementMap::<u16, i16>::new(&digit).affine.is_some());
        check_mapped(&digit, &all_patterns::<u16>(16, 0));
    }

    #[test]
    fn extreme_values_take_the_codes_at_the_ends() {
        let values = [
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            0.125,
            0.375,
            -0.0,
        ]
        .repeat(20);
        check_quantized(quantizer(3, -128, 127), 0xffu8, &values);
        check_quantized(quantizer(65_535, 0, 65_535), 0xffffu16, &values);
        check_quantized(quantizer(-32_768, -32_768, 32_767), 0xffffu16, &values);
    }
}
