//! Convolutions: packed output channels meet an encoded input.
//!
//! The lanes of a tile are output positions, its rows output channels. The weights of eight channels are packed as a
//! panel. The input is cut into pieces whose encoding stays in the second cache: some rows of one image, or several
//! small images, whose positions then meet all panels, one panel after the other. Where the outputs have several
//! phases, a tile meets the weights of one phase after the other, and what comes out is put between each other at once.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::depthwise::{Depthwise, PhaseWeights};
use super::encode::ElementMap;
use super::epilogue::{Epilogue, FinishPositions, WindowSums};
use super::kernel::{Distances, LANES, Operands, ROWS, WIDTH, Words};
use super::layout::{Layout, PositionTile, Segment};
use super::prepared::Prepared;
use super::scratch::with_words;
use super::source::{Encode, NOT_A_NUMBER, Source};
use super::tile::{GroupPass, TileSums, add_scaled};
use super::weights::{FilterWords, Filters};
use crate::accumulators::Accumulator;
use crate::arch::{InstructionSet, Instructions, Kernel};
use crate::error::KernelError;
use crate::parallel::PRODUCTS_PER_TASK;
use crate::transposed::{
    ClassPlaces, Corrections, Phase, PhaseValues, Phases, RowPhases, Run, interleave,
    interleave_planes,
};
use crate::word::Pattern;
use crate::written::written;

/// Words of encoded activations that are worked on together: they stay in the second cache.
const PIECE_WORDS: usize = 1 << 17;

/// A convolution of prepared operands.
pub(super) struct Conv2d<'a, P, E, F> {
    pub(super) set: InstructionSet,
    pub(super) prepared: &'a Prepared,
    pub(super) maps: &'a [ElementMap<P, E>],
    pub(super) source: Source<'a, P>,
    /// The bit pattern outside the input.
    pub(super) padding: P,
    pub(super) phases: &'a Phases,
    /// What every phase is computed from; there is at least one.
    pub(super) parts: &'a [Part<'a, F>],
}

/// What one phase is computed from.
pub(super) struct Part<'a, F> {
    pub(super) weights: &'a Filters,
    pub(super) epilogue: F,
    /// What sums at the border are corrected by.
    pub(super) corrections: Option<Corrections>,
}

impl<F> Part<'_, F> {
    /// The places in some rows whose sums are corrected, where a row starts `pitch` places after the one above.
    fn border(&self, rows: Range<usize>, pitch: usize) -> Vec<ClassPlaces> {
        let corrections = self.corrections.as_ref();
        corrections.map_or(Vec::new(), |corrections| corrections.places(rows, pitch))
    }
}

/// What is encoded together.
struct Piece<'a, T> {
    group: usize,
    images: Range<usize>,
    /// Rows of places.
    rows: Range<usize>,
    /// These rows of the output's planes, `[panels, images, channels of the panel]`.
    outputs: Vec<&'a mut [T]>,
}

