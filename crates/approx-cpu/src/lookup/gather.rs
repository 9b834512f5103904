//! The engine behind [`matmul`](crate::matmul()) and [`conv2d`](crate::conv2d()): cuts a lookup product into tasks and
//! chooses how each is computed.
//!
//! Both are one problem. There are planes and positions; every (plane, position) pair has one output, and both a plane
//! and a position have one code per tap. In a convolution a plane is an output channel, a position is a pixel of the
//! output, and a position's codes are found in the (padded) input by a tap's offset, so nothing is unfolded. In a
//! matrix product a plane is a row and a position a column of the output.
//!
//! Either side can be streamed while the other is held fixed in lanes, by panels (see `panel`, `accumulate`) or lane by
//! lane (see `column_gather`). A panel costs as much as some 800 positions of the stream, so panels want a long stream,
//! and lanes that fill it. [`cheapest`] estimates all four in clock cycles and takes the cheapest.
//!
//! A task computes one block of lanes along one tile of the stream and owns the slices of the output it fills.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::RangeInclusive;

use rayon::prelude::*;

use crate::accumulators::Accumulator;
use crate::arch::{InstructionSet, NARROW_LANES, PanelCycles, Row, exchange};
use crate::lookup::accumulate::{self, Form, Segment, Streams, Sums};
use crate::lookup::column_gather::{self, Lookup};
use crate::lookup::panel::{self, Panel, WIDE_LANES};
use crate::lookup::table::{LineEntries, Lines, LookupTable};
use crate::word::CODES;

/// Which operand an index runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Output channels of a convolution, rows of a matrix product.
    Planes,
    /// Pixels of a convolution, columns of a matrix product.
    Positions,
}

/// How an output is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strategy {
    /// The operand whose codes are looked up one after the other; the other one is held in lanes.
    pub(crate) streamed: Side,
    /// Blocks of lanes through panels, or lane by lane.
    pub(crate) panels: bool,
}

impl Strategy {
    pub(crate) const ALL: [Strategy; 4] = [
        Strategy {
            streamed: Side::Positions,
            panels: true,
        },
        Strategy {
            streamed: Side::Planes,
            panels: true,
        },
        Strategy {
            streamed: Side::Positions,
            panels: false,
        },
        Strategy {
            streamed: Side::Planes,
            panels: false,
        },
    ];
}

/// A lookup product. Outputs are `[images, groups, planes, positions]`.
pub(crate) struct Problem<'a> {
    pub(crate) images: usize,
    pub(crate) groups: usize,
    /// Planes of one group.
    pub(crate) planes: usize,
    /// Taps: products per output.
    pub(crate) inner: usize,
    /// `[groups, planes, inner]`, or with planes and taps in another order.
    pub(crate) plane_codes: &'a [u8],
    /// Distance between the planes of a group in `plane_codes`.
    pub(crate) plane_stride: usize,
    /// Distance between the taps of a plane in `plane_codes`.
    pub(crate) tap_stride: usize,
    pub(crate) position_codes: &'a [u8],
    /// Distance between images in `position_codes`.
    pub(crate) image_stride: usize,
    /// Distance between groups in `position_codes`.
    pub(crate) group_stride: usize,
    /// For every tap, the distance of its codes from a position's.
    pub(crate) offsets: &'a [usize],
    /// The positions of one image, in the output's order and ascending in `position_codes`.
    pub(crate) segments: &'a [Segment],
    /// Table lines by plane code, their entries by position code.
    pub(crate) lines_by_plane: &'a Lines,
    /// Table lines by position code, their entries by plane code.
    pub(crate) lines_by_position: &'a Lines,
}

/// `codes` with the bits outside `mask` cleared, copied only where there are any.
pub(crate) fn masked(codes: &[u8], mask: u8) -> Cow<'_, [u8]> {
    if mask == u8::MAX || codes.iter().fold(0, |bits, &code| bits | code) & !mask == 0 {
        Cow::Borrowed(codes)
    } else {
        Cow::Owned(codes.iter().map(|&code| code & mask).collect())
    }
}

