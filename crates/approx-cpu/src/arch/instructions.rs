//! What makes an instruction set: the trait that every other file here implements, and what it asks for.

use std::fmt::Debug;

use super::operands::{DigitLine, LANES, LOOKUPS, NARROW_LANES, PickedBlock, PickedTaps, Row};
use super::plain;
use crate::word::CODES;

/// A computation that is compiled for every instruction set.
pub(crate) trait Kernel {
    /// What it writes to. This is an argument of its own, because the compiler then knows that nothing else that the
    /// computation reads overlaps it, and vectorises loops without asking.
    type Target: ?Sized;
    type Output;

    /// Computes, with the instructions at hand. Implementations are `#[inline(always)]`, and so are the functions that
    /// they call for their inner loops: only what becomes part of [`Instructions::compiled`] is compiled for the set.
    fn run<I: Instructions>(self, instructions: I, to: &mut Self::Target) -> Self::Output;
}

/// An instruction set. A value of the type is the proof that the machine has it.
///
/// What has a body here is plain Rust, which says what is to be computed; sets whose instructions do better have their
/// own. All of it but [`detect`](Self::detect) and [`compiled`](Self::compiled) is only called by kernels, and
/// `#[inline(always)]`.
///
/// # Safety
/// Methods are safe to call and use the instructions of the set. So `detect` must return a value only on a machine that
/// has them all, and nothing else may make one.
pub(crate) unsafe trait Instructions: Copy + Debug {
    /// Sixteen lanes of 32 bits, in as many registers as they take.
    type Lanes: Copy;

    /// What there is to know about the set outside of kernels.
    const FACTS: Facts;
    /// Of [`add_byte_products`](Self::add_byte_products): the rows and the blocks of lanes whose sums fit in registers,
    /// beside the operands. Rows are a power of two up to 8, blocks at most 3.
    const TILE: [usize; 2];
    /// Of [`add_float_products`](Self::add_float_products): the rows and the blocks of lanes whose sums fit in
    /// registers, beside the operands. Rows are at most 14, blocks 1 or 2.
    const FLOAT_TILE: [usize; 2];

    /// The set, if this machine has it.
    fn detect() -> Option<Self>;

    /// Runs a kernel in a function that is compiled for the set: one with the attribute `target_feature`.
    fn compiled<K: Kernel>(self, kernel: K, to: &mut K::Target) -> K::Output;

    /// A word in all lanes.
    fn splat(self, word: i32) -> Self::Lanes;

    fn load(self, from: &[i32; LANES]) -> Self::Lanes;

    fn store(self, lanes: Self::Lanes, to: &mut [i32; LANES]);

    /// Sums modulo 2^32.
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;

    /// The upper 16 bits of every lane.
    fn upper_halves(self, lanes: Self::Lanes) -> Self::Lanes;

    /// Adds to every lane the products of its four bytes, modulo 2^32: unsigned ones times signed ones.
    fn add_byte_products(
        self,
        sums: Self::Lanes,
        unsigned: Self::Lanes,
        signed: Self::Lanes,
    ) -> Self::Lanes;

    /// Adds to every lane the products of its two signed 16-bit words, modulo 2^32.
    fn add_pair_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;

    /// Adds to every lane, a float32, the product of two others: rounded once where the set has instructions for that,
    /// else twice.
    fn add_float_products(self, sums: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;

    /// Transposes the entries of eight neighbouring codes, the `group`-th eight of every line: a row has those of one
    /// code, in the order of the lines.
    #[inline(always)]
    fn transpose_narrow(
        self,
        lines: &[&[u16; CODES]; NARROW_LANES],
        group: usize,
        rows: &mut [Row; 8],
    ) {
        plain::transpose_narrow(lines, group, rows);
    }

    /// Transposes the entries of eight neighbouring codes, as [`transpose_narrow`](Self::transpose_narrow) does.
    #[inline(always)]
    fn transpose_wide(self, lines: &[&[u32; CODES]; LANES], group: usize, rows: &mut [Row; 8]) {
        plain::transpose_wide(lines, group, rows);
    }

    /// Writes the bytes that every code has in some tables, side by side.
    #[inline(always)]
    fn map_codes<const TABLES: usize>(
        self,
        tables: [&[u8; CODES]; TABLES],
        codes: &[u8],
        bytes: &mut [[u8; TABLES]],
    ) {
        plain::map_codes(tables, codes, bytes);
    }

    /// The sums of a digit at 64 positions, the even ones and the odd ones: over at most 256 taps, of the digits that
    /// `codes[offset + start + position]` have in the lines `lane`. `ONE_HALF`: all these codes are below 128.
    #[inline(always)]
    fn add_digits<const ONE_HALF: bool>(
        self,
        lines: &[DigitLine],
        lane: &[u8],
        codes: &[u8],
        offsets: &[usize],
        start: usize,
    ) -> [[u32; LOOKUPS / 2]; 2] {
        plain::add_digits(lines, lane, codes, offsets, start)
    }

    /// Writes the sums of products of picked elements and weights at the positions of some blocks, over all taps; up to
    /// the 16th of a block, those after the set's own number of positions have no meaning. `PAIRS`: words hold two
    /// 16-bit integers each, instead of four unsigned bytes of elements and as many signed ones of weights.
    #[inline(always)]
    fn add_picked<const PAIRS: bool>(
        self,
        taps: &PickedTaps<'_>,
        blocks: &[PickedBlock],
        sums: &mut [i32],
    ) {
        plain::add_picked::<PAIRS>(taps, blocks, sums);
    }
}

/// How a set picks the elements of neighbouring positions, so that each position's are one word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    /// Parts of the elements that are picked from at once, and the bytes of one.
    pub(crate) parts: usize,
    pub(crate) bytes: usize,
    /// Positions whose elements are in one part.
    pub(crate) positions: usize,
}

/// What kernels are good for with a set, and how fast they are, by measurements on one machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// How much longer it takes than with AVX-512, VNNI and VBMI to map activations to what the kernels multiply.
    pub(crate) encoding: f64,
    /// How much longer it takes than with those to multiply.
    pub(crate) multiplying: f64,
    /// The cost of lookup through panels of 16-bit entries.
    pub(crate) narrow_panels: PanelCycles,
    /// The cost of lookup through panels of 32-bit entries.
    pub(crate) wide_panels: PanelCycles,
    /// The cost of lookup for a single lane.
    pub(crate) lane: LaneCycles,
    /// Whether [`add_digits`](Instructions::add_digits) is faster than a load for every code.
    pub(crate) adds_digits: bool,
    /// For how many tables [`map_codes`](Instructions::map_codes) is faster than a load for every code.
    pub(crate) mapped_tables: usize,
    /// How [`add_picked`](Instructions::add_picked) picks, if it is faster than plain loops.
    pub(crate) pick: Option<Pick>,
}

/// Clock cycles of lookup through panels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PanelCycles {
    /// To build one panel.
    pub(crate) build: f64,
    /// To stream one position over it.
    pub(crate) position: f64,
}

/// Clock cycles of lookup for a single lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneCycles {
    /// Positions that are looked up together.
    pub(crate) positions: usize,
    /// For so many positions, where entries have 16 bits.
    pub(crate) narrow: f64,
    /// For so many positions, where entries have 32 bits.
    pub(crate) wide: f64,
}

impl LaneCycles {
    /// One load for every lookup.
    pub(crate) const LOADS: LaneCycles = LaneCycles {
        positions: 1,
        narrow: 1.1,
        wide: 1.1,
    };
}
