//! The evaluation of circuits: 64 combinations of inputs in the bits of a word, some words of a net next to each other, so
//! that vector instructions apply.

use super::gates::Circuit;
use super::program::{Program, Words};
use crate::NetlistError;

/// The words of a block, with which many combinations of inputs are evaluated the fastest.
pub const WORDS: usize = 8;

/// How many combinations such a block has.
pub const LANES: usize = 64 * WORDS;

/// The lowest six bits of the numbers 0 to 63, one word each.
const COUNTING: [u64; 6] = [
    0xAAAA_AAAA_AAAA_AAAA,
    0xCCCC_CCCC_CCCC_CCCC,
    0xF0F0_F0F0_F0F0_F0F0,
    0xFF00_FF00_FF00_FF00,
    0xFFFF_0000_FFFF_0000,
    0xFFFF_FFFF_0000_0000,
];

impl Circuit {
    /// An evaluator of 64 combinations for each word of a block.
    ///
    /// # Errors
    ///
    /// [`NetlistError::TooManyPorts`] if there are more than 64 inputs or outputs.
    pub fn evaluator<const WORDS: usize>(&self) -> Result<Evaluator<WORDS>, NetlistError> {
        self.check_ports()?;
        let program = self.program();
        Ok(Evaluator {
            slots: vec![Words([0; WORDS]); program.slots()],
            program,
        })
    }
}

/// Evaluates a circuit for many combinations of its inputs. A combination and its outputs are numbers, with the first
/// input or output in the lowest bit; bits above those of the inputs do not matter. Made by [`Circuit::evaluator`].
///
/// ```
/// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions};
///
/// let text = "module m(input a, b, output both, one); assign both = a & b, one = a ^ b; endmodule";
/// let netlist = Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default())?;
/// let mut outputs = [0; 4];
/// netlist.circuit().evaluator::<1>()?.evaluate(&[3, 2, 1, 0], &mut outputs);
/// assert_eq!(outputs, [0b01, 0b10, 0b10, 0b00]);
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
pub struct Evaluator<const WORDS: usize> {
    program: Program,
    slots: Vec<Words<WORDS>>,
}

impl<const WORDS: usize> Evaluator<WORDS> {
    /// The outputs for up to `64 * WORDS` consecutive combinations, from a first one that is divisible by that.
    ///
    /// # Panics
    ///
    /// If there are more outputs than `64 * WORDS`, or the first combination is not divisible by it.
    pub fn evaluate_range(&mut self, first: u64, outputs: &mut [u64]) {
        assert!(
            first.is_multiple_of(64 * WORDS as u64),
            "blocks of combinations start at multiples of their size"
        );
        let inputs = self.program.inputs();
        for (input, value) in self.slots[..inputs].iter_mut().enumerate() {
            for (word, bits) in value.0.iter_mut().enumerate() {
                *bits = match COUNTING.get(input) {
                    Some(&counting) => counting,
                    None => {
                        let position = first + 64 * word as u64;
                        0u64.wrapping_sub((position >> input) & 1)
                    }
                };
            }
        }
        self.run(outputs);
    }

    /// The outputs for up to `64 * WORDS` combinations, as many as there is room for.
    ///
    /// # Panics
    ///
    /// If there are not as many outputs as combinations, or more than `64 * WORDS`.
    pub fn evaluate(&mut self, combinations: &[u64], outputs: &mut [u64]) {
        assert!(
            combinations.len() == outputs.len() && outputs.len() <= 64 * WORDS,
            "every combination has its outputs, and fits into the block"
        );
        for (word, lanes) in combinations.chunks(64).enumerate() {
            let mut matrix = [0; 64];
            matrix[..lanes.len()].copy_from_slice(lanes);
            transpose(&mut matrix);
            let inputs = &mut self.slots[..self.program.inputs()];
            for (value, bits) in inputs.iter_mut().zip(matrix) {
                value.0[word] = bits;
            }
        }
        self.run(outputs);
    }

    /// Computes all gates and writes the outputs of as many lanes as asked for.
    fn run(&mut self, outputs: &mut [u64]) {
        assert!(outputs.len() <= 64 * WORDS, "the outputs fit into a block");
        self.program.run(&mut self.slots);
        for (word, lanes) in outputs.chunks_mut(64).enumerate() {
            let mut matrix = [0; 64];
            for (row, output) in matrix.iter_mut().zip(self.program.outputs()) {
                *row = output.words(&self.slots)[word];
            }
            transpose(&mut matrix);
            lanes.copy_from_slice(&matrix[..lanes.len()]);
        }
    }
}

/// Exchanges rows and columns of a matrix of 64 x 64 bits: quadrants are exchanged, then theirs, down to single bits.
fn transpose(matrix: &mut [u64; 64]) {
    let mut size = 32;
    let mut mask = 0x0000_0000_FFFF_FFFF_u64;
    while size > 0 {
        for row in (0..64).filter(|row| row & size == 0) {
            let exchanged = ((matrix[row] >> size) ^ matrix[row + size]) & mask;
            matrix[row] ^= exchanged << size;
            matrix[row + size] ^= exchanged;
        }
        size /= 2;
        mask ^= mask << size;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::gates::tests::circuits;
    use super::*;

    proptest! {
        #[test]
        fn lanes_are_independent(circuit in circuits(), combinations in prop::collection::vec(any::<u64>(), 1..=LANES)) {
            let mut outputs = vec![0; combinations.len()];
            circuit.evaluator::<WORDS>().unwrap().evaluate(&combinations, &mut outputs);
            for (&combination, output) in combinations.iter().zip(outputs) {
                prop_assert_eq!(output, circuit.evaluate(combination).unwrap());
            }
        }

        #[test]
        fn a_range_counts(circuit in circuits(), block in 0u64..9, count in 0..=LANES) {
            let first = block * LANES as u64;
            let mut outputs = vec![0; count];
            circuit.evaluator::<WORDS>().unwrap().evaluate_range(first, &mut outputs);
            for (combination, output) in (first..).zip(outputs) {
                prop_assert_eq!(output, circuit.evaluate(combination).unwrap());
            }
        }
    }
}
