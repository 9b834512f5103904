//! A circuit as a list of instructions on few places, for whoever evaluates it very often.
//!
//! A circuit has a value for every gate, which is more than the fastest memory of a processor holds. Most of them are
//! used soon after they are computed and never again, so a program keeps each in a slot only as long as it is needed.
//! Its instructions are functions of [three values](super::mapping), each of which one instruction of AVX-512 computes, and
//! a few of other processors. It has no inversions: they are part of a function, or a slot keeps the opposite of a value.

use std::collections::BTreeSet;

use super::gates::Circuit;
use super::mapping::{LEAVES, map};
use super::rewiring::Connection;
use super::signal::Signal;

/// One step of a [`Program`]: a slot gets a function of three slots, of which it may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// The truth table of the function: bit `a + 2 b + 4 c` is its value for the bits `a`, `b` and `c`. It is one of the
    /// [`FUNCTIONS`].
    pub function: u8,
    /// The slots of the values `a`, `b` and `c`. Where the function does not depend on one, it is any slot.
    pub from: [u32; 3],
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

impl ProgramOutput {
    /// Its value, from the slots that the program has left.
    #[inline(always)]
    pub fn words<const WORDS: usize>(self, slots: &[Words<WORDS>]) -> [u64; WORDS] {
        let all = |is_set: bool| 0_u64.wrapping_sub(is_set.into());
        match self {
            Self::Constant(value) => [all(value); WORDS],
            Self::Slot { slot, inverted } => {
                slots[slot as usize].0.map(|word| word ^ all(inverted))
            }
        }
    }
}

/// The value of a net for some combinations of inputs: 64 in each word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Words<const WORDS: usize>(pub [u64; WORDS]);

/// A circuit as instructions, one after the other. Inputs are in the first slots, in their order, before it runs; their
/// slots are used again.
///
/// ```
/// use approx_netlists::{Netlist, NetlistFormat, NetlistOptions, Words};
///
/// let text = "module m(input [7:0] a, output all); assign all = &a; endmodule";
/// let netlist = Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default())?;
/// let program = netlist.circuit().program();
/// // Four functions of up to three values have eight inputs, or nine.
/// assert_eq!((program.inputs(), program.instructions().len(), program.slots()), (8, 4, 8));
/// // 64 combinations of inputs in every word: here, one in which all are 1 and 63 others.
/// let mut slots = [Words([1]); 8];
/// program.run(&mut slots);
/// assert_eq!(program.outputs()[0].words(&slots), [1]);
/// # Ok::<(), approx_netlists::NetlistError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    inputs: usize,
    slots: usize,
    instructions: Vec<Instruction>,
    outputs: Vec<ProgramOutput>,
}

/// Lists functions, and makes what carries out an instruction with any of them.
macro_rules! functions {
    ($($function:literal)+) => {
        /// The functions of instructions: of those that differ in the order of their values, or in being each other's
        /// opposite, the one that takes the fewest operations of two values.
        pub const FUNCTIONS: &[u8] = &[$($function),+];

        /// A function of some words.
        #[inline(always)]
        fn apply<const WORDS: usize>(
            function: u8,
            [a, b, c]: [&[u64; WORDS]; 3],
        ) -> [u64; WORDS] {
            let mut result = [0; WORDS];
            match function {
                // The function is a constant in each of these, and what is left of it are two or three operations.
                $($function => {
                    for word in 0..WORDS {
                        result[word] = of_three($function, a[word], b[word], c[word]);
                    }
                })+
                _ => unreachable!("a program has no other functions"),
            }
            result
        }
    };
}

functions! {
    0 2 6 8 10 14 22 26 30 36 42 44 46 47 60 62 96 104 106 110 111 126 128 134 136 142 150 158 164 170 172 180 188 224 232
    238 242 246 248 254
}

/// A function of two words, by its truth table.
#[inline(always)]
fn of_two(function: u8, a: u64, b: u64) -> u64 {
    match function {
        0 => 0,
        1 => !(a | b),
        2 => a & !b,
        3 => !b,
        4 => !a & b,
        5 => !a,
        6 => a ^ b,
        7 => !(a & b),
        8 => a & b,
        9 => !(a ^ b),
        10 => a,
        11 => a | !b,
        12 => b,
        13 => !a | b,
        14 => a | b,
        _ => u64::MAX,
    }
}

/// A function of three words, by its truth table.
#[inline(always)]
fn of_three(function: u8, a: u64, b: u64, c: u64) -> u64 {
    // What it is of the other two where the third is 0, and where it is 1.
    let (without, with) = (function & 15, function >> 4);
    let two = |function: u8| of_two(function, a, b);
    match (without, with) {
        _ if without == with => two(with),
        (0, _) => c & two(with),
        (_, 0) => !c & two(without),
        (15, _) => !c | two(with),
        (_, 15) => c | two(without),
        _ if without == 15 - with => c ^ two(without),
        _ if without & with == without => two(without) | (c & two(with)),
        _ if without & with == with => two(with) | (!c & two(without)),
        _ => two(without) ^ (c & two(without ^ with)),
    }
}

/// How many operations of two values that takes, where one of them may be inverted.
fn operations(function: u8) -> usize {
    let two = |function: u8| match function {
        0 | 10 | 12 | 15 => 0,
        2 | 3 | 4 | 5 | 6 | 8 | 14 => 1,
        _ => 2,
    };
    let (without, with) = (function & 15, function >> 4);
    match (without, with) {
        _ if without == with => two(with),
        (0, _) => 1 + two(with),
        (15, _) => 2 + two(with),
        (_, 0 | 15) => 1 + two(without),
        _ if without == 15 - with => 1 + two(without),
        _ if without & with == without || without & with == with => 2 + two(without) + two(with),
        _ => 2 + two(without) + two(without ^ with),
    }
}

