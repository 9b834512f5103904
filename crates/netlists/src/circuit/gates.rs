//! Circuits and their evaluation: 64 combinations of inputs in the bits of a word, some words of a net next to each
//! other, so that vector instructions apply.

use super::program::{Program, ProgramOutput, Words};
use super::signal::Signal;
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

/// A gate of two inputs, each of which is a constant (node 0), an input (the nodes that follow) or an earlier gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    And(Signal, Signal),
    Xor(Signal, Signal),
}

/// A combinational circuit of and- and xor-gates, each of which follows what it depends on.
///
/// ```
/// use approx_netlists::{LANES, Netlist, NetlistFormat, NetlistOptions, WORDS};
///
/// let text = "uint8_t f(uint8_t x) { return x ^ (x >> 1); }";
/// let netlist = Netlist::parse(text, NetlistFormat::C, &NetlistOptions::default())?;
/// let circuit = netlist.circuit();
/// assert_eq!((circuit.inputs(), circuit.gates(), circuit.outputs().len()), (8, 7, 8));
/// assert_eq!(circuit.evaluate(0b0110)?, 0b0101);
///
/// // All 256 combinations at once.
/// let mut outputs = [0; 256];
/// assert!(outputs.len() <= LANES);
/// circuit.evaluator::<WORDS>()?.evaluate_range(0, &mut outputs);
/// assert!((0..256).all(|x| outputs[x as usize] == x ^ (x >> 1)));
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    inputs: usize,
    pub(super) gates: Vec<Gate>,
    outputs: Vec<Signal>,
}

impl Circuit {
    pub(super) fn new(inputs: usize, gates: Vec<Gate>, outputs: Vec<Signal>) -> Self {
        Self {
            inputs,
            gates,
            outputs,
        }
    }

    /// How many inputs there are, used or not.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many gates of two inputs there are, inverters not counted. None computes nothing, or the same as another
    /// one.
    pub fn gates(&self) -> usize {
        self.gates.len()
    }

    /// The outputs: constants, inputs or gates, each of them inverted or not.
    pub fn outputs(&self) -> &[Signal] {
        &self.outputs
    }

    /// Which inputs the outputs depend on.
    pub fn used_inputs(&self) -> Vec<bool> {
        let mut used = vec![false; self.inputs];
        let signals = self.gates.iter().flat_map(|gate| match *gate {
            Gate::And(a, b) | Gate::Xor(a, b) => [a, b],
        });
        for signal in signals.chain(self.outputs.iter().copied()) {
            if (1..=self.inputs).contains(&signal.node()) {
                used[signal.node() - 1] = true;
            }
        }
        used
    }

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

    fn check_ports(&self) -> Result<(), NetlistError> {
        match self.inputs > 64 || self.outputs.len() > 64 {
            true => Err(NetlistError::TooManyPorts {
                inputs: self.inputs,
                outputs: self.outputs.len(),
            }),
            false => Ok(()),
        }
    }

    /// The outputs for one combination of inputs, the first of each in the lowest bit. An
    /// [`evaluator`](Self::evaluator) has the outputs of 64 combinations in the same time.
    ///
    /// # Errors
    ///
    /// [`NetlistError::TooManyPorts`] if there are more than 64 inputs or outputs.
    pub fn evaluate(&self, combination: u64) -> Result<u64, NetlistError> {
        self.check_ports()?;
        let mut values = vec![false];
        values.extend((0..self.inputs).map(|input| combination >> input & 1 == 1));
        let get = |values: &[bool], signal: Signal| values[signal.node()] != signal.is_inverted();
        for gate in &self.gates {
            let value = match *gate {
                Gate::And(a, b) => get(&values, a) && get(&values, b),
                Gate::Xor(a, b) => get(&values, a) != get(&values, b),
            };
            values.push(value);
        }
        let outputs = self.outputs.iter().enumerate();
        Ok(outputs
            .map(|(bit, &output)| u64::from(get(&values, output)) << bit)
            .sum())
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
                let all = |is_set: bool| 0u64.wrapping_sub(is_set.into());
                *row = match *output {
                    ProgramOutput::Constant(value) => all(value),
                    ProgramOutput::Slot { slot, inverted } => {
                        self.slots[slot as usize].0[word] ^ all(inverted)
                    }
                };
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
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::circuit) fn circuits() -> impl Strategy<Value = Circuit> {
        let gate = (any::<bool>(), any::<u32>(), any::<u32>());
        (
            1usize..12,
            prop::collection::vec(gate, 0..40),
            prop::collection::vec(any::<u32>(), 1..64),
        )
            .prop_map(|(inputs, gates, outputs)| {
                let signal = |number: u32, nodes: usize| {
                    Signal::of_node((number / 2) as usize % nodes).inverted_if(number % 2 == 1)
                };
                let nodes = 1 + inputs;
                let gates: Vec<Gate> = gates
                    .iter()
                    .enumerate()
                    .map(|(earlier, &(and, a, b))| {
                        let (a, b) = (signal(a, nodes + earlier), signal(b, nodes + earlier));
                        if and {
                            Gate::And(a, b)
                        } else {
                            Gate::Xor(a, b)
                        }
                    })
                    .collect();
                let nodes = nodes + gates.len();
                let outputs = outputs.iter().map(|&output| signal(output, nodes));
                Circuit::new(inputs, gates, outputs.collect())
            })
    }

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
