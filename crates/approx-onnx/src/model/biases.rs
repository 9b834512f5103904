//! What is added to the product with a matrix of the file becomes that layer's bias.
//!
//! A linear layer on inputs of three axes or more is written as `MatMul` and `Add`, since `Gemm` takes two axes alone.

use std::collections::{HashMap, HashSet};

use crate::graph::{Attribute, Body, JOINED, Node, Operator};

/// Makes one node of every `MatMul` with a matrix of the file and the `Add` of a row of the file to its result, unless
/// somebody else uses that result.
///
/// Whether the row fits the matrix is seen when the node runs: one of another length is added as it was.
pub(super) fn join(body: &mut Body) {
    let uses = count_uses(body);
    let ranks = ranks_of_constants(body);
    let products = body.nodes.iter().enumerate().filter_map(|(index, node)| {
        let is_layer = node.operator.is("MatMul")
            && node.inputs.len() == 2
            && ranks.get(node.inputs[1].as_str()) == Some(&2);
        let output = node.outputs.first()?.as_str();
        (is_layer && uses.get(output) == Some(&1)).then_some((output, index))
    });
    let products: HashMap<&str, usize> = products.collect();
    let mut joined: HashMap<usize, Node> = HashMap::new();
    let mut removed = HashSet::new();
    for (index, node) in body.nodes.iter().enumerate() {
        if !node.operator.is("Add") || !node.attributes.is_empty() {
            continue;
        }
        let [left, right] = &node.inputs[..] else {
            continue;
        };
        let [from_left, from_right] = [left, right].map(|name| products.get(name.as_str()));
        let (product, added) = match (from_left, from_right) {
            (Some(product), None) => (*product, right),
            (None, Some(product)) => (*product, left),
            _ => continue,
        };
        if ranks.get(added.as_str()) != Some(&1) {
            continue;
        }
        // It stands where the sum stood: what is added may be computed after the product.
        let product_node = &body.nodes[product];
        joined.insert(
            index,
            Node {
                name: product_node.name.clone(),
                module: product_node.module.clone(),
                operator: Operator {
                    domain: JOINED.to_string(),
                    name: product_node.operator.name.clone(),
                },
                version: product_node.version,
                inputs: [&product_node.inputs[..], std::slice::from_ref(added)].concat(),
                outputs: node.outputs.clone(),
                attributes: Vec::new(),
            },
        );
        removed.insert(product);
    }
    for (index, node) in joined {
        body.nodes[index] = node;
    }
    let mut index = 0;
    body.nodes.retain(|_| {
        index += 1;
        !removed.contains(&(index - 1))
    });
}

/// How often each value is used, by inner graphs and as an output too.
fn count_uses(body: &Body) -> HashMap<String, usize> {
    let mut uses = HashMap::new();
    count_within(body, &mut uses);
    uses
}

fn count_within(body: &Body, uses: &mut HashMap<String, usize>) {
    let outputs = body.outputs.iter().map(|output| &output.name);
    let inputs = body.nodes.iter().flat_map(|node| &node.inputs);
    for name in outputs.chain(inputs) {
        *uses.entry(name.clone()).or_default() += 1;
    }
    for (_, attribute) in body.nodes.iter().flat_map(|node| &node.attributes) {
        if let Attribute::Graph(inner) = attribute {
            count_within(inner, uses);
        }
    }
}

