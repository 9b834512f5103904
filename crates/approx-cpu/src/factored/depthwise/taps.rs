//! The taps of a depthwise convolution over the padded planes of one input channel, and the kernels that add them up.
//!
//! A word of weights holds neighbouring taps of a kernel row: four for byte elements, two for 16-bit ones. Vector
//! kernels permute the bytes of a row so that every 32-bit lane holds the elements that one output position has under a
//! word; one instruction then multiplies and adds all lanes. The permutation's indices hold stride and dilation.
//! Geometries whose taps lie further apart than a permutation reaches take plain loops.

use std::ops::Range;

use bytemuck::cast_slice;

use crate::arch::{
    InstructionSet, Instructions, Kernel, LANES, Pick, PickedBlock, PickedTaps,
    compiled_for_every_set,
};
use crate::transposed::{Phase, Phases};
use crate::word::Element;

/// Taps that one word of weights holds.
pub(super) const fn word_taps<E: Element>() -> usize {
    size_of::<i32>() / size_of::<E>()
}

/// Bits of a weight in a word.
const fn weight_bits<E: Element>() -> usize {
    8 * size_of::<E>()
}

/// Packs the weights of one output channel, `[terms, kernel height, kernel width]`, into words of neighbouring taps,
/// `[terms, kernel height, words of a row]`.
///
/// # Panics
/// If elements are bytes and a weight is not in -128..=127.
pub(crate) fn pack_words<E: Element>(
    weights: &[i16],
    kernel_width: usize,
) -> impl Iterator<Item = i32> {
    weights.chunks(kernel_width).flat_map(|row| {
        row.chunks(word_taps::<E>()).map(|taps| {
            let bits = weight_bits::<E>();
            let mut word = 0;
            for (tap, &weight) in taps.iter().enumerate() {
                assert!(
                    bits > 8 || i8::try_from(weight).is_ok(),
                    "a weight of 8 bits"
                );
                word |= (i32::from(weight) & ((1 << bits) - 1)) << (tap * bits);
            }
            word
        })
    })
}

/// The weight of one tap in a word.
pub(super) fn weight<E: Element>(word: i32, tap: usize) -> i32 {
    let bits = weight_bits::<E>();
    word << (32 - (tap + 1) * bits) >> (32 - bits)
}

/// Where the taps of every output position are. Distances are in elements.
pub(super) struct Taps {
    set: InstructionSet,
    output: [usize; 2],
    /// From one term's padded plane to the next.
    plane: usize,
    terms: usize,
    /// From one output position to the next, down and along a row.
    stride: [usize; 2],
    /// From one tap of a word to the next.
    dilation: usize,
    /// From an output position to the first tap of every word.
    offsets: Vec<usize>,
    /// How vectors pick the elements of output positions, if they can.
    picked: Option<Picked>,
}

impl Taps {
    /// Sums that a kernel may write after those of a plane.
    pub(super) const OVERRUN: usize = 15;

    /// The taps of a phase that is not empty, in the planes of some terms.
    pub(super) fn new<E: Element>(
        set: InstructionSet,
        phases: &Phases,
        phase: &Phase,
        terms: usize,
    ) -> Self {
        let window = &phases.window;
        let output = phases.places;
        let [rows, columns] = phases.covered();
        let plane = rows * columns;
        let [row_taps, column_taps] = phase.taps;
        let mut offsets = Vec::new();
        for term in 0..terms {
            for row in row_taps.iter() {
                for column in column_taps.iter().step_by(word_taps::<E>()) {
                    let row = term * rows + row * window.dilation[0];
                    offsets.push(row * columns + column * window.dilation[1]);
                }
            }
        }
        let stride = [window.stride[0] * columns, window.stride[1]];
        let dilation = column_taps.step * window.dilation[1];
        let taps = word_taps::<E>().min(column_taps.count);
        let pick = set.facts().pick;
        let picked = pick.and_then(|pick| Picked::new::<E>(pick, output, stride, dilation, taps));
        Taps {
            set,
            output,
            plane,
            terms,
            stride,
            dilation,
            offsets,
            picked,
        }
    }

    /// Output positions.
    pub(super) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of all planes and of what a kernel may read after them.
    pub(super) fn length<E: Element>(&self) -> usize {
        let overrun = self.picked.as_ref().map_or(0, Picked::overrun::<E>);
        self.terms * self.plane + overrun
    }

