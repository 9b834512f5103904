//! Gradients of depthwise convolutions: every output channel sees one input channel.
//!
//! With so few products for every element, what takes time is to bring the elements into vectors. Large planes are
//! copied into rows with a border and multiplied along those (`planes`). Small ones would leave vectors half empty and
//! be mostly border: there, the lanes of a vector are channels (`channels`).
//!
//! Work is cut by the shape alone, and so is the order of every sum: results do not depend on the number of threads.

mod channels;
mod floats;
mod planes;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::arch::InstructionSet;
use crate::parallel::CHUNK;
use crate::shapes::Conv2dShape;

/// Computes the gradient of the activations, `[batch, in_channels, height, width]`, from that of the outputs,
/// `[batch, out_channels, output height, output width]`, and the weights
/// `[out_channels, 1, kernel height, kernel width]`.
///
/// The caller has checked the shape, which has a group for every input channel, and the lengths.
pub(crate) fn activation_gradient(
    set: InstructionSet,
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let sizes = Sizes::new(shape);
    debug_assert_eq!(shape.in_channels, shape.groups);
    debug_assert_eq!(weight.len(), shape.out_channels * sizes.taps);
    debug_assert_eq!(
        gradient.len(),
        shape.batch * shape.out_channels * sizes.output
    );
    debug_assert_eq!(to.len(), shape.input_length());
    if to.is_empty() {
        return;
    }
    if sizes.lanes_are_channels(shape) {
        channels::activation_gradient(set, shape, weight, gradient, to);
    } else {
        planes::activation_gradient(set, shape, weight, gradient, to);
    }
}

/// Computes the gradient of the weights, `[out_channels, 1, kernel height, kernel width]`, from the activations
/// `[batch, in_channels, height, width]` and the gradient of the outputs,
/// `[batch, out_channels, output height, output width]`. Padding counts as 0.
///
/// The caller has checked the shape, which has a group for every input channel, and the lengths.
pub(crate) fn weight_gradient(
    set: InstructionSet,
    shape: &Conv2dShape,
    activation: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let sizes = Sizes::new(shape);
    debug_assert_eq!(shape.in_channels, shape.groups);
    debug_assert_eq!(activation.len(), shape.input_length());
    debug_assert_eq!(
        gradient.len(),
        shape.batch * shape.out_channels * sizes.output
    );
    debug_assert_eq!(to.len(), shape.out_channels * sizes.taps);
    if activation.is_empty() {
        to.fill(0.0);
        return;
    }
    if sizes.lanes_are_channels(shape) {
        channels::weight_gradient(set, shape, activation, gradient, to);
    } else {
        planes::weight_gradient(set, shape, activation, gradient, to);
    }
}

/// Numbers of elements that belong to one channel.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// Output channels of an input channel.
    multiplier: usize,
    input: usize,
    output: usize,
    taps: usize,
}

impl Sizes {
    fn new(shape: &Conv2dShape) -> Self {
        Sizes {
            multiplier: shape.out_channels / shape.groups,
            input: shape.input.iter().product(),
            output: shape.output().iter().product(),
            taps: shape.kernel.iter().product(),
        }
    }

    /// Elements of an input channel and its output channels in one image.
    fn elements(&self) -> usize {
        self.input + self.multiplier * self.output
    }

    /// Whether planes are so small, and channels so many, that vectors are best filled with channels.
    fn lanes_are_channels(&self, shape: &Conv2dShape) -> bool {
        /// About where both ways take the same time.
        const SMALL: usize = 100;
        shape.in_channels >= 8 && self.input.max(self.output) <= SMALL
    }
}

/// Runs tasks of so many elements each: several of them on a thread if they are short, and none on another thread than
/// this one if all of them are.
fn run_tasks<T: Send, S: Send>(
    tasks: Vec<T>,
    elements: usize,
    new_scratch: impl Fn() -> S + Sync + Send,
    run: impl Fn(&mut S, T) + Sync + Send,
) {
    if tasks.len() * elements <= CHUNK {
        let mut scratch = new_scratch();
        tasks.into_iter().for_each(|task| run(&mut scratch, task));
    } else {
        tasks
            .into_par_iter()
            .with_min_len((CHUNK / elements.max(1)).max(1))
            .for_each_init(new_scratch, run);
    }
}

/// Computes the gradient of weights in parts of the batch: `compute` is called with the part's images, all parts of
/// `to` among them, and what it writes is added up.
fn in_parts_of_the_batch(
    batch: usize,
    tasks: usize,
    to: &mut [f32],
    compute: impl Fn(Vec<(std::ops::Range<usize>, &mut [f32])>),
) {
    /// Tasks that keep the threads of a large machine busy.
    const ENOUGH: usize = 64;
    let parts = ENOUGH.div_ceil(tasks).clamp(1, batch);
    let images = batch.div_ceil(parts);
    let parts = batch.div_ceil(images);
    let range = |part: usize| part * images..batch.min((part + 1) * images);
    if parts == 1 || to.is_empty() {
        compute(vec![(range(0), to)]);
        return;
    }
    let mut sums = vec![0.0; parts * to.len()];
    let all = sums.chunks_exact_mut(to.len()).enumerate();
    compute(all.map(|(part, sums)| (range(part), sums)).collect());
    let (first, rest) = sums.split_at(to.len());
    to.copy_from_slice(first);
    for part in rest.chunks_exact(to.len()) {
        for (sum, part) in to.iter_mut().zip(part) {
            *sum += part;
        }
    }
}
