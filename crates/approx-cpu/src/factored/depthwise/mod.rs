//! Depthwise convolution: every output channel sees one input channel.
//!
//! A general convolution fills its vectors with the products of many channels; here there is one, and each is used for
//! little more than one output channel, so that encoding it is most of the work. One input channel at a time is encoded
//! and padded into a buffer that stays in the first cache, and multiplied from there; small ones, several at a time
//! (`together`).

mod taps;
mod together;

use std::ops::Range;

use rayon::prelude::*;

use self::taps::Taps;
pub(crate) use self::taps::pack_words;
pub(crate) use self::together::are_small;
use self::together::{Lanes, Together};
use super::encode::ElementMap;
use super::source::Source;
use super::tile::{GroupPass, add_scaled};
use crate::accumulators::Accumulator;
use crate::arch::InstructionSet;
use crate::parallel::CHUNK;
use crate::transposed::Phases;
use crate::word::{Element, Pattern};

/// A depthwise convolution of encoded operands.
///
/// Every term has a padded plane of an input channel's elements; its words of weights meet that plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depthwise<'a, P, E> {
    pub(crate) set: InstructionSet,
    /// Those of a valid shape with one input channel per group.
    pub(crate) phases: &'a Phases,
    /// The elements of an activation, one per term. Terms after those that have weights only serve window sums.
    pub(crate) maps: &'a [ElementMap<P, E>],
    /// The bit pattern outside the input.
    pub(crate) padding: P,
    /// The weights of every phase.
    pub(crate) weights: &'a [PhaseWeights<'a>],
    /// Terms whose elements are summed over every window.
    pub(crate) window_terms: &'a [usize],
}

/// The weights of one phase.
#[derive(Debug, Clone)]
pub(crate) struct PhaseWeights<'a> {
    /// What [`pack_words`] gives for every output channel, one after the other.
    pub(crate) words: &'a [i32],
    /// How an output channel's products are added up; a group of taps is a word.
    pub(crate) passes: Vec<GroupPass>,
}

/// Activations that are encoded together: few enough for the first cache, enough to make a last, shorter vector rare.
const BLOCK: usize = 8 * 1024;

impl<P: Pattern, E: Element> Depthwise<'_, P, E> {
    /// Computes every output plane and hands its sums, modulo 2^32 in 32 bits and exact in 64, to
    /// `finish(output channel, sums, window sums, plane of out)` while they are in cache. Sums come phase after phase,
    /// and so do window sums, those of a phase plane after plane in the order of `window_terms`.
    ///
    /// Returns whether every value is a number; if not, some of `out` is left as it is.
    ///
    /// # Panics
    /// If a slice does not fit the shape.
    #[must_use]
    pub(crate) fn run<S: Accumulator, T: Send>(
        &self,
        source: Source<'_, P>,
        out: &mut [T],
        finish: impl Fn(usize, &mut [S], &[i32], &mut [T]) + Sync,
    ) -> bool {
        let shape = &self.phases.window;
        assert_eq!(shape.in_channels, shape.groups, "one channel per group");
        let planes = shape.batch * shape.in_channels;
        let input: usize = shape.input.iter().product();
        assert_eq!(source.len(), planes * input, "the shape's input");
        let output: usize = self.phases.output.iter().product();
        let outputs = shape.out_channels / shape.groups * output;
        assert_eq!(out.len(), planes * outputs, "the shape's output");
        if out.is_empty() {
            return true;
        }
        let phases = self.phases.all.iter();
        let taps: Vec<Taps> = phases
            .map(|phase| Taps::new::<E>(self.set, self.phases, phase, self.maps.len()))
            .collect();
        let block = (BLOCK / input.max(1)).clamp(1, planes);
        let together = Together::new(self);
        let new_scratch = || {
            let lanes = together.as_ref().map(|together| Lanes::new(self, together));
            (Scratch::new(self, &taps), lanes)
        };
        let run_block = |(scratch, lanes): &mut (Scratch<P, E, S>, Option<Lanes<S>>),
                         (index, out): (usize, &mut [T])| {
            let first = index * block;
            let last = first + out.len() / outputs;
            let numbers = scratch.encode(self, source, first * input..last * input);
            if let (true, Some(together), Some(lanes)) = (numbers, &together, lanes) {
                let planes = (first, &scratch.elements[..]);
                lanes.convolve(self, together, planes, out, &finish);
            } else if numbers {
                for (plane, out) in out.chunks_exact_mut(outputs).enumerate() {
                    scratch.pad(self, plane);
                    let channel = (first + plane) % shape.in_channels;
                    scratch.convolve(self, &taps, channel, out, &finish);
                }
            }
            numbers
        };
        if planes * (input + outputs) <= CHUNK {
            let mut scratch = new_scratch();
            out.chunks_mut(block * outputs)
                .enumerate()
                .all(|block| run_block(&mut scratch, block))
        } else {
            out.par_chunks_mut(block * outputs)
                .enumerate()
                .map_init(new_scratch, run_block)
                .all(|numbers| numbers)
        }
    }
}