    /// Writes, for every output position, the sum of element times weight over the taps of some words, modulo 2^32.
    ///
    /// `words` holds these words' weights, `planes` [`length`](Self::length) elements. After the output's `sums` there
    /// are [`OVERRUN`](Self::OVERRUN) more, which are left with no meaning.
    pub(super) fn add_up<E: Element>(
        &self,
        which: Range<usize>,
        words: &[i32],
        planes: &[E],
        sums: &mut [i32],
    ) {
        let offsets = &self.offsets[which];
        match &self.picked {
            None => add_up_by_loops(self.set, self, offsets, words, planes, sums),
            Some(picked) => picked.add_up(self.set, offsets, words, planes, sums),
        }
    }
}

compiled_for_every_set! {
    fn add_up_by_loops<E: Element>(
        set,
        taps: &Taps,
        offsets: &[usize],
        words: &[i32],
        planes: &[E];
        sums: &mut [i32],
    ) {
        let [height, width] = taps.output;
        for (y, sums) in sums.chunks_exact_mut(width).take(height).enumerate() {
            sums.fill(0);
            for (offset, &word) in offsets.iter().zip(words) {
                for tap in 0..word_taps::<E>() {
                    let weight = weight::<E>(word, tap);
                    // Also of a word's taps beyond the kernel row, whose elements may not exist.
                    if weight == 0 {
                        continue;
                    }
                    let from = &planes[y * taps.stride[0] + offset + tap * taps.dilation..];
                    let add = |(sum, element): (&mut i32, &E)| {
                        *sum = sum.wrapping_add(element.widen() as i32 * weight);
                    };
                    if taps.stride[1] == 1 {
                        sums.iter_mut().zip(from).for_each(add);
                    } else {
                        sums.iter_mut().zip(from.iter().step_by(taps.stride[1])).for_each(add);
                    }
                }
            }
        }
    }
}

/// How a geometry's output positions fill vectors.
struct Picked {
    pick: Pick,
    blocks: Vec<PickedBlock>,
    indices: [u8; BYTES],
    /// Bytes from one part of the elements to the next.
    part: usize,
}

/// Bytes of a block's words.
const BYTES: usize = LANES * size_of::<i32>();

impl Picked {
    /// The vectors for words of `taps` taps, if their elements lie close enough together.
    fn new<E: Element>(
        pick: Pick,
        output: [usize; 2],
        stride: [usize; 2],
        dilation: usize,
        taps: usize,
    ) -> Option<Self> {
        let last = (pick.positions - 1)
            .checked_mul(stride[1])
            .and_then(|last| last.checked_add((taps - 1) * dilation))?;
        if last >= pick.bytes / size_of::<E>() {
            return None;
        }
        let mut indices = [0; BYTES];
        for (place, index) in indices.iter_mut().enumerate() {
            let (position, byte) = (
                place / size_of::<i32>() % pick.positions,
                place % size_of::<i32>(),
            );
            let (tap, byte) = (byte / size_of::<E>(), byte % size_of::<E>());
            // Taps beyond the kernel row have weight 0, so that any element will do.
            let element = position * stride[1] + if tap < taps { tap * dilation } else { 0 };
            *index = (element * size_of::<E>() + byte) as u8;
        }
        let positions = pick.parts * pick.positions;
        let blocks = (0..output[0]).flat_map(|y| {
            (0..output[1]).step_by(positions).map(move |x| PickedBlock {
                input: y * stride[0] + x * stride[1],
                output: y * output[1] + x,
            })
        });
        Some(Picked {
            pick,
            blocks: blocks.collect(),
            indices,
            part: pick.positions * stride[1] * size_of::<E>(),
        })
    }

    /// Elements that may be read from the last one on.
    fn overrun<E: Element>(&self) -> usize {
        (BYTES + self.part) / size_of::<E>()
    }

    fn add_up<E: Element>(
        &self,
        set: InstructionSet,
        offsets: &[usize],
        words: &[i32],
        planes: &[E],
        sums: &mut [i32],
    ) {
        let taps = PickedTaps {
            indices: &self.indices,
            positions: self.pick.positions,
            part: self.part,
            elements: cast_slice(planes),
            offsets,
            weights: words,
        };
        let blocks = self.blocks.as_slice();
        match word_taps::<E>() {
            4 => set.run(AddPicked::<false> { taps, blocks }, sums),
            _ => set.run(AddPicked::<true> { taps, blocks }, sums),
        }
    }
}

/// Adds the taps of some blocks up.
struct AddPicked<'a, const PAIRS: bool> {
    taps: PickedTaps<'a>,
    blocks: &'a [PickedBlock],
}

impl<const PAIRS: bool> Kernel for AddPicked<'_, PAIRS> {
    type Target = [i32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, sums: &mut [i32]) {
        instructions.add_picked::<PAIRS>(&self.taps, self.blocks, sums);
    }
}