/// The smallest and the largest of some codes.
fn code_range(codes: &[u8]) -> RangeInclusive<u8> {
    let smallest = codes.iter().fold(u8::MAX, |least, &code| least.min(code));
    let largest = codes.iter().fold(u8::MIN, |most, &code| most.max(code));
    smallest.min(largest)..=largest
}

/// Positions of the stream in one tile at most: its accumulators (128 bytes each) stay in the second-level cache.
pub(crate) const TILE: usize = 2048;
/// No tile is cut below this to keep more threads busy: building panels would outweigh using them.
const SMALLEST_SHARED_TILE: usize = 256;
/// Taps in one pass at most: the digit sums of `accumulate` stay within 32 bits.
const LARGEST_PASS: usize = 1 << 16;
/// Lookups (a few microseconds) below which a task is not worth handing to another thread.
const LOOKUPS_PER_TASK: usize = 1 << 16;

/// The part of a stream that lies in one image.
#[derive(Debug, Clone)]
struct Part {
    image: usize,
    /// Positions of this part, in the stream's codes.
    segments: Vec<Segment>,
    length: usize,
}

/// Consecutive positions of a stream, over one or more images.
#[derive(Debug, Clone, Default)]
struct Tile {
    parts: Vec<Part>,
    /// All segments of all parts.
    segments: Vec<Segment>,
    length: usize,
}

/// Cuts the positions of all images into tiles of at most `size` positions.
fn tiles(images: usize, image_stride: usize, segments: &[Segment], size: usize) -> Vec<Tile> {
    let mut tiles = vec![Tile::default()];
    for image in 0..images {
        for segment in segments {
            // Cut evenly what is longer than a tile.
            let pieces = segment.length.div_ceil(size).max(1);
            for piece in 0..pieces {
                let first = segment.length * piece / pieces;
                let length = segment.length * (piece + 1) / pieces - first;
                if tiles.last().is_some_and(|tile| tile.length + length > size) {
                    tiles.push(Tile::default());
                }
                let tile = tiles.last_mut().expect("there is a first tile");
                if tile.parts.last().is_none_or(|part| part.image != image) {
                    tile.parts.push(Part {
                        image,
                        segments: Vec::new(),
                        length: 0,
                    });
                }
                let part = tile
                    .parts
                    .last_mut()
                    .expect("there is a part for this image");
                let segment = Segment {
                    start: image * image_stride + segment.start + first,
                    length,
                };
                part.segments.push(segment);
                part.length += length;
                tile.segments.push(segment);
                tile.length += length;
            }
        }
    }
    tiles.retain(|tile| tile.length > 0);
    tiles
}

/// One operand's codes as the kernels stream them.
struct Stream<'a> {
    codes: Cow<'a, [u8]>,
    group_stride: usize,
    offsets: Cow<'a, [usize]>,
    range: RangeInclusive<u8>,
    tiles: Vec<Tile>,
}

/// What one task fills: a block of lanes along a tile of the stream.
struct Task<'a, T> {
    group: usize,
    /// The first lane of the block, counted over all images where positions are lanes.
    first_lane: usize,
    lanes: usize,
    tile: usize,
    /// Slices of the output that run along its positions. With streamed positions: for every part of the tile, one
    /// for every lane. With streamed planes: for every image that the lanes touch, one for every plane of the tile.
    pieces: Vec<&'a mut [T]>,
}

