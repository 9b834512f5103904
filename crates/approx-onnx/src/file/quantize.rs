//! Quantisers written into a copy of a file: around the inputs of layers, and weights as codes.
//!
//! The form is that of ONNX Runtime's quantiser: an input is rounded to codes and taken back (`QuantizeLinear`,
//! `DequantizeLinear`), a weight is stored as codes and taken back. A layer's codes need not fill a type of ONNX's: an
//! input is clipped to the values of the outermost codes first.

use std::collections::HashSet;

use bytes::Bytes;
use onnx_ir::{AttributeProto, AttributeType, GraphProto, ModelProto, NodeProto, TensorProto};

/// The quantisers of one layer.
pub(crate) struct LayerCodes {
    /// The layer's weight: all nodes that multiply by it are the layer.
    pub(crate) stored: String,
    /// What the new values are called after.
    pub(crate) path: String,
    pub(crate) activation: Codes,
    pub(crate) weight: Codes,
    /// The weight as codes, in the order of the file.
    pub(crate) weight_codes: Vec<i32>,
}

/// A quantiser in terms of the file.
pub(crate) struct Codes {
    pub(crate) scales: Vec<f32>,
    pub(crate) zero_points: Vec<i32>,
    pub(crate) range: [i32; 2],
    /// The axis along which scales differ, if they do.
    pub(crate) axis: Option<usize>,
}

/// A type of codes.
struct CodeType {
    number: i32,
    range: [i32; 2],
    bytes: usize,
    /// The version of ONNX's operators from which on it can be used.
    version: i64,
}

impl CodeType {
    const fn new(number: i32, range: [i32; 2], bytes: usize, version: i64) -> Self {
        Self {
            number,
            range,
            bytes,
            version,
        }
    }
}

/// ONNX's types of codes, the narrow ones first.
const TYPES: [CodeType; 4] = [
    CodeType::new(3, [-128, 127], 1, 13),
    CodeType::new(2, [0, 255], 1, 13),
    CodeType::new(5, [-32768, 32767], 2, 21),
    CodeType::new(4, [0, 65535], 2, 21),
];

/// The number of float32.
const FLOAT: i32 = 1;

impl Codes {
    fn code_type(&self) -> Result<&'static CodeType, String> {
        let [least, most] = self.range;
        let fits = |own: &&CodeType| own.range[0] <= least && most <= own.range[1];
        (TYPES.iter().find(fits)).ok_or_else(|| {
            format!(
                "the codes {least} to {most} fit no type that ONNX rounds to, of at most 16 bits"
            )
        })
    }
}

/// Writes the quantisers of layers into a model. Gives the paths of the layers that got theirs, and the names of weights
/// that are no longer there as floats.
///
/// A layer that the file does not have as a node of its own, because it is part of another one, is left as it is.
pub(super) fn insert(
    model: &mut ModelProto,
    layers: &[LayerCodes],
) -> Result<(Vec<String>, HashSet<String>), String> {
    let own = model.opset_import.iter();
    let mut own = own.filter(|entry| matches!(entry.domain.as_str(), "" | "ai.onnx"));
    let version = own.next().map_or(0, |entry| entry.version);
    let graph = model.graph.as_mut().ok_or("it has no graph")?;
    let mut written = Vec::new();
    let mut replaced = HashSet::new();
    for layer in layers {
        for codes in [&layer.activation, &layer.weight] {
            let needed = codes.code_type()?.version;
            if version < needed {
                return Err(format!(
                    "codes of {} need version {needed} of ONNX's operators, and it has version {version}: convert it first, with \
                     Python's `onnx.version_converter`",
                    layer.path
                ));
            }
        }
        let Some(dims) = dims(graph, &layer.stored) else {
            continue;
        };
        let mut place = 0;
        while place < graph.node.len() {
            if !multiplies_by(&graph.node[place], &layer.stored) {
                place += 1;
                continue;
            }
            let mut added = Vec::new();
            let input = graph.node[place].input[0].clone();
            let writer = Writer {
                graph,
                nodes: &mut added,
                path: &layer.path,
            };
            let inputs = writer.layer(layer, input, dims.clone())?;
            let nodes = added.len();
            graph.node.splice(place..place, added);
            place += nodes;
            [graph.node[place].input[0], graph.node[place].input[1]] = inputs;
            place += 1;
            if replaced.insert(layer.stored.clone()) {
                written.push(layer.path.clone());
            }
        }
    }
    // Whoever else uses a weight needs it as it was.
    let used: HashSet<&String> = (graph.node.iter())
        .flat_map(|node| &node.input)
        .chain(graph.output.iter().map(|output| &output.name))
        .collect();
    replaced.retain(|name| !used.contains(name) && !is_used_inside(graph, name));
    graph
        .initializer
        .retain(|initializer| !replaced.contains(&initializer.name));
    graph.input.retain(|input| !replaced.contains(&input.name));
    graph.node.retain(|node| {
        let holds = node.output.first();
        !(node.op_type == "Constant" && holds.is_some_and(|output| replaced.contains(output)))
    });
    Ok((written, replaced))
}

/// Whether a node is a layer with this weight.
fn multiplies_by(node: &NodeProto, weight: &str) -> bool {
    let is_layer = matches!(
        node.op_type.as_str(),
        "Conv" | "ConvTranspose" | "Gemm" | "MatMul"
    );
    is_layer
        && matches!(node.domain.as_str(), "" | "ai.onnx")
        && node.input.get(1).is_some_and(|input| input == weight)
}

