//! What windows that move over planes see through their taps.
//!
//! Along an axis, a tap sees position `place * stride + offset` of the input at every place, or 0 if there is none. Taps
//! whose offsets leave the same remainder modulo the stride see the same positions, at other places. So planes are
//! copied with positions of one remainder side by side: then every tap sees neighbours at neighbouring places.

use std::ops::Range;

use crate::arch::{InstructionSet, Instructions, Kernel, LANES};
use crate::axis::copy_strided;

use super::operand::{FloatOperand, Map};
use super::runs::{Prepared, Run, copy_run};

/// The taps of windows along one axis.
#[derive(Debug, Clone)]
pub(super) struct WindowAxis {
    input: usize,
    places: usize,
    stride: usize,
    /// The remainders of the offsets of taps that ever see anything.
    remainders: Vec<usize>,
    /// How many places further than its own the first of these taps sees, and how many more the last.
    first: isize,
    reach: usize,
}

impl WindowAxis {
    /// The axis on which taps have some offsets. Places and stride are at least 1.
    pub(super) fn new(
        input: usize,
        places: usize,
        stride: usize,
        offsets: impl Iterator<Item = i128>,
    ) -> Self {
        let mut axis = WindowAxis {
            input,
            places,
            stride,
            remainders: Vec::new(),
            first: 0,
            reach: 0,
        };
        let seen: Vec<i128> = offsets.filter(|&offset| axis.sees(offset)).collect();
        let step = stride as i128;
        let remainders = seen.iter().map(|offset| offset.rem_euclid(step) as usize);
        axis.remainders = remainders.collect();
        axis.remainders.sort_unstable();
        axis.remainders.dedup();
        let further = || seen.iter().map(|offset| offset.div_euclid(step) as isize);
        if let (Some(first), Some(last)) = (further().min(), further().max()) {
            axis.first = first;
            axis.reach = (last - first) as usize;
        }
        axis
    }

    /// Whether a tap with an offset sees a position of the input at any place.
    pub(super) fn sees(&self, offset: i128) -> bool {
        let stride = self.stride as i128;
        let place = ((-offset).max(0) + stride - 1) / stride;
        place < self.places as i128 && place * stride + offset < self.input as i128
    }

    /// Which of the remainders a tap has, and how many places further than the first of all taps it sees; none if it
    /// sees nothing.
    fn look(&self, offset: i128) -> Option<(usize, usize)> {
        if !self.sees(offset) {
            return None;
        }
        let stride = self.stride as i128;
        let remainder = offset.rem_euclid(stride) as usize;
        let further = offset.div_euclid(stride) as isize - self.first;
        let remainder = self.remainders.binary_search(&remainder).ok()?;
        Some((remainder, further as usize))
    }

    /// The position of the input that has a remainder and is seen by the tap without offset at some place.
    #[inline(always)]
    fn position(&self, remainder: usize, place: isize) -> Option<usize> {
        let position = usize::try_from(place).ok()? * self.stride + remainder;
        (position < self.input).then_some(position)
    }

    /// How many positions of the input have a remainder.
    #[inline(always)]
    fn positions(&self, remainder: usize) -> usize {
        self.input.saturating_sub(remainder).div_ceil(self.stride)
    }

    /// Whether every tap sees the input as it is.
    fn is_plain(&self) -> bool {
        self.stride == 1 && self.first == 0 && self.reach == 0 && self.places == self.input
    }
}

/// Lines of what taps see in all channels of a group, at all places of all images.
///
/// Taps come in sets, each with a line for every channel and tap: `[sets, channels, taps of the set]`.
#[derive(Debug, Clone)]
pub(super) struct Windows<'a> {
    /// `[images, channels, height, width]`
    pub(super) values: FloatOperand<'a>,
    /// Channels of an image, those of other groups included.
    pub(super) channels: usize,
    /// Those of the group.
    pub(super) group: Range<usize>,
    pub(super) axes: [WindowAxis; 2],
    /// The offsets of the taps of every set, along both axes.
    pub(super) sets: Vec<Vec<[i128; 2]>>,
}

/// Blocks of 16 elements of every line.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Where each block begins, counted from where the line begins.
    pub(super) starts: Vec<usize>,
    /// Where each row of places begins, counted in elements of the blocks one after the other.
    pub(super) rows: Vec<usize>,
}

/// How the part of planes is copied that taps see at the places of some rows.
struct Layout {
    /// Rows of places, counted over all images.
    rows: Range<usize>,
    /// From one row of the copy to the next.
    pitch: usize,
    /// Elements of those positions of a plane that have one remainder along both axes.
    remainder: usize,
    /// Elements of a channel.
    channel: usize,
}

