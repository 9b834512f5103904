//! The outputs of all phases, put between each other.

use std::ops::Range;

use rayon::prelude::*;

use super::Phase;
use crate::parallel::CHUNK;
use crate::shapes::ConvTranspose2dShape;

/// The output of a valid shape, `[batch, out_channels, height, width]`, from what `compute` gives for some images of a phase: the
/// ordinary convolution's output. `images` are computed at a time. Outputs of phases without taps are the default.
pub(crate) fn assemble<T: Copy + Default + Send + Sync, E: Send>(
    shape: &ConvTranspose2dShape,
    phases: &[Vec<Phase>],
    images: usize,
    compute: impl Fn(&Phase, Range<usize>) -> Result<Vec<T>, E> + Sync,
) -> Result<Vec<T>, E> {
    let plane: usize = shape.output().iter().product();
    let image = shape.out_channels * plane;
    let mut output = vec![T::default(); shape.batch * image];
    if output.is_empty() {
        return Ok(output);
    }
    let run = |(index, output): (usize, &mut [T])| {
        let first = index * images;
        let images = first..first + output.len() / image;
        for neighbours in phases {
            let parts = neighbours
                .iter()
                .map(|phase| compute(phase, images.clone()));
            let parts: Vec<Vec<T>> = parts.collect::<Result<_, E>>()?;
            interleave(shape, neighbours, &parts, output);
        }
        Ok(())
    };
    output
        .par_chunks_mut(images * image)
        .enumerate()
        .try_for_each(run)?;
    Ok(output)
}

/// Writes the rows of the output that some phases share, of as many images as `output` holds.
fn interleave<T: Copy + Send + Sync>(
    shape: &ConvTranspose2dShape,
    neighbours: &[Phase],
    parts: &[Vec<T>],
    output: &mut [T],
) {
    let [height, width] = shape.output();
    let [stride, column_stride] = shape.stride;
    let rows = &neighbours[0].axes[0];
    let planes: Vec<[usize; 2]> = neighbours
        .iter()
        .map(|phase| phase.convolution.output())
        .collect();
    output
        .par_chunks_exact_mut(height * width)
        .with_min_len((CHUNK / (height * width)).max(1))
        .enumerate()
        .for_each(|(plane, output)| {
            let lines = output
                .chunks_exact_mut(width)
                .skip(rows.first)
                .step_by(stride);
            for (row, line) in rows.kept.clone().zip(lines) {
                let part = |index: usize| {
                    let [part_height, part_width] = planes[index];
                    let columns = neighbours[index].axes[1].kept.clone();
                    let start = (plane * part_height + row) * part_width + columns.start;
                    &parts[index][start..][..columns.len()]
                };
                if let [first, _] = neighbours
                    && column_stride == 2
                    && first.axes[1].first == 0
                {
                    zip(part(0), part(1), line);
                    continue;
                }
                for (index, phase) in neighbours.iter().enumerate() {
                    let to = &mut line[phase.axes[1].first..];
                    match column_stride {
                        1 => to[..part(index).len()].copy_from_slice(part(index)),
                        stride => {
                            for (to, from) in to.iter_mut().step_by(stride).zip(part(index)) {
                                *to = *from;
                            }
                        }
                    }
                }
            }
        });
}

/// Writes two sequences alternately.
fn zip<T: Copy>(even: &[T], odd: &[T], line: &mut [T]) {
    let (pairs, last) = line.as_chunks_mut::<2>();
    for ((pair, &even), &odd) in pairs.iter_mut().zip(even).zip(odd) {
        *pair = [even, odd];
    }
    if let [last] = last {
        *last = even[pairs.len()];
    }
}
