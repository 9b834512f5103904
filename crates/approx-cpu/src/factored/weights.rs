//! Weights as elements, in the order that their kernel takes them in, and what they add up to.

use std::ops::Range;

use rayon::prelude::*;

use super::decompose::ElementType;
use super::depthwise::pack_words;
use super::encode::ElementMap;
use super::kernel::{Block, LANES, ROWS};
use super::operands::Weights;
use super::prepared::{Maps, Prepared};
use crate::arch::InstructionSet;
use crate::error::KernelError;
use crate::word::{Element, Pattern};

/// Words worth a task of their own.
const WORDS_PER_TASK: usize = 1 << 14;
/// Taps of a depthwise kernel at most: their elements' sum has to fit in 32 bits.
const MOST_DEPTHWISE_TAPS: usize = 1 << 15;
/// Elements of a word at most.
const MOST_PER_WORD: usize = 4;

/// The weights of a matrix product.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) inner: usize,
    pub(super) columns: usize,
    pub(super) sums: OutputSums,
    /// `[blocks of columns, terms, groups of taps]`.
    pub(super) blocks: Vec<Block>,
}

impl Columns {
    /// Packs `[inner, columns]`.
    pub(super) fn pack(
        prepared: &Prepared,
        weights: Weights<'_>,
        inner: usize,
        columns: usize,
    ) -> Result<Self, KernelError> {
        let per_word = prepared.decomposition.elements.per_word();
        let terms = prepared.decomposition.weights.len();
        let groups = inner.div_ceil(per_word);
        let mut sums = vec![WeightSum::default(); columns];
        // At least one block: a product without terms still has constants.
        let size = terms.saturating_mul(groups).max(1);
        let mut blocks = vec![Block::default(); columns.div_ceil(LANES) * size];
        let pack = |(block, (sums, blocks)): (usize, (&mut [WeightSum], &mut [Block]))| {
            let mut patterns = [[0; MOST_PER_WORD]; LANES];
            for group in 0..groups {
                let taps = group * per_word..inner.min((group + 1) * per_word);
                for (place, tap) in taps.clone().enumerate() {
                    let first = tap * columns + block * LANES;
                    for (lane, sum) in sums.iter_mut().enumerate() {
                        let pattern = prepared.weight_pattern(weights, first + lane);
                        sum.add(prepared, pattern);
                        patterns[lane][place] = pattern;
                    }
                }
                for term in 0..terms {
                    let words = &mut blocks[term * groups + group].0;
                    for (word, patterns) in words.iter_mut().zip(&patterns[..sums.len()]) {
                        *word = prepared.weight_word(term, &patterns[..taps.len()]);
                    }
                }
            }
        };
        sums.par_chunks_mut(LANES)
            .zip(blocks.par_chunks_mut(size))
            .with_min_len(WORDS_PER_TASK.div_ceil(size.saturating_mul(LANES)))
            .enumerate()
            .for_each(pack);
        Ok(Columns {
            inner,
            columns,
            sums: OutputSums::new(prepared, sums, inner)?,
            blocks,
        })
    }
}

/// The weights of a convolution.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    pub(super) out_channels: usize,
    pub(super) group_channels: usize,
    pub(super) groups: usize,
    pub(super) kernel: [usize; 2],
    pub(super) sums: OutputSums,
    pub(super) words: FilterWords,
}

/// Words of filters.
#[derive(Debug, Clone)]
pub(super) enum FilterWords {
    /// `[groups, panels, passes, channel words, terms of the pass, kernel height, kernel width, channels of the panel]`.
    Panels(Vec<i32>),
    /// Where every group has one channel and a kernel of moderate size:
    /// `[output channels, terms, kernel height, words of a kernel row]`.
    Depthwise(Vec<i32>),
}

impl FilterWords {
    pub(super) fn as_slice(&self) -> &[i32] {
        match self {
            FilterWords::Panels(words) | FilterWords::Depthwise(words) => words,
        }
    }
}

impl Filters {
    /// Packs `[out_channels, group_channels, kernel height, kernel width]`, for a depthwise convolution or not.
    pub(super) fn pack(
        prepared: &Prepared,
        weights: Weights<'_>,
        out_channels: usize,
        group_channels: usize,
        groups: usize,
        kernel: [usize; 2],
        depthwise: bool,
    ) -> Result<Self, KernelError> {
        let inner = group_channels * kernel[0] * kernel[1];
        let sum = |channel: usize| {
            let mut sum = WeightSum::default();
            let own = channel * inner..(channel + 1) * inner;
            prepared.for_each_pattern(weights, own, |pattern| sum.add(prepared, pattern));
            sum
        };
        let sums = (0..out_channels)
            .into_par_iter()
            .with_min_len((WORDS_PER_TASK / inner.max(1)).max(1))
            .map(sum)
            .collect();
        let mut filters = Filters {
            out_channels,
            group_channels,
            groups,
            kernel,
            sums: OutputSums::new(prepared, sums, inner)?,
            words: FilterWords::Panels(Vec::new()),
        };
        filters.words = if depthwise {
            FilterWords::Depthwise(filters.depthwise(prepared, weights))
        } else {
            FilterWords::Panels(filters.panels(prepared, weights))
        };
        Ok(filters)
    }

