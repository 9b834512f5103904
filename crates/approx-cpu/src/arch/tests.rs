//! Every operation of every instruction set of this machine, compared with its plain form.

use super::operands::{DigitLine, LANES, LOOKUPS, NARROW_LANES, PickedBlock, PickedTaps, Row};
use super::{InstructionSet, Instructions, Kernel, plain};
use crate::tests::Random;
use crate::word::CODES;

fn bytes(random: &mut Random, count: usize) -> Vec<u8> {
    (0..count).map(|_| random.next() as u8).collect()
}

fn words(random: &mut Random) -> [i32; LANES] {
    // Some of the largest magnitudes among them.
    std::array::from_fn(|lane| match lane % 4 {
        0 => 0x8000_8000u32 as i32,
        1 => 0x8080_8080u32 as i32,
        _ => random.next() as i32,
    })
}

/// All operations on lanes, of three operands.
struct OnLanes([[i32; LANES]; 3]);

impl Kernel for OnLanes {
    type Target = [[i32; LANES]; 5];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [[i32; LANES]; 5]) {
        let a = instructions.load(&self.0[0]);
        let b = instructions.load(&self.0[1]);
        let c = instructions.load(&self.0[2]);
        instructions.store(instructions.splat(self.0[0][2]), &mut to[0]);
        instructions.store(instructions.add(a, b), &mut to[1]);
        instructions.store(instructions.upper_halves(a), &mut to[2]);
        instructions.store(instructions.add_byte_products(a, b, c), &mut to[3]);
        instructions.store(instructions.add_pair_products(a, b, c), &mut to[4]);
    }
}

#[test]
fn operations_on_lanes() {
    let mut random = Random(1);
    for _ in 0..100 {
        let [a, b, c] = std::array::from_fn(|_| words(&mut random));
        let each = |operation: &dyn Fn(usize) -> i32| std::array::from_fn(operation);
        let expected = [
            [a[2]; LANES],
            each(&|lane| a[lane].wrapping_add(b[lane])),
            each(&|lane| (a[lane] as u32 >> 16) as i32),
            each(&|lane| a[lane].wrapping_add(plain::byte_products(b[lane], c[lane]))),
            each(&|lane| a[lane].wrapping_add(plain::pair_products(b[lane], c[lane]))),
        ];
        for &set in InstructionSet::available() {
            let mut found = [[0; LANES]; 5];
            set.run(OnLanes([a, b, c]), &mut found);
            assert_eq!(found, expected, "{set:?}");
        }
    }
}

/// Both transpositions of a group.
struct Transpose<'a> {
    narrow: &'a [[u16; CODES]],
    wide: &'a [[u32; CODES]],
    group: usize,
}

impl Kernel for Transpose<'_> {
    type Target = [[Row; 8]; 2];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, [narrow, wide]: &mut [[Row; 8]; 2]) {
        let lines: [&[u16; CODES]; NARROW_LANES] = std::array::from_fn(|lane| &self.narrow[lane]);
        instructions.transpose_narrow(&lines, self.group, narrow);
        let lines: [&[u32; CODES]; LANES] = std::array::from_fn(|lane| &self.wide[lane]);
        instructions.transpose_wide(&lines, self.group, wide);
    }
}

#[test]
fn transpositions() {
    let mut random = Random(2);
    let narrow: Vec<[u16; CODES]> = (0..NARROW_LANES)
        .map(|_| std::array::from_fn(|_| random.next() as u16))
        .collect();
    let wide: Vec<[u32; CODES]> = (0..LANES)
        .map(|_| std::array::from_fn(|_| random.next() as u32))
        .collect();
    for &set in InstructionSet::available() {
        for group in 0..CODES / 8 {
            let transpose = Transpose {
                narrow: &narrow,
                wide: &wide,
                group,
            };
            let mut rows = [[Row::ZERO; 8]; 2];
            set.run(transpose, &mut rows);
            for (index, [narrow_row, wide_row]) in (0..8).map(|row| (row, rows.map(|r| r[row]))) {
                let code = group * 8 + index;
                for word in 0..LANES {
                    let [low, high] = [0, 1].map(|half| narrow[2 * word + half][code]);
                    let pair = u32::from(low) | u32::from(high) << 16;
                    assert_eq!(narrow_row.0[word], pair, "{set:?}");
                    assert_eq!(wide_row.0[word], wide[word][code], "{set:?}");
                }
            }
        }
    }
}

struct MapCodes<'a, const TABLES: usize> {
    tables: [&'a [u8; CODES]; TABLES],
    codes: &'a [u8],
}

impl<const TABLES: usize> Kernel for MapCodes<'_, TABLES> {
    type Target = [[u8; TABLES]];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [[u8; TABLES]]) {
        instructions.map_codes(self.tables, self.codes, to);
    }
}

fn check_mapped<const TABLES: usize>(tables: [&[u8; CODES]; TABLES], codes: &[u8]) {
    let mut expected = vec![[0; TABLES]; codes.len()];
    plain::map_codes(tables, codes, &mut expected);
    for &set in InstructionSet::available() {
        let mut found = vec![[0; TABLES]; codes.len()];
        set.run(MapCodes { tables, codes }, &mut found);
        assert_eq!(found, expected, "{set:?}");
    }
}

