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

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::arch::{Family, InstructionSet};

/// Lanes that lie side by side.
pub(super) const LANES: usize = 16;
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

    let lanes = &operands.lanes[operands.origin..];
    let row_words = &operands.rows[operands.first + groups.start * operands.group..];
    let mut row = 0;
    while row < rows {
        // The largest power of two that is left.
        let together = 1 << (rows - row).ilog2();
        let together = together.min(most_rows(set));
        let part = Part {
            lanes,
            block: operands.block,
            distances,
            rows: &row_words[row * operands.row..],
            row: operands.row,
            group: operands.group,
        };
        let sums = &mut tile.0[row..row + together];
        // SAFETY: the operands hold all lanes and rows of all groups, and those of this part are some of them.
        unsafe {
            match operands.words {
                Words::UnsignedLanes => part.add_up::<UnsignedLanes>(set, blocks, sums),
                Words::SignedLanes => part.add_up::<SignedLanes>(set, blocks, sums),
                Words::Pairs => part.add_up::<Pairs>(set, blocks, sums),
            }
        }
        row += together;
    }
}

/// The sum of products, if it fits.
fn checked_sum<const TERMS: usize>(terms: [(usize, usize); TERMS]) -> Option<usize> {
    terms.into_iter().try_fold(0usize, |sum, (count, step)| {
        sum.checked_add(count.checked_mul(step)?)
    })
}

/// Rows whose sums fit in registers.
fn most_rows(set: InstructionSet) -> usize {
    match set.family() {
        Family::Portable => 2,
        #[cfg(target_arch = "x86_64")]
        Family::Avx2 => 4,
        #[cfg(target_arch = "x86_64")]
        Family::Avx512 | Family::Avx512Vbmi => 8,
    }
}

/// Rows that are added up together, a power of two of them.
struct Part<'a> {
    lanes: &'a [i32],
    block: usize,
    distances: &'a [usize],
    rows: &'a [i32],
    row: usize,
    group: usize,
}

/// [`Words`] as a type.
trait Kind {
    const WORDS: Words;
}

macro_rules! kinds {
    ($($kind:ident),+) => {
        $(struct $kind;
        impl Kind for $kind {
            const WORDS: Words = Words::$kind;
        })+
    };
}

kinds!(UnsignedLanes, SignedLanes, Pairs);

impl Part<'_> {
    /// Writes the sums of some blocks of lanes, one row of them for each element of `sums`.
    ///
    /// # Safety
    /// For every group of the distances, `lanes` has to hold a vector of [`LANES`] words in every block, and `rows` the
    /// words of as many rows as there are sums.
    #[inline]
    unsafe fn add_up<K: Kind>(
        &self,
        set: InstructionSet,
        blocks: usize,
        sums: &mut [[i32; WIDTH]],
    ) {
        match set.family() {
            #[cfg(not(target_arch = "x86_64"))]
            Family::Portable => self.add_up_portable::<K>(blocks, sums),
            // SAFETY: SSE2 is part of the architecture, and the caller promises that the operands hold all words.
            #[cfg(target_arch = "x86_64")]
            Family::Portable => unsafe { x86::sse2::add_up::<K>(self, blocks, sums) },
            // SAFETY: an instruction set is only constructed where the machine has it, and see above.
            #[cfg(target_arch = "x86_64")]
            Family::Avx2 => unsafe {
                match set.multiplies_and_adds() {
                    true => x86::avx_vnni::add_up::<K>(self, blocks, sums),
                    false => x86::avx2::add_up::<K>(self, blocks, sums),
                }
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Family::Avx512 | Family::Avx512Vbmi => unsafe {
                match set.multiplies_and_adds() {
                    true => x86::avx512_vnni::add_up::<K>(self, blocks, sums),
                    false => x86::avx512::add_up::<K>(self, blocks, sums),
                }
            },
        }
    }

    /// Plain loops, for architectures without kernels of their own.
    #[cfg(any(test, not(target_arch = "x86_64")))]
    fn add_up_portable<K: Kind>(&self, blocks: usize, sums: &mut [[i32; WIDTH]]) {
        for block in 0..blocks {
            for (index, sums) in sums.iter_mut().enumerate() {
                let mut totals = [0i32; LANES];
                for (group, distance) in self.distances.iter().enumerate() {
                    let lanes = self.lanes[block * self.block + distance..]
                        .first_chunk::<LANES>()
                        .expect("all lanes");
                    let row = self.rows[index * self.row + group * self.group];
                    for (total, &lane) in totals.iter_mut().zip(lanes) {
                        *total = total.wrapping_add(dot(K::WORDS, lane, row));
                    }
                }
                sums[block * LANES..][..LANES].copy_from_slice(&totals);
            }
        }
    }
}

