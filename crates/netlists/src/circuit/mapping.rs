//! A circuit as functions of three values each: fewer and larger steps than gates of two.
//!
//! A gate with all that leads to it from some other nodes, its leaves, is a function of these. What leaves a gate can have
//! follows from those of its inputs. First, of all sets of at most three, that one is taken which asks for the fewest
//! functions, where those that several gates need count in parts ("area flow": Manohararajah, Brown and Vranesic,
//! Heuristics for Area Minimization in LUT-Based FPGA Technology Mapping, IEEE Transactions on Computer-Aided Design 25,
//! 2006). Then each gate takes the set that asks for the fewest functions beside those which are needed anyway ("exact
//! area": Mishchenko, Chatterjee and Brayton, Improvements to Technology Mapping for LUT-Based FPGAs, in the same journal
//! 26, 2007).

use super::gates::{Circuit, Gate};
use super::signal::Signal;

/// The values of the first, second and third leaf in the eight rows of a truth table, the first leaf changing fastest.
pub(super) const LEAVES: [u8; 3] = [0b1010_1010, 0b1100_1100, 0b1111_0000];

/// How many sets of leaves are kept for a node, beside the node itself.
const SETS: usize = 8;
/// How often all gates choose again.
const ROUNDS: usize = 2;

/// A function of other nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Function {
    /// The node that it gives the value of.
    pub node: usize,
    leaves: Leaves,
}

impl Function {
    /// One to three nodes.
    pub fn leaves(&self) -> &[u32] {
        self.leaves.nodes()
    }

    /// Its truth table.
    pub fn table(&self) -> u8 {
        self.leaves.table
    }
}

/// Nodes, and a function of them.
#[derive(Clone, Copy, Debug)]
struct Leaves {
    /// In ascending order; those beyond the count are of no account.
    nodes: [u32; 3],
    count: u8,
    table: u8,
    /// How many functions it asks for in all, counted in parts.
    flow: f32,
}

impl Leaves {
    fn of_node(node: usize, flow: f32) -> Self {
        Self {
            nodes: [node as u32, 0, 0],
            count: 1,
            table: LEAVES[0],
            flow,
        }
    }

    fn nodes(&self) -> &[u32] {
        &self.nodes[..usize::from(self.count)]
    }

    /// What a gate is of the leaves of both of its inputs, if these are not too many.
    fn of_gate(gate: &Gate, one: &Self, other: &Self) -> Option<Self> {
        let (mut nodes, mut count) = (one.nodes, usize::from(one.count));
        for node in other.nodes() {
            if !one.nodes().contains(node) {
                *nodes.get_mut(count)? = *node;
                count += 1;
            }
        }
        nodes[..count].sort_unstable();
        let [a, b] = inputs_of(gate).map(Signal::is_inverted);
        let inverted = |table: u8, is_inverted: bool| if is_inverted { !table } else { table };
        let a = inverted(one.table_of(&nodes[..count]), a);
        let b = inverted(other.table_of(&nodes[..count]), b);
        Some(Self {
            nodes,
            count: count as u8,
            table: match gate {
                Gate::And(..) => a & b,
                Gate::Xor(..) => a ^ b,
            },
            flow: 0.0,
        })
    }

    /// The function's table with more leaves.
    fn table_of(&self, nodes: &[u32]) -> u8 {
        let row = |row: usize| {
            let bit = |(leaf, node): (usize, &u32)| {
                let place = nodes.iter().position(|other| other == node).unwrap_or(0);
                (row >> place & 1) << leaf
            };
            let old: usize = self.nodes().iter().enumerate().map(bit).sum();
            (self.table >> old & 1) << row
        };
        (0..8).map(row).sum()
    }
}

