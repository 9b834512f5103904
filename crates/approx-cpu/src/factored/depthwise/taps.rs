//! The taps of a depthwise convolution over the padded planes of one input channel, and the kernels that add them up.
//!
//! A word of weights holds neighbouring taps of a kernel row: four for byte elements, two for 16-bit ones. Vector
//! kernels permute the bytes of a row so that every 32-bit lane holds the elements that one output position has under a
//! word; one instruction then multiplies and adds all lanes. The permutation's indices hold stride and dilation.
//! Geometries whose taps lie further apart than a permutation reaches take plain loops.

use std::ops::Range;

use crate::arch::{InstructionSet, compiled_for_every_set};
use crate::transposed::{Phase, Phases};
use crate::word::Element;

/// Taps that one word of weights holds.
const fn word_taps<E: Element>() -> usize {
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
fn weight<E: Element>(word: i32, tap: usize) -> i32 {
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
    kernel: Kernel,
}

enum Kernel {
    Loops,
    #[cfg(target_arch = "x86_64")]
    Vectors(x86::Vectors),
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
        let kernel = Kernel::Loops;
        #[cfg(target_arch = "x86_64")]
        let kernel = {
            let taps = word_taps::<E>().min(column_taps.count);
            x86::Vectors::new::<E>(set, output, stride, dilation, taps)
                .map_or(kernel, Kernel::Vectors)
        };
        Taps {
            set,
            output,
            plane,
            terms,
            stride,
            dilation,
            offsets,
            kernel,
        }
    }

    /// Output positions.
    pub(super) fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of all planes and of what a kernel may read after them.
    pub(super) fn length<E: Element>(&self) -> usize {
        let overrun = match &self.kernel {
            Kernel::Loops => 0,
            #[cfg(target_arch = "x86_64")]
            Kernel::Vectors(vectors) => vectors.overrun::<E>(),
        };
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
        match &self.kernel {
            Kernel::Loops => add_up_by_loops(self.set, self, offsets, words, planes, sums),
            #[cfg(target_arch = "x86_64")]
            Kernel::Vectors(vectors) => vectors.add_up(offsets, words, planes, sums),
        }
    }
}

