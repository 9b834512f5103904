//! A circuit as a list of instructions on few places, for whoever evaluates it very often.
//!
//! A circuit has a value for every gate, which is more than the fastest memory of a processor holds. Most of them are
//! used soon after they are computed and never again, so a program keeps each in a slot only as long as it is needed. And
//! it has no inversions: what a gate inverts is either part of an instruction, or kept inverted.

use std::collections::BTreeSet;

use super::gates::{Circuit, Gate};
use super::rewiring::Connection;
use super::signal::Signal;

/// What an instruction computes of two values, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `a & b`.
    And,
    /// `!a & b`.
    AndNot,
    /// `a | b`.
    Or,
    /// `a ^ b`.
    Xor,
}

/// One step of a [`Program`]: a slot gets what an operation gives of two slots, of which it may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What is computed.
    pub operation: Operation,
    /// The slot of the first value.
    pub a: u32,
    /// The slot of the second value.
    pub b: u32,
    /// The slot that the result goes to.
    pub to: u32,
}

/// Where an output of a [`Program`] is when all of its instructions are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgramOutput {
    /// It depends on no input.
    Constant(bool),
    /// It is in a slot.
    Slot {
        /// Which one.
        slot: u32,
        /// Whether the slot has the opposite of it.
        inverted: bool,
    },
}

/// A circuit as instructions, one after the other. Inputs are in the first slots, in their order, before it runs; their
/// slots are used again.
///
/// ```
/// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions, ProgramOutput};
///
/// let text = "module m(input [7:0] a, output all); assign all = &a; endmodule";
/// let netlist = Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default())?;
/// let program = netlist.circuit().program();
/// assert_eq!((program.inputs(), program.instructions().len(), program.slots()), (8, 7, 8));
/// // 64 combinations of inputs in every word: here, one in which all are 1 and 63 others.
/// let mut slots = [[1]; 8];
/// program.run(&mut slots);
/// let ProgramOutput::Slot { slot, inverted: false } = program.outputs()[0] else { unreachable!() };
/// assert_eq!(slots[slot as usize], [1]);
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    inputs: usize,
    slots: usize,
    instructions: Vec<Instruction>,
    outputs: Vec<ProgramOutput>,
}

impl Program {
    /// How many inputs there are, used or not.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many slots it uses, at least one for every input.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The instructions, in the order in which they are to be carried out.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Where the outputs are when it is done.
    pub fn outputs(&self) -> &[ProgramOutput] {
        &self.outputs
    }

    /// Carries all instructions out, on all bits of the slots' words.
    ///
    /// # Panics
    ///
    /// If there are fewer than [`slots`](Self::slots).
    #[inline(always)]
    pub fn run<const WORDS: usize>(&self, slots: &mut [[u64; WORDS]]) {
        let slots = &mut slots[..self.slots];
        for instruction in &self.instructions {
            // Values are taken out first: the result may go where one of them was.
            let (a, b) = (slots[instruction.a as usize], slots[instruction.b as usize]);
            let to = &mut slots[instruction.to as usize];
            match instruction.operation {
                Operation::And => (0..WORDS).for_each(|word| to[word] = a[word] & b[word]),
                Operation::AndNot => (0..WORDS).for_each(|word| to[word] = !a[word] & b[word]),
                Operation::Or => (0..WORDS).for_each(|word| to[word] = a[word] | b[word]),
                Operation::Xor => (0..WORDS).for_each(|word| to[word] = a[word] ^ b[word]),
            }
        }
    }
}

/// Where the value of a node is, and whether as its opposite.
#[derive(Clone, Copy)]
struct Place {
    slot: u32,
    inverted: bool,
}

