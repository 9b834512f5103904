//! Netlists as multipliers: how the operands' codes become inputs, and the outputs a product, and how gates are evaluated.

use approx_netlists::{
    Circuit, Connection, Evaluator, LANES, Location, Netlist, Port, Signal, WORDS,
};
use rayon::prelude::*;

use super::subject::{Contradiction, Function, Indices, Operands, Subject};
use crate::import::ImportError;
use crate::{MultiplierError, OperandFormat};

/// Blocks that a thread evaluates at a time.
const BLOCKS: usize = 64;

impl Subject for Netlist {
    /// Its inputs are the bits of the second and of the first operand, so that a combination of inputs is the index in a
    /// table; its outputs are the product's bits.
    type Function = Circuit;

    fn name(&self) -> &str {
        self.name()
    }

    fn location(&self) -> &Location {
        self.location()
    }

    fn inputs(&self) -> &[Port] {
        self.inputs()
    }

    fn outputs(&self) -> &[Port] {
        self.outputs()
    }

    fn used_inputs(&self) -> Vec<bool> {
        self.circuit().used_inputs()
    }

    fn function(
        &self,
        operands: &Operands,
        formats: [OperandFormat; 2],
        width: usize,
        signed: bool,
    ) -> (Circuit, usize) {
        let connections = connections(self, operands, formats);
        let circuit = self.circuit().rewired(
            operands.index_bits(),
            |input| connections[input],
            |outputs| {
                let bits: Vec<Signal> = operands.product.bits[..width]
                    .iter()
                    .map(|&bit| outputs[bit])
                    .collect();
                without_extension(&bits, signed)
            },
        );
        let width = circuit.outputs().len();
        (circuit, width)
    }
}

/// What is connected to each input of a netlist: bits of the second operand, which come first, and of the first one.
fn connections(
    netlist: &Netlist,
    Operands { first, second, .. }: &Operands,
    formats: [OperandFormat; 2],
) -> Vec<Connection> {
    let mut connections = vec![Connection::Zero; netlist.circuit().inputs()];
    for (operand, format, position_of_first) in [
        (second, formats[1], 0),
        (first, formats[0], usize::from(second.bits)),
    ] {
        let bits = usize::from(operand.bits);
        for (position, &input) in operand.group.bits.iter().enumerate() {
            // The rest of an integer is the sign of a signed number, unless the integer is unsigned: then it is a
            // pattern.
            if position < bits {
                connections[input] = Connection::Input(position_of_first + position);
            } else if operand.is_extended(format) {
                connections[input] = Connection::Input(position_of_first + bits - 1);
            }
        }
    }
    connections
}

/// The bits without the highest ones that only repeat the sign, or are always 0.
fn without_extension(bits: &[Signal], signed: bool) -> Vec<Signal> {
    let mut width = bits.len();
    let superfluous = |width: usize| match signed {
        true => width > 1 && bits[width - 1] == bits[width - 2],
        false => width > 1 && bits[width - 1] == Signal::FALSE,
    };
    while superfluous(width) {
        width -= 1;
    }
    bits[..width].to_vec()
}

/// A circuit whose inputs are the bits of an index.
impl Function for Circuit {
    fn evaluate(&self, indices: Indices, outputs: &mut [u64]) -> Result<(), ImportError> {
        let evaluator = || -> Evaluator<WORDS> {
            self.evaluator()
                .expect("operands have at most 32 bits together, and a product has at most 64")
        };
        outputs
            .par_chunks_mut(BLOCKS * LANES)
            .enumerate()
            .for_each_init(evaluator, |evaluator, (chunk, outputs)| {
                for (block, outputs) in outputs.chunks_mut(LANES).enumerate() {
                    let start = (chunk * BLOCKS + block) * LANES;
                    match indices {
                        Indices::From(first) => {
                            evaluator.evaluate_range(first + start as u64, outputs);
                        }
                        Indices::At(indices) => {
                            evaluator.evaluate(&indices[start..start + outputs.len()], outputs);
                        }
                    }
                }
            });
        Ok(())
    }

    fn is_zero_from(&self, bit: usize) -> bool {
        self.outputs()[bit..]
            .iter()
            .all(|&bit| bit == Signal::FALSE)
    }

    fn contradiction(&self) -> Option<Contradiction> {
        // Gates have no state.
        None
    }

    fn without_factors(&self, source: MultiplierError) -> ImportError {
        source.into()
    }
}
