//! Operands cut into their bits: 64 patterns of a line become one word for every bit.

use rayon::prelude::*;

/// Products that the bits of a word hold.
pub(super) const LANES: usize = 64;

/// Patterns that are worth a task.
const PATTERNS_PER_TASK: usize = 1 << 12;

/// The bits of an operand's patterns. Patterns are in lines, each of which is multiplied with lines of the other operand.
pub(super) struct Slices {
    /// Bits of a pattern.
    pub bits: usize,
    /// Words that hold one bit of a line.
    pub blocks: usize,
    /// `[lines, blocks, bits]`.
    words: Vec<u64>,
    /// Which lanes hold a pattern: `[lines, blocks]`, or `[blocks]` where that is the same for all lines.
    masks: Vec<u64>,
    /// Words of a line in the masks.
    mask_stride: usize,
}

impl Slices {
    /// Cuts `lines` lines of `inner` patterns each; `fill` writes one.
    pub fn new(
        bits: u8,
        lines: usize,
        inner: usize,
        fill: impl Fn(usize, &mut [u16]) + Sync,
    ) -> Self {
        let blocks = inner.div_ceil(LANES);
        let mut slices = Self {
            bits: usize::from(bits),
            blocks,
            words: vec![0; lines * blocks * usize::from(bits)],
            masks: (0..blocks)
                .map(|block| u64::MAX >> (LANES - (inner - block * LANES).min(LANES)))
                .collect(),
            mask_stride: 0,
        };
        if !slices.words.is_empty() {
            slices
                .words
                .par_chunks_exact_mut(blocks * usize::from(bits))
                .with_min_len((PATTERNS_PER_TASK / inner).max(1))
                .enumerate()
                .for_each_init(
                    || vec![0; inner],
                    |patterns, (line, words)| {
                        fill(line, patterns);
                        let blocks = words.chunks_exact_mut(usize::from(bits));
                        for (patterns, words) in patterns.chunks(LANES).zip(blocks) {
                            slice(patterns, words);
                        }
                    },
                );
        }
        slices
    }

    /// The same, of which only those patterns count that `is_present` says of a line and a place in it.
    pub fn of_present(
        mut self,
        lines: usize,
        inner: usize,
        is_present: impl Fn(usize, usize) -> bool,
    ) -> Self {
        let mut masks = vec![0; lines * self.blocks];
        for line in 0..lines {
            let masks = &mut masks[line * self.blocks..];
            for place in (0..inner).filter(|place| is_present(line, *place)) {
                masks[place / LANES] |= 1 << (place % LANES);
            }
        }
        self.mask_stride = self.blocks;
        self.masks = masks;
        self
    }

    /// The bits of a block of a line.
    #[inline(always)]
    pub fn words(&self, line: usize, block: usize) -> &[u64] {
        &self.words[(line * self.blocks + block) * self.bits..][..self.bits]
    }

    /// Which lanes of a block of a line hold a pattern.
    #[inline(always)]
    pub fn mask(&self, line: usize, block: usize) -> u64 {
        self.masks[line * self.mask_stride + block]
    }
}

/// The bits of up to 64 patterns, one word for each bit.
fn slice(patterns: &[u16], words: &mut [u64]) {
    let mut lanes = [0; LANES];
    lanes[..patterns.len()].copy_from_slice(patterns);
    for (bit, word) in words.iter_mut().enumerate() {
        let bits = lanes
            .iter()
            .enumerate()
            .map(|(lane, pattern)| u64::from(pattern >> bit & 1) << lane);
        *word = bits.fold(0, |word, bit| word | bit);
    }
}