/// The functions that the outputs need, each after those that it depends on. The circuit has no gates of constants.
pub(super) fn map(circuit: &Circuit) -> Vec<Function> {
    let first_gate = 1 + circuit.inputs();
    let sets = sets(circuit);
    let mut cover = Cover {
        first_gate,
        chosen: sets.iter().map(|sets| sets[0]).collect(),
        uses: vec![0; sets.len()],
    };
    for output in circuit.outputs() {
        cover.take(output.node() as u32);
    }
    for _ in 0..ROUNDS {
        for node in first_gate..sets.len() {
            // What is not needed now may be, once another gate chooses again.
            let is_needed = cover.uses[node] > 0;
            if is_needed {
                cover.release_leaves(node as u32);
            }
            // The last one is the node itself.
            let own = &sets[node][..sets[node].len() - 1];
            let cost = |leaves: &Leaves| {
                let before = std::mem::replace(&mut cover.chosen[node], *leaves);
                let added = cover.take_leaves(node as u32);
                cover.release_leaves(node as u32);
                cover.chosen[node] = before;
                added
            };
            let costs: Vec<usize> = own.iter().map(cost).collect();
            let best = own
                .iter()
                .zip(costs)
                .min_by_key(|(leaves, cost)| (*cost, leaves.count));
            if let Some((leaves, _)) = best {
                cover.chosen[node] = *leaves;
            }
            if is_needed {
                cover.take_leaves(node as u32);
            }
        }
    }
    let is_needed = |node: &usize| cover.uses[*node] > 0;
    let needed = (first_gate..sets.len()).filter(is_needed);
    needed
        .map(|node| Function {
            node,
            leaves: cover.chosen[node],
        })
        .collect()
}

/// The leaves that every gate has chosen, and how often what is needed is used.
struct Cover {
    first_gate: usize,
    chosen: Vec<Leaves>,
    uses: Vec<u32>,
}

impl Cover {
    /// Uses a node, and what it needs.
    fn take(&mut self, node: u32) {
        self.uses[node as usize] += 1;
        if self.uses[node as usize] == 1 && node as usize >= self.first_gate {
            self.take_leaves(node);
        }
    }

    /// Uses the leaves of a node, and what these need. Gives the number of functions that were not needed before.
    fn take_leaves(&mut self, node: u32) -> usize {
        let (mut open, mut added) = (vec![node], 0);
        while let Some(node) = open.pop() {
            let leaves = self.chosen[node as usize];
            for leaf in leaves.nodes() {
                self.uses[*leaf as usize] += 1;
                if self.uses[*leaf as usize] == 1 && *leaf as usize >= self.first_gate {
                    added += 1;
                    open.push(*leaf);
                }
            }
        }
        added
    }

    /// The opposite of [`take_leaves`](Self::take_leaves).
    fn release_leaves(&mut self, node: u32) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            let leaves = self.chosen[node as usize];
            for leaf in leaves.nodes() {
                self.uses[*leaf as usize] -= 1;
                if self.uses[*leaf as usize] == 0 && *leaf as usize >= self.first_gate {
                    open.push(*leaf);
                }
            }
        }
    }
}

/// The best sets of leaves of every node, the one that asks for the fewest functions first, and the node itself last.
fn sets(circuit: &Circuit) -> Vec<Vec<Leaves>> {
    let first_gate = 1 + circuit.inputs();
    let mut uses = vec![0_u32; first_gate + circuit.gates.len()];
    let inputs = circuit.gates.iter().flat_map(inputs_of);
    for signal in inputs.chain(circuit.outputs().iter().copied()) {
        uses[signal.node()] += 1;
    }
    let mut sets: Vec<Vec<Leaves>> = (0..first_gate)
        .map(|node| vec![Leaves::of_node(node, 0.0)])
        .collect();
    for (gate, node) in circuit.gates.iter().zip(first_gate..) {
        let [a, b] = inputs_of(gate).map(Signal::node);
        let mut found: Vec<Leaves> = Vec::new();
        for one in &sets[a] {
            for other in &sets[b] {
                let Some(mut leaves) = Leaves::of_gate(gate, one, other) else {
                    continue;
                };
                if found.iter().any(|known| known.nodes() == leaves.nodes()) {
                    continue;
                }
                let part = |leaf: &u32| {
                    let leaf = *leaf as usize;
                    sets[leaf][0].flow / uses[leaf].max(1) as f32
                };
                leaves.flow = 1.0 + leaves.nodes().iter().map(part).sum::<f32>();
                found.push(leaves);
            }
        }
        found.sort_by(|one, other| {
            let by_flow = one.flow.total_cmp(&other.flow);
            by_flow.then_with(|| one.count.cmp(&other.count))
        });
        found.truncate(SETS);
        found.push(Leaves::of_node(node, found[0].flow));
        sets.push(found);
    }
    sets
}

fn inputs_of(gate: &Gate) -> [Signal; 2] {
    match *gate {
        Gate::And(a, b) | Gate::Xor(a, b) => [a, b],
    }
}
