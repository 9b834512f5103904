//! Convolutions: packed output channels meet an encoded input.
//!
//! The lanes of a tile are output positions, its rows output channels. The weights of eight channels are packed as a
//! panel. The input is cut into pieces whose encoding stays in the second cache: some rows of one image, or several
//! small images, whose positions then meet all panels, one panel after the other.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::depthwise::Depthwise;
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
use crate::shapes::Conv2dShape;
use crate::word::Pattern;
use crate::written::written;

/// Words of encoded activations that are worked on together: they stay in the second cache.
const PIECE_WORDS: usize = 1 << 17;

/// A convolution of prepared operands.
pub(super) struct Conv2d<'a, P, E> {
    pub(super) set: InstructionSet,
    pub(super) prepared: &'a Prepared,
    pub(super) maps: &'a [ElementMap<P, E>],
    pub(super) source: Source<'a, P>,
    /// The bit pattern outside the input.
    pub(super) padding: P,
    pub(super) weights: &'a Filters,
    pub(super) shape: Conv2dShape,
}

/// What is encoded together.
struct Piece<'a, T> {
    group: usize,
    images: Range<usize>,
    /// Rows of the output.
    rows: Range<usize>,
    /// These rows of the output's planes, `[panels, images, channels of the panel]`.
    outputs: Vec<&'a mut [T]>,
}