/// How many axes each value has that follows from the file through operators that keep their number.
fn ranks_of_constants(body: &Body) -> HashMap<&str, usize> {
    let constants = body.constants.iter();
    let mut ranks: HashMap<&str, usize> = constants
        .map(|(name, constant)| (name.as_str(), constant.data.rank()))
        .collect();
    for node in &body.nodes {
        let rank = match (node.constant(), node.operator.name.as_str()) {
            (Some(constant), _) => Some(constant.data.rank()),
            (
                None,
                "Transpose" | "Identity" | "Cast" | "DequantizeLinear" | "QuantizeLinear" | "Quant"
                | "IntQuant",
            ) => {
                let input = node.inputs.first();
                input.and_then(|input| ranks.get(input.as_str()).copied())
            }
            _ => None,
        };
        if let (Some(rank), Some(output)) = (rank, node.outputs.first()) {
            ranks.insert(output, rank);
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, TensorData};

    use super::*;
    use crate::graph::{Constant, ValueInfo};

    fn node(operator: &str, inputs: &[&str], output: &str) -> Node {
        Node {
            name: format!("/{output}/{operator}"),
            module: None,
            operator: Operator {
                domain: String::new(),
                name: operator.to_string(),
            },
            version: 17,
            inputs: inputs.iter().map(ToString::to_string).collect(),
            outputs: vec![output.to_string()],
            attributes: Vec::new(),
        }
    }

    /// `y`, and whatever else is an output, of a graph with a matrix, a row, and a number.
    fn body(nodes: Vec<Node>, outputs: &[&str]) -> Body {
        let constant = |name: &str, shape: &[usize]| {
            let values = vec![1.0_f32; shape.iter().product()];
            let data = TensorData::new(values, shape.to_vec());
            (name.to_string(), Constant::new(data, DType::F32))
        };
        let value = |name: &&str| ValueInfo {
            name: name.to_string(),
            dtype: None,
            shape: None,
        };
        Body {
            inputs: vec![value(&"x")],
            outputs: [&["y"], outputs].concat().iter().map(value).collect(),
            constants: vec![
                constant("matrix", &[3, 2]),
                constant("row", &[2]),
                constant("number", &[]),
            ],
            nodes,
        }
    }

    /// The nodes that are left, by operator, number of inputs and output.
    fn joined(nodes: Vec<Node>, outputs: &[&str]) -> Vec<(String, usize, String)> {
        let mut body = body(nodes, outputs);
        join(&mut body);
        let nodes = body.nodes.iter().map(|node| {
            (
                node.operator.name.clone(),
                node.inputs.len(),
                node.outputs[0].clone(),
            )
        });
        nodes.collect()
    }

    #[test]
    fn the_sum_of_a_product_and_a_row_is_one_layer_in_the_place_of_the_sum() {
        let one = [("MatMul".to_string(), 3, "y".to_string())];
        for sum in [["p", "row"], ["row", "p"]] {
            let nodes = vec![
                node("MatMul", &["x", "matrix"], "p"),
                node("Add", &sum, "y"),
            ];
            assert_eq!(joined(nodes, &[]), one);
        }
        // The matrix turned, the row from a node behind the product.
        let nodes = vec![
            node("Transpose", &["matrix"], "turned"),
            node("MatMul", &["x", "turned"], "p"),
            node("Identity", &["row"], "same"),
            node("Add", &["p", "same"], "y"),
        ];
        assert_eq!(joined(nodes, &[])[2], one[0]);
    }

    #[test]
    fn what_is_no_bias_stays_apart() {
        let product = || node("MatMul", &["x", "matrix"], "p");
        let sum = || node("Add", &["p", "row"], "y");
        let apart = [
            // The product is an output, or used elsewhere, within an inner graph too.
            (vec![product(), sum()], &["p"][..]),
            (vec![product(), node("Relu", &["p"], "r"), sum()], &["r"]),
            (
                {
                    let mut choice = node("If", &["x"], "c");
                    let inner = body(vec![node("Relu", &["p"], "y")], &[]);
                    let inner = Attribute::Graph(std::sync::Arc::new(inner));
                    choice.attributes.push(("then_branch".to_string(), inner));
                    vec![product(), choice, sum()]
                },
                &[],
            ),
            // What is added is no row, or does not follow from the file; the matrix does not.
            (vec![product(), node("Add", &["p", "number"], "y")], &[]),
            (vec![product(), node("Add", &["p", "x"], "y")], &[]),
            (vec![product(), node("Add", &["p", "p"], "y")], &[]),
            (vec![node("MatMul", &["x", "x"], "p"), sum()], &[]),
            (vec![node("MatMul", &["matrix", "x"], "p"), sum()], &[]),
        ];
        for (nodes, outputs) in apart {
            let count = nodes.len();
            assert_eq!(joined(nodes, outputs).len(), count);
        }
    }
}