    /// Whether a convolution is computed as a depthwise one.
    pub(super) fn are_depthwise(group_channels: usize, kernel: [usize; 2]) -> bool {
        group_channels == 1 && kernel[0] * kernel[1] <= MOST_DEPTHWISE_TAPS
    }

    fn panels(&self, prepared: &Prepared, weights: Weights<'_>) -> Vec<i32> {
        match &prepared.weight_maps {
            Maps::NarrowBytes(maps) => self.panels_of::<u8, u8, 4>(prepared, maps, weights),
            Maps::NarrowWords(maps) => self.panels_of::<u8, i16, 2>(prepared, maps, weights),
            Maps::WideBytes(maps) => self.panels_of::<u16, u8, 4>(prepared, maps, weights),
            Maps::WideWords(maps) => self.panels_of::<u16, i16, 2>(prepared, maps, weights),
        }
    }

    /// The panels, of elements of which so many make a word.
    fn panels_of<P: Pattern, E: Element, const PER_WORD: usize>(
        &self,
        prepared: &Prepared,
        maps: &[ElementMap<P, E>],
        weights: Weights<'_>,
    ) -> Vec<i32> {
        let area = self.kernel[0] * self.kernel[1];
        let inner = self.group_channels * area;
        let outputs = self.out_channels / self.groups;
        let panels = outputs.div_ceil(ROWS);
        let size = [self.group_channels.div_ceil(PER_WORD), area, ROWS]
            .into_iter()
            .fold(maps.len(), usize::saturating_mul);
        if size == 0 || panels == 0 {
            return Vec::new();
        }
        let mut words = vec![0; self.groups * panels * size];
        let set = InstructionSet::best();
        let pack = |(patterns, elements): &mut (Vec<P>, Vec<E>),
                    (panel, words): (usize, &mut [i32])| {
            let (group, panel) = (panel / panels, panel % panels);
            let channels = panel * ROWS..outputs.min((panel + 1) * ROWS);
            let first = (group * outputs + channels.start) * inner;
            let length = channels.len() * inner;
            prepared.patterns(weights, first..first + length, patterns);
            elements.resize(maps.len() * length, E::default());
            for (map, elements) in maps.iter().zip(elements.chunks_exact_mut(length)) {
                map.map_row(set, patterns, elements);
            }
            let mut rows = words.chunks_exact_mut(ROWS);
            for pass in &prepared.decomposition.passes {
                for first in (0..self.group_channels).step_by(PER_WORD) {
                    let inputs = PER_WORD.min(self.group_channels - first);
                    for term in pass.terms.clone() {
                        let elements = &elements[term * length..][..length];
                        for tap in 0..area {
                            let row = rows.next().expect("a row for every tap");
                            let filters = elements.chunks_exact(inner);
                            for (word, filter) in row.iter_mut().zip(filters) {
                                let neighbours = &filter[first * area + tap..];
                                // The usual cases with everything known when this is compiled.
                                *word = match (area, inputs == PER_WORD) {
                                    (1, true) => {
                                        let neighbours = &neighbours[..PER_WORD];
                                        word_of::<E, PER_WORD>(neighbours, 1, PER_WORD)
                                    }
                                    (_, true) => word_of::<E, PER_WORD>(neighbours, area, PER_WORD),
                                    (_, false) => word_of::<E, PER_WORD>(neighbours, area, inputs),
                                };
                            }
                        }
                    }
                }
            }
        };
        words
            .par_chunks_mut(size)
            .with_min_len(WORDS_PER_TASK.div_ceil(size))
            .enumerate()
            .for_each_init(Default::default, pack);
        words
    }

    fn depthwise(&self, prepared: &Prepared, weights: Weights<'_>) -> Vec<i32> {
        let decomposition = &prepared.decomposition;
        let [height, width] = self.kernel;
        let mut words = Vec::new();
        for channel in 0..self.out_channels {
            let first = channel * height * width;
            for weight in &decomposition.weights {
                let taps = (first..first + height * width)
                    .map(|index| weight[prepared.weight_pattern(weights, index)]);
                let taps: Vec<i16> = taps.collect();
                match decomposition.elements {
                    ElementType::Bytes => words.extend(pack_words::<u8>(&taps, width)),
                    ElementType::Words => words.extend(pack_words::<i16>(&taps, width)),
                }
            }
        }
        words
    }
}