impl<'a> Windows<'a> {
    /// The windows of every group that have a tap at all combinations of offsets along both axes, in one set.
    pub(super) fn with_all_taps(
        values: FloatOperand<'a>,
        [groups, channels]: [usize; 2],
        input: [usize; 2],
        places: [usize; 2],
        stride: [usize; 2],
        [rows, columns]: [Vec<i128>; 2],
    ) -> Vec<Self> {
        let pairs = |&row| columns.iter().map(move |&column| [row, column]);
        let taps: Vec<[i128; 2]> = rows.iter().flat_map(pairs).collect();
        let axis = |axis: usize, offsets: &[i128]| {
            let offsets = offsets.iter().copied();
            WindowAxis::new(input[axis], places[axis], stride[axis], offsets)
        };
        let axes = [axis(0, &rows), axis(1, &columns)];
        let of_group = |group: usize| Windows {
            values,
            channels: groups * channels,
            group: group * channels..(group + 1) * channels,
            axes: axes.clone(),
            sets: vec![taps.clone()],
        };
        (0..groups).map(of_group).collect()
    }

    /// Whether there is one tap only, and it sees the planes as they are.
    pub(super) fn is_plain(&self) -> bool {
        let taps: usize = self.sets.iter().map(Vec::len).sum();
        taps == 1 && self.axes.iter().all(WindowAxis::is_plain)
    }

    /// The elements of a plane.
    pub(super) fn plane(&self) -> usize {
        self.axes[0].input * self.axes[1].input
    }

    fn layout(&self, elements: &Range<usize>) -> Layout {
        let [height, width] = &self.axes;
        let rows = elements.start / width.places..elements.end.div_ceil(width.places);
        let images = match rows.is_empty() {
            true => 0,
            false => (rows.end - 1) / height.places - rows.start / height.places + 1,
        };
        let pitch = width.places + width.reach;
        let remainder = (rows.len() + images * height.reach) * pitch;
        Layout {
            rows,
            pitch,
            remainder,
            channel: remainder * height.remainders.len() * width.remainders.len(),
        }
    }

    /// Copies what taps see at some places, and says where the lines begin in that.
    pub(super) fn prepare(
        &self,
        set: InstructionSet,
        lines: Range<usize>,
        elements: Range<usize>,
        prepared: &mut Prepared,
    ) {
        let layout = self.layout(&elements);
        let columns = self.axes[1].remainders.len();
        let (mut first_channel, mut end_channel) = (usize::MAX, 0);
        let mut set_start = 0;
        for taps in &self.sets {
            let end = set_start + self.group.len() * taps.len();
            let part = lines.start.max(set_start)..lines.end.min(end);
            if !part.is_empty() {
                let first = (part.start - set_start) / taps.len();
                let last = (part.end - 1 - set_start) / taps.len();
                first_channel = first_channel.min(first);
                end_channel = end_channel.max(last + 1);
            }
            set_start = end;
        }
        let channels = first_channel.min(end_channel)..end_channel;
        let mut set_start = 0;
        for taps in &self.sets {
            let places = taps.iter().map(|&[row, column]| {
                let (row_remainder, row) = self.axes[0].look(row)?;
                let (column_remainder, column) = self.axes[1].look(column)?;
                let remainder = row_remainder * columns + column_remainder;
                Some(remainder * layout.remainder + row * layout.pitch + column)
            });
            let places: Vec<Option<usize>> = places.collect();
            for channel in channels.clone() {
                let start = (channel - channels.start) * layout.channel;
                let first_line = set_start + channel * taps.len();
                for (line, place) in (first_line..).zip(&places) {
                    if lines.contains(&line) {
                        prepared.offsets.push(place.map(|place| start + place));
                    }
                }
            }
            set_start += self.group.len() * taps.len();
        }
        let bordered = &mut prepared.bordered;
        let length = channels.len() * layout.channel;
        // Blocks may reach beyond the last row.
        bordered.resize(length + LANES, 0.0);
        let bordered = &mut bordered[..length];
        let copy = CopyPlanes {
            windows: self,
            layout,
            channels: self.group.start + channels.start..self.group.start + channels.end,
        };
        set.run(copy, bordered);
    }