impl<P: Pattern, E: Encode> Conv2d<'_, P, E> {
    /// Computes the outputs, `[batch, out_channels, height, width]`.
    pub(super) fn run<S: Accumulator, F: Epilogue<S>>(
        &self,
        epilogue: &F,
    ) -> Result<Vec<F::Output>, KernelError> {
        let [height, width] = self.shape.output();
        let length = self.shape.batch * self.shape.out_channels * height * width;
        // SAFETY: every output is in a segment of a tile of one of the pieces, or in one of the planes of a depthwise
        // convolution, or there are no outputs.
        unsafe { written(length, |output| self.write(epilogue, output)) }
    }

    fn write<S: Accumulator, F: Epilogue<S>>(
        &self,
        epilogue: &F,
        output: &mut [MaybeUninit<F::Output>],
    ) -> Result<(), KernelError> {
        let shape = &self.shape;
        let [height, _] = shape.output();
        if output.is_empty() {
            return Ok(());
        }
        let panels = match &self.weights.words {
            FilterWords::Panels(words) => words,
            FilterWords::Depthwise(words) => {
                return self.write_depthwise(words, epilogue, output);
            }
        };
        let maps = self.prepared.encoded(epilogue.takes_codes());
        let products = output.len().saturating_mul(maps * shape.inner());
        let threads = match products {
            0..PRODUCTS_PER_TASK => 1,
            _ => rayon::current_num_threads(),
        };

        // Several images, or some rows of one.
        let whole = Layout::new(shape, height, E::PER_WORD, maps);
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
        let layout = Layout::new(shape, rows, E::PER_WORD, maps);
        let compute = Compute {
            problem: self,
            panels,
            epilogue,
            operand_distances: layout.distances_of(
                self.prepared
                    .decomposition
                    .passes
                    .iter()
                    .map(|pass| pass.terms.clone()),
            ),
            passes: self.prepared.passes(self.groups_of_taps()),
            offsets: window_parts(&layout, &self.prepared.decomposition.offsets.parts),
            codes: match epilogue.takes_codes() {
                true => window_parts(&layout, &self.prepared.decomposition.codes.parts),
                false => Vec::new(),
            },
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
    fn write_depthwise<S: Accumulator, F: Epilogue<S>>(
        &self,
        words: &[i32],
        epilogue: &F,
        output: &mut [MaybeUninit<F::Output>],
    ) -> Result<(), KernelError> {
        let decomposition = &self.prepared.decomposition;
        let offsets = &decomposition.offsets.parts;
        let codes = match epilogue.takes_codes() {
            true => decomposition.codes.parts.as_slice(),
            false => &[],
        };
        let mut window_terms: Vec<usize> =
            offsets.iter().chain(codes).map(|&(term, _)| term).collect();
        window_terms.sort_unstable();
        window_terms.dedup();
        let row_words = self.shape.kernel[1].div_ceil(E::PER_WORD);
        let depthwise = Depthwise {
            set: self.set,
            shape: self.shape,
            maps: &self.maps[..self.prepared.encoded(epilogue.takes_codes())],
            padding: self.padding,
            words,
            passes: &self.prepared.passes(self.shape.kernel[0] * row_words),
            window_terms: &window_terms,
        };
        let numbers = depthwise.run(
            self.source,
            output,
            |channel, sums: &[S], windows, output| {
                let finish = FinishPositions {
                    epilogue,
                    channel,
                    sums,
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
            },
        );
        numbers.then_some(()).ok_or(NOT_A_NUMBER)
    }

    /// Groups of taps of one term.
    fn groups_of_taps(&self) -> usize {
        let [height, width] = self.shape.kernel;
        self.weights.group_channels.div_ceil(E::PER_WORD) * height * width
    }

    /// Cuts the output into pieces of some images and rows.
    fn pieces<'o, T>(&self, output: &'o mut [T], images: usize, rows: usize) -> Vec<Piece<'o, T>> {
        let shape = &self.shape;
        let [height, width] = shape.output();
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
        for (plane, output) in output.chunks_mut(height * width).enumerate() {
            let (image, channel) = (plane / shape.out_channels, plane % shape.out_channels);
            let (group, channel) = (channel / group_outputs, channel % group_outputs);
            let first = (image / images * shape.groups + group) * strips;
            for (piece, output) in pieces[first..]
                .iter_mut()
                .zip(output.chunks_mut(rows * width))
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
fn window_parts(layout: &Layout, parts: &[(usize, i64)]) -> Vec<(i64, Distances)> {
    let distances = |place: usize| layout.distances_of(std::iter::once(place..place + 1));
    parts
        .iter()
        .map(|&(place, scale)| (scale, distances(place)))
        .collect()
}

/// What all pieces share.
struct Compute<'a, P, E, F> {
    problem: &'a Conv2d<'a, P, E>,
    panels: &'a [i32],
    epilogue: &'a F,
    layout: Layout,
    maps: usize,
    operand_distances: Distances,
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
    /// The window sums of every image, `[images, lanes]`; empty if there are none.
    offsets: Vec<S>,
    codes: Vec<S>,
    lanes: usize,
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
                offsets: Vec::new(),
                codes: Vec::new(),
                lanes,
            };
            if !self.offsets.is_empty() || !self.codes.is_empty() {
                encoded.offsets = self.window_sums(&encoded, &self.offsets);
                encoded.codes = self.window_sums(&encoded, &self.codes);
            }
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
        let group_channels = self.problem.weights.group_channels;
        let channel_words = group_channels.div_ceil(E::PER_WORD);
        let input_rows = self.layout.input_rows(piece.rows.clone());
        let encode = |scratch: &mut EncodeScratch<P, E>, (index, words): (usize, &mut [i32])| {
            let image = piece.images.start + index / channel_words;
            let first = index % channel_words * E::PER_WORD;
            let channels = first..group_channels.min(first + E::PER_WORD);
            let group = image * self.problem.shape.in_channels + piece.group * group_channels;
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
            set,
            shape,
            maps,
            padding,
            ..
        } = self.problem;
        let [height, width] = shape.input;
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
            let rows: [&[E]; 4] = std::array::from_fn(|row| match row < E::PER_WORD {
                true => &elements[row * length..][..length],
                false => &[],
            });
            let rows = &rows[..E::PER_WORD];
            if plain {
                E::interleave(*set, rows, &mut words[..length]);
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
        let set = self.problem.set;
        let channels = outputs.len() / encoded.images;
        let group_outputs = self.problem.shape.out_channels / self.problem.shape.groups;
        let panels = group_outputs.div_ceil(ROWS);
        let panel_words = self.operand_distances.len() * ROWS;
        let first_channel = encoded.group * group_outputs + panel * ROWS;
        let mut sums = TileSums::<S>::new();
        let mut finished = [[MaybeUninit::uninit(); WIDTH + LANES]; ROWS];
        for (image, outputs) in outputs.chunks_mut(channels).enumerate() {
            for tile in &encoded.tiles {
                let operands = Operands {
                    words: Self::WORDS,
                    lanes: encoded.words,
                    origin: image * self.layout.image_words() + tile.first,
                    block: LANES,
                    distances: &self.operand_distances,
                    rows: self.panels,
                    first: (encoded.group * panels + panel) * panel_words,
                    row: 1,
                    group: ROWS,
                };
                // Rows beyond the last channel have weights of 0.
                let rows = channels.next_power_of_two();
                let sums = sums.compute(set, &operands, &self.passes, rows, tile.blocks);
                let lanes = tile.blocks * LANES;
                let windows = image * encoded.lanes + tile.first;
                let windows = (!encoded.offsets.is_empty()).then(|| WindowSums {
                    offsets: &encoded.offsets[windows..][..lanes],
                    codes: &encoded.codes[windows..][..lanes],
                });
                let segments = &encoded.segments[tile.segments.clone()];
                if let &[Segment { length, output, .. }] = segments
                    && length == lanes
                {
                    for ((channel, outputs), sums) in (first_channel..).zip(&mut *outputs).zip(sums)
                    {
                        let finish = FinishPositions {
                            epilogue: self.epilogue,
                            channel,
                            sums: &sums[..lanes],
                            windows,
                        };
                        set.run(finish, &mut outputs[output..][..lanes]);
                    }
                    continue;
                }
                let finish = FinishTile {
                    epilogue: self.epilogue,
                    first_channel,
                    sums,
                    lanes,
                    windows,
                };
                set.run(finish, &mut finished[..channels]);
                for (finished, outputs) in finished.iter().zip(&mut *outputs) {
                    for segment in segments {
                        copy_segment(*segment, finished, outputs);
                    }
                }
            }
        }
    }
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
