//! What a constant of the file is for: a parameter that training changes, or a number that stays.

use std::collections::HashMap;

use crate::graph::{Body, Node};

/// What a value is to the node that uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The weight of a layer, whoever holds it.
    Weight(&'static str),
    /// A parameter, if it is one of the file's weights and no number without axes.
    Trained(&'static str),
}

impl Role {
    /// What a parameter in this role is called below its module.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Weight(name) | Self::Trained(name) => name,
        }
    }
}

/// Who uses what.
pub(super) struct Uses<'a> {
    nodes: &'a [Node],
    by_name: HashMap<&'a str, Vec<(usize, usize)>>,
}

impl<'a> Uses<'a> {
    pub(super) fn new(body: &'a Body) -> Self {
        let mut by_name: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for (index, node) in body.nodes.iter().enumerate() {
            for (place, input) in node.inputs.iter().enumerate() {
                by_name.entry(input).or_default().push((index, place));
            }
        }
        Self {
            nodes: &body.nodes,
            by_name,
        }
    }

    /// The nodes that use a value.
    pub(super) fn of(&self, name: &str) -> impl Iterator<Item = (&'a Node, usize)> {
        let uses = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        uses.iter()
            .map(|&(index, place)| (&self.nodes[index], place))
    }

    /// The first role that a value has, and the node that it has it for, through operators that keep its elements.
    pub(super) fn role(&self, name: &str) -> Option<(Role, &'a Node)> {
        self.role_within(name, 8)
    }

    fn role_within(&self, name: &str, depth: usize) -> Option<(Role, &'a Node)> {
        self.of(name)
            .find_map(|(node, place)| match use_of(node, place) {
                Use::Role(role) => Some((role, node)),
                Use::Passes if depth > 0 => self.role_within(&node.outputs[0], depth - 1),
                Use::Passes | Use::Fixed => None,
            })
    }
}

enum Use {
    Role(Role),
    /// Its elements go on to whoever uses the output.
    Passes,
    /// A setting, or a statistic that training does not change.
    Fixed,
}

fn use_of(node: &Node, place: usize) -> Use {
    use Role::{Trained, Weight};
    let role = match (node.operator.name.as_str(), place) {
        ("Conv" | "ConvTranspose" | "Gemm", 1) | ("Gemm", 0) | ("MatMul", 0 | 1) => {
            Weight("weight")
        }
        ("Einsum", _) => Weight("weight"),
        ("Conv" | "ConvTranspose" | "Gemm" | "MatMul", 2) => Trained("bias"),
        (
            "BatchNormalization"
            | "InstanceNormalization"
            | "LayerNormalization"
            | "GroupNormalization",
            1 | 2,
        ) => Trained(if place == 1 { "weight" } else { "bias" }),
        ("RMSNormalization" | "SimplifiedLayerNormalization" | "PRelu", 1) => Trained("weight"),
        ("LSTM" | "GRU" | "RNN", 1) => Weight("input_weight"),
        ("LSTM" | "GRU" | "RNN", 2) => Weight("recurrent_weight"),
        ("LSTM" | "GRU" | "RNN", 3) => Trained("bias"),
        ("Gather", 0) => Trained("weight"),
        ("Add" | "Sub", 0 | 1) => Trained("bias"),
        ("Mul" | "Div", 0 | 1) => Trained("weight"),
        ("Concat", _) | ("Expand", 0) => Trained("value"),
        (
            "Transpose" | "Reshape" | "Unsqueeze" | "Squeeze" | "Flatten" | "Slice" | "Identity"
            | "Cast" | "DequantizeLinear" | "QuantizeLinear" | "Quant" | "IntQuant",
            0,
        ) => return Use::Passes,
        _ => return Use::Fixed,
    };
    Use::Role(role)
}