/// A thread's working memory.
#[derive(Default)]
struct Scratch {
    panels: Vec<Panel>,
    sums: Vec<Row>,
    highs: Vec<Row>,
    lane_codes: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Estimates every strategy in clock cycles for one tap and takes the cheapest.
///
/// `narrow` says whether the table's entries span 16 bits, `wide_sums` whether its sums need 64.
pub(crate) fn cheapest(
    planes: usize,
    positions: usize,
    set: InstructionSet,
    narrow: bool,
    wide_sums: bool,
) -> (Strategy, f64) {
    let facts = set.facts();
    let cost = |strategy: Strategy| -> f64 {
        let (stream, lanes) = match strategy.streamed {
            Side::Positions => (positions, planes),
            Side::Planes => (planes, positions),
        };
        if strategy.panels {
            let lanes_of_block = if narrow { NARROW_LANES } else { WIDE_LANES };
            let PanelCycles { build, position } = if narrow {
                facts.narrow_panels
            } else {
                facts.wide_panels
            };
            // Only the words of 32-bit entries are summed, not their digits.
            let position = if narrow || wide_sums {
                position
            } else {
                position * 0.75
            };
            let builds = stream.div_ceil(TILE) as f64;
            lanes.div_ceil(lanes_of_block) as f64 * (builds * build + stream as f64 * position)
        } else {
            let together = if narrow {
                facts.lane.narrow
            } else {
                facts.lane.wide
            };
            lanes as f64 * (stream.div_ceil(facts.lane.positions) as f64 * together + 4.0)
        }
    };
    let estimates = Strategy::ALL.map(|strategy| (strategy, cost(strategy)));
    estimates
        .into_iter()
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .expect("there are four strategies")
}

impl Problem<'_> {
    fn positions(&self) -> usize {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// The number of outputs.
    fn outputs(&self) -> usize {
        self.images * self.groups * self.planes * self.positions()
    }

    /// The strategy that is expected to be the fastest.
    fn choose(&self, set: InstructionSet, narrow: bool, wide_sums: bool) -> Strategy {
        let positions = self.images * self.positions();
        cheapest(self.planes, positions, set, narrow, wide_sums).0
    }

    /// Computes all outputs. `strategy` overrides the choice.
    pub(crate) fn solve<T: Accumulator>(
        &self,
        table: &LookupTable,
        set: InstructionSet,
        strategy: Option<Strategy>,
    ) -> Vec<T> {
        let mut output = vec![T::default(); self.outputs()];
        if output.is_empty() || self.inner == 0 {
            return output;
        }
        let narrow = table.is_narrow();
        let strategy = strategy.unwrap_or_else(|| self.choose(set, narrow, T::WIDE));
        let block = match (strategy.panels, narrow) {
            (false, _) => 1,
            (true, true) => NARROW_LANES,
            (true, false) => WIDE_LANES,
        };
        let stream = self.stream(strategy, block);
        let lines = match strategy.streamed {
            Side::Positions => self.lines_by_plane,
            Side::Planes => self.lines_by_position,
        };
        let form = if narrow || T::WIDE {
            // 32-bit entries are never added before they are split: carry_free_additions() is 0 for them.
            Form::Digits {
                carry_free: table.carry_free_additions(),
            }
        } else {
            Form::Words
        };
        let tasks = self.tasks(strategy.streamed, block, &stream.tiles, &mut output);
        let work = |mut task: Task<'_, T>| {
            SCRATCH.with_borrow_mut(|scratch| {
                for first_tap in (0..self.inner).step_by(LARGEST_PASS) {
                    let taps = LARGEST_PASS.min(self.inner - first_tap);
                    let pass = Pass {
                        problem: self,
                        stream: &stream,
                        tile: &stream.tiles[task.tile],
                        streamed: strategy.streamed,
                        set,
                        lines,
                        first_tap,
                        taps,
                        missing: T::from_i64(taps as i64 * i64::from(table.minimum())),
                    };
                    if strategy.panels {
                        pass.by_panels(form, &mut task, scratch);
                    } else {
                        pass.lane_by_lane(&mut task, scratch);
                    }
                }
            });
        };
        let lookups = self.outputs().saturating_mul(self.inner);
        if tasks.len() == 1 || lookups <= LOOKUPS_PER_TASK {
            tasks.into_iter().for_each(work);
        } else {
            let at_once = (LOOKUPS_PER_TASK * tasks.len() / lookups).max(1);
            tasks.into_par_iter().with_min_len(at_once).for_each(work);
        }
        output
    }