impl<P: Pattern, E: Encode, F: Sync> Conv2d<'_, P, E, F> {
    /// Computes the outputs, `[batch, out_channels, height, width]`; those without a phase are the default.
    pub(super) fn run<S: Accumulator>(&self) -> Result<Vec<F::Output>, KernelError>
    where
        F: Epilogue<S>,
    {
        let [height, width] = self.phases.output;
        let shape = &self.phases.window;
        let length = shape.batch * shape.out_channels * height * width;
        let write = |output: &mut [MaybeUninit<F::Output>]| {
            if !self.phases.is_complete() {
                output.fill(MaybeUninit::new(F::Output::default()));
            }
            match output.len() {
                0 => Ok(()),
                _ => self.write::<S>(output),
            }
        };
        // SAFETY: unless all outputs are written first, each belongs to a phase, and so is in a segment of a tile of
        // one of the pieces, or in one of the planes of a depthwise convolution, or there are none.
        unsafe { written(length, write) }
    }

    fn write<S: Accumulator>(
        &self,
        output: &mut [MaybeUninit<F::Output>],
    ) -> Result<(), KernelError>
    where
        F: Epilogue<S>,
    {
        let shape = &self.phases.window;
        let [height, _] = self.phases.places;
        let depthwise =
            |part: &Part<'_, F>| matches!(part.weights.words, FilterWords::Depthwise(_));
        if self.parts.iter().all(depthwise) {
            return self.write_depthwise::<S>(output);
        }
        let takes_codes = self.parts.iter().any(|part| part.epilogue.takes_codes());
        let maps = self.prepared.encoded(takes_codes);
        let taps = self.phases.all.iter().map(Phase::area).max().unwrap_or(0);
        let inner = self.group_channels() * taps;
        let products = output.len().saturating_mul(maps * inner);
        let threads = match products {
            0..PRODUCTS_PER_TASK => 1,
            _ => rayon::current_num_threads(),
        };

        // Several images, or some rows of one.
        let whole = Layout::new(self.phases, height, E::PER_WORD, maps);
        let image_words = whole.image_words().max(1);
        let (images, rows) = if image_words <= PIECE_WORDS {
            let images = PIECE_WORDS / image_words;
            (images.min(shape.batch.div_ceil(threads)), height)
        } else {
            let strips = image_words.div_ceil(PIECE_WORDS);
            // No fewer than those which neighbouring strips both encode.
            let shared = (shape.kernel[0] - 1) * shape.dilation[0] / shape.stride[0];
            (1, height.div_ceil(strips).max(shared).max(1))
        };
        let layout = Layout::new(self.phases, rows, E::PER_WORD, maps);
        let decomposition = &self.prepared.decomposition;
        let parts = self.phases.all.iter().zip(self.parts);
        let parts = parts.map(|(phase, part)| {
            let terms = decomposition.passes.iter().map(|pass| pass.terms.clone());
            let groups = layout.channels() * phase.area();
            ComputedPart {
                part,
                panels: part.weights.words.as_slice(),
                distances: layout.distances_of(phase, terms),
                passes: self.prepared.passes(groups),
                offsets: window_parts(&layout, phase, &decomposition.offsets.parts),
                codes: match takes_codes {
                    true => window_parts(&layout, phase, &decomposition.codes.parts),
                    false => Vec::new(),
                },
            }
        });
        let compute = Compute {
            problem: self,
            parts: parts.collect(),
            rows: self.phases.by_rows().collect(),
            layout,
            maps,
        };
        let pieces = self.pieces(output, images, rows);
        // The work on a piece is shared out where there are too few of them.
        let shared = threads > 1 && pieces.len() < 2 * threads;
        let run = |piece: Piece<'_, MaybeUninit<F::Output>>| compute.piece::<S>(piece, shared);
        let numbers = if threads == 1 {
            pieces.into_iter().all(run)
        } else {
            pieces.into_par_iter().all(run)
        };
        numbers.then_some(()).ok_or(NOT_A_NUMBER)
    }

    /// Computes the outputs where every group has one channel.
    fn write_depthwise<S: Accumulator>(
        &self,
        output: &mut [MaybeUninit<F::Output>],
    ) -> Result<(), KernelError>
    where
        F: Epilogue<S>,
    {
        let decomposition = &self.prepared.decomposition;
        let takes_codes = self.parts.iter().any(|part| part.epilogue.takes_codes());
        let offsets = &decomposition.offsets.parts;
        let codes = match takes_codes {
            true => decomposition.codes.parts.as_slice(),
            false => &[],
        };
        let mut window_terms: Vec<usize> =
            offsets.iter().chain(codes).map(|&(term, _)| term).collect();
        window_terms.sort_unstable();
        window_terms.dedup();
        let weights = self.phases.all.iter().zip(self.parts).map(|(phase, part)| {
            let [height, width] = phase.kernel();
            PhaseWeights {
                words: part.weights.words.as_slice(),
                passes: self.prepared.passes(height * width.div_ceil(E::PER_WORD)),
            }
        });
        let weights: Vec<PhaseWeights<'_>> = weights.collect();
        let depthwise = Depthwise {
            set: self.set,
            phases: self.phases,
            maps: &self.maps[..self.prepared.encoded(takes_codes)],
            padding: self.padding,
            weights: &weights,
            window_terms: &window_terms,
        };
        let [rows, columns] = self.phases.places;
        let places = rows * columns;
        let borders = self.parts.iter();
        let borders: Vec<Vec<ClassPlaces>> =
            borders.map(|part| part.border(0..rows, columns)).collect();
        let finish_part =
            |index: usize, channel, sums: &mut [S], windows: &[i32], output: &mut _| {
                let part = &self.parts[index];
                if let Some(corrections) = &part.corrections {
                    corrections.add(channel, &borders[index], 0..places, &mut [&mut *sums]);
                }
                let finish = FinishPositions {
                    epilogue: &part.epilogue,
                    channel,
                    sums: &*sums,
                    windows: None,
                };
                if window_terms.is_empty() {
                    return self.set.run(finish, output);
                }
                let add_up = |parts: &[(usize, i64)]| {
                    let mut totals = vec![S::default(); sums.len()];
                    for (term, scale) in parts {
                        let place = window_terms.binary_search(term).expect("a window term");
                        let windows = &windows[place * sums.len()..][..sums.len()];
                        add_scaled(self.set, S::from_i64(*scale), windows, &mut totals);
                    }
                    totals
                };
                let windows = Some(WindowSums {
                    offsets: &add_up(offsets),
                    codes: &add_up(codes),
                });
                self.set.run(FinishPositions { windows, ..finish }, output);
            };
        let part_windows = window_terms.len() * places;
        let numbers = depthwise.run(
            self.source,
            output,
            |channel, sums: &mut [S], windows, output: &mut [MaybeUninit<F::Output>]| {
                if self.phases.stride == [1, 1] {
                    return finish_part(0, channel, sums, windows, output);
                }
                for neighbours in self.phases.by_rows() {
                    let mut values = uninitialized(neighbours.which.len() * places);
                    for (index, values) in neighbours
                        .which
                        .clone()
                        .zip(values.chunks_exact_mut(places))
                    {
                        let sums = &mut sums[index * places..][..places];
                        let windows = &windows[index * part_windows..][..part_windows];
                        finish_part(index, channel, sums, windows, values);
                    }
                    interleave_planes(self.set, self.phases, &neighbours, &values, output);
                }
            },
        );
        numbers.then_some(()).ok_or(NOT_A_NUMBER)
    }

    fn group_channels(&self) -> usize {
        self.phases.window.in_channels / self.phases.window.groups
    }

    /// Cuts the output into pieces of some images and rows of places.
    fn pieces<'o, T>(&self, output: &'o mut [T], images: usize, rows: usize) -> Vec<Piece<'o, T>> {
        let shape = &self.phases.window;
        let [height, _] = self.phases.places;
        let [output_height, width] = self.phases.output;
        let output_rows = rows * self.phases.stride[0];
        let group_outputs = shape.out_channels / shape.groups;
        let strips = height.div_ceil(rows);
        let mut pieces: Vec<Piece<'o, T>> = Vec::new();
        for first in (0..shape.batch).step_by(images) {
            let images = first..shape.batch.min(first + images);
            for group in 0..shape.groups {
                for strip in 0..strips {
                    let mut outputs = Vec::new();
                    outputs.resize_with(images.len() * group_outputs, Default::default);
                    pieces.push(Piece {
                        group,
                        images: images.clone(),
                        rows: strip * rows..height.min((strip + 1) * rows),
                        outputs,
                    });
                }
            }
        }
        for (plane, output) in output.chunks_mut(output_height * width).enumerate() {
            let (image, channel) = (plane / shape.out_channels, plane % shape.out_channels);
            let (group, channel) = (channel / group_outputs, channel % group_outputs);
            let first = (image / images * shape.groups + group) * strips;
            for (piece, output) in pieces[first..]
                .iter_mut()
                .zip(output.chunks_mut(output_rows * width))
            {
                let panel = channel / ROWS;
                let channels = ROWS.min(group_outputs - panel * ROWS);
                let place = (image % images) * channels + channel % ROWS;
                piece.outputs[panel * ROWS * piece.images.len() + place] = output;
            }
        }
        pieces
    }
}

