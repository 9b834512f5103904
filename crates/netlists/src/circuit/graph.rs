//! The gate graph that the readers of netlists build: and- and xor-gates between signals that may be inverted, and nets
//! whose drivers may become known after they are used. Everything else is put together from these, see `vector`.

use std::collections::HashMap;

use super::gates::{Circuit, Gate};
use super::signal::Signal;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Node {
    /// Node 0, which is false.
    Constant,
    Input,
    Net {
        driver: Option<Signal>,
    },
    And(Signal, Signal),
    Xor(Signal, Signal),
}

/// Where and under what name nets were declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Declaration<'a> {
    pub name: &'a str,
    /// Where in the text.
    pub offset: usize,
    /// The index of the first of several nets, and whether that of the next one is higher; `None` for a single net
    /// without an index.
    pub index: Option<(i64, bool)>,
}

/// A net, for an error message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetName {
    pub name: String,
    pub offset: usize,
}

/// Why a graph is no circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GraphError {
    Undriven(NetName),
    Loop(Vec<NetName>),
}

/// A graph that is being built.
pub(crate) struct GraphBuilder<'a> {
    nodes: Vec<Node>,
    /// The gates there are, so that none is built twice.
    known: HashMap<Node, Signal>,
    /// Declarations with the first node of each, in the order of nodes.
    declarations: Vec<(usize, Declaration<'a>)>,
    inputs: Vec<usize>,
    /// Whether nets without a driver are false.
    undriven_are_false: bool,
    max_nodes: usize,
    exceeded: bool,
}

impl<'a> GraphBuilder<'a> {
    /// A graph of no more than `max_nodes` gates, nets and inputs. Beyond that it takes nothing, and
    /// [`exceeded`](Self::exceeded) says so: the readers ask now and then.
    pub fn new(max_nodes: usize) -> Self {
        Self {
            nodes: vec![Node::Constant],
            known: HashMap::new(),
            declarations: Vec::new(),
            inputs: Vec::new(),
            undriven_are_false: false,
            max_nodes: max_nodes.min(Signal::MAX_NODES - 1),
            exceeded: false,
        }
    }

    /// Takes nets for false that have no driver when the graph is finished.
    pub fn take_undriven_for_false(&mut self) {
        self.undriven_are_false = true;
    }

    pub fn exceeded(&self) -> bool {
        self.exceeded
    }

    /// How many nodes there may be.
    pub fn max_nodes(&self) -> usize {
        self.max_nodes
    }

    fn push(&mut self, node: Node) -> Signal {
        if self.nodes.len() > self.max_nodes {
            self.exceeded = true;
            return Signal::FALSE;
        }
        self.nodes.push(node);
        Signal::of_node(self.nodes.len() - 1)
    }

    /// A further input of the circuit.
    pub fn input(&mut self) -> Signal {
        let signal = self.push(Node::Input);
        if !self.exceeded {
            self.inputs.push(signal.node());
        }
        signal
    }

    /// `width` further inputs of the circuit with a name for error messages.
    pub fn inputs(&mut self, width: usize, declaration: Declaration<'a>) -> Vec<Signal> {
        self.declarations.push((self.nodes.len(), declaration));
        (0..width).map(|_| self.input()).collect()
    }

    /// `width` nets, which get their drivers later. It takes no memory for more of them than the limit allows.
    pub fn nets(&mut self, width: usize, declaration: Declaration<'a>) -> Vec<Signal> {
        if width > self.max_nodes {
            self.exceeded = true;
            return Vec::new();
        }
        self.declarations.push((self.nodes.len(), declaration));
        (0..width)
            .map(|_| self.push(Node::Net { driver: None }))
            .collect()
    }

    /// Gives a net its driver; the error is the name of what has one already, an input for instance.
    pub fn drive(&mut self, net: Signal, signal: Signal) -> Result<(), NetName> {
        match self.nodes[net.node()] {
            Node::Net { driver: None } if !net.is_inverted() => {
                self.nodes[net.node()] = Node::Net {
                    driver: Some(signal),
                };
                Ok(())
            }
            // The nets beyond the limit.
            Node::Constant if self.exceeded => Ok(()),
            _ => Err(self.net_name(net.node())),
        }
    }

