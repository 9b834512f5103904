//! Other inputs and outputs for a circuit: inputs that are connected to each other, or to constants, and outputs left
//! out.

use super::gates::{Circuit, Gate};
use super::graph::GraphBuilder;
use super::signal::Signal;

/// What is connected to an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The constant false.
    Zero,
    /// The input with this position in the new circuit.
    Input(usize),
}

impl Circuit {
    /// The circuit of `inputs` inputs that connects them, or constants, to this one's inputs as `connection` says, and
    /// has as outputs what `select` chooses.
    ///
    /// ```
    /// use approx_netlists::{Connection, Netlist, NetlistFormat, NetlistOptions};
    ///
    /// let text = "module m(input [1:0] a, b, output [3:0] o); assign o = a * b; endmodule";
    /// let netlist = Netlist::parse(text, NetlistFormat::Verilog, &NetlistOptions::default())?;
    /// // Both operands are the same: the square of a number.
    /// let square = netlist.circuit().rewired(2, |input| Connection::Input(input % 2), <[_]>::to_vec);
    /// assert_eq!([0, 1, 2, 3].map(|x| square.evaluate(x).unwrap()), [0, 1, 4, 9]);
    /// # Ok::<(), approx_netlists::NetlistError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If a connection is to an input that there is not.
    pub fn rewired(
        &self,
        inputs: usize,
        connection: impl Fn(usize) -> Connection,
        select: impl Fn(&[Signal]) -> Vec<Signal>,
    ) -> Self {
        let mut graph = GraphBuilder::new(Signal::MAX_NODES);
        let inputs: Vec<Signal> = (0..inputs).map(|_| graph.input()).collect();
        let mut found = vec![Signal::FALSE];
        found.extend((0..self.inputs()).map(|input| match connection(input) {
            Connection::Zero => Signal::FALSE,
            Connection::Input(input) => inputs[input],
        }));
        for gate in &self.gates {
            let get = |signal: Signal| found[signal.node()].inverted_if(signal.is_inverted());
            let signal = match *gate {
                Gate::And(a, b) => graph.and(get(a), get(b)),
                Gate::Xor(a, b) => graph.xor(get(a), get(b)),
            };
            found.push(signal);
        }
        let outputs: Vec<Signal> = self
            .outputs()
            .iter()
            .map(|output| found[output.node()].inverted_if(output.is_inverted()))
            .collect();
        graph
            .finish(&select(&outputs))
            .expect("a graph without nets has neither loops nor undriven nets")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::gates::tests::circuits;
    use super::*;

    proptest! {
        #[test]
        fn rewiring_connects_inputs(circuit in circuits(), shift in 0usize..5, combination: u64) {
            let rewired = circuit.rewired(
                3,
                |input| if (input + shift).is_multiple_of(4) {
                    Connection::Zero
                } else {
                    Connection::Input((input + shift) % 4 - 1)
                },
                <[Signal]>::to_vec,
            );
            let connected: u64 = (0..circuit.inputs())
                .filter(|input| !(input + shift).is_multiple_of(4))
                .map(|input| (combination >> ((input + shift) % 4 - 1) & 1) << input)
                .sum();
            prop_assert_eq!(rewired.evaluate(combination & 7).unwrap(), circuit.evaluate(connected).unwrap());
        }
    }
}