/// What one thread works in.
struct Scratch<P, E, S> {
    patterns: Vec<P>,
    /// The elements of a block of input planes, `[terms, planes, height, width]`.
    elements: Vec<E>,
    /// One input channel's padded planes. The border is written once, only the input's positions change.
    padded: Vec<E>,
    /// The sums of one pass, `[phases, rows, columns]`, and of all passes where that is something else.
    sums: Vec<i32>,
    totals: Vec<S>,
    /// The sums over every window, `[phases, window terms, rows, columns]`, and the weights they take in every phase.
    window_sums: Vec<i32>,
    ones: Vec<Vec<i32>>,
}

impl<P: Pattern, E: Element, S: Accumulator> Scratch<P, E, S> {
    fn new(problem: &Depthwise<'_, P, E>, taps: &[Taps]) -> Self {
        let length = taps.iter().map(|taps| taps.length::<E>()).max();
        let plane: usize = problem.phases.covered().iter().product();
        let mut padded = vec![E::default(); length.unwrap_or(0)];
        for (map, plane) in problem.maps.iter().zip(padded.chunks_exact_mut(plane)) {
            plane.fill(map.element(problem.padding));
        }
        let sums = taps.iter().map(Taps::positions).sum();
        let ones = problem.phases.all.iter().map(|phase| {
            let [height, width] = phase.kernel();
            pack_words::<E>(&vec![1; height * width], width).collect()
        });
        Scratch {
            patterns: Vec::new(),
            elements: Vec::new(),
            padded,
            sums: vec![0; sums + Taps::OVERRUN],
            totals: vec![S::default(); sums],
            window_sums: vec![0; problem.window_terms.len() * sums + Taps::OVERRUN],
            ones: ones.collect(),
        }
    }

    /// Encodes a range of the activations in every term; returns whether all of them are numbers.
    fn encode(
        &mut self,
        problem: &Depthwise<'_, P, E>,
        source: Source<'_, P>,
        range: Range<usize>,
    ) -> bool {
        let length = range.len();
        let Some(patterns) = source.patterns(problem.set, range, &mut self.patterns) else {
            return false;
        };
        self.elements
            .resize(problem.maps.len() * length, E::default());
        for (term, map) in problem.maps.iter().enumerate() {
            let elements = &mut self.elements[term * length..][..length];
            map.map_row(problem.set, patterns, elements);
        }
        true
    }

    /// Puts one plane of the encoded block inside the border, in every term.
    fn pad(&mut self, problem: &Depthwise<'_, P, E>, plane: usize) {
        let [height, width] = problem.phases.window.input;
        let padding = problem.phases.window.padding;
        let [covered_rows, covered_columns] = problem.phases.covered();
        let [rows, columns] = problem.phases.covered_input();
        if rows * columns == 0 {
            return;
        }
        let terms = problem.maps.len();
        let length = self.elements.len() / terms.max(1);
        for term in 0..terms {
            let from = &self.elements[term * length + plane * height * width..][..height * width];
            let first = (term * covered_rows + padding.top) * covered_columns + padding.left;
            let to = self.padded[first..].chunks_mut(covered_columns);
            for (to, from) in to.zip(from.chunks_exact(width)).take(rows) {
                to[..columns].copy_from_slice(&from[..columns]);
            }
        }
    }

