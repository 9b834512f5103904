//! Sums of products, each of a line of one operand with a line of the other.

use approx_netlists::Words;
use rayon::prelude::*;

use super::product::CircuitProduct;
use super::slices::Slices;
use crate::arch::{InstructionSet, compiled_for_every_set};

/// Words that every instruction of the program is carried out on: so many that reading the instruction costs little, so
/// few that all slots stay in the first-level cache.
const WORDS: usize = 16;

/// Outputs that are worth a task.
const OUTPUTS_PER_TASK: usize = 16 * WORDS;

/// The lines of one operand.
pub(super) struct Lines<'a> {
    pub slices: &'a Slices,
    /// The first line, and how many there are.
    pub first: usize,
    pub count: usize,
    /// The input of the circuit that the operand's lowest bit is.
    pub input: usize,
}

impl<'a> Lines<'a> {
    /// Some lines of an operand whose lowest bit is this input of the circuit.
    pub fn new(slices: &'a Slices, lines: std::ops::Range<usize>, input: usize) -> Self {
        Self {
            slices,
            first: lines.start,
            count: lines.len(),
            input,
        }
    }
}

/// Writes the sums of all pairs of lines, `[outer, inner]`. Both have as many blocks; masks are those of the
/// activations, which `mask` names.
pub(super) fn sums(
    set: InstructionSet,
    product: &CircuitProduct,
    [outer, inner]: [&Lines<'_>; 2],
    masks: &Lines<'_>,
    sums: &mut [i64],
) {
    let is_outer = std::ptr::eq(masks, outer);
    sums.par_chunks_mut(OUTPUTS_PER_TASK)
        .enumerate()
        .for_each(|(task, sums)| {
            let task = Task {
                product,
                operands: [outer, inner],
                masked: usize::from(!is_outer),
                first: task * OUTPUTS_PER_TASK,
            };
            add_up(set, task, sums);
        });
}

/// Some outputs in a row.
#[derive(Clone, Copy)]
struct Task<'a> {
    product: &'a CircuitProduct,
    operands: [&'a Lines<'a>; 2],
    /// Which of the operands says what counts.
    masked: usize,
    first: usize,
}

compiled_for_every_set! {
    fn add_up(set, task: Task<'_>; sums: &mut [i64]) {
        let Task { product, operands, masked, first } = task;
        let program = &product.program;
        let mut slots = vec![Words([0; WORDS]); program.slots()];
        for (chunk, sums) in sums.chunks_mut(WORDS).enumerate() {
            // Words beyond the last output do what the last one does.
            let pairs: [[usize; 2]; WORDS] = std::array::from_fn(|word| {
                let pair = first + chunk * WORDS + word.min(sums.len() - 1);
                let [outer, inner] = operands;
                [outer.first + pair / inner.count, inner.first + pair % inner.count]
            });
            let mut totals = [0; WORDS];
            for block in 0..operands[0].slices.blocks {
                for (operand, lines) in operands.into_iter().enumerate() {
                    let slots = &mut slots[lines.input..][..lines.slices.bits];
                    for (word, pair) in pairs.iter().enumerate() {
                        let bits = lines.slices.words(pair[operand], block);
                        for (slot, bit) in slots.iter_mut().zip(bits) {
                            slot.0[word] = *bit;
                        }
                    }
                }
                let masks = pairs.map(|pair| operands[masked].slices.mask(pair[masked], block));
                program.run(&mut slots);
                for (bit, output) in program.outputs().iter().enumerate() {
                    let worth = product.worth(bit);
                    let values = output.words(&slots);
                    for word in 0..WORDS {
                        let count = (values[word] & masks[word]).count_ones();
                        totals[word] += i64::from(count) * worth;
                    }
                }
            }
            sums.copy_from_slice(&totals[..sums.len()]);
        }
    }
}
