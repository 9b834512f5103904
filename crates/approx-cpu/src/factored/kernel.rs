//! The inner loop of both products: sums of products of lane words with broadcast words.
//!
//! A word is 32 bits wide and holds the elements of neighbouring taps: four bytes, or two 16-bit integers. For every
//! group of taps, the words of up to 48 lanes are loaded once and each is multiplied with a word of up to eight rows,
//! which all lanes share: `sums[row][lane] += dot(lane word, row word)`. The sums stay in registers for as long as the
//! groups last.
//!
//! In a convolution the lanes are output positions and the rows output channels; in a matrix product the lanes are
//! columns and the rows rows. So either operand can be in the lanes, which matters for bytes: those of activations are
//! unsigned, those of weights are signed.

use std::marker::PhantomData;
use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::arch::{InstructionSet, Instructions, Kernel};

pub(super) use crate::arch::LANES;

/// Blocks of lanes that are worked on together at most.
pub(super) const BLOCKS: usize = 3;
/// Rows that are worked on together at most.
pub(super) const ROWS: usize = 8;
/// Lanes of a tile.
pub(super) const WIDTH: usize = BLOCKS * LANES;

/// The words of one block of lanes, or others that vectors are loaded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(64))]
pub(super) struct Block(pub(super) [i32; LANES]);

// SAFETY: integers without padding, whatever their bits; the size is the alignment.
unsafe impl Zeroable for Block {}
// SAFETY: as above.
unsafe impl Pod for Block {}

/// The sums of up to [`ROWS`] rows and [`BLOCKS`] blocks of lanes.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(super) struct Tile(pub(super) [[i32; WIDTH]; ROWS]);

impl Tile {
    pub(super) const ZERO: Tile = Tile([[0; WIDTH]; ROWS]);
}

/// What words hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// Four bytes each, unsigned in the lanes and signed in the rows.
    UnsignedLanes,
    /// Four bytes each, signed in the lanes and unsigned in the rows.
    SignedLanes,
    /// Two signed 16-bit integers each.
    Pairs,
}

/// How far the words of every group of taps are from those of a lane's origin.
#[derive(Debug, Clone)]
pub(super) struct Distances {
    words: Vec<usize>,
    largest: usize,
}

impl Distances {
    pub(super) fn new(words: Vec<usize>) -> Self {
        let largest = words.iter().copied().max().unwrap_or(0);
        Distances { words, largest }
    }

    /// The number of groups.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }
}

/// The operands of a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) words: Words,
    /// Words in which the lanes are found.
    pub(super) lanes: &'a [i32],
    /// The origin of the first lane.
    pub(super) origin: usize,
    /// From the origin of one block of lanes to the next.
    pub(super) block: usize,
    pub(super) distances: &'a Distances,
    /// Words in which the rows are found.
    pub(super) rows: &'a [i32],
    /// The first row's word of group 0.
    pub(super) first: usize,
    /// From one row's word to the next row's.
    pub(super) row: usize,
    /// From one group's word to the next group's.
    pub(super) group: usize,
}

/// Writes the sums of some rows and blocks over a range of the groups, modulo 2^32.
///
/// # Panics
/// If the operands do not hold all words, or the tile not all sums.
pub(super) fn multiply(
    set: InstructionSet,
    operands: &Operands<'_>,
    groups: Range<usize>,
    rows: usize,
    blocks: usize,
    tile: &mut Tile,
) {
    let Some(last_group) = groups.clone().last() else {
        for sums in &mut tile.0[..rows] {
            sums[..blocks * LANES].fill(0);
        }
        return;
    };
    assert!((1..=ROWS).contains(&rows) && (1..=BLOCKS).contains(&blocks));
    let distances = &operands.distances.words[groups.clone()];
    let lanes_end = [
        (1, operands.origin),
        (1, operands.distances.largest),
        (blocks - 1, operands.block),
        (1, LANES),
    ];
    let holds_lanes = checked_sum(lanes_end).is_some_and(|end| end <= operands.lanes.len());
    assert!(holds_lanes, "all lanes");
    let last_row = [
        (1, operands.first),
        (rows - 1, operands.row),
        (last_group, operands.group),
    ];
    let holds_rows = checked_sum(last_row).is_some_and(|last| last < operands.rows.len());
    assert!(holds_rows, "all rows");

    let part = Part {
        blocks,
        lanes: &operands.lanes[operands.origin..],
        block: operands.block,
        distances,
        rows: &operands.rows[operands.first + groups.start * operands.group..],
        row: operands.row,
        group: operands.group,
    };
    let sums = &mut tile.0[..rows];
    // SAFETY: the operands hold all lanes and rows of all groups.
    unsafe {
        match operands.words {
            Words::UnsignedLanes => set.run(AddUp::<UnsignedLanes>::new(part), sums),
            Words::SignedLanes => set.run(AddUp::<SignedLanes>::new(part), sums),
            Words::Pairs => set.run(AddUp::<Pairs>::new(part), sums),
        }
    }
}