compiled_for_every_set! {
    fn add_up_by_loops<E: Element>(
        set,
        taps: &Taps,
        offsets: &[usize],
        words: &[i32],
        planes: &[E],
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use bytemuck::{cast_slice, must_cast};

    use super::word_taps;
    use crate::arch::InstructionSet;
    use crate::word::Element;

    /// Bytes that the widest permutation takes its elements from, and the 32-bit lanes of its result.
    const BYTES: usize = 64;
    const LANES: usize = 16;

    /// How a geometry's output positions fill vectors.
    pub(super) struct Vectors {
        blocks: Vec<Block>,
        width: Width,
        /// The bytes that the lanes take.
        indices: [u8; BYTES],
        /// Bytes between the parts that are permuted apart.
        part: usize,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Width {
        /// Eight positions: two parts of 16 bytes, each of which holds the taps of four.
        Avx2,
        /// Sixteen positions, whose taps lie in 64 bytes.
        Avx512,
    }

    /// Output positions of one row that fill a vector; the last ones of a row may lie beyond its end.
    #[derive(Debug, Clone, Copy)]
    struct Block {
        /// Where the first position's elements are, and its sum.
        input: usize,
        output: usize,
    }

    impl Vectors {
        /// The vectors for words of `taps` taps, if their elements lie close enough together.
        pub(super) fn new<E: Element>(
            set: InstructionSet,
            output: [usize; 2],
            stride: [usize; 2],
            dilation: usize,
            taps: usize,
        ) -> Option<Self> {
            let fits = |positions: usize, bytes: usize| {
                let last = ((positions - 1).checked_mul(stride[1]))
                    .and_then(|last| last.checked_add((taps - 1) * dilation));
                last.is_some_and(|last| last < bytes / size_of::<E>())
            };
            let (width, positions, together) = if set.permutes_bytes() && fits(LANES, BYTES) {
                (Width::Avx512, LANES, LANES)
            } else if set.shuffles_bytes() && fits(LANES / 4, BYTES / 4) {
                (Width::Avx2, LANES / 2, LANES / 4)
            } else {
                return None;
            };
            let mut indices = [0; BYTES];
            for (place, index) in indices.iter_mut().enumerate() {
                let (lane, byte) = (
                    place / size_of::<i32>() % together,
                    place % size_of::<i32>(),
                );
                let (tap, byte) = (byte / size_of::<E>(), byte % size_of::<E>());
                // Taps beyond the kernel row have weight 0, so that any element will do.
                let element = lane * stride[1] + if tap < taps { tap * dilation } else { 0 };
                *index = (element * size_of::<E>() + byte) as u8;
            }
            let blocks = (0..output[0]).flat_map(|y| {
                (0..output[1]).step_by(positions).map(move |x| Block {
                    input: y * stride[0] + x * stride[1],
                    output: y * output[1] + x,
                })
            });
            Some(Vectors {
                blocks: blocks.collect(),
                width,
                indices,
                part: together * stride[1] * size_of::<E>(),
            })
        }

        /// Elements that may be read from the last one on.
        pub(super) fn overrun<E: Element>(&self) -> usize {
            (BYTES + self.part) / size_of::<E>()
        }

        pub(super) fn add_up<E: Element>(
            &self,
            offsets: &[usize],
            words: &[i32],
            planes: &[E],
            sums: &mut [i32],
        ) {
            match self.width {
                // SAFETY: a width is only chosen for an instruction set that has it, and such a set is only
                // constructed where the machine does.
                Width::Avx512 => unsafe { add_up_avx512(self, offsets, words, planes, sums) },
                // SAFETY: as above.
                Width::Avx2 => unsafe { add_up_avx2(self, offsets, words, planes, sums) },
            }
        }
    }

    /// Blocks that are worked on at once: enough to hide the latency of the additions.
    const TOGETHER: usize = 4;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")]
    fn add_up_avx512<E: Element>(
        vectors: &Vectors,
        offsets: &[usize],
        words: &[i32],
        planes: &[E],
        sums: &mut [i32],
    ) {
        let indices = must_cast::<[u8; BYTES], __m512i>(vectors.indices);
        let (groups, rest) = vectors.blocks.as_chunks::<TOGETHER>();
        for blocks in groups {
            add_blocks_avx512(indices, blocks, offsets, words, planes, sums);
        }
        for &block in rest {
            add_blocks_avx512(indices, &[block], offsets, words, planes, sums);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")]
    #[inline]
    fn add_blocks_avx512<E: Element, const BLOCKS: usize>(
        indices: __m512i,
        blocks: &[Block; BLOCKS],
        offsets: &[usize],
        words: &[i32],
        planes: &[E],
        sums: &mut [i32],
    ) {
        let bytes: &[u8] = cast_slice(planes);
        let mut totals = [_mm512_setzero_si512(); BLOCKS];
        for (offset, &word) in offsets.iter().zip(words) {
            let weights = _mm512_set1_epi32(word);
            for (total, block) in totals.iter_mut().zip(blocks) {
                let from = bytes[(block.input + offset) * size_of::<E>()..].first_chunk();
                let row: &[u8; BYTES] = from.expect("elements beyond the last");
                let taps = _mm512_permutexvar_epi8(indices, must_cast(*row));
                *total = if word_taps::<E>() == 4 {
                    _mm512_dpbusd_epi32(*total, taps, weights)
                } else {
                    _mm512_dpwssd_epi32(*total, taps, weights)
                };
            }
        }
        for (total, block) in totals.into_iter().zip(blocks) {
            let to = sums[block.output..].first_chunk_mut::<LANES>();
            *to.expect("sums beyond the last") = must_cast(total);
        }
    }

    #[target_feature(enable = "avx2")]
    fn add_up_avx2<E: Element>(
        vectors: &Vectors,
        offsets: &[usize],
        words: &[i32],
        planes: &[E],
        sums: &mut [i32],
    ) {
        let (groups, rest) = vectors.blocks.as_chunks::<TOGETHER>();
        for blocks in groups {
            add_blocks_avx2(vectors, blocks, offsets, words, planes, sums);
        }
        for &block in rest {
            add_blocks_avx2(vectors, &[block], offsets, words, planes, sums);
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add_blocks_avx2<E: Element, const BLOCKS: usize>(
        vectors: &Vectors,
        blocks: &[Block; BLOCKS],
        offsets: &[usize],
        words: &[i32],
        planes: &[E],
        sums: &mut [i32],
    ) {
        let bytes: &[u8] = cast_slice(planes);
        let indices = vectors.indices.as_chunks::<{ BYTES / 2 }>().0[0];
        let indices = must_cast::<[u8; BYTES / 2], __m256i>(indices);
        let mut totals = [_mm256_setzero_si256(); BLOCKS];
        for (offset, &word) in offsets.iter().zip(words) {
            let weights = _mm256_set1_epi32(word);
            // Of bytes, the even taps are multiplied apart from the odd ones, both as 16-bit elements.
            let even_weights = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(weights));
            let odd_weights = _mm256_srai_epi16::<8>(weights);
            for (total, block) in totals.iter_mut().zip(blocks) {
                let from = &bytes[(block.input + offset) * size_of::<E>()..];
                let part = |part: &[u8]| -> __m128i {
                    must_cast::<[u8; BYTES / 4], __m128i>(
                        *part.first_chunk().expect("elements beyond the last"),
                    )
                };
                let row = _mm256_set_m128i(part(&from[vectors.part..]), part(from));
                let taps = _mm256_shuffle_epi8(row, indices);
                let products = if word_taps::<E>() == 4 {
                    let even = _mm256_and_si256(taps, _mm256_set1_epi16(0xff));
                    let odd = _mm256_srli_epi16::<8>(taps);
                    _mm256_add_epi32(
                        _mm256_madd_epi16(even, even_weights),
                        _mm256_madd_epi16(odd, odd_weights),
                    )
                } else {
                    _mm256_madd_epi16(taps, weights)
                };
                *total = _mm256_add_epi32(*total, products);
            }
        }
        for (total, block) in totals.into_iter().zip(blocks) {
            let to = sums[block.output..].first_chunk_mut::<{ LANES / 2 }>();
            *to.expect("sums beyond the last") = must_cast(total);
        }
    }
}