/// The scales and distances of the elements that a window sum adds up.
fn window_parts(layout: &Layout, phase: &Phase, parts: &[(usize, i64)]) -> Vec<(i64, Distances)> {
    let distances = |place: usize| layout.distances_of(phase, std::iter::once(place..place + 1));
    parts
        .iter()
        .map(|&(place, scale)| (scale, distances(place)))
        .collect()
}

/// What all pieces share.
struct Compute<'a, P, E, F> {
    problem: &'a Conv2d<'a, P, E, F>,
    parts: Vec<ComputedPart<'a, F>>,
    rows: Vec<RowPhases>,
    layout: Layout,
    maps: usize,
}

/// What all pieces share of one phase.
struct ComputedPart<'a, F> {
    part: &'a Part<'a, F>,
    panels: &'a [i32],
    distances: Distances,
    passes: Vec<GroupPass>,
    offsets: Vec<(i64, Distances)>,
    codes: Vec<(i64, Distances)>,
}

/// What all panels of a piece share.
struct Encoded<'a, S> {
    group: usize,
    images: usize,
    words: &'a [i32],
    tiles: Vec<PositionTile>,
    segments: Vec<Segment>,
    lanes: usize,
    parts: Vec<EncodedPart<S>>,
}

/// What all panels of a piece share of one phase.
struct EncodedPart<S> {
    border: Vec<ClassPlaces>,
    /// The window sums of every image, `[images, lanes]`; empty if there are none.
    offsets: Vec<S>,
    codes: Vec<S>,
}