/// The sum of products, if it fits.
fn checked_sum<const TERMS: usize>(terms: [(usize, usize); TERMS]) -> Option<usize> {
    terms.into_iter().try_fold(0usize, |sum, (count, step)| {
        sum.checked_add(count.checked_mul(step)?)
    })
}

/// [`Operands`] from the origin of the lanes and the first group on.
#[derive(Clone, Copy)]
struct Part<'a> {
    blocks: usize,
    lanes: &'a [i32],
    block: usize,
    distances: &'a [usize],
    rows: &'a [i32],
    row: usize,
    group: usize,
}

/// [`Words`] as a type.
trait Kind {
    /// Adds to every lane the products of its elements with those of a row's word.
    fn add_products<I: Instructions>(
        instructions: I,
        sums: I::Lanes,
        lanes: I::Lanes,
        row: I::Lanes,
    ) -> I::Lanes;
}

struct UnsignedLanes;
struct SignedLanes;
struct Pairs;

impl Kind for UnsignedLanes {
    #[inline(always)]
    fn add_products<I: Instructions>(
        instructions: I,
        sums: I::Lanes,
        lanes: I::Lanes,
        row: I::Lanes,
    ) -> I::Lanes {
        instructions.add_byte_products(sums, lanes, row)
    }
}

impl Kind for SignedLanes {
    #[inline(always)]
    fn add_products<I: Instructions>(
        instructions: I,
        sums: I::Lanes,
        lanes: I::Lanes,
        row: I::Lanes,
    ) -> I::Lanes {
        instructions.add_byte_products(sums, row, lanes)
    }
}

impl Kind for Pairs {
    #[inline(always)]
    fn add_products<I: Instructions>(
        instructions: I,
        sums: I::Lanes,
        lanes: I::Lanes,
        row: I::Lanes,
    ) -> I::Lanes {
        instructions.add_pair_products(sums, lanes, row)
    }
}

/// Writes the sums of some blocks of lanes, one row of them for each element of the target.
struct AddUp<'a, K> {
    part: Part<'a>,
    kind: PhantomData<K>,
}

impl<'a, K> AddUp<'a, K> {
    /// # Safety
    /// For every group of the distances, `lanes` has to hold [`LANES`] words in every block, and `rows` the words of as
    /// many rows as the target has.
    unsafe fn new(part: Part<'a>) -> Self {
        AddUp {
            part,
            kind: PhantomData,
        }
    }
}

impl<K: Kind> Kernel for AddUp<'_, K> {
    type Target = [[i32; WIDTH]];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, sums: &mut [[i32; WIDTH]]) {
        let mut part = self.part;
        let mut rest = sums;
        while !rest.is_empty() {
            // The largest power of two that is left.
            let rows = (1 << rest.len().ilog2()).min(I::TILE[0]);
            let sums;
            (sums, rest) = rest.split_at_mut(rows);
            let mut first = 0;
            while first < part.blocks {
                let blocks = (part.blocks - first).min(I::TILE[1]);
                // Calls `add_up` for a number of rows and blocks, if their sums fit in registers.
                macro_rules! by_size {
                    ($(($some_rows:literal, $some_blocks:literal))+) => {
                        match (rows, blocks) {
                            $(($some_rows, $some_blocks)
                                if const { I::TILE[0] >= $some_rows && I::TILE[1] >= $some_blocks } =>
                            {
                                // SAFETY: whoever made the kernel promised that all words are there.
                                unsafe {
                                    add_up::<I, K, $some_rows, $some_blocks>(instructions, &part, first, sums);
                                }
                            })+
                            _ => unreachable!("a tile that fits in registers"),
                        }
                    };
                }
                by_size!((1, 1)(1, 2)(1, 3)(2, 1)(2, 2)(2, 3)(4, 1)(4, 2)(4, 3)(8, 1)(8, 2)(8, 3));
                first += blocks;
            }
            if !rest.is_empty() {
                part.rows = &part.rows[rows * part.row..];
            }
        }
    }
}

