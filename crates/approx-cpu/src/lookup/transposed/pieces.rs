//! Outputs that are computed together, so that their sums are still in cache when they are finished.

use std::mem::MaybeUninit;
use std::ops::Range;

use crate::accumulators::Accumulator;
use crate::arch::NARROW_LANES;
use crate::arch::compiled_for_every_set;
use crate::lookup::gather::{Side, Strategy, TILE};

/// How many images and output channels are computed together: as many as have sums that stay in cache, but enough
/// lanes for all threads, which would cut the stream otherwise, and all of a stream as far as it is not cut anyhow.
///
/// A channel has some `planes` in a problem of some `positions` in every image, and `sums` bytes of sums for them;
/// there are so many channels in a `group`.
pub(super) fn sizes(
    strategy: Strategy,
    [planes, positions]: [usize; 2],
    sums: usize,
    group: usize,
) -> [usize; 2] {
    /// Bytes of sums that stay in the second-level cache.
    const BYTES: usize = 1 << 19;
    let (positions, sums) = (positions.max(1), sums.max(1));
    let lanes = match strategy.panels {
        true => NARROW_LANES,
        false => 1,
    };
    let all_lanes = lanes * rayon::current_num_threads();
    match strategy.streamed {
        Side::Positions => {
            let images = match strategy.panels {
                true => (TILE / positions).max(1),
                false => 1,
            };
            let channels = (BYTES / (images * sums)).max(all_lanes.div_ceil(planes));
            let block = lanes.div_ceil(planes);
            [images, channels / block * block]
        }
        Side::Planes => {
            let images = BYTES / (group.max(1) * sums);
            [images.max(all_lanes.div_ceil(positions)), group]
        }
    }
}

/// The planes of some images and output channels.
pub(super) struct Piece<'a, T> {
    pub(super) images: Range<usize>,
    pub(super) channels: Range<usize>,
    /// `[images, channels]`.
    pub(super) planes: Vec<&'a mut [T]>,
}

impl<T> Piece<'_, T> {
    /// The groups that its channels belong to, of so many channels each.
    pub(super) fn groups(&self, group: usize) -> Range<usize> {
        self.channels.start / group..self.channels.end.div_ceil(group)
    }
}

/// Cuts an output, `[images, out_channels]` planes, into pieces of so many images and channels: several groups, or some
/// channels of one.
pub(super) fn pieces<T>(
    output: &mut [T],
    plane: usize,
    out_channels: usize,
    group: usize,
    [images, channels]: [usize; 2],
) -> Vec<Piece<'_, T>> {
    let channels = match channels / group {
        0 => channels.max(1),
        groups => groups * group,
    };
    // The pieces of all channels, by their first one.
    let cut = match channels < group {
        true => group,
        false => out_channels,
    };
    let of_cut = cut.div_ceil(channels);
    let of_images = out_channels / cut * of_cut;
    let mut pieces: Vec<Piece<'_, T>> = Vec::new();
    for (index, plane) in output.chunks_exact_mut(plane).enumerate() {
        let (image, channel) = (index / out_channels, index % out_channels);
        let of_image = channel / cut * of_cut + channel % cut / channels;
        let piece = image / images * of_images + of_image;
        if piece == pieces.len() {
            pieces.push(Piece {
                images: image..image,
                channels: channel..channel,
                planes: Vec::new(),
            });
        }
        let piece = &mut pieces[piece];
        piece.images.end = image + 1;
        piece.channels.end = piece.channels.end.max(channel + 1);
        piece.planes.push(plane);
    }
    pieces
}

compiled_for_every_set! {
    /// Writes what `finish` makes of every sum and a constant.
    pub(super) fn finish_all<T: Accumulator, O: Copy, F: Fn(T) -> O>(
        set,
        constant: T,
        sums: &[T],
        finish: F;
        values: &mut [MaybeUninit<O>],
    ) {
        for (value, sum) in values.iter_mut().zip(sums) {
            value.write(finish(sum.plus(constant)));
        }
    }
}

compiled_for_every_set! {
    /// Adds to every sum another one and a constant.
    pub(super) fn add<T: Accumulator>(set, constant: T, others: &[T]; sums: &mut [T]) {
        for (sum, &other) in sums.iter_mut().zip(others) {
            *sum = sum.plus(other).plus(constant);
        }
    }
}