/// A function of values in another order: the first of the new ones is the old one at `order[0]`, and so on.
fn reordered(function: u8, order: [usize; 3]) -> u8 {
    let row = |row: usize| {
        let old: usize = (0..3).map(|value| (row >> value & 1) << order[value]).sum();
        (function >> old & 1) << row
    };
    (0..8).map(row).sum()
}

/// The function that stands for another one, the order of values in which it does, and whether it is its opposite.
fn canonical(function: u8) -> (u8, [usize; 3], bool) {
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let forms = ORDERS.into_iter().flat_map(|order| {
        [(function, false), (!function, true)]
            .map(|(function, inverted)| (reordered(function, order), order, inverted))
    });
    let best = forms.min_by_key(|(function, ..)| (operations(*function), *function));
    best.unwrap_or((function, [0, 1, 2], false))
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
    pub fn run<const WORDS: usize>(&self, slots: &mut [Words<WORDS>]) {
        let slots = &mut slots[..self.slots];
        for instruction in &self.instructions {
            let from = instruction.from.map(|slot| &slots[slot as usize].0);
            let result = apply(instruction.function, from);
            slots[instruction.to as usize].0 = result;
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
        let functions = map(&circuit);
        let nodes = 1 + circuit.inputs() + circuit.gates();
        // The last function that needs a node; outputs are needed to the end.
        let mut last_use = vec![0; nodes];
        for function in &functions {
            for leaf in function.leaves() {
                last_use[*leaf as usize] = function.node;
            }
        }
        for output in circuit.outputs() {
            last_use[output.node()] = usize::MAX;
        }

        let mut slots = circuit.inputs() as u32;
        let mut free: BTreeSet<u32> = BTreeSet::new();
        free.extend((0..slots).filter(|input| last_use[1 + *input as usize] == 0));
        // Inputs are in the first slots; the constant has none, and none is asked for.
        let mut places: Vec<Place> = (0..nodes as u32)
            .map(|node| Place {
                slot: node.saturating_sub(1),
                inverted: false,
            })
            .collect();
        let mut instructions = Vec::with_capacity(functions.len());
        for function in &functions {
            let mut table = function.table();
            for (leaf, (node, values)) in function.leaves().iter().zip(LEAVES).enumerate() {
                let node = *node as usize;
                if places[node].inverted {
                    // Rows in which the leaf is 1 and those in which it is 0 change places.
                    let shift = 1 << leaf;
                    table = (table & values) >> shift | (table & !values) << shift;
                }
                if last_use[node] == function.node {
                    free.insert(places[node].slot);
                }
            }
            let to = free.pop_first().unwrap_or_else(|| {
                slots += 1;
                slots - 1
            });
            let (table, order, inverted) = canonical(table);
            // What the function does not depend on may be any slot.
            let leaves = function.leaves();
            let slot = |leaf: usize| leaves.get(leaf).map(|node| places[*node as usize].slot);
            let from = order.map(|leaf| slot(leaf).or(slot(0)).unwrap_or(0));
            places[function.node] = Place { slot: to, inverted };
            instructions.push(Instruction {
                function: table,
                from,
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
            let mut slots = vec![Words([u64::MAX]); program.slots()];
            for (slot, word) in slots.iter_mut().zip(&words[..circuit.inputs()]) {
                slot.0 = [*word];
            }
            program.run(&mut slots);
            for lane in 0..64 {
                let inputs = words[..circuit.inputs()].iter().enumerate();
                let combination = inputs.map(|(input, word)| (word >> lane & 1) << input).sum();
                let outputs = program.outputs().iter().enumerate().map(|(bit, output)| {
                    let [word] = output.words(&slots);
                    (word >> lane & 1) << bit
                });
                prop_assert_eq!(outputs.sum::<u64>(), circuit.evaluate(combination).unwrap());
            }
        }
    }

    #[test]
    fn functions_are_those_of_their_tables() {
        let [a, b, c] = LEAVES.map(u64::from);
        for function in 0..=u8::MAX {
            assert_eq!(of_three(function, a, b, c) as u8, function);
        }
    }

    #[test]
    fn every_function_has_one_that_stands_for_it() {
        let mut standing: Vec<u8> = Vec::new();
        for function in 0..=u8::MAX {
            let (form, order, inverted) = canonical(function);
            let expected = if inverted { !function } else { function };
            assert_eq!(form, reordered(expected, order));
            standing.push(form);
        }
        standing.sort_unstable();
        standing.dedup();
        assert_eq!(standing, FUNCTIONS);
    }

    #[test]
    fn few_values_are_kept_and_few_functions_computed() {
        let text = "module m(input [15:0] a, b, output [31:0] o); assign o = a * b; endmodule";
        let netlist =
            Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default()).unwrap();
        let program = netlist.circuit().program();
        // An adder of three bits has five gates, and is two functions.
        let gates = netlist.circuit().gates();
        let instructions = program.instructions().len();
        assert!(
            gates > 1_000 && 100 * instructions < 60 * gates,
            "{instructions} of {gates}"
        );
        // The inputs, the outputs, and a row or two of the array.
        assert!(program.slots() < 160, "{} slots", program.slots());
    }
}