/// The sum of products of a lane's and a row's elements, modulo 2^32.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    use super::{Kind, LANES, Part, WIDTH, Words};

    /// Defines `add_up` for one kind of vectors, for the numbers of rows and of blocks whose sums fit in its registers.
    macro_rules! vectors {
        (
            $module:ident, $features:literal, $vector:ty, $load:ident, $store:ident, $broadcast:ident, $zero:ident,
            $dot:ident, blocks $blocks:literal at once: $($count:literal)+, rows: $($rows:literal)+
        ) => {
            pub(super) mod $module {
                use super::*;

                /// Vectors in a block of lanes.
                const VECTORS: usize = LANES * size_of::<i32>() / size_of::<$vector>();

                /// # Safety
                /// The machine must have the instructions, and the operands hold all words of the rows and blocks.
                #[target_feature(enable = $features)]
                pub(in super::super) unsafe fn add_up<K: Kind>(
                    part: &Part<'_>,
                    blocks: usize,
                    sums: &mut [[i32; WIDTH]],
                ) {
                    let mut first = 0;
                    while first < blocks {
                        let together = (blocks - first).min($blocks);
                        // SAFETY: the caller's promise holds for some of the blocks, too.
                        unsafe { by_rows::<K>(part, first, together, sums) };
                        first += together;
                    }
                }

                #[target_feature(enable = $features)]
                unsafe fn by_rows<K: Kind>(
                    part: &Part<'_>,
                    first: usize,
                    blocks: usize,
                    sums: &mut [[i32; WIDTH]],
                ) {
                    match sums.len() {
                        // SAFETY: the caller's promise is passed on.
                        $($rows => unsafe { by_blocks::<K, $rows>(part, first, blocks, sums) },)+
                        _ => unreachable!("a number of rows that fits in registers"),
                    }
                }

                #[target_feature(enable = $features)]
                unsafe fn by_blocks<K: Kind, const ROWS: usize>(
                    part: &Part<'_>,
                    first: usize,
                    blocks: usize,
                    sums: &mut [[i32; WIDTH]],
                ) {
                    match blocks {
                        // SAFETY: the caller's promise is passed on.
                        $($count => unsafe {
                            tile::<K, ROWS, { $count * VECTORS }>(part, first, sums)
                        },)+
                        _ => unreachable!("a number of blocks that fits in registers"),
                    }
                }

                #[target_feature(enable = $features)]
                unsafe fn tile<K: Kind, const ROWS: usize, const COUNT: usize>(
                    part: &Part<'_>,
                    first: usize,
                    sums: &mut [[i32; WIDTH]],
                ) {
                    let mut totals = [[$zero(); COUNT]; ROWS];
                    let mut rows = part.rows.as_ptr();
                    let origin = part.lanes.as_ptr().wrapping_add(first * part.block);
                    for &distance in part.distances {
                        let from = origin.wrapping_add(distance);
                        let mut lanes = [$zero(); COUNT];
                        for (vector, lanes) in lanes.iter_mut().enumerate() {
                            let block = vector / VECTORS;
                            let lane = (vector - block * VECTORS) * LANES / VECTORS;
                            let from = from.wrapping_add(block * part.block + lane);
                            // SAFETY: the caller promises that all lanes are there.
                            *lanes = unsafe { $load(from.cast()) };
                        }
                        for (row, totals) in totals.iter_mut().enumerate() {
                            // SAFETY: the caller promises that all rows are there.
                            let word = $broadcast(unsafe { *rows.wrapping_add(row * part.row) });
                            for (total, &lanes) in totals.iter_mut().zip(&lanes) {
                                *total = $dot::<K>(*total, lanes, word);
                            }
                        }
                        rows = rows.wrapping_add(part.group);
                    }
                    for (sums, totals) in sums.iter_mut().zip(totals) {
                        let sums = &mut sums[first * LANES..][..COUNT * LANES / VECTORS];
                        for (sums, total) in sums.chunks_exact_mut(LANES / VECTORS).zip(totals) {
                            // SAFETY: a chunk is as long as a vector.
                            unsafe { $store(sums.as_mut_ptr().cast(), total) };
                        }
                    }
                }
            }
        };
    }

    vectors!(
        sse2, "sse2", __m128i, _mm_loadu_si128, _mm_storeu_si128, _mm_set1_epi32, _mm_setzero_si128, dot_sse2,
        blocks 1 at once: 1, rows: 1 2
    );
    vectors!(
        avx2, "avx2", __m256i, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi32,
        _mm256_setzero_si256, dot_avx2, blocks 1 at once: 1, rows: 1 2 4
    );
    vectors!(
        avx_vnni, "avx2,avxvnni", __m256i, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi32,
        _mm256_setzero_si256, dot_avx_vnni, blocks 1 at once: 1, rows: 1 2 4
    );
    vectors!(
        avx512, "avx512f,avx512bw", __m512i, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi32,
        _mm512_setzero_si512, dot_avx512, blocks 2 at once: 1 2, rows: 1 2 4 8
    );
    vectors!(
        avx512_vnni, "avx512f,avx512bw,avx512vnni", __m512i, _mm512_loadu_si512, _mm512_storeu_si512,
        _mm512_set1_epi32, _mm512_setzero_si512, dot_avx512_vnni, blocks 3 at once: 1 2 3, rows: 1 2 4 8
    );

    /// Defines a function that adds products to every lane with one instruction for each kind of words.
    macro_rules! dot_by_one_instruction {
        ($name:ident, $features:literal, $vector:ty, $bytes:ident, $pairs:ident) => {
            #[target_feature(enable = $features)]
            #[inline]
            fn $name<K: Kind>(total: $vector, lanes: $vector, word: $vector) -> $vector {
                match K::WORDS {
                    Words::UnsignedLanes => $bytes(total, lanes, word),
                    Words::SignedLanes => $bytes(total, word, lanes),
                    Words::Pairs => $pairs(total, lanes, word),
                }
            }
        };
    }

    dot_by_one_instruction!(
        dot_avx_vnni,
        "avx2,avxvnni",
        __m256i,
        _mm256_dpbusd_avx_epi32,
        _mm256_dpwssd_avx_epi32
    );
    dot_by_one_instruction!(
        dot_avx512_vnni,
        "avx512f,avx512bw,avx512vnni",
        __m512i,
        _mm512_dpbusd_epi32,
        add_pairs
    );

    /// `_mm512_dpwssd_epi32` by name: the compiler would replace it by a multiplication and an addition, which have a
    /// shorter latency but half the throughput.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    #[inline]
    fn add_pairs(mut total: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the instruction is there, and touches nothing but its operands.
        unsafe {
            asm!(
                "vpdpwssd {total}, {a}, {b}",
                total = inout(zmm_reg) total,
                a = in(zmm_reg) a,
                b = in(zmm_reg) b,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        total
    }

    /// Defines the same for processors that only multiply and add pairs: the bytes at even places are multiplied apart
    /// from those at odd places, both widened to 16 bits. The widening of a vector is shared by all it is multiplied
    /// with.
    macro_rules! dot_by_pairs {
        (
            $name:ident, $features:literal, $vector:ty, $add:ident, $and:ident, $madd:ident, $set:ident,
            $left:ident, $right:ident, $logical_right:ident
        ) => {
            #[target_feature(enable = $features)]
            #[inline]
            fn $name<K: Kind>(total: $vector, lanes: $vector, word: $vector) -> $vector {
                let (unsigned, signed) = match K::WORDS {
                    Words::Pairs => return $add(total, $madd(lanes, word)),
                    Words::UnsignedLanes => (lanes, word),
                    Words::SignedLanes => (word, lanes),
                };
                let even = $madd($and(unsigned, $set(0xff)), $right::<8>($left::<8>(signed)));
                let odd = $madd($logical_right::<8>(unsigned), $right::<8>(signed));
                $add($add(total, even), odd)
            }
        };
    }

    dot_by_pairs!(
        dot_sse2,
        "sse2",
        __m128i,
        _mm_add_epi32,
        _mm_and_si128,
        _mm_madd_epi16,
        _mm_set1_epi16,
        _mm_slli_epi16,
        _mm_srai_epi16,
        _mm_srli_epi16
    );
    dot_by_pairs!(
        dot_avx2,
        "avx2",
        __m256i,
        _mm256_add_epi32,
        _mm256_and_si256,
        _mm256_madd_epi16,
        _mm256_set1_epi16,
        _mm256_slli_epi16,
        _mm256_srai_epi16,
        _mm256_srli_epi16
    );
    dot_by_pairs!(
        dot_avx512,
        "avx512f,avx512bw",
        __m512i,
        _mm512_add_epi32,
        _mm512_and_si512,
        _mm512_madd_epi16,
        _mm512_set1_epi16,
        _mm512_slli_epi16,
        _mm512_srai_epi16,
        _mm512_srli_epi16
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::Random;

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
            let part = Part {
                lanes: &operands.lanes[origin..],
                block,
                distances: &distances.words,
                rows: &operands.rows[2..],
                row,
                group,
            };
            let mut all = [Tile::ZERO, Tile::ZERO];
            multiply(InstructionSet::best(), &operands, 0..all_groups, rows, blocks, &mut all[0]);
            let sums = &mut all[1].0[..rows];
            match words_hold {
                Words::UnsignedLanes => part.add_up_portable::<UnsignedLanes>(blocks, sums),
                Words::SignedLanes => part.add_up_portable::<SignedLanes>(blocks, sums),
                Words::Pairs => part.add_up_portable::<Pairs>(blocks, sums),
            }
            prop_assert_eq!(all[0].0, all[1].0);
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