/// The sizes of a weight: an initializer, or what a node holds.
fn dims(graph: &GraphProto, name: &str) -> Option<Vec<i64>> {
    let mut initializers = graph.initializer.iter();
    if let Some(initializer) = initializers.find(|initializer| initializer.name == name) {
        return Some(initializer.dims.clone());
    }
    let mut nodes = graph.node.iter();
    let node = nodes.find(|node| {
        node.op_type == "Constant" && node.output.first().is_some_and(|output| output == name)
    })?;
    let mut values = node.attribute.iter().filter_map(|value| value.t.as_ref());
    Some(values.next()?.dims.clone())
}

/// Whether a graph within one of the nodes uses a value.
fn is_used_inside(graph: &GraphProto, name: &str) -> bool {
    let mut inner = (graph.node.iter())
        .flat_map(|node| &node.attribute)
        .filter_map(|attribute| attribute.g.as_ref());
    inner.any(|graph| {
        let mut inputs = graph.node.iter().flat_map(|node| &node.input);
        inputs.any(|input| input == name)
            || graph.output.iter().any(|output| output.name == name)
            || is_used_inside(graph, name)
    })
}

/// Writes the quantisers of one layer: constants into the graph, nodes into a list.
struct Writer<'a> {
    graph: &'a mut GraphProto,
    nodes: &'a mut Vec<NodeProto>,
    path: &'a str,
}

impl Writer<'_> {
    /// The names of the layer's input and weight once they are quantised.
    fn layer(
        mut self,
        layer: &LayerCodes,
        input: String,
        dims: Vec<i64>,
    ) -> Result<[String; 2], String> {
        let activation = layer.activation.code_type()?;
        let mut value = input;
        if layer.activation.range != activation.range {
            value = self.clip(&layer.activation, value);
        }
        let [scale, zero] = self.parameters("input", &layer.activation, activation);
        let codes = self.name("input_codes");
        self.node("QuantizeLinear", &[&value, &scale, &zero], &codes, None);
        let quantized = self.name("input_dequantized");
        self.node(
            "DequantizeLinear",
            &[&codes, &scale, &zero],
            &quantized,
            None,
        );

        let kind = layer.weight.code_type()?;
        let [scale, zero] = self.parameters("weight", &layer.weight, kind);
        let bytes = encode(&layer.weight_codes, kind);
        let codes = self.constant("weight_quantized", kind.number, dims, bytes);
        let weight = self.name("weight_dequantized");
        self.node(
            "DequantizeLinear",
            &[&codes, &scale, &zero],
            &weight,
            layer.weight.axis,
        );
        Ok([quantized, weight])
    }

    /// The value within those of the outermost codes.
    fn clip(&mut self, codes: &Codes, value: String) -> String {
        let ends = codes.range.map(|code| {
            let offset = (code - codes.zero_points[0]) as f32;
            (offset * codes.scales[0]).to_le_bytes().to_vec()
        });
        let [least, most] = ends;
        let least = self.constant("input_least", FLOAT, Vec::new(), least);
        let most = self.constant("input_most", FLOAT, Vec::new(), most);
        let clipped = self.name("input_clipped");
        self.node("Clip", &[&value, &least, &most], &clipped, None);
        clipped
    }

    /// Scales and zero points as constants.
    fn parameters(&mut self, operand: &str, codes: &Codes, kind: &CodeType) -> [String; 2] {
        let dims = match codes.axis {
            Some(_) => vec![codes.scales.len() as i64],
            None => Vec::new(),
        };
        let scales = codes.scales.iter().flat_map(|scale| scale.to_le_bytes());
        let (scales, zeros) = (scales.collect(), encode(&codes.zero_points, kind));
        [
            self.constant(&format!("{operand}_scale"), FLOAT, dims.clone(), scales),
            self.constant(&format!("{operand}_zero_point"), kind.number, dims, zeros),
        ]
    }

    /// A name that no value has.
    fn name(&self, part: &str) -> String {
        let wanted = format!("{}.{part}", self.path);
        let mut name = wanted.clone();
        let mut count = 1;
        while self.is_taken(&name) {
            count += 1;
            name = format!("{wanted}_{count}");
        }
        name
    }

    fn is_taken(&self, name: &str) -> bool {
        let graph = &*self.graph;
        let nodes = graph.node.iter().chain(self.nodes.iter());
        let mut outputs = nodes.flat_map(|node| &node.output);
        outputs.any(|output| output == name)
            || graph.initializer.iter().any(|own| own.name == name)
            || graph.input.iter().any(|own| own.name == name)
    }

    fn constant(&mut self, part: &str, number: i32, dims: Vec<i64>, bytes: Vec<u8>) -> String {
        let name = self.name(part);
        let mut tensor = TensorProto::new();
        tensor.name.clone_from(&name);
        tensor.data_type = number;
        tensor.dims = dims;
        tensor.raw_data = Bytes::from(bytes);
        self.graph.initializer.push(tensor);
        name
    }

    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, axis: Option<usize>) {
        let mut node = NodeProto::new();
        node.op_type = operator.to_string();
        node.name = output.to_string();
        node.input = inputs.iter().map(ToString::to_string).collect();
        node.output = vec![output.to_string()];
        if let Some(axis) = axis {
            let mut attribute = AttributeProto::new();
            attribute.name = "axis".to_string();
            attribute.i = axis as i64;
            attribute.type_ = AttributeType::INT.into();
            node.attribute.push(attribute);
        }
        self.nodes.push(node);
    }
}

/// Codes as the file stores them.
fn encode(codes: &[i32], kind: &CodeType) -> Vec<u8> {
    let bytes = codes.iter().map(|code| code.to_le_bytes());
    bytes
        .flat_map(|bytes| bytes.into_iter().take(kind.bytes))
        .collect()
}
