//! What kernels and instruction sets hand each other.

use bytemuck::{Pod, Zeroable};

use crate::word::CODES;

/// 32-bit lanes that lie side by side: a cache line of them.
pub(crate) const LANES: usize = 16;
/// Lanes of a panel where entries have 16 bits: two to a word.
pub(crate) const NARROW_LANES: usize = 2 * LANES;
/// Codes that are looked up in registers together.
pub(crate) const LOOKUPS: usize = 64;

/// One cache line of words.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Row(pub(crate) [u32; LANES]);

// SAFETY: nothing but words, of which any bits are valid, and as many of them as the alignment asks for.
unsafe impl Zeroable for Row {}
// SAFETY: as above.
unsafe impl Pod for Row {}

impl Row {
    pub(crate) const ZERO: Row = Row([0; LANES]);
}

/// A 16-bit digit of every entry of a table line: the low bytes, then the high bytes.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct DigitLine(pub(crate) [[u8; CODES]; 2]);

/// The taps of words that are picked from elements of one or two bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PickedTaps<'a> {
    /// The bytes of a part that the words of its positions consist of, part after part.
    pub(crate) indices: &'a [u8; 4 * LANES],
    /// Positions of one part.
    pub(crate) positions: usize,
    /// Bytes from one part to the next.
    pub(crate) part: usize,
    /// The elements' bytes.
    pub(crate) elements: &'a [u8],
    /// For every tap, how far its elements are from a block's.
    pub(crate) offsets: &'a [usize],
    /// For every tap, its weights.
    pub(crate) weights: &'a [i32],
}

/// Neighbouring positions that are computed together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PickedBlock {
    /// Where the first position's elements are, and its sum.
    pub(crate) input: usize,
    pub(crate) output: usize,
}