/// The word of so many elements, which lie a distance apart; those missing are 0.
#[inline(always)]
fn word_of<E: Element, const PER_WORD: usize>(
    elements: &[E],
    distance: usize,
    count: usize,
) -> i32 {
    let bits = 32 / PER_WORD;
    let mut word = 0;
    for place in 0..count {
        let element = elements[place * distance].widen() & (u32::MAX >> (32 - bits));
        word |= element << (place * bits);
    }
    word.cast_signed()
}

/// What the weights of every output add up to.
#[derive(Debug, Clone)]
pub(super) struct OutputSums {
    /// What an output's sum of products lacks, by output.
    pub(super) constants: Vec<i64>,
    /// No output's sum has a larger magnitude.
    pub(super) bound: u64,
}

impl OutputSums {
    /// From what the weights of every output add up to, and the number of them.
    fn new(prepared: &Prepared, sums: Vec<WeightSum>, inner: usize) -> Result<Self, KernelError> {
        let bound = sums.iter().map(|sum| sum.bound).max().unwrap_or(0);
        if i64::try_from(bound).is_err() {
            return Err(KernelError::Overflow {
                quantity: "a sum of products",
            });
        }
        let per_tap = prepared.decomposition.offsets.per_tap;
        let offset = per_tap.wrapping_mul(inner as i64);
        let constants = sums.iter().map(|sum| sum.constant.wrapping_add(offset));
        Ok(OutputSums {
            constants: constants.collect(),
            bound,
        })
    }
}

/// What the weights of one output add up to.
#[derive(Debug, Clone, Copy, Default)]
struct WeightSum {
    /// What products with them add whatever the activations.
    constant: i64,
    /// The largest magnitude of their products' sum, saturated.
    bound: u64,
}

impl WeightSum {
    #[inline(always)]
    fn add(&mut self, prepared: &Prepared, pattern: usize) {
        let constant = prepared.decomposition.constants[pattern];
        self.constant = self.constant.wrapping_add(constant);
        self.bound = self.bound.saturating_add(prepared.bounds[pattern]);
    }
}

impl Prepared {
    /// The bit pattern of a weight.
    #[inline(always)]
    pub(super) fn weight_pattern(&self, weights: Weights<'_>, index: usize) -> usize {
        let pattern = match weights {
            Weights::Narrow(patterns) => patterns[index].into(),
            Weights::Wide(patterns) => patterns[index],
            Weights::Values { values, layout } => {
                layout.channel(index).bit_pattern(values[index]).0 as u16
            }
        };
        usize::from(pattern & self.weight.mask())
    }

    /// The bit patterns of some weights.
    fn patterns<P: Pattern>(&self, weights: Weights<'_>, range: Range<usize>, to: &mut Vec<P>) {
        let mask = P::truncate(self.weight.mask().into());
        to.clear();
        match weights {
            Weights::Narrow(patterns) => {
                let patterns = patterns[range].iter();
                to.extend(patterns.map(|&pattern| P::truncate(pattern.into()) & mask));
            }
            Weights::Wide(patterns) => {
                let patterns = patterns[range].iter();
                to.extend(patterns.map(|&pattern| P::truncate(pattern.into()) & mask));
            }
            Weights::Values { .. } => {
                let pattern = |index| self.weight_pattern(weights, index) as u32;
                to.extend(range.map(|index| P::truncate(pattern(index))));
            }
        }
    }

    /// Hands the bit patterns of some weights to a function, one after the other.
    #[inline(always)]
    fn for_each_pattern(
        &self,
        weights: Weights<'_>,
        range: Range<usize>,
        mut each: impl FnMut(usize),
    ) {
        let mask = usize::from(self.weight.mask());
        // One loop for each kind, so that none asks again and again.
        match weights {
            Weights::Narrow(patterns) => {
                let patterns = patterns[range].iter();
                patterns.for_each(|&pattern| each(usize::from(pattern) & mask));
            }
            Weights::Wide(patterns) => {
                let patterns = patterns[range].iter();
                patterns.for_each(|&pattern| each(usize::from(pattern) & mask));
            }
            Weights::Values { .. } => {
                range.for_each(|index| each(self.weight_pattern(weights, index)));
            }
        }
    }

    /// The word of some neighbouring weights in one term; those missing are 0.
    #[inline(always)]
    fn weight_word(&self, term: usize, patterns: &[usize]) -> i32 {
        let weights = &self.decomposition.weights[term];
        let bits = 32 / self.decomposition.elements.per_word();
        patterns
            .iter()
            .enumerate()
            .fold(0, |word, (place, &pattern)| {
                word | (i32::from(weights[pattern]) & ((1 << bits) - 1)) << (place * bits)
            })
    }
}
