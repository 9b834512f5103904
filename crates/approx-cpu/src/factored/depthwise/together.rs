//! Small planes: as many at a time as vectors have lanes, one in each lane.
//!
//! A plane of some ten positions does not fill vectors of its own, and bringing it into a buffer and starting a kernel on it
//! takes longer than its products.

use std::ops::Range;

use super::Depthwise;
use super::taps::{weight, word_taps};
use crate::accumulators::Accumulator;
use crate::arch::compiled_for_every_set;
use crate::factored::tile::add_scaled;
use crate::transposed::Phases;
use crate::word::{Element, Pattern};

/// Planes that are computed together.
const LANES: usize = 16;

/// Positions of a padded plane, in all terms, up to which planes are small.
const SMALL: usize = 160;

/// Whether the planes of a convolution are computed together, given how many terms an activation is encoded in.
pub(crate) fn are_small(phases: &Phases, terms: usize) -> bool {
    let is_ordinary = phases.stride == [1, 1] && phases.all.len() == 1;
    let plane = || {
        let [rows, columns] = phases.covered();
        rows.saturating_mul(columns)
    };
    is_ordinary && terms > 0 && plane().saturating_mul(terms) <= SMALL
}

/// One value for each of the planes.
type Values = [i32; LANES];

/// Where the products of small planes are.
pub(super) struct Together {
    /// Of a term's padded plane.
    plane: usize,
    /// From the first tap of an output position to those of the first one, by position.
    positions: Vec<usize>,
    /// The taps of all terms: how far from an output position they look.
    taps: Vec<usize>,
    /// The first tap of every word of weights, and their end.
    words: Vec<usize>,
    /// Taps of the terms that have weights.
    weighted: usize,
    /// Their weights, of one output channel after the other.
    weights: Vec<i32>,
}

impl Together {
    /// For planes that are small, of an ordinary convolution.
    pub(super) fn new<P: Pattern, E: Element>(problem: &Depthwise<'_, P, E>) -> Option<Self> {
        let Phases { window, places, .. } = problem.phases;
        let [phase] = &problem.phases.all[..] else {
            return None;
        };
        let [rows, columns] = problem.phases.covered();
        let (plane, terms) = (rows * columns, problem.maps.len());
        if !are_small(problem.phases, terms) {
            return None;
        }
        let (mut taps, mut words, mut places_in_word) = (Vec::new(), vec![0], Vec::new());
        let [row_taps, column_taps] = phase.taps;
        for term in 0..terms {
            for row in row_taps.iter() {
                let row = term * rows + row * window.dilation[0];
                for (index, column) in column_taps.iter().enumerate() {
                    taps.push(row * columns + column * window.dilation[1]);
                    places_in_word.push(index % word_taps::<E>());
                    let next = index + 1;
                    if next == column_taps.count || next.is_multiple_of(word_taps::<E>()) {
                        words.push(taps.len());
                    }
                }
            }
        }
        let [weights] = problem.weights else {
            return None;
        };
        let count = weights.words.len() / window.out_channels;
        let of_output = |output: usize| {
            let own = &weights.words[output * count..][..count];
            let taps = own.iter().zip(words.windows(2)).flat_map(|(&word, taps)| {
                let places = &places_in_word[taps[0]..taps[1]];
                places.iter().map(move |&place| weight::<E>(word, place))
            });
            taps.collect::<Vec<i32>>()
        };
        let step = [window.stride[0] * columns, window.stride[1]];
        let weights: Vec<i32> = (0..window.out_channels).flat_map(of_output).collect();
        let position =
            |row: usize| (0..places[1]).map(move |column| row * step[0] + column * step[1]);
        Some(Self {
            plane,
            positions: (0..places[0]).flat_map(position).collect(),
            taps,
            words,
            weighted: weights.len() / window.out_channels,
            weights,
        })
    }

    /// The taps of some words.
    fn taps_of(&self, words: &Range<usize>) -> Range<usize> {
        self.words[words.start]..self.words[words.end]
    }
}

/// What one thread works in.
pub(super) struct Lanes<S> {
    /// The padded planes of all terms. The border is written once, only the input's positions change.
    padded: Vec<Values>,
    weights: Vec<Values>,
    /// By position, of one pass and of all.
    sums: Vec<Values>,
    totals: Vec<S>,
    /// `[window terms, positions]`
    windows: Vec<Values>,
    /// The weights of their taps.
    ones: Vec<Values>,
    /// Those of one plane.
    own_sums: Vec<S>,
    own_windows: Vec<i32>,
}

impl<S: Accumulator> Lanes<S> {
    pub(super) fn new<P: Pattern, E: Element>(
        problem: &Depthwise<'_, P, E>,
        together: &Together,
    ) -> Self {
        let border = problem.maps.iter().flat_map(|map| {
            let element = map.element(problem.padding).widen().cast_signed();
            std::iter::repeat_n([element; LANES], together.plane)
        });
        let positions = together.positions.len();
        let windows = problem.window_terms.len() * positions;
        Self {
            padded: border.collect(),
            weights: Vec::new(),
            sums: vec![[0; LANES]; positions],
            totals: vec![S::default(); positions * LANES],
            windows: vec![[0; LANES]; windows],
            ones: vec![[1; LANES]; together.taps.len() / problem.maps.len()],
            own_sums: vec![S::default(); positions],
            own_windows: vec![0; windows],
        }
    }