    /// The streamed operand, cut into tiles so that every thread of the pool gets some.
    fn stream(&self, strategy: Strategy, block: usize) -> Stream<'_> {
        let length = match strategy.streamed {
            Side::Positions => self.images * self.positions(),
            Side::Planes => self.planes,
        };
        let lanes = match strategy.streamed {
            Side::Positions => self.planes,
            Side::Planes => self.images * self.positions(),
        };
        let blocks = self.groups * lanes.div_ceil(block);
        let mut size = TILE;
        while length.div_ceil(size) * blocks < rayon::current_num_threads()
            && size > SMALLEST_SHARED_TILE
        {
            size /= 2;
        }
        match strategy.streamed {
            Side::Positions => Stream {
                codes: Cow::Borrowed(self.position_codes),
                group_stride: self.group_stride,
                offsets: Cow::Borrowed(self.offsets),
                range: code_range(self.position_codes),
                tiles: tiles(self.images, self.image_stride, self.segments, size),
            },
            Side::Planes => Stream {
                codes: match self.plane_stride {
                    1 => Cow::Borrowed(self.plane_codes),
                    _ => Cow::Owned(self.transposed_planes()),
                },
                group_stride: self.planes * self.inner,
                offsets: (0..self.inner)
                    .map(|tap| match self.plane_stride {
                        1 => tap * self.tap_stride,
                        _ => tap * self.planes,
                    })
                    .collect(),
                range: code_range(self.plane_codes),
                tiles: tiles(
                    1,
                    0,
                    &[Segment {
                        start: 0,
                        length: self.planes,
                    }],
                    size,
                ),
            },
        }
    }

    /// The planes' codes as `[groups, inner, planes]`, where a plane's taps are neighbours.
    fn transposed_planes(&self) -> Vec<u8> {
        assert_eq!(
            (self.plane_stride, self.tap_stride),
            (self.inner, 1),
            "planes after each other"
        );
        let mut transposed = vec![0; self.plane_codes.len()];
        let of_group = self.planes * self.inner;
        for (from, to) in self
            .plane_codes
            .chunks_exact(of_group)
            .zip(transposed.chunks_exact_mut(of_group))
        {
            transpose(from, to, self.planes, self.inner);
        }
        transposed
    }

    /// Cuts the output into tasks.
    fn tasks<'o, T>(
        &self,
        streamed: Side,
        block: usize,
        tiles: &[Tile],
        output: &'o mut [T],
    ) -> Vec<Task<'o, T>> {
        let positions = self.positions();
        let lanes = match streamed {
            Side::Positions => self.planes,
            Side::Planes => self.images * positions,
        };
        let blocks = lanes.div_ceil(block);
        let mut tasks: Vec<Task<'o, T>> = (0..self.groups * blocks * tiles.len())
            .map(|index| {
                let first_lane = index / tiles.len() % blocks * block;
                Task {
                    group: index / tiles.len() / blocks,
                    first_lane,
                    lanes: block.min(lanes - first_lane),
                    tile: index % tiles.len(),
                    pieces: Vec::new(),
                }
            })
            .collect();
        // Which tile each plane is in, where planes are streamed.
        let tile_of_plane: Vec<usize> = match streamed {
            Side::Positions => vec![0; self.planes],
            Side::Planes => {
                let indices = tiles.iter().enumerate();
                indices
                    .flat_map(|(index, tile)| std::iter::repeat_n(index, tile.length))
                    .collect()
            }
        };
        let mut planes = output.chunks_exact_mut(positions);
        let mut cuts: Vec<(usize, usize)> = Vec::new();
        for image in 0..self.images {
            // How this image's positions are shared out: (tile or block of lanes, length).
            cuts.clear();
            match streamed {
                Side::Positions => {
                    for (index, tile) in tiles.iter().enumerate() {
                        let parts = tile.parts.iter().filter(|part| part.image == image);
                        cuts.extend(parts.map(|part| (index, part.length)));
                    }
                }
                Side::Planes => {
                    let (mut first, last) = (image * positions, (image + 1) * positions);
                    while first < last {
                        let end = last.min((first / block + 1) * block);
                        cuts.push((first / block, end - first));
                        first = end;
                    }
                }
            }
            for group in 0..self.groups {
                for (plane, &tile_of_plane) in tile_of_plane.iter().enumerate() {
                    let mut rest = planes.next().expect("the output holds every plane");
                    for &(index, length) in &cuts {
                        let piece;
                        (piece, rest) = rest.split_at_mut(length);
                        let (block_index, tile) = match streamed {
                            Side::Positions => (plane / block, index),
                            Side::Planes => (index, tile_of_plane),
                        };
                        let task = (group * blocks + block_index) * tiles.len() + tile;
                        tasks[task].pieces.push(piece);
                    }
                }
            }
        }
        tasks
    }

    /// Where a position, counted over all images, has its codes.
    fn position_start(&self, position: usize) -> usize {
        let positions = self.positions();
        let mut rest = position % positions;
        for segment in self.segments {
            if rest < segment.length {
                return position / positions * self.image_stride + segment.start + rest;
            }
            rest -= segment.length;
        }
        unreachable!("the segments hold every position of an image")
    }
}