impl<S> Encoded<'_, S> {
    /// The window sums of a tile in one phase.
    #[inline(always)]
    fn windows(&self, part: usize, at: Place<'_>) -> Option<WindowSums<'_, S>> {
        let part = &self.parts[part];
        let first = at.image * self.lanes + at.tile.first;
        let lanes = first..first + at.tile.blocks * LANES;
        (!part.offsets.is_empty()).then(|| WindowSums {
            offsets: &part.offsets[lanes.clone()],
            codes: &part.codes[lanes],
        })
    }
}

impl<P: Pattern, E: Encode, F: Sync> Compute<'_, P, E, F> {
    const WORDS: Words = match E::PER_WORD {
        4 => Words::UnsignedLanes,
        _ => Words::Pairs,
    };

    /// Encodes a piece and computes its outputs; returns whether all of its values are numbers.
    fn piece<S: Accumulator>(
        &self,
        mut piece: Piece<'_, MaybeUninit<F::Output>>,
        parallel: bool,
    ) -> bool
    where
        F: Epilogue<S>,
    {
        let images = piece.images.len();
        let image_words = self.layout.image_words();
        with_words(images * image_words + self.layout.overrun(), |words| {
            if !self.encode(&piece, &mut words[..images * image_words], parallel) {
                return false;
            }
            let (tiles, segments) = self.layout.tiles(piece.rows.len());
            let lanes = self
                .layout
                .positions(piece.rows.len())
                .next_multiple_of(LANES);
            let mut encoded = Encoded {
                group: piece.group,
                images,
                words,
                tiles,
                segments,
                lanes,
                parts: Vec::new(),
            };
            let parts = self.parts.iter().map(|part| {
                let has_windows = !part.offsets.is_empty() || !part.codes.is_empty();
                let windows = |parts: &[(i64, Distances)]| match has_windows {
                    true => self.window_sums(&encoded, parts),
                    false => Vec::new(),
                };
                EncodedPart {
                    border: part.part.border(piece.rows.clone(), self.layout.pitch()),
                    offsets: windows(&part.offsets),
                    codes: windows(&part.codes),
                }
            });
            encoded.parts = parts.collect();
            let panel = |(panel, outputs): (usize, &mut [&mut [MaybeUninit<F::Output>]])| {
                self.panel(&encoded, panel, outputs);
            };
            let size = images * ROWS;
            if parallel {
                piece
                    .outputs
                    .par_chunks_mut(size)
                    .enumerate()
                    .for_each(panel);
            } else {
                piece.outputs.chunks_mut(size).enumerate().for_each(panel);
            }
            true
        })
    }

    /// Encodes the input of a piece; returns whether all of its values are numbers.
    fn encode<T: Sync>(&self, piece: &Piece<'_, T>, words: &mut [i32], parallel: bool) -> bool {
        let size = self.layout.channel_words();
        if size == 0 {
            return true;
        }
        let group_channels = self.problem.group_channels();
        let channel_words = group_channels.div_ceil(E::PER_WORD);
        let input_rows = self.layout.input_rows(piece.rows.clone());
        let encode = |scratch: &mut EncodeScratch<P, E>, (index, words): (usize, &mut [i32])| {
            let image = piece.images.start + index / channel_words;
            let first = index % channel_words * E::PER_WORD;
            let channels = first..group_channels.min(first + E::PER_WORD);
            let group =
                image * self.problem.phases.window.in_channels + piece.group * group_channels;
            let planes = group + channels.start..group + channels.end;
            self.encode_planes(planes, piece.rows.start, input_rows.clone(), scratch, words)
        };
        if parallel {
            words
                .par_chunks_exact_mut(size)
                .enumerate()
                .map_init(EncodeScratch::default, encode)
                .all(|numbers| numbers)
        } else {
            let mut scratch = EncodeScratch::default();
            let mut words = words.chunks_exact_mut(size).enumerate();
            words.all(|words| encode(&mut scratch, words))
        }
    }

    /// Encodes the planes of one word's channels in all maps.
    fn encode_planes(
        &self,
        planes: Range<usize>,
        output_row: usize,
        input_rows: Range<usize>,
        scratch: &mut EncodeScratch<P, E>,
        words: &mut [i32],
    ) -> bool {
        let Conv2d {
            set, maps, padding, ..
        } = self.problem;
        let [height, width] = self.problem.phases.window.input;
        let channels = planes.len();
        let length = input_rows.len() * width;
        let map_length = E::PER_WORD * length;
        scratch
            .elements
            .resize(self.maps * map_length, E::default());
        // Whole planes of neighbouring channels are one run.
        let (runs, run) = if input_rows.len() == height {
            (1, channels)
        } else {
            (channels, 1)
        };
        for index in 0..runs {
            let start = (planes.start + index) * height * width + input_rows.start * width;
            let range = start..start + run * length;
            let Some(patterns) = self
                .problem
                .source
                .patterns(*set, range, &mut scratch.patterns)
            else {
                return false;
            };
            let elements = scratch.elements.chunks_mut(map_length.max(1));
            for (map, elements) in maps.iter().zip(elements) {
                let elements = &mut elements[..channels * length];
                map.map_row(
                    *set,
                    patterns,
                    &mut elements[index * length..][..run * length],
                );
            }
        }
        // Channels that do not exist have weights of 0; their elements are 0 for the sake of window sums.
        for elements in scratch.elements.chunks_mut(map_length.max(1)) {
            elements[channels * length..].fill(E::default());
        }
        let plain = self.layout.is_plain();
        let size = words.len() / self.maps;
        for (index, words) in words.chunks_exact_mut(size).enumerate() {
            let elements = &scratch.elements[index * E::PER_WORD * length..];
            // A transposed convolution may crop all outputs that would ask for the last rows of the input.
            let kept = match plain {
                true => length.min(words.len()),
                false => length,
            };
            let rows: [&[E]; 4] = std::array::from_fn(|row| match row < E::PER_WORD {
                true => &elements[row * length..][..kept],
                false => &[],
            });
            let rows = &rows[..E::PER_WORD];
            if plain {
                E::interleave(*set, rows, &mut words[..kept]);
                continue;
            }
            scratch.words.resize(length, 0);
            E::interleave(*set, rows, &mut scratch.words);
            let outside = maps[index].element(*padding);
            let mut border = [E::default(); 4];
            border[..channels].fill(outside);
            let border = E::word(&border[..E::PER_WORD]);
            self.layout.fill(
                output_row,
                input_rows.clone(),
                &scratch.words,
                border,
                words,
            );
        }
        true
    }

    /// The sum over the window of every lane of every image.
    fn window_sums<S: Accumulator>(
        &self,
        encoded: &Encoded<'_, S>,
        parts: &[(i64, Distances)],
    ) -> Vec<S> {
        // One row of weights 1, which serves all groups of taps.
        let ones = [E::word(&[E::truncate(1); 4][..E::PER_WORD])];
        let mut all = vec![S::default(); encoded.images * encoded.lanes];
        let mut sums = TileSums::<S>::new();
        for (scale, distances) in parts {
            let passes = [GroupPass {
                groups: 0..distances.len(),
                scale: *scale,
                // Four bytes or two words add less than 2^16 each.
                exact_groups: 1 << 14,
            }];
            for (image, all) in all.chunks_exact_mut(encoded.lanes).enumerate() {
                for tile in &encoded.tiles {
                    let operands = Operands {
                        words: Self::WORDS,
                        lanes: encoded.words,
                        origin: image * self.layout.image_words() + tile.first,
                        block: LANES,
                        distances,
                        rows: &ones,
                        first: 0,
                        row: 0,
                        group: 0,
                    };
                    let sums = sums.compute(self.problem.set, &operands, &passes, 1, tile.blocks);
                    for (total, sum) in all[tile.first..]
                        .iter_mut()
                        .zip(&sums[0][..tile.blocks * LANES])
                    {
                        *total = total.plus(*sum);
                    }
                }
            }
        }
        all
    }

    /// Computes the outputs of one panel, `[images, channels]`.
    fn panel<S: Accumulator>(
        &self,
        encoded: &Encoded<'_, S>,
        panel: usize,
        outputs: &mut [&mut [MaybeUninit<F::Output>]],
    ) where
        F: Epilogue<S>,
    {
        let channels = outputs.len() / encoded.images;
        let group_outputs =
            self.problem.phases.window.out_channels / self.problem.phases.window.groups;
        let mut sums = TileSums::new();
        let is_one_phase = self.problem.phases.stride == [1, 1];
        // A tile of every channel with room for a vector, or one of every phase and channel.
        let mut finished = [[MaybeUninit::uninit(); WIDTH + LANES]; ROWS];
        let mut values = match is_one_phase {
            true => Vec::new(),
            false => uninitialized(self.parts.len() * ROWS * WIDTH),
        };
        for (image, outputs) in outputs.chunks_mut(channels).enumerate() {
            for tile in &encoded.tiles {
                let at = Place {
                    panel: encoded.group * group_outputs.div_ceil(ROWS) + panel,
                    first_channel: encoded.group * group_outputs + panel * ROWS,
                    channels,
                    image,
                    tile,
                };
                if is_one_phase {
                    self.tile(encoded, at, &mut sums, &mut finished, outputs);
                } else {
                    self.interleaved_tile(encoded, at, &mut sums, &mut values, outputs);
                }
            }
        }
    }

    /// Computes the outputs of one tile, where all belong to one phase.
    #[inline(always)]
    fn tile<S: Accumulator>(
        &self,
        encoded: &Encoded<'_, S>,
        at: Place<'_>,
        sums: &mut TileSums<S>,
        finished: &mut [[MaybeUninit<F::Output>; WIDTH + LANES]; ROWS],
        outputs: &mut [&mut [MaybeUninit<F::Output>]],
    ) where
        F: Epilogue<S>,
    {
        let lanes = at.tile.blocks * LANES;
        let segments = &encoded.segments[at.tile.segments.clone()];
        let set = self.problem.set;
        let epilogue = &self.parts[0].part.epilogue;
        let windows = encoded.windows(0, at);
        let sums = self.sums(encoded, at, 0, sums);
        if let &[Segment { length, output, .. }] = segments
            && length == lanes
        {
            for ((channel, outputs), sums) in (at.first_channel..).zip(outputs).zip(sums) {
                let finish = FinishPositions {
                    epilogue,
                    channel,
                    sums: &sums[..lanes],
                    windows,
                };
                set.run(finish, &mut outputs[output..][..lanes]);
            }
            return;
        }
        let finish = FinishTile {
            epilogue,
            first_channel: at.first_channel,
            sums,
            lanes,
            windows,
        };
        set.run(finish, &mut finished[..at.channels]);
        for (finished, outputs) in finished.iter().zip(outputs) {
            for segment in segments {
                copy_segment(*segment, finished, outputs);
            }
        }
    }

    /// Computes the outputs of one tile in all phases. `values` has room for a tile of every phase.
    fn interleaved_tile<S: Accumulator>(
        &self,
        encoded: &Encoded<'_, S>,
        at: Place<'_>,
        sums: &mut TileSums<S>,
        values: &mut [MaybeUninit<F::Output>],
        outputs: &mut [&mut [MaybeUninit<F::Output>]],
    ) where
        F: Epilogue<S>,
    {
        let lanes = at.tile.blocks * LANES;
        let segments = &encoded.segments[at.tile.segments.clone()];
        let (set, phases) = (self.problem.set, self.problem.phases);
        let mut runs = Vec::new();
        for rows in &self.rows {
            let parts = rows.which.clone();
            for (part, values) in parts.zip(values.chunks_exact_mut(ROWS * WIDTH)) {
                let epilogue = &self.parts[part].part.epilogue;
                let windows = encoded.windows(part, at);
                let sums = &self.sums(encoded, at, part, sums)[..at.channels];
                let values = values.chunks_exact_mut(WIDTH);
                for ((channel, sums), values) in (at.first_channel..).zip(sums).zip(values) {
                    let finish = FinishPositions {
                        epilogue,
                        channel,
                        sums: &sums[..lanes],
                        windows,
                    };
                    set.run(finish, values);
                }
            }
            runs.clear();
            for segment in segments {
                runs.extend(runs_of(*segment, phases, rows.first_row, outputs[0].len()));
            }
            for (channel, output) in outputs.iter_mut().enumerate() {
                let values = PhaseValues {
                    values: &values[channel * WIDTH..],
                    apart: ROWS * WIDTH,
                    first_columns: &rows.first_columns,
                    stride: phases.stride[1],
                };
                interleave(set, values, &runs, phases.output[1], output);
            }
        }
    }

    /// The sums of one tile in one phase, those of channels that do not exist included.
    #[inline(always)]
    fn sums<'s, S: Accumulator>(
        &self,
        encoded: &Encoded<'_, S>,
        at: Place<'_>,
        part: usize,
        sums: &'s mut TileSums<S>,
    ) -> &'s [[S; WIDTH]] {
        let ComputedPart {
            part: computed,
            panels,
            distances,
            passes,
            ..
        } = &self.parts[part];
        let tile = at.tile;
        let operands = Operands {
            words: Self::WORDS,
            lanes: encoded.words,
            origin: at.image * self.layout.image_words() + tile.first,
            block: LANES,
            distances,
            rows: panels,
            first: at.panel * distances.len() * ROWS,
            row: 1,
            group: ROWS,
        };
        // Rows beyond the last channel have weights of 0.
        let rows = at.channels.next_power_of_two();
        let sums = sums.compute(self.problem.set, &operands, passes, rows, tile.blocks);
        if let Some(corrections) = &computed.corrections {
            let places = tile.first..tile.first + tile.blocks * LANES;
            let border = &encoded.parts[part].border;
            corrections.add(at.first_channel, border, places, &mut sums[..at.channels]);
        }
        sums
    }
}

