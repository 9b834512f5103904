//! Vectors of float32, and how rows are brought into them.

use bytemuck::{must_cast_mut, must_cast_ref};

use crate::arch::{Instructions, LANES};
use crate::axis;

/// Elements of a vector's lanes.
pub(super) type Floats = [f32; LANES];

#[inline(always)]
pub(super) fn splat<I: Instructions>(instructions: I, value: f32) -> I::Lanes {
    instructions.splat(value.to_bits() as i32)
}

#[inline(always)]
pub(super) fn load<I: Instructions>(instructions: I, from: &Floats) -> I::Lanes {
    instructions.load(must_cast_ref(from))
}

#[inline(always)]
pub(super) fn store<I: Instructions>(instructions: I, lanes: I::Lanes, to: &mut Floats) {
    instructions.store(lanes, must_cast_mut(to));
}

/// The elements from a place on that fill a vector.
///
/// # Panics
/// If there are fewer.
#[inline(always)]
pub(super) fn at(elements: &[f32], place: usize) -> &Floats {
    elements[place..]
        .first_chunk()
        .expect("elements for a vector")
}

/// [`at`], to be written.
#[inline(always)]
pub(super) fn at_mut(elements: &mut [f32], place: usize) -> &mut Floats {
    elements[place..]
        .first_chunk_mut()
        .expect("elements for a vector")
}

/// The sum of all lanes, always in the same order.
#[inline(always)]
pub(super) fn sum(lanes: &Floats) -> f32 {
    let mut sums = *lanes;
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}

/// Copies a row of the length of both, which often is too short for a call of `memcpy` to be worth it.
#[inline(always)]
pub(super) fn copy_row(to: &mut [f32], from: &[f32]) {
    #[inline(always)]
    fn pieces<const LENGTH: usize>(to: &mut [f32], from: &[f32]) {
        let last = from.len() - LENGTH;
        let mut place = 0;
        while place < last {
            to[place..][..LENGTH].copy_from_slice(&from[place..][..LENGTH]);
            place += LENGTH;
        }
        // The last piece overlaps the one before it.
        to[last..][..LENGTH].copy_from_slice(&from[last..][..LENGTH]);
    }

    let to = &mut to[..from.len()];
    match from.len() {
        16.. => pieces::<16>(to, from),
        8.. => pieces::<8>(to, from),
        4.. => pieces::<4>(to, from),
        _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
    }
}

/// Copies every `stride`-th element, from the first one on.
#[inline(always)]
pub(super) fn copy_strided(to: &mut [f32], from: &[f32], stride: usize) {
    match stride {
        1 => copy_row(to, &from[..to.len()]),
        stride => axis::copy_strided(to, from, stride),
    }
}

/// Transposes rows of the length of `to`: an element of `to` has the elements of all rows at its place.
#[inline(always)]
pub(super) fn to_lanes(rows: [&[f32]; LANES], to: &mut [Floats]) {
    // Planes of 2 x 2, in a form that compilers make vectors of.
    if let Ok(to) = <&mut [Floats; 4]>::try_from(&mut *to) {
        let rows: [&[f32; 4]; LANES] = rows.map(|row| row.first_chunk().expect("a row"));
        *to = std::array::from_fn(|place| rows.map(|row| row[place]));
        return;
    }
    let length = to.len();
    if length < LANES {
        for (lane, row) in rows.into_iter().enumerate() {
            for (to, &element) in to.iter_mut().zip(row) {
                to[lane] = element;
            }
        }
        return;
    }
    for block in 0..length.div_ceil(LANES) {
        // The last block overlaps the one before it.
        let first = (block * LANES).min(length - LANES);
        let block = std::array::from_fn(|lane| *at(rows[lane], first));
        to[first..][..LANES].copy_from_slice(&transposed(block));
    }
}

/// Transposes the other way: to rows of the length of `from`, one after the other, as many as there is room for.
#[inline(always)]
pub(super) fn from_lanes(from: &[Floats], to: &mut [f32]) {
    if let Ok(from) = <&[Floats; 4]>::try_from(from) {
        for (lane, row) in to.as_chunks_mut().0.iter_mut().enumerate() {
            *row = from.map(|from| from[lane]);
        }
        return;
    }
    let length = from.len();
    let rows = to.chunks_exact_mut(length);
    if length < LANES {
        for (lane, row) in rows.enumerate() {
            for (to, from) in row.iter_mut().zip(from) {
                *to = from[lane];
            }
        }
        return;
    }
    let count = rows.len();
    for block in 0..length.div_ceil(LANES) {
        let first = (block * LANES).min(length - LANES);
        let block = from[first..].first_chunk().expect("a block of rows");
        for (lane, row) in transposed(*block).iter().enumerate().take(count) {
            *at_mut(to, lane * length + first) = *row;
        }
    }
}

/// The transpose of a block. Merging every row with the one eight further on, element by element, and that four times,
/// transposes it, and every step is permutations of two vectors.
#[inline(always)]
fn transposed(mut block: [Floats; LANES]) -> [Floats; LANES] {
    for _ in 0..4 {
        block = std::array::from_fn(|row| {
            let (one, other) = (&block[row / 2], &block[row / 2 + LANES / 2]);
            let half = row % 2 * (LANES / 2);
            std::array::from_fn(|lane| {
                let place = half + lane / 2;
                if lane % 2 == 0 {
                    one[place]
                } else {
                    other[place]
                }
            })
        });
    }
    block
}