/// Writes the transpose of a `[rows, columns]` matrix of bytes, in blocks of 8 by 8.
pub(crate) fn transpose(from: &[u8], to: &mut [u8], rows: usize, columns: usize) {
    const SIDE: usize = 8;
    let (whole_rows, whole_columns) = (rows - rows % SIDE, columns - columns % SIDE);
    for first_row in (0..whole_rows).step_by(SIDE) {
        for first_column in (0..whole_columns).step_by(SIDE) {
            let mut words = [0; SIDE];
            for (row, word) in words.iter_mut().enumerate() {
                let bytes = from[(first_row + row) * columns + first_column..].first_chunk();
                *word = u64::from_le_bytes(*bytes.expect("a whole block"));
            }
            for i in [0, 2, 4, 6] {
                (words[i], words[i + 1]) =
                    exchange::<8>(words[i], words[i + 1], 0x00ff_00ff_00ff_00ff);
            }
            for i in [0, 1, 4, 5] {
                (words[i], words[i + 2]) =
                    exchange::<16>(words[i], words[i + 2], 0x0000_ffff_0000_ffff);
            }
            for i in [0, 1, 2, 3] {
                (words[i], words[i + 4]) =
                    exchange::<32>(words[i], words[i + 4], 0x0000_0000_ffff_ffff);
            }
            for (column, word) in words.into_iter().enumerate() {
                let bytes = &mut to[(first_column + column) * rows + first_row..][..SIDE];
                bytes.copy_from_slice(&word.to_le_bytes());
            }
        }
    }
    for row in 0..rows {
        let first = if row < whole_rows { whole_columns } else { 0 };
        for column in first..columns {
            to[column * rows + row] = from[row * columns + column];
        }
    }
}

/// One pass over up to [`LARGEST_PASS`] taps of a task.
struct Pass<'a, T> {
    problem: &'a Problem<'a>,
    stream: &'a Stream<'a>,
    tile: &'a Tile,
    streamed: Side,
    set: InstructionSet,
    lines: &'a Lines,
    first_tap: usize,
    taps: usize,
    /// What the stored entries of this pass lack.
    missing: T,
}