    /// Computes the output planes of encoded planes `[terms, planes, height, width]`, of which the first is the plane `first`
    /// of all.
    pub(super) fn convolve<P: Pattern, E: Element, T>(
        &mut self,
        problem: &Depthwise<'_, P, E>,
        together: &Together,
        (first, elements): (usize, &[E]),
        out: &mut [T],
        finish: impl Fn(usize, &mut [S], &[i32], &mut [T]),
    ) {
        let window = &problem.phases.window;
        let multiplier = window.out_channels / window.groups;
        let outputs = multiplier * together.positions.len();
        let input = window.input[0] * window.input[1];
        let length = elements.len() / problem.maps.len();
        for (block, out) in out.chunks_mut(LANES * outputs).enumerate() {
            let planes = out.len() / outputs;
            let start = block * LANES * input;
            for term in 0..problem.maps.len() {
                let elements = &elements[term * length + start..][..planes * input];
                self.gather(problem, together, term, elements);
            }
            self.sum_windows(problem, together);
            let channel = |lane: usize| (first + block * LANES + lane) % window.in_channels;
            for output in 0..multiplier {
                let channels = (0..planes).map(|lane| channel(lane) * multiplier + output);
                self.sum(problem, together, channels.clone());
                for (lane, channel) in channels.enumerate() {
                    let out = &mut out[lane * outputs + output * together.positions.len()..]
                        [..together.positions.len()];
                    for (own, totals) in self.own_sums.iter_mut().zip(self.totals.chunks(LANES)) {
                        *own = totals[lane];
                    }
                    for (own, windows) in self.own_windows.iter_mut().zip(&self.windows) {
                        *own = windows[lane];
                    }
                    finish(channel, &mut self.own_sums, &self.own_windows, out);
                }
            }
        }
    }

    /// Brings one term's elements of some planes inside the border.
    fn gather<P: Pattern, E: Element>(
        &mut self,
        problem: &Depthwise<'_, P, E>,
        together: &Together,
        term: usize,
        elements: &[E],
    ) {
        let window = &problem.phases.window;
        let [height, width] = window.input;
        let [_, covered_columns] = problem.phases.covered();
        let [rows, columns] = problem.phases.covered_input();
        let plane = &mut self.padded[term * together.plane..][..together.plane];
        for row in 0..rows {
            let to = (window.padding.top + row) * covered_columns + window.padding.left;
            for column in 0..columns {
                let own = elements[row * width + column..]
                    .iter()
                    .step_by(height * width);
                for (to, element) in plane[to + column].iter_mut().zip(own) {
                    *to = element.widen().cast_signed();
                }
            }
        }
    }

    /// The sums of the terms' elements over every window.
    fn sum_windows<P: Pattern, E: Element>(
        &mut self,
        problem: &Depthwise<'_, P, E>,
        together: &Together,
    ) {
        let positions = together.positions.len();
        let taps = self.ones.len();
        for (index, &term) in problem.window_terms.iter().enumerate() {
            let sums = &mut self.windows[index * positions..][..positions];
            let own = &together.taps[term * taps..][..taps];
            add_up(
                problem.set,
                &together.positions,
                own,
                &self.ones,
                &self.padded,
                sums,
            );
        }
    }

    /// The sums of one output channel of every plane, into the totals.
    fn sum<P: Pattern, E: Element>(
        &mut self,
        problem: &Depthwise<'_, P, E>,
        together: &Together,
        channels: impl Iterator<Item = usize>,
    ) {
        let count = together.weighted;
        self.weights.resize(count, [0; LANES]);
        for (lane, channel) in channels.enumerate() {
            for (weights, weight) in self
                .weights
                .iter_mut()
                .zip(&together.weights[channel * count..])
            {
                weights[lane] = *weight;
            }
        }
        self.totals.fill(S::default());
        for pass in &problem.weights[0].passes {
            for words in pass.parts::<S>() {
                let taps = together.taps_of(&words);
                let (offsets, weights) = (&together.taps[taps.clone()], &self.weights[taps]);
                let (positions, padded) = (&together.positions, &self.padded);
                add_up(
                    problem.set,
                    positions,
                    offsets,
                    weights,
                    padded,
                    &mut self.sums,
                );
                let scale = S::from_i64(pass.scale);
                add_scaled(
                    problem.set,
                    scale,
                    self.sums.as_flattened(),
                    &mut self.totals,
                );
            }
        }
    }
}

compiled_for_every_set! {
    /// Writes, for every output position, the sums of element times weight over some taps, modulo 2^32.
    fn add_up(
        set,
        positions: &[usize],
        taps: &[usize],
        weights: &[Values],
        padded: &[Values];
        sums: &mut [Values],
    ) {
        for (sums, position) in sums.iter_mut().zip(positions) {
            let mut total = [0i32; LANES];
            for (tap, weights) in taps.iter().zip(weights) {
                let elements = &padded[position + tap];
                for lane in 0..LANES {
                    let product = elements[lane].wrapping_mul(weights[lane]);
                    total[lane] = total[lane].wrapping_add(product);
                }
            }
            *sums = total;
        }
    }
}