/// Which outputs are computed together.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The panel, counted over all groups.
    panel: usize,
    first_channel: usize,
    channels: usize,
    image: usize,
    tile: &'a PositionTile,
}

/// The runs of a segment, whose positions are those of phases from some row of the output on, among outputs of which
/// there are so many.
fn runs_of(
    segment: Segment,
    phases: &Phases,
    first_row: usize,
    outputs: usize,
) -> impl Iterator<Item = Run> {
    let (columns, end) = (phases.places[1], segment.output + segment.length);
    let rows = segment.output / columns..end.div_ceil(columns);
    let runs = rows.map(move |row| {
        let start = segment.output.max(row * columns);
        Run {
            from: segment.lane + start - segment.output,
            place: start - row * columns,
            length: end.min((row + 1) * columns) - start,
            line: (row * phases.stride[0] + first_row) * phases.output[1],
        }
    });
    runs.take_while(move |run| run.line < outputs)
}

/// Room for some values.
fn uninitialized<T: Copy>(length: usize) -> Vec<MaybeUninit<T>> {
    vec![MaybeUninit::uninit(); length]
}

/// Finishes a tile's sums, as many rows of them as the target has.
struct FinishTile<'a, S, F> {
    epilogue: &'a F,
    first_channel: usize,
    sums: &'a [[S; WIDTH]],
    lanes: usize,
    windows: Option<WindowSums<'a, S>>,
}