    pub fn and(&mut self, a: Signal, b: Signal) -> Signal {
        let (a, b) = (a.min(b), a.max(b));
        if a == b || a == Signal::TRUE {
            b
        } else if a == Signal::FALSE || a == !b {
            Signal::FALSE
        } else {
            self.gate(Node::And(a, b))
        }
    }

    pub fn or(&mut self, a: Signal, b: Signal) -> Signal {
        !self.and(!a, !b)
    }

    pub fn xor(&mut self, a: Signal, b: Signal) -> Signal {
        let (a, b) = (a.min(b), a.max(b));
        // Inversions go to the output, so that equal gates are found.
        let inverted = a.is_inverted() != b.is_inverted();
        let (plain_a, plain_b) = (
            a.inverted_if(a.is_inverted()),
            b.inverted_if(b.is_inverted()),
        );
        let plain = if plain_a == plain_b {
            Signal::FALSE
        } else if plain_a == Signal::FALSE {
            plain_b
        } else {
            self.gate(Node::Xor(plain_a, plain_b))
        };
        plain.inverted_if(inverted)
    }

    /// `a` where `select` is true, else `b`.
    pub fn multiplex(&mut self, select: Signal, a: Signal, b: Signal) -> Signal {
        if let Some(select) = select.as_constant() {
            return if select { a } else { b };
        }
        if let Some(a) = a.as_constant() {
            return match a {
                true => self.or(select, b),
                false => self.and(!select, b),
            };
        }
        if let Some(b) = b.as_constant() {
            return match b {
                true => self.or(!select, a),
                false => self.and(select, a),
            };
        }
        let difference = self.xor(a, b);
        let change = self.and(select, difference);
        self.xor(b, change)
    }

    /// The sum and the carry of three bits.
    pub fn full_adder(&mut self, a: Signal, b: Signal, carry: Signal) -> (Signal, Signal) {
        let half = self.xor(a, b);
        let sum = self.xor(half, carry);
        let generated = self.and(a, b);
        let propagated = self.and(half, carry);
        (sum, self.or(generated, propagated))
    }

    fn gate(&mut self, gate: Node) -> Signal {
        if let Some(&signal) = self.known.get(&gate) {
            return signal;
        }
        let signal = self.push(gate);
        if !self.exceeded {
            self.known.insert(gate, signal);
        }
        signal
    }

    /// The circuit of the outputs, which leaves out all that they do not depend on.
    pub fn finish(&self, outputs: &[Signal]) -> Result<Circuit, GraphError> {
        self.finish_with_undriven(outputs)
            .map(|(circuit, _)| circuit)
    }

    /// The circuit of the outputs, and the nets in it that were taken for false.
    pub fn finish_with_undriven(
        &self,
        outputs: &[Signal],
    ) -> Result<(Circuit, Vec<NetName>), GraphError> {
        let mut undriven = Vec::new();
        let mut simplified = GraphBuilder::new(Signal::MAX_NODES);
        let mut found: Vec<Option<Signal>> = vec![None; self.nodes.len()];
        found[0] = Some(Signal::FALSE);
        for &input in &self.inputs {
            found[input] = Some(simplified.input());
        }
        let mut on_path = vec![false; self.nodes.len()];
        let mut path: Vec<usize> = Vec::new();
        for output in outputs {
            path.push(output.node());
            while let Some(&node) = path.last() {
                if found[node].is_some() {
                    path.pop();
                    continue;
                }
                on_path[node] = true;
                let (first, second) = match self.nodes[node] {
                    Node::Net { driver: Some(net) } => (net, net),
                    Node::And(a, b) | Node::Xor(a, b) => (a, b),
                    Node::Net { driver: None } if self.undriven_are_false => {
                        undriven.push(node);
                        (Signal::FALSE, Signal::FALSE)
                    }
                    Node::Net { driver: None } => {
                        return Err(GraphError::Undriven(self.net_name(node)));
                    }
                    Node::Constant | Node::Input => unreachable!("both were found above"),
                };
                let missing = [first, second]
                    .into_iter()
                    .find(|signal| found[signal.node()].is_none());
                if let Some(missing) = missing {
                    if on_path[missing.node()] {
                        return Err(GraphError::Loop(self.loop_nets(&path, missing.node())));
                    }
                    path.push(missing.node());
                    continue;
                }
                let get = |signal: Signal| {
                    let plain = found[signal.node()].expect("nothing is missing");
                    plain.inverted_if(signal.is_inverted())
                };
                let (first, second) = (get(first), get(second));
                found[node] = Some(match self.nodes[node] {
                    Node::And(..) => simplified.and(first, second),
                    Node::Xor(..) => simplified.xor(first, second),
                    _ => first,
                });
                on_path[node] = false;
                path.pop();
            }
        }
        let outputs: Vec<Signal> = outputs
            .iter()
            .map(|output| {
                let plain = found[output.node()].expect("every output was looked for");
                plain.inverted_if(output.is_inverted())
            })
            .collect();
        undriven.sort_unstable();
        let undriven = undriven.into_iter().map(|node| self.net_name(node));
        Ok((simplified.compact(&outputs), undriven.collect()))
    }

