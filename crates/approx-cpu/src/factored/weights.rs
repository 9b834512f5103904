//! Weights as elements, in the order that their kernel takes them in, and what they add up to.

use rayon::prelude::*;

use super::decompose::ElementType;
use super::depthwise::pack_words;
use super::kernel::{Block, LANES, ROWS};
use super::operands::Weights;
use super::prepared::Prepared;
use crate::error::KernelError;

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
        let mut sums = vec![WeightSum::default(); out_channels];
        for (channel, sum) in sums.iter_mut().enumerate() {
            for index in channel * inner..(channel + 1) * inner {
                sum.add(prepared, prepared.weight_pattern(weights, index));
            }
        }
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
        let decomposition = &prepared.decomposition;
        let per_word = decomposition.elements.per_word();
        let area = self.kernel[0] * self.kernel[1];
        let outputs = self.out_channels / self.groups;
        let panels = outputs.div_ceil(ROWS);
        let size = [self.group_channels.div_ceil(per_word), area, ROWS]
            .into_iter()
            .fold(decomposition.weights.len(), usize::saturating_mul);
        if size == 0 || panels == 0 {
            return Vec::new();
        }
        let mut words = vec![0; self.groups * panels * size];
        let pack = |(panel, words): (usize, &mut [i32])| {
            let (group, panel) = (panel / panels, panel % panels);
            let channels = panel * ROWS..outputs.min((panel + 1) * ROWS);
            let mut rows = words.chunks_exact_mut(ROWS);
            let mut patterns = [0; MOST_PER_WORD];
            for pass in &decomposition.passes {
                for first in (0..self.group_channels).step_by(per_word) {
                    let inputs = first..self.group_channels.min(first + per_word);
                    for term in pass.terms.clone() {
                        for tap in 0..area {
                            let row = rows.next().expect("a row for every tap");
                            for (word, channel) in row.iter_mut().zip(channels.clone()) {
                                let filter = (group * outputs + channel) * self.group_channels;
                                for (pattern, input) in patterns.iter_mut().zip(inputs.clone()) {
                                    let index = (filter + input) * area + tap;
                                    *pattern = prepared.weight_pattern(weights, index);
                                }
                                *word = prepared.weight_word(term, &patterns[..inputs.len()]);
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
            .for_each(pack);
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