impl<T: Accumulator> Pass<'_, T> {
    /// Writes the codes of a task's lanes, `[tap][lane]` with `block` lanes; filler lanes repeat the first one, and
    /// nothing is ever read from them.
    fn lane_codes(&self, task: &Task<'_, T>, block: usize, codes: &mut Vec<u8>) {
        let problem = self.problem;
        codes.clear();
        codes.resize(self.taps * block, 0);
        let lanes =
            (0..block).map(|lane| task.first_lane + if lane < task.lanes { lane } else { 0 });
        match self.streamed {
            Side::Positions => {
                for (lane, plane) in lanes.enumerate() {
                    let first = task.group * problem.planes * problem.inner
                        + plane * problem.plane_stride
                        + self.first_tap * problem.tap_stride;
                    let from = &problem.plane_codes[first..];
                    let to = codes[lane..].iter_mut().step_by(block);
                    match problem.tap_stride {
                        1 => to.zip(from).for_each(|(to, &from)| *to = from),
                        stride => to
                            .zip(from.iter().step_by(stride))
                            .for_each(|(to, &from)| *to = from),
                    }
                }
            }
            Side::Planes => {
                let starts: Vec<usize> = lanes
                    .map(|position| {
                        task.group * problem.group_stride + problem.position_start(position)
                    })
                    .collect();
                for (to, offset) in codes
                    .chunks_exact_mut(block)
                    .zip(&problem.offsets[self.first_tap..])
                {
                    for (to, start) in to.iter_mut().zip(&starts) {
                        *to = problem.position_codes[start + offset];
                    }
                }
            }
        }
    }

    /// The stream's codes of this task's group.
    fn codes(&self, group: usize) -> &[u8] {
        &self.stream.codes[group * self.stream.group_stride..]
    }

    fn offsets(&self) -> &[usize] {
        &self.stream.offsets[self.first_tap..][..self.taps]
    }

    fn by_panels(&self, form: Form, task: &mut Task<'_, T>, scratch: &mut Scratch) {
        let taps_at_once = form.taps_at_once();
        let digits = matches!(form, Form::Digits { .. });
        let length = self.tile.length;
        self.lane_codes(task, NARROW_LANES, &mut scratch.lane_codes);
        scratch
            .panels
            .resize(taps_at_once.max(scratch.panels.len()), [Row::ZERO; CODES]);
        for (rows, wanted) in [(&mut scratch.sums, true), (&mut scratch.highs, digits)] {
            rows.clear();
            rows.resize(if wanted { length } else { 0 }, Row::ZERO);
        }
        let lanes = scratch.lane_codes.as_chunks::<NARROW_LANES>().0;
        for (lanes, offsets) in lanes
            .chunks(taps_at_once)
            .zip(self.offsets().chunks(taps_at_once))
        {
            let panels = &mut scratch.panels[..lanes.len()];
            for (panel, lanes) in panels.iter_mut().zip(lanes) {
                panel::build(
                    self.set,
                    &self.lines.entries,
                    lanes,
                    &self.stream.range,
                    panel,
                );
            }
            let streams = Streams {
                codes: self.codes(task.group),
                offsets,
                segments: &self.tile.segments,
            };
            let sums = Sums {
                words: &mut scratch.sums,
                highs: &mut scratch.highs,
            };
            accumulate::accumulate(self.set, form, panels, streams, sums);
        }
        match &self.lines.entries {
            LineEntries::Narrow(_) => {
                self.write(
                    task,
                    scratch,
                    |sums: &Row, highs: &Row| -> [T; NARROW_LANES] {
                        std::array::from_fn(|lane| {
                            let high = highs.0[lane / 2];
                            let digit = if lane % 2 == 0 {
                                sums.0[lane / 2].wrapping_sub(high << 16)
                            } else {
                                high
                            };
                            T::from_digits(digit, 0).plus(self.missing)
                        })
                    },
                );
            }
            LineEntries::Wide(_) if digits => {
                self.write(
                    task,
                    scratch,
                    |sums: &Row, highs: &Row| -> [T; WIDE_LANES] {
                        std::array::from_fn(|lane| {
                            let high = highs.0[lane];
                            let low = sums.0[lane].wrapping_sub(high << 16);
                            T::from_digits(low, high).plus(self.missing)
                        })
                    },
                );
            }
            LineEntries::Wide(_) => {
                self.write(task, scratch, |sums: &Row, _: &Row| -> [T; WIDE_LANES] {
                    std::array::from_fn(|lane| T::from_digits(sums.0[lane], 0).plus(self.missing))
                });
            }
        }
    }

    /// Adds the tile's sums, decoded by `decode`, to the output.
    #[inline(always)]
    fn write<const LANES: usize>(
        &self,
        task: &mut Task<'_, T>,
        scratch: &Scratch,
        decode: impl Fn(&Row, &Row) -> [T; LANES],
    ) {
        /// Positions decoded together, so that the slices of all lanes are written in runs.
        const RUN: usize = 16;
        let lanes = task.lanes;
        let sums_of = |position: usize| {
            let sums = &scratch.sums[position];
            decode(sums, scratch.highs.get(position).unwrap_or(sums))
        };
        match self.streamed {
            Side::Positions => {
                let mut first = 0;
                let mut run = [[T::default(); LANES]; RUN];
                for (part, pieces) in self
                    .tile
                    .parts
                    .iter()
                    .zip(task.pieces.chunks_exact_mut(lanes))
                {
                    for start in (0..part.length).step_by(RUN) {
                        let length = RUN.min(part.length - start);
                        for (position, sums) in run[..length].iter_mut().enumerate() {
                            *sums = sums_of(first + start + position);
                        }
                        for (lane, piece) in pieces.iter_mut().enumerate() {
                            for (output, sums) in piece[start..][..length].iter_mut().zip(&run) {
                                *output = output.plus(sums[lane]);
                            }
                        }
                    }
                    first += part.length;
                }
            }
            Side::Planes => {
                let mut first_lane = 0;
                for pieces in task.pieces.chunks_exact_mut(self.tile.length) {
                    let length = pieces[0].len();
                    for (plane, piece) in pieces.iter_mut().enumerate() {
                        let sums = sums_of(plane);
                        for (output, &sum) in piece.iter_mut().zip(&sums[first_lane..][..length]) {
                            *output = output.plus(sum);
                        }
                    }
                    first_lane += length;
                }
            }
        }
    }

    fn lane_by_lane(&self, task: &mut Task<'_, T>, scratch: &mut Scratch) {
        self.lane_codes(task, 1, &mut scratch.lane_codes);
        let mut sums: Vec<T> = Vec::new();
        let mut planes = task.pieces.iter_mut();
        for part in &self.tile.parts {
            // Positions between two segments are computed too and then dropped: that is cheaper than to start anew.
            let start = part.segments[0].start;
            let length = part
                .segments
                .last()
                .map_or(0, |last| last.start + last.length - start);
            sums.clear();
            sums.resize(length, self.missing);
            let lookup = Lookup {
                lines: self.lines,
                lane: &scratch.lane_codes,
                codes: self.codes(task.group),
                offsets: self.offsets(),
                start,
                largest_code: *self.stream.range.end(),
            };
            column_gather::accumulate(self.set, lookup, &mut sums);
            match self.streamed {
                Side::Positions => {
                    let mut outputs: &mut [T] = planes.next().expect("one piece for every part");
                    for segment in &part.segments {
                        let piece;
                        (piece, outputs) = outputs.split_at_mut(segment.length);
                        for (output, &sum) in piece.iter_mut().zip(&sums[segment.start - start..]) {
                            *output = output.plus(sum);
                        }
                    }
                }
                Side::Planes => {
                    for (output, &sum) in planes.by_ref().zip(&sums) {
                        output[0] = output[0].plus(sum);
                    }
                }
            }
        }
    }
}
