//! Circuits: gates between inputs and outputs.

use super::signal::Signal;
use crate::NetlistError;

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

    pub(super) fn check_ports(&self) -> Result<(), NetlistError> {
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
}