impl Circuit {
    /// The circuit as a program.
    pub fn program(&self) -> Program {
        // No gate has a constant for an input then.
        let circuit = self.rewired(self.inputs(), Connection::Input, <[Signal]>::to_vec);
        let first_gate = 1 + circuit.inputs();
        let inputs_of = |gate: &Gate| match *gate {
            Gate::And(a, b) | Gate::Xor(a, b) => [a, b],
        };
        // The last gate that needs a node; outputs are needed to the end, and what nothing needs goes at once.
        let mut last_use = vec![0; first_gate + circuit.gates.len()];
        for (gate, node) in circuit.gates.iter().zip(first_gate..) {
            for signal in inputs_of(gate) {
                last_use[signal.node()] = node;
            }
        }
        for output in circuit.outputs() {
            last_use[output.node()] = usize::MAX;
        }

        let mut slots = circuit.inputs() as u32;
        let mut free: BTreeSet<u32> = BTreeSet::new();
        // The constant has no slot, and none is asked for.
        let inputs = (0..=slots).map(|input| Place {
            slot: input.saturating_sub(1),
            inverted: false,
        });
        let mut places: Vec<Place> = inputs.collect();
        free.extend((0..slots).filter(|input| last_use[1 + *input as usize] == 0));
        let mut instructions = Vec::with_capacity(circuit.gates.len());
        for (gate, node) in circuit.gates.iter().zip(first_gate..) {
            let signals = inputs_of(gate);
            let [a, b] = signals.map(|signal| {
                let place = places[signal.node()];
                Place {
                    inverted: place.inverted != signal.is_inverted(),
                    ..place
                }
            });
            for signal in signals {
                if last_use[signal.node()] == node {
                    free.insert(places[signal.node()].slot);
                }
            }
            let to = free.pop_first().unwrap_or_else(|| {
                slots += 1;
                slots - 1
            });
            let (operation, [a, b], inverted) = match (gate, a.inverted, b.inverted) {
                (Gate::Xor(..), first, second) => (Operation::Xor, [a, b], first != second),
                (Gate::And(..), false, false) => (Operation::And, [a, b], false),
                (Gate::And(..), true, false) => (Operation::AndNot, [a, b], false),
                (Gate::And(..), false, true) => (Operation::AndNot, [b, a], false),
                // Neither: the opposite of one of them.
                (Gate::And(..), true, true) => (Operation::Or, [a, b], true),
            };
            places.push(Place { slot: to, inverted });
            instructions.push(Instruction {
                operation,
                a: a.slot,
                b: b.slot,
                to,
            });
        }
        let outputs = circuit.outputs().iter().map(|output| {
            let place = places[output.node()];
            match output.as_constant() {
                Some(value) => ProgramOutput::Constant(value),
                None => ProgramOutput::Slot {
                    slot: place.slot,
                    inverted: place.inverted != output.is_inverted(),
                },
            }
        });
        Program {
            inputs: circuit.inputs(),
            outputs: outputs.collect(),
            slots: slots as usize,
            instructions,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::circuit::gates::tests::circuits;
    use crate::{Netlist, NetlistFormat, NetlistOptions};

    proptest! {
        #[test]
        fn gives_the_circuits_outputs(circuit in circuits(), words in prop::collection::vec(any::<u64>(), 12)) {
            let program = circuit.program();
            let mut slots = vec![[u64::MAX]; program.slots()];
            for (slot, word) in slots.iter_mut().zip(&words[..circuit.inputs()]) {
                *slot = [*word];
            }
            program.run(&mut slots);
            for lane in 0..64 {
                let inputs = words[..circuit.inputs()].iter().enumerate();
                let combination = inputs.map(|(input, word)| (word >> lane & 1) << input).sum();
                let outputs = program.outputs().iter().enumerate().map(|(bit, output)| {
                    let value = match *output {
                        ProgramOutput::Constant(value) => value,
                        ProgramOutput::Slot { slot, inverted } => {
                            (slots[slot as usize][0] >> lane & 1 == 1) != inverted
                        }
                    };
                    u64::from(value) << bit
                });
                prop_assert_eq!(outputs.sum::<u64>(), circuit.evaluate(combination).unwrap());
            }
        }
    }

    #[test]
    fn few_values_are_kept() {
        let text = "module m(input [15:0] a, b, output [31:0] o); assign o = a * b; endmodule";
        let netlist =
            Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default()).unwrap();
        let program = netlist.circuit().program();
        assert_eq!(program.instructions().len(), netlist.circuit().gates());
        // Of more than a thousand gates: the inputs, the outputs, and a row or two of the array.
        assert!(program.instructions().len() > 1_000);
        assert!(program.slots() < 160, "{} slots", program.slots());
    }
}