    /// The circuit of a graph without nets, whose first nodes are the inputs.
    fn compact(&self, outputs: &[Signal]) -> Circuit {
        let first_gate = 1 + self.inputs.len();
        let mut used = vec![false; self.nodes.len()];
        for output in outputs {
            used[output.node()] = true;
        }
        for node in (first_gate..self.nodes.len()).rev() {
            if let (true, Node::And(a, b) | Node::Xor(a, b)) = (used[node], self.nodes[node]) {
                used[a.node()] = true;
                used[b.node()] = true;
            }
        }
        let mut position: Vec<usize> = (0..self.nodes.len()).collect();
        let mut gates = Vec::new();
        let moved = |position: &[usize], signal: Signal| {
            Signal::of_node(position[signal.node()]).inverted_if(signal.is_inverted())
        };
        for node in first_gate..self.nodes.len() {
            if !used[node] {
                continue;
            }
            position[node] = first_gate + gates.len();
            gates.push(match self.nodes[node] {
                Node::And(a, b) => Gate::And(moved(&position, a), moved(&position, b)),
                Node::Xor(a, b) => Gate::Xor(moved(&position, a), moved(&position, b)),
                _ => unreachable!("all that follows the inputs are gates"),
            });
        }
        let outputs = outputs.iter().map(|&output| moved(&position, output));
        Circuit::new(self.inputs.len(), gates, outputs.collect())
    }

    /// The nets of the loop that ends a path and goes on at `start`; a loop without a net cannot be built.
    fn loop_nets(&self, path: &[usize], start: usize) -> Vec<NetName> {
        const SHOWN: usize = 8;
        path.iter()
            .skip_while(|&&node| node != start)
            .filter(|&&node| matches!(self.nodes[node], Node::Net { .. }))
            .take(SHOWN)
            .map(|&node| self.net_name(node))
            .collect()
    }