    /// Computes the output planes of the padded input channel.
    fn convolve<T>(
        &mut self,
        problem: &Depthwise<'_, P, E>,
        taps: &[Taps],
        channel: usize,
        out: &mut [T],
        finish: impl Fn(usize, &mut [S], &[i32], &mut [T]),
    ) {
        let positions = problem.phases.places.iter().product();
        let terms = problem.window_terms.len();
        for (phase, (taps, ones)) in taps.iter().zip(&self.ones).enumerate() {
            for (index, &term) in problem.window_terms.iter().enumerate() {
                let words = term * ones.len()..(term + 1) * ones.len();
                let sums = &mut self.window_sums[(phase * terms + index) * positions..];
                taps.add_up(words, ones, &self.padded, sums);
            }
        }
        let windows = &self.window_sums[..taps.len() * terms * positions];
        let plane = problem.phases.output.iter().product();
        let first = channel * (out.len() / plane);
        // As they are, the sums of one pass may be those of all.
        let are_final = |weights: &PhaseWeights<'_>| {
            !S::WIDE && matches!(&*weights.passes, [GroupPass { scale: 1, .. }])
        };
        let are_final = problem.weights.iter().all(are_final);
        for (output, out) in (first..).zip(out.chunks_exact_mut(plane)) {
            for (phase, (taps, weights)) in taps.iter().zip(problem.weights).enumerate() {
                let count = weights.words.len() / problem.phases.window.out_channels;
                let words = &weights.words[output * count..][..count];
                let add_up = |range: Range<usize>, sums: &mut [i32]| {
                    let words = &words[range.clone()];
                    taps.add_up(range, words, &self.padded, sums);
                };
                // What is written after a phase's sums is overwritten by those of the next one.
                let sums = &mut self.sums[phase * positions..];
                if are_final {
                    add_up(weights.passes[0].groups.clone(), sums);
                    continue;
                }
                let totals = &mut self.totals[phase * positions..][..positions];
                totals.fill(S::default());
                for pass in &weights.passes {
                    for words in pass.parts::<S>() {
                        add_up(words, sums);
                        let scale = S::from_i64(pass.scale);
                        add_scaled(problem.set, scale, sums, totals);
                    }
                }
            }
            let sums = match are_final {
                true => bytemuck::cast_slice_mut(&mut self.sums[..taps.len() * positions]),
                false => &mut self.totals[..],
            };
            finish(output, sums, windows, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Padding2d;
    use crate::quantize::ChannelQuantizer;
    use crate::shapes::Conv2dShape;
    use crate::tests::{Random, visit_taps};

    /// The weights that elements are multiplied with.
    trait Weights: Element {
        const WEIGHTS: [i16; 2];
    }

    impl Weights for u8 {
        const WEIGHTS: [i16; 2] = [-128, 127];
    }

    impl Weights for i16 {
        // Two products with the smallest weight of all might not fit in 32 bits.
        const WEIGHTS: [i16; 2] = [-i16::MAX, i16::MAX];
    }

    /// Everything of a problem but its types.
    #[derive(Debug, Clone)]
    struct Case {
        shape: Conv2dShape,
        terms: usize,
        seed: u64,
        extreme: bool,
    }

    fn cases() -> impl Strategy<Value = Case> {
        let sides = (1..=7usize, 1..=5usize, 1..=3usize, 0..=3usize, 0..=3usize);
        let axis = |most: usize| (0..=most, sides.clone());
        let channels = (0..=2usize, 1..=5usize, 1..=3usize);
        let numbers = (0..=3usize, 1u64.., any::<bool>());
        (axis(12), axis(40), channels, numbers).prop_map(
            |(vertical, horizontal, (batch, groups, multiplier), (terms, seed, extreme))| {
                // Grow the input where the kernel would not fit.
                let [height, width] =
                    [vertical, horizontal].map(|(side, (kernel, _, dilation, before, after))| {
                        side.max(((kernel - 1) * dilation + 1).saturating_sub(before + after))
                    });
                let (_, (kernel_height, stride_y, dilation_y, top, bottom)) = vertical;
                let (_, (kernel_width, stride_x, dilation_x, left, right)) = horizontal;
                let shape = Conv2dShape {
                    batch,
                    in_channels: groups,
                    out_channels: groups * multiplier,
                    groups,
                    input: [height, width],
                    kernel: [kernel_height, kernel_width],
                    stride: [stride_y, stride_x],
                    dilation: [dilation_y, dilation_x],
                    padding: Padding2d {
                        top,
                        bottom,
                        left,
                        right,
                    },
                };
                Case {
                    shape,
                    terms,
                    seed,
                    extreme,
                }
            },
        )
    }

    /// Compares every instruction set with the formula.
    fn check<P: Pattern, E: Weights>(case: &Case) {
        let &Case {
            shape,
            terms,
            seed,
            extreme,
        } = case;
        let mut state = Random(seed);
        let mut random = || state.next() as u32;
        let tables: Vec<Vec<E>> = (0..terms)
            .map(|_| {
                let largest = E::truncate(if size_of::<E>() == 1 { 0xff } else { 0x8000 });
                (0..1 << 6)
                    .map(|_| {
                        if extreme {
                            largest
                        } else {
                            E::truncate(random())
                        }
                    })
                    .collect()
            })
            .collect();
        let maps: Vec<_> = tables
            .iter()
            .map(|table| ElementMap::<P, E>::new(table))
            .collect();
        let element = |term: usize, pattern: P| {
            i64::from(tables[term][pattern.widen() as usize % (1 << 6)].widen() as i32)
        };
        let [height, width] = shape.input;
        let patterns: Vec<P> = (0..shape.batch * shape.in_channels * height * width)
            .map(|_| P::truncate(random()))
            .collect();
        let padding = P::truncate(random());
        let taps = shape.kernel[0] * shape.kernel[1];
        let [lowest, highest] = E::WEIGHTS;
        let weights: Vec<i16> = (0..shape.out_channels * terms * taps)
            .map(|_| match (extreme, random()) {
                (true, _) => lowest,
                (false, random) => (random as i16).clamp(lowest, highest),
            })
            .collect();
        let words: Vec<i32> = weights
            .chunks(shape.kernel[1])
            .flat_map(|row| pack_words::<E>(row, shape.kernel[1]))
            .collect();
        // The last term has no pass if there are three: it serves window sums only.
        let term_words = words.len() / (shape.out_channels * terms).max(1);
        let weighted = if terms == 3 { 2 } else { terms };
        let scales = [1, -3, i64::from(i32::MAX)];
        // Words of 16-bit elements are added up in 64 bits one by one, as their products might need it.
        let step = if size_of::<E>() == 1 {
            term_words.max(1)
        } else {
            1
        };
        let passes: Vec<GroupPass> = (0..weighted)
            .map(|term| GroupPass {
                groups: term * term_words..(term + 1) * term_words,
                scale: scales[term],
                exact_groups: step,
            })
            .collect();
        let window_terms: Vec<usize> = (0..terms).rev().collect();

        let positions: usize = shape.output().iter().product();
        let outputs = shape.batch * shape.out_channels * positions;
        let mut expected = vec![(0i64, vec![0i64; terms]); outputs];
        visit_taps(shape, &patterns, |output, activation, weight| {
            let (channel, tap) = (weight / taps, weight % taps);
            let (sum, windows) = &mut expected[output];
            for (term, window) in windows.iter_mut().enumerate() {
                let element = element(term, activation.unwrap_or(padding));
                if term < weighted {
                    let weight = weights[(channel * terms + term) * taps + tap];
                    *sum += scales[term] * element * i64::from(weight);
                }
                *window += element;
            }
        });

        let values: Vec<f32> = patterns
            .iter()
            .map(|pattern| (pattern.widen() % (1 << 6)) as f32)
            .collect();
        let sources = [
            Source::Patterns(&patterns),
            Source::Values {
                values: &values,
                quantizer: CODES,
            },
        ];
        for (&set, source) in InstructionSet::available()
            .iter()
            .flat_map(|set| sources.map(|source| (set, source)))
        {
            let problem = Depthwise {
                set,
                phases: &Phases::ordinary(&shape),
                maps: &maps,
                padding,
                weights: &[PhaseWeights {
                    words: &words,
                    passes: passes.clone(),
                }],
                window_terms: &window_terms,
            };
            let mut out = vec![(0, Vec::new()); expected.len()];
            let windows_at = |windows: &[i32], position: usize| -> Vec<i64> {
                let windows = windows.chunks_exact(positions).rev();
                windows.map(|plane| plane[position].into()).collect()
            };
            let all_numbers = problem.run(source, &mut out, |_, sums: &mut [i64], windows, out| {
                for (position, out) in out.iter_mut().enumerate() {
                    *out = (sums[position], windows_at(windows, position));
                }
            });
            assert!(all_numbers);
            assert!(out == expected, "{set:?} {case:?}");
            let mut out = vec![0; expected.len()];
            let all_numbers = problem.run(source, &mut out, |_, sums: &mut [i32], _, out| {
                out.copy_from_slice(sums);
            });
            assert!(all_numbers);
            let expected = expected.iter().map(|(sum, _)| *sum as i32);
            assert!(expected.eq(out), "{set:?} {case:?}");
        }
    }

    /// Codes of six bits that are their own values.
    const CODES: ChannelQuantizer = ChannelQuantizer {
        scale: 1.0,
        reciprocal: 1.0,
        zero_point: 0.0,
        low: 0.0,
        high: 63.0,
    };

    /// Square images under a kernel of 3 x 3 with a border of one.
    fn images(
        batch: usize,
        groups: usize,
        multiplier: usize,
        side: usize,
        stride: usize,
    ) -> Conv2dShape {
        Conv2dShape {
            batch,
            in_channels: groups,
            out_channels: groups * multiplier,
            groups,
            input: [side, side],
            kernel: [3, 3],
            stride: [stride, stride],
            dilation: [1, 1],
            padding: Padding2d::symmetric(1, 1),
        }
    }

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_formula(case in cases()) {
            check::<u8, u8>(&case);
            check::<u8, i16>(&case);
            check::<u16, i16>(&case);
        }
    }

    #[test]
    fn blocks_of_planes_do_not_depend_on_the_number_of_threads() {
        for threads in [1, 2, 5] {
            for shape in [
                images(2, 211, 1, 7, 1),
                images(1, 3, 1, 112, 2),
                images(2, 5, 2, 50, 1),
            ] {
                let case = Case {
                    shape,
                    terms: 1,
                    seed: 5,
                    extreme: false,
                };
                pool(threads).install(|| check::<u8, u8>(&case));
            }
        }
    }

    /// More planes than a vector has lanes, of several output channels, terms and types.
    #[test]
    fn small_planes_do_not_depend_on_their_neighbours() {
        for shape in [
            images(4, 9, 3, 5, 1),
            images(3, 20, 1, 2, 2),
            images(1, 37, 2, 3, 1),
        ] {
            for terms in [1, 3] {
                for extreme in [false, true] {
                    let case = Case {
                        shape,
                        terms,
                        seed: 11,
                        extreme,
                    };
                    check::<u8, u8>(&case);
                    check::<u8, i16>(&case);
                    check::<u16, i16>(&case);
                }
            }
        }
    }

    #[test]
    fn a_nan_in_any_block_is_noticed() {
        let shape = images(1, 700, 1, 7, 1);
        let maps = [ElementMap::<u8, u8>::new(&[0, 1, 2, 3])];
        let problem = Depthwise {
            set: InstructionSet::best(),
            phases: &Phases::ordinary(&shape),
            maps: &maps,
            padding: 0,
            weights: &[PhaseWeights {
                words: &[1; 700 * 3],
                passes: vec![GroupPass {
                    groups: 0..3,
                    scale: 1,
                    exact_groups: 3,
                }],
            }],
            window_terms: &[],
        };
        let mut out = vec![(); 700 * 49];
        for position in [0, 20_000, 700 * 49 - 1] {
            let mut values = vec![1.0; 700 * 49];
            values[position] = f32::NAN;
            let source = Source::Values {
                values: &values,
                quantizer: CODES,
            };
            for threads in [1, 3] {
                let numbers = pool(threads)
                    .install(|| problem.run(source, &mut out, |_, _: &mut [i32], _, _| ()));
                assert!(!numbers, "{position}");
            }
        }
    }
}