/// Writes the sums of some rows and of some blocks from `first` on.
///
/// # Safety
/// The part has to hold all words of these rows and blocks.
#[inline(always)]
unsafe fn add_up<I: Instructions, K: Kind, const ROWS: usize, const BLOCKS: usize>(
    instructions: I,
    part: &Part<'_>,
    first: usize,
    sums: &mut [[i32; WIDTH]],
) {
    let mut totals = [[instructions.splat(0); BLOCKS]; ROWS];
    let mut rows = part.rows.as_ptr();
    let origin = part.lanes.as_ptr().wrapping_add(first * part.block);
    for &distance in part.distances {
        let from = origin.wrapping_add(distance);
        let mut lanes = [instructions.splat(0); BLOCKS];
        for (block, lanes) in lanes.iter_mut().enumerate() {
            let from = from.wrapping_add(block * part.block).cast::<[i32; LANES]>();
            // SAFETY: the caller promises that all lanes are there.
            *lanes = instructions.load(unsafe { &*from });
        }
        for (row, totals) in totals.iter_mut().enumerate() {
            // SAFETY: the caller promises that all rows are there.
            let word = instructions.splat(unsafe { *rows.wrapping_add(row * part.row) });
            for (total, &lanes) in totals.iter_mut().zip(&lanes) {
                *total = K::add_products(instructions, *total, lanes, word);
            }
        }
        rows = rows.wrapping_add(part.group);
    }
    for (sums, totals) in sums.iter_mut().zip(totals) {
        let blocks = sums.as_chunks_mut::<LANES>().0[first..].iter_mut();
        for (sums, total) in blocks.zip(totals) {
            instructions.store(total, sums);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::Random;

    /// The sum of products of a lane's and a row's elements, modulo 2^32.
    fn dot(words: Words, lane: i32, row: i32) -> i32 {
        let products = |bits: u32, lane_sign: bool, row_sign: bool| {
            let element = |word: i32, place: u32, sign: bool| {
                let top = word << (32 - bits * (place + 1));
                if sign {
                    top >> (32 - bits)
                } else {
                    (top as u32 >> (32 - bits)) as i32
                }
            };
            (0..32 / bits).fold(0i32, |sum, place| {
                sum.wrapping_add(element(lane, place, lane_sign) * element(row, place, row_sign))
            })
        };
        match words {
            Words::Pairs => products(16, true, true),
            Words::UnsignedLanes => products(8, false, true),
            Words::SignedLanes => products(8, true, false),
        }
    }

    const KINDS: [Words; 3] = [Words::UnsignedLanes, Words::SignedLanes, Words::Pairs];

    /// Words of random elements, or of those with the largest magnitudes.
    fn words(random: &mut Random, count: usize, extreme: bool) -> Vec<i32> {
        let extremes = [
            i32::MIN,
            -1,
            0x7fff_7fff,
            0x8000_8000u32 as i32,
            0x8080_8080u32 as i32,
            0x7f7f_7f7f,
        ];
        (0..count)
            .map(|_| match random.next() {
                word if extreme => extremes[word as usize % extremes.len()],
                word => word as i32,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_kernel_adds_up_products(
            seed in 1u64.., extreme: bool, words_hold in prop::sample::select(&KINDS),
            (rows, blocks) in (1..=ROWS, 1..=BLOCKS), all_groups in 0..40usize, part in 0.0f64..=1.0,
            (row, group, block, origin) in (0..50usize, 0..9usize, 0..70usize, 0..5usize),
        ) {
            let mut random = Random(seed);
            let distances = Distances::new((0..all_groups).map(|_| random.next() as usize % 90).collect());
            let last_lane = origin + distances.largest + (blocks - 1) * block + LANES;
            let operands = Operands {
                words: words_hold,
                lanes: &words(&mut random, last_lane, extreme),
                origin,
                block,
                distances: &distances,
                rows: &words(&mut random, 3 + ROWS * row + all_groups * group, extreme),
                first: 2,
                row,
                group,
            };
            let first = (all_groups as f64 * part) as usize;
            let mut expected = Tile::ZERO;
            for (index, sums) in expected.0[..rows].iter_mut().enumerate() {
                for (lane, sum) in sums[..blocks * LANES].iter_mut().enumerate() {
                    for (place, distance) in distances.words.iter().enumerate().skip(first) {
                        let lane = origin + lane / LANES * block + lane % LANES + distance;
                        let row = 2 + index * row + place * group;
                        let product = dot(words_hold, operands.lanes[lane], operands.rows[row]);
                        *sum = sum.wrapping_add(product);
                    }
                }
            }
            for &set in InstructionSet::available() {
                let mut tile = Tile::ZERO;
                multiply(set, &operands, first..all_groups, rows, blocks, &mut tile);
                prop_assert_eq!(tile.0, expected.0, "{:?}", set);
            }
        }
    }

    #[test]
    fn words_hold_elements_as_they_say() {
        let bytes = i32::from_le_bytes([255, 1, 128, 0]);
        let signed = i32::from_le_bytes([-128i8 as u8, 127, 3, 9]);
        assert_eq!(
            dot(Words::UnsignedLanes, bytes, signed),
            255 * -128 + 127 + 128 * 3
        );
        assert_eq!(
            dot(Words::SignedLanes, signed, bytes),
            255 * -128 + 127 + 128 * 3
        );
        assert_eq!(
            dot(Words::Pairs, -3 << 16 | 7, 5 << 16 | 0xffff),
            -3 * 5 - 7
        );
    }
}
