//! Where a convolution's encoded input has what an output position asks for.
//!
//! The input is never unfolded. It is copied once, a word holding the elements of neighbouring channels at one
//! position, with its border filled in and, for strides, the positions that a tap meets side by side (phases). Every
//! tap then is a fixed distance away from an output's position, and 16 neighbouring positions are one vector. The
//! border after a row and that before the next one share their words, so that little is computed between the rows of a
//! small image.

use std::ops::Range;

use super::kernel::{BLOCKS, Distances, LANES};
use crate::axis::{Axis, Inside, copy_strided};
use crate::shapes::Conv2dShape;
use crate::transposed::{Phase, Phases};

/// The words of one image and group, `[channel words, maps, row phases, column phases, rows, columns]`.
pub(super) struct Layout {
    shape: Conv2dShape,
    /// Rows and columns of output positions.
    places: [usize; 2],
    rows: Axis,
    columns: Axis,
    /// The columns of every column phase that lie in the input.
    inside: Vec<Inside>,
    /// Words from one row to the next.
    pitch: usize,
    /// Words of one phase.
    phase: usize,
    maps: usize,
    /// Words of channels.
    channels: usize,
}

/// Positions of one tile that lie in one row of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Where the first one is in the tile, and in the output.
    pub(super) lane: usize,
    pub(super) output: usize,
    pub(super) length: usize,
}

/// Blocks of lanes that are computed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PositionTile {
    /// The first lane's position.
    pub(super) first: usize,
    pub(super) blocks: usize,
    /// Which of the layout's segments are in it.
    pub(super) segments: Range<usize>,
}

impl Layout {
    /// A layout for `output_rows` rows of output positions, with words of `per_word` channels.
    pub(super) fn new(phases: &Phases, output_rows: usize, per_word: usize, maps: usize) -> Self {
        let shape = &phases.window;
        let [_, width] = phases.places;
        let axis = |axis: usize, output: usize| {
            Axis::new(
                shape.kernel[axis],
                shape.stride[axis],
                shape.dilation[axis],
                output,
            )
        };
        let (rows, columns) = (axis(0, output_rows), axis(1, width));
        let inside = columns.phases.iter();
        let inside: Vec<Inside> = inside
            .map(|&phase| columns.inside(phase, shape.padding.left, shape.input[1]))
            .collect();
        // What ends every row and what starts it, in all phases: words of the border.
        let shared = inside.iter().map(|inside| match inside.length {
            0 => columns.length,
            length => inside.place.min(columns.length - inside.place - length),
        });
        let shared = shared.min().unwrap_or(0).min(columns.length - width);
        let pitch = columns.length - shared;
        Layout {
            phase: rows.length * pitch + shared,
            shape: *shape,
            places: phases.places,
            rows,
            columns,
            inside,
            pitch,
            maps,
            channels: (shape.in_channels / shape.groups).div_ceil(per_word),
        }
    }

    /// Words of channels.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Words of one word of channels in all maps.
    pub(super) fn channel_words(&self) -> usize {
        self.maps * self.map_words()
    }

    /// Words of one image.
    pub(super) fn image_words(&self) -> usize {
        self.channels * self.channel_words()
    }

    /// Words after the last image that may be read.
    pub(super) fn overrun(&self) -> usize {
        BLOCKS * LANES
    }

    fn map_words(&self) -> usize {
        self.rows.phases.len() * self.columns.phases.len() * self.phase
    }

    /// Words, and so lanes, from one row to the next.
    pub(super) fn pitch(&self) -> usize {
        self.pitch
    }

    /// Lanes of some rows of the output, those between them included.
    pub(super) fn positions(&self, output_rows: usize) -> usize {
        (output_rows - 1) * self.pitch + self.places[1]
    }

    /// The distances of a phase's taps in some maps, `[channel words, maps, kernel height, kernel width]`.
    fn distances(&self, phase: &Phase, maps: Range<usize>) -> impl Iterator<Item = usize> {
        let [rows, columns] = phase.taps;
        (0..self.channels).flat_map(move |channel| {
            maps.clone().flat_map(move |map| {
                let first = channel * self.channel_words() + map * self.map_words();
                rows.iter().flat_map(move |row| {
                    let (row_phase, row) = self.rows.taps[row];
                    columns.iter().map(move |column| {
                        let (column_phase, column) = self.columns.taps[column];
                        let phase = row_phase * self.columns.phases.len() + column_phase;
                        first + phase * self.phase + row * self.pitch + column
                    })
                })
            })
        })
    }