impl<S: Accumulator, F: Epilogue<S>> Kernel for FinishTile<'_, S, F> {
    type Target = [[MaybeUninit<F::Output>; WIDTH + LANES]];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I, outputs: &mut Self::Target) {
        for ((channel, outputs), sums) in (self.first_channel..).zip(outputs).zip(self.sums) {
            let (sums, outputs) = (&sums[..self.lanes], &mut outputs[..self.lanes]);
            self.epilogue
                .finish_positions(channel, sums, self.windows, outputs);
        }
    }
}

/// Copies a segment of a tile to its place in the output. Whole vectors are copied, as long as there is room for them:
/// what lies after a segment is overwritten by those that follow.
#[inline(always)]
fn copy_segment<T: Copy>(segment: Segment, from: &[T; WIDTH + LANES], to: &mut [T]) {
    let from = &from[segment.lane..];
    let to = &mut to[segment.output..];
    for done in (0..segment.length).step_by(LANES) {
        let (from, to) = (&from[done..], &mut to[done..]);
        if let (Some(from), Some(to)) = (from.first_chunk::<LANES>(), to.first_chunk_mut::<LANES>())
        {
            *to = *from;
        } else {
            let rest = segment.length - done;
            to[..rest].copy_from_slice(&from[..rest]);
        }
    }
}

#[derive(Debug)]
struct EncodeScratch<P, E> {
    patterns: Vec<P>,
    /// `[maps, channels of a word, rows, columns]`
    elements: Vec<E>,
    words: Vec<i32>,
}

impl<P, E> Default for EncodeScratch<P, E> {
    fn default() -> Self {
        EncodeScratch {
            patterns: Vec::new(),
            elements: Vec::new(),
            words: Vec::new(),
        }
    }
}