#[test]
fn mapped_codes() {
    let mut random = Random(3);
    let [low, high]: [[u8; CODES]; 2] =
        std::array::from_fn(|_| std::array::from_fn(|_| random.next() as u8));
    for length in [0, 1, 31, 64, 200] {
        let codes = bytes(&mut random, length);
        check_mapped([&low], &codes);
        check_mapped([&low, &high], &codes);
    }
}

struct AddDigits<'a, const ONE_HALF: bool> {
    lines: &'a [DigitLine],
    lane: &'a [u8],
    codes: &'a [u8],
    offsets: &'a [usize],
}

impl<const ONE_HALF: bool> Kernel for AddDigits<'_, ONE_HALF> {
    type Target = [[u32; LOOKUPS / 2]; 2];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [[u32; LOOKUPS / 2]; 2]) {
        let AddDigits {
            lines,
            lane,
            codes,
            offsets,
        } = self;
        *to = instructions.add_digits::<ONE_HALF>(lines, lane, codes, offsets, 3);
    }
}

fn check_added_digits<const ONE_HALF: bool>(taps: usize, entry: impl Fn(&mut Random) -> u8) {
    let mut random = Random(4);
    let lines: Vec<DigitLine> = (0..CODES)
        .map(|_| DigitLine([0, 1].map(|_| std::array::from_fn(|_| entry(&mut random)))))
        .collect();
    let lane = bytes(&mut random, taps);
    let mut codes = bytes(&mut random, 3 + 90 + LOOKUPS);
    if ONE_HALF {
        codes.iter_mut().for_each(|code| *code %= 128);
    }
    let offsets: Vec<usize> = (0..taps).map(|tap| tap * 7 % 90).collect();
    let expected = plain::add_digits(&lines, &lane, &codes, &offsets, 3);
    for &set in InstructionSet::available() {
        let add = AddDigits::<ONE_HALF> {
            lines: &lines,
            lane: &lane,
            codes: &codes,
            offsets: &offsets,
        };
        let mut found = [[0; LOOKUPS / 2]; 2];
        set.run(add, &mut found);
        assert_eq!(found, expected, "{set:?}");
    }
}

#[test]
fn added_digits() {
    for taps in [0, 1, 9, 256] {
        check_added_digits::<false>(taps, |random| random.next() as u8);
        check_added_digits::<true>(taps, |random| random.next() as u8);
        check_added_digits::<false>(taps, |_| u8::MAX);
    }
}

struct AddPicked<'a, const PAIRS: bool> {
    taps: PickedTaps<'a>,
    blocks: &'a [PickedBlock],
}

impl<const PAIRS: bool> Kernel for AddPicked<'_, PAIRS> {
    type Target = [i32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [i32]) {
        instructions.add_picked::<PAIRS>(&self.taps, self.blocks, to);
    }
}

fn check_added_picked<const PAIRS: bool>(taps: usize) {
    let mut random = Random(5);
    let elements = bytes(&mut random, 2000);
    let offsets: Vec<usize> = (0..taps).map(|tap| tap * 13).collect();
    let weights: Vec<i32> = (0..taps).map(|_| random.next() as i32).collect();
    let blocks = [0, 40, 11, 300, 127].map(|input| PickedBlock {
        input,
        output: input * 2,
    });
    for &set in InstructionSet::available() {
        let Some(pick) = set.facts().pick else {
            continue;
        };
        let mut indices = [0; 4 * LANES];
        for index in &mut indices {
            *index = (random.next() as usize % pick.bytes) as u8;
        }
        let taps = PickedTaps {
            indices: &indices,
            positions: pick.positions,
            part: 21,
            elements: &elements,
            offsets: &offsets,
            weights: &weights,
        };
        let mut expected = vec![0; 800];
        let mut found = expected.clone();
        plain::add_picked::<PAIRS>(&taps, &blocks, &mut expected);
        let blocks = blocks.as_slice();
        set.run(AddPicked::<PAIRS> { taps, blocks }, &mut found);
        for block in blocks {
            let positions = block.output..block.output + pick.parts * pick.positions;
            assert_eq!(found[positions.clone()], expected[positions], "{set:?}");
        }
    }
}

#[test]
fn added_products_of_picked_elements() {
    for taps in [0, 1, 2, 9] {
        check_added_picked::<false>(taps);
        check_added_picked::<true>(taps);
    }
}

struct AddFloatProducts([[i32; LANES]; 3]);

impl Kernel for AddFloatProducts {
    type Target = [i32; LANES];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [i32; LANES]) {
        let [sums, a, b] = &self.0;
        let (a, b) = (instructions.load(a), instructions.load(b));
        let sums = instructions.add_float_products(instructions.load(sums), a, b);
        instructions.store(sums, to);
    }
}

/// Rounded once or twice, but by nothing else.
#[test]
fn added_float_products() {
    let mut random = Random(6);
    for _ in 0..100 {
        let lanes = [(); 3].map(|()| {
            std::array::from_fn::<f32, LANES, _>(|_| random.next() as i16 as f32 / 777.0)
        });
        let words = lanes.map(|lanes| lanes.map(|lane| lane.to_bits() as i32));
        let [sums, a, b] = lanes;
        for &set in InstructionSet::available() {
            let mut found = [0; LANES];
            set.run(AddFloatProducts(words), &mut found);
            for lane in 0..LANES {
                let found = f32::from_bits(found[lane] as u32);
                let fused = a[lane].mul_add(b[lane], sums[lane]);
                let rounded_twice = a[lane] * b[lane] + sums[lane];
                assert!(found == fused || found == rounded_twice, "{set:?}");
            }
        }
    }
}
