//! Small ONNX files, put together by hand.

// Each test program uses a part of it.
#![allow(dead_code)]

use bytes::Bytes;
use onnx_ir::{
    AttributeProto, AttributeType, GraphProto, Message, ModelProto, NodeProto, TensorProto,
    ValueInfoProto,
};

/// A file under construction.
#[derive(Clone, Default)]
pub struct Builder {
    graph: GraphProto,
    /// What is not in the graph: functions, and the versions of operators.
    model: ModelProto,
}

/// A setting of a node.
#[derive(Clone)]
pub enum Setting {
    Int(i64),
    Float(f32),
    Text(&'static str),
    Ints(Vec<i64>),
    /// That of the function around it.
    Of(&'static str),
    Graph(Box<Builder>),
    /// A shape and floats.
    Tensor(Vec<i64>, Vec<f32>),
}

impl Builder {
    /// An input of floats; sizes that are `None` stay open.
    pub fn input(self, name: &str, shape: &[Option<i64>]) -> Self {
        self.typed_input(name, 1, shape)
    }

    /// An input of any type, by its number.
    pub fn typed_input(mut self, name: &str, dtype: i32, shape: &[Option<i64>]) -> Self {
        self.graph.input.push(value(name, dtype, shape));
        self
    }

    /// An output, whose type and shape are not said.
    pub fn output(mut self, name: &str) -> Self {
        let mut output = ValueInfoProto::new();
        output.name = name.to_string();
        self.graph.output.push(output);
        self
    }

    /// A weight of floats.
    pub fn weight(mut self, name: &str, shape: &[i64], values: &[f32]) -> Self {
        let bytes = bytes_of(values);
        self.graph.initializer.push(tensor(name, 1, shape, bytes));
        self
    }

    /// A constant of integers.
    pub fn ints(mut self, name: &str, shape: &[i64], values: &[i64]) -> Self {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.graph.initializer.push(tensor(name, 7, shape, bytes));
        self
    }

    /// A constant of any type, by its number and bytes.
    pub fn raw(mut self, name: &str, dtype: i32, shape: &[i64], bytes: Vec<u8>) -> Self {
        self.graph
            .initializer
            .push(tensor(name, dtype, shape, bytes));
        self
    }

    /// A node; the first output's name is the node's.
    pub fn node(
        mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        settings: &[(&str, Setting)],
    ) -> Self {
        let mut node = NodeProto::new();
        if let Some((domain, name)) = operator.split_once("::") {
            node.domain = domain.to_string();
            node.op_type = name.to_string();
        } else {
            node.op_type = operator.to_string();
        }
        node.name = outputs[0].to_string();
        node.input = inputs.iter().map(ToString::to_string).collect();
        node.output = outputs.iter().map(ToString::to_string).collect();
        node.attribute = settings.iter().map(attribute).collect();
        self.graph.node.push(node);
        self
    }

    /// A function of the inputs, outputs and nodes of `body`, for a version of ONNX's operators, with settings that
    /// have no default and some that have one.
    pub fn function(
        mut self,
        name: &str,
        version: i64,
        settings: &[&str],
        defaults: &[(&str, Setting)],
        body: Self,
    ) -> Self {
        // A function's type has no name outside; a parsed one has it.
        let mut known = ModelProto::new();
        known
            .merge_from_bytes(&[0xca, 0x01, 0x00])
            .expect("an empty function");
        let mut function = known.functions.remove(0);
        (function.domain, function.name) = match name.split_once("::") {
            Some((domain, name)) => (domain.to_string(), name.to_string()),
            None => (String::new(), name.to_string()),
        };
        let names =
            |values: &[ValueInfoProto]| values.iter().map(|value| value.name.clone()).collect();
        (function.input, function.output) = (names(&body.graph.input), names(&body.graph.output));
        function.attribute = settings.iter().map(ToString::to_string).collect();
        function.attribute_proto = defaults.iter().map(attribute).collect();
        function.node = body.graph.node;
        function.opset_import = of_version(version).opset_import;
        self.model.functions.push(function);
        self
    }

    /// The messages of the file, for a version of ONNX's operators.
    pub fn model(self, version: i64) -> ModelProto {
        let mut model = self.model;
        model.ir_version = 8;
        model.opset_import = of_version(version).opset_import;
        model.graph = Some(self.graph).into();
        model
    }

    /// The bytes of the file.
    pub fn bytes(self, version: i64) -> Vec<u8> {
        self.model(version)
            .write_to_bytes()
            .expect("a model can be written")
    }
}

/// A model that says which version of ONNX's operators it uses, and nothing else.
fn of_version(version: i64) -> ModelProto {
    // The type of an entry has no name outside; a parsed one has it.
    let mut model = ModelProto::new();
    model
        .merge_from_bytes(&[0x42, 0x00])
        .expect("an empty entry");
    model.opset_import[0].version = version;
    model
}

fn attribute((name, setting): &(&str, Setting)) -> AttributeProto {
    let mut attribute = AttributeProto::new();
    attribute.name = (*name).to_string();
    let kind = match setting {
        Setting::Int(value) => {
            attribute.i = *value;
            AttributeType::INT
        }
        Setting::Float(value) => {
            attribute.f = *value;
            AttributeType::FLOAT
        }
        Setting::Text(text) => {
            attribute.s = Bytes::from_static(text.as_bytes());
            AttributeType::STRING
        }
        Setting::Ints(values) => {
            attribute.ints.clone_from(values);
            AttributeType::INTS
        }
        Setting::Of(outer) => {
            attribute.ref_attr_name = (*outer).to_string();
            AttributeType::FLOAT
        }
        Setting::Graph(body) => {
            attribute.g = Some(body.graph.clone()).into();
            AttributeType::GRAPH
        }
        Setting::Tensor(shape, values) => {
            attribute.t = Some(tensor("", 1, shape, bytes_of(values))).into();
            AttributeType::TENSOR
        }
    };
    attribute.type_ = kind.into();
    attribute
}

fn value(name: &str, dtype: i32, shape: &[Option<i64>]) -> ValueInfoProto {
    let mut value = ValueInfoProto::new();
    value.name = name.to_string();
    // type { tensor_type { elem_type, shape { dim .. } } }, as bytes: these types have no names outside.
    let mut dims = Vec::new();
    for size in shape {
        let dim = match size {
            Some(size) => field(1, *size as u64),
            None => bytes_field(2, b"batch"),
        };
        dims.extend(bytes_field(1, &dim));
    }
    let mut tensor = field(1, dtype as u64);
    tensor.extend(bytes_field(2, &dims));
    let type_ = bytes_field(1, &tensor);
    let whole = bytes_field(2, &type_);
    value.merge_from_bytes(&whole).expect("a type");
    value
}

fn field(number: u8, mut value: u64) -> Vec<u8> {
    let mut bytes = vec![number << 3];
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn bytes_field(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = field(number, inner.len() as u64);
    bytes[0] |= 2;
    bytes.extend(inner);
    bytes
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn tensor(name: &str, dtype: i32, shape: &[i64], bytes: Vec<u8>) -> TensorProto {
    let mut tensor = TensorProto::new();
    tensor.name = name.to_string();
    tensor.data_type = dtype;
    tensor.dims = shape.to_vec();
    tensor.raw_data = Bytes::from(bytes);
    tensor
}

/// Numbers that look random, for weights.
pub fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|place| ((place * 7919 + 13) % 97) as f32 / 97.0 - 0.5)
        .collect()
}