    /// The distances of a phase's taps in some maps after each other, for kernels.
    pub(super) fn distances_of(
        &self,
        phase: &Phase,
        maps: impl Iterator<Item = Range<usize>>,
    ) -> Distances {
        Distances::new(maps.flat_map(|maps| self.distances(phase, maps)).collect())
    }

    /// The tiles of some rows of the output, ascending, and their segments.
    pub(super) fn tiles(&self, output_rows: usize) -> (Vec<PositionTile>, Vec<Segment>) {
        let width = self.places[1];
        let positions = self.positions(output_rows);
        let blocks = positions.div_ceil(LANES);
        let count = blocks.div_ceil(BLOCKS);
        let (mut tiles, mut segments) = (Vec::with_capacity(count), Vec::new());
        for tile in 0..count {
            // Shared out evenly, so that no block is left alone.
            let first = blocks * tile / count;
            let blocks = blocks * (tile + 1) / count - first;
            let first = first * LANES;
            let end = positions.min(first + blocks * LANES);
            let first_segment = segments.len();
            let mut position = first;
            while position < end {
                let (row, column) = (position / self.pitch, position % self.pitch);
                if column < width {
                    let rest = if self.pitch == width {
                        end
                    } else {
                        width - column
                    };
                    segments.push(Segment {
                        lane: position - first,
                        output: row * width + column,
                        length: rest.min(end - position),
                    });
                }
                position = if self.pitch == width {
                    end
                } else {
                    (row + 1) * self.pitch
                };
            }
            tiles.push(PositionTile {
                first,
                blocks,
                segments: first_segment..segments.len(),
            });
        }
        (tiles, segments)
    }

    /// The rows of the input that some rows of the output ask for, and those between them and the next ones: all strips
    /// together encode all of the input.
    pub(super) fn input_rows(&self, output_rows: Range<usize>) -> Range<usize> {
        let (top, height) = (self.shape.padding.top, self.shape.input[0]);
        let reach = (self.shape.kernel[0] - 1) * self.shape.dilation[0];
        let first = |row: usize| (row * self.shape.stride[0]).saturating_sub(top).min(height);
        let start = if output_rows.start == 0 {
            0
        } else {
            first(output_rows.start)
        };
        if output_rows.end == self.places[0] {
            return start..height;
        }
        let last = (output_rows.end - 1) * self.shape.stride[0] + reach + 1;
        start
            ..last
                .saturating_sub(top)
                .min(height)
                .max(first(output_rows.end))
    }

    /// Whether the words of a map are those of the input's rows, one after the other.
    pub(super) fn is_plain(&self) -> bool {
        self.rows.phases.len() * self.columns.phases.len() == 1
            && self.shape.stride == [1, 1]
            && self.rows.taps.len() == 1
            && self.pitch == self.shape.input[1]
            && self.inside[0].length == self.pitch
            && (self.shape.padding.top, self.shape.padding.bottom) == (0, 0)
    }

    /// Puts some rows of the input, words of one map, into a border of `padding`. `to` is that map, and serves the
    /// output rows from `output_row` on.
    pub(super) fn fill(
        &self,
        output_row: usize,
        input_rows: Range<usize>,
        words: &[i32],
        padding: i32,
        to: &mut [i32],
    ) {
        let [stride, column_stride] = self.shape.stride;
        let width = self.shape.input[1];
        let mut phases = to[..self.map_words()].chunks_exact_mut(self.phase);
        for &row_phase in &self.rows.phases {
            for inside in &self.inside {
                let phase = phases.next().expect("a phase for each");
                for place in 0..self.rows.length {
                    let row = ((output_row + place) * stride + row_phase)
                        .wrapping_sub(self.shape.padding.top);
                    let line = &mut phase[place * self.pitch..][..self.pitch];
                    if !input_rows.contains(&row) || inside.length == 0 {
                        line.fill(padding);
                        continue;
                    }
                    line[..inside.place].fill(padding);
                    // The last word of a row may be the border of the next one.
                    let end = inside.place + inside.length;
                    let from = &words[(row - input_rows.start) * width + inside.first..]
                        [..width - inside.first];
                    copy_strided(&mut line[inside.place..end], from, column_stride);
                    line[end..].fill(padding);
                }
                phase[self.rows.length * self.pitch..].fill(padding);
            }
        }
    }
}