    /// How whole rows of places are cut into blocks of 16 places, in what was prepared of them.
    ///
    /// Where rows are not a multiple of 16 places, they are taken together with the border between them, whose results
    /// have no meaning.
    pub(super) fn blocks(&self, elements: &Range<usize>) -> Blocks {
        let layout = self.layout(elements);
        let [height, width] = &self.axes;
        let is_even = width.places.is_multiple_of(LANES);
        let mut blocks = Blocks::default();
        let mut row = layout.rows.start;
        let first_image = row / height.places;
        while row < layout.rows.end {
            let image = row / height.places;
            let count = (height.places - row % height.places).min(layout.rows.end - row);
            let borders = (image - first_image) * height.reach;
            let from = (row - layout.rows.start + borders) * layout.pitch;
            let start = blocks.starts.len() * LANES;
            if is_even {
                for row in 0..count {
                    blocks.rows.push(start + row * width.places);
                    let places = (0..width.places).step_by(LANES);
                    blocks
                        .starts
                        .extend(places.map(|place| from + row * layout.pitch + place));
                }
            } else {
                let rows = (0..count).map(|row| start + row * layout.pitch);
                blocks.rows.extend(rows);
                let length = (count - 1) * layout.pitch + width.places;
                blocks
                    .starts
                    .extend((0..length).step_by(LANES).map(|place| from + place));
            }
            row += count;
        }
        blocks
    }

    /// The runs of some elements, among others that were prepared.
    pub(super) fn runs(&self, of: Range<usize>, elements: Range<usize>, runs: &mut Vec<Run>) {
        let layout = self.layout(&of);
        let [height, width] = &self.axes;
        let first_image = layout.rows.start / height.places;
        let mut next = elements.start;
        while next < elements.end {
            let (row, column) = (next / width.places, next % width.places);
            let length = (width.places - column).min(elements.end - next);
            let borders = (row / height.places - first_image) * height.reach;
            let run = Run {
                to: next - elements.start,
                from: (row - layout.rows.start + borders) * layout.pitch + column,
                length,
            };
            run.join(runs);
            next += length;
        }
    }
}

/// Copies the planes of some channels of all images that have places among some rows.
struct CopyPlanes<'a> {
    windows: &'a Windows<'a>,
    layout: Layout,
    channels: Range<usize>,
}

impl Kernel for CopyPlanes<'_> {
    type Target = [f32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, _: I, to: &mut [f32]) {
        match self.windows.values.map() {
            Map::None => self.copy(to, |value| value),
            Map::Real(quantizer) => self.copy(to, |value| quantizer.fake_quantized(value)),
            Map::Function(quantizer, function) => {
                self.copy(to, |value| quantizer.function(value, function));
            }
        }
    }
}

impl CopyPlanes<'_> {
    #[inline(always)]
    fn copy(self, mut to: &mut [f32], map: impl Fn(f32) -> f32 + Copy) {
        let [height, width] = &self.windows.axes;
        let plane = height.input * width.input;
        let rows = &self.layout.rows;
        for channel in self.channels {
            for &row_remainder in &height.remainders {
                for &remainder in &width.remainders {
                    let mut row = rows.start;
                    while row < rows.end {
                        let (image, place) = (row / height.places, row % height.places);
                        let count = (height.places - place).min(rows.end - row);
                        let start = (image * self.windows.channels + channel) * plane;
                        let values = &self.windows.values.values()[start..start + plane];
                        let first = place as isize + height.first;
                        for place in first..first + (count + height.reach) as isize {
                            match height.position(row_remainder, place) {
                                Some(row) => {
                                    let values = &values[row * width.input..][..width.input];
                                    copy_line(width, remainder, values, self.layout.pitch, to, map);
                                }
                                None => fill_run(self.layout.pitch, to),
                            }
                            to = &mut to[self.layout.pitch..];
                        }
                        row += count;
                    }
                }
            }
        }
    }
}

/// Copies those positions of a row that have a remainder, mapped, with a border of 0, to a line of some length. What lies after
/// that gets any value.
#[inline(always)]
fn copy_line(
    width: &WindowAxis,
    remainder: usize,
    values: &[f32],
    length: usize,
    to: &mut [f32],
    map: impl Fn(f32) -> f32 + Copy,
) {
    let start = width.first.min(0).unsigned_abs().min(length);
    let first = width.first.max(0) as usize;
    let count = width.positions(remainder).saturating_sub(first);
    let count = count.min(length - start);
    fill_run(start, to);
    if count > 0 {
        let values = &values[first * width.stride + remainder..];
        let to = &mut to[start..];
        match width.stride {
            1 => copy_run(values, count, to, map),
            stride => {
                let to = &mut to[..count];
                copy_strided(to, values, stride);
                to.iter_mut().for_each(|value| *value = map(*value));
            }
        }
    }
    fill_run(length - start - count, &mut to[start + count..]);
}

/// Fills elements with 0 by whole vectors where there is room, as [`copy_run`] copies.
#[inline(always)]
fn fill_run(length: usize, to: &mut [f32]) {
    for done in (0..length).step_by(LANES) {
        let to = &mut to[done..];
        if let Some(to) = to.first_chunk_mut::<LANES>() {
            *to = [0.0; LANES];
        } else {
            let rest = (length - done).min(LANES);
            to[..rest].fill(0.0);
        }
    }
}
