//! Operators on codes, as ONNX Runtime's quantiser writes them, taken apart: codes to values, the operator itself, and
//! back to codes. The quantisers of a file then have one form, whichever it was written in.

use crate::graph::{Attribute, Body, Constant, Graph, Node, Operator};
use burn::tensor::{DType, TensorData};

/// Takes apart every operator on codes that is known; others stay, and are found to be not covered.
pub(super) fn take_apart(graph: &mut Graph) {
    let Graph { body, version } = graph;
    let nodes = std::mem::take(&mut body.nodes);
    for node in nodes {
        match Parts::of(&node) {
            Some(parts) => parts.write(node, *version, body),
            None => body.nodes.push(node),
        }
    }
}

/// Where the inputs of an operator on codes stand.
struct Parts {
    operator: &'static str,
    /// The places of the codes that are taken back: each is followed by its scale and zero point.
    codes: Vec<usize>,
    /// The axis along which an operand's scales differ, if they do.
    axes: Vec<i64>,
    /// The place of the bias, whose scale is that of both operands.
    bias: Option<usize>,
    /// The place of the output's scale, which is followed by its zero point.
    output: usize,
}

impl Parts {
    fn of(node: &Node) -> Option<Self> {
        let of_runtime = node.operator.domain == "com.microsoft";
        if !of_runtime && !node.operator.domain.is_empty() {
            return None;
        }
        let parts = |operator, codes: &[usize], axes: &[i64], bias, output| {
            Some(Self {
                operator,
                codes: codes.to_vec(),
                axes: axes.to_vec(),
                bias,
                output,
            })
        };
        let name = node.operator.name.as_str();
        match name {
            "QLinearConv" => parts("Conv", &[0, 3], &[1, 0], Some(8), 6),
            "QLinearMatMul" => parts("MatMul", &[0, 3], &[-1, -1], None, 6),
            _ if !of_runtime => None,
            "QGemm" => {
                let transposed = node
                    .attributes
                    .iter()
                    .any(|(name, value)| name == "transB" && matches!(value, Attribute::Int(1)));
                let axis = if transposed { 0 } else { 1 };
                parts("Gemm", &[0, 3], &[1, axis], Some(6), 7)
            }
            "QLinearAdd" => parts("Add", &[0, 3], &[1, 1], None, 6),
            "QLinearMul" => parts("Mul", &[0, 3], &[1, 1], None, 6),
            "QLinearGlobalAveragePool" => parts("GlobalAveragePool", &[0], &[1], None, 3),
            "QLinearAveragePool" => parts("AveragePool", &[0], &[1], None, 3),
            "QLinearSigmoid" => parts("Sigmoid", &[0], &[1], None, 3),
            "QLinearLeakyRelu" => parts("LeakyRelu", &[0], &[1], None, 3),
            "QLinearSoftmax" => parts("Softmax", &[0], &[1], None, 3),
            "QLinearConcat" => {
                let codes: Vec<usize> = (2..node.inputs.len()).step_by(3).collect();
                let axes = vec![1; codes.len()];
                parts("Concat", &codes, &axes, None, 0)
            }
            _ => None,
        }
    }

    fn write(self, node: Node, version: i64, body: &mut Body) {
        let input = |index: usize| node.inputs.get(index).cloned().unwrap_or_default();
        let own = |part: &str| format!("{}/{part}", node.outputs[0]);
        let linear = |name: &str, inputs: Vec<String>, output: String, axis: Option<i64>| Node {
            name: output.clone(),
            module: None,
            operator: Operator {
                domain: String::new(),
                name: name.to_string(),
            },
            version,
            inputs,
            outputs: vec![output],
            attributes: axis
                .map(|axis| ("axis".to_string(), Attribute::Int(axis)))
                .into_iter()
                .collect(),
        };
        let mut inputs = Vec::new();
        for (index, (&place, &axis)) in self.codes.iter().zip(&self.axes).enumerate() {
            let value = own(&format!("operand{index}"));
            let decoded = vec![input(place), input(place + 1), input(place + 2)];
            body.nodes.push(linear(
                "DequantizeLinear",
                decoded,
                value.clone(),
                Some(axis),
            ));
            inputs.push(value);
        }
        if let Some(place) = self.bias
            && !input(place).is_empty()
        {
            let scale = own("bias_scale");
            if let Some(values) = product(body, &input(1), &input(4)) {
                let length = values.len();
                let data = match length {
                    1 => TensorData::new(values, [0_usize; 0]),
                    _ => TensorData::new(values, [length]),
                };
                let constant = Constant {
                    data,
                    dtype: DType::F32,
                };
                body.constants.push((scale.clone(), constant));
            }
            let bias = own("bias");
            let decoded = vec![input(place), scale];
            body.nodes
                .push(linear("DequantizeLinear", decoded, bias.clone(), Some(0)));
            inputs.push(bias);
        }
        let (scale, zero) = (input(self.output), input(self.output + 1));
        // ONNX Runtime's may give values instead of codes.
        let gives_codes = !scale.is_empty();
        let value = if gives_codes {
            own("value")
        } else {
            node.outputs[0].clone()
        };
        body.nodes.push(Node {
            name: node.name.clone(),
            module: node.module.clone(),
            operator: Operator {
                domain: String::new(),
                name: self.operator.to_string(),
            },
            version,
            inputs,
            outputs: vec![value.clone()],
            attributes: node.attributes.clone(),
        });
        if gives_codes {
            let encoded = vec![value, scale, zero];
            body.nodes.push(linear(
                "QuantizeLinear",
                encoded,
                node.outputs[0].clone(),
                None,
            ));
        }
    }
}

/// The products of two constants' numbers, of which the first has one.
fn product(body: &Body, one: &str, several: &str) -> Option<Vec<f32>> {
    let numbers = |name: &str| {
        let constant = body.constants.iter().find(|(own, _)| own == name);
        constant.map(|(_, constant)| constant.data.iter::<f32>().collect::<Vec<f32>>())
    };
    let [factor] = numbers(one)?[..] else {
        return None;
    };
    Some(
        numbers(several)?
            .into_iter()
            .map(|scale| scale * factor)
            .collect(),
    )
}