    fn net_name(&self, node: usize) -> NetName {
        let following = self
            .declarations
            .partition_point(|(first, _)| *first <= node);
        let Some((first, declaration)) = following
            .checked_sub(1)
            .map(|position| self.declarations[position])
        else {
            return NetName {
                name: "a constant".into(),
                offset: 0,
            };
        };
        let steps = (node - first) as i64;
        let name = match declaration.index {
            Some((index, true)) => format!("{}[{}]", declaration.name, index + steps),
            Some((index, false)) => format!("{}[{}]", declaration.name, index - steps),
            None => declaration.name.to_owned(),
        };
        NetName {
            name,
            offset: declaration.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(name: &str) -> Declaration<'_> {
        Declaration {
            name,
            offset: 7,
            index: None,
        }
    }

    #[test]
    fn gates_of_constants_and_equal_gates_are_none() {
        let mut graph = GraphBuilder::new(100);
        let (a, b) = (graph.input(), graph.input());
        assert_eq!(graph.and(a, Signal::TRUE), a);
        assert_eq!(graph.and(a, !a), Signal::FALSE);
        assert_eq!(graph.or(a, !a), Signal::TRUE);
        assert_eq!(graph.xor(a, !a), Signal::TRUE);
        assert_eq!(graph.xor(!a, Signal::FALSE), !a);
        assert_eq!(graph.and(a, b), graph.and(b, a));
        assert_eq!(graph.xor(!a, b), !graph.xor(a, b));
        assert_eq!(graph.multiplex(Signal::TRUE, a, b), a);
        assert_eq!(graph.multiplex(Signal::FALSE, a, b), b);
        assert_eq!(graph.multiplex(a, b, b), b);
        assert_eq!(graph.multiplex(a, Signal::TRUE, b), graph.or(a, b));
        assert_eq!(graph.multiplex(a, Signal::FALSE, b), graph.and(!a, b));
        assert_eq!(graph.multiplex(a, b, Signal::TRUE), graph.or(!a, b));
        assert_eq!(graph.multiplex(a, b, Signal::FALSE), graph.and(a, b));
    }

    #[test]
    fn nets_may_be_driven_after_they_are_used() {
        let mut graph = GraphBuilder::new(100);
        let (a, b) = (graph.input(), graph.input());
        let net = graph.nets(1, declaration("n"))[0];
        let output = graph.and(net, b);
        graph.drive(net, !a).unwrap();
        let unused = graph.nets(1, declaration("unused"))[0];
        graph.and(unused, a);
        let circuit = graph.finish(&[output, Signal::TRUE]).unwrap();
        assert_eq!(circuit.gates(), 1);
        let at = |index| circuit.evaluate(index).unwrap();
        assert_eq!([at(0), at(1), at(2), at(3)], [0b10, 0b10, 0b11, 0b10]);
        assert_eq!(graph.drive(net, b).unwrap_err().name, "n");
    }

    #[test]
    fn undriven_nets_and_loops_are_named() {
        let mut graph = GraphBuilder::new(100);
        let a = graph.input();
        let index = Some((5, false));
        let nets = graph.nets(
            3,
            Declaration {
                index,
                ..declaration("v")
            },
        );
        let expected = NetName {
            name: "v[3]".into(),
            offset: 7,
        };
        assert_eq!(
            graph.finish(&[nets[2]]).unwrap_err(),
            GraphError::Undriven(expected)
        );
        let first = graph.and(nets[0], a);
        graph.drive(nets[1], first).unwrap();
        graph.drive(nets[0], !nets[1]).unwrap();
        let GraphError::Loop(found) = graph.finish(&[nets[0]]).unwrap_err() else {
            panic!("it is a loop");
        };
        let names: Vec<_> = found.iter().map(|net| net.name.as_str()).collect();
        assert_eq!(names, ["v[5]", "v[4]"]);
    }

    #[test]
    fn undriven_nets_may_be_false() {
        let mut graph = GraphBuilder::new(100);
        graph.take_undriven_for_false();
        let a = graph.input();
        let nets = graph.nets(2, declaration("n"));
        let output = graph.xor(nets[0], a);
        let (circuit, undriven) = graph.finish_with_undriven(&[output, !nets[0]]).unwrap();
        assert_eq!([0, 1].map(|a| circuit.evaluate(a).unwrap()), [0b10, 0b11]);
        // Nothing depends on the other one, and the one counts once.
        assert_eq!(undriven.len(), 1);
    }

    #[test]
    fn a_chain_of_any_length_is_followed() {
        let mut graph = GraphBuilder::new(1 << 20);
        let a = graph.input();
        let nets = graph.nets(400_000, declaration("n"));
        for pair in nets.windows(2) {
            graph.drive(pair[0], !pair[1]).unwrap();
        }
        graph.drive(*nets.last().unwrap(), a).unwrap();
        assert_eq!(graph.finish(&[nets[0]]).unwrap().gates(), 0);
    }

    #[test]
    fn nothing_is_taken_beyond_the_limit() {
        let mut graph = GraphBuilder::new(10);
        assert!(graph.nets(11, declaration("n")).is_empty());
        assert!(graph.exceeded());
        let mut graph = GraphBuilder::new(2);
        let (a, b) = (graph.input(), graph.input());
        assert!(!graph.exceeded());
        graph.and(a, b);
        assert!(graph.exceeded());
    }
}
